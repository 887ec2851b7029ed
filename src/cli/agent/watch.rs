//! `mosaic agent watch`: an agent's terminal, live and read-only. Types nothing, resizes nothing,
//! leaves nothing behind.

use std::io::{self, IsTerminal};

use super::{lines, mirror, reach};
use crate::cli::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::tmux::Server;
use crate::host::tmux::client::{Rights, Stage};
use crate::host::viewer::{self, Left};
use crate::names::AgentName;

/// Arguments of `mosaic agent watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
    /// Print what it writes as plain text, for pipes, until it ends
    #[arg(long)]
    log: bool,
}

/// Shows the terminal until the watcher leaves or the agent ends.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let agent = reach::named(&roster, &args.agent)?;
    if args.log {
        let server = reach::server(&roster)?;
        let stage = reach::stage(context, &server, &agent)?;
        return lines::follow(context, &server, &agent, &stage, 0);
    }
    on_a_terminal("watch", &agent)?;
    let server = reach::server(&roster)?;
    let stage = reach::stage_for_a_viewer(context, &server, &agent)?;
    let Stage { columns, rows, .. } = &stage;
    context.out.note(format_args!(
        "watching {agent} ({columns}x{rows}), read-only: q, Ctrl-C or C-b d leaves; arrow keys move the view where \
         this terminal is smaller, Home follows the cursor"
    ));
    if !stage.in_front {
        context.out.note(format_args!(
            "another window of its session is in front, left there by somebody: you see {agent}'s own, as text"
        ));
    }
    let left = follow(&server, &agent, stage.in_front)?;
    ended(context, &server, &agent, left)
}

/// Through a client while the agent's own window is in front, and as text while somebody has another there.
fn follow(server: &Server, agent: &AgentName, mut in_front: bool) -> Result<io::Result<Left>> {
    loop {
        if !in_front && let Some(left) = mirror::show(server, agent)? {
            return Ok(Ok(left));
        }
        match viewer::show(server, agent.as_str(), Rights::Watch) {
            Ok(Left::Elsewhere) => in_front = false,
            left => return Ok(left),
        }
    }
}

/// Refuses what is no terminal, before anything is looked at.
pub fn on_a_terminal(verb: &str, agent: &AgentName) -> Result<()> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format_args!("mosaic agent {verb} needs a terminal, for keys and picture"))
        .hint(format_args!("as text: mosaic agent watch {agent} --log, or mosaic agent tail {agent}")))
}

/// How a look ended, for the caller's exit code.
pub fn ended(
    context: &Context,
    server: &Server,
    agent: &AgentName,
    left: io::Result<Left>,
) -> Result<Answer> {
    match left {
        Ok(Left::Asked | Left::Elsewhere) => Ok(Answer::Yes),
        Ok(Left::Signal(number)) => Ok(Answer::Code(u8::try_from(128 + number).unwrap_or(u8::MAX))),
        Ok(Left::Ended { said }) if !said.is_empty() => {
            Err(Error::machine(said).while_(format_args!("show {agent}'s terminal")))
        }
        Ok(Left::Ended { .. }) => match server.stage(agent.as_str()) {
            // Only the client has ended: sent away, by a key of its own or by somebody.
            Ok(Some(_)) => Ok(Answer::Yes),
            Ok(None) | Err(_) => Err(reach::stage(context, server, agent)
                .err()
                .unwrap_or_else(|| Error::no(format_args!("{agent} ended and has been started anew")))),
        },
        Err(error) => Err(Error::machine(error).while_(format_args!("show {agent}'s terminal"))),
    }
}
