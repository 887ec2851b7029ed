//! A row of the fleet as cells of a table that is as wide as the terminal.

use crate::cli::ps::{size, span};
use crate::observe::{Flag, PaneState, Row};
use crate::runfile::heartbeat::Health;
use crate::transcript::plain;

/// How a cell stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It does not.
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Of little interest.
    Faint,
}

/// A column that is shown, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    column: Column,
    width: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Runtime,
    Class,
    Unit,
    Pane,
    Pid,
    Idle,
    Heartbeat,
    Restarts,
    Memory,
    Flags,
}

/// In their order, each with the rank by which a narrow terminal drops it: the highest first.
const COLUMNS: [(Column, &str, u8); 11] = [
    (Column::Name, "NAME", 0),
    (Column::Runtime, "RUNTIME", 4),
    (Column::Class, "CLASS", 8),
    (Column::Unit, "UNIT", 3),
    (Column::Pane, "PANE", 2),
    (Column::Pid, "PID", 9),
    (Column::Idle, "IDLE", 5),
    (Column::Heartbeat, "HEARTBEAT", 1),
    (Column::Restarts, "RESTARTS", 6),
    (Column::Memory, "MEMORY", 7),
    (Column::Flags, "FLAGS", 0),
];
const GAP: usize = 2;

/// The columns that fit.
pub fn fitting(rows: &[&Row], width: u16) -> Vec<Shown> {
    let widest = |column: Column, title: &str| {
        let cells = rows.iter().map(|row| cell(row, column).0.chars().count());
        cells.chain([title.len()]).max().unwrap_or(0)
    };
    let mut shown: Vec<(Shown, u8)> = COLUMNS
        .iter()
        .map(|(column, title, rank)| (Shown { column: *column, width: widest(*column, title) }, *rank))
        .collect();
    let width = usize::from(width);
    while shown.iter().map(|(s, _)| s.width + GAP).sum::<usize>() > width + GAP {
        match shown.iter().map(|(_, rank)| *rank).max().filter(|rank| *rank > 0) {
            Some(least) => shown.retain(|(_, rank)| *rank != least),
            None => break,
        }
    }
    shown.into_iter().map(|(shown, _)| shown).collect()
}

/// The headings.
pub fn titles(shown: &[Shown]) -> String {
    let title =
        |column: Column| COLUMNS.iter().find(|(c, ..)| *c == column).map_or("", |(_, title, _)| title);
    shown.iter().map(|s| padded(title(s.column), s.width)).collect()
}

/// A row's cells, each as wide as its column.
pub fn cells(row: &Row, shown: &[Shown]) -> Vec<(String, Tone)> {
    let cell = |s: &Shown| {
        let (text, tone) = cell(row, s.column);
        (padded(&text, s.width), tone)
    };
    shown.iter().map(cell).collect()
}

/// Why a row is flagged, and what of it is not known that should be.
pub fn reasons(row: &Row) -> impl Iterator<Item = String> {
    let of_interest = |reason: &&String| {
        let word = reason.split(':').next().unwrap_or_default();
        row.flags.iter().any(|f| f.word() == word)
            || matches!(word, "systemd" | "enabled" | "pane" | "starting" | "record" | "parked" | "parking")
    };
    row.reasons.iter().filter(of_interest).map(|reason| plain(reason))
}

fn padded(text: &str, width: usize) -> String {
    format!("{text:<width$}{:GAP$}", "")
}

fn cell(row: &Row, column: Column) -> (String, Tone) {
    let text = |value: Option<&String>| (value.map_or_else(|| "-".to_owned(), |v| plain(v)), Tone::Plain);
    let none = if row.pane.state == PaneState::Dead { "-" } else { "?" };
    let seen = |value: Option<String>| (value.unwrap_or_else(|| none.to_owned()), Tone::Plain);
    match column {
        Column::Name => (plain(&row.name), Tone::Plain),
        Column::Runtime => text(row.runtime.as_ref()),
        Column::Class => text(row.class.as_ref()),
        Column::Unit => {
            let active = row.systemd.active.as_deref().unwrap_or("?");
            let tone = match active {
                _ if row.parked => Tone::Faint,
                "active" => Tone::Plain,
                "failed" => Tone::Bad,
                _ => Tone::Warn,
            };
            (active.to_owned(), tone)
        }
        Column::Pane => match row.pane.state {
            PaneState::Dead if row.parked => ("parked".to_owned(), Tone::Faint),
            PaneState::Dead => ("dead".to_owned(), Tone::Bad),
            PaneState::Unknown => ("unknown".to_owned(), Tone::Warn),
            PaneState::Alive => ("alive".to_owned(), Tone::Plain),
        },
        Column::Pid => seen(row.pane.pid.map(|pid| pid.to_string())),
        Column::Idle => seen(row.idle_seconds.map(span)),
        Column::Heartbeat if row.parked || row.flags.contains(&Flag::Unknown) => (String::new(), Tone::Plain),
        Column::Heartbeat => {
            let beat = &row.heartbeat;
            let age = beat.age_seconds.map_or_else(String::new, |age| format!("{} ", span(age)));
            let tone = match beat.health {
                Health::Healthy => Tone::Good,
                Health::Alive | Health::Unknown => Tone::Warn,
                Health::Stale | Health::Invalid => Tone::Bad,
            };
            (format!("{age}{}", beat.health.word()), tone)
        }
        Column::Restarts => {
            let none = if row.flags.contains(&Flag::Unknown) { "-" } else { "?" };
            (row.restarts.map_or_else(|| none.to_owned(), |r| r.to_string()), Tone::Plain)
        }
        Column::Memory => seen(row.memory_bytes.map(size)),
        Column::Flags => {
            let words: Vec<&str> = row.flags.iter().map(|f| f.word()).collect();
            (words.join(" "), if row.is_faulty() { Tone::Bad } else { Tone::Warn })
        }
    }
}
