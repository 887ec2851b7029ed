//! What a plan needs to see of a machine, gathered in a few calls whatever the number of agents.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::gather::bus;
use super::stand_ins::OwnFiles;
use super::systemd::{Detail, SystemdError, UserManager};
use super::tmux::Server;
use super::{clock, declared, logind, parking, process, runfiles, stand_ins, users, wants};
use crate::layout::Layout;
use crate::names::{AgentName, HOLDER_UNIT};
use crate::runfile::started;
use crate::snapshot::{Fact, FileFacts, Snapshot, Tmux, UnitFacts};

/// No file of ours is longer; one that is differs from ours anyway.
pub(super) const LONGEST_FILE: usize = 4 * 1024 * 1024;
/// The units of ours, the holder's and all agents'.
const OURS: [&str; 2] = [HOLDER_UNIT, "mosaic-agent@*.service"];
/// What decides whether a unit has to be restarted or reloaded.
const DETAILS: [Detail; 4] = [Detail::MainPid, Detail::Result, Detail::Fragment, Detail::DropIns];

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The tenant's places.
    pub layout: &'a Layout,
    /// The tenant's user.
    pub uid: u32,
    /// Paths at which we have something or want something.
    pub files: &'a BTreeSet<PathBuf>,
    /// Agents that may be parked.
    pub agents: &'a [AgentName],
    /// Agents that are to leave nothing behind.
    pub gone: &'a [AgentName],
    /// Folders of ours.
    pub folders: &'a BTreeSet<PathBuf>,
    /// The fleet's server, which is asked where the holder's is not known to run.
    pub server: &'a Server,
}

/// Looks at what a plan is made from. What tmux, processes and heartbeats say is not part of it.
pub fn for_plan(ask: Ask<'_>, manager: Result<&UserManager, &SystemdError>) -> Snapshot {
    let seen = match manager {
        Ok(manager) => (Fact::from(manager.manager()), Fact::from(units(manager, &ask))),
        // Without a manager none of its units runs.
        Err(error) if bus::is_gone(error, ask.uid) => {
            (Fact::Unknown(error.to_string()), Fact::Known(BTreeMap::new()))
        }
        Err(error) => (Fact::Unknown(error.to_string()), Fact::Unknown(error.to_string())),
    };
    let tmux = match holders_server(&seen.1) {
        Some(_) => Fact::Unknown("not looked at".to_owned()),
        None => Fact::from(ask.server.look()),
    };
    let server = match &tmux {
        Fact::Known(Tmux::Running { pid, .. }) => process::glance(*pid).map(|seen| (*pid, seen.process)),
        _ => None,
    };
    let files = ask.files.iter().filter_map(|path| Some((path.clone(), at(path, LONGEST_FILE)?)));
    Snapshot {
        clock: clock::now(),
        booted: clock::booted(),
        linger: match manager {
            Err(error @ SystemdError::OtherHome { .. }) => Fact::Unknown(error.to_string()),
            _ => logind::linger(&users::name_of(ask.uid)),
        },
        manager: seen.0,
        units: seen.1,
        wants: wants::wants(&wants::unit_folders(ask.layout, ask.uid)),
        tmux,
        folders: folders(ask.folders, ask.uid),
        holder: holder_started(ask.layout),
        files: files.collect(),
        beats: BTreeMap::new(),
        environments: BTreeMap::new(),
        receipts: BTreeMap::new(),
        launched: BTreeMap::new(),
        records: BTreeMap::new(),
        parked: parking::parked(ask.layout, ask.agents),
        processes: server.into_iter().collect(),
        hidden: BTreeSet::new(),
        memory: BTreeMap::new(),
        oom_kills: BTreeMap::new(),
        left: ask.gone.iter().map(|agent| (agent.clone(), left(ask.layout, agent))).collect(),
        stand_ins: stand_ins::find(ask.layout, ask.uid, &ask.agents.iter().cloned().collect()),
    }
}

/// Our units with what decides about them. Whether a reload is due is asked last and of few: it is dear.
fn units(manager: &UserManager, ask: &Ask<'_>) -> Result<BTreeMap<String, UnitFacts>, SystemdError> {
    let mut units = manager.units_with(&OURS, &DETAILS)?;
    let names: Vec<String> = units.keys().cloned().collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let on_disk = OwnFiles::of(ask.layout, ask.uid);
    let template = ask.layout.agent_template();
    let own = |unit: &str| {
        // What it was read from counts, too: files that are gone by now.
        let folder = format!("{unit}.d");
        let of_its_own = |path: &String| Path::new(path).parent().is_some_and(|p| p.ends_with(&folder));
        let read = units.get(unit).and_then(|facts| facts.detail.as_ref()).is_some_and(|detail| {
            (!detail.fragment.is_empty() && Path::new(&detail.fragment) != template)
                || detail.drop_ins.iter().any(of_its_own)
        });
        read || on_disk.has(unit)
    };
    let behind: Vec<String> = manager.behind(&all, own)?.into_iter().map(str::to_owned).collect();
    for unit in behind {
        if let Some(detail) = units.get_mut(&unit).and_then(|facts| facts.detail.as_mut()) {
            detail.needs_reload = true;
        }
    }
    Ok(units)
}

