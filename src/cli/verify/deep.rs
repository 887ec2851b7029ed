//! `fleet verify --deep`: restarts one agent and proves that neither the holder nor any other agent
//! was touched by it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::observed::Observed;
use super::super::{Context, ground};
use crate::error::Result;
use crate::host::changes;
use crate::host::gather::Depth;
use crate::host::systemd::JobRequest;
use crate::names::AgentName;
use crate::observe::row::PaneState;
use crate::observe::verify::{Check, Why};
use crate::observe::{Flag, Row};
use crate::roster::{Agent, Persona, Roster};
use crate::runfile::heartbeat::Health;
use crate::snapshot::{Fact, Tmux};

/// How long the restart itself may take, and then its first answer.
const RESTARTS_WITHIN: Duration = Duration::from_secs(90);
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// Restarts the canary, where one fits, of a fleet in which everything holds.
pub fn checks(context: &Context, before: &Observed) -> Result<Vec<Check>> {
    const EXPECTED: &str = "one agent is restarted, and nothing else";
    let rows = before.rows();
    if before.roster.agents.is_empty() {
        return Ok(vec![Check::holds("deep-restart", None, "there is no agent to restart")]);
    }
    let Some(canary) = canary(&before.roster, &rows) else {
        let seen = "nothing was restarted: no agent answers, waits for a prompt and has nobody attached";
        let check = Check::fails("deep-restart", None, Why::NotBack, seen, EXPECTED);
        return Ok(vec![check.cure("fleet ps")]);
    };
    context.out.note(format_args!("restarting {} to see that nothing else moves", canary.name));
    let pids = Pids::of(before, &rows);
    let manager = ground::manager(context)?;
    let outcomes = manager.jobs(&[JobRequest::restart(canary.name.unit())], RESTARTS_WITHIN, |_| {})?;
    let mut after = Observed::look(context, Depth::Rows, &[])?;
    if outcomes.iter().all(|o| o.result.is_good()) {
        changes::until(&context.layout.run(), ANSWERS_WITHIN, || {
            if let Ok(now) = Observed::look(context, Depth::Rows, &[]) {
                after = now;
            }
            after
                .rows()
                .iter()
                .any(|r| r.name == canary.name.as_str() && r.heartbeat.health == Health::Healthy)
        })?;
    }
    let rows = after.rows();
    let now = Pids::of(&after, &rows);
    let mut checks = vec![came_back(canary, &pids, &now, &rows)];
    checks.extend(
        pids.agents
            .iter()
            .filter(|(name, _)| **name != canary.name)
            .map(|(name, pid)| same("deep-others", Some(name), Some(*pid), now.agents.get(name).copied())),
    );
    checks.push(same("deep-holder", None, pids.server, now.server));
    Ok(checks)
}

/// The pids that a restart of one agent must not change.
struct Pids {
    server: Option<i32>,
    agents: BTreeMap<AgentName, i32>,
}

impl Pids {
    fn of(observed: &Observed, rows: &[Row]) -> Self {
        let agent = |row: &Row| Some((AgentName::parse(&row.name).ok()?, row.pane.pid?));
        Self {
            server: match &observed.seen.tmux {
                Fact::Known(Tmux::Running { pid, .. }) => Some(*pid),
                Fact::Known(Tmux::Absent) | Fact::Unknown(_) => None,
            },
            agents: rows.iter().filter(|r| !r.flags.contains(&Flag::Unknown)).filter_map(agent).collect(),
        }
    }
}

/// Who is restarted: one of class canary, else the one whose restart costs least, the last of
/// those in the roster. It waits for a prompt, and nobody looks on.
fn canary<'a>(roster: &'a Roster, rows: &[Row]) -> Option<&'a Agent> {
    let fits = |agent: &&Agent| {
        let row = rows.iter().find(|r| r.name == agent.name.as_str());
        row.is_some_and(|r| {
            r.pane.state == PaneState::Alive
                && r.heartbeat.health == Health::Healthy
                && r.heartbeat.status == Some("ok")
                && !r.flags.contains(&Flag::Attached)
        })
    };
    let cost = |agent: &&Agent| {
        let is_canary = agent.class.as_deref() == Some("canary");
        (
            !is_canary,
            match agent.persistent_persona {
                Persona::No => 0,
                Persona::Semi => 1,
                Persona::Yes => 2,
            },
        )
    };
    roster.agents.iter().rev().filter(fits).min_by_key(cost)
}

fn came_back(canary: &Agent, before: &Pids, now: &Pids, rows: &[Row]) -> Check {
    const EXPECTED: &str = "another process of it answers";
    let name = &canary.name;
    let old = before.agents.get(name).copied();
    let answers = rows.iter().any(|r| r.name == name.as_str() && r.heartbeat.health == Health::Healthy);
    match now.agents.get(name).copied() {
        Some(new) if answers && Some(new) != old => {
            Check::holds("deep-restart", Some(name), format!("was pid {}, is pid {new}", old.unwrap_or(0)))
        }
        new => {
            let seen = match new {
                Some(new) => format!("pid {new} does not answer"),
                None => "nothing runs".to_owned(),
            };
            Check::fails("deep-restart", Some(name), Why::NotBack, seen, EXPECTED).cure("fleet ps")
        }
    }
}

fn same(id: &'static str, agent: Option<&AgentName>, before: Option<i32>, now: Option<i32>) -> Check {
    let pid = |pid: Option<i32>| pid.map_or_else(|| "nothing".to_owned(), |p| format!("pid {p}"));
    if before.is_some() && before == now {
        return Check::holds(id, agent, format!("still {}", pid(now)));
    }
    Check::fails(id, agent, Why::OthersChanged, pid(now), format!("still {}", pid(before))).cure("fleet ps")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_changed_or_is_gone_is_no_proof() {
        assert!(same("deep-holder", None, Some(7), Some(7)).ok);
        for now in [Some(8), None] {
            let check = same("deep-holder", None, Some(7), now);
            assert_eq!((check.ok, check.reason), (false, Some(Why::OthersChanged)));
        }
        assert!(!same("deep-holder", None, None, None).ok, "what was not seen is not the same");
    }
}
