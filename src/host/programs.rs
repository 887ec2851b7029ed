//! Finds a program's file, and tells a program from what only looks like one.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// Why a file cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// There is none.
    Missing,
    /// It is a folder or a device.
    NotAFile,
    /// Its permissions do not allow it.
    NotExecutable,
    /// It is neither a binary nor a script that names its interpreter: what npm leaves where it
    /// did not run a package's install script.
    Stub,
    /// It could not be looked at.
    Unreadable(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "not there",
            Self::NotAFile => "not a file",
            Self::NotExecutable => "not executable",
            Self::Stub => "not a program: neither a binary nor a script with an interpreter",
            Self::Unreadable(why) => why,
        })
    }
}

/// Every place that was looked at, and what was wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// In the order of looking.
    pub looked: Vec<(PathBuf, Flaw)>,
}

/// The first of the folders' files of that name that can be run.
pub fn find(name: &OsStr, folders: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, NotFound> {
    let mut looked: Vec<(PathBuf, Flaw)> = Vec::new();
    for folder in folders {
        let path = folder.join(name);
        if looked.iter().any(|(seen, _)| *seen == path) {
            continue;
        }
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(flaw) => looked.push((path, flaw)),
        }
    }
    Err(NotFound { looked })
}

/// Whether a file can be run.
pub fn check(path: &Path) -> Result<(), Flaw> {
    let facts = match std::fs::metadata(path) {
        Ok(facts) => facts,
        // Also where a part of the path is a file, or a link leads nowhere.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(Flaw::Missing);
        }
        Err(error) => return Err(Flaw::Unreadable(error.to_string())),
    };
    if !facts.is_file() {
        return Err(Flaw::NotAFile);
    }
    access(path, AccessFlags::X_OK).map_err(|_| Flaw::NotExecutable)?;
    let mut head = [0; 4];
    match File::open(path).and_then(|mut file| file.read(&mut head)) {
        Ok(count) if head[..count].starts_with(b"\x7fELF") || head[..count].starts_with(b"#!") => Ok(()),
        Ok(_) => Err(Flaw::Stub),
        // A program that may be run and not read is one all the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(Flaw::Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn put(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn the_first_that_can_be_run_is_found_and_what_was_wrong_before_it_is_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        put(&at("a/pi"), "#!/bin/sh\n", 0o644);
        put(&at("b/pi"), "echo \"Error: not installed\" >&2\nexit 1\n", 0o755);
        fs::create_dir_all(at("c/pi")).expect("made");
        put(&at("e/pi"), "#!/bin/sh\n", 0o755);
        let all = ["a", "b", "c", "d", "e"].map(at);
        assert_eq!(find(OsStr::new("pi"), all.clone()), Ok(at("e/pi")));
        let looked =
            find(OsStr::new("pi"), all[..4].iter().chain(&all[..1]).cloned()).expect_err("none").looked;
        let flaws: Vec<Flaw> = looked.into_iter().map(|(_, flaw)| flaw).collect();
        assert_eq!(flaws, [Flaw::NotExecutable, Flaw::Stub, Flaw::NotAFile, Flaw::Missing]);
    }

    #[test]
    fn a_binary_is_a_program_and_an_empty_file_is_none() {
        let dir = tempfile::tempdir().expect("a folder");
        put(&dir.path().join("empty"), "", 0o755);
        assert_eq!(check(&dir.path().join("empty")), Err(Flaw::Stub));
        assert_eq!(check(&std::env::current_exe().expect("we are one")), Ok(()));
    }
}
