//! Removes whole trees: of any depth, with a few open folders at a time, and however they were arranged.
//!
//! Nothing is named by a path but the first folder. Every step goes from a folder that is held to a name in it, or
//! to the folder above it if that is still the one from which it was entered; no link is followed, and no mount is
//! entered. So who swaps names meanwhile leads nowhere, and no path is too long.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::fs::{statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// What could not be removed.
#[derive(Debug)]
pub struct Left {
    /// The first of it: the innermost file or folder.
    pub path: PathBuf,
    /// Whose it is, or the folder in which it is and which keeps it from being removed; where that is known.
    pub owner: Option<u32>,
    /// Why it could not be removed.
    pub source: io::Error,
    /// How many there are, folders not counted that stay only because of what is in them.
    pub count: u64,
}

impl Left {
    /// The first of two, and the number of both.
    pub fn and(self, more: Self) -> Self {
        Self { count: self.count + more.count, ..self }
    }
}

/// Removes what stands at `path`, a folder with all that is in it, also where its owner has closed folders to
/// himself. That it is gone already is fine.
pub fn remove(path: &Path) -> Result<(), Left> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(left(path, None, io::ErrorKind::InvalidInput.into()));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Some(name) = c_name(name) else {
        return Err(left(path, None, io::ErrorKind::InvalidInput.into()));
    };
    match openat(CWD, parent, HELD, Mode::empty()) {
        Ok(here) => {
            let mut walk = Walk::new(parent, here).map_err(|error| left(parent, None, error.into()))?;
            walk.strike(name, FileType::Unknown);
            walk.finish()
        }
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(left(parent, None, error.into())),
    }
}

