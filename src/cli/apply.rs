//! `fleet apply`: makes the machine what the roster says, by the plan that `fleet plan` prints.

use super::carry::{Manner, carry};
use super::ground::Ground;
use super::{Answer, Context, adopt, npm, outcome};
use crate::error::Result;
use crate::plan::{Conflicts, HolderRestart, Options, Reach, Restarts};

/// Arguments of `fleet apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write files and stop before systemd
    #[arg(long)]
    files_only: bool,
    /// Leave running agents alone: a restart that is due stays pending
    #[arg(long)]
    no_restart: bool,
    /// Restart the holder where its files changed, which ends every pane
    #[arg(long, conflicts_with_all = ["files_only", "no_restart"])]
    restart_holder: bool,
    /// Overwrite files that were edited by hand or that are not ours
    #[arg(long)]
    force: bool,
    /// Ask npm for its global prefix again
    #[arg(long)]
    refresh_npm: bool,
    /// Take over a fleet that was made by hand: its files, and its sessions one by one
    #[arg(long, conflicts_with_all = ["files_only", "no_restart", "restart_holder", "force"])]
    adopt: bool,
    /// Don't ask before sessions end
    #[arg(long, requires = "adopt")]
    yes: bool,
    /// What was done, as JSON
    #[arg(long, conflicts_with = "adopt")]
    json: bool,
}

impl Args {
    fn options(&self) -> Options {
        let mut options = Options::default();
        if self.files_only {
            options.reach = Reach::FilesOnly;
        }
        if self.no_restart {
            options.restarts = Restarts::Hold;
        }
        if self.restart_holder {
            options.holder = HolderRestart::Restart;
        }
        if self.force {
            options.conflicts = Conflicts::Overwrite;
        }
        options
    }
}

/// Carries the plan out.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let context = &context.for_json(args.json);
    let ground = || Ground::of(context, &context.roster()?);
    if args.refresh_npm {
        npm::refresh(context)?;
    }
    if args.adopt {
        return adopt::run(context, if args.yes { adopt::Consent::Given } else { adopt::Consent::Asked });
    }
    let manner = Manner { ground: &ground, options: args.options(), limit: None, prepare: &|_, _| Ok(()) };
    let carried = carry(context, manner)?;
    let answer = carried.conclude(context);
    if args.json {
        context.out.json(&outcome::of_carried(&carried, &answer, context))?;
    }
    Ok(answer)
}
