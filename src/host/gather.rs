//! One look at a tenant: every fact that plan and observe judge, at a cost that does not grow with
//! subprocesses.
//!
//! tmux and the user manager are asked at the same time, each bounded: one that hangs is a fact
//! that is not known, and holds up nothing else. Judges nothing.

mod agents;
pub(super) mod bus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::cgroup::Account;
use super::look::{LONGEST_FILE, at};
use super::tmux::Server;
use super::users::Caller;
use super::{clock, logind, parking, wants};
use crate::layout::{Layout, within};
use crate::names::AgentName;
use crate::snapshot::{Fact, Process, Snapshot, Tmux};

pub use agents::Told;
pub use bus::Depth;

/// After this time whoever has not answered is not waited for.
const PATIENCE: Duration = Duration::from_millis(1700);

/// What to look at.
pub struct Look<'a> {
    /// Whose places.
    pub layout: &'a Layout,
    /// Whose manager.
    pub caller: &'a Caller,
    /// Which agents.
    pub agents: &'a [AgentName],
    /// Which further files and links.
    pub files: &'a [PathBuf],
    /// Whether an agent's process says enough, so that its arguments, and then those below it, need
    /// no look.
    pub says_enough: &'a (dyn Fn(&AgentName, &Process) -> bool + Sync),
}

/// What the user manager has been asked, while other things are done.
#[derive(Debug)]
pub struct Asked {
    told: Receiver<bus::Answer>,
    tmux: Option<AskedTmux>,
    depth: Depth,
    deadline: Instant,
}

/// A tmux server that has been asked.
#[derive(Debug)]
struct AskedTmux {
    server: Server,
    told: Receiver<Fact<Tmux>>,
}

impl Asked {
    /// Asks this tmux server, too, unless it has been; no other counts.
    pub fn and(self, server: Server) -> Self {
        if self.tmux.as_ref().is_some_and(|asked| asked.server == server) {
            return self;
        }
        let asks = server.clone();
        let told = beside(move || Fact::from(asks.look()));
        Self { tmux: Some(AskedTmux { server, told }), ..self }
    }

    /// Waits until no program is under way any more: each is ended when its time is up, but only by us.
    pub fn let_go(self) {
        if let Some(asked) = self.tmux {
            // What it says does not matter.
            let _ = asked.told.recv();
        }
    }
}

/// As [`ask`] and [`Asked::and`]; but who did not answer a moment ago is not waited for once more: what
/// that look says of it stands.
pub fn ask_again(
    layout: &Layout,
    caller: &Caller,
    depth: Depth,
    server: Option<Server>,
    before: &Snapshot,
) -> Asked {
    let asked = match &before.units {
        Fact::Known(_) => ask(layout, caller, depth),
        Fact::Unknown(_) => {
            let answer = bus::Answer { manager: before.manager.clone(), units: before.units.clone() };
            Asked { told: at_once(answer), tmux: None, depth, deadline: Instant::now() + PATIENCE }
        }
    };
    match (&before.tmux, server) {
        (_, None) => asked,
        (Fact::Known(_), Some(server)) => asked.and(server),
        (Fact::Unknown(why), Some(server)) => {
            let told = at_once(Fact::Unknown(why.clone()));
            Asked { tmux: Some(AskedTmux { server, told }), ..asked }
        }
    }
}

/// Asks the manager of `caller`, which reads units where `layout` has them.
pub fn ask(layout: &Layout, caller: &Caller, depth: Depth) -> Asked {
    let (uid, layout) = (caller.uid, layout.clone());
    let told = beside(move || bus::ask(uid, &layout, depth));
    Asked { told, tmux: None, depth, deadline: Instant::now() + PATIENCE }
}

