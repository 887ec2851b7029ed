//! `mosaic agent deliver`: types what waits in an agent's queue. Its supervisor calls it at each
//! start, and when a message is to wake the agent.

use std::time::Duration;

use super::{reach, send};
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::message::{Desk, VERIFY};
use crate::transport::Transport;

/// Arguments of `mosaic agent deliver`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
    /// Stay until nothing waits any more: what the agent is too busy for is typed when it is idle
    #[arg(long)]
    stay: bool,
    /// How long evidence is waited for, for each message, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = VERIFY.as_millis() as u64,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    verify_timeout: u64,
}

/// Types them, until the agent is busy.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let name = reach::named(&roster, &args.agent)?;
    let agent = roster.agent(&name).ok_or_else(|| Error::input("the roster changed"))?;
    let host = context.host()?;
    let transport = send::transport(&roster);
    let desk = Desk {
        layout: &context.layout,
        roster: &roster,
        host: &host,
        transport: transport.as_ref().map(|t| t as &dyn Transport),
    };
    let verify = Duration::from_millis(args.verify_timeout);
    let handed = match args.stay {
        true => desk.see_out(agent, verify)?,
        false => desk.hand_out(agent, verify, None)?,
    };
    context.out.line(format_args!("{name}: {} typed, {} wait", handed.typed, handed.waiting));
    if let Some(why) = &handed.reason {
        context.out.note(format_args!("{name}: {why}"));
    }
    Ok(if handed.waiting == 0 { Answer::Yes } else { Answer::No })
}
