//! The short state of a fleet: holder, agents, lingering, and what is wrong, a line each. Pure.

use serde::Serialize;

use super::row::{PaneState, Row};
use super::rows::unreachable_server;
use super::{Flag, Given};
use crate::names::{HOLDER_UNIT, HostName, TenantId};
use crate::roster::Transport;
use crate::runfile::heartbeat::{Health, UNREADABLE};
use crate::snapshot::{Fact, Tmux};

/// The version of the JSON that a status stands in.
pub const SCHEMA_VERSION: u32 = 1;

/// The short state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The machine.
    pub host: HostName,
    /// When it was looked at, RFC 3339.
    pub time: String,
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The unit that owns the tmux server; `None` for a fleet without one.
    pub holder: Option<Holder>,
    /// The agents.
    pub agents: Agents,
    /// Whether the fleet starts at boot without anybody logging in.
    pub linger: Option<bool>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// The holder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holder {
    /// systemd's word.
    pub active: Option<String>,
    /// The tmux server's pid, as it says itself.
    pub pid: Option<i32>,
}

/// How many agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Agents {
    /// In the roster.
    pub total: usize,
    /// Whose runtime answers.
    pub healthy: usize,
    /// Stopped on purpose.
    pub parked: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The agent it is about.
    pub agent: Option<String>,
    /// What it is.
    pub reason: String,
}

/// The state by the same look and rows.
pub fn status(given: &Given<'_>, rows: &[Row], time: String) -> Status {
    let holder = (given.roster.transport == Transport::Tmux).then(|| holder(given));
    let mut problems = Vec::new();
    let mut of_all = |reason: String| problems.push(Problem { agent: None, reason });
    if let Some(Err(why)) = &holder {
        of_all(why.clone());
    }
    match &given.seen.linger {
        Fact::Known(true) => {}
        Fact::Known(false) => of_all("lingering is off: nothing of this user starts at boot".to_owned()),
        Fact::Unknown(why) => of_all(format!("not known whether lingering is on: {why}")),
    }
    for why in [given.seen.tmux.why(), given.seen.wants.why()].into_iter().flatten() {
        of_all(why.to_owned());
    }
    let stranger = |row: &&Row| row.flags.contains(&Flag::Unknown);
    for row in rows {
        let wrong = row.flags.iter().filter(|f| f.is_fault() || **f == Flag::Unknown);
        for flag in wrong {
            let said = |reason: &&String| reason.split(':').next() == Some(flag.word());
            let reason = row.reasons.iter().find(said).cloned().unwrap_or_else(|| flag.word().to_owned());
            problems.push(Problem { agent: Some(row.name.clone()), reason });
        }
    }
    problems.extend(unseen(given, rows));
    let agents = || rows.iter().filter(|row| !stranger(row));
    let answers = |row: &&Row| row.heartbeat.health == Health::Healthy && row.pane.state != PaneState::Dead;
    Status {
        schema_version: SCHEMA_VERSION,
        tenant_id: given.roster.tenant.clone(),
        host: given.host.clone(),
        time,
        ok: problems.is_empty(),
        agents: Agents {
            total: agents().count(),
            healthy: agents().filter(answers).count(),
            parked: agents().filter(|row| row.parked).count(),
        },
        holder: holder.map(|h| h.unwrap_or_else(|_| seen_holder(given))),
        linger: given.seen.linger.known().copied(),
        problems,
    }
}

/// What of agents could not be read: once each, with whom it is about.
fn unseen(given: &Given<'_>, rows: &[Row]) -> Vec<Problem> {
    // Of a server that does not answer it is told already that no pane is known.
    let runs = matches!(given.seen.tmux, Fact::Known(Tmux::Running { .. }));
    let unseen = |row: &Row, reason: &str| {
        is_unseen(reason) || runs && row.pane.state == PaneState::Unknown && reason.starts_with("pane: ")
    };
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        for reason in row.reasons.iter().filter(|reason| unseen(row, reason)) {
            match told.iter_mut().find(|(known, _)| known == reason) {
                Some((_, names)) => names.push(&row.name),
                None => told.push((reason, vec![&row.name])),
            }
        }
    }
    let problem = |(reason, names): (&str, Vec<&str>)| match names.as_slice() {
        [one] => Problem { agent: Some((*one).to_owned()), reason: format!("not known: {reason}") },
        [first, rest @ ..] => {
            let reason = format!("not known of {first} and {} more: {reason}", rest.len());
            Problem { agent: None, reason }
        }
        [] => Problem { agent: None, reason: reason.to_owned() },
    };
    told.into_iter().map(problem).collect()
}

