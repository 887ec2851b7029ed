//! A few agents start at a time: a boot must not begin two hundred node programs at once.
//!
//! A slot is a lock on one of a few files; the kernel gives it back when its holder dies. Whoever
//! gives one back writes a byte into a FIFO, which wakes one of those that wait. Not inotify: a user
//! has 128 instances of it by default, and a boot may have more agents than that waiting.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::signals::{Signals, Wake};
use crate::host::runfiles;

/// A slot; dropping it gives it back.
#[derive(Debug)]
pub struct Slot {
    lock: Option<Flock<File>>,
    wake: PathBuf,
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.lock.take());
        // Without anybody waiting there is no reader, and nobody to wake.
        let fifo =
            OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(&self.wake);
        if let Ok(mut fifo) = fifo {
            let _ = fifo.write_all(b"+");
        }
    }
}

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

/// How long to wait for a byte before looking again: a holder that was killed gives its slot back
/// without one.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Takes a slot below `folder`, waiting for one as long as it takes; `waiting` is called when that
/// begins and then every few seconds.
pub fn take(folder: &Path, signals: &mut Signals, mut waiting: impl FnMut()) -> io::Result<Admission> {
    runfiles::make_folder(folder)?;
    let wake = folder.join("wake");
    // Open before the first try, so that no byte falls between the two.
    let mut fifo = open_fifo(&wake)?;
    let mut files =
        (0..how_many()).map(|n| open(&folder.join(n.to_string()))).collect::<io::Result<Vec<_>>>()?;
    loop {
        if let Some(lock) = lock_any(&mut files) {
            return Ok(Admission::Admitted(Slot { lock: Some(lock), wake }));
        }
        waiting();
        match signals.wait(&[fifo.as_fd()], Some(Instant::now() + LOOK_AGAIN))? {
            Wake::Stop => return Ok(Admission::Stopped),
            // Another may have taken the byte, and with it the slot.
            Wake::Ready(_) => drop(fifo.read(&mut [0])),
            Wake::Timeout | Wake::Now => {}
        }
    }
}

/// Opened for both directions, it neither waits for a writer nor ends when the last one has gone.
fn open_fifo(path: &Path) -> io::Result<File> {
    match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn lock_any(files: &mut Vec<File>) -> Option<Flock<File>> {
    let mut left = Vec::with_capacity(files.len());
    let mut taken = None;
    for file in files.drain(..) {
        if taken.is_some() {
            left.push(file);
            continue;
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => taken = Some(lock),
            Err((file, _)) => left.push(file),
        }
    }
    *files = left;
    taken
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn taken(folder: &Path) -> Slot {
        let mut signals = Signals::take().expect("signals");
        match take(folder, &mut signals, || panic!("one is free")) {
            Ok(Admission::Admitted(slot)) => slot,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slot_that_is_given_back_wakes_one_that_waits() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut held: Vec<Slot> = (0..how_many()).map(|_| taken(dir.path())).collect();
        let path = dir.path().to_path_buf();
        let (said, waits) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut signals = Signals::take().expect("signals");
            take(&path, &mut signals, || said.send(()).expect("the test listens"))
        });
        waits.recv_timeout(Duration::from_secs(10)).expect("it waits");
        let begun = Instant::now();
        drop(held.pop());
        assert!(matches!(waiter.join(), Ok(Ok(Admission::Admitted(_)))));
        assert!(begun.elapsed() < LOOK_AGAIN / 2, "woken by the byte, not by the next look");
    }

    #[test]
    fn many_more_than_a_users_inotify_instances_can_wait_and_all_get_their_turn() {
        let dir = tempfile::tempdir().expect("a folder");
        let held: Vec<Slot> = (0..how_many()).map(|_| taken(dir.path())).collect();
        let waiters: Vec<_> = (0..150)
            .map(|_| {
                let path = dir.path().to_path_buf();
                std::thread::spawn(move || {
                    let mut signals = Signals::take().expect("signals");
                    matches!(take(&path, &mut signals, || {}), Ok(Admission::Admitted(_)))
                })
            })
            .collect();
        drop(held);
        assert!(waiters.into_iter().all(|waiter| waiter.join().is_ok_and(|admitted| admitted)));
    }
}
