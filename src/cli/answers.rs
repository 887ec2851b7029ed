//! Waits until every agent has answered, for `init --start`: a heartbeat of the run that is on now.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Answer, Context};
use crate::apply::Report;
use crate::error::Result;
use crate::host::{changes, clock, look, parking, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::roster::Roster;
use crate::runfile::heartbeat::{self, Expect, Health, judge};
use crate::runfile::record::{self, End, Record, State};
use crate::session::backoff::INCURABLE;
use crate::snapshot::{Content, Fact, is_parked};

/// How long it may take from the beginning until every agent has answered.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Agents that have not answered, and why.
pub type Silent = BTreeMap<AgentName, String>;

/// What an agent shows of itself.
enum Seen {
    Answered,
    /// Not yet; what it does instead.
    NotYet(String),
    /// It never will in this start.
    Never(String),
}

/// Waits, at most until [`LIMIT`] after `begun` (CLOCK_BOOTTIME), and names who did not answer.
pub fn wait(
    context: &Context,
    roster: &Roster,
    report: &Report,
    begun: f64,
    answer: Answer,
) -> Result<(Answer, Option<Silent>)> {
    let out = &context.out;
    // What the machine refused as a whole is told already; no agent can answer then.
    if !report.refused.is_empty() {
        return Ok((answer, None));
    }
    let enabled: Vec<AgentName> =
        roster.agents.iter().filter(|a| a.enabled()).map(|a| a.name.clone()).collect();
    let parked = parking::parked(&context.layout, &enabled);
    // Who was stopped in an earlier boot was started with the others.
    let boot = clock::boot_id();
    let started = |agent: &&AgentName| is_parked(parked.get(*agent), &boot) == Fact::Known(false);
    let wanted: Vec<&AgentName> = enabled.iter().filter(started).collect();
    let failed = |agent: &AgentName| {
        let end = report.failed().find(|end| end.outcome.unit == agent.unit())?;
        Some(end.after.as_ref().map_or_else(|| "its start failed".to_owned(), |after| after.words.clone()))
    };
    let mut silent: BTreeMap<&AgentName, String> = BTreeMap::new();
    let mut open = wanted.clone();
    open.retain(|agent| {
        let failed = failed(agent);
        let goes_on = failed.is_none();
        silent.extend(failed.map(|why| (*agent, why)));
        goes_on
    });
    let left = LIMIT.as_secs_f64() - (clock::boottime() - begun);
    if !wanted.is_empty() {
        changes::until(&context.layout.run(), Duration::from_secs_f64(left.max(0.0)), || {
            open.retain(|agent| match seen(&context.layout, agent) {
                Seen::Answered => false,
                Seen::NotYet(_) => true,
                Seen::Never(why) => {
                    silent.insert(agent, why);
                    false
                }
            });
            open.is_empty()
        })?;
    }
    for agent in open {
        if let Seen::NotYet(why) | Seen::Never(why) = seen(&context.layout, agent) {
            silent.insert(agent, why);
        }
    }
    let answered = wanted.len() - silent.len();
    out.line(format_args!("{answered} of {} agents have answered", wanted.len()));
    for (agent, why) in &silent {
        out.note(format_args!("{agent}: has not answered: {why}"));
    }
    let answer = if silent.is_empty() || answer != Answer::Yes { answer } else { Answer::No };
    Ok((answer, Some(silent.into_iter().map(|(agent, why)| (agent.clone(), why)).collect())))
}

/// Whether the run of the agent that is on now has answered.
fn seen(layout: &Layout, agent: &AgentName) -> Seen {
    let clock = clock::now();
    let record = runfiles::read_text(&layout.record(agent), record::LONGEST);
    let record = record.as_deref().and_then(Record::parse).filter(|r| r.boot_id == clock.boot_id);
    let Some(record) = record else { return Seen::NotYet("its supervisor has not come up".to_owned()) };
    let incurable = matches!(record.last_end, Some(End::Exit(code)) if INCURABLE.contains(&code));
    if record.state == State::Ended && incurable {
        return Seen::Never(record.status);
    }
    if record.state != State::Running || record.started.is_none() {
        return Seen::NotYet(record.status);
    }
    let beat = look::at(&layout.heartbeat(agent), heartbeat::LONGEST).map(|beat| beat.map(Content::from));
    let expect = Expect { started: record.started, ..Expect::default() };
    let verdict = judge(beat.as_ref(), &clock, &expect, None);
    match verdict.health {
        Health::Healthy => Seen::Answered,
        _ => Seen::NotYet(verdict.reason),
    }
}
