//! OpenCode's screen: a box whose left edge is `┃` and whose lower one begins with `╹`. Pure.

use super::lines::nearest;
use super::{Activity, Composer, Screen};

const EDGE: char = '┃';
const CORNER: char = '╹';
/// Stands in an empty box, with an example behind it.
const HINT: &str = "Ask anything…";

pub(super) fn judge(text: &str) -> Screen {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let Some((top, bottom, shown)) = composer(&lines) else {
        return Screen {
            ready: false,
            composer: Composer::Absent,
            activity: Activity::Unknown,
            queued: false,
            dialog: None,
        };
    };
    let busy =
        lines[bottom..].iter().any(|line| line.contains("esc interrupt") || line.contains("esc again"));
    let queued = nearest(&lines[..top], usize::MAX).any(|l| within(l, usize::MAX) == Some("QUEUED"));
    Screen {
        ready: true,
        composer: if shown.is_empty() || shown.starts_with(HINT) {
            Composer::Empty
        } else {
            Composer::Draft(shown)
        },
        activity: if busy { Activity::Busy } else { Activity::Idle },
        queued,
        dialog: None,
    }
}

/// The box's first line, its corner, and what stands in it; beside it there may be other columns.
fn composer(lines: &[&str]) -> Option<(usize, usize, String)> {
    let corner = lines.iter().rposition(|line| line.trim_start().starts_with(CORNER))?;
    let column = lines[corner].chars().position(|c| c == CORNER)?;
    let width = lines[corner].chars().take_while(|c| matches!(c, ' ' | '╹' | '▀')).count();
    let edge = |line: &&str| line.chars().nth(column) == Some(EDGE);
    let top = lines[..corner].iter().rposition(|line| !edge(line)).map_or(0, |at| at + 1);
    let inside: Vec<&str> = lines[top..corner].iter().filter_map(|line| within(line, width)).collect();
    // Last comes the agent and its model, after an empty line. A list of commands stands above, with
    // an edge on its other side too.
    let (_, text) = inside.split_last()?;
    let list = text.iter().rposition(|line| line.ends_with(EDGE)).map_or(0, |at| at + 1);
    Some((top, corner, text[list..].join("\n").trim().to_owned()))
}

/// What stands right of the edge, up to a width.
fn within(line: &str, width: usize) -> Option<&str> {
    let end = line.char_indices().nth(width).map_or(line.len(), |(at, _)| at);
    line[..end].trim().strip_prefix(EDGE).map(str::trim)
}

/// `[Pasted ~4 lines]` stands for as many lines.
pub(super) fn pasted_lines(draft: &str) -> Option<usize> {
    draft.strip_prefix("[Pasted ~")?.strip_suffix(" lines]")?.parse().ok()
}
