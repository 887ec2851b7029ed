//! Processes whose end is waited for, held so that a pid that comes again is never taken for them.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process.
#[derive(Debug)]
pub struct Held(OwnedFd);

impl Held {
    /// Takes hold of it; `None` where it has ended already.
    pub fn of(pid: i32) -> Option<Self> {
        pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok().map(Self)
    }

    /// Waits for its end until then; whether it came.
    pub fn ends_by(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], wait) {
                Ok(0) if left.is_zero() => return false,
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Ends it at once, and waits for that.
    pub fn kill(&self) -> bool {
        // One that has ended needs no signal.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
        self.ends_by(Instant::now() + Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_waited_for_and_can_be_brought_about() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("started");
        let held = Held::of(i32::try_from(child.id()).expect("a pid")).expect("alive");
        assert!(!held.ends_by(Instant::now() + Duration::from_millis(5)));
        assert!(held.kill());
        child.wait().expect("reaped");
        assert!(Held::of(0).is_none());
    }
}
