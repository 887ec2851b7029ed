//! A home as root sees it from outside: looked at by its name alone, never opened.
//!
//! The tenant may have mounted a file system of its own there, which answers when it likes, and whoever waits
//! for one that does not can't even be killed. So a process of its own looks, and is left behind where it must.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use serde::{Deserialize, Serialize};

use super::child::OWN;
use crate::error::{Error, Result};
use crate::host::command::{Command, CommandError};
use crate::host::users::{self, Caller};
use crate::tenant::wire::{LOOK, Told};

/// File systems on which files have no owners of their own (linux/magic.h): FAT, exFAT, NTFS.
const WITHOUT_OWNERS: [FsType; 4] =
    [FsType(0x4d44), FsType(0x2011_bab0), FsType(0x5346_544e), FsType(0x7366_746e)];

/// How long the file system of a home may take to answer.
const ANSWERS: Duration = Duration::from_secs(5);
/// More than there is to be said of a home.
const LONGEST: usize = 64 * 1024;

/// A home that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Its owner.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl Home {
    /// What an admin should know of it: others can look into it.
    pub fn open_to_others(&self, path: &Path) -> Option<String> {
        (self.mode & 0o077 != 0).then(|| {
            let path = path.display();
            format!("{path} is open to others (mode {:04o}); to close it: chmod 0700 {path}", self.mode)
        })
    }
}

/// What was seen, as it comes from the process that looked.
pub type Seen = Result<Option<Home>, Told>;

/// The home at `path`, `None` where nothing is; refuses a place where no tenant can live.
pub fn look(path: &Path) -> Result<Option<Home>> {
    let shown = path.display();
    if path.parent().is_none() {
        return Err(Error::input(format!("{shown} can't be a home")));
    }
    let looker = Command::new(OWN).arg(LOOK).arg(path).bare_env().in_folder("/").within(ANSWERS);
    let output = match looker.at_most(LONGEST).succeed() {
        Err(CommandError::Late { .. }) => {
            return Err(Error::machine(format!(
                "look at the home {shown}: its file system gave no answer within {} s",
                ANSWERS.as_secs()
            ))
            .hint(format!("see what is mounted there: findmnt -T {shown}")));
        }
        looked => looked?,
    };
    let seen: Seen = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::machine(format!("look at the home {shown}: {error}")))?;
    seen.map_err(Error::from)
}

/// Looks, in the process that may hang.
pub fn seen(path: &Path) -> Seen {
    at(path).map_err(|error| Told { message: error.message, hints: error.hints })
}

fn at(path: &Path) -> Result<Option<Home>> {
    let shown = path.display();
    let parent = path.parent().unwrap_or(path);
    own_ways(path, parent)?;
    let there = match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => Some(Home { uid: facts.uid(), mode: facts.mode() & 0o7777 }),
        Ok(_) => return Err(Error::machine(format!("the home {shown} is not a folder"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(Error::machine(format!("look at the home {shown}: {error}"))
                .hint(format!("see what is mounted there: findmnt -T {shown}")));
        }
    };
    // Of a home that is there only its own name is asked about: it is a folder, so no link is followed.
    let on = if there.is_some() { Some(path) } else { parent.ancestors().find(|folder| folder.is_dir()) };
    if let Some(on) = on {
        can_live(path, on)?;
    }
    Ok(there)
}

/// Refuses a home in a place where somebody else than root could put another thing under its name.
fn own_ways(home: &Path, parent: &Path) -> Result<()> {
    let shown = home.display();
    if let Some(owner) = users::foreign_path(&Caller::root(), parent) {
        return Err(Error::machine(format!(
            "{shown} is below a folder of {owner}'s, who could put anything there"
        )));
    }
    for part in parent.ancestors() {
        let Ok(facts) = fs::metadata(part) else { continue };
        let by_group = facts.mode() & 0o020 != 0 && facts.gid() != 0;
        if by_group || facts.mode() & 0o002 != 0 {
            let (part, mode) = (part.display(), facts.mode() & 0o7777);
            return Err(Error::machine(format!(
                "{shown} is below {part}, where others could put anything (mode {mode:04o})"
            ))
            .hint(format!("declare another home, or close it: chmod go-w {part}")));
        }
    }
    Ok(())
}

/// Refuses a file system on which a tenant can't live.
fn can_live(home: &Path, on: &Path) -> Result<()> {
    let failed =
        |errno: nix::Error| Error::machine(format!("look at the file system of {}: {errno}", on.display()));
    let flags = statvfs(on).map_err(failed)?.flags();
    let refuse =
        |why: &str| Err(Error::machine(format!("{} is on a file system that {why}", home.display())));
    if flags.contains(FsFlags::ST_RDONLY) {
        return refuse("is read-only");
    }
    if flags.contains(FsFlags::ST_NOEXEC) {
        return refuse("runs no programs (noexec)");
    }
    if WITHOUT_OWNERS.contains(&statfs(on).map_err(failed)?.filesystem_type()) {
        return refuse("knows no owners of files");
    }
    Ok(())
}
