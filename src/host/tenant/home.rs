//! A home as root sees it from outside: looked at by its name alone, never opened.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::error::{Error, Result};
use crate::host::users::{self, Caller};

/// File systems on which files have no owners of their own (linux/magic.h): FAT, exFAT, NTFS.
const WITHOUT_OWNERS: [FsType; 4] =
    [FsType(0x4d44), FsType(0x2011_bab0), FsType(0x5346_544e), FsType(0x7366_746e)];

/// How long the file system of a home may take to answer.
const ANSWERS: Duration = Duration::from_secs(5);

/// A home that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The home at `path`, `None` where nothing is; refuses a place where no tenant can live. A tenant may have
/// mounted a file system of its own there, which answers when it likes: so the look is bounded.
pub fn look(path: &Path) -> Result<Option<Home>> {
    let (tell, told) = mpsc::channel();
    let of = path.to_path_buf();
    std::thread::spawn(move || {
        // Who asked may have given up.
        let _ = tell.send(seen(&of));
    });
    told.recv_timeout(ANSWERS).unwrap_or_else(|_| {
        Err(Error::machine(format!(
            "look at the home {}: its file system gave no answer within {} s",
            path.display(),
            ANSWERS.as_secs()
        ))
        .hint(format!("see what is mounted there: findmnt -T {}", path.display())))
    })
}

fn seen(path: &Path) -> Result<Option<Home>> {
    let shown = path.display();
    let root = Caller { uid: 0, name: "root".to_owned(), home: "/".into() };
    let parent = path.parent().ok_or_else(|| Error::input(format!("{shown} can't be a home")))?;
    if let Some(owner) = users::foreign_path(&root, parent) {
        return Err(Error::machine(format!(
            "{shown} is below a folder of {owner}'s, who could put anything there"
        )));
    }
    let there = match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => Some(Home { uid: facts.uid(), mode: facts.mode() & 0o7777 }),
        Ok(_) => return Err(Error::machine(format!("the home {shown} is not a folder"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::machine(format!("look at the home {shown}: {error}"))),
    };
    // Of a home that is there only its own name is asked about: it is a folder, so no link is followed.
    let on = if there.is_some() { Some(path) } else { parent.ancestors().find(|folder| folder.is_dir()) };
    if let Some(on) = on {
        can_live(path, on)?;
    }
    Ok(there)
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
