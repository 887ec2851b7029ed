//! The door for files that a person names or owns: read only, links followed, pipes taken, and never
//! waited for without an end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::statfs::{FsType, fstatfs};

/// How long what a shell pipes in may take.
const PIPE_WITHIN: Duration = Duration::from_secs(30);
/// The file system of pipes without a name (linux/magic.h).
const PIPEFS: FsType = FsType(0x5049_5045);

/// The bytes of a file, or one byte more than `longest` of one that is longer; `None` where nothing
/// is there. A pipe without a name is read (`--roster <(make-roster)`); a FIFO is refused, since
/// nobody may ever write to it.
pub fn read(path: &Path, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, not a file"));
    }
    if kind.is_fifo() && fstatfs(&file).is_ok_and(|facts| facts.filesystem_type() != PIPEFS) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a FIFO, not a file"));
    }
    if kind.is_file() {
        let mut bytes = Vec::new();
        file.take(longest as u64 + 1).read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    piped(file, longest, PIPE_WITHIN).map(Some)
}

fn piped(mut file: File, longest: usize, within: Duration) -> io::Result<Vec<u8>> {
    let until = Instant::now() + within;
    let (mut bytes, mut part) = (Vec::new(), [0; 8192]);
    while bytes.len() <= longest {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => {
                let why = format!("it came to no end within {} s", within.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(count) => bytes.extend(part.iter().take(count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(longest + 1);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_longer_file_is_read_as_far_as_to_know_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        assert!(matches!(read(&path, 4), Ok(None)));
        std::fs::write(&path, "123456").expect("written");
        assert_eq!(read(&path, 4).expect("read").map(|b| b.len()), Some(5));
        assert_eq!(read(&path, 6).expect("read").map(|b| b.len()), Some(6));
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_pipe_is_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).expect("made");
        for (path, said) in [(fifo.as_path(), "it is a FIFO"), (folder.path(), "it is a folder")] {
            assert!(read(path, 4).expect_err("no file").to_string().contains(said), "{said}");
        }
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        writer.write_all(b"123456").expect("written");
        let silent = piped(File::open(&path).expect("opened"), 10, Duration::from_millis(20));
        assert_eq!(silent.expect_err("it is still open").kind(), io::ErrorKind::TimedOut);
        writer.write_all(b"123456").expect("written");
        drop(writer);
        assert_eq!(read(Path::new(&path), 10).expect("read"), Some(b"123456".to_vec()));
    }
}
