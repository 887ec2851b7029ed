//! `mosaic mail`: what waits for the agent that runs it. A runtime's hook calls it at the turn
//! boundary, so with `--inject` it never fails.

use super::agent::reach;
use super::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::queue::Queue;
use crate::names::AgentName;
use crate::runfile::receipt::State;
use crate::runtime::identity::identity;

/// Verbs of `mosaic mail`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Say whether messages wait: exit 0 if some do, 1 if none does
    Check(Check),
}

/// Arguments of `mosaic mail check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Print the messages for the runtime's hook, each once; always exit 0
    #[arg(long)]
    inject: bool,
    /// The agent, in place of MOSAIC_AGENT_NAME
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

/// Runs one of them.
pub fn run(verb: Verb, context: &Context) -> Result<Answer> {
    let Verb::Check(args) = verb;
    let me = identity(args.agent.as_deref(), |name| std::env::var(name).ok())
        .map_err(|error| Error::new(Kind::Usage, error))
        .and_then(|me| {
            me.ok_or_else(|| {
                Error::new(Kind::Usage, "no agent: MOSAIC_AGENT_NAME says whose mail it is")
                    .hint("set MOSAIC_AGENT_NAME, or name it: mosaic mail check --agent NAME")
            })
        });
    if !args.inject {
        return waiting(context, &me?.agent);
    }
    if let Err(error) = me.and_then(|me| inject(context, &me.agent)) {
        context.out.error(&error);
    }
    Ok(Answer::Yes)
}

fn waiting(context: &Context, agent: &AgentName) -> Result<Answer> {
    let queue = Queue::of(&context.layout, agent);
    queue.sweep()?;
    let waiting = queue.waiting()?;
    if waiting == 0 {
        // Of nobody it is not known that nothing waits.
        reach::named(&context.roster()?, agent.as_str())?;
    }
    context.out.line(format_args!("{waiting} queued for {agent}"));
    Ok(if waiting > 0 { Answer::Yes } else { Answer::No })
}

/// Prints what waits. A message counts as handed out once it was written to the hook.
fn inject(context: &Context, agent: &AgentName) -> Result<()> {
    let queue = Queue::of(&context.layout, agent);
    while let Some(claim) = queue.claim()? {
        claim.begin()?;
        let text = &claim.message.text;
        context.out.raw(format!("{text}{}", if text.ends_with('\n') { "" } else { "\n" }).as_bytes());
        claim.finish(State::Accepted, Some("handed to the runtime's hook".to_owned()), "queue", 0)?;
    }
    for gone in queue.take_expired()? {
        context.out.line(format_args!(
            "[a message from {}, sent {}, expired at {} before it was delivered]",
            gone.source, gone.created_at, gone.expires_at
        ));
    }
    Ok(())
}
