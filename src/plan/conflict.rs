//! Files that are not as we left them, and what becomes of them.

use std::path::{Path, PathBuf};

use super::Before;
use crate::layout::Layout;
use crate::render::File;

/// A file that is not as we left it, or something else that is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: PathBuf,
    /// What is the matter with it.
    pub kind: ConflictKind,
    /// Whether the plan overwrites it.
    pub resolution: Resolution,
    /// What overwriting it would change, where it can be overwritten and is not.
    pub change: Option<Box<Change>>,
}

/// What would be written over what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the roster says.
    pub file: File,
    /// What stands there.
    pub before: Before,
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
    /// A link to /dev/null or an empty file keeps this unit from being enabled and started.
    #[error("masks {0}")]
    Mask(String),
    /// systemd reads it in the place of the file that we wrote for this unit.
    #[error("systemd reads it in the place of what we wrote for {0}")]
    StandsIn(String),
    /// A configuration puts a file there that differs from what we render.
    #[error("not what this fleet renders, and declared by a configuration, which is to be built again")]
    Declared,
    /// A configuration declares the units, and no such link for this one.
    #[error("not there, so {0} is not pulled in; the units are declared by a configuration")]
    NotDeclared(String),
    /// A configuration pulls a unit in that the roster does not want.
    #[error("pulls {0} in, which the roster does not want; the units are declared by a configuration")]
    StillDeclared(String),
    /// Something stands there that is no file.
    #[error("{0}, not a file")]
    NotAFile(String),
    /// The roster names another socket: every pane would have to move at once.
    #[error("the roster moves the fleet to another tmux server, which ends every pane")]
    MovesServer,
    /// Another server listens on the fleet's socket: nothing of ours is started beside it.
    #[error("another tmux server listens there: {0}")]
    ForeignServer(String),
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

impl ConflictKind {
    /// The word that stands in JSON.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::NotOurs => "not-ours",
            Self::Link(_) => "link",
            Self::Mask(_) => "masked",
            Self::StandsIn(_) => "shadowed",
            Self::Declared | Self::NotDeclared(_) | Self::StillDeclared(_) => "declared",
            Self::NotAFile(_) => "not-a-file",
            Self::MovesServer => "moves-server",
            Self::ForeignServer(_) => "foreign-server",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// The unit that it keeps from being what we wrote.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Mask(unit) | Self::StandsIn(unit) => Some(unit),
            _ => None,
        }
    }
}

impl Conflict {
    /// One that is left as it is.
    pub fn kept(path: PathBuf, kind: ConflictKind) -> Self {
        Self { path, kind, resolution: Resolution::Kept, change: None }
    }

    /// What ends it: a command.
    pub fn cure(&self, layout: &Layout) -> String {
        let own = [layout.home(), layout.mosaic(), Path::new("/run/user")];
        let sudo = if own.iter().any(|folder| self.path.starts_with(folder)) { "" } else { "sudo " };
        let path = self.path.display();
        match &self.kind {
            ConflictKind::Edited | ConflictKind::NotOurs | ConflictKind::Link(_) => {
                "fleet apply --force".to_owned()
            }
            ConflictKind::Mask(unit) if self.path.starts_with(layout.home()) => {
                format!("systemctl --user unmask {unit} && fleet apply")
            }
            ConflictKind::Mask(_) => format!("{sudo}rm {path} && fleet apply"),
            ConflictKind::Declared | ConflictKind::NotDeclared(_) | ConflictKind::StillDeclared(_) => {
                declared_cure(layout)
            }
            ConflictKind::StandsIn(_) => format!("{sudo}mv {path} {path}.aside && fleet apply"),
            ConflictKind::ForeignServer(_) => "fleet apply --adopt".to_owned(),
            ConflictKind::MovesServer => "fleet apply --restart-holder".to_owned(),
            ConflictKind::NotAFile(_) => format!("mv {path} {path}.aside && fleet apply"),
            ConflictKind::Unreadable(_) => format!("ls -l {path}"),
        }
    }
}

/// Who changes what a configuration declares.
fn declared_cure(layout: &Layout) -> String {
    match layout.declared_at().and_then(Path::file_name) {
        Some(tenant) => format!(
            "sudo nixos-rebuild switch  # after a change of services.mosaic-fleet.tenants.{}",
            tenant.to_string_lossy()
        ),
        None => "home-manager switch  # after a change of services.mosaic-fleet".to_owned(),
    }
}
