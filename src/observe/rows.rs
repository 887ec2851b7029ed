//! Snapshot and roster to rows: one an agent, and one for each session that the roster lacks.

mod agent;
mod installed;
mod pane;
mod unit;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use installed::Installed;

use super::row::{Heartbeat, Pane, PaneState, Row, Systemd};
use super::{Flag, Given};
use crate::names::AgentName;
use crate::roster::Roster;
use crate::runfile::heartbeat::{self, Health, Verdict};
use crate::runtime::drift::{self, Expected};
use crate::snapshot::{self, Fact, Process, Tmux};

pub use installed::judged;
pub(super) use pane::unreachable_server;

/// What the roster says of each agent's pane.
pub fn expected(roster: &Roster) -> BTreeMap<&AgentName, Expected<'_>> {
    roster.agents.iter().map(|agent| (&agent.name, drift::expected(roster, agent))).collect()
}

/// Whether a pane's process alone tells that it is the roster's runtime. Where it does not, that may
/// be one of the processes below it.
pub fn says_enough(expected: Option<&Expected<'_>>, process: &Process) -> bool {
    expected.is_none_or(|said| said.process_names.is_empty() || drift::is_alone(said, process))
}

/// So many agents are judged by two threads: one costs as much as judging a dozen.
const MANY: usize = 48;

/// The rows, agents first in the roster's order.
pub fn rows(given: &Given<'_>) -> Vec<Row> {
    let installed = Installed::of(given);
    let panes = pane::by_session(given);
    let agents = in_two(&given.roster.agents, |a| agent::row(given, &panes, &installed, a));
    let beside = beside_the_holder(given);
    let beside = (!beside.is_empty()).then(|| {
        let told = pane::beside(&beside).unwrap_or_default();
        stranger(given, &beside, format!("the holder's session has {told}"))
    });
    let strangers = strangers(given).into_iter().map(|panes| {
        let session = panes.first().map_or("", |p| p.session.as_str());
        let more = pane::beside(panes.get(1..).unwrap_or_default());
        let more = more.map_or_else(String::new, |more| format!("; it has {more}"));
        stranger(given, &panes, format!("the roster has no agent {session}{more}"))
    });
    agents.into_iter().chain(beside).chain(strangers).collect()
}

/// Each of a large fleet's rows is judged for itself: half of them beside the others.
fn in_two<T: Sync, R: Send>(all: &[T], judge: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if all.len() < MANY {
        return all.iter().map(judge).collect();
    }
    let (here, beside) = all.split_at(all.len() / 2);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| beside.iter().map(&judge).collect::<Vec<R>>());
        let mut judged: Vec<R> = here.iter().map(&judge).collect();
        judged.extend(beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        judged
    })
}

/// The panes of each session that neither the roster nor the holder has, by session.
fn strangers<'a>(given: &Given<'a>) -> Vec<Vec<&'a snapshot::Pane>> {
    let Fact::Known(Tmux::Running { panes, .. }) = &given.seen.tmux else { return Vec::new() };
    let agents: BTreeSet<&str> = given.roster.agents.iter().map(|agent| agent.name.as_str()).collect();
    let known = |session: &str| session == given.roster.holder_session.as_str() || agents.contains(session);
    let mut sessions: Vec<Vec<&snapshot::Pane>> = Vec::new();
    for pane in panes.iter().filter(|p| !known(&p.session)) {
        match sessions.iter_mut().find(|s| s.first().is_some_and(|p| p.session == pane.session)) {
            Some(session) => session.push(pane),
            None => sessions.push(vec![pane]),
        }
    }
    sessions
}

/// What somebody runs in the holder's session beside its one pane, which is its first.
pub fn beside_the_holder<'a>(given: &Given<'a>) -> Vec<&'a snapshot::Pane> {
    let Fact::Known(Tmux::Running { panes, .. }) = &given.seen.tmux else { return Vec::new() };
    let number = |pane: &&snapshot::Pane| pane.id.trim_start_matches('%').parse().unwrap_or(u64::MAX);
    let holders = panes.iter().filter(|p| p.session == given.roster.holder_session.as_str());
    let mut holders: Vec<_> = holders.collect();
    holders.sort_by_key(number);
    holders.split_off(holders.len().min(1))
}

/// The row of panes that are no agent's; `why` it is there.
fn stranger(given: &Given<'_>, panes: &[&snapshot::Pane], why: String) -> Row {
    let live = panes.iter().find(|p| !p.dead);
    let activity = panes.iter().map(|p| p.activity).fold(0.0, f64::max);
    let mut flags = vec![Flag::Unknown];
    let session = panes.first().map(|p| p.session.clone()).unwrap_or_default();
    let mut reasons = vec![format!("UNKNOWN: {why}")];
    if panes.iter().any(|p| p.attached > 0) {
        flags.push(Flag::Attached);
        reasons.push("ATTACHED: a person is attached and can type".to_owned());
    }
    Row {
        name: session,
        tenant_id: given.roster.tenant.clone(),
        host: given.host.clone(),
        runtime: None,
        class: None,
        lifecycle: None,
        systemd: Systemd { active: None, sub: None, enabled: None },
        pane: Pane {
            state: if live.is_some() { PaneState::Alive } else { PaneState::Dead },
            pid: live.map(|p| p.pid),
            command: live.map(|p| p.command.clone()),
        },
        idle_seconds: live.map(|_| rounded(given.seen.clock.unix - activity)),
        heartbeat: Heartbeat::none(),
        model: None,
        effort: None,
        version: None,
        restarts: None,
        memory_bytes: None,
        flags,
        reasons,
        parked: false,
    }
}

impl Heartbeat {
    /// What is known of one.
    fn of(verdict: &Verdict) -> Self {
        let beat = verdict.beat.as_ref();
        Self {
            health: verdict.health,
            ts: beat.map(|b| format!("{:.3}", b.ts)),
            pid: beat.map(|b| b.pid),
            age_seconds: verdict.age.map(rounded),
            status: beat.map(|b| b.status.word()),
            source: beat.map(|b| b.source.word()),
            state: beat.and_then(|b| b.state).map(heartbeat::State::word),
            resume_at: beat.and_then(|b| b.resume_at).map(|t| format!("{t:.0}")),
            reason: verdict.reason.clone(),
        }
    }

    /// Nothing is known of any.
    fn none() -> Self {
        Self {
            health: Health::Unknown,
            ts: None,
            pid: None,
            age_seconds: None,
            status: None,
            source: None,
            state: None,
            resume_at: None,
            reason: String::new(),
        }
    }
}

/// Seconds as JSON shows them: not below zero, to the millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds.max(0.0) * 1000.0).round() / 1000.0
}
