//! `mosaic agent`, also reached as `fleet agent`: the verbs of one agent.

mod attach;
mod deliver;
mod lines;
mod mirror;
pub(super) mod reach;
mod reset;
mod roster;
mod send;
mod status;
mod tail;
mod watch;

use super::{Answer, Context};
use crate::error::Result;

/// The verbs of one agent.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Take an agent's terminal over: what you type reaches it
    Attach(attach::Args),
    /// Type what waits in an agent's queue, until it is busy
    Deliver(deliver::Args),
    /// Begin a new conversation in an agent's slot
    Reset(reset::Args),
    /// Show the agents that the roster defines
    Roster(roster::Args),
    /// Show everything that is known of an agent, or each agent in short
    Status(status::Args),
    /// Print the last lines of an agent's terminal as text
    Tail(tail::Args),
    /// Send a message, and say what is known of it
    Send(send::Args),
    /// Show an agent's terminal live, read-only
    Watch(watch::Args),
}

/// Runs one of them.
pub fn run(verb: Verb, context: &Context) -> Result<Answer> {
    match verb {
        Verb::Attach(args) => attach::run(args, context),
        Verb::Deliver(args) => deliver::run(args, context),
        Verb::Reset(args) => reset::run(args, context),
        Verb::Roster(args) => roster::run(args, context),
        Verb::Status(args) => status::run(args, context),
        Verb::Tail(args) => tail::run(args, context),
        Verb::Send(args) => send::run(args, context),
        Verb::Watch(args) => watch::run(args, context),
    }
}
