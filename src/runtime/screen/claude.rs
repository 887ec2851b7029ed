//! Claude Code's screen: a composer between two rules, its work on a line above. Pure.

use super::lines::{begins_with_any, nearest, rule};
use super::{Activity, Composer, Screen};

const MARK: char = '❯';
/// What stands before the word for its work.
const SPINNER: [char; 7] = ['✻', '✽', '✶', '✳', '✢', '·', '*'];
/// Stands in the composer while messages wait.
const QUEUED: &str = "Press up to edit queued messages";

pub(super) fn judge(text: &str) -> Screen {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let Some((top, shown)) = composer(&lines) else {
        let dialog = dialog(&lines);
        return Screen {
            ready: false,
            composer: Composer::Absent,
            activity: Activity::Unknown,
            queued: false,
            dialog,
        };
    };
    let above = &lines[..top];
    let works = |line: &&str| line.starts_with(SPINNER) && line.contains('…');
    let busy = nearest(above, 8).any(|line| works(&line));
    let hint = shown == QUEUED || (shown.starts_with("Try \"") && shown.ends_with('"'));
    Screen {
        ready: true,
        queued: shown == QUEUED,
        composer: if shown.is_empty() || hint { Composer::Empty } else { Composer::Draft(shown) },
        activity: if busy { Activity::Busy } else { Activity::Idle },
        dialog: None,
    }
}

/// Where the composer's upper rule is, and what stands in it.
fn composer(lines: &[&str]) -> Option<(usize, String)> {
    let first = lines.iter().rposition(|line| line.starts_with(MARK)).filter(|at| *at > 0)?;
    if !rule(lines[first - 1]) {
        return None;
    }
    let end = first + lines[first..].iter().position(|line| rule(line))?;
    let text = lines[first..end].join("\n");
    Some((first - 1, text.trim_start_matches(MARK).trim().to_owned()))
}

/// The first line of a question whose answers are numbered.
fn dialog(lines: &[&str]) -> Option<String> {
    let answer = lines.iter().rposition(|line| {
        let line = line.trim_start().trim_start_matches(MARK).trim_start();
        begins_with_any(line, &["1. ", "2. ", "3. "])
    })?;
    lines[answer..].iter().any(|line| line.contains("Esc to cancel")).then_some(())?;
    let from = lines[..answer].iter().rposition(|line| rule(line)).map_or(0, |at| at + 1);
    lines[from..].iter().map(|line| line.trim()).find(|line| !line.is_empty()).map(str::to_owned)
}

/// `[Pasted text #2 +3 lines]` stands for as many lines after the first, `[Pasted text #2]` for one.
pub(super) fn pasted_lines(draft: &str) -> Option<usize> {
    let counted = draft.strip_prefix("[Pasted text #")?.strip_suffix(']')?;
    match counted.split_once(" +") {
        Some((_, more)) => more.strip_suffix(" lines")?.parse::<usize>().ok().map(|more| more + 1),
        None => counted.parse::<usize>().ok().map(|_| 1),
    }
}
