//! What has to be done so that a machine is what the roster says: ordered steps, each with its
//! reason. Pure: it reads no disk and asks nobody; `apply` does exactly what stands here.

mod files;
mod links;
mod reason;
mod roster;
mod units;

#[cfg(test)]
pub mod case;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::ledger::{Due, FileRecord, Ledger};
use crate::names::AgentName;
use crate::render::{Desired, File, Link};
use crate::snapshot::Snapshot;

pub use reason::Reason;
pub use roster::{RosterFile, roster_file};

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How far to go.
    pub reach: Reach,
    /// What becomes of running agents whose own files changed.
    pub restarts: Restarts,
    /// What becomes of a running holder whose own files changed.
    pub holder: HolderRestart,
    /// What becomes of files that are not as we left them.
    pub conflicts: Conflicts,
    /// Whether agents that are wanted and not running are started.
    pub starting: Starting,
    /// Whether the roster names another socket than the one that was installed.
    pub server: Server,
}

/// Whether the fleet's tmux server stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// It does.
    Stays,
    /// Its socket has another place: then nothing that runs fits the new files, and nothing is
    /// done by halves.
    Moves,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Files, units, lingering and jobs.
    Everything,
    /// Files alone.
    FilesOnly,
}

/// What becomes of running agents whose own files changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// They are restarted.
    Changed,
    /// They run on, and their restart is pending.
    Hold,
}

/// What becomes of a running holder whose own files changed: its restart ends every agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderRestart {
    /// It runs on, and its restart is pending.
    Hold,
    /// It is restarted.
    Restart,
}

/// What becomes of files that are not as we left them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// They are kept.
    Keep,
    /// They are overwritten.
    Overwrite,
}

/// Whether what is wanted and not running is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// It is.
    Now,
    /// It is left to the next boot or to `fleet start`.
    Later,
}

impl Default for Options {
    /// What `fleet apply` does without a flag.
    fn default() -> Self {
        Self {
            reach: Reach::Everything,
            restarts: Restarts::Changed,
            holder: HolderRestart::Hold,
            conflicts: Conflicts::Keep,
            starting: Starting::Now,
            server: Server::Stays,
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
    /// Files that are not as we left them.
    pub conflicts: Vec<Conflict>,
    /// Restarts that are due and not part of this plan.
    pub pending: Vec<Pending>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// What the ledger should know that asks for no step.
    pub books: Books,
}

/// What the ledger should know that asks for no step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Books {
    /// Files that stand as they should and are not in it, or not like this.
    pub adopt: Vec<(PathBuf, FileRecord)>,
    /// Files and links that it names and that are gone, or are not ours any more.
    pub forget: Vec<PathBuf>,
    /// Links that stand as they should and are not in it.
    pub links: Vec<Link>,
    /// Units that the roster has and the ledger does not.
    pub brought: Vec<String>,
    /// Units that the ledger has and the roster does not: forgotten once every step about them is
    /// done.
    pub gone: Vec<String>,
    /// Unit files or links change, or did in a run that was cut off.
    pub reload_due: bool,
    /// Every restart that is due once the files are written, the planned ones among them.
    pub due: BTreeMap<String, Due>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Agents whose pane dies by it.
    pub impact: Vec<AgentName>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ends a unit that is not wanted any more.
    Stop {
        /// The unit.
        unit: String,
    },
    /// Copies a file aside before it is overwritten.
    KeepCopy {
        /// What is copied.
        from: PathBuf,
        /// To where.
        to: PathBuf,
    },
    /// Puts a file in place.
    WriteFile {
        /// The file.
        file: File,
        /// What stood there.
        before: Before,
    },
    /// Removes a file of ours.
    RemoveFile {
        /// Where.
        path: PathBuf,
        /// The agent it was for: its unit has to be down first.
        agent: Option<AgentName>,
    },
    /// Asks logind to start the user's manager at boot.
    EnableLinger,
    /// Pulls a unit in at boot and by the holder.
    Enable {
        /// The unit.
        unit: String,
        /// The links this means.
        links: Vec<Link>,
    },
    /// Takes a unit out of what is pulled in.
    Disable {
        /// The unit.
        unit: String,
        /// The links that go.
        links: Vec<PathBuf>,
    },
    /// Removes a link of ours that its unit no longer asks for.
    RemoveLink {
        /// Where.
        path: PathBuf,
    },
    /// Makes the manager read its files again.
    Reload,
    /// Restarts a unit.
    Restart {
        /// The unit.
        unit: String,
    },
    /// Starts a unit.
    Start {
        /// The unit.
        unit: String,
    },
}

/// When a step is carried out, named after what systemd asks for: a stop needs the files the unit
/// was started with, links and files come before the one reload, jobs after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ends what is not wanted any more, while its files are still there.
    BeforeFiles,
    /// Writes and removes files.
    Files,
    /// Lingering, without which there may be no manager to speak to.
    Linger,
    /// Links by which units are pulled in. systemd 257 marks every unit as in need of a reload
    /// after an enable, so the reload comes after.
    BeforeReload,
    /// The one reload.
    Reload,
    /// Jobs.
    AfterReload,
}

