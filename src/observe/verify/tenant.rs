//! The fleet's own checks: lingering, manager, holder, server, sessions.

use std::collections::BTreeMap;

use super::check::About;
use super::down::{dropped_since, last_word};
use super::{Check, Evidence, Why, cure, strangers};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::observe::row::PaneState;
use crate::observe::{Flag, beside_the_holder};
use crate::roster::Transport;
use crate::snapshot::boot::Account;
use crate::snapshot::{Fact, Tmux, UnitFacts};

/// How often systemd has to try until a holder that does not come up is called failed.
const TRIES: u32 = 3;

/// All of them.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut checks = vec![linger(evidence)];
    checks.extend(evidence.boot.account.known().and_then(|seen| account(seen, evidence.user)));
    checks.push(manager(evidence));
    checks.extend(home(evidence));
    if evidence.given.roster.transport == Transport::Tmux {
        checks.push(holder(evidence));
        checks.push(server(evidence));
        checks.extend(version(evidence));
        checks.push(sessions(evidence));
        checks.extend(exact(evidence));
    }
    checks.extend(strangers::checks(evidence));
    checks
}

fn linger(evidence: &Evidence<'_>) -> Check {
    let cure = match evidence.given.layout.declared_at() {
        // NixOS takes away what was turned on beside its configuration.
        Some(_) => format!(
            "sudo nixos-rebuild switch  # after services.mosaic-fleet.tenants.{}.linger = true",
            evidence.user
        ),
        None => format!("sudo loginctl enable-linger {}", evidence.user),
    };
    match &evidence.given.seen.linger {
        Fact::Known(true) => Check::holds("linger", None, "on"),
        Fact::Known(false) => Check::fails("linger", None, Why::LingerOff, "off", "on").cure(cure),
        Fact::Unknown(why) => Check::fails("linger", None, Why::Unknown, why, "on")
            .cure(format!("loginctl show-user {} --property=Linger", evidence.user)),
    }
}

/// Whether the user's account is good at the next boot; `None` where nothing ends it.
pub fn account(seen: &Account, user: &str) -> Option<Check> {
    let end = seen.end.as_ref()?;
    if !seen.has_ended() {
        return Some(Check::holds(
            "account",
            None,
            format!("{}; until then a boot is survived", end.words()),
        ));
    }
    let check = Check::fails("account", None, Why::AccountEnded, end.words(), "no end");
    Some(check.cure(end.cure(user)))
}

fn manager(evidence: &Evidence<'_>) -> Check {
    const EXPECTED: &str = "up since this boot";
    let seen = evidence.given.seen;
    let unit = format!("user@{}.service", evidence.uid);
    match &seen.manager {
        Fact::Known(manager) => {
            let since = manager.started - seen.booted;
            let seen = format!("systemd {}, up since {since:.1} s after the boot", manager.version);
            Check::holds("manager", None, seen)
        }
        // Without a manager none of its units runs, and that much is known.
        Fact::Unknown(why) if seen.units.known().is_some_and(BTreeMap::is_empty) => {
            Check::fails("manager", None, Why::NoManager, why, EXPECTED)
                .cure(format!("sudo systemctl start {unit}"))
        }
        Fact::Unknown(why) => {
            let last = format!("sudo systemctl restart {unit}, which ends every agent; they start again");
            Check::fails("manager", None, Why::Unknown, why, EXPECTED)
                .cure(cure::again(&format!("a busy machine answers late; still silent: {last}")))
        }
    }
}

/// Why nothing was started, where the manager found no units when it started: one that knows nothing
/// of a link which is older than itself looked before the home was there.
fn home(evidence: &Evidence<'_>) -> Option<Check> {
    let (seen, boot) = (evidence.given.seen, evidence.boot);
    let (manager, wanted) = (seen.manager.known()?, boot.wanted.known()?);
    let started = seen.clock.unix - (seen.clock.boottime - manager.started);
    let up = holder_facts(evidence).is_some_and(|unit| unit.active == "active");
    if up || wanted.contains(HOLDER_UNIT) || boot.linked? >= started {
        return None;
    }
    let what = "the user manager started before the home was there, and found no units";
    let check = Check::fails("home", None, Why::HomeLate, what, "there before the user's manager");
    Some(match &boot.home_mount {
        None => check.cure("fleet apply"),
        Some(mount) => {
            let folder = format!("/etc/systemd/system/user@{}.service.d", evidence.uid);
            let lines = format!(r"[Unit]\nRequiresMountsFor={}\n", mount.display());
            check.cure(format!(
                "sudo sh -c \"mkdir -p {folder} && printf '{lines}' > {folder}/home.conf && systemctl daemon-reload\" \
                 && fleet apply"
            ))
        }
    })
}

