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

use super::cgroup::{Account, Accounts};
use super::look::{LONGEST_FILE, at, parked};
use super::process::{self, Seen};
use super::tmux::Server;
use super::users::Caller;
use super::{clock, logind, wants};
use crate::layout::Layout;
use crate::names::{AgentName, HOLDER_UNIT};
use crate::runfile::{heartbeat, record};
use crate::snapshot::{Fact, FileFacts, Process, Snapshot, Tmux, UnitFacts};

pub use bus::Depth;

/// After this time whoever has not answered is not waited for.
const PATIENCE: Duration = Duration::from_millis(1700);
/// The longest chain of parents that is followed.
const LONGEST_CHAIN: usize = 64;

/// What to look at.
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
    /// Whether an agent's process says enough, so that those below it need no look.
    pub says_enough: &'a dyn Fn(&AgentName, i32, &Process) -> bool,
}

/// Takes the look.
pub fn gather(look: &Look<'_>) -> Snapshot {
    let deadline = Instant::now() + PATIENCE;
    let (uid, depth) = (look.caller.uid, look.depth);
    let (home, folders) = (look.layout.home().to_path_buf(), wants::unit_folders(look.layout, uid));
    let bus = beside(move || bus::ask(uid, &home, &folders, depth));
    let tmux = look.server.clone().map(|server| beside(move || Fact::from(server.look())));
    // While both think about it, everything that is read from files.
    let records = each(look, |agent| Some(text(at(&look.layout.record(agent), record::LONGEST)?)));
    let beats = each(look, |agent| at(&look.layout.heartbeat(agent), heartbeat::LONGEST));
    let clock = clock::now();
    let mut processes = Processes::new(look);
    processes.recorded(&records, &clock.boot_id);
    let wants = wants::wants(&wants::unit_folders(look.layout, uid));
    let linger = logind::linger(&look.caller.name);
    let files = look.files.iter().filter_map(|path| Some((path.clone(), at(path, LONGEST_FILE)?)));
    let files = files.collect();
    let parked = parked(look.layout, &noted_as_parked(look));
    let tmux = match tmux {
        None => Fact::Unknown("tmux was not looked at".to_owned()),
        Some(tmux) => answer(&tmux, deadline).unwrap_or_else(|| Fact::Unknown(late("tmux"))),
    };
    processes.shown(&tmux);
    processes.writers(&beats);
    let bus::Answer { manager, units } = answer(&bus, deadline).unwrap_or_else(|| {
        let why = late("the user manager");
        bus::Answer { manager: Fact::Unknown(why.clone()), units: Fact::Unknown(why) }
    });
    processes.holder(&units);
    let accounts = processes.accounts(&units);
    let of_each = |read: fn(&Account) -> Option<u64>| {
        accounts.iter().filter_map(|(unit, account)| Some((unit.clone(), read(account)?))).collect()
    };
    Snapshot {
        linger,
        manager,
        wants,
        files,
        beats,
        parked,
        memory: of_each(|account| account.memory),
        oom_kills: of_each(|account| account.oom_kills),
        processes: processes.seen.into_iter().map(|(pid, seen)| (pid, seen.process)).collect(),
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

/// Agents of which something says that they are parked: most never are, so the folder is looked at
/// rather than a file for each.
fn noted_as_parked(look: &Look<'_>) -> Vec<AgentName> {
    let Ok(entries) = std::fs::read_dir(look.layout.run()) else { return look.agents.to_vec() };
    let names: BTreeSet<String> =
        entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    let file = |agent: &AgentName| look.layout.parked(agent).file_name()?.to_str().map(str::to_owned);
    look.agents
        .iter()
        .filter(|agent| file(agent).is_some_and(|name| names.contains(&name)))
        .cloned()
        .collect()
}

/// The processes concerned, each looked at once.
struct Processes<'a> {
    look: &'a Look<'a>,
    seen: BTreeMap<i32, Seen>,
}

impl<'a> Processes<'a> {
    fn new(look: &'a Look<'a>) -> Self {
        Self { look, seen: BTreeMap::new() }
    }

    fn one(&mut self, pid: i32) {
        if pid > 0 && !self.seen.contains_key(&pid) {
            self.seen.extend(process::look(pid).map(|seen| (pid, seen)));
        }
    }

    fn agent(&mut self, agent: &AgentName, pid: i32) {
        if self.seen.contains_key(&pid) {
            return;
        }
        self.one(pid);
        let enough = |seen: &Seen| (self.look.says_enough)(agent, pid, &seen.process);
        if self.seen.get(&pid).is_some_and(|seen| !enough(seen)) {
            process::look_below(pid, &mut self.seen);
        }
    }

    /// What supervisors say they run: mostly the same as what their panes show, and all there is to
    /// see where tmux says nothing.
    fn recorded(&mut self, records: &BTreeMap<AgentName, Fact<String>>, boot_id: &str) {
        for (agent, record) in records {
            let record = record.known().and_then(|text| record::Record::parse(text));
            if let Some(pid) = record.filter(|r| r.boot_id == boot_id).and_then(|r| r.runtime_pid) {
                self.agent(agent, pid);
            }
        }
    }

    /// What panes show, and the server itself.
    fn shown(&mut self, tmux: &Fact<Tmux>) {
        let Fact::Known(Tmux::Running { pid, panes, .. }) = tmux else { return };
        self.one(*pid);
        let agents: BTreeMap<&str, &AgentName> = self.look.agents.iter().map(|a| (a.as_str(), a)).collect();
        for pane in panes.iter().filter(|p| !p.dead) {
            if let Some(agent) = agents.get(pane.session.as_str()) {
                self.agent(agent, pane.pid);
            }
        }
    }

    /// Who wrote the beats, with all parents up to a process that is known: it may be far below the
    /// pane's.
    fn writers(&mut self, beats: &BTreeMap<AgentName, Fact<FileFacts>>) {
        for beat in beats.values() {
            let Some(FileFacts::File { content, .. }) = beat.known() else { continue };
            let Ok(beat) = heartbeat::parse(content) else { continue };
            let mut at = beat.pid;
            for _ in 0..LONGEST_CHAIN {
                if at <= 1 || self.seen.contains_key(&at) {
                    break;
                }
                let Some(writer) = process::look(at) else { break };
                let parent = writer.process.parent;
                self.seen.insert(at, writer);
                at = parent;
            }
        }
    }

    /// The holder's main process, as systemd has it.
    fn holder(&mut self, units: &Fact<BTreeMap<String, UnitFacts>>) {
        let holder = units.known().and_then(|u| u.get(HOLDER_UNIT)?.detail.as_ref());
        if let Some(pid) = holder.map(|d| d.main_pid) {
            self.one(pid);
        }
    }

    /// What the kernel accounts for of each agent's unit: where systemd has its cgroup, else where a
    /// process of it is.
    fn accounts(&self, units: &Fact<BTreeMap<String, UnitFacts>>) -> BTreeMap<String, Account> {
        let of_processes: BTreeMap<&str, &str> =
            self.seen.values().map(|s| (s.process.unit.as_str(), s.cgroup.as_str())).collect();
        let accounts = Accounts::open();
        let account = |unit: &String| {
            let told = units.known().and_then(|u| u.get(unit)?.detail.as_ref()).map(|d| d.cgroup.as_str());
            let path = told.filter(|p| !p.is_empty()).or_else(|| of_processes.get(unit.as_str()).copied())?;
            Some(accounts.of(path))
        };
        let names = self.look.agents.iter().map(AgentName::unit);
        names.filter_map(|unit| Some((unit.clone(), account(&unit)?))).collect()
    }
}
