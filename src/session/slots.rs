//! A few agents start at a time: a boot must not begin two hundred node programs at once.
//!
//! A slot is a lock on one of a few files; the kernel gives it back when its holder dies. Whoever
//! gives one back writes a byte into a FIFO, which wakes one of those that wait, and no other: each
//! waits in a way that the kernel knows to be exclusive. (With a plain poll each byte wakes all, and a
//! hundred that start cost five thousand wake-ups.) Not inotify: a user has 128 instances of it by
//! default, and a boot may have more agents than that waiting.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
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
        wake_one(&self.wake);
    }
}

/// Wakes one of those that wait. Without anybody waiting there is no reader, and nobody to wake.
fn wake_one(fifo: &Path) {
    let fifo = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(fifo);
    if let Ok(mut fifo) = fifo {
        let _ = fifo.write_all(b"+");
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
/// The same, as the kernel takes it.
const PATIENCE: u16 = 5000;

/// Takes a slot below `folder`, waiting for one as long as it takes; `waiting` is called when that
/// begins and then every few seconds.
pub fn take(folder: &Path, signals: &mut Signals, mut waiting: impl FnMut()) -> io::Result<Admission> {
    runfiles::make_folder(folder)?;
    let wake = folder.join("wake");
    // Open before the first try, so that no byte falls between the two.
    let mut fifo = open_fifo(&wake)?;
    let turn = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    turn.add(&fifo, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE, 0))?;
    turn.add(&*signals, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
    let mut files =
        (0..how_many()).map(|n| open(&folder.join(n.to_string()))).collect::<io::Result<Vec<_>>>()?;
    let mut told = None::<Instant>;
    loop {
        if let Some(lock) = lock_any(&mut files) {
            return Ok(Admission::Admitted(Slot { lock: Some(lock), wake }));
        }
        if told.is_none_or(|told| told.elapsed() >= LOOK_AGAIN) {
            waiting();
            told = Some(Instant::now());
        }
        match turn.wait(&mut [EpollEvent::empty()], PATIENCE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // A stop comes first: then the byte, if it was one, is meant for another.
        if signals.wait(&[], Some(Instant::now()))? == Wake::Stop {
            wake_one(&wake);
            return Ok(Admission::Stopped);
        }
        let _ = fifo.read(&mut [0]);
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

    use nix::unistd::{Pid, gettid};

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

    /// How often a thread of this process has gone to sleep by itself.
    fn sleeps(thread: Pid) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).expect("a count")
    }

    /// Waits until a thread sleeps in the kernel's wait for events.
    fn waits_for_events(thread: Pid) {
        let until = Instant::now() + Duration::from_secs(20);
        let call =
            || std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap_or_default();
        let waits = [libc::SYS_epoll_wait, libc::SYS_epoll_pwait].map(|number| number.to_string());
        while !call().split(' ').next().is_some_and(|number| waits.iter().any(|wait| wait == number)) {
            assert!(Instant::now() < until, "{}", call());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_slot_that_is_given_back_wakes_nobody_but_the_one_who_gets_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut held: Vec<Slot> = (0..how_many()).map(|_| taken(dir.path())).collect();
        let (said, waits) = mpsc::channel();
        let (admitted, turns) = mpsc::channel();
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                let (path, said, admitted) = (dir.path().to_path_buf(), said.clone(), admitted.clone());
                std::thread::spawn(move || {
                    let mut signals = Signals::take().expect("signals");
                    let waiting = || said.send(gettid()).expect("the test listens");
                    admitted.send((gettid(), take(&path, &mut signals, waiting))).expect("the test listens");
                })
            })
            .collect();
        let soon = Duration::from_secs(20);
        let threads: Vec<Pid> = (0..20).map(|_| waits.recv_timeout(soon).expect("it waits")).collect();
        threads.iter().for_each(|thread| waits_for_events(*thread));
        let before: Vec<u64> = threads.iter().map(|thread| sleeps(*thread)).collect();
        drop(held.pop());
        let (first, slot) = turns.recv_timeout(soon).expect("one gets it");
        let woken = threads.iter().zip(before).filter(|(t, before)| **t != first && sleeps(**t) > *before);
        assert_eq!(woken.count(), 0, "others were woken for nothing");
        drop((slot, held));
        (1..20).for_each(|_| drop(turns.recv_timeout(soon).expect("all get their turn")));
        waiters.into_iter().for_each(|waiter| waiter.join().expect("it ends"));
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