fn holder_facts<'a>(evidence: &'a Evidence<'_>) -> Option<&'a UnitFacts> {
    evidence.given.seen.units.known()?.get(HOLDER_UNIT)
}

fn holder(evidence: &Evidence<'_>) -> Check {
    const START: &str = "fleet start --holder";
    let fails = |why, seen: String, cure: &str| Check::fails("holder", None, why, seen, "active").cure(cure);
    let unit = match &evidence.given.seen.units {
        Fact::Unknown(why) => return fails(Why::Unknown, why.clone(), "fleet ps"),
        Fact::Known(units) => match units.get(HOLDER_UNIT) {
            None => return fails(Why::NotRunning, "not loaded".to_owned(), "fleet apply"),
            Some(unit) => unit,
        },
    };
    if unit.active == "active" {
        return Check::holds("holder", None, "active");
    }
    let (result, restarts) = unit.detail.as_ref().map_or(("", 0), |d| (d.result.as_str(), d.restarts));
    let seen = format!("{} ({}, {result})", unit.active, unit.sub);
    let said = evidence.boot.said.known().and_then(|said| last_word(said, HOLDER_UNIT));
    match (unit.active.as_str(), result) {
        (_, "start-limit-hit") => fails(Why::StartLimit, seen, START),
        ("activating" | "deactivating", _) if restarts < TRIES => {
            fails(Why::Starting, seen, &cure::again("its start is under way"))
        }
        ("failed" | "activating", _) => {
            let journal = format!("journalctl --user -u {HOLDER_UNIT} -n 20  # says why; then: {START}");
            fails(Why::Failed, format!("{seen}, tried {} times", restarts + 1), &journal)
        }
        _ => match said {
            Some(line) => fails(dropped_since(line), format!("{seen}; systemd said: {line}"), START),
            None => fails(Why::NotRunning, seen, START),
        },
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
        Fact::Unknown(why) => {
            return fails(Why::Unknown, why.clone()).cure(silent(evidence, main_pid));
        }
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
        return fails(Why::Unknown, format!("pid {pid}; not known what the holder's is")).cure("fleet ps");
    }
    if pid == main_pid && unit.is_empty() {
        // The right one by all that is known: nobody is told to end it.
        let why = format!("pid {pid} is the holder's; /proc does not tell in which unit it runs");
        return fails(Why::Unknown, why).cure(cure::again("from where the machine's own /proc is seen"));
    }
    if pid != main_pid || unit != HOLDER_UNIT {
        let unit = if unit.is_empty() { "an unknown unit" } else { unit };
        let holder =
            if main_pid == 0 { "the holder has none".into() } else { format!("the holder's is {main_pid}") };
        let cure = format!(
            "tmux -L {socket} kill-server && fleet start --holder  # save first what runs in it: tmux -L {socket} attach"
        );
        return fails(Why::ForeignServer, format!("pid {pid} of {unit}; {holder}")).cure(cure);
    }
    let started = process.map_or(0.0, |p| p.started) - seen.booted;
    Check::holds("server", None, format!("pid {pid}, started {started:.1} s after the boot"))
}

/// What to do about a server that did not answer. A busy machine answers late, and a server that was
/// stopped goes on: it is ended last, since that ends every agent.
fn silent(evidence: &Evidence<'_>, main_pid: i32) -> String {
    let panes = panes(evidence);
    let last = match main_pid {
        0 => format!("fleet restart --holder, which ends {panes}"),
        // One that hangs can't let its agents go in order; systemd brings all back at once.
        pid => format!(
            "ps -o stat,pcpu,etime,args -p {pid} says what it does (T is stopped: kill -CONT {pid}); \
             last of all: kill -KILL {pid}, which ends {panes}"
        ),
    };
    cure::again(&format!("a busy machine answers late; still silent: {last}"))
}

