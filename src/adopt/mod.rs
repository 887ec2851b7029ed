//! Fleets that were made by hand before this program: what of them is here, and what becomes of
//! their variables. Pure: `cli` asks the person, the host saves and ends what has to end.

mod overrides;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::names::{AgentName, HOLDER_UNIT};
use crate::plan::{Conflict, ConflictKind, Resolution};
use crate::render::{Desired, Role};
use crate::snapshot::{Fact, Pane, Tmux, UnitFacts};

pub use overrides::{LeftOut, Overrides, overrides};

/// What the manager says of its units.
pub type Units = Fact<BTreeMap<String, UnitFacts>>;

/// What is here of a fleet that was made by hand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HandMade {
    /// Files at paths of ours with somebody's own content.
    pub files: Vec<PathBuf>,
    /// The tmux server on the fleet's socket that is not the holder's.
    pub server: Option<OldServer>,
}

/// A server that no unit of ours started.
#[derive(Debug, Clone, PartialEq)]
pub struct OldServer {
    /// Its pid.
    pub pid: i32,
    /// Its sessions: the roster's first, in its order, the holder's last.
    pub sessions: Vec<OldSession>,
}

/// A session of such a server.
#[derive(Debug, Clone, PartialEq)]
pub struct OldSession {
    /// Its name.
    pub name: String,
    /// What the roster knows it as.
    pub kind: SessionKind,
    /// Its panes.
    pub panes: Vec<Pane>,
}

/// What the roster knows a session as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionKind {
    /// An agent, by its place in the roster: it comes back under its unit.
    Agent(usize),
    /// Nothing: it does not come back.
    Stranger,
    /// The holder's own, which comes back with the holder.
    Holder,
}

/// What of the plan's conflicts an adoption takes over: files with somebody's own content, or links
/// to such.
pub fn is_taken_over(conflict: &Conflict, desired: &Desired) -> bool {
    let ours = desired.files.iter().any(|f| f.path == conflict.path && f.role != Role::Roster);
    let own = matches!(conflict.kind, ConflictKind::NotOurs | ConflictKind::Edited | ConflictKind::Link(_));
    ours && own && conflict.resolution == Resolution::Kept
}

/// What is here of a fleet made by hand; `None` where nothing is.
pub fn recognise(
    desired: &Desired,
    conflicts: &[Conflict],
    units: &Units,
    tmux: &Tmux,
    holder_session: &str,
) -> Option<HandMade> {
    let files = conflicts.iter().filter(|c| is_taken_over(c, desired)).map(|c| c.path.clone()).collect();
    let found = HandMade { files, server: old_server(desired, units, tmux, holder_session) };
    (found != HandMade::default()).then_some(found)
}

/// Whether the server that answers is the holder's: its unit says so by its main process, which a
/// unit that only started it once does not have.
pub fn is_holders(units: &Units, pid: i32) -> bool {
    let holder = units.known().and_then(|units| units.get(HOLDER_UNIT));
    holder.and_then(|unit| unit.detail.as_ref()).is_some_and(|detail| detail.main_pid == pid)
}

fn old_server(desired: &Desired, units: &Units, tmux: &Tmux, holder_session: &str) -> Option<OldServer> {
    let Tmux::Running { pid, panes, .. } = tmux else { return None };
    // What is not known to be somebody else's is left alone.
    if is_holders(units, *pid) || units.known().is_none() {
        return None;
    }
    let agents: Vec<&AgentName> = desired.units.iter().filter_map(|u| u.agent.as_ref()).collect();
    let mut sessions: Vec<OldSession> = Vec::new();
    for pane in panes {
        match sessions.iter_mut().find(|s| s.name == pane.session) {
            Some(session) => session.panes.push(pane.clone()),
            None => {
                let place = agents.iter().position(|a| a.as_str() == pane.session);
                let kind = match place {
                    Some(place) => SessionKind::Agent(place),
                    None if pane.session == holder_session => SessionKind::Holder,
                    None => SessionKind::Stranger,
                };
                sessions.push(OldSession { name: pane.session.clone(), kind, panes: vec![pane.clone()] });
            }
        }
    }
    sessions.sort_by_key(|s| s.kind);
    Some(OldServer { pid: *pid, sessions })
}

