//! Signals as events, so that every wait of the supervisor can be ended by a stop.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The supervisor's signals.
pub struct Signals {
    fd: SignalFd,
    stop: bool,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The file at this place of the list is readable; the one behind the list has urgent news.
    Ready(usize),
    /// The time is over.
    Timeout,
    /// A stop was asked for. It stays asked for.
    Stop,
    /// SIGUSR1: a person wants a start that is held back to be tried now.
    Now,
}

impl AsFd for Signals {
    /// To wait for them along with something else; [`Signals::wait`] then tells what came.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Signals {
    /// Takes over SIGTERM, SIGINT, SIGHUP and SIGUSR1 of this process.
    pub fn take() -> nix::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            set.add(signal);
        }
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { fd, stop: false })
    }

    /// Waits until one of `files` is readable, a signal comes or `until` is reached; without
    /// `until` for ever, and without waking up.
    pub fn wait(&mut self, files: &[BorrowedFd<'_>], until: Option<Instant>) -> nix::Result<Wake> {
        self.wait_for_urgent(files, None, until)
    }

    /// As [`Self::wait`], and until `urgent` has changed: files of the kernel's say so that way.
    pub fn wait_for_urgent(
        &mut self,
        files: &[BorrowedFd<'_>],
        urgent: Option<BorrowedFd<'_>>,
        until: Option<Instant>,
    ) -> nix::Result<Wake> {
        if self.stop {
            return Ok(Wake::Stop);
        }
        loop {
            let timeout = match until {
                None => PollTimeout::NONE,
                Some(until) => match until.checked_duration_since(Instant::now()) {
                    None => PollTimeout::ZERO,
                    Some(left) => rounded_up(left),
                },
            };
            let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(files.len() + 2);
            polled.push(PollFd::new(self.fd.as_fd(), PollFlags::POLLIN));
            polled.extend(files.iter().map(|f| PollFd::new(*f, PollFlags::POLLIN)));
            polled.extend(urgent.iter().map(|f| PollFd::new(*f, PollFlags::POLLPRI)));
            match poll(&mut polled, timeout) {
                Ok(0) => return Ok(Wake::Timeout),
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
            }
            let ready = polled.iter().skip(1).position(|p| p.any().unwrap_or(false));
            while let Some(signal) = self.fd.read_signal()? {
                if signal.ssi_signo == Signal::SIGUSR1 as u32 {
                    return Ok(Wake::Now);
                }
                self.stop = true;
            }
            if self.stop {
                return Ok(Wake::Stop);
            }
            if let Some(at) = ready {
                return Ok(Wake::Ready(at));
            }
        }
    }

    /// Waits for one file alone, deaf to signals: for what must be finished even when stopping.
    pub fn finish(file: BorrowedFd<'_>, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match poll(&mut [PollFd::new(file, PollFlags::POLLIN)], rounded_up(left)) {
                Ok(n) => return n > 0,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// `poll` counts whole milliseconds; rounding down would spin through the last one.
fn rounded_up(left: Duration) -> PollTimeout {
    PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{MsgFlags, send};

    use super::*;

    #[test]
    fn urgent_news_wake_and_plain_ones_of_the_same_file_do_not() {
        let fd = SignalFd::with_flags(&SigSet::empty(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        let mut signals = Signals { fd: fd.expect("a file"), stop: false };
        // Out-of-band data of a connection is the urgent news that a test can make.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let one = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (other, _) = listener.accept().expect("accepted");
        send(one.as_raw_fd(), b"x", MsgFlags::empty()).expect("sent");
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(signals.wait_for_urgent(&[], Some(other.as_fd()), soon), Ok(Wake::Timeout));
        send(one.as_raw_fd(), b"!", MsgFlags::MSG_OOB).expect("sent");
        let long = Some(Instant::now() + Duration::from_secs(20));
        assert_eq!(signals.wait_for_urgent(&[], Some(other.as_fd()), long), Ok(Wake::Ready(0)));
    }
}