/// The main process of a holder that is up: then the server that listens is its own, or `verify` says so.
fn holders_server(units: &Fact<BTreeMap<String, UnitFacts>>) -> Option<i32> {
    let holder = units.known()?.get(HOLDER_UNIT).filter(|unit| unit.active == "active")?;
    holder.detail.as_ref().map(|detail| detail.main_pid).filter(|pid| *pid > 0)
}

/// Permission bits of those folders that are the user's own; what is a link, or somebody else's, is not
/// ours to judge.
pub fn folders(folders: &BTreeSet<PathBuf>, uid: u32) -> BTreeMap<PathBuf, u32> {
    let mode = |path: &PathBuf| {
        let facts = path.symlink_metadata().ok().filter(|facts| facts.is_dir() && facts.uid() == uid)?;
        Some((path.clone(), facts.mode() & 0o7777))
    };
    folders.iter().filter_map(mode).collect()
}

/// What was noted when the holder's server started.
pub fn holder_started(layout: &Layout) -> Option<Fact<String>> {
    Some(match at(&layout.holder_started(), started::LONGEST)? {
        Fact::Known(FileFacts::File { content, .. }) => {
            Fact::from(String::from_utf8(content).map_err(|_| "not text"))
        }
        Fact::Known(_) => Fact::Unknown("no file".to_owned()),
        Fact::Unknown(why) => Fact::Unknown(why),
    })
}

/// What stands at a path; `None` where nothing does.
pub fn at(path: &Path, longest: usize) -> Option<Fact<FileFacts>> {
    match runfiles::read(path, longest) {
        Ok(None) => None,
        Ok(Some(FileFacts::Link(link))) => Some(declared::facts(path, link, longest)),
        Ok(Some(facts)) => Some(Fact::Known(facts)),
        // A file stands where a folder should: what is below it does not exist.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => None,
        Err(error) => Some(Fact::Unknown(error.to_string())),
    }
}

/// What running has left of an agent.
fn left(layout: &Layout, agent: &AgentName) -> Vec<PathBuf> {
    layout.run_files(agent).into_iter().filter(|path| path.symlink_metadata().is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::SocketName;

    #[test]
    fn a_machine_without_a_manager_is_looked_at_and_says_what_is_not_known() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(home.path(), None);
        let agent = AgentName::parse("a").expect("a name");
        std::fs::create_dir_all(layout.run()).expect("made");
        std::fs::create_dir_all(layout.parked(&agent)).expect("made");
        std::fs::write(layout.parked(&agent).join("boot-1"), "").expect("written");
        let files = BTreeSet::from([layout.parked(&agent), layout.tmux_conf()]);
        let error = SystemdError::NoRuntimeDir { uid: 4_000_000, user: "nobody".to_owned() };
        let agents = [agent.clone()];
        let folders = BTreeSet::from([home.path().to_path_buf(), home.path().join("none")]);
        let server = Server::new("no-tmux-here", SocketName::parse("none").expect("a name"));
        let (uid, server) = (4_000_000, &server);
        let ask = Ask {
            layout: &layout,
            uid,
            files: &files,
            agents: &agents,
            gone: &[],
            folders: &folders,
            server,
        };
        let seen = for_plan(ask, Err(&error));
        assert_eq!(seen.parked[&agent], Fact::Known("boot-1".to_owned()));
        assert_eq!(seen.files.len(), 1, "what is absent is absent");
        assert!(
            seen.manager.why().is_some_and(|why| why.contains("/run/user/4000000")),
            "{:?}",
            seen.manager
        );
        assert_eq!(seen.units, Fact::Known(BTreeMap::new()), "without a manager none of its units runs");
        assert!(seen.wants.known().is_some(), "{:?}", seen.wants);
        assert!(seen.folders.is_empty(), "what is somebody else's is not judged: {:?}", seen.folders);
        assert!(seen.tmux.why().is_some() && seen.holder.is_none(), "{:?}", seen.tmux);
    }

    #[test]
    fn nothing_can_be_below_a_file() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("x"), "").expect("written");
        assert_eq!(at(&home.path().join("x/y"), 10), None);
    }
}
