//! `mosaic agent`, also reached as `fleet agent`: the verbs of one agent.

mod lines;
mod reach;
mod roster;
mod tail;
mod watch;

use super::{Answer, Context};
use crate::error::Result;

/// The verbs of one agent.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show the agents that the roster defines
    Roster(roster::Args),
    /// Print the last lines of an agent's terminal as text
    Tail(tail::Args),
    /// Show an agent's terminal live, read-only
    Watch(watch::Args),
}

/// Runs one of them.
pub fn run(verb: Verb, context: &Context) -> Result<Answer> {
    match verb {
        Verb::Roster(args) => roster::run(args, context),
        Verb::Tail(args) => tail::run(args, context),
        Verb::Watch(args) => watch::run(args, context),
    }
}
