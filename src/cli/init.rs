//! `fleet init`: a shipped roster becomes a tenant's fleet. Without `--write` it only shows how.

use std::path::PathBuf;

use serde_json::json;

use super::answers::{self, Silent};
use super::carry::{Carried, Manner, carry};
use super::ground::{self, Ground};
use super::{Answer, Context, lint, npm, outcome, plan};
use crate::error::{Error, Kind, Result};
use crate::host::clock;
use crate::ledger::copy_name;
use crate::names::AgentName;
use crate::plan::{Conflicts, Options, Plan, RosterFile, Starting, roster_file};
use crate::render::{File, Role};
use crate::roster::{self, profiles::Profile};
use crate::snapshot::Snapshot;

/// Arguments of `fleet init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shipped roster to begin with
    #[arg(long, value_name = "PROFILE", value_parser = Profile::names())]
    profile: String,
    /// Write, install, enable and linger; without it nothing is changed
    #[arg(long)]
    write: bool,
    /// Also start everything and wait until every agent has answered, 60 s at most
    #[arg(long, requires = "write")]
    start: bool,
    /// Overwrite a different roster, keeping a copy of it, and files that are not as we left them
    #[arg(long)]
    force: bool,
    /// The plan, and what was done of it, as JSON
    #[arg(long)]
    json: bool,
}

/// Shows the plan, or carries it out.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    if context.roster_file.is_some() {
        return Err(Error::new(Kind::Usage, "init writes a shipped roster; --roster names another to read")
            .hint("to apply a roster of your own: fleet apply --roster FILE"));
    }
    if let Some(folder) = context.layout.declared_at() {
        return Err(Error::no(format!(
            "the fleet of {} is declared by this machine's configuration, in {}: nothing was changed",
            context.caller.name,
            folder.display()
        ))
        .hint(format!(
            "change services.mosaic-fleet.tenants.{} and build it again: sudo nixos-rebuild switch",
            context.caller.name
        ))
        .hint("to see what is declared: fleet plan"));
    }
    let Some(profile) = Profile::by_name(&args.profile) else {
        return Err(Error::new(Kind::Usage, format!("there is no profile {}", args.profile)));
    };
    let context = &context.for_json(args.json);
    let init = Init::new(profile, &args, context)?;
    let roster = roster::read(&init.file.content, &init.file.path, &context.caller.name)?;
    let ground = || {
        let ground = Ground::of(context, &roster)?;
        Ok(Ground { also: vec![init.file.path.clone()], ..ground })
    };
    let options = Options {
        conflicts: init.conflicts,
        starting: if args.start { Starting::Now } else { Starting::Later },
        ..Options::default()
    };
    if !args.write {
        return init.show(context, &ground()?, options);
    }
    let begun = clock::boottime();
    init.refuse_early(context, &ground()?)?;
    npm::ask_once(context)?;
    let manner = Manner {
        ground: &ground,
        options,
        limit: args.start.then_some(answers::LIMIT),
        prepare: &|plan, seen| init.prepare(plan, seen),
    };
    let carried = carry(context, manner)?;
    let answer = carried.conclude(context);
    if !args.start {
        if answer == Answer::Yes && !carried.plan.is_empty() {
            context.out.line("The fleet starts at the next boot, or now with: fleet start");
        }
        return init.conclude(&carried, answer, None, context);
    }
    let (answer, silent) = answers::wait(context, &roster, &carried.report, begun, answer)?;
    init.conclude(&carried, answer, silent, context)
}

struct Init {
    file: File,
    conflicts: Conflicts,
    backup: PathBuf,
    json: bool,
}

impl Init {
    fn new(profile: Profile, args: &Args, context: &Context) -> Result<Self> {
        let path = context.layout.roster();
        Ok(Self {
            backup: copy_name(&path, &clock::timestamp().to_string()),
            file: File::new(path, profile.roster_text(), Role::Roster),
            json: args.json,
            conflicts: if args.force { Conflicts::Overwrite } else { Conflicts::Keep },
        })
    }

    /// Puts the roster's own file into the plan; refuses the whole plan where it may not.
    fn prepare(&self, plan: &mut Plan, seen: &Snapshot) -> Result<()> {
        match self.roster_file(plan, seen) {
            RosterFile::Refused => Err(self.refused()),
            RosterFile::Same | RosterFile::Written => Ok(()),
        }
    }

    fn roster_file(&self, plan: &mut Plan, seen: &Snapshot) -> RosterFile {
        if plan.refused.is_some() {
            return RosterFile::Same;
        }
        let there = seen.files.get(&self.file.path);
        roster_file(&self.file, there, self.conflicts, self.backup.clone(), plan)
    }

    /// Refuses before anything at all is done.
    fn refuse_early(&self, context: &Context, ground: &Ground) -> Result<()> {
        let manager = ground::manager(context);
        self.prepare(&mut Plan::default(), &ground.look(context, manager.as_ref()))
    }

    fn refused(&self) -> Error {
        let path = self.file.path.display();
        Error::no(format!("{path} holds a different roster: nothing was changed"))
            .hint("to apply the roster that is there: fleet apply")
            .hint("to overwrite it, keeping a copy: add --force")
    }

    fn conclude(
        &self,
        carried: &Carried,
        answer: Answer,
        silent: Option<Silent>,
        context: &Context,
    ) -> Result<Answer> {
        if self.json {
            let mut value = outcome::of_carried(carried, &answer, context);
            if let Some(silent) = silent {
                let one = |(agent, why): (AgentName, String)| json!({ "agent": agent, "reason": why });
                value["silent"] = silent.into_iter().map(one).collect();
            }
            context.out.json(&value)?;
        }
        Ok(answer)
    }

    fn show(&self, context: &Context, ground: &Ground, options: Options) -> Result<Answer> {
        let manager = ground::manager(context);
        let seen = ground.look(context, manager.as_ref());
        let mut plan = ground.plan(&seen, options);
        let roster = self.roster_file(&mut plan, &seen);
        let linted = lint::look(context, ground, &seen);
        if self.json {
            let mut value = plan::as_json(&plan, &ground.identity, &context.layout);
            value["lint"] = linted.as_json();
            context.out.json(&value)?;
        } else {
            plan::print(&plan, context, ground);
        }
        linted.warn(context);
        linted.refuse()?;
        match roster {
            RosterFile::Refused => context.out.warn(self.refused()),
            RosterFile::Written | RosterFile::Same if plan.is_empty() => {}
            RosterFile::Written | RosterFile::Same => {
                context
                    .out
                    .note("Nothing was changed. Add --write to carry it out, --start to start it, too.");
            }
        }
        Ok(Answer::Yes)
    }
}
