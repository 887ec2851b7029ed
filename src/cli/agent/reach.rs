//! Which agent is meant, and whether its terminal is there to be looked at.

use crate::cli::{Context, observed};
use crate::error::{Error, Result};
use crate::host::runfiles;
use crate::host::terminal;
use crate::host::tmux::client::Stage;
use crate::host::tmux::{Server, TmuxError};
use crate::names::AgentName;
use crate::roster::Roster;
use crate::runfile::record::{self, Record};
use crate::yaml::nearest;

/// The agent of the roster that has exactly this name.
pub fn named(roster: &Roster, name: &str) -> Result<AgentName> {
    if let Some(agent) = roster.agents.iter().find(|a| a.name.as_str() == name) {
        return Ok(agent.name.clone());
    }
    let error = Error::input(format_args!("the roster has no agent {name:?}"));
    match nearest(name, roster.agents.iter().map(|a| a.name.as_str())) {
        Some(near) => Err(error.hint(format_args!("did you mean {near}?"))),
        None => Err(error.hint("mosaic agent roster shows them")),
    }
}

/// The server on which agents have their terminals.
pub fn server(roster: &Roster) -> Result<Server> {
    observed::server(roster).ok_or_else(|| {
        Error::no("transport: none: no agent of this roster has a terminal that could be looked at")
            .hint("journalctl --user -u 'mosaic-agent@*' -f")
    })
}

/// The terminal of an agent that runs.
pub fn stage(context: &Context, server: &Server, agent: &AgentName) -> Result<Stage> {
    match server.stage(agent.as_str()) {
        Ok(Some(stage)) => Ok(stage),
        Ok(None) => Err(not_there(
            context,
            agent,
            &match server.pid() {
                Err(error @ TmuxError::NoServer { .. }) => error.to_string(),
                _ => format!("no session of its name is on socket {}", server.name()),
            },
        )),
        Err(error) => Err(failed(error)),
    }
}

/// The same for somebody who wants to see it as it is: on another terminal, and at its own size.
pub fn stage_for_a_viewer(context: &Context, server: &Server, agent: &AgentName) -> Result<Stage> {
    let stage = stage(context, server, agent)?;
    if terminal::own_names().iter().any(|own| own.as_os_str() == stage.terminal.as_str()) {
        return Err(Error::no(format_args!(
            "this is {agent}'s own terminal: it would show itself in itself"
        ))
        .hint(format_args!("from another terminal: mosaic agent watch {agent}")));
    }
    server.hold_size(&stage).map_err(failed)?;
    Ok(stage)
}

/// An agent that was there and is no more, or not the same run any more.
pub fn ended(context: &Context, server: &Server, agent: &AgentName) -> Error {
    stage(context, server, agent)
        .err()
        .unwrap_or_else(|| Error::no(format_args!("{agent} ended, and runs again")))
}

/// What tmux did not do.
pub fn failed(error: TmuxError) -> Error {
    match error {
        TmuxError::Hung { .. } => Error::machine(error).hint("fleet status"),
        other => Error::machine(other),
    }
}

/// Nothing runs: with what its supervisor said last.
fn not_there(context: &Context, agent: &AgentName, why: &str) -> Error {
    let said = record(context, agent).map(|r| r.status).filter(|s| !s.is_empty());
    let said = said.map_or_else(String::new, |said| format!("; its supervisor: {said}"));
    Error::no(format_args!("{agent} is not running: {why}{said}"))
        .hint(format_args!("mosaic agent status {agent}"))
        .hint(format_args!("fleet start {agent}"))
}

/// What its supervisor recorded, of whatever boot.
pub fn record(context: &Context, agent: &AgentName) -> Option<Record> {
    Record::parse(&runfiles::read_text(&context.layout.record(agent), record::LONGEST)?)
}