/// Whether the server is of the version that is installed: one that was upgraded meanwhile runs on
/// as it was, and a client of another version may not be understood.
fn version(evidence: &Evidence<'_>) -> Option<Check> {
    let Fact::Known(Tmux::Running { version, .. }) = &evidence.given.seen.tmux else { return None };
    let installed = match &evidence.boot.tmux {
        Fact::Known(installed) => installed,
        Fact::Unknown(why) => {
            let check =
                Check::fails("tmux", None, Why::Unknown, why, format!("tmux {version}, as the server"));
            return Some(check.cure("tmux -V"));
        }
    };
    if installed == version {
        return Some(Check::holds("tmux", None, format!("{version}, server and program")));
    }
    let seen = format!("the server is tmux {version}, installed is {installed}");
    let check = Check::fails("tmux", None, Why::TmuxVersion, seen, "a server of the installed version");
    Some(check.cure(format!("fleet restart --holder  # ends {}", panes(evidence))))
}

/// Whose panes die with the server.
fn panes(evidence: &Evidence<'_>) -> String {
    let live = evidence.rows.iter().filter(|row| row.pane.state != PaneState::Dead);
    let names: Vec<&str> = live.map(|row| row.name.as_str()).collect();
    match names.as_slice() {
        [] => "no pane".to_owned(),
        [first, _, _, _, _, ..] => format!("the panes of {first} and {} others", names.len() - 1),
        few => format!("the panes of {}", few.join(", ")),
    }
}

fn sessions(evidence: &Evidence<'_>) -> Check {
    const EXPECTED: &str = "no session but the agents' and the holder's";
    let strangers: Vec<&str> = evidence
        .rows
        .iter()
        .filter(|r| r.flags.contains(&Flag::Unknown) && !strangers::is_told(evidence, &r.name))
        .map(|r| r.name.as_str())
        .collect();
    let socket = &evidence.given.roster.socket;
    match (&evidence.given.seen.tmux, strangers.is_empty()) {
        (Fact::Unknown(why), _) => Check::fails("sessions", None, Why::Unknown, why, EXPECTED)
            .cure(format!("tmux -L {socket} list-sessions")),
        (Fact::Known(_), true) => Check::holds("sessions", None, EXPECTED),
        (Fact::Known(_), false) => {
            let kills: Vec<String> = strangers.iter().map(|name| end_of(evidence, name)).collect();
            let named = |name: &&str| AgentName::parse(name).map_or(About::Nothing, About::Agent);
            Check::fails("sessions", None, Why::UnknownSession, strangers.join(", "), EXPECTED)
                .cure(format!("tmux -L {socket} {}  # or have the roster name them", kills.join(r" \; ")))
                .about(About::Several(strangers.iter().map(named).collect()))
        }
    }
}

/// What ends a stranger: its session, or its panes where it made itself at home in the holder's.
fn end_of(evidence: &Evidence<'_>, session: &str) -> String {
    if session != evidence.given.roster.holder_session.as_str() {
        return format!("kill-session -t {}", cure::quoted(&format!("={session}")));
    }
    let panes = beside_the_holder(&evidence.given);
    let kills: Vec<String> = panes.iter().map(|pane| format!("kill-pane -t {}", pane.id)).collect();
    kills.join(r" \; ")
}

/// A name that is only the beginning of a session's must not hit it.
fn exact(evidence: &Evidence<'_>) -> Option<Check> {
    let (name, hit) = evidence.probes.exact.as_ref()?;
    let expected = format!("={name} hits no session");
    Some(match hit {
        Fact::Known(false) => Check::holds("exact-targets", None, expected),
        Fact::Known(true) => {
            Check::fails("exact-targets", None, Why::PrefixHit, format!("={name} hit a session"), expected)
                .cure("tmux -V  # this tmux does not understand exact targets: install another")
        }
        Fact::Unknown(why) => Check::fails("exact-targets", None, Why::Unknown, why, expected)
            .cure(format!("tmux -L {} has-session -t '={name}'", evidence.given.roster.socket)),
    })
}
