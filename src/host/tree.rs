//! The door for whole trees that are written once, for somebody else to install: files and links
//! below a folder that was empty.

use std::fs::{DirBuilder, OpenOptions, create_dir_all, read_dir};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::files::FileError;
use crate::error::{Error, Kind, Result};
use crate::render::{File, Link};

/// Writes what stands below `home` below `out` instead. Nothing that is there is overwritten.
pub fn write(out: &Path, home: &Path, files: &[File], links: &[Link]) -> Result<()> {
    take_empty(out)?;
    for file in files {
        let path = moved(&file.path, home, out)?;
        make_parent(&path).and_then(|()| write_new(&path, file)).map_err(|source| FileError {
            doing: "write",
            path,
            source,
        })?;
    }
    for link in links {
        let path = moved(&link.path, home, out)?;
        make_parent(&path).and_then(|()| symlink(&link.target, &path)).map_err(|source| FileError {
            doing: "link",
            path,
            source,
        })?;
    }
    Ok(())
}

/// Makes the folder; one that holds something is not ours to fill.
fn take_empty(out: &Path) -> Result<()> {
    let failed = |doing, source| FileError { doing, path: out.to_path_buf(), source };
    create_dir_all(out).map_err(|source| failed("make the folder", source))?;
    if read_dir(out).map_err(|source| failed("look into", source))?.next().is_none() {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("{} is not empty: nothing was written", out.display()))
        .hint("name a folder that is empty or not there yet"))
}

fn moved(path: &Path, home: &Path, out: &Path) -> Result<PathBuf> {
    match path.strip_prefix(home) {
        Ok(below) => Ok(out.join(below)),
        Err(_) => Err(Error::machine(format!("{} is not below {}", path.display(), home.display()))),
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn write_new(path: &Path, file: &File) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The umask must not decide.
    new.set_permissions(PermissionsExt::from_mode(file.mode))?;
    new.write_all(file.content.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::render::Role;

    #[test]
    fn a_tree_stands_below_the_folder_with_its_modes_and_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("new/out");
        let home = Path::new("/home/u");
        let files = [
            File::new(home.join("a/b"), "text".to_owned(), Role::TmuxConf),
            File::new(home.join("run"), "#!/bin/sh\n".to_owned(), Role::Script),
        ];
        let links = [Link { path: home.join("a/l"), target: "b".into() }];
        write(&out, home, &files, &links).expect("written");
        let mode = |path: &str| fs::metadata(out.join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("a/b"), mode("run")), (0o700, 0o600, 0o700));
        assert_eq!(fs::read_to_string(out.join("a/l")).expect("the link leads to the file"), "text");
    }

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "").expect("written");
        let error = write(folder.path(), Path::new("/home/u"), &[], &[]).expect_err("not empty");
        assert_eq!(error.kind, Kind::Usage);
        assert_eq!(read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
