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

/// Why no more bytes are moved.
pub(super) enum Pumped {
    Ended,
    Late,
    TooMuch,
}

impl Pipes<'_> {
    /// Moves bytes until the child has ended, the deadline has passed or there are too many.
    pub(super) fn pump(&mut self, ended: &OwnedFd, deadline: Option<Instant>) -> io::Result<Pumped> {
        loop {
            if self.input.is_empty() {
                self.stdin = None;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|l| l.is_zero()) {
                return Ok(Pumped::Late);
            }
            let ready = self.wait(Some(ended), left)?;
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

    fn wait(&self, ended: Option<&OwnedFd>, left: Option<Duration>) -> io::Result<Ready> {
        // Rounded up: a rest below a millisecond must not turn into a busy loop.
        let timeout = left.map_or(PollTimeout::NONE, |l| {
            PollTimeout::try_from(l.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = Vec::with_capacity(4);
        let mut slots = [None; 4];
        let sources = [
            (ended.map(AsFd::as_fd), PollFlags::POLLIN),
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
