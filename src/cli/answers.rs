//! Waits until every agent has answered, for `init --start`: a heartbeat of the run that is on now.

use std::time::Duration;

use super::{Answer, Context};
use crate::apply::Report;
use crate::error::Result;
use crate::host::{changes, clock, look, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::roster::Roster;
use crate::runfile::heartbeat::{self, Expect, Health, judge};
use crate::runfile::record::{self, Record, State};

/// How long it may take from the beginning until every agent has answered.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits, at most until [`LIMIT`] after `begun` (CLOCK_BOOTTIME), and names who did not answer.
pub fn wait(
    context: &Context,
    roster: &Roster,
    report: &Report,
    begun: f64,
    answer: Answer,
) -> Result<Answer> {
    let out = &context.out;
    let enabled: Vec<AgentName> =
        roster.agents.iter().filter(|a| a.enabled()).map(|a| a.name.clone()).collect();
    let parked = look::parked(&context.layout, &enabled);
    let failed = |agent: &AgentName| report.failed().any(|end| end.outcome.unit == agent.unit());
    let wanted: Vec<&AgentName> = enabled.iter().filter(|a| !parked.contains_key(a)).collect();
    let mut silent: Vec<&AgentName> = wanted.iter().copied().filter(|a| !failed(a)).collect();
    // What the machine refused as a whole is told already; no agent can answer then.
    if report.refused.is_empty() && !silent.is_empty() {
        let left = LIMIT.as_secs_f64() - (clock::boottime() - begun);
        let left = Duration::from_secs_f64(left.max(0.0));
        changes::until(&context.layout.run(), left, || {
            silent.retain(|agent| !answered(&context.layout, agent));
            silent.is_empty()
        })?;
    }
    let quiet: Vec<&str> =
        wanted.iter().filter(|a| failed(a) || silent.contains(a)).map(|a| a.as_str()).collect();
    if quiet.is_empty() && answer == Answer::Yes {
        out.line(format_args!("{} of {} agents have answered", wanted.len(), wanted.len()));
        return Ok(answer);
    }
    if !quiet.is_empty() {
        out.note(format_args!(
            "{} of {} agents have not answered within {} s: {}",
            quiet.len(),
            wanted.len(),
            LIMIT.as_secs(),
            quiet.join(", ")
        ));
    }
    Ok(if answer == Answer::Yes { Answer::No } else { answer })
}

/// Whether the run of the agent that is on now has answered.
fn answered(layout: &Layout, agent: &AgentName) -> bool {
    let record = runfiles::read_text(&layout.record(agent), record::LONGEST);
    let Some(record) = record.as_deref().and_then(Record::parse) else { return false };
    let clock = clock::now();
    if record.boot_id != clock.boot_id || record.state != State::Running {
        return false;
    }
    let Some(started) = record.started else { return false };
    let beat = look::at(&layout.heartbeat(agent), heartbeat::LONGEST);
    let expect = Expect { started: Some(started), ..Expect::default() };
    judge(beat.as_ref(), &clock, &expect, None).health == Health::Healthy
}
