//! The fleet's own checks: lingering, manager, holder, server, sessions.

use super::{Check, Evidence, Why};
use crate::names::HOLDER_UNIT;
use crate::observe::Flag;
use crate::roster::Transport;
use crate::snapshot::{Fact, Tmux, UnitFacts};

/// All of them.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut checks = vec![linger(evidence), manager(evidence)];
    if evidence.given.roster.transport == Transport::Tmux {
        checks.push(holder(evidence));
        checks.push(unit_file(evidence));
        checks.push(server(evidence));
        checks.push(sessions(evidence));
        checks.extend(exact(evidence));
    }
    checks
}

fn linger(evidence: &Evidence<'_>) -> Check {
    let cure = format!("sudo loginctl enable-linger {}", evidence.user);
    match &evidence.given.seen.linger {
        Fact::Known(true) => Check::holds("linger", None, "on"),
        Fact::Known(false) => Check::fails("linger", None, Why::LingerOff, "off", "on").cure(cure),
        Fact::Unknown(why) => Check::fails("linger", None, Why::Unknown, why, "on").cure(cure),
    }
}

fn manager(evidence: &Evidence<'_>) -> Check {
    let seen = evidence.given.seen;
    match &seen.manager {
        Fact::Known(manager) => {
            let since = manager.started - seen.booted;
            let seen = format!("systemd {}, up since {since:.1} s after the boot", manager.version);
            Check::holds("manager", None, seen)
        }
        Fact::Unknown(why) => Check::fails("manager", None, Why::Unknown, why, "up since this boot")
            .cure(format!("sudo systemctl start user@{}.service", evidence.uid)),
    }
}

fn holder_facts<'a>(evidence: &'a Evidence<'_>) -> Option<&'a UnitFacts> {
    evidence.given.seen.units.known()?.get(HOLDER_UNIT)
}

fn holder(evidence: &Evidence<'_>) -> Check {
    let fails = |why, seen: String| Check::fails("holder", None, why, seen, "active");
    match (&evidence.given.seen.units, holder_facts(evidence)) {
        (Fact::Unknown(why), _) => fails(Why::Unknown, why.clone()),
        (_, None) => fails(Why::NotRunning, "not loaded".to_owned()).cure("fleet apply"),
        (_, Some(unit)) if unit.active == "active" => Check::holds("holder", None, "active"),
        (_, Some(unit)) => {
            let result = unit.detail.as_ref().map_or("", |d| d.result.as_str());
            let why = match (unit.active.as_str(), result) {
                (_, "start-limit-hit") => Why::StartLimit,
                ("failed", _) => Why::Failed,
                ("activating", _) => Why::Starting,
                _ => Why::NotRunning,
            };
            fails(why, format!("{} ({}, {result})", unit.active, unit.sub)).cure("fleet start --holder")
        }
    }
}

fn unit_file(evidence: &Evidence<'_>) -> Check {
    let ours = evidence.given.layout.holder_unit();
    let expected = ours.display().to_string();
    match holder_facts(evidence) {
        Some(unit) if unit.load == "masked" => {
            Check::fails("unit-file", None, Why::Masked, format!("{HOLDER_UNIT} is masked"), expected)
                .cure(format!("systemctl --user unmask {HOLDER_UNIT} && fleet apply"))
        }
        Some(unit) => {
            let fragment = unit.detail.as_ref().map_or("", |d| d.fragment.as_str());
            if fragment.is_empty() || std::path::Path::new(fragment) == ours {
                Check::holds("unit-file", None, expected)
            } else {
                Check::fails("unit-file", None, Why::Shadowed, fragment, expected)
                    .cure(format!("mv {fragment} {fragment}.aside && fleet apply"))
            }
        }
        None => Check::fails("unit-file", None, Why::Unknown, "not loaded", expected).cure("fleet apply"),
    }
}

/// The server that answers is the holder's main process, started in this boot, in its unit.
fn server(evidence: &Evidence<'_>) -> Check {
    const EXPECTED: &str = "the holder's main process, in its unit";
    let seen = evidence.given.seen;
    let socket = &evidence.given.roster.socket;
    let fails = |why, seen: String| Check::fails("server", None, why, seen, EXPECTED);
    let main_pid = holder_facts(evidence).and_then(|u| u.detail.as_ref()).map_or(0, |d| d.main_pid);
    let pid = match &seen.tmux {
        Fact::Unknown(why) => return fails(Why::Unknown, why.clone()).cure("fleet restart --holder"),
        Fact::Known(Tmux::Absent) if main_pid > 0 => {
            let seen = format!("nothing listens on socket {socket}, though pid {main_pid} runs");
            return fails(Why::NoServer, seen).cure(format!("kill -USR1 {main_pid}"));
        }
        Fact::Known(Tmux::Absent) => {
            return fails(Why::NoServer, format!("nothing listens on socket {socket}"))
                .cure("fleet start --holder");
        }
        Fact::Known(Tmux::Running { pid, .. }) => *pid,
    };
    let process = seen.processes.get(&pid);
    let unit = process.map_or("", |p| p.unit.as_str());
    if seen.units.known().is_none() {
        return fails(Why::Unknown, format!("pid {pid}; not known what the holder's is"));
    }
    if pid != main_pid || unit != HOLDER_UNIT {
        let seen = format!("pid {pid} in {unit:?}; the holder's is {main_pid}");
        let cure = format!("tmux -L {socket} kill-server && fleet start --holder");
        return fails(Why::ForeignServer, seen).cure(cure);
    }
    let started = process.map_or(0.0, |p| p.started) - seen.booted;
    Check::holds("server", None, format!("pid {pid}, started {started:.1} s after the boot"))
}

fn sessions(evidence: &Evidence<'_>) -> Check {
    const EXPECTED: &str = "no session but the agents' and the holder's";
    let strangers: Vec<&str> =
        evidence.rows.iter().filter(|r| r.flags.contains(&Flag::Unknown)).map(|r| r.name.as_str()).collect();
    match (&evidence.given.seen.tmux, strangers.first()) {
        (Fact::Unknown(why), _) => Check::fails("sessions", None, Why::Unknown, why, EXPECTED),
        (Fact::Known(_), None) => Check::holds("sessions", None, EXPECTED),
        (Fact::Known(_), Some(first)) => {
            let socket = &evidence.given.roster.socket;
            Check::fails("sessions", None, Why::UnknownSession, strangers.join(", "), EXPECTED)
                .cure(format!("tmux -L {socket} kill-session -t '={first}'"))
        }
    }
}

/// A name that is only the beginning of a session's must not hit it.
fn exact(evidence: &Evidence<'_>) -> Option<Check> {
    let (name, hit) = evidence.probes.exact.as_ref()?;
    let expected = format!("={name} hits no session");
    Some(match hit {
        Fact::Known(false) => Check::holds("exact-targets", None, expected),
        Fact::Known(true) => {
            Check::fails("exact-targets", None, Why::PrefixHit, format!("={name} hit a session"), expected)
                .cure("tmux -V")
        }
        Fact::Unknown(why) => Check::fails("exact-targets", None, Why::Unknown, why, expected),
    })
}
