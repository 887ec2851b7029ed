//! A program on a real terminal: its keyboard, its screen as raw text, its end.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;

/// How long anything may take before a test gives up.
pub const BOUND: Duration = Duration::from_secs(20);

/// A program and the other end of its terminal.
pub struct Pty {
    keyboard: Option<File>,
    terminal: File,
    child: Child,
    seen: String,
    looked: usize,
}

impl Pty {
    /// Starts a program as the leader of a session on a terminal of its own, with these variables
    /// alone.
    pub fn start(program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        // Not openpty: what other tests start at the same moment would hold the other end open.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal to open");
        let terminal = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(ptsname_r(&master).expect("a name"))
            .expect("the terminal's own side");
        let end = || Stdio::from(terminal.try_clone().expect("another handle"));
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid of util-linux starts it");
        Self {
            keyboard: Some(File::from(OwnedFd::from(master))),
            terminal,
            child,
            seen: String::new(),
            looked: 0,
        }
    }

    /// Its pid: setsid becomes the program.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Types or pastes bytes.
    pub fn keys(&mut self, bytes: &[u8]) {
        self.keyboard.as_mut().expect("not hung up").write_all(bytes).expect("typed");
    }

    /// Pastes as a terminal marks it.
    pub fn paste(&mut self, text: &str) {
        self.keys(&[b"\x1b[200~", text.replace('\n', "\r").as_bytes(), b"\x1b[201~"].concat());
    }

    /// Waits until it has written this since the last time.
    pub fn sees(&mut self, text: &str) {
        let until = Instant::now() + BOUND;
        while !self.seen[self.looked..].contains(text) {
            assert!(Instant::now() < until && self.read(), "no {text:?} in {:?}", &self.seen[self.looked..]);
        }
        let at = self.seen[self.looked..].find(text).map_or(0, |at| at + text.len());
        self.looked += at;
    }

    /// Takes in what it writes, for so long at most.
    pub fn listen(&mut self, limit: Duration) {
        if self.readable(u16::try_from(limit.as_millis()).unwrap_or(u16::MAX)) {
            self.read();
        }
    }

    /// Everything it has written.
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// The terminal's settings as they are now.
    pub fn settings(&self) -> Termios {
        tcgetattr(self.terminal.as_fd()).expect("a terminal")
    }

    /// Gives the terminal another size.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        mosaic_fleet::host::terminal::resize(&self.terminal, &size);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it is there");
    }

    /// Takes the terminal away.
    pub fn hang_up(&mut self) {
        self.keyboard = None;
    }

    /// Waits for its end: `exit 3`, `signal 9`.
    pub fn end(&mut self) -> String {
        let until = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                while self.keyboard.is_some() && self.readable(0) && self.read() {}
                return match (status.code(), status.signal()) {
                    (Some(code), _) => format!("exit {code}"),
                    (None, signal) => format!("signal {}", signal.unwrap_or(0)),
                };
            }
            assert!(Instant::now() < until, "it does not end; it wrote {:?}", self.seen);
            // A terminal that nobody reads would hold its last words up.
            if self.keyboard.is_some() && self.readable(10) {
                self.read();
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn readable(&self, millis: u16) -> bool {
        let Some(keyboard) = &self.keyboard else { return false };
        let mut fds = [PollFd::new(keyboard.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(millis)).is_ok_and(|ready| ready > 0)
    }

    /// Reads what is there, waiting a while; whether more can come.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 65536];
        if !self.readable(1000) {
            return self.keyboard.is_some();
        }
        match self.keyboard.as_mut().map(|k| k.read(&mut buffer)) {
            Some(Ok(count)) if count > 0 => {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
            _ => false,
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