/// Takes the look.
pub fn gather(look: &Look<'_>, asked: &Asked) -> Snapshot {
    let deadline = asked.deadline;
    // While both think about it, everything that is read from files.
    let rare = Rare::list(look.layout);
    let mut agents = agents::look_at(look, &rare, &clock::boot_id());
    let clock = clock::now();
    let folders = wants::unit_folders(look.layout, look.caller.uid);
    let wants = match asked.depth {
        Depth::Rows => wants::wants_of(&folders, wants::BOOT),
        Depth::Everything => wants::wants(&folders),
    };
    let linger = logind::linger(&look.caller.name);
    let files = look.files.iter().filter_map(|path| Some((path.clone(), at(path, LONGEST_FILE)?)));
    let files = files.collect();
    let parked = parking::parked(look.layout, &rare.with(look, within::parked));
    let launched = agents::launched(look, &rare.with(look, within::launched));
    let mut tmux = match &asked.tmux {
        None => Fact::Unknown("tmux was not looked at".to_owned()),
        Some(asked) => answer(&asked.told, deadline).unwrap_or_else(|| Fact::Unknown(late("tmux"))),
    };
    agents.shown(look, &mut tmux);
    let bus::Answer { manager, units } = answer(&asked.told, deadline).unwrap_or_else(|| {
        let why = late("the user manager");
        bus::Answer { manager: Fact::Unknown(why.clone()), units: Fact::Unknown(why) }
    });
    agents.holder(&units);
    let accounts = agents.accounts(look, &units);
    let of_each = |read: fn(&Account) -> Option<u64>| {
        accounts.iter().filter_map(|(unit, account)| Some((unit.clone(), read(account)?))).collect()
    };
    Snapshot {
        linger,
        manager,
        wants,
        files,
        parked,
        memory: of_each(|account| account.memory),
        oom_kills: of_each(|account| account.oom_kills),
        folders: BTreeMap::new(),
        holder: None,
        stand_ins: Fact::Unknown("not looked for".to_owned()),
        left: BTreeMap::new(),
        records: agents.records,
        environments: agents.environments,
        receipts: agents.receipts,
        launched,
        beats: agents.beats,
        hidden: agents.hidden,
        processes: agents.seen.into_iter().map(|(pid, seen)| (pid, seen.process)).collect(),
        clock,
        booted: clock::booted(),
        units,
        tmux,
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

/// An answer that is there already.
fn at_once<T>(answer: T) -> Receiver<T> {
    let (tell, told) = mpsc::channel();
    // It waits in the channel for whoever takes it.
    let _ = tell.send(answer);
    told
}

fn answer<T>(told: &Receiver<T>, deadline: Instant) -> Option<T> {
    told.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn late(who: &str) -> String {
    format!("{who} did not answer within {} s", PATIENCE.as_secs_f64())
}

/// Which files there are of those that most agents have none of: one look at a folder costs less than
/// one for each of them. Nothing is known of those of a folder that can't be read.
#[derive(Debug)]
struct Rare {
    of_run: Option<BTreeSet<String>>,
    of_agents: Option<BTreeSet<String>>,
}

/// Their names' endings, and the one of those beside the rendered environment files.
const RARE: [&str; 3] = [".parked", ".launched", ".receipt"];
const RARE_ENV: &str = ".local.env";

impl Rare {
    fn list(layout: &Layout) -> Self {
        let names = |folder: PathBuf, rare: fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).ok()?;
            // No agent's file has a name that is not text.
            let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string()));
            let names: std::io::Result<Vec<_>> = names.collect();
            Some(names.ok()?.into_iter().filter_map(Result::ok).filter(|name| rare(name)).collect())
        };
        Self {
            of_run: names(layout.run(), |name| RARE.iter().any(|ending| name.ends_with(ending))),
            of_agents: names(layout.agents(), |name| name.ends_with(RARE_ENV)),
        }
    }

    /// Whether the file of that name may be there.
    fn has(&self, name: &str) -> bool {
        let listed = if name.ends_with(RARE_ENV) { &self.of_agents } else { &self.of_run };
        listed.as_ref().is_none_or(|names| names.contains(name))
    }

    /// Agents that may have this file.
    fn with(&self, look: &Look<'_>, file: fn(&AgentName) -> String) -> Vec<AgentName> {
        if self.of_run.as_ref().is_some_and(BTreeSet::is_empty) {
            return Vec::new();
        }
        look.agents.iter().filter(|agent| self.has(&file(agent))).cloned().collect()
    }
}

/// Facts by agent, where there are any.
type ByAgent<T> = BTreeMap<AgentName, Fact<T>>;
