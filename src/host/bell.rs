//! An agent's bell: whoever leaves a message that is to wake it rings, and its supervisor, which sleeps on
//! the other end, has the queue handed out. A FIFO: of inotify's instances a user has 128 by default.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::runfiles;
use crate::layout::Layout;
use crate::names::AgentName;

/// The end that is listened at.
#[derive(Debug)]
pub struct Bell {
    fifo: File,
}

impl Bell {
    /// That of an agent. Opened for both directions, it neither waits for a writer nor ends when the last one
    /// has gone.
    pub fn of(layout: &Layout, agent: &AgentName) -> io::Result<Self> {
        let path = layout.bell(agent);
        runfiles::make_folder(&layout.run())?;
        match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path)?;
        if !fifo.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other(format!("{} is no FIFO", path.display())));
        }
        Ok(Self { fifo })
    }

    /// Forgets who has rung so far.
    pub fn hush(&self) {
        while matches!((&self.fifo).read(&mut [0; 64]), Ok(64)) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fifo.as_fd()
    }
}

/// Rings; whether somebody listens.
pub fn ring(layout: &Layout, agent: &AgentName) -> bool {
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let fifo = OpenOptions::new().write(true).custom_flags(flags).open(layout.bell(agent));
    let Ok(mut fifo) = fifo else { return false };
    let listened = fifo.metadata().is_ok_and(|facts| facts.file_type().is_fifo());
    // A bell that is full has been rung often enough.
    listened && fifo.write(b"+").map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true)
}

/// Starts `agent deliver --stay`, which hands the agent's queue out as it becomes idle, and ends with it. The
/// shell in between gives it away: nobody here would see its end.
pub fn answer(program: &Path, layout: &Layout, agent: &AgentName) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#"trap '' HUP; "$0" --mosaic-home "$1" agent deliver --stay "$2" >/dev/null 2>&1 &"#]);
    shell.arg(program).arg(layout.mosaic()).arg(agent.as_str());
    // A message that is not typed now waits for the next turn; its receipt says so.
    let _ = shell.stdin(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_by_who_listens_and_rings_for_nobody_else() {
        let home = tempfile::tempdir().expect("a home");
        let (layout, agent) = (Layout::new(home.path(), None), AgentName::parse("coder0").expect("a name"));
        assert!(!ring(&layout, &agent), "nobody has one");
        let bell = Bell::of(&layout, &agent).expect("a bell");
        for _ in 0..200 {
            assert!(ring(&layout, &agent));
        }
        bell.hush();
        assert!(bell.fifo.try_clone().expect("a file").read(&mut [0]).is_err(), "nothing is left to hear");
        drop(bell);
        assert!(!ring(&layout, &agent), "nobody listens any more");
        std::fs::remove_file(layout.bell(&agent)).expect("removed");
        std::fs::write(layout.bell(&agent), "").expect("a file");
        assert!(!ring(&layout, &agent) && Bell::of(&layout, &agent).is_err(), "a file is no bell");
    }
}
