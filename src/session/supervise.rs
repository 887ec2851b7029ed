//! The supervisor of one agent: it brings the pane into the unit's cgroup, tells systemd, waits for
//! the end and passes it on. What it is doing stands in its status and in its record.
//!
//! It stays in memory for days behind every agent: no argument parser, no bus, no threads, and
//! while the runtime runs it sleeps until something happens.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::backoff;
use super::ending::{self, Ending};
use super::gate::{Complaint, Gate, Waiting};
use super::journal::Journal;
use super::settings::{Settings, kept_npm_prefix};
use super::signals::{Signals, Wake};
use super::slots::{self, Admission, Slot};
use super::waiting;
use super::watch::{self, Runtime};
use crate::host::cgroup;
use crate::host::clock;
use crate::host::process;
use crate::host::tmux::listing;
use crate::host::tmux::{Founding, Made, NewSession, Server, Target, TmuxError};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::record::{Record, State};
use crate::snapshot::Pane;

/// How long a pane may take from its session's start to the gate, and from there to its runtime.
const PANE_WITHIN: Duration = Duration::from_secs(20);
/// Lines that a first step which ended too early left, and that are told.
const LAST_LINES: u32 = 3;
/// More processes than that are not moved one by one; those that they start later are with them.
const MOST_ADOPTED: usize = 10_000;
/// The longest pane command that is passed on a command line: tmux takes 16 KiB in all.
const LONGEST_COMMAND: usize = 8 * 1024;