impl HandMade {
    /// What was found, in a few words.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        match self.files.len() {
            0 => {}
            1 => parts.push("1 file".to_owned()),
            several => parts.push(format!("{several} files")),
        }
        if let Some(server) = &self.server {
            parts.push(format!("a tmux server (pid {}) that no unit of ours started", server.pid));
            let names = self.ending().map(|s| s.name.as_str()).collect::<Vec<_>>();
            if !names.is_empty() {
                parts.push(format!("its sessions {}", names.join(", ")));
            }
        }
        parts.join(", ")
    }

    /// The sessions that end, but for the holder's, in which nobody works.
    pub fn ending(&self) -> impl Iterator<Item = &OldSession> {
        let sessions = self.server.iter().flat_map(|server| &server.sessions);
        sessions.filter(|s| s.kind != SessionKind::Holder)
    }
}

/// Where a file is kept: below `folder`, at its path from the home or from the root.
pub fn kept_at(folder: &Path, home: &Path, path: &Path) -> PathBuf {
    let below = path.strip_prefix(home).or_else(|_| path.strip_prefix("/")).unwrap_or(path);
    folder.join("files").join(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::case::fleet;
    use crate::snapshot::UnitDetail;

    fn pane(session: &str, pid: i32) -> Pane {
        Pane {
            session: session.to_owned(),
            id: format!("%{pid}"),
            pid,
            dead: false,
            dead_status: None,
            dead_signal: None,
            command: "sleep".to_owned(),
            activity: 0.0,
            attached: 0,
        }
    }

    fn seen(holder_pid: i32) -> Units {
        let detail = UnitDetail { main_pid: holder_pid, ..UnitDetail::default() };
        let unit = UnitFacts { active: "active".into(), detail: Some(detail), ..UnitFacts::default() };
        Fact::Known([(HOLDER_UNIT.to_owned(), unit)].into())
    }

    #[test]
    fn a_server_that_the_holder_only_started_once_is_old_and_its_sessions_are_told_apart() {
        let desired = fleet(&["b", "a"]);
        let panes =
            ["_holder", "a", "notes", "b"].iter().zip(10..).map(|(name, pid)| pane(name, pid)).collect();
        let tmux = Tmux::Running { pid: 7, version: "3.3a".into(), panes };
        let found = recognise(&desired, &[], &seen(0), &tmux, "_holder").expect("found");
        let names: Vec<&str> =
            found.server.iter().flat_map(|s| &s.sessions).map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "notes", "_holder"]);
        assert_eq!(found.ending().count(), 3);
        assert!(
            found.words().contains("pid 7") && found.words().ends_with("b, a, notes"),
            "{}",
            found.words()
        );
        assert_eq!(recognise(&desired, &[], &seen(7), &tmux, "_holder"), None, "it is the holder's");
        let blind = Fact::Unknown("no answer".to_owned());
        assert_eq!(recognise(&desired, &[], &blind, &tmux, "_holder"), None, "not known is left alone");
    }

    #[test]
    fn files_of_ours_that_somebody_else_wrote_are_taken_over_and_others_are_not() {
        let desired = fleet(&["a"]);
        let conflict = |path: &Path, kind: ConflictKind| Conflict::kept(path.to_path_buf(), kind);
        let path = &desired.files[0].path;
        assert!(is_taken_over(&conflict(path, ConflictKind::NotOurs), &desired));
        assert!(is_taken_over(&conflict(path, ConflictKind::Link("/x".into())), &desired));
        assert!(!is_taken_over(&conflict(path, ConflictKind::NotAFile("a folder".into())), &desired));
        assert!(!is_taken_over(&conflict(Path::new("/x"), ConflictKind::NotOurs), &desired));
    }

    #[test]
    fn what_is_kept_keeps_its_path() {
        let kept = |path: &str| kept_at(Path::new("/k"), Path::new("/home/u"), Path::new(path));
        assert_eq!(kept("/home/u/.config/x"), Path::new("/k/files/.config/x"));
        assert_eq!(kept("/srv/x"), Path::new("/k/files/srv/x"));
    }
}
