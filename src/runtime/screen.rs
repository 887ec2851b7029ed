//! What a captured screen says of a runtime: whether it can take text, whose text stands in its
//! composer, what it is doing. Pure, and only evidence: a screen never proves that a message was
//! taken.
//!
//! A runtime whose screen is known has a file of its own; here are the types and the judge for all
//! others, which knows nothing but the draft mark.

mod claude;
mod codex;
mod lines;
mod opencode;
mod pi;
#[cfg(test)]
mod tests;

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
        Kind::Claude => claude::judge(text),
        Kind::Codex => codex::judge(text),
        Kind::OpenCode => opencode::judge(text),
        Kind::Pi => pi::judge(text),
        Kind::Dogfood | Kind::Custom => by_mark(mark, text),
    }
}

/// Whether what the composer shows is this message and nothing else, provably.
pub fn shows(kind: Kind, draft: &str, message: &str) -> bool {
    // Of a paste that is only said to be there, the size is all that can be compared: whoever looks
    // has seen the composer empty before.
    let lines = |count: usize| [message, message.trim_end()].iter().any(|m| m.split('\n').count() == count);
    let pasted = match kind {
        Kind::Claude => claude::pasted_lines(draft).map(lines),
        Kind::Codex => codex::pasted_characters(draft).map(|count| message.chars().count() == count),
        Kind::OpenCode => opencode::pasted_lines(draft).map(lines),
        Kind::Pi => pi::pasted(draft).map(|pasted| match pasted {
            pi::Pasted::Lines(count) => lines(count),
            pi::Pasted::Units(count) => message.replace('\t', "    ").encode_utf16().count() == count,
        }),
        Kind::Dogfood | Kind::Custom => return begins(draft, message),
    };
    // These show a draft whole, wrapped.
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    pasted.unwrap_or_else(|| !draft.trim().is_empty() && plain(draft) == plain(message))
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
