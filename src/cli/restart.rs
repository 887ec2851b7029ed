//! `fleet restart`: restarts agents in one batch of jobs. Who is parked stays parked.

use super::jobs::{Fleet, Which};
use super::{Answer, Context};
use crate::error::Result;
use crate::host::clock;
use crate::host::systemd::{JobRequest, JobVerb};
use crate::names::HOLDER_UNIT;
use crate::snapshot::Fact;

/// Arguments of `fleet restart`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
}

/// Restarts them.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let fleet = Fleet::of(args.which, context)?;
    let clock = clock::now();
    let mut jobs = Vec::new();
    // First, so that it takes the agents along in one go.
    if fleet.holder {
        jobs.push(JobRequest::restart(HOLDER_UNIT));
    }
    let mut parked = 0;
    for agent in fleet.wanted()? {
        match fleet.is_parked(&agent.name, &clock) {
            Fact::Known(false) => {
                jobs.push(JobRequest::restart(agent.name.unit()));
                continue;
            }
            Fact::Known(true) if fleet.holder_alone() => continue,
            Fact::Known(true) => {
                let cure = format!("is parked; to end that: fleet start {}", agent.name);
                fleet.tell(&agent.name.unit(), &cure);
            }
            Fact::Unknown(why) => fleet.tell_may_be_parked(&agent.name, &why),
        }
        parked += 1;
    }
    let done = fleet.carry_out(&jobs, JobVerb::Restart, parked)?;
    // A person who names a parked agent did not get what was asked for.
    let short = fleet.named && parked > 0 && done.answer == Answer::Yes;
    let answer = if short { Answer::No } else { done.answer };
    fleet.conclude(&done.ends, answer)
}
