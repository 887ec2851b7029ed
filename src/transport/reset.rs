//! The runtime's reset command, typed into an empty composer, and what is known of it.

use std::time::{Duration, Instant};

use super::delivery::{PATIENCE, Readiness};
use super::evidence::Evidence;
use super::terminal::{Pauses, Terminal, judged};
use super::{Outcome, Recipient, TransportError};
use crate::host::changes::Watch;
use crate::host::clock;
use crate::host::tmux::typing::Pasted;
use crate::runfile::ack::Event;
use crate::runfile::receipt::{State, stamp};
use crate::runtime::screen::{self, Composer};

/// Resets: `accepted` where the runtime says so, `submitted` where only its screen changed.
pub fn reset(
    terminal: &dyn Terminal,
    to: &Recipient<'_>,
    command: &str,
    verify: Duration,
) -> Result<Outcome, TransportError> {
    let mut readiness = Readiness::new(to, PATIENCE);
    let (before, evidence) = loop {
        let seen = match readiness.wait(terminal)? {
            Ok(seen) => seen,
            Err(outcome) => return Ok(outcome),
        };
        let evidence = Evidence::from_now(&to.layout.ack(to.agent), stamp(clock::timestamp()));
        if terminal.type_keys(command, &seen)? == Pasted::Yes {
            break (seen, evidence);
        }
        if let Some(outcome) = readiness.moved() {
            return Ok(outcome);
        }
    };
    std::thread::sleep(to.kind.talk().command_gap);
    // Entered together with somebody else's text it would be a message.
    if let Some(seen) = terminal.look()?
        && let Composer::Draft(draft) = judged(to, &seen).composer
        && !screen::shows(to.kind, &draft, command)
    {
        let why = format!("the composer of agent {} holds a draft beside the command", to.agent);
        return Ok(Outcome::untouched(State::Held, why));
    }
    terminal.enter(&before)?;
    let done =
        |state, reason: Option<&str>| Ok(Outcome { state, reason: reason.map(str::to_owned), enters: 1 });
    let acknowledges = to.kind.talk().acknowledges.contains(&Event::Reset);
    let watch = Watch::of(&to.layout.run()).ok();
    let until = Instant::now() + verify;
    let mut pauses = Pauses::default();
    let mut changed = 0;
    loop {
        if evidence.of_reset() {
            return done(State::Accepted, None);
        }
        let late = Instant::now() >= until;
        if !acknowledges || late {
            let seen = terminal.look()?;
            let Some(seen) = seen.filter(|seen| !seen.dead && seen.pid == before.pid) else {
                return done(State::Unknown, Some("the agent ended"));
            };
            let composer = judged(to, &seen).composer;
            let draft = matches!(composer, Composer::Draft(_));
            let same = seen.screen == before.screen || seen.screen.trim().is_empty();
            changed = if draft || same { 0 } else { changed + 1 };
            match () {
                () if late && acknowledges => {
                    return done(State::Unknown, Some("the runtime did not acknowledge the reset"));
                }
                () if changed > 1 => return done(State::Submitted, None),
                () if late && draft => return done(State::Draft, Some("the command was not submitted")),
                () if late => return done(State::Unknown, Some("the screen did not change")),
                () => {}
            }
        }
        let pause = pauses.next().unwrap_or_default().min(until.saturating_duration_since(Instant::now()));
        match &watch {
            Some(watch) if acknowledges => drop(watch.wait(pause)),
            _ => std::thread::sleep(pause),
        }
    }
}
