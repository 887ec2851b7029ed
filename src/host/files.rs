//! The door for files that outlive a power cut: units, environment files, the ledger.
//!
//! A file is replaced whole and durably, or not at all. What is worth writing is decided
//! elsewhere; small files of a running fleet go through their own door, without fsync.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::interrupt::point;
use super::removal;
use crate::error::Error;

/// How the name of a file ends that is not complete yet.
const UNFINISHED: &str = ".mosaic-new";

/// Why a file could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}", path.display())]
pub struct FileError {
    /// What was being done.
    pub doing: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        let cure = match error.source.kind() {
            io::ErrorKind::StorageFull => "the disk is full: free some space, then run it again",
            io::ErrorKind::QuotaExceeded => {
                "the user's disk quota is used up: free some space or have it raised, then run it again"
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only: remount it, then run it again"
            }
            io::ErrorKind::PermissionDenied => "look who owns the folder and its parents: ls -ld",
            _ => "nothing was lost: what stood there stands there still",
        };
        Self::machine(&error).hint(cure)
    }
}

/// Puts `content` at `path`: a reader, or a power cut, finds the old file or the new one, never a
/// part. A link that stands there is replaced, not followed. Missing folders are made, 0700.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let failed = |source| FileError { doing: "write", path: path.to_path_buf(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let unfinished = unfinished(path);
    write_new(&unfinished, content, mode)
        .inspect(|()| point("written"))
        .and_then(|()| fs::rename(&unfinished, path))
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))
        .inspect(|()| point("renamed"))
        .and_then(|()| sync_folder(folder))
        .map_err(failed)
}

/// Removes the file or link at `path`, and what an interrupted write left beside it. That it is
/// gone already is fine.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError { doing: "remove", path: path.to_path_buf(), source };
    sweep(path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    }
    point("removed");
    match path.parent() {
        Some(folder) => sync_folder(folder).map_err(failed),
        None => Ok(()),
    }
}

/// Removes what stands at `path`, a folder with all that is in it; no link is followed. That it is
/// gone already is fine. What this is for is worth nothing after a power cut, so no disk is waited for.
pub fn remove_whole(path: &Path) -> Result<(), FileError> {
    let removed = removal::remove(path);
    point("removed");
    removed.map_err(|left| FileError { doing: "remove", path: left.path, source: left.source })
}

/// Removes what an interrupted [`replace`] of `path` left beside it.
pub fn sweep(path: &Path) -> Result<(), FileError> {
    let left = unfinished(path);
    match fs::remove_file(&left) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(FileError { doing: "remove", path: left, source: error })
        }
        _ => Ok(()),
    }
}

/// Makes a link that says `target`, durably; one that stands there is replaced.
pub fn link(path: &Path, target: &Path) -> Result<(), FileError> {
    let failed = |source| FileError { doing: "link", path: path.to_path_buf(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    sweep(path)?;
    let unfinished = unfinished(path);
    symlink(target, &unfinished)
        .inspect(|()| point("written"))
        .and_then(|()| fs::rename(&unfinished, path))
        .inspect(|()| point("renamed"))
        .and_then(|()| sync_folder(folder))
        .map_err(failed)
}

/// Removes a folder where nothing is left in it.
pub fn remove_empty_folder(path: &Path) {
    drop(fs::remove_dir(path));
}

/// Gives a folder its mode; a link in its place is not followed.
pub fn set_folder_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    // One that nobody may read can be held, not opened.
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let set = OpenOptions::new().read(true).custom_flags(flags).open(path).and_then(|held| {
        let place = format!("/proc/self/fd/{}", held.as_raw_fd());
        fs::set_permissions(place, Permissions::from_mode(mode))?;
        sync_folder(path)
    });
    point("mode");
    set.map_err(|source| FileError { doing: "set the mode of", path: path.to_path_buf(), source })
}

/// Copies a file aside, 0600, never over something that is there; what it copied.
pub fn copy_aside(from: &Path, to: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError { doing: "keep a copy at", path: to.to_path_buf(), source };
    let content = fs::read(from).map_err(failed)?;
    if fs::symlink_metadata(to).is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    replace(to, &content, 0o600)?;
    Ok(content)
}

/// Makes a folder and what is missing above it, each 0700 and known to the disk.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    let failed = |source| FileError { doing: "make the folder", path: path.to_path_buf(), source };
    let missing: Vec<&Path> = path.ancestors().take_while(|p| fs::symlink_metadata(p).is_err()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.map_err(failed)?,
        }
        point("folder");
        if let Some(parent) = folder.parent() {
            sync_folder(parent).map_err(failed)?;
        }
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let create = || {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
    };
    let mut file = match create() {
        // A run that was killed left it there; the lock of `apply` keeps two runs apart.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()?
        }
        other => other?,
    };
    point("created");
    // The umask must not decide.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Whether a file of that name is one that an interrupted [`replace`] left.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(UNFINISHED)
}

