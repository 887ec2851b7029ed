//! A terminal's screen, captured again and again, as a log of plain lines. Pure.
//!
//! What scrolled away is told once and whole. What a full-screen program draws is told when it has
//! come to rest: a line that stands where it stood, or moved, is not told again. A line that takes
//! another's place must stand for longer, so that a clock or a spinner is told once.

use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::HashSet;

/// Blank lines in a row that are told.
const BLANKS: usize = 1;

/// One capture of a pane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Whether a full-screen program shows its alternate screen, which has no history.
    pub alternate: bool,
    /// Lines that have scrolled out of the screen so far and are kept.
    pub history: usize,
    /// How many of `lines` are the last of these.
    pub above: usize,
    /// The last lines of the history, then the screen.
    pub lines: Vec<String>,
}

/// What the screen did since the frame before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It is still being written to.
    Busy,
    /// Nothing has come for a moment: what was added is whole.
    Rests,
    /// Nothing has come for a while: what took another's place stays there.
    Settled,
}

/// What of a pane has been told so far.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    main: View,
    alternate: View,
    on_alternate: bool,
    blanks: usize,
}

/// What of one screen has been told.
#[derive(Debug, Clone, Default)]
struct View {
    /// The history's length when it was looked at.
    history: usize,
    /// Lines on the screen that have been told.
    told: Vec<String>,
    /// Every line that the last frame had.
    seen: HashSet<String>,
}

impl Transcript {
    /// From here on: what this frame shows counts as told.
    pub fn from(frame: &Frame) -> Self {
        let mut transcript = Self::default();
        transcript.next(frame, Pace::Settled);
        transcript.blanks = 0;
        transcript
    }

    /// How many lines of a history that is now so long the next frame should have.
    pub fn needs(&self, history: usize) -> usize {
        match history.checked_sub(self.main.history) {
            Some(grown) => grown,
            // It was cleared, or cut at its far end: what was told is looked for in what is left.
            None => history,
        }
    }

    /// The lines that are new.
    pub fn next(&mut self, frame: &Frame, pace: Pace) -> Vec<String> {
        self.on_alternate = frame.alternate;
        let view = if frame.alternate { &mut self.alternate } else { &mut self.main };
        let mut lines: Vec<String> = frame.lines.iter().map(|line| plain(line)).collect();
        while lines.last().is_some_and(String::is_empty) && lines.len() > frame.above {
            lines.pop();
        }
        // Lines that are older than what was told first.
        let first = frame.history.saturating_sub(frame.above);
        let aligned = frame.alternate || first <= view.history;
        let known = if frame.alternate || frame.history < view.history {
            0
        } else {
            view.history.saturating_sub(first)
        };
        let fresh = lines.get(known.min(lines.len())..).unwrap_or_default();
        let boundary = frame.above.saturating_sub(known);
        let cut = frame.history < view.history && !frame.alternate;
        let stands =
            |at: usize, line: &String| at < boundary || (view.seen.contains(line) && !line.is_empty());
        let mut told = Vec::new();
        let mut kept = Vec::new();
        if !aligned {
            told.push("[lines were lost here: they came faster than they could be read]".to_owned());
        }
        // Of a history that was cut, everything before what was told last has been told earlier.
        let mut earlier = cut;
        let anew = !known_beyond(&view.told, fresh);
        for op in capture_diff_slices(Algorithm::Myers, &view.told, fresh) {
            let (old, new) = (op.old_range(), op.new_range());
            let is_new = !matches!(op, DiffOp::Equal { .. });
            let in_place = matches!(op, DiffOp::Replace { .. }) && !anew;
            if !is_new {
                earlier = false;
            }
            let whole = match pace {
                Pace::Busy => false,
                Pace::Rests => !in_place,
                Pace::Settled => true,
            };
            let mut waits = false;
            for at in new {
                let Some(line) = fresh.get(at) else { continue };
                if is_new && !(whole || stands(at, line)) {
                    waits = true;
                    continue;
                }
                if is_new && !(earlier && (at < boundary || !anew)) {
                    told.push(line.clone());
                }
                if at >= boundary {
                    kept.push(line.clone());
                }
            }
            // What waits is still to take the place of these.
            if in_place && waits {
                kept.extend(view.told.get(old).unwrap_or_default().iter().cloned());
            }
        }
        view.history = frame.history;
        view.told = kept;
        view.seen = fresh.iter().cloned().collect();
        self.without_gaps(told)
    }

    /// What is new among the last lines of the same screen, where they begin not being known.
    pub fn last(&mut self, lines: Vec<String>) -> Vec<String> {
        // As a history that was cleared.
        self.next(&Frame { alternate: self.on_alternate, lines, ..Frame::default() }, Pace::Settled)
    }

    /// Blank lines are told as one, and before the next line that is not.
    fn without_gaps(&mut self, lines: Vec<String>) -> Vec<String> {
        let mut told = Vec::with_capacity(lines.len());
        for line in lines {
            if line.is_empty() {
                self.blanks += 1;
                continue;
            }
            told.extend(std::iter::repeat_n(String::new(), self.blanks.min(BLANKS)));
            self.blanks = 0;
            told.push(line);
        }
        told
    }
}

/// Whether anything that was told is still there.
fn known_beyond(told: &[String], fresh: &[String]) -> bool {
    told.iter().any(|line| !line.is_empty() && fresh.contains(line))
}

