//! Rows as a table for people.

use crate::cli::table::{Cell, Column, Table, Tone};
use crate::observe::{Flag, PaneState, Row};
use crate::runfile::heartbeat::Health;

/// The rows as a table; what matters least has the highest rank.
pub fn table(rows: &[Row]) -> Table {
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([
        column("NAME", 0),
        column("TENANT", 11),
        column("HOST", 12),
        column("RUNTIME", 4),
        column("CLASS", 7),
        column("SYSTEMD", 3),
        column("PANE", 2),
        column("PID", 10),
        column("IDLE", 6),
        column("HEARTBEAT", 1),
        column("RESTARTS", 5),
        column("MEMORY", 9),
        column("FLAGS", 0),
    ]);
    for row in rows {
        table.row([
            Cell::from(&row.name),
            Cell::from(&row.tenant_id),
            Cell::from(&row.host),
            given(row.runtime.as_ref()),
            given(row.class.as_ref()),
            systemd(row),
            pane(row),
            seen(row.pane.pid, row),
            seen(row.idle_seconds.map(span), row),
            heartbeat(row),
            restarts(row),
            seen(row.memory_bytes.map(size), row),
            flags(row),
        ]);
    }
    table
}

/// What the roster or the record gives, or does not.
fn given(value: Option<impl ToString>) -> Cell {
    value.map_or_else(|| Cell::from("-"), Cell::from)
}

/// Counted by its supervisor: of an agent whose record can't be read it is not known.
fn restarts(row: &Row) -> Cell {
    let none = if is_unknown(row) { "-" } else { "?" };
    row.restarts.map_or_else(|| Cell::from(none), Cell::from)
}

/// What was looked for: there is none of it where nothing runs; elsewhere it is not known.
fn seen(value: Option<impl ToString>, row: &Row) -> Cell {
    let none = if row.pane.state == PaneState::Dead { "-" } else { "?" };
    value.map_or_else(|| Cell::from(none), Cell::from)
}

pub fn is_unknown(row: &Row) -> bool {
    row.flags.contains(&Flag::Unknown)
}

fn systemd(row: &Row) -> Cell {
    if is_unknown(row) {
        return Cell::default();
    }
    let active = row.systemd.active.as_deref().unwrap_or("?");
    let enabled = match row.systemd.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "?",
    };
    let tone = match (active, row.parked) {
        (_, true) => Tone::Faint,
        ("active", _) => Tone::Plain,
        ("failed", _) => Tone::Bad,
        _ => Tone::Warn,
    };
    Cell::toned(format!("{active}/{enabled}"), tone)
}

fn pane(row: &Row) -> Cell {
    match row.pane.state {
        PaneState::Dead if row.parked => Cell::toned("parked", Tone::Faint),
        PaneState::Dead => Cell::toned("dead", Tone::Bad),
        PaneState::Unknown => Cell::toned("unknown", Tone::Warn),
        PaneState::Alive => Cell::from("alive"),
    }
}

fn heartbeat(row: &Row) -> Cell {
    if is_unknown(row) || row.parked {
        return Cell::default();
    }
    let beat = &row.heartbeat;
    let age = beat.age_seconds.map_or_else(String::new, |age| format!("{} ", span(age)));
    let tone = match beat.health {
        Health::Healthy => Tone::Good,
        Health::Alive | Health::Unknown => Tone::Warn,
        Health::Stale | Health::Invalid => Tone::Bad,
    };
    Cell::toned(format!("{age}{}", beat.health.word()), tone)
}

fn flags(row: &Row) -> Cell {
    let words: Vec<&str> = row.flags.iter().map(|f| f.word()).collect();
    Cell::toned(words.join(" "), if row.is_faulty() { Tone::Bad } else { Tone::Warn })
}

/// A time as short as it is still right.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Memory as short as it is still right.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    let mut size = bytes as f64 / 1024.0;
    for unit in UNITS {
        if size < 1024.0 {
            return if size < 10.0 { format!("{size:.1}{unit}") } else { format!("{size:.0}{unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.0}P")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short_and_right() {
        let spans: Vec<String> = [0.4, 119.0, 120.0, 7199.0, 7200.0, 200_000.0].map(span).to_vec();
        assert_eq!(spans, ["0s", "119s", "2m", "119m", "2h", "2d"]);
        let sizes: Vec<String> = [512, 4096, 123 << 20, 5 << 30].map(size).to_vec();
        assert_eq!(sizes, ["0.5K", "4.0K", "123M", "5.0G"]);
    }
}
