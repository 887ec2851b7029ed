//! A few agents start at a time: a boot must not begin two hundred node programs at once.
//!
//! A slot is a lock on one of a few files; the kernel gives it back when its holder dies. Waiting
//! is an event too: closing a slot's file wakes those that wait.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::signals::{Signals, Wake};

/// A slot; dropping it gives it back.
#[derive(Debug)]
pub struct Slot(#[allow(dead_code, reason = "held for its lock")] Flock<File>);

/// What came of waiting for a slot.
#[derive(Debug)]
pub enum Admission {
    /// Go ahead.
    Admitted(Slot),
    /// A stop was asked for meanwhile.
    Stopped,
}

/// How many agents of a tenant may start at once: twice the processors, four at least. Starting a
/// runtime is mostly computing, so more would only make each of them late.
pub fn how_many() -> usize {
    std::thread::available_parallelism().map_or(4, |n| (2 * n.get()).max(4))
}

/// Takes a slot below `folder`, waiting for one as long as it takes; `waiting` is called when that
/// begins and then every few seconds.
pub fn take(folder: &Path, signals: &mut Signals, mut waiting: impl FnMut()) -> io::Result<Admission> {
    std::fs::create_dir_all(folder)?;
    // The watch stands before the first try, so that no release falls between the two.
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    watch.add_watch(folder, AddWatchFlags::IN_CLOSE_WRITE)?;
    // Opened once for the whole wait: closing a file after each try would wake every other waiter.
    let mut files =
        (0..how_many()).map(|n| open(&folder.join(n.to_string()))).collect::<io::Result<Vec<_>>>()?;
    loop {
        match lock_any(&mut files) {
            Some(slot) => return Ok(Admission::Admitted(slot)),
            None => waiting(),
        }
        let until = Instant::now() + Duration::from_secs(5);
        match signals.wait(&[watch.as_fd()], Some(until))? {
            Wake::Stop => return Ok(Admission::Stopped),
            Wake::Ready(_) => while watch.read_events().is_ok_and(|events| !events.is_empty()) {},
            Wake::Timeout | Wake::Now => {}
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn lock_any(files: &mut Vec<File>) -> Option<Slot> {
    let mut left = Vec::with_capacity(files.len());
    let mut taken = None;
    for file in files.drain(..) {
        if taken.is_some() {
            left.push(file);
            continue;
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => taken = Some(Slot(lock)),
            Err((file, _)) => left.push(file),
        }
    }
    *files = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_given_back_wakes_one_that_waits() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut files: Vec<File> =
            (0..how_many()).map(|n| open(&dir.path().join(n.to_string())).expect("a slot")).collect();
        let mut held: Vec<Slot> = std::iter::from_fn(|| lock_any(&mut files)).collect();
        assert_eq!(held.len(), how_many());
        let path = dir.path().to_path_buf();
        let (said, waits) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut signals = Signals::take().expect("signals");
            take(&path, &mut signals, || said.send(()).expect("the test listens"))
        });
        waits.recv_timeout(Duration::from_secs(10)).expect("it waits");
        let begun = Instant::now();
        drop(held.pop());
        assert!(matches!(waiter.join(), Ok(Ok(Admission::Admitted(_)))));
        assert!(begun.elapsed() < Duration::from_secs(3), "woken by the event, not by the retry");
    }
}
