//! `fleet ps --watch`: looks again and again, in place on a terminal. A start or an end is seen by the
//! record that its supervisor writes; everything else by the clock.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use super::{report, table};
use crate::cli::observed::{Observed, explanations};
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::clock;
use crate::host::gather::Depth;
use crate::host::live::{Changes, Live, Woken, hold_signals};
use crate::observe::Row;

/// However much happens, looks are so far apart.
const APART: Duration = Duration::from_millis(250);

/// What one look gave.
struct Look {
    title: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// Looks until whoever looks has seen enough.
pub fn run(context: &Context, json: bool, interval: Duration) -> Result<Answer> {
    let changes = Changes::of(&context.layout.run(), is_of_interest);
    if json || !context.out.is_terminal() {
        return in_a_pipe(context, json, interval, &changes);
    }
    let signals = hold_signals()?;
    // What is wrong from the beginning is said on the terminal as it is.
    let mut look = look(context)?;
    let mut live = Live::begin(signals, changes)?;
    let mut looked = Instant::now();
    let (mut from, mut due) = (0, looked + interval);
    loop {
        let size = live.size();
        from = from.min(look.rows.len().saturating_sub(1));
        let lines = picture(context, &look, from, usize::from(size.ws_col), usize::from(size.ws_row));
        if live.draw(&lines).is_err() {
            return Ok(Answer::Code(129));
        }
        match live.wait(due)? {
            Woken::Leave => return Ok(Answer::Yes),
            Woken::Signal(number) => return Ok(Answer::Code(u8::try_from(128 + number).unwrap_or(u8::MAX))),
            Woken::Resized => {}
            Woken::Scroll(lines) => from = from.saturating_add_signed(lines),
            Woken::Changed => due = due.min(looked + APART),
            Woken::Time => {
                // A roster that is being written is no reason to leave.
                match self::look(context) {
                    Ok(seen) => look = seen,
                    Err(error) => look.notes = told(&error),
                }
                looked = Instant::now();
                due = looked + interval;
            }
        }
    }
}

/// What of `fleet/run` tells more than that time goes by: not each heartbeat.
pub fn is_of_interest(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [&b".record"[..], b".parked", b".receipt"].iter().any(|end| name.ends_with(end))
}

fn look(context: &Context) -> Result<Look> {
    let observed = Observed::look(context, Depth::Rows, &[])?;
    let rows = observed.rows();
    let mut notes = explanations(&rows, context.verbose);
    notes.extend(observed.could_look().err().iter().flat_map(told));
    let title = format!(
        "{} on {}, {}",
        observed.roster.tenant,
        observed.host,
        clock::rfc3339(observed.seen.clock.unix)
    );
    Ok(Look { title, rows, notes })
}

fn told(error: &Error) -> Vec<String> {
    std::iter::once(format!("error: {error}"))
        .chain(error.hints.iter().map(|h| format!("hint: {h}")))
        .collect()
}

/// One table, or one line of JSON, a look.
fn in_a_pipe(context: &Context, json: bool, interval: Duration, changes: &Changes) -> Result<Answer> {
    let out = &context.out;
    let mut first = true;
    loop {
        let looked = Instant::now();
        match Observed::look(context, Depth::Rows, &[]) {
            Err(error) if first => return Err(error),
            // A roster that is being written is no reason to end.
            Err(error) => out.error(&error),
            Ok(observed) => {
                first = false;
                let rows = observed.rows();
                if json {
                    out.json_line(&report(&observed, &rows))?;
                } else {
                    let mut lines = table(&rows).lines(None, out.colour());
                    lines.push(String::new());
                    out.lines(&lines);
                    explanations(&rows, context.verbose).iter().for_each(|note| out.note(note));
                }
                if let Err(error) = observed.could_look() {
                    out.error(&error);
                }
            }
        }
        if changes.wait(looked + interval) {
            // Not at once again: much may happen together.
            while !Instant::now().saturating_duration_since(looked).ge(&APART) && changes.wait(looked + APART)
            {
            }
        }
    }
}

/// The lines of a picture of that size.
fn picture(context: &Context, look: &Look, from: usize, columns: usize, rows: usize) -> Vec<String> {
    let width = u16::try_from(columns).unwrap_or(u16::MAX);
    let faulty = look.rows.iter().filter(|r| r.is_faulty()).count();
    let state = if faulty == 0 { String::new() } else { format!(", {faulty} flagged") };
    let table = table(&look.rows).lines(Some(width), context.out.colour());
    page(&format!("{}{state}", look.title), table, &look.notes, from, (columns, rows))
}

/// A title, a table's rows from one on, and as many notes as fit into that many columns and rows.
pub fn page(
    title: &str,
    table: Vec<String>,
    notes: &[String],
    from: usize,
    (columns, rows): (usize, usize),
) -> Vec<String> {
    let mut all = table.into_iter();
    let header = all.next().unwrap_or_default();
    let all: Vec<String> = all.collect();
    // The title, the table's header, and a line that says what is not shown.
    let room = rows.saturating_sub(3).max(1);
    let told = notes.len().min(room / 3).max(room.saturating_sub(all.len() + 1).min(notes.len()));
    let room = room.saturating_sub(if told > 0 { told + 1 } else { 0 }).max(1);
    let from = from.min(all.len().saturating_sub(room));
    let shown = all.iter().skip(from).take(room);
    let hidden = all.len() - shown.len();
    let mut lines = vec![cut(&format!("{title}   q leaves"), columns), header];
    lines.extend(shown.cloned());
    if hidden > 0 {
        lines.push(cut(&format!("… {hidden} more rows: up and down, space and b"), columns));
    }
    if told > 0 {
        lines.push(String::new());
        lines.extend(notes.iter().take(told).map(|note| cut(note, columns)));
    }
    lines.truncate(rows.max(1));
    lines
}

/// As much of a text as fits, on one line.
fn cut(text: &str, columns: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let length = text.chars().count();
    let mut shown: String = text.chars().map(plain).take(columns).collect();
    if length > columns {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_longer_than_the_terminal_is_wide() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("a longer text", 8), "a longe…");
        assert_eq!(cut("two\nlines", 20), "two lines");
    }

    #[test]
    fn a_heartbeat_alone_is_no_reason_to_look() {
        for (name, is) in [("a.record", true), ("a.parked", true), ("a.hb", false), (".a.hb.x1", false)] {
            assert_eq!(is_of_interest(OsStr::new(name)), is, "{name}");
        }
    }
}