/// Where a file's next content stands until it is complete: one name per file, so that a later run
/// finds what a killed one left.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(UNFINISHED);
    path.with_file_name(name)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a readable folder")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_has_exactly_its_mode_and_new_folders_are_private() {
        let folder = folder();
        let path = folder.path().join("a/b/x.env");
        replace(&path, b"one", 0o600).expect("written");
        replace(&path, b"two", 0o700).expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"two");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o7777, 0o700);
        assert_eq!(fs::metadata(folder.path().join("a")).expect("there").mode() & 0o7777, 0o700);
        assert_eq!(names(&folder.path().join("a/b")), ["x.env"], "nothing is left beside it");
    }

    #[test]
    fn a_link_is_replaced_and_what_it_points_at_stays() {
        let folder = folder();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "mine").expect("written");
        symlink(&target, &link).expect("linked");
        replace(&link, b"ours", 0o600).expect("written");
        assert_eq!(fs::read(&target).expect("readable"), b"mine");
        assert_eq!(fs::read_link(&link).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn a_link_that_is_made_twice_says_the_last() {
        let folder = folder();
        let path = folder.path().join("default.target.wants/x.service");
        link(&path, Path::new("../a")).expect("linked");
        link(&path, Path::new("../x.service")).expect("linked");
        assert_eq!(fs::read_link(&path).expect("a link"), Path::new("../x.service"));
        assert_eq!(names(&folder.path().join("default.target.wants")), ["x.service"]);
    }

    #[test]
    fn what_a_killed_write_left_is_written_over_and_swept() {
        let folder = folder();
        let path = folder.path().join("x");
        fs::write(folder.path().join(".x.mosaic-new"), "half").expect("written");
        replace(&path, b"whole", 0o600).expect("written");
        assert_eq!(names(folder.path()), ["x"]);
        fs::write(folder.path().join(".x.mosaic-new"), "half").expect("written");
        sweep(&path).expect("swept");
        assert_eq!(names(folder.path()), ["x"]);
    }

    #[test]
    fn a_file_that_is_gone_already_counts_as_removed() {
        let folder = folder();
        let path = folder.path().join("x");
        remove(&path).expect("fine");
        fs::write(&path, "x").expect("written");
        remove(&path).expect("removed");
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn what_is_removed_whole_takes_no_links_target_along() {
        let folder = folder();
        let (kept, gone) = (folder.path().join("kept"), folder.path().join("gone"));
        fs::create_dir_all(gone.join("below")).expect("made");
        fs::create_dir(&kept).expect("made");
        fs::write(kept.join("x"), "mine").expect("written");
        symlink(&kept, gone.join("below/link")).expect("linked");
        symlink(&kept, folder.path().join("link")).expect("linked");
        remove_whole(&gone).expect("removed");
        remove_whole(&folder.path().join("link")).expect("removed");
        remove_whole(&gone).expect("it is gone");
        assert_eq!(names(folder.path()), ["kept"]);
        assert_eq!(names(&kept), ["x"]);
    }

    #[test]
    fn a_folder_gets_its_mode_and_what_a_link_leads_to_keeps_its_own() {
        let folder = folder();
        let (own, link) = (folder.path().join("own"), folder.path().join("link"));
        fs::create_dir(&own).expect("made");
        fs::set_permissions(&own, Permissions::from_mode(0o755)).expect("set");
        symlink(&own, &link).expect("linked");
        assert!(set_folder_mode(&link, 0o700).is_err());
        assert_eq!(fs::metadata(&own).expect("there").mode() & 0o7777, 0o755);
        fs::set_permissions(&own, Permissions::from_mode(0o0)).expect("set");
        set_folder_mode(&own, 0o700).expect("set");
        assert_eq!(fs::metadata(&own).expect("there").mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_copy_never_goes_over_something() {
        let folder = folder();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").expect("written");
        fs::write(&to, "old").expect("written");
        assert!(copy_aside(&from, &to).is_err());
        assert_eq!(fs::read(&to).expect("readable"), b"old");
    }

    #[test]
    fn a_failed_write_says_what_and_where_and_keeps_the_old_file() {
        let folder = folder();
        let path = folder.path().join("x/y");
        fs::write(folder.path().join("x"), "a file, not a folder").expect("written");
        let error = replace(&path, b"z", 0o600).expect_err("x is no folder");
        assert!(error.to_string().contains("x/y"), "{error}");
        assert_eq!(fs::read(folder.path().join("x")).expect("readable"), b"a file, not a folder");
    }
}
