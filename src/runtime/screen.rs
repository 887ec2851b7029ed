//! What a captured screen says of a runtime: whether it can take text, whose text stands in its
//! composer, what it is doing. Pure, and only evidence: a screen never proves that a message was
//! taken.
//!
//! A runtime whose screen is known has a file of its own; here are the types and the judge for all
//! others, which knows nothing but the draft mark.

use super::Kind;

/// A judged screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    /// Whether text that is typed now reaches the composer.
    pub ready: bool,
    /// What stands in the composer.
    pub composer: Composer,
    /// What the runtime is doing.
    pub activity: Activity,
    /// Whether it shows messages that it will take later.
    pub queued: bool,
    /// A dialog that a key would answer: nothing may be typed into it.
    pub dialog: Option<String>,
}

/// What stands in the composer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Composer {
    /// Nothing: the mark alone.
    Empty,
    /// Text that was not submitted, as the screen shows it: cut off, wrapped, or only said to be
    /// there.
    Draft(String),
    /// No composer can be seen.
    Absent,
}

/// What a runtime shows of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It waits for a prompt.
    Idle,
    /// It works on one.
    Busy,
    /// Its screen does not say.
    Unknown,
}

/// Judges a screen as `capture-pane -p` gives it; `mark` is what the roster says stands before a
/// draft.
pub fn judge(kind: Kind, mark: &str, text: &str) -> Screen {
    match kind {
        Kind::Claude | Kind::Codex | Kind::OpenCode | Kind::Pi | Kind::Dogfood | Kind::Custom => {
            by_mark(mark, text)
        }
    }
}

/// Whether what the composer shows is this message and nothing else, provably.
pub fn shows(kind: Kind, draft: &str, message: &str) -> bool {
    match kind {
        Kind::Claude | Kind::Codex | Kind::OpenCode | Kind::Pi | Kind::Dogfood | Kind::Custom => {
            begins(draft, message)
        }
    }
}

/// The judge of which only the mark is known: the last line that is not empty decides.
fn by_mark(mark: &str, text: &str) -> Screen {
    let last = text.lines().map(str::trim_end).rfind(|line| !line.is_empty());
    let composer = match last {
        _ if mark.trim().is_empty() => Composer::Absent,
        Some(line) if line == mark.trim_end() => Composer::Empty,
        Some(line) => line.strip_prefix(mark).map_or(Composer::Absent, |d| Composer::Draft(d.to_owned())),
        None => Composer::Absent,
    };
    Screen {
        ready: composer != Composer::Absent,
        composer,
        activity: Activity::Unknown,
        queued: false,
        dialog: None,
    }
}

/// Below this many characters a draft has to be the whole message: a short beginning is nobody's.
const TELLING: usize = 24;

/// Whether a draft, shown in one line and cut off at the screen's edge, is this message.
///
/// White space is not compared, nor are `\n` in the place of line ends: screens change both. The
/// last character may be that of the edge.
fn begins(draft: &str, message: &str) -> bool {
    let draft = match draft.strip_prefix('[').and_then(|rest| rest.split_once(" bytes] ")) {
        Some((count, rest)) if count.parse() == Ok(message.len()) => rest,
        _ => draft,
    };
    let plain = |text: &str| -> Vec<char> {
        text.replace("\\n", "").chars().filter(|c| !c.is_whitespace()).collect()
    };
    let (draft, message) = (plain(draft), plain(message));
    match draft.split_last() {
        None => false,
        _ if draft == message => true,
        Some((_, shown)) => {
            draft.len() < message.len() && shown.len() >= TELLING && message.starts_with(shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composer(text: &str) -> Composer {
        judge(Kind::Dogfood, "> ", text).composer
    }

    #[test]
    fn the_last_line_decides_and_a_bare_mark_is_no_draft() {
        assert_eq!(composer("hello\n>\n\n\n"), Composer::Empty);
        assert_eq!(composer("hello\n> \n"), Composer::Empty);
        assert_eq!(composer("hello\n> wait\n\n"), Composer::Draft("wait".to_owned()));
        assert_eq!(composer("> quoted\nnothing here\n"), Composer::Absent);
        assert_eq!(composer(">quoted\n"), Composer::Absent);
        assert_eq!(composer("\n\n"), Composer::Absent);
        assert_eq!(judge(Kind::Custom, "", "> x\n").composer, Composer::Absent, "no mark, no draft");
    }

    #[test]
    fn a_screen_without_a_composer_is_not_ready() {
        assert!(judge(Kind::Dogfood, "> ", "x\n>\n").ready);
        assert!(!judge(Kind::Dogfood, "> ", "x\n").ready);
        assert!(!judge(Kind::Dogfood, "> ", "").ready);
    }

    #[test]
    fn a_draft_is_a_message_of_ours_only_where_that_can_be_seen() {
        let message = "[h:s -> h:a] first line\n\tsecond line and more\n";
        assert!(shows(Kind::Dogfood, "[h:s -> h:a] first line\\n second line and more\\n", message));
        assert!(shows(Kind::Dogfood, "[h:s -> h:a] first line\\n second lX", message), "cut at the edge");
        assert!(!shows(Kind::Dogfood, "[h:s -> h:a] fiX", message), "too short to tell");
        assert!(!shows(Kind::Dogfood, "[h:s -> h:a] first line, but of another one", message));
        assert!(!shows(Kind::Dogfood, "x[h:s -> h:a] first line\\n second line and more", message));
        let whole = "[h:s -> h:a] first line\\n second line and more";
        assert!(!shows(Kind::Dogfood, &format!("{whole}!"), message), "somebody typed on");
        assert!(!shows(Kind::Dogfood, "", message));
        assert!(!shows(Kind::Dogfood, "", ""));
        assert!(shows(Kind::Dogfood, "x", "x") && !shows(Kind::Dogfood, "x", "xy"));
    }

    #[test]
    fn a_long_draft_is_shown_with_its_length() {
        let message = "0123456789 ".repeat(100);
        let shown = format!("[{} bytes] {}", message.len(), &message[..60]);
        assert!(shows(Kind::Dogfood, &shown, &message));
        assert!(!shows(Kind::Dogfood, &shown, &message.repeat(2)));
    }
}
