//! Small files that the kernel makes up when they are read: `/proc`, `/sys`. One open, one read,
//! since a look at hundreds of agents reads thousands of them.
//!
//! For files of one record alone, which the kernel writes whole. A table, as that of the mounts, comes in
//! pieces that end with a record and need not fill the buffer: it is read with [`std::fs`].

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// More than most such files have.
const MOST: usize = 4096;

/// How many threads can run at once.
pub fn cores() -> usize {
    let ours = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let is_ours = |set: &nix::sched::CpuSet, core: &usize| set.is_set(*core).unwrap_or(false);
    ours.map_or(1, |set| (0..nix::sched::CpuSet::count()).filter(|core| is_ours(&set, core)).count().max(1))
}

/// The bytes of such a file.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    whole(File::open(path)?)
}

fn whole(mut file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut buffer = [0; MOST];
    loop {
        match file.read(&mut buffer) {
            Ok(read) => {
                content.extend_from_slice(buffer.get(..read).unwrap_or_default());
                // What does not fill the buffer was the rest: the kernel writes these whole.
                if read < MOST {
                    return Ok(content);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A folder of such files held open: a path is not walked from its beginning for each.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder at that path.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(nix::fcntl::open(path, flags, Mode::empty())?))
    }

    /// As [`read`], of the file at that path below it.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        whole(File::from(openat(&self.0, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    /// As [`text`].
    pub fn text(&self, path: &str) -> io::Result<String> {
        self.read(path).map(into_text)
    }
}

/// The same as text. What processes and control groups are called is any bytes, also half a character: a process has
/// fifteen of them. Where it is no UTF-8, U+FFFD stands.
pub fn text(path: impl AsRef<Path>) -> io::Result<String> {
    read(path).map(into_text)
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_are_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        for length in [0, 1, MOST - 1, MOST, MOST + 1, 3 * MOST, 3 * MOST + 7] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
            std::fs::write(&path, &content).expect("written");
            assert!(read(&path).expect("read") == content, "{length}");
        }
        assert!(text("/proc/self/stat").is_ok_and(|t| t.contains('(')));
    }
}