/// Whether a row's reason says that something which should be read could not be.
pub fn is_unseen(reason: &str) -> bool {
    let word = reason.split(':').next().unwrap_or_default();
    matches!(word, "record" | "ledger" | "receipt" | "environment" | "parking")
        || reason.strip_prefix("heartbeat: ").is_some_and(|why| why.starts_with(UNREADABLE))
}

/// The holder, or what is wrong with it.
fn holder(given: &Given<'_>) -> Result<Holder, String> {
    let seen = seen_holder(given);
    let units = match &given.seen.units {
        Fact::Unknown(why) => return Err(why.clone()),
        Fact::Known(units) => units,
    };
    if seen.active.as_deref() != Some("active") {
        let active = seen.active.as_deref().unwrap_or("inactive");
        return Err(format!("the holder is {active}: no agent runs without it"));
    }
    let main_pid = units.get(HOLDER_UNIT).and_then(|unit| unit.detail.as_ref()).map_or(0, |d| d.main_pid);
    match &given.seen.tmux {
        Fact::Known(Tmux::Absent) => Err(unreachable_server(given).unwrap_or_else(|| {
            format!("the holder is active, and no tmux server runs on socket {}", given.roster.socket)
        })),
        Fact::Known(Tmux::Running { pid, .. }) if main_pid > 0 && *pid != main_pid => Err(format!(
            "the tmux server on socket {} is pid {pid}, and not the holder's, which is pid {main_pid}",
            given.roster.socket
        )),
        Fact::Known(Tmux::Running { .. }) | Fact::Unknown(_) => Ok(seen),
    }
}

