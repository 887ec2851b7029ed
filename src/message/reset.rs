//! A new conversation in an agent's slot: its reset command, else a restart of its unit.

use std::time::Duration;

use super::{Desk, LOCK};
use crate::error::{Error, Result};
use crate::roster::Agent;
use crate::runfile::receipt::State;

/// What came of a reset by the runtime's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    /// The runtime has begun anew.
    Done(State),
    /// It did not react: only a restart will do.
    NoReaction(String),
    /// Nothing was typed, and nothing may be.
    Refused(String),
}

/// Types the command into an empty composer and looks whether the runtime reacts.
pub fn reset(desk: &Desk<'_>, agent: &Agent, command: &str, verify: Duration) -> Result<Reset> {
    let transport = desk
        .transport
        .ok_or_else(|| Error::no("the roster's transport is none: there is no terminal to type into"))?;
    let lock = desk.send_lock(agent, LOCK)?;
    let outcome = transport.reset(&desk.recipient(agent), command, verify, &lock);
    let outcome = outcome.map_err(|error| Error::machine(format!("reset {}: {error}", agent.name)))?;
    let why = outcome.reason.unwrap_or_else(|| outcome.state.word().to_owned());
    Ok(match outcome.state {
        state @ (State::Accepted | State::Submitted | State::Queued) => Reset::Done(state),
        State::Held | State::Refused => Reset::Refused(why),
        _ => Reset::NoReaction(why),
    })
}
