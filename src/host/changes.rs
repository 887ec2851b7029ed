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

/// How often it is looked where nothing can be watched.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// Asks `done` now and after each change of a file in `folder`, until it says yes or `limit` has
/// passed. Whether it said yes.
pub fn until(folder: &Path, limit: Duration, done: impl FnMut() -> bool) -> io::Result<bool> {
    // Watched before it is asked the first time, so that no change falls in between.
    let watch = match Watch::of(folder) {
        Ok(watch) => Some(watch),
        // 128 watches a user is the usual limit, and each agent may have one of its own.
        Err(error) if is_used_up(&error) => None,
        Err(error) => return Err(error),
    };
    wait(watch.as_ref(), limit, done)
}

fn is_used_up(error: &io::Error) -> bool {
    let used_up = [Errno::EMFILE, Errno::ENFILE, Errno::ENOSPC, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| used_up.contains(&Errno::from_raw(code)))
}

fn wait(watch: Option<&Watch>, limit: Duration, mut done: impl FnMut() -> bool) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        if done() {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        match watch {
            Some(watch) => watch.wait(left)?,
            None => std::thread::sleep(left.min(LOOKS_EVERY)),
        }
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
    fn without_a_watch_it_is_looked_until_it_is_so_or_the_time_is_up() {
        let mut asked = 0;
        let seen = wait(None, Duration::from_secs(30), || {
            asked += 1;
            asked == 3
        });
        assert!(seen.expect("nothing can fail"));
        assert!(!wait(None, Duration::from_millis(20), || false).expect("nothing can fail"));
        assert!(is_used_up(&io::Error::from(Errno::EMFILE)) && !is_used_up(&io::Error::from(Errno::ENOENT)));
    }

    #[test]
    fn the_clock_bounds_what_never_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!until(folder.path(), Duration::from_millis(20), || false).expect("watched"));
        assert!(until(&folder.path().join("none"), Duration::ZERO, || false).is_err());
    }
}
