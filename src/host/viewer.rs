//! An agent's terminal on the caller's, through a tmux client on a terminal between them.
//!
//! This process holds the other end of the client's terminal: what tmux draws is handed on, and of
//! a watcher's keys nothing at all. (A client that is only read-only may still put the pane into
//! copy mode, or change to another session.) When this process is gone, however it went, so is the
//! client's terminal, and with it the client.

pub mod keys;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use super::terminal::{self, Raw};
use super::tmux::Server;
use super::tmux::client::{Rights, View};
use keys::{Direction, Keys, Wish};

/// How long tmux may take to give the terminal back as it was.
const TIDY_WITHIN: Duration = Duration::from_secs(1);
/// How long after something was drawn it is looked whether that is still the agent's.
const LOOKS_AFTER: Duration = Duration::from_millis(500);
/// So much is handed on at once: what a terminal that is ready takes without blocking.
const PIECE: usize = 1024;
/// How tmux refuses a terminal that this machine's terminfo does not have.
const NOT_DESCRIBED: &str = "missing or unsuitable terminal";
/// What nearly every terminal understands, and every distribution describes.
const COMMON_TERMINAL: &str = "xterm-256color";
/// Back from the alternate screen.
const MAIN_SCREEN: &[u8] = b"\x1b[?1049l";
/// A visible cursor, no colours, no mouse, plain keys, scrolling of the whole screen.
const PLAIN: &[u8] = b"\x1b[r\x1b[?25h\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\r\n";

/// Why a look ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The watcher left.
    Asked,
    /// A signal came, or the terminal went away.
    Signal(i32),
    /// Another window of the session was brought to the front: what a watcher would see is no agent's.
    Elsewhere,
    /// The client ended by itself: the session is gone, or somebody sent it away.
    Ended {
        /// What it said to its standard error.
        said: String,
    },
}

/// Shows the session on the caller's terminal until the caller leaves or it ends. Whoever may type
/// leaves by tmux's own key.
pub fn show(server: &Server, session: &str, rights: Rights) -> io::Result<Left> {
    let left = show_as(server, session, rights, None)?;
    match &left {
        Left::Ended { said } if said.contains(NOT_DESCRIBED) => {
            show_as(server, session, rights, Some(COMMON_TERMINAL))
        }
        _ => Ok(left),
    }
}

fn show_as(server: &Server, session: &str, rights: Rights, terminal: Option<&str>) -> io::Result<Left> {
    let mut viewer = Viewer::start(server, session, rights, terminal)?;
    let raw = Raw::on(io::stdin().as_fd())?;
    let left = viewer.relay();
    if !matches!(left, Ok(Left::Ended { .. })) {
        viewer.say_goodbye();
    }
    viewer.tidy_up();
    drop(raw);
    left
}

/// The signals that a look heeds.
fn heeded() -> SigSet {
    let mut set = SigSet::empty();
    for signal in
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGWINCH, Signal::SIGCHLD]
    {
        set.add(signal);
    }
    set
}

struct Viewer<'a> {
    server: &'a Server,
    session: &'a str,
    rights: Rights,
    keys: Keys,
    /// The client's terminal, as tmux calls it.
    name: String,
    ours: File,
    child: Child,
    ended: OwnedFd,
    signals: SignalFd,
    /// The last of what it drew.
    drawn: Vec<u8>,
    /// When it is to be looked whether it is the agent's terminal that is drawn.
    look_due: Option<Instant>,
}

/// What woke a wait.
struct Ready {
    keys: bool,
    picture: bool,
    signal: bool,
    ended: bool,
}

