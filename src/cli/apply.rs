//! `fleet apply`: makes the machine what the roster says, by the plan that `fleet plan` prints.

use super::carry::{Manner, carry};
use super::flags::Flags;
use super::ground::Ground;
use super::{Answer, Context, adopt, npm, outcome};
use crate::error::Result;

/// Arguments of `fleet apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Ask npm for its global prefix again
    #[arg(long)]
    refresh_npm: bool,
    /// Don't ask before sessions end
    #[arg(long, requires = "adopt")]
    yes: bool,
    /// What was done, as JSON
    #[arg(long, conflicts_with = "adopt")]
    json: bool,
}

/// Carries the plan out.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let context = &context.for_json(args.json);
    let ground = || Ground::of_file(context, &context.roster()?);
    if args.refresh_npm {
        npm::refresh(context)?;
    }
    if args.flags.adopt {
        return adopt::run(context, if args.yes { adopt::Consent::Given } else { adopt::Consent::Asked });
    }
    let manner =
        Manner { ground: &ground, options: args.flags.options(), limit: None, prepare: &|_, _| Ok(()) };
    let carried = carry(context, manner)?;
    let answer = carried.conclude(context);
    if args.json {
        context.out.json(&outcome::of_carried(&carried, &answer, context))?;
    }
    Ok(answer)
}
