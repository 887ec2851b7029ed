//! Looks for a file in the folders above a program, as it is installed. Bounded; judges nothing.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// So many folders above the program are looked at.
const FOLDERS: usize = 6;

/// What `take` makes of the first file of that name that it takes, from the program's own folder
/// upwards; links to the program are followed. At most one byte more than `longest` is read of each,
/// and nothing of one that is another user's, who would otherwise have a say.
pub fn find<T>(
    program: &Path,
    name: &str,
    longest: usize,
    mut take: impl FnMut(&[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let program = program.canonicalize()?;
    for folder in program.ancestors().skip(1).take(FOLDERS) {
        let content = read(&folder.join(name), longest).ok();
        if let Some(found) = content.and_then(|content| take(&content)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(path: &Path, longest: usize) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path)?;
    let facts = file.metadata()?;
    let own = nix::unistd::geteuid().as_raw();
    if !facts.is_file() || !matches!(facts.uid(), uid if uid == own || uid == 0) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut content = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_nearest_that_is_taken_is_found_from_where_the_program_really_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("lib/pkg/dist")).expect("made");
        fs::create_dir_all(at("bin")).expect("made");
        for (path, content) in
            [("lib/pkg/dist/cli.js", ""), ("lib/pkg/dist/f", "no"), ("lib/pkg/f", "yes"), ("f", "far")]
        {
            fs::write(at(path), content).expect("written");
        }
        symlink("../lib/pkg/dist/cli.js", at("bin/tool")).expect("linked");
        let found = |longest| {
            let take = |content: &[u8]| (content.len() > 2).then(|| content.to_vec());
            find(&at("bin/tool"), "f", longest, take).expect("looked")
        };
        assert_eq!(found(9), Some(b"yes".to_vec()));
        assert_eq!(found(1), None, "two bytes tell that there is more than one");
        fs::remove_file(at("lib/pkg/f")).expect("removed");
        symlink(at("f"), at("lib/pkg/f")).expect("linked");
        assert_eq!(found(9), Some(b"far".to_vec()), "a link is not followed");
        assert!(find(&at("none"), "f", 9, |_| Some(())).is_err());
    }

    #[test]
    fn far_above_is_not_looked_at_and_a_fifo_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b/c/d/e/f/g");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("tool"), "").expect("written");
        fs::write(folder.path().join("f.json"), "far").expect("written");
        nix::unistd::mkfifo(&deep.join("f.json"), nix::sys::stat::Mode::S_IRUSR).expect("made");
        assert_eq!(find(&deep.join("tool"), "f.json", 9, |_| Some(())).expect("looked"), None);
    }
}
