//! One look at a tenant: every fact that plan and observe judge, at a cost that does not grow with
//! subprocesses.
//!
//! tmux and the user manager are asked at the same time, each bounded: one that hangs is a fact
//! that is not known, and holds up nothing else. Judges nothing.

mod bus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::look::{LONGEST_FILE, at, parked};
use super::process::{self, Seen};
use super::tmux::Server;
use super::users::Caller;
use super::{cgroup, clock, logind, wants};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::{heartbeat, record};
use crate::snapshot::{Fact, FileFacts, Process, Snapshot, Tmux, UnitFacts};

pub use bus::Depth;

/// After this time whoever has not answered is not waited for.
const PATIENCE: Duration = Duration::from_millis(1700);
/// The longest chain of parents that is followed.
const LONGEST_CHAIN: usize = 64;

/// What to look at.
#[derive(Debug)]
pub struct Look<'a> {
    /// Whose places.
    pub layout: &'a Layout,
    /// Whose manager.
    pub caller: &'a Caller,
    /// Which agents.
    pub agents: &'a [AgentName],
    /// Which tmux server; `None` for not looking at any.
    pub server: Option<Server>,
    /// How much of each unit.
    pub depth: Depth,
    /// Which further files and links.
    pub files: &'a [PathBuf],
}

/// Takes the look.
pub fn gather(look: &Look<'_>) -> Snapshot {
    let deadline = Instant::now() + PATIENCE;
    let (uid, depth) = (look.caller.uid, look.depth);
    let (home, folders) = (look.layout.home().to_path_buf(), wants::unit_folders(look.layout, uid));
    let bus = beside(move || bus::ask(uid, &home, &folders, depth));
    let tmux = look.server.clone().map(|server| beside(move || Fact::from(server.look())));
    let wants = wants::wants(&wants::unit_folders(look.layout, uid));
    let linger = logind::linger(&look.caller.name);
    let files = look.files.iter().filter_map(|path| Some((path.clone(), at(path, LONGEST_FILE)?)));
    let files = files.collect();
    let parked = parked(look.layout, look.agents);
    let records = each(look, |agent| Some(text(at(&look.layout.record(agent), record::LONGEST)?)));
    let beats = each(look, |agent| at(&look.layout.heartbeat(agent), heartbeat::LONGEST));
    let clock = clock::now();
    let tmux = match tmux {
        None => Fact::Unknown("tmux was not looked at".to_owned()),
        Some(tmux) => answer(&tmux, deadline).unwrap_or_else(|| Fact::Unknown(late("tmux"))),
    };
    let mut seen = panes(look, &tmux, &records, &clock.boot_id);
    let bus::Answer { manager, units } = answer(&bus, deadline).unwrap_or_else(|| {
        let why = late("the user manager");
        bus::Answer { manager: Fact::Unknown(why.clone()), units: Fact::Unknown(why) }
    });
    servers(&tmux, &units, &mut seen);
    ancestors_of_writers(&beats, &mut seen);
    let cgroups = cgroups(look, &units, &seen);
    let of_each = |read: fn(&str) -> Option<u64>| {
        cgroups.iter().filter_map(|(unit, path)| Some((unit.clone(), read(path)?))).collect()
    };
    Snapshot {
        linger,
        manager,
        wants,
        files,
        beats,
        parked,
        memory: of_each(cgroup::memory),
        oom_kills: of_each(cgroup::oom_kills),
        processes: seen
            .into_iter()
            .map(|(pid, seen)| (pid, seen.process))
            .collect::<BTreeMap<i32, Process>>(),
        clock,
        booted: clock::booted(),
        units,
        tmux,
        records,
    }
}

/// Runs something beside this thread; one that hangs is left behind.
fn beside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more where it came too late.
        let _ = tell.send(run());
    });
    told
}

