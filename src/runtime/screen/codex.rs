//! Codex's screen: a composer behind `›`, with a status line below it. Pure.

use super::lines::{begins_with_any, nearest};
use super::{Activity, Composer, Screen};

const MARK: &str = "›";
/// Stands in an empty composer.
const HINT: &str = "Ask Codex to do anything";

pub(super) fn judge(text: &str) -> Screen {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let dialog = dialog(&lines);
    let found = if dialog.is_some() { None } else { composer(&lines) };
    let Some((top, shown)) = found else {
        return Screen {
            ready: false,
            composer: Composer::Absent,
            activity: Activity::Unknown,
            queued: false,
            dialog,
        };
    };
    let works = |line: &str| begins_with_any(line, &["•", "◦"]) && line.contains("esc to interrupt");
    let busy = nearest(&lines[..top], 8).any(works);
    Screen {
        ready: true,
        composer: if shown.is_empty() || shown == HINT { Composer::Empty } else { Composer::Draft(shown) },
        activity: if busy { Activity::Busy } else { Activity::Idle },
        // It does not queue what is entered: it turns to it at once.
        queued: false,
        dialog: None,
    }
}

/// Where the composer begins, and what stands in it. The same mark stands before earlier messages;
/// below the composer there are only an empty line and the status.
fn composer(lines: &[&str]) -> Option<(usize, String)> {
    let end = lines.iter().rposition(|line| !line.is_empty())?;
    let status = lines[..end].iter().rposition(|line| line.is_empty())?;
    let first = lines[..status].iter().rposition(|line| *line == MARK || line.starts_with("› "))?;
    let more = &lines[first + 1..status];
    if !lines[status + 1].starts_with("  ") || more.iter().any(|l| !l.is_empty() && !l.starts_with("  ")) {
        return None;
    }
    let text = lines[first..status].join("\n");
    Some((first, text.trim_start_matches(MARK).trim().to_owned()))
}

/// The first line of a question whose answers are numbered.
fn dialog(lines: &[&str]) -> Option<String> {
    let last = lines.iter().rfind(|line| !line.is_empty())?;
    let asks = last.to_lowercase().contains("enter");
    let first = lines.iter().position(|line| begins_with_any(line, &["› 1. ", "› 2. ", "› 3. ", "> 1. "]))?;
    let question = lines[..first].iter().rev().skip_while(|line| line.is_empty());
    let question = question.take_while(|line| !line.is_empty()).last()?;
    asks.then(|| question.trim().to_owned())
}

/// `[Pasted Content 17068 chars]` stands for as many characters.
pub(super) fn pasted_characters(draft: &str) -> Option<usize> {
    draft.strip_prefix("[Pasted Content ")?.strip_suffix(" chars]")?.parse().ok()
}
