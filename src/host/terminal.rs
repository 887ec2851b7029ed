//! The caller's terminal: its size, its name, and raw for a while.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::pty::Winsize;
use nix::sys::termios::{self, SetArg, Termios};

/// How many columns the terminal has; `None` where it is none or does not say.
pub fn columns(stream: impl AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}

/// Columns and rows; 80x24 where it does not say.
pub fn size(stream: impl AsFd) -> Winsize {
    let (columns, rows) = match terminal_size::terminal_size_of(stream) {
        Some((width, height)) if width.0 > 0 && height.0 > 0 => (width.0, height.0),
        _ => (80, 24),
    };
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

nix::ioctl_write_ptr_bad!(
    /// Says how large a terminal is.
    tiocswinsz,
    libc::TIOCSWINSZ,
    Winsize
);

/// Says how large a terminal is.
pub fn resize(terminal: impl AsFd, size: &Winsize) {
    // SAFETY: the descriptor is open while it is borrowed, and the kernel only reads the size.
    #[allow(unsafe_code)]
    let _ = unsafe { tiocswinsz(terminal.as_fd().as_raw_fd(), size) };
}

/// The terminals that standard input, output and error are, by their names.
pub fn own_names() -> Vec<PathBuf> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut names: Vec<PathBuf> = streams.iter().filter_map(|s| nix::unistd::ttyname(s).ok()).collect();
    names.dedup();
    names
}

/// A terminal that hands every key over as it is typed, until this is dropped.
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Makes it so.
    pub fn on(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(Self { terminal: terminal.try_clone_to_owned()?, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What was typed to leave is not for the shell. Not draining: a terminal that nobody reads
        // must not hold the end up.
        let _ = termios::tcflush(&self.terminal, termios::FlushArg::TCIFLUSH);
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
