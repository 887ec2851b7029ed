//! pi's screen: a composer between two rules, its work on a line above, its lists between the same
//! rules. Pure.

use super::lines::{nearest, rule};
use super::{Activity, Composer, Screen};

/// What turns before the word for its work.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// What stands before the chosen line of a list.
const CHOSEN: &str = "→ ";

pub(super) fn judge(text: &str) -> Screen {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let Some((top, between)) = composer(&lines) else {
        return Screen {
            ready: false,
            composer: Composer::Absent,
            activity: Activity::Unknown,
            queued: false,
            dialog: None,
        };
    };
    let above = &lines[..top];
    let works = |line: &str| line.trim_start().starts_with(SPINNER);
    let activity = if nearest(above, 3).any(works) { Activity::Busy } else { Activity::Idle };
    let waits = |line: &str| line.trim_start().starts_with("↳ ") && line.ends_with("queued messages");
    let queued = nearest(above, 4).any(waits);
    let shown = between.join("\n");
    if between.iter().any(|line| line.starts_with(CHOSEN)) {
        let title = between.iter().map(|line| line.trim()).find(|line| !line.is_empty());
        let dialog = title.map(str::to_owned);
        return Screen { ready: false, composer: Composer::Absent, activity, queued, dialog };
    }
    let composer =
        if shown.trim().is_empty() { Composer::Empty } else { Composer::Draft(shown.trim().to_owned()) };
    Screen { ready: true, composer, activity, queued, dialog: None }
}

/// Where the upper of the last two rules is, and what stands between them.
fn composer<'a, 'b>(lines: &'b [&'a str]) -> Option<(usize, &'b [&'a str])> {
    let bottom = lines.iter().rposition(|line| rule(line))?;
    // A draft may hold rules of its own; these two are as wide as the screen.
    let width = lines[bottom].chars().count();
    let top = lines[..bottom].iter().rposition(|line| rule(line) && line.chars().count() == width)?;
    // Its status stands below; two rules in an answer have none.
    lines[bottom + 1..].iter().any(|line| !line.is_empty()).then_some((top, &lines[top + 1..bottom]))
}

/// What a paste is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pasted {
    /// `[paste #1 +400 lines]`
    Lines(usize),
    /// `[paste #1 1234 chars]`
    Units(usize),
}

/// What a draft that is one paste and nothing else stands for.
pub(super) fn pasted(draft: &str) -> Option<Pasted> {
    let (_, counted) = draft.strip_prefix("[paste #")?.strip_suffix(']')?.split_once(' ')?;
    match counted.strip_prefix('+') {
        Some(lines) => lines.strip_suffix(" lines")?.parse().ok().map(Pasted::Lines),
        None => counted.strip_suffix(" chars")?.parse().ok().map(Pasted::Units),
    }
}
