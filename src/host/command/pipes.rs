//! The pipes of a program that runs: fed and read by events, never by polling a clock.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::ioctl_fionread;

/// A pipe that is ready takes at least this much without blocking.
const PIPE_BUF: usize = 4096;

/// Our ends of a child's pipes; one that is closed is `None`.
pub(super) struct Pipes<'a> {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    pub(super) input: &'a [u8],
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    pub(super) most: usize,
}

/// How long a child is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// Until it has ended.
    pub(super) end: Instant,
    /// Until it has said anything.
    pub(super) first: Option<Instant>,
}

/// Why no more bytes are moved.
pub(super) enum Pumped {
    Ended,
    Late,
    TooMuch,
}

impl Pipes<'_> {
    /// Moves bytes until the child has ended, a deadline has passed or there are too many.
    pub(super) fn pump(&mut self, ended: &OwnedFd, deadlines: Deadlines) -> io::Result<Pumped> {
        loop {
            if self.input.is_empty() {
                self.stdin = None;
            }
            let first = deadlines.first.filter(|_| self.out.is_empty());
            let deadline = first.map_or(deadlines.end, |first| first.min(deadlines.end));
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Pumped::Late);
            }
            let ready = self.wait(ended, left)?;
            self.move_bytes(&ready);
            if self.out.len().max(self.err.len()) > self.most {
                return Ok(Pumped::TooMuch);
            }
            if ready.ended {
                return Ok(Pumped::Ended);
            }
        }
    }

    /// Takes what the pipes hold at this moment, without waiting; whether that is not too much. Who else
    /// holds their other ends may write for ever.
    pub(super) fn drain(&mut self) -> bool {
        self.stdin = None;
        rest(self.stdout.take(), &mut self.out, self.most);
        rest(self.stderr.take(), &mut self.err, self.most);
        self.out.len().max(self.err.len()) <= self.most
    }

    fn wait(&self, ended: &OwnedFd, left: Duration) -> io::Result<Ready> {
        let timeout = timeout(left);
        let mut fds = Vec::with_capacity(4);
        let mut slots = [None; 4];
        let sources = [
            (Some(ended.as_fd()), PollFlags::POLLIN),
            (self.stdin.as_ref().map(AsFd::as_fd), PollFlags::POLLOUT),
            (self.stdout.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
            (self.stderr.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
        ];
        for (slot, (fd, flags)) in slots.iter_mut().zip(sources) {
            if let Some(fd) = fd {
                *slot = Some(fds.len());
                fds.push(PollFd::new(fd, flags));
            }
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [ended, stdin, stdout, stderr] = slots
            .map(|slot| slot.and_then(|at: usize| fds.get(at)).and_then(|fd| fd.any()).unwrap_or_default());
        Ok(Ready { ended, stdin, stdout, stderr })
    }

    fn move_bytes(&mut self, ready: &Ready) {
        if ready.stdin {
            feed(&mut self.stdin, &mut self.input);
        }
        if ready.stdout {
            take(&mut self.stdout, &mut self.out);
        }
        if ready.stderr {
            take(&mut self.stderr, &mut self.err);
        }
    }
}

/// Rounded up: a rest below a millisecond must not turn into a busy loop.
fn timeout(left: Duration) -> PollTimeout {
    PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
}

/// Whether something comes of it within that time.
pub(super) fn comes(event: &OwnedFd, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        let timeout = timeout(until.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(event.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

struct Ready {
    ended: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// Writes what fits; a child that no longer reads is no error of ours.
fn feed(pipe: &mut Option<ChildStdin>, input: &mut &[u8]) {
    let Some(open) = pipe else { return };
    let piece = input.get(..PIPE_BUF).unwrap_or(input);
    match open.write(piece) {
        Ok(written) => *input = input.get(written..).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => {
            *pipe = None;
            *input = &[];
        }
    }
}

/// Reads once, which does not block on a pipe that is ready.
fn take(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) {
    let Some(open) = pipe else { return };
    let mut buffer = [0; 16 * 1024];
    match open.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(read) => into.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => *pipe = None,
    }
}

/// Reads what is there, and a byte more than is allowed at most.
fn rest(pipe: Option<impl Read + AsFd>, into: &mut Vec<u8>, most: usize) {
    let Some(open) = pipe else { return };
    let there = ioctl_fionread(&open).unwrap_or(0);
    let room = most.saturating_sub(into.len()).saturating_add(1) as u64;
    // What can be read of it has been read.
    let _ = open.take(there.min(room)).read_to_end(into);
}
