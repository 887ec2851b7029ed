//! A start that systemd calls done may be over a moment later: a program that is missing ends its agent
//! at once. So a batch ends with a second look, bounded and mostly short, at what became of the agents.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::machine::After;
use crate::host::changes::Watch;
use crate::host::systemd::{JobOutcome, JobVerb};
use crate::host::{process, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::record::{self, End, Record, incurable};
use crate::snapshot::Clock;

/// How long an agent is looked at that has not shown yet that it goes on.
const PATIENCE: Duration = Duration::from_millis(500);
/// And one of which something is bound to come: its process is gone, or is about to become another.
const BOUND_TO_COME: Duration = Duration::from_secs(3);
/// That a process becomes another program wakes nobody.
const LOOKS_EVERY: Duration = Duration::from_millis(15);
/// What launches a runtime, and becomes it.
const LAUNCHERS: [&str; 2] = ["mosaic", "fleet"];
/// What may still look for a program.
const SHELLS: [&str; 4] = ["sh", "dash", "bash", "env"];

/// What an agent shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// It runs what it was to run.
    Settled,
    /// Nothing that tells.
    Open,
    /// Something will be told in a moment.
    Imminent,
    /// It has ended; a next try is under way.
    Again(End),
    /// It has ended, and nobody tries again.
    Over(i32),
}

/// What became of the agents among these that were started at or after `since`, each by its unit. One
/// that goes on is not among them.
pub fn look(layout: &Layout, outcomes: &[JobOutcome], since: &Clock) -> BTreeMap<String, After> {
    let started = |o: &&JobOutcome| o.verb != JobVerb::Stop && o.result.is_good();
    let agents = outcomes.iter().filter(started).filter_map(|o| AgentName::from_unit(&o.unit));
    let mut open: BTreeMap<AgentName, Seen> = agents.map(|agent| (agent, Seen::Open)).collect();
    let mut over = BTreeMap::new();
    let watch = Watch::of(&layout.run()).ok();
    let begun = Instant::now();
    loop {
        open.retain(|agent, seen| {
            *seen = shows(layout, agent, since);
            if let Seen::Over(code) = seen {
                over.insert(agent.unit(), After::over(*code));
            }
            !matches!(seen, Seen::Settled | Seen::Over(_))
        });
        let imminent = open.values().any(|seen| *seen == Seen::Imminent);
        let patience = if imminent { BOUND_TO_COME } else { PATIENCE };
        if open.is_empty() || begun.elapsed() >= patience {
            break;
        }
        match &watch {
            Some(watch) if watch.wait(LOOKS_EVERY).is_ok() => {}
            _ => std::thread::sleep(LOOKS_EVERY),
        }
    }
    over.extend(open.into_iter().filter_map(|(agent, seen)| match seen {
        Seen::Again(end) => Some((agent.unit(), After::again(end))),
        _ => None,
    }));
    over
}

fn shows(layout: &Layout, agent: &AgentName, since: &Clock) -> Seen {
    let record = runfiles::read_text(&layout.record(agent), record::LONGEST);
    let record = record.as_deref().and_then(Record::parse).filter(|r| r.boot_id == since.boot_id);
    let Some(record) = record else { return Seen::Open };
    let running = record.runtime_pid.filter(|_| record.state == record::State::Running);
    let comm = running.and_then(process::glance).map(|seen| seen.process.comm);
    judge(&record, comm.as_deref(), || runfiles::changed_since(&layout.heartbeat(agent), since.unix), since)
}

fn judge(record: &Record, comm: Option<&str>, answers: impl Fn() -> bool, since: &Clock) -> Seen {
    let ended = record.last_end_boottime.is_some_and(|at| at >= since.boottime);
    match (record.state, record.last_end.filter(|_| ended)) {
        (record::State::Ended, Some(End::Exit(code))) if incurable(code).is_some() => Seen::Over(code),
        (record::State::Running, end) => match comm {
            None => Seen::Imminent,
            Some(comm) if answers() || !LAUNCHERS.iter().chain(&SHELLS).any(|l| *l == comm) => Seen::Settled,
            Some(comm) if LAUNCHERS.contains(&comm) => Seen::Imminent,
            Some(_) => end.map_or(Seen::Open, Seen::Again),
        },
        (_, Some(end)) => Seen::Again(end),
        (_, None) => Seen::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runfile::record::State;

    fn since() -> Clock {
        Clock { unix: 0.0, boottime: 100.0, boot_id: "b".to_owned() }
    }

    fn record(state: State, end: Option<(End, f64)>) -> Record {
        let (last_end, last_end_boottime) = end.unzip();
        Record { state, last_end, last_end_boottime, ..Record::default() }
    }

    #[test]
    fn a_missing_program_is_over_and_an_earlier_end_tells_nothing() {
        let seen = |record: &Record, comm| judge(record, comm, || false, &since());
        let missing = |at| record(State::Ended, Some((End::Exit(127), at)));
        assert_eq!(seen(&missing(101.0), None), Seen::Over(127));
        assert_eq!(seen(&missing(99.0), None), Seen::Open, "of the run before");
        let crashed = record(State::Backoff, Some((End::Exit(1), 101.0)));
        assert_eq!(seen(&crashed, None), Seen::Again(End::Exit(1)));
        let running = record(State::Running, Some((End::Exit(127), 99.0)));
        assert_eq!(seen(&running, Some("node")), Seen::Settled);
        assert_eq!(seen(&running, Some("mosaic")), Seen::Imminent, "it is about to become another");
        assert_eq!(seen(&running, Some("sh")), Seen::Open, "a script, or a shell that looks for one");
        assert_eq!(seen(&running, None), Seen::Imminent, "its supervisor has not said yet how it ended");
        assert_eq!(judge(&running, Some("mosaic"), || true, &since()), Seen::Settled, "it has answered");
    }
}