/// Why a start came to nothing; each is tried again by systemd, with a growing delay.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// tmux did not do what it was asked.
    #[error("{0}")]
    Tmux(#[from] TmuxError),
    /// The system refused something.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The kernel refused something.
    #[error("{0}")]
    Kernel(#[from] nix::Error),
    /// The environment files can't be used.
    #[error("{0}")]
    Settings(#[from] super::settings::Unusable),
    /// The pane did not come to the gate, or its first step failed.
    #[error("{0}")]
    Pane(String),
    /// The pane's first step refused to become the runtime, with that exit code.
    #[error("{1}")]
    Refused(u8, String),
}

impl Failed {
    /// Whether a session of the agent's may stand, and be all that is needed: of a server that does not
    /// answer, or is not there, nothing more can be learnt.
    fn leaves_open_what_stands(&self) -> bool {
        !matches!(self, Self::Tmux(error) if !matches!(error, TmuxError::Refused { .. }))
    }
}

/// How far a start got.
enum Started {
    Running(Runtime),
    Stopped,
}

/// Supervises `agent` until its runtime has ended or a stop was asked for; never returns before.
pub fn supervise(layout: &Layout, agent: &AgentName) -> Ending {
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => return Ending::failed(format!("take over signals: {error}")),
    };
    let before = Journal::previous(layout, agent);
    let said = before.as_ref().filter(|r| r.state == State::Ended).map(|r| r.status.clone());
    let now = clock::boottime();
    let quick = before.as_ref().map_or(0, |r| backoff::quick_ends_inherited(r, now));
    let mut record = Record::next(before, &clock::boot_id(), now);
    record.quick_ends = quick.min(if record.starts == 1 { 0 } else { u32::MAX });
    let mut journal = Journal::new(layout, agent, record, said);
    // Before anything that can fail: systemd alone would try again faster than its limit allows.
    match hold_back(&mut signals, &mut journal) {
        Ok(true) => {}
        Ok(false) => return journal.stopped(),
        Err(error) => return journal.fail(error.to_string()),
    }
    let server = match Settings::read(layout, agent).and_then(|s| s.socket()) {
        Ok(socket) => super::fleet_server(&socket),
        Err(error) => return journal.fail(error.to_string()),
    };
    match start(layout, agent, &server, &mut signals, &mut journal) {
        Ok(Started::Running(runtime)) => {
            let ending = watch::until_the_end(layout, agent, &server, runtime, &mut signals, &mut journal);
            ending::leave_nothing(&server, agent);
            ending
        }
        Ok(Started::Stopped) => {
            ending::leave_nothing(&server, agent);
            journal.stopped()
        }
        Err(error) => {
            ending::leave_nothing(&server, agent);
            match error {
                Failed::Refused(code, why) => journal.refused(code, why),
                error => journal.fail(error.to_string()),
            }
        }
    }
}

fn start(
    layout: &Layout,
    agent: &AgentName,
    server: &Server,
    signals: &mut Signals,
    journal: &mut Journal,
) -> Result<Started, Failed> {
    let slot = match slots::take(&layout.slots(), signals, || {
        journal.phase(State::Waiting, "waiting for a start slot")
    })? {
        Admission::Admitted(slot) => slot,
        Admission::Stopped => return Ok(Started::Stopped),
    };
    journal.phase(State::Starting, "starting");
    let own = cgroup::own()?;
    // Mostly nothing is in the way, and tmux is asked once; what is, is looked at when it is met.
    let (gate, made) = match make(layout, agent, server, journal) {
        Err(error) if error.leaves_open_what_stands() => {
            let panes = server.panes(agent.as_str())?;
            let Some(pane) = first(&panes) else { return Err(error) };
            if !pane.dead {
                return adopt(&own, pane.id.clone(), pane.pid, slot, journal).map(Started::Running);
            }
            server.kill_session(agent.as_str())?;
            make(layout, agent, server, journal)?
        }
        made => made?,
    };
    let pane = match comes(&gate, &made, signals)? {
        Some(Came::ToTheGate(pane)) => pane,
        Some(Came::ToItsEnd) => return Err(Failed::Pane(ended_early(server, &made))),
        None => return Ok(Started::Stopped),
    };
    let started = enter(&own, pane, made.pane, slot, signals, journal)?;
    if matches!(started, Started::Running(_)) {
        waiting::deliver(layout, agent);
    }
    Ok(started)
}

/// The pane that a session began with: the agent's, as [`Server::own_pane`] has it. One that a person has
/// opened beside it is never taken for the agent.
fn first(panes: &[Pane]) -> Option<&Pane> {
    panes.iter().min_by_key(|pane| listing::number_of(&pane.id).unwrap_or(u32::MAX))
}

/// Makes the agent's session, whose pane comes to the gate. Where one stands already, tmux refuses.
fn make(
    layout: &Layout,
    agent: &AgentName,
    server: &Server,
    journal: &mut Journal,
) -> Result<(Gate, Made), Failed> {
    let settings = Settings::read(layout, agent)?;
    std::fs::create_dir_all(settings.workdir()).map_err(|e| {
        Failed::Pane(format!("make the working directory {}: {e}", settings.workdir().display()))
    })?;
    let gate = Gate::open(layout, agent)?;
    let command = settings.pane_command(layout, kept_npm_prefix(layout).as_deref())?;
    let made = server.new_session(&NewSession {
        name: agent.as_str(),
        folder: settings.workdir(),
        argv: &pane_argv(layout, agent, (command.len() <= LONGEST_COMMAND).then_some(command)),
        size: None,
        founding: Founding::Forbidden,
    })?;
    // Only now: one that is adopted was made with another.
    journal.record.environment = settings.environment();
    Ok((gate, made))
}

/// Waits out the delay after ends that came too soon; `false` when a stop was asked for.
fn hold_back(signals: &mut Signals, journal: &mut Journal) -> Result<bool, Failed> {
    let delay = backoff::delay(journal.record.quick_ends);
    let ended = journal.record.last_end_boottime.unwrap_or(0.0);
    let left = ended + delay.as_secs_f64() - clock::boottime();
    if delay.is_zero() || left <= 0.0 {
        return Ok(true);
    }
    let left = Duration::from_secs_f64(left.min(delay.as_secs_f64()));
    journal.hold_back(left);
    match signals.wait(&[], Some(Instant::now() + left))? {
        Wake::Stop => Ok(false),
        Wake::Timeout | Wake::Now | Wake::Ready(_) => {
            journal.record.next_try = None;
            Ok(true)
        }
    }
}

/// What became of a session that was just made.
enum Came {
    /// Its pane waits at the gate.
    ToTheGate(Waiting),
    /// Its process has ended.
    ToItsEnd,
}

/// Waits for the pane at the gate, or for its end; `None` when a stop was asked for.
fn comes(gate: &Gate, made: &Made, signals: &mut Signals) -> Result<Option<Came>, Failed> {
    let until = Instant::now() + PANE_WITHIN;
    let process = Pid::from_raw(made.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let Some(Ok(process)) = process else { return Ok(Some(Came::ToItsEnd)) };
    loop {
        match signals.wait(&[gate.as_fd(), process.as_fd()], Some(until))? {
            Wake::Stop => return Ok(None),
            Wake::Timeout => {
                return Err(Failed::Pane(format!(
                    "the pane's first step did not come within {} s",
                    PANE_WITHIN.as_secs()
                )));
            }
            Wake::Now => {}
            Wake::Ready(0) => {
                if let Some(pane) = gate.accept()? {
                    return Ok(Some(Came::ToTheGate(pane)));
                }
            }
            Wake::Ready(_) => return Ok(Some(Came::ToItsEnd)),
        }
    }
}

/// How a pane ended that never came to the gate, in words.
fn ended_early(server: &Server, made: &Made) -> String {
    let end = match server.ended_pane(&made.pane, made.pid) {
        Ok(Some(Pane { dead_signal: Some(signal), .. })) => format!(", signal {signal}"),
        Ok(Some(Pane { dead_status: Some(code), .. })) => format!(", exit code {code}"),
        Ok(_) | Err(_) => String::new(),
    };
    let program = super::own_program();
    let last = server.capture(Target::Pane(&made.pane), LAST_LINES).unwrap_or_default();
    let last = last.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let last = if last.is_empty() { last } else { format!(": {last}") };
    format!("the pane's first step, {}, ended before it came to the gate{end}{last}", program.display())
}

/// Lets the pane through the gate once it is in the unit's cgroup, and waits until it is the
/// runtime.
fn enter(
    own: &str,
    mut pane: Waiting,
    pane_id: String,
    slot: Slot,
    signals: &mut Signals,
    journal: &mut Journal,
) -> Result<Started, Failed> {
    let until = Instant::now() + PANE_WITHIN;
    let pid = pane.pid;
    let runtime = Runtime::new(pid, pane_id, own, slot)?;
    cgroup::move_into(own, pid)?;
    // From here on whatever it says is this run's: its first heartbeat may come before systemd knows.
    journal.record.started = Some(clock::boottime());
    pane.let_in()?;
    loop {
        match signals.wait(&[pane.as_fd()], Some(until))? {
            Wake::Stop => return Ok(Started::Stopped),
            Wake::Timeout => {
                return Err(Failed::Pane("the pane did not become the runtime in time".to_owned()));
            }
            Wake::Now => {}
            Wake::Ready(_) => break,
        }
    }
    match pane.outcome()? {
        Some(Complaint { code: Some(code), why }) => return Err(Failed::Refused(code, why)),
        Some(Complaint { code: None, why }) => return Err(Failed::Pane(why)),
        None => {}
    }
    journal.running(pid);
    Ok(Started::Running(runtime))
}

/// Takes over a live session of the agent's name, which somebody started by hand or an earlier
/// supervisor left: its processes join the unit.
fn adopt(own: &str, pane_id: String, pid: i32, slot: Slot, journal: &mut Journal) -> Result<Runtime, Failed> {
    let runtime = Runtime::new(pid, pane_id, own, slot)?;
    cgroup::move_into(own, pid)?;
    for child in process::descendants(pid, MOST_ADOPTED) {
        // One that has ended meanwhile needs no move.
        let _ = cgroup::move_into(own, child);
    }
    journal.running(pid);
    Ok(runtime)
}

fn pane_argv(layout: &Layout, agent: &AgentName, command: Option<String>) -> Vec<std::ffi::OsString> {
    let program = super::own_program();
    let mut argv: Vec<std::ffi::OsString> = vec![program, "session".into(), "pane".into(), "--gate".into()];
    argv.extend(["--home".into(), layout.mosaic().into(), agent.as_str().into()]);
    argv.extend(command.map(Into::into));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_pane_is_the_one_that_its_session_began_with_alive_or_dead() {
        let chosen = |listed: &str| {
            let panes = listing::parse_panes(listed).expect("panes");
            first(&panes).map(|pane| (pane.id.clone(), pane.dead))
        };
        let beside = "p:%10:12:0:::5:coder:bash\n";
        assert_eq!(chosen(&format!("{beside}p:%9:11:0:::5:coder:pi\n")), Some(("%9".to_owned(), false)));
        assert_eq!(chosen(&format!("{beside}p:%9:11:1:3::5:coder:pi\n")), Some(("%9".to_owned(), true)));
        assert_eq!(chosen(""), None);
    }
}