impl<'a> Viewer<'a> {
    fn start(
        server: &'a Server,
        session: &'a str,
        rights: Rights,
        terminal: Option<&str>,
    ) -> io::Result<Self> {
        let size = terminal::size(io::stdout());
        let OpenptyResult { master: ours, slave } = openpty(&size, None)?;
        for end in [&ours, &slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let name = nix::unistd::ttyname(&slave)?;
        let end = || slave.try_clone().map(Stdio::from);
        let mut command = server.client(session, rights);
        command.envs(terminal.map(|name| ("TERM", name)));
        // Whoever started this program may have blocked what its client is told by.
        heeded().thread_unblock()?;
        let child = command.stdin(end()?).stdout(end()?).stderr(Stdio::piped()).spawn()?;
        // Only now: a child inherits what is blocked, and this one is told by signals.
        let set = heeded();
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the client has no pid"))?;
        let ended = pidfd_open(pid, PidfdFlags::empty())?;
        let keys = Keys::default();
        Ok(Self {
            server,
            session,
            rights,
            keys,
            name: text(name),
            ours: ours.into(),
            child,
            ended,
            signals,
            drawn: Vec::new(),
            look_due: None,
        })
    }

    /// Hands on what is drawn until something ends it.
    fn relay(&mut self) -> io::Result<Left> {
        loop {
            let ready = self.wait()?;
            if ready.signal
                && let Some(left) = self.signalled()?
            {
                return Ok(left);
            }
            if ready.picture && !self.hand_on()? {
                return Ok(Left::Signal(libc::SIGHUP));
            }
            if ready.keys
                && let Some(left) = self.typed()?
            {
                return Ok(left);
            }
            if ready.ended && !ready.picture {
                return Ok(Left::Ended { said: self.said() });
            }
            if ready.picture && self.rights == Rights::Watch {
                self.look_due.get_or_insert_with(|| Instant::now() + LOOKS_AFTER);
            }
            if self.look_due.is_some_and(|due| due <= Instant::now()) {
                self.look_due = None;
                if self.is_elsewhere() {
                    return Ok(Left::Elsewhere);
                }
            }
        }
    }

    /// Whether another window, or another pane over all of it, is in front. What can't be asked is not so.
    fn is_elsewhere(&self) -> bool {
        matches!(self.server.stage(self.session), Ok(Some(stage)) if !stage.in_front)
    }

    /// Does what was typed; how it ends the look, where it does.
    fn typed(&mut self) -> io::Result<Option<Left>> {
        let mut typed = [0; 512];
        // Not through the library's buffer: what it kept back would wake nobody.
        let count = match nix::unistd::read(io::stdin(), &mut typed) {
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(None),
            Ok(0) | Err(_) => return Ok(Some(Left::Signal(libc::SIGHUP))),
            Ok(count) => count,
        };
        let typed = typed.get(..count).unwrap_or_default();
        if self.rights == Rights::Type {
            return self.hand_over(typed).map(|()| None);
        }
        for byte in typed {
            match self.keys.take(*byte) {
                None => {}
                Some(Wish::Leave) => return Ok(Some(Left::Asked)),
                Some(Wish::Follow) => self.look_at(View::Follow),
                Some(Wish::Move(direction)) => self.look_at(self.part(direction)),
            }
        }
        Ok(None)
    }

    /// Hands keys over to tmux, which reads them when it gets to it.
    fn hand_over(&mut self, mut keys: &[u8]) -> io::Result<()> {
        let until = Instant::now() + TIDY_WITHIN;
        while !keys.is_empty() && Instant::now() < until {
            match self.ours.write(keys) {
                Ok(count) => keys = keys.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut room = [PollFd::new(self.ours.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut room, PollTimeout::from(100u8));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The client has ended, which is noticed elsewhere.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// A third of the screen, so that one still sees where one is.
    fn part(&self, direction: Direction) -> View {
        let size = terminal::size(io::stdout());
        let (lines, columns) = (size.ws_row.div_ceil(3), size.ws_col.div_ceil(3));
        match direction {
            Direction::Up => View::Up(lines),
            Direction::Down => View::Down(lines),
            Direction::Left => View::Left(columns),
            Direction::Right => View::Right(columns),
        }
    }

    /// A server that does not answer shows no other part; it is seen to hang anyway.
    fn look_at(&self, view: View) {
        let _ = self.server.view(&self.name, view);
    }

    fn signalled(&mut self) -> io::Result<Option<Left>> {
        while let Some(signal) = self.signals.read_signal()? {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(libc::SIGTERM);
            match number {
                libc::SIGWINCH => {
                    terminal::resize(&self.ours, &terminal::size(io::stdout()));
                    self.tell(Signal::SIGWINCH);
                }
                // Its end is seen elsewhere; a client that suspended itself has no shell to go to.
                libc::SIGCHLD => self.tell(Signal::SIGCONT),
                _ => return Ok(Some(Left::Signal(number))),
            }
        }
        Ok(None)
    }

    /// Hands on a piece of what is drawn; false where nobody is there to see it.
    fn hand_on(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let count = match nix::unistd::read(&self.ours, &mut piece) {
            Ok(count) => count,
            // The other end is closed: the client's end is told apart.
            Err(Errno::EIO | Errno::EAGAIN | Errno::EINTR) => 0,
            Err(errno) => return Err(errno.into()),
        };
        if count == 0 {
            return Ok(true);
        }
        let piece = piece.get(..count).unwrap_or_default();
        let kept = self.drawn.len().saturating_sub(PIECE);
        self.drawn.drain(..kept);
        self.drawn.extend_from_slice(piece);
        let mut stdout = io::stdout().lock();
        Ok(stdout.write_all(piece).and_then(|()| stdout.flush()).is_ok())
    }

    /// Lets the client put the terminal back as it was.
    fn say_goodbye(&mut self) {
        let until = Instant::now() + TIDY_WITHIN;
        if self.server.detach(&self.name).is_err() {
            self.tell(Signal::SIGTERM);
        }
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Ok((picture, ended)) = self.wait_for_client(left) else { return };
            if (picture && !self.hand_on().unwrap_or(false)) || (ended && !picture) {
                return;
            }
        }
    }

    /// Puts the terminal back where tmux did not: its server may have been killed, or hang.
    fn tidy_up(&self) {
        let done = self.drawn.windows(MAIN_SCREEN.len()).any(|at| at == MAIN_SCREEN);
        if !done && !self.drawn.is_empty() {
            let mut stdout = io::stdout().lock();
            let _ = stdout
                .write_all(MAIN_SCREEN)
                .and_then(|()| stdout.write_all(PLAIN))
                .and_then(|()| stdout.flush());
        }
    }

    fn tell(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // It has not been waited for: the number is its own.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    fn said(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    fn wait(&self) -> io::Result<Ready> {
        let stdin = io::stdin();
        let mut fds = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ours.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
        ];
        let until = self.look_due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = until.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [keys, picture, signal, ended] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(Ready {
            keys: !keys.is_empty(),
            // A hang-up alone brings nothing more: the client's end is seen by its pidfd.
            picture: picture.contains(PollFlags::POLLIN),
            signal: !signal.is_empty(),
            ended: !ended.is_empty(),
        })
    }

    /// Waits for the client alone: whether it draws, whether it has ended.
    fn wait_for_client(&self, left: Duration) -> io::Result<(bool, bool)> {
        let timeout = PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        let mut fds = [
            PollFd::new(self.ours.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ended.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [picture, ended] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok((picture.contains(PollFlags::POLLIN), !ended.is_empty()))
    }
}

impl Drop for Viewer<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}
