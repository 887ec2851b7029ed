//! `fleet top --all-tenants` and `fleet ps --all-tenants --watch`: every tenant's agents, again and again. Only
//! looked at: what is done to an agent is its tenant's to do.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use super::all;
use crate::cli::ps::watch::page;
use crate::cli::table::Table;
use crate::cli::{Answer, Context};
use crate::error::Result;
use crate::host::clock;
use crate::host::live::{Changes, Live, Woken, hold_signals};

/// Between the end of a look and the next: each is a process a tenant.
pub const EVERY: Duration = Duration::from_secs(4);
/// How often is asked whether a look has come back.
const STEP: Duration = Duration::from_millis(200);

/// What one look gave.
struct Look {
    table: Table,
    notes: Vec<String>,
    title: String,
}

/// Shows them until whoever looks has seen enough: in place on a terminal, elsewhere one table or one line
/// of JSON a look.
pub fn watch(context: &Context, json: bool, every: Duration) -> Result<Answer> {
    if context.out.is_terminal() && !json {
        return run(context, every);
    }
    loop {
        if json {
            context.out.json_line(&all::rows_value(context)?)?;
        } else {
            let (table, without, _) = all::rows(context)?;
            let mut lines = table.lines(None, context.out.colour());
            lines.push(String::new());
            context.out.lines(&lines);
            without.iter().for_each(|line| context.out.note(line));
        }
        std::thread::sleep(every);
    }
}

/// Shows them in place until whoever looks has seen enough.
pub fn run(context: &Context, every: Duration) -> Result<Answer> {
    // What is wrong from the beginning is said on the terminal as it is.
    let mut shown = look(context)?;
    let mut live = Live::begin(hold_signals()?, Changes::none())?;
    let (mut from, mut next) = (0, Next::At(Instant::now() + every));
    loop {
        let size = live.size();
        let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
        let table = shown.table.lines(Some(size.ws_col), context.out.colour());
        from = from.min(table.len().saturating_sub(2));
        if live.draw(&page(&shown.title, table, &shown.notes, from, (columns, rows))).is_err() {
            return Ok(Answer::Code(129));
        }
        // A tenant that hangs holds no key up.
        loop {
            match live.wait(next.due())? {
                Woken::Leave => return Ok(Answer::Yes),
                Woken::Signal(number) => {
                    return Ok(Answer::Code(u8::try_from(128 + number).unwrap_or(u8::MAX)));
                }
                Woken::Resized | Woken::Changed => break,
                Woken::Scroll(lines) => {
                    from = from.saturating_add_signed(lines);
                    break;
                }
                Woken::Time => {
                    if let Some(seen) = next.step(context, every) {
                        match seen {
                            Ok(seen) => shown = seen,
                            Err(why) => shown.notes = vec![why],
                        }
                        break;
                    }
                }
            }
        }
    }
}

/// The next look: at a time, or on its way.
enum Next {
    At(Instant),
    Coming(Receiver<Result<Look, String>>),
}

impl Next {
    fn due(&self) -> Instant {
        match self {
            Self::At(time) => *time,
            Self::Coming(_) => Instant::now() + STEP,
        }
    }

    /// Begins it, or takes what came of it.
    fn step(&mut self, context: &Context, every: Duration) -> Option<Result<Look, String>> {
        let came = match self {
            Self::At(_) => {
                let (tell, coming) = mpsc::channel();
                let context = context.clone();
                std::thread::spawn(move || send(&tell, &context));
                *self = Self::Coming(coming);
                return None;
            }
            Self::Coming(coming) => match coming.try_recv() {
                Err(mpsc::TryRecvError::Empty) => return None,
                Err(mpsc::TryRecvError::Disconnected) => Err("a look came to no end".to_owned()),
                Ok(came) => came,
            },
        };
        *self = Self::At(Instant::now() + every);
        Some(came)
    }
}

fn send(tell: &Sender<Result<Look, String>>, context: &Context) {
    // Whoever looked may have left.
    let _ = tell.send(look(context).map_err(|error| error.to_string()));
}

fn look(context: &Context) -> Result<Look> {
    let (table, notes, count) = all::rows(context)?;
    let title = format!("{count} tenants on {}, {}", context.host()?, clock::rfc3339(clock::unix()));
    Ok(Look { table, notes, title })
}