/// What stood at the place of a file that is written. Never shown as it is: it may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link(PathBuf),
}

impl fmt::Debug for Before {
    /// Leaves the content out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "Nothing"),
            Self::File { content, mode } => write!(f, "File({mode:o}, {} bytes)", content.len()),
            Self::Link(target) => write!(f, "Link({})", target.display()),
        }
    }
}

/// A file that is not as we left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: PathBuf,
    /// What is the matter with it.
    pub kind: ConflictKind,
    /// Whether the plan overwrites it.
    pub resolution: Resolution,
}

/// What is the matter with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConflictKind {
    /// We wrote it, and somebody changed it since.
    #[error("edited by hand since it was written")]
    Edited,
    /// It was there before us.
    #[error("not written by us")]
    NotOurs,
    /// A link stands there.
    #[error("a link to {}", .0.display())]
    Link(PathBuf),
    /// Something stands there that is no file.
    #[error("{0}, not a file")]
    NotAFile(String),
    /// The roster names another socket: every pane would have to move at once.
    #[error("the roster moves the fleet to another tmux server, which ends every pane")]
    MovesServer,
    /// It could not be read.
    #[error("not readable: {0}")]
    Unreadable(String),
}

/// What happens to a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// What stands there is kept.
    Kept,
    /// It is overwritten, as the caller asked.
    Overwritten,
}

/// A restart that is due and not part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The unit.
    pub unit: String,
    /// Why it is due.
    pub reason: Reason,
    /// Agents whose pane would die by it.
    pub impact: Vec<AgentName>,
}

/// What has to be done so that `seen` becomes `desired`.
pub fn plan(desired: &Desired, seen: &Snapshot, ledger: &Ledger, options: &Options) -> Plan {
    let mut plan = Plan::default();
    let changed = files::plan(desired, seen, ledger, options, &mut plan);
    let given = units::Given { desired, seen, ledger, options };
    if let Some(pending) = given.holder_in_the_way(&changed) {
        return Plan {
            conflicts: vec![Conflict {
                path: pending.0,
                kind: ConflictKind::MovesServer,
                resolution: Resolution::Kept,
            }],
            pending: vec![pending.1],
            books: Books { due: ledger.restarts_due.clone(), ..Books::default() },
            ..Plan::default()
        };
    }
    links::plan(&changed, &given, &mut plan);
    units::plan(&changed, &given, &mut plan);
    if options.reach == Reach::FilesOnly {
        plan.stop_before_systemd(seen);
    }
    plan.steps.sort_by_key(|s| s.action.phase());
    plan
}

impl Plan {
    /// Whether the machine is as it should be.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether something is kept that should be otherwise.
    pub fn kept(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter().filter(|c| c.resolution == Resolution::Kept)
    }

    /// Whether the ledger has to be written although no step asks for it.
    pub fn changes_books(&self, ledger: &Ledger) -> bool {
        let books = &self.books;
        !books.adopt.is_empty()
            || !books.forget.is_empty()
            || !books.links.is_empty()
            || !books.brought.is_empty()
            || !books.gone.is_empty()
            || books.due != ledger.restarts_due
            || ledger.unfinished()
    }

    /// Leaves out what is not about files, and files of a unit that is still up or enabled.
    fn stop_before_systemd(&mut self, seen: &Snapshot) {
        let in_use = |agent: &AgentName| {
            let unit = agent.unit();
            let up = seen.units.known().is_none_or(|units| {
                units.get(&unit).is_some_and(|u| !matches!(u.active.as_str(), "inactive" | "failed"))
            });
            up || seen.wants.known().is_none_or(|wants| wants.iter().any(|(_, name)| *name == unit))
        };
        self.steps.retain(|step| match &step.action {
            Action::RemoveFile { agent: Some(agent), .. } => !in_use(agent),
            action => action.phase() == Phase::Files,
        });
        // What the ledger says of units stays true: nothing was done about them.
        self.books.gone.clear();
    }

    /// Puts steps in front of those of the same phase.
    pub fn prepend(&mut self, steps: Vec<Step>) {
        self.steps.splice(0..0, steps);
        self.steps.sort_by_key(|s| s.action.phase());
    }
}

impl Action {
    /// When it is carried out.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Stop { .. } => Phase::BeforeFiles,
            Self::KeepCopy { .. } | Self::WriteFile { .. } | Self::RemoveFile { .. } => Phase::Files,
            Self::EnableLinger => Phase::Linger,
            Self::Enable { .. } | Self::Disable { .. } | Self::RemoveLink { .. } => Phase::BeforeReload,
            Self::Reload => Phase::Reload,
            Self::Restart { .. } | Self::Start { .. } => Phase::AfterReload,
        }
    }

    /// The file it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::KeepCopy { from, .. } => Some(from),
            Self::WriteFile { file, .. } => Some(&file.path),
            Self::RemoveFile { path, .. } | Self::RemoveLink { path } => Some(path),
            _ => None,
        }
    }

    /// The unit it is about.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Stop { unit }
            | Self::Enable { unit, .. }
            | Self::Disable { unit, .. }
            | Self::Restart { unit }
            | Self::Start { unit } => Some(unit),
            _ => None,
        }
    }
}