fn seen_holder(given: &Given<'_>) -> Holder {
    let inactive = || Some("inactive".to_owned());
    let units = given.seen.units.known();
    let active = units.and_then(|u| u.get(HOLDER_UNIT).map(|h| h.active.clone()).or_else(inactive));
    let pid = match &given.seen.tmux {
        Fact::Known(Tmux::Running { pid, .. }) => Some(*pid),
        Fact::Known(Tmux::Absent) | Fact::Unknown(_) => None,
    };
    Holder { active, pid }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Case, SERVER, name, pane};
    use super::*;

    fn of(case: &Case) -> Status {
        status(&case.given(), &case.rows(), "now".to_owned())
    }

    #[test]
    fn a_healthy_fleet_is_ok() {
        let status = of(&Case::of(&["a", "b"]));
        assert!(status.ok, "{:?}", status.problems);
        assert_eq!(status.agents, Agents { total: 2, healthy: 2, parked: 0 });
        assert_eq!(status.holder, Some(Holder { active: Some("active".to_owned()), pid: Some(SERVER) }));
    }

    #[test]
    fn each_thing_that_is_wrong_is_one_line() {
        let mut case = Case::of(&["a", "b"]);
        case.kill("b");
        case.panes().push(pane("stray", 900));
        case.units().remove(HOLDER_UNIT);
        let status = of(&case);
        let lines: Vec<_> = status.problems.iter().map(|p| (p.agent.as_deref(), p.reason.as_str())).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], (None, "the holder is inactive: no agent runs without it"));
        assert!(lines[1].0 == Some("b") && lines[1].1.starts_with("DEAD: "), "{lines:?}");
        assert_eq!(lines[2], (Some("stray"), "UNKNOWN: the roster has no agent stray"));
        assert_eq!(status.agents, Agents { total: 2, healthy: 1, parked: 0 });
    }

    #[test]
    fn a_server_that_cannot_be_reached_or_is_somebody_elses_is_a_problem() {
        let problem = |spoil: fn(&mut Case)| {
            let mut case = Case::of(&["a"]);
            spoil(&mut case);
            let status = of(&case);
            assert!(!status.ok && status.problems.len() == 1, "{:?}", status.problems);
            assert_eq!(status.problems[0].agent, None);
            status.problems[0].reason.clone()
        };
        let gone = problem(|case| case.seen.tmux = Fact::Known(Tmux::Absent));
        assert!(gone.contains(&format!("kill -USR1 {SERVER}")), "{gone}");
        let foreign = problem(|case| {
            let holder = case.units().get_mut(HOLDER_UNIT).and_then(|unit| unit.detail.as_mut());
            holder.expect("it is up").main_pid = 99;
        });
        assert!(foreign.contains(&format!("is pid {SERVER}")) && foreign.contains("pid 99"), "{foreign}");
    }

    #[test]
    fn what_is_not_known_is_a_problem_and_never_no() {
        let mut case = Case::of(&["a"]);
        case.seen.units = Fact::Unknown("no bus".into());
        case.seen.linger = Fact::Unknown("no logind".into());
        let status = of(&case);
        assert_eq!((status.ok, status.linger), (false, None));
        assert_eq!(status.holder.and_then(|h| h.active), None);
        assert_eq!(status.agents.healthy, 1);
    }

    #[test]
    fn what_of_agents_can_not_be_read_is_a_problem_told_once() {
        let mut case = Case::of(&["a", "b", "c"]);
        let denied = "permission denied".to_owned();
        for agent in ["a", "b", "c"] {
            case.seen.beats.insert(name(agent), Fact::Unknown(denied.clone()));
        }
        case.seen.records.insert(name("b"), Fact::Unknown(denied));
        let status = of(&case);
        let lines: Vec<_> = status.problems.iter().map(|p| (p.agent.as_deref(), p.reason.as_str())).collect();
        assert_eq!(
            lines,
            [
                (None, "not known of a and 2 more: heartbeat: cannot be looked at: permission denied"),
                (Some("b"), "not known: record: permission denied"),
            ]
        );
        assert_eq!((status.ok, status.agents.healthy), (false, 0));
        // A first beat that is not due yet is none.
        let mut case = Case::of(&["a"]);
        case.seen.beats.clear();
        case.seen.processes.get_mut(&100).expect("it runs").started = super::super::case::NOW - 5.0;
        assert!(of(&case).ok, "{:?}", of(&case).problems);
    }

    #[test]
    fn a_parked_agent_is_no_problem() {
        let mut case = Case::of(&["a", "b"]);
        case.panes().retain(|p| p.session != "b");
        case.units().remove(&name("b").unit());
        case.seen.parked.insert(name("b"), Fact::Known(super::super::case::BOOT.to_owned()));
        let status = of(&case);
        assert!(status.ok, "{:?}", status.problems);
        assert_eq!(status.agents, Agents { total: 2, healthy: 1, parked: 1 });
    }

    #[test]
    fn a_process_that_proc_does_not_show_is_not_called_dead_and_is_told() {
        let mut case = Case::of(&["a", "b"]);
        case.seen.processes.remove(&200);
        case.seen.hidden.insert(200);
        let row = case.rows().remove(1);
        assert_eq!((row.pane.state, row.pane.pid, row.flags.as_slice()), (PaneState::Unknown, None, &[][..]));
        let status = of(&case);
        let [problem] = status.problems.as_slice() else { panic!("{:?}", status.problems) };
        assert_eq!(problem.agent.as_deref(), Some("b"));
        assert!(
            problem.reason.starts_with("not known: pane: ") && problem.reason.contains("hidepid"),
            "{problem:?}"
        );
    }

    #[test]
    fn who_is_down_and_may_be_parked_is_a_problem() {
        let mut case = Case::of(&["a", "b"]);
        case.panes().retain(|p| p.session != "b");
        case.units().remove(&name("b").unit());
        case.seen.parked.insert(name("b"), Fact::Unknown("permission denied".to_owned()));
        let status = of(&case);
        let path = case.given().layout.parked(&name("b"));
        let reason = format!("not known: parking: {}: permission denied", path.display());
        assert_eq!(status.problems, [Problem { agent: Some("b".to_owned()), reason }]);
        assert_eq!((status.ok, status.agents.parked), (false, 0));
    }
}
