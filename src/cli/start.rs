//! `fleet start`: starts agents in one batch of jobs. Whom a person had stopped is wanted again, and
//! a start that is held back is tried now.

use super::jobs::{Fleet, Which};
use super::{Answer, Context};
use crate::apply;
use crate::error::Result;
use crate::host::systemd::{Detail, JobRequest, JobVerb, Whom};
use crate::host::{clock, parking, runfiles};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::runfile::record::{self, Record, State};
use crate::snapshot::Fact;

/// Arguments of `fleet start`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

/// Starts them.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let fleet = Fleet::of(args.which, context)?;
    let mut units = Vec::new();
    if fleet.holder {
        units.push(HOLDER_UNIT.to_owned());
    }
    let clock = clock::now();
    let mut left = 0;
    for agent in fleet.wanted()? {
        if fleet.holder_alone() {
            // It brings back who goes along with it, and wakes nobody who was stopped by hand.
            match fleet.is_parked(&agent.name, &clock) {
                Fact::Known(false) => units.push(agent.name.unit()),
                Fact::Known(true) => {}
                Fact::Unknown(why) => {
                    fleet.tell_may_be_parked(&agent.name, &why);
                    left += 1;
                }
            }
            continue;
        }
        parking::release(&context.layout, &agent.name)?;
        try_now(&fleet, &agent.name)?;
        units.push(agent.name.unit());
    }
    let (running, down): (Vec<String>, Vec<String>) = units.into_iter().partition(|u| fleet.is_active(u));
    for unit in &running {
        fleet.tell(unit, "runs already");
    }
    let jobs: Vec<JobRequest> = down.into_iter().map(JobRequest::start).collect();
    let done = fleet.carry_out(&jobs, JobVerb::Start, running.len() + left)?;
    fleet.conclude(&done.ends, done.answer)
}

/// Ends what would hold this start back: earlier failures count no more.
fn try_now(fleet: &Fleet, agent: &AgentName) -> Result<()> {
    let unit = agent.unit();
    if fleet.has_failed(&unit) {
        // Where it can't be forgotten, the start itself says why it is refused.
        let _ = fleet.manager.reset_failed(&unit);
    }
    if !fleet.is_up(&unit) {
        // Nobody else writes it while no supervisor runs.
        return apply::forget_ends(&fleet.context.layout, agent);
    }
    let path = fleet.context.layout.record(agent);
    let text = runfiles::read_text(&path, record::LONGEST);
    let Some(record) = text.as_deref().and_then(Record::parse) else { return Ok(()) };
    if record.boot_id != clock::boot_id() {
        return Ok(());
    }
    // The signal ends a process that does not expect it, so only the supervisor that waits gets it.
    let details = fleet.manager.details(&[&unit], &[Detail::MainPid])?;
    let main_pid = details.get(&unit).and_then(|fact| fact.known()).map_or(0, |d| d.main_pid);
    if record.state == State::Backoff && record.supervisor_pid == main_pid {
        fleet.manager.kill(&unit, Whom::Main, libc::SIGUSR1)?;
    }
    Ok(())
}
