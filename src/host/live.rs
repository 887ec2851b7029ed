//! A picture on the caller's terminal that is drawn anew in place, and everything that may wake it:
//! keys, signals, a change of size, a change in a folder, the clock. The terminal is given back as it
//! was, however this ends.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::Winsize;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::terminal::{self, Raw};

/// To the alternate screen, without a cursor; a line that is too wide after all goes into no other.
const BEGIN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// Back, as it was.
const END: &[u8] = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
const LEAVES: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// What woke a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Whoever looks wants to leave.
    Leave,
    /// A signal that ends programs came, or the terminal went away.
    Signal(i32),
    /// The terminal has another size.
    Resized,
    /// So many lines further down, or up.
    Scroll(isize),
    /// Something changed in the folder.
    Changed,
    /// The time is up.
    Time,
}

/// Which names in a folder are of interest.
pub type Interest = fn(&OsStr) -> bool;

/// Changes in a folder. One that can't be watched brings none: the clock is there all the same.
pub struct Changes(Option<(Inotify, Interest)>);

impl Changes {
    /// None at all: the clock alone wakes.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there will never be any.
    pub fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// Those of files in `folder` that are of interest.
    pub fn of(folder: &Path, interest: Interest) -> Self {
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let flags = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_DELETE;
            inotify.add_watch(folder, flags)?;
            Ok::<_, Errno>(inotify)
        };
        Self(watch().ok().map(|inotify| (inotify, interest)))
    }

    /// Waits for one; whether one came before the time was up.
    pub fn wait(&self, until: Instant) -> bool {
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        fds.extend(self.0.as_ref().map(|(inotify, _)| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        loop {
            match poll(&mut fds, left(until)) {
                Ok(0) => return false,
                Ok(_) if self.take() => return true,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Takes what there is; whether any of it is of interest.
    fn take(&self) -> bool {
        let Some((inotify, interest)) = &self.0 else { return false };
        let mut any = false;
        while let Ok(events) = inotify.read_events() {
            any |= events.iter().any(|event| event.name.as_deref().is_none_or(interest));
        }
        any
    }
}

/// Signals that are told and end nothing by themselves any more.
pub struct Held(SignalFd);

/// Holds the signals that would end this program with the terminal as it is. Before any thread is
/// started: one that holds none would be ended by them.
pub fn hold_signals() -> io::Result<Held> {
    let mut set: SigSet = LEAVES.into_iter().collect();
    set.add(Signal::SIGWINCH);
    set.thread_block()?;
    Ok(Held(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
}

/// The picture.
pub struct Live {
    signals: SignalFd,
    changes: Changes,
    drawn: String,
    keys: bool,
    _raw: Raw,
}

impl Live {
    /// Takes the terminal over.
    pub fn begin(Held(signals): Held, changes: Changes) -> io::Result<Self> {
        let raw = Raw::on(io::stdout().as_fd())?;
        let live =
            Self { signals, changes, drawn: String::new(), keys: io::stdin().is_terminal(), _raw: raw };
        write(BEGIN)?;
        Ok(live)
    }

    /// The terminal's size.
    pub fn size(&self) -> Winsize {
        terminal::size(io::stdout())
    }

    /// Shows these lines, none longer than the terminal is wide, from the top.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        // As one update, for terminals that know of such; the others pass it over.
        let picture = format!("\x1b[?2026h\x1b[H{}\x1b[K\x1b[J\x1b[?2026l", lines.join("\x1b[K\r\n"));
        if picture != self.drawn {
            write(picture.as_bytes())?;
            self.drawn = picture;
        }
        Ok(())
    }

    /// Waits until something happens, at most until then.
    pub fn wait(&mut self, until: Instant) -> io::Result<Woken> {
        loop {
            let stdin = io::stdin();
            let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let place = |fds: &Vec<PollFd<'_>>| fds.len();
            let keys = self.keys.then(|| place(&fds));
            fds.extend(self.keys.then(|| PollFd::new(stdin.as_fd(), PollFlags::POLLIN)));
            let folder = place(&fds);
            fds.extend(
                self.changes.0.as_ref().map(|(inotify, _)| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)),
            );
            match poll(&mut fds, left(until)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let ready = |at: usize| fds.get(at).and_then(PollFd::any).unwrap_or(false);
            let (signal, key, change) = (ready(0), keys.is_some_and(ready), ready(folder));
            if signal && let Ok(Some(signal)) = self.signals.read_signal() {
                if signal.ssi_signo.cast_signed() != libc::SIGWINCH {
                    return Ok(Woken::Signal(signal.ssi_signo.cast_signed()));
                }
                self.drawn.clear();
                return Ok(Woken::Resized);
            }
            if key && let Some(woken) = typed(stdin.as_fd()) {
                return Ok(woken);
            }
            if change && self.changes.take() {
                return Ok(Woken::Changed);
            }
            if Instant::now() >= until {
                return Ok(Woken::Time);
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = write(END);
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// What was typed.
fn typed(stdin: BorrowedFd<'_>) -> Option<Woken> {
    let mut keys = [0; 64];
    // Not through the library's buffer: what it kept back would wake nobody.
    match nix::unistd::read(stdin, &mut keys) {
        Err(Errno::EINTR | Errno::EAGAIN) => None,
        Ok(0) | Err(_) => Some(Woken::Signal(libc::SIGHUP)),
        Ok(count) => meaning(keys.get(..count).unwrap_or_default()),
    }
}

/// What keys mean, pressed or held.
fn meaning(keys: &[u8]) -> Option<Woken> {
    if keys.iter().any(|key| matches!(key, b'q' | b'Q' | 3 | 4)) {
        return Some(Woken::Leave);
    }
    let times = |key: &[u8]| keys.windows(key.len()).filter(|w| *w == key).count().cast_signed();
    let down = times(b"j") + times(b"\x1b[B") + 10 * (times(b" ") + times(b"\x1b[6~"));
    let up = times(b"k") + times(b"\x1b[A") + 10 * (times(b"b") + times(b"\x1b[5~"));
    (down != up).then_some(Woken::Scroll(down - up))
}

fn left(until: Instant) -> PollTimeout {
    // Rounded up: a rest below a millisecond must not turn into a busy loop.
    let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_leave_or_move_and_others_do_nothing() {
        for leaves in [&b"q"[..], b"\x03", b"jjQ"] {
            assert_eq!(meaning(leaves), Some(Woken::Leave));
        }
        assert_eq!(meaning(b"jjk"), Some(Woken::Scroll(1)));
        assert_eq!(meaning(b"\x1b[A\x1b[A"), Some(Woken::Scroll(-2)));
        assert_eq!(meaning(b" "), Some(Woken::Scroll(10)));
        assert_eq!(meaning(b"xyz\r"), None);
    }

    #[test]
    fn only_changes_of_interest_end_a_wait_before_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let changes = Changes::of(folder.path(), |name| name == "a.record");
        let soon = || Instant::now() + Duration::from_millis(30);
        std::fs::write(folder.path().join("a.hb"), "x").expect("written");
        assert!(!changes.wait(soon()));
        std::fs::write(folder.path().join("a.record"), "x").expect("written");
        assert!(changes.wait(Instant::now() + Duration::from_secs(20)));
        assert!(!Changes::of(&folder.path().join("none"), |_| true).wait(soon()));
    }
}
