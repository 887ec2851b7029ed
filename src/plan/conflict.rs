//! Files that are not as we left them, and what becomes of them.

use std::path::PathBuf;

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