/// A line as text alone: what a terminal would obey is left out.
pub fn plain(line: &str) -> String {
    let mut text: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A screen of so many rows over a history.
    fn frame(all: &[&str], rows: usize, above: usize) -> Frame {
        let history = all.len().saturating_sub(rows);
        let above = above.min(history);
        let lines = all[history - above..].iter().map(|l| (*l).to_owned()).collect();
        Frame { alternate: false, history, above, lines }
    }

    fn full_screen(lines: &[&str]) -> Frame {
        Frame { alternate: true, lines: lines.iter().map(|l| (*l).to_owned()).collect(), ..Frame::default() }
    }

    #[test]
    fn what_scrolls_is_told_once_whole_and_in_order_however_fast_it_comes() {
        let all: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for pace in [Pace::Busy, Pace::Rests] {
            let mut transcript = Transcript::from(&frame(&all[..3], 10, 0));
            let mut told = Vec::new();
            let mut at = 3;
            for step in [1, 2, 7, 9, 10, 11, 50, 200, 0, 1, 206] {
                at = (at + step).min(all.len());
                let above = transcript.needs(at.saturating_sub(10)) + step % 3;
                told.extend(transcript.next(&frame(&all[..at], 10, above), pace));
            }
            told.extend(transcript.next(&frame(&all[..at], 10, 0), Pace::Rests));
            assert_eq!(told, all[3..]);
        }
    }

    #[test]
    fn a_line_that_is_still_being_written_waits() {
        let mut transcript = Transcript::from(&frame(&["a"], 5, 0));
        assert_eq!(transcript.next(&frame(&["a", "down"], 5, 0), Pace::Busy), Vec::<String>::new());
        assert_eq!(transcript.next(&frame(&["a", "download 50%"], 5, 0), Pace::Busy), Vec::<String>::new());
        assert_eq!(transcript.next(&frame(&["a", "download 100%"], 5, 0), Pace::Rests), ["download 100%"]);
        assert_eq!(transcript.next(&frame(&["a", "downloaded"], 5, 0), Pace::Settled), ["downloaded"]);
        let transcript = &mut Transcript::from(&frame(&["a", "download 100%"], 5, 0));
        assert_eq!(transcript.next(&frame(&["a", "download 100%"], 5, 0), Pace::Rests), Vec::<String>::new());
    }

    #[test]
    fn a_full_screen_program_is_told_what_is_new_on_it_and_no_spinner() {
        let mut transcript = Transcript::from(&frame(&["$ vi"], 5, 0));
        let first = ["title", "hello", "> "];
        assert_eq!(transcript.next(&full_screen(&first), Pace::Rests), ["title", "hello", ">"]);
        let mut clock = Vec::new();
        for (spinner, pace) in
            [("* 1s", Pace::Rests), ("* 2s", Pace::Busy), ("* 3s", Pace::Rests), ("* 4s", Pace::Rests)]
        {
            let screen = ["title", "hello", spinner, "> "];
            clock.extend(transcript.next(&full_screen(&screen), pace));
        }
        assert_eq!(clock, ["* 1s"]);
        let last = ["title", "hello", "the answer", "> "];
        assert_eq!(transcript.next(&full_screen(&last), Pace::Rests), Vec::<String>::new());
        assert_eq!(transcript.next(&full_screen(&last), Pace::Settled), ["the answer"]);
        let scrolled = ["title", "the answer", "more", "> "];
        assert_eq!(transcript.next(&full_screen(&scrolled), Pace::Rests), ["more"]);
        assert_eq!(transcript.next(&frame(&["$ vi", "$ ls"], 5, 0), Pace::Rests), ["$ ls"]);
    }

    #[test]
    fn a_program_that_redraws_the_end_of_the_main_screen_is_told_once() {
        let mut transcript = Transcript::from(&frame(&["hi", "+--+", "| > |", "+--+"], 6, 0));
        let with_answer = ["hi", "well", "+--+", "| > |", "+--+"];
        assert_eq!(transcript.next(&frame(&with_answer, 6, 0), Pace::Rests), ["well"]);
        let scrolled = ["hi", "well", "one", "two", "three", "+--+", "| > |", "+--+"];
        assert_eq!(transcript.next(&frame(&scrolled, 6, 2), Pace::Busy), Vec::<String>::new());
        assert_eq!(transcript.next(&frame(&scrolled, 6, 0), Pace::Rests), ["one", "two", "three"]);
    }

    #[test]
    fn a_history_that_is_cut_or_cleared_tells_nothing_twice() {
        let all: Vec<String> = (0..60).map(|n| format!("line {n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut transcript = Transcript::from(&frame(&all[..50], 10, 0));
        // 40 lines of history became 25 while ten more came.
        let mut cut = frame(&all[25..], 10, 25);
        assert_eq!(transcript.needs(cut.history), 25);
        assert_eq!(transcript.next(&cut, Pace::Rests), all[50..]);
        cut = frame(&["only this"], 10, 0);
        assert_eq!(transcript.next(&cut, Pace::Rests), ["only this"]);
    }

    #[test]
    fn lost_lines_are_said_to_be_lost() {
        let all: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut transcript = Transcript::from(&frame(&all[..10], 10, 0));
        let told = transcript.next(&frame(&all, 10, 5), Pace::Rests);
        assert!(told[0].contains("lost"), "{told:?}");
        assert_eq!(told[1..], all[85..]);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(plain("a\u{9b}31mb\u{1b}[2J\tc \u{7f}  "), "a31mb[2J\tc");
    }
}