fn answer<T>(told: &Receiver<T>, deadline: Instant) -> Option<T> {
    told.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn late(who: &str) -> String {
    format!("{who} did not answer within {} s", PATIENCE.as_secs_f64())
}

fn each<T>(look: &Look<'_>, read: impl Fn(&AgentName) -> Option<T>) -> BTreeMap<AgentName, T> {
    look.agents.iter().filter_map(|agent| Some((agent.clone(), read(agent)?))).collect()
}

fn text(fact: Fact<FileFacts>) -> Fact<String> {
    match fact {
        Fact::Unknown(why) => Fact::Unknown(why),
        Fact::Known(FileFacts::File { content, .. }) => {
            Fact::from(String::from_utf8(content).map_err(|_| "not text"))
        }
        Fact::Known(FileFacts::Link(_)) => Fact::Unknown("a symbolic link in place of a file".to_owned()),
        Fact::Known(FileFacts::Other(what)) => Fact::Unknown(format!("{what} in place of a file")),
    }
}

/// The agents' processes: what their panes run, and what their supervisors say they run, which is
/// all there is to see where tmux says nothing.
fn panes(
    look: &Look<'_>,
    tmux: &Fact<Tmux>,
    records: &BTreeMap<AgentName, Fact<String>>,
    boot_id: &str,
) -> BTreeMap<i32, Seen> {
    let panes = match tmux {
        Fact::Known(Tmux::Running { panes, .. }) => panes.as_slice(),
        Fact::Known(Tmux::Absent) | Fact::Unknown(_) => &[],
    };
    let names: BTreeSet<&str> = look.agents.iter().map(AgentName::as_str).collect();
    let shown = panes.iter().filter(|p| !p.dead && names.contains(p.session.as_str())).map(|p| p.pid);
    let recorded = records.values().filter_map(|r| record::Record::parse(r.known()?));
    let recorded = recorded.filter(|r| r.boot_id == boot_id).filter_map(|r| r.runtime_pid);
    process::trees(shown.chain(recorded).collect::<BTreeSet<i32>>())
}

/// The server, as it says itself and as systemd says.
fn servers(tmux: &Fact<Tmux>, units: &Fact<BTreeMap<String, UnitFacts>>, seen: &mut BTreeMap<i32, Seen>) {
    let itself = match tmux {
        Fact::Known(Tmux::Running { pid, .. }) => Some(*pid),
        Fact::Known(Tmux::Absent) | Fact::Unknown(_) => None,
    };
    let holder = units.known().and_then(|u| u.get(crate::names::HOLDER_UNIT)?.detail.as_ref());
    for pid in itself.into_iter().chain(holder.map(|d| d.main_pid)).filter(|pid| *pid > 0) {
        if let Some(server) = process::look(pid) {
            seen.insert(pid, server);
        }
    }
}

/// Who wrote the beats, with all parents up to a process that is known: it may be far below the
/// pane's.
fn ancestors_of_writers(beats: &BTreeMap<AgentName, Fact<FileFacts>>, seen: &mut BTreeMap<i32, Seen>) {
    for beat in beats.values() {
        let Some(FileFacts::File { content, .. }) = beat.known() else { continue };
        let Ok(beat) = heartbeat::parse(content) else { continue };
        let mut at = beat.pid;
        for _ in 0..LONGEST_CHAIN {
            if at <= 1 || seen.contains_key(&at) {
                break;
            }
            let Some(writer) = process::look(at) else { break };
            let parent = writer.process.parent;
            seen.insert(at, writer);
            at = parent;
        }
    }
}

/// Where each agent's unit has its cgroup: as systemd says, else where a process of it is.
fn cgroups(
    look: &Look<'_>,
    units: &Fact<BTreeMap<String, UnitFacts>>,
    seen: &BTreeMap<i32, Seen>,
) -> BTreeMap<String, String> {
    let of_processes: BTreeMap<&str, &str> =
        seen.values().map(|s| (s.process.unit.as_str(), s.cgroup.as_str())).collect();
    let place = |unit: &String| {
        let told = units.known().and_then(|u| u.get(unit)?.detail.as_ref()).map(|d| d.cgroup.as_str());
        told.filter(|path| !path.is_empty()).or_else(|| of_processes.get(unit.as_str()).copied())
    };
    let units = look.agents.iter().map(AgentName::unit);
    units.filter_map(|unit| place(&unit).map(str::to_owned).map(|path| (unit, path))).collect()
}