/// Removes all that is in the folder at `path`, and leaves the folder.
pub fn empty(path: &Path) -> Result<(), Left> {
    let failed = |error: Errno| left(path, None, error.into());
    let here = openat(CWD, path, HELD | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?;
    let here = open_up(here).map_err(failed)?;
    let mut walk = Walk::new(path, here).map_err(failed)?;
    walk.list();
    walk.finish()
}

/// A folder that is only a place to go on from.
const HELD: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// One whose names are read.
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn left(path: &Path, owner: Option<u32>, source: io::Error) -> Left {
    Left { path: path.to_path_buf(), owner, source, count: 1 }
}

fn c_name(name: &OsStr) -> Option<CString> {
    CString::new(name.as_bytes()).ok()
}

/// A file's identity: its file system and its number there.
type Id = (u64, u64);

#[expect(clippy::useless_conversion, reason = "how wide they are depends on the machine")]
fn identity(of: &OwnedFd) -> Result<(Id, u32), Errno> {
    let facts = fstat(of)?;
    Ok(((u64::from(facts.st_dev), u64::from(facts.st_ino)), facts.st_uid))
}

fn is(folder: &OwnedFd, id: Id) -> bool {
    identity(folder).is_ok_and(|(now, _)| now == id)
}

/// A folder on the way down.
#[derive(Debug)]
struct Level {
    /// Its name in the one above.
    name: CString,
    id: Id,
    owner: u32,
    /// Folders in it that are still to be entered.
    todo: Vec<CString>,
    /// Whether something in it could not be removed.
    kept: bool,
    /// Whether it is entered for the second time: some file systems skip names while others are removed.
    again: bool,
}

#[derive(Debug)]
struct Walk {
    base: PathBuf,
    here: OwnedFd,
    levels: Vec<Level>,
    left: Option<Left>,
}

impl Walk {
    fn new(base: &Path, here: OwnedFd) -> Result<Self, Errno> {
        let (id, owner) = identity(&here)?;
        let first =
            Level { name: CString::default(), id, owner, todo: Vec::new(), kept: false, again: false };
        Ok(Self { base: base.to_path_buf(), here, levels: vec![first], left: None })
    }

    /// Down into each folder and up again, until nothing is to be done in the first.
    fn finish(mut self) -> Result<(), Left> {
        while let Some(level) = self.levels.last_mut() {
            match level.todo.pop() {
                Some(name) => self.descend(name, false),
                None if self.levels.len() == 1 => break,
                None => {
                    if let Err(error) = self.ascend() {
                        self.keep(c".", error.into());
                        break;
                    }
                }
            }
        }
        self.left.map_or(Ok(()), Err)
    }

    /// Removes one name here; a folder that is not empty is noted to be entered.
    fn strike(&mut self, name: CString, kind: FileType) {
        if kind != FileType::Directory {
            match self.unlink(&name, AtFlags::empty()) {
                Ok(()) => return,
                Err(Errno::ISDIR) => {}
                Err(_) if self.is_folder(&name) => {}
                Err(error) => return self.keep(&name, error.into()),
            }
        }
        match self.unlink(&name, AtFlags::REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::NOTDIR) => self.strike_other(&name),
            // Whatever it is that keeps it, what is in it may say more.
            Err(_) => self.top().todo.push(name),
        }
    }

    /// Removes what has become something else than a folder.
    fn strike_other(&mut self, name: &CStr) {
        if let Err(error) = self.unlink(name, AtFlags::empty()) {
            self.keep(name, error.into());
        }
    }

    fn unlink(&self, name: &CStr, how: AtFlags) -> Result<(), Errno> {
        match unlinkat(&self.here, name, how) {
            Err(Errno::NOENT) => Ok(()),
            struck => struck,
        }
    }

    fn is_folder(&self, name: &CStr) -> bool {
        statat(&self.here, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|facts| FileType::from_raw_mode(facts.st_mode) == FileType::Directory)
    }

    /// Removes every name here that is no folder with something in it.
    fn list(&mut self) {
        let entries = match Dir::read_from(&self.here) {
            Ok(entries) => entries,
            Err(error) => return self.keep(c".", error.into()),
        };
        for entry in entries {
            match entry {
                Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Ok(entry) => self.strike(entry.file_name().to_owned(), entry.file_type()),
                Err(error) => return self.keep(c".", error.into()),
            }
        }
    }

    fn descend(&mut self, name: CString, again: bool) {
        let (here, id, owner) = match self.enter(&name) {
            Ok(entered) => entered,
            Err(Errno::NOENT) => return,
            Err(Errno::NOTDIR | Errno::LOOP) => return self.strike_other(&name),
            Err(Errno::XDEV) => return self.keep(&name, io::Error::other("something is mounted there")),
            Err(error) => return self.keep(&name, error.into()),
        };
        self.here = here;
        self.levels.push(Level { name, id, owner, todo: Vec::new(), kept: false, again });
        self.list();
    }

    /// The folder of that name, from which there is a way back.
    fn enter(&self, name: &CStr) -> Result<(OwnedFd, Id, u32), Errno> {
        let held = self.open(name, HELD | OFlags::NOFOLLOW)?;
        let (id, owner) = identity(&held)?;
        let held = open_up(held)?;
        let up = openat(&held, c"..", HELD, Mode::empty())?;
        if self.levels.last().is_none_or(|level| !is(&up, level.id)) {
            return Err(Errno::STALE);
        }
        Ok((held, id, owner))
    }

    fn open(&self, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        match openat2(&self.here, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            // Older kernels, and what filters calls.
            Err(Errno::NOSYS | Errno::PERM) => openat(&self.here, name, flags, Mode::empty()),
            opened => opened,
        }
    }

    /// Back to the folder above, where the one that was left is removed.
    fn ascend(&mut self) -> Result<(), Errno> {
        let up = openat(&self.here, c"..", HELD, Mode::empty())?;
        let above = self.levels.len().checked_sub(2).and_then(|at| self.levels.get(at));
        if above.is_none_or(|above| !is(&up, above.id)) {
            return Err(Errno::STALE);
        }
        self.here = up;
        let Some(done) = self.levels.pop() else { return Ok(()) };
        if done.kept {
            self.top().kept = true;
            return Ok(());
        }
        match self.unlink(&done.name, AtFlags::REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) if !done.again => self.descend(done.name, true),
            Err(error) => self.keep(&done.name, error.into()),
        }
        Ok(())
    }

    fn top(&mut self) -> &mut Level {
        // There is always the first.
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// Notes that a name here stays, and with it the folders above.
    fn keep(&mut self, name: &CStr, source: io::Error) {
        let folder = self.top();
        folder.kept = true;
        let of_folder = folder.owner;
        if let Some(left) = &mut self.left {
            left.count += 1;
            return;
        }
        let own = geteuid().as_raw();
        let owner = statat(&self.here, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|facts| facts.st_uid);
        let owner = owner.filter(|uid| *uid != own).or(Some(of_folder));
        let mut path = self.base.clone();
        let names = self.levels.iter().skip(1).map(|level| level.name.as_c_str()).chain([name]);
        path.extend(
            names.filter(|name| name.to_bytes() != b".").map(|name| OsStr::from_bytes(name.to_bytes())),
        );
        self.left = Some(Left { path, owner, source, count: 1 });
    }
}

/// The same folder, held as one that its owner may read, search and change, where this is the owner.
fn open_up(held: OwnedFd) -> Result<OwnedFd, Errno> {
    let facts = fstat(&held)?;
    let again = format!("/proc/self/fd/{}", held.as_raw_fd());
    if facts.st_uid == geteuid().as_raw() && facts.st_mode & 0o700 != 0o700 {
        // By what is held and not by its name, which may be another's by now. Where it can't be done, removing
        // says why.
        let _ = rustix::fs::chmod(&again, Mode::RWXU);
    }
    // `.` can't be searched for in all that can be held, and this very folder is meant.
    openat(CWD, &again, READ.difference(OFlags::NOFOLLOW), Mode::empty())
}

#[cfg(test)]
mod tests;
