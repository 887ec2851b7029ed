//! One step of a plan: what is done, why, and in which phase.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Reason;
use crate::names::AgentName;
use crate::render::{File, Link};

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
    /// Gives a folder of ours the mode that it should have.
    SetMode {
        /// The folder.
        path: PathBuf,
        /// Its permission bits from now on.
        mode: u32,
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
    /// Removes what running an agent left below the fleet's run folder.
    Clear {
        /// The agent: its unit has to be down first.
        agent: AgentName,
        /// Files and folders.
        paths: Vec<PathBuf>,
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
    /// Has the manager forget that a unit failed.
    ResetFailed {
        /// The unit.
        unit: String,
    },
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

impl Action {
    /// When it is carried out.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Stop { .. } => Phase::BeforeFiles,
            Self::SetMode { .. }
            | Self::KeepCopy { .. }
            | Self::WriteFile { .. }
            | Self::RemoveFile { .. }
            | Self::Clear { .. } => Phase::Files,
            Self::EnableLinger => Phase::Linger,
            Self::Enable { .. } | Self::Disable { .. } | Self::RemoveLink { .. } => Phase::BeforeReload,
            Self::Reload => Phase::Reload,
            Self::ResetFailed { .. } | Self::Restart { .. } | Self::Start { .. } => Phase::AfterReload,
        }
    }

    /// The file it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::KeepCopy { from, .. } => Some(from),
            Self::WriteFile { file, .. } => Some(&file.path),
            Self::SetMode { path, .. } | Self::RemoveFile { path, .. } | Self::RemoveLink { path } => {
                Some(path)
            }
            _ => None,
        }
    }

    /// The unit it is about.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Stop { unit }
            | Self::Enable { unit, .. }
            | Self::Disable { unit, .. }
            | Self::ResetFailed { unit }
            | Self::Restart { unit }
            | Self::Start { unit } => Some(unit),
            _ => None,
        }
    }
}
