//! `mosaic agent tail`: the last lines of an agent's screen, as text.

use super::{lines, reach};
use crate::cli::{Answer, Context};
use crate::error::{Kind, Result};
use crate::host::tmux::Target;
use crate::transcript::plain;

/// Arguments of `mosaic agent tail`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
    /// How many lines
    #[arg(short = 'n', long = "lines", value_name = "LINES", default_value_t = 80, value_parser = clap::value_parser!(u32).range(..=100_000))]
    lines: u32,
    /// Go on with what is new, until the agent ends
    #[arg(short, long)]
    follow: bool,
}

/// Prints the last lines; of an agent that does not run those that its supervisor kept.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let agent = reach::named(&roster, &args.agent)?;
    let server = reach::server(&roster)?;
    let stage = match reach::stage(context, &server, &agent) {
        Ok(stage) => stage,
        Err(error) if error.kind == Kind::No => {
            let Some(kept) = lines::kept(context, &agent) else { return Err(error) };
            let from = kept.len().saturating_sub(args.lines as usize);
            lines::print(context, kept.get(from..).unwrap_or_default());
            if args.follow {
                return Err(error);
            }
            context.out.note(format_args!("{error}; these are its last lines"));
            return Ok(Answer::Yes);
        }
        Err(error) => return Err(error),
    };
    if args.follow {
        return lines::follow(context, &server, &agent, &stage, args.lines as usize);
    }
    let text = server.capture(Target::Session(agent.as_str()), args.lines).map_err(reach::failed)?;
    let shown: Vec<String> = text.lines().map(plain).collect();
    lines::print(context, &shown);
    Ok(Answer::Yes)
}
