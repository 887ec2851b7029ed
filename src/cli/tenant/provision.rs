//! What the child does in its home for `fleet tenant`: the roster and an apply; the end of a fleet. Run as the
//! tenant.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::cli::carry::{Manner, carry};
use crate::cli::ground::{self, Ground};
use crate::cli::{Answer, Context, answers, npm, outcome};
use crate::error::{Error, Result};
use crate::host::clock;
use crate::host::systemd::JobRequest;
use crate::host::tenant::sound;
use crate::ledger::copy_name;
use crate::names::{AgentName, HOLDER_UNIT};
use crate::plan::{Conflicts, Options, Plan, RosterFile, Starting, roster_file};
use crate::render::{File, Role};
use crate::roster::{self, Roster};
use crate::snapshot::Snapshot;
use crate::tenant::wire::{Given, Other, Start};

/// How long agents may take to end.
const STOPS: Duration = Duration::from_secs(20);

/// Brings the roster to what root gives, and carries it out.
pub fn apply(given: Option<Given>, start: Start, context: &Context) -> Result<Answer> {
    let context = &context.for_json(true);
    sound::check(&context.layout, context.caller.uid)?;
    let path = context.layout.roster();
    // What is there is the tenant's own: it may be anything but absent.
    let given = given.filter(|given| given.other == Other::Replaced || fs::symlink_metadata(&path).is_err());
    let file = given.map(|given| File::new(path, given.text, Role::Roster));
    if file.is_none() && context.roster_if_any()?.is_none() {
        context.out.note("there is no roster: nothing of a fleet was installed");
        return Ok(Answer::Yes);
    }
    let begun = clock::boottime();
    npm::ask_once(context)?;
    let roster = || roster_of(file.as_ref(), context);
    let ground = || {
        let also = file.iter().map(|file| file.path.clone()).collect();
        Ok(Ground { also, ..Ground::of(context, &roster()?)? })
    };
    let starting = if start == Start::Later { Starting::Later } else { Starting::Now };
    let manner = Manner {
        ground: &ground,
        options: Options { starting, ..Options::default() },
        limit: (start == Start::Answered).then_some(answers::LIMIT),
        prepare: &|plan, seen| match &file {
            Some(file) => put(file, plan, seen),
            None => Ok(()),
        },
    };
    let carried = carry(context, manner)?;
    let mut answer = carried.conclude(context);
    let mut silent = None;
    if start == Start::Answered {
        (answer, silent) = answers::wait(context, &roster()?, &carried.report, begun, answer)?;
    }
    let mut value = outcome::of_carried(&carried, &answer, context);
    if let Some(silent) = silent {
        let one = |(agent, why): (AgentName, String)| json!({ "agent": agent, "reason": why });
        value["silent"] = silent.into_iter().map(one).collect();
    }
    context.out.json(&value)?;
    if let Answer::Code(4) = answer {
        let first = carried.report.refused.first();
        return Err(first.cloned().unwrap_or_else(|| Error::machine("the machine refused")));
    }
    Ok(answer)
}

fn roster_of(file: Option<&File>, context: &Context) -> Result<Roster> {
    match file {
        Some(file) => Ok(roster::read(&file.content, &file.path, &context.caller.name)?),
        None => context.roster(),
    }
}

/// Plans root's roster over whatever is there, keeping a copy of it.
fn put(file: &File, plan: &mut Plan, seen: &Snapshot) -> Result<()> {
    let backup = copy_name(&file.path, &clock::timestamp().to_string());
    match roster_file(file, seen.files.get(&file.path), Conflicts::Overwrite, backup, plan) {
        RosterFile::Refused => Err(Error::no(format!(
            "what stands at {} can't be replaced: nothing was changed",
            file.path.display()
        ))
        .hint(format!("look at it: ls -ld {}", file.path.display()))),
        RosterFile::Same | RosterFile::Written => Ok(()),
    }
}

/// Stops every unit of ours and takes back that they start at boot. What of it can't be done is told; the
/// processes end anyhow.
pub fn retire(context: &Context) -> Result<Answer> {
    let manager = match ground::manager(context) {
        Ok(manager) => manager,
        Err(error) => {
            context.out.note(format_args!("nothing was stopped one by one: {error}"));
            return Ok(Answer::Yes);
        }
    };
    let units = manager.units(&[HOLDER_UNIT, "mosaic-agent@*.service"])?;
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    if !names.is_empty() {
        let jobs: Vec<JobRequest> = names.iter().map(|unit| JobRequest::stop((*unit).to_owned())).collect();
        let ends = manager.jobs(&jobs, STOPS, |_| {})?;
        for end in ends.iter().filter(|end| !end.result.is_good()) {
            context.out.note(format_args!("{}: {} failed: {}", end.unit, end.verb, end.result));
        }
        manager.disable(&names)?;
    }
    context.out.json(&json!({ "schema_version": 1, "stopped": names }))?;
    Ok(Answer::Yes)
}
