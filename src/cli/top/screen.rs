//! The terminal while `fleet top` has it, and as it was before on every way out.

use std::io::{self, Stdout, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::process::{PidfdFlags, pidfd_open};

/// The terminal, taken.
pub struct Screen {
    /// To draw on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    signals: SignalFd,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Woken {
    /// Keys came.
    pub keys: bool,
    /// The feed said something.
    pub feed: bool,
    /// The terminal has another size.
    pub resized: bool,
    /// A signal to end by, or the terminal is gone.
    pub ended: Option<i32>,
}

impl Screen {
    /// Takes the terminal.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGWINCH] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enter()?;
        Ok(Self { terminal: Terminal::new(CrosstermBackend::new(stdout()))?, signals })
    }

    /// Waits for keys, the feed or a signal.
    pub fn wait(&self, feed: &UnixStream, limit: Duration) -> io::Result<Woken> {
        let stdin = io::stdin();
        let mut fds = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(feed.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [keys, feed, _] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let mut woken =
            Woken { keys: keys.contains(PollFlags::POLLIN), feed: !feed.is_empty(), ..Woken::default() };
        if keys.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            woken.ended = Some(libc::SIGHUP);
        }
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).unwrap_or(libc::SIGTERM) {
                libc::SIGWINCH => woken.resized = true,
                number => woken.ended = Some(number),
            }
        }
        Ok(woken)
    }

    /// Hands the terminal over to a program until it ends; what it wrote to its standard error. A
    /// signal to end by is passed on to it, and comes back.
    pub fn hand_over(&mut self, mut command: Command) -> io::Result<(Output, Option<i32>)> {
        give_back();
        let result = self.run(command.stderr(Stdio::piped()));
        enter()?;
        // Anew, since clearing it would ask the terminal where its cursor is, and wait.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        result
    }

    fn run(&self, command: &mut Command) -> io::Result<(Output, Option<i32>)> {
        let child = command.spawn()?;
        let number = i32::try_from(child.id()).map_err(io::Error::other)?;
        let pid = rustix::process::Pid::from_raw(number).ok_or_else(|| io::Error::other("no pid"))?;
        let ended = pidfd_open(pid, PidfdFlags::empty())?;
        let mut told = None;
        loop {
            let mut fds = [
                PollFd::new(ended.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let is_over = fds.first().and_then(PollFd::any).unwrap_or(false);
            while let Some(signal) = self.signals.read_signal()? {
                let signal = i32::try_from(signal.ssi_signo).unwrap_or(libc::SIGTERM);
                if signal != libc::SIGWINCH {
                    told = Some(signal);
                    // It has not been waited for: the number is its own.
                    let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
                }
            }
            if is_over {
                return child.wait_with_output().map(|output| (output, told));
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// A terminal that is gone needs nothing back.
fn give_back() {
    let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
