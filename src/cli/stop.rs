//! `fleet stop`: stops agents in one batch of jobs and parks them: nothing but a start or the next
//! boot wakes them.

use super::jobs::{Fleet, Which};
use super::{Answer, Context};
use crate::error::Result;
use crate::host::parking;
use crate::host::systemd::{JobRequest, JobVerb};
use crate::names::HOLDER_UNIT;
use crate::roster::{Lifecycle, State};

/// Arguments of `fleet stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

/// Stops them.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let fleet = Fleet::of(args.which, context)?;
    let mut units = Vec::new();
    for agent in &fleet.agents {
        let unit = agent.name.unit();
        let always_on = agent.lifecycle == Lifecycle::Core && agent.state == State::Running;
        if fleet.holder_alone() {
            // Agents end with their holder and come back with it: nobody is parked.
            if fleet.is_up(&unit) {
                units.push(unit);
            }
            continue;
        }
        if !fleet.named && !always_on && !fleet.is_up(&unit) {
            continue;
        }
        // Parked before it is stopped: a holder that restarts in between must not wake it.
        if agent.state == State::Running {
            parking::park(&context.layout, &agent.name)?;
        }
        units.push(unit);
    }
    if fleet.holder {
        units.push(HOLDER_UNIT.to_owned());
    }
    let (up, down): (Vec<String>, Vec<String>) = units.into_iter().partition(|u| fleet.is_up(u));
    for unit in &down {
        fleet.tell(unit, "was not running");
    }
    let jobs: Vec<JobRequest> = up.into_iter().map(JobRequest::stop).collect();
    let done = fleet.carry_out(&jobs, JobVerb::Stop, down.len())?;
    fleet.conclude(&done.ends, done.answer)
}
