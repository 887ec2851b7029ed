//! Waits until something in a folder is as wanted: woken by its changes, bounded by a clock.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Wakes up at changes of files in one folder.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Of that folder. A user has few of these: who gets none has to look by the clock.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(folder, AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE)?;
        Ok(Self { inotify })
    }

    /// Waits until something has changed since the last time, or `limit` has passed.
    pub fn wait(&self, limit: Duration) -> io::Result<()> {
        let timeout = PollTimeout::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Which file it was does not matter: who waits looks for itself.
        while self.inotify.read_events().is_ok() {}
        Ok(())
    }
}

/// Asks `done` now and after each change of a file in `folder`, until it says yes or `limit` has
/// passed. Whether it said yes.
pub fn until(folder: &Path, limit: Duration, mut done: impl FnMut() -> bool) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    // Watched before it is asked the first time, so that no change falls in between.
    let watch = Watch::of(folder)?;
    loop {
        if done() {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        watch.wait(left)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_moved_into_place_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.hb");
        let mut asked = 0;
        let seen = until(folder.path(), Duration::from_secs(30), || {
            asked += 1;
            let there = file.exists();
            if !there {
                let new = folder.path().join("new");
                std::fs::write(&new, "x").expect("written");
                std::fs::rename(&new, &file).expect("moved");
            }
            there
        });
        assert!(seen.expect("watched") && asked == 2, "asked {asked} times");
    }

    #[test]
    fn the_clock_bounds_what_never_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!until(folder.path(), Duration::from_millis(20), || false).expect("watched"));
        assert!(until(&folder.path().join("none"), Duration::ZERO, || false).is_err());
    }
}
