//! The dogfood runtime: a small line-oriented program inside the binary, which behaves like an
//! agent's runtime and, when told to, like a broken one. It needs no key, no network and nothing
//! installed; it must never do anything but talk to its terminal and its own run files.
//!
//! One loop on `poll`: no threads, and no wake-up while idle but for the heartbeats.

mod beat;
pub mod editor;
pub mod faults;
mod talk;
mod terminal;

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, pause};

use beat::Beats;
use editor::{Editor, Event};
use faults::{Armed, Fault};
use terminal::Terminal;

use crate::layout::Layout;
use crate::runfile::heartbeat::Status;
use crate::runtime::identity::Identity;

/// Its name in lists of processes.
pub const COMM: &str = "dogfood";

/// Runs until it is told to end; the exit code.
pub fn run(layout: &Layout, me: Option<&Identity>, faults: Vec<Armed>) -> io::Result<u8> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGWINCH] {
        signals.add(signal);
    }
    signals.thread_block()?;
    // What process lists call it: not the program that is much else, too.
    let name = CString::new(COMM)?;
    prctl::set_name(&name)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    for armed in &faults {
        if let Fault::Slow(time) = armed.fault
            && slow_start(&signals, time)?
        {
            return Ok(0);
        }
    }
    let mut dogfood = Dogfood {
        terminal: Terminal::open()?,
        editor: Editor::default(),
        beats: None,
        armed: Vec::new(),
        muted: false,
        keeps_drafts: Some(0),
        ignores_hang_up: false,
        hung_up: false,
        hog: Vec::new(),
        working_until: None,
        queue: VecDeque::new(),
        conversation: 1,
        complained: false,
        changed: true,
        me: me.cloned(),
        layout: layout.clone(),
        record: std::env::var_os("MOSAIC_DOGFOOD_RECORD").map(PathBuf::from),
    };
    for armed in faults {
        if let Some(code) = dogfood.arm(armed) {
            return Ok(code);
        }
    }
    dogfood.greet();
    if let Some(me) = me {
        match Beats::new(layout, me) {
            Ok(beats) => dogfood.beats = Some(beats),
            Err(error) => dogfood.terminal.say(&format!("no heartbeats: {error}")),
        }
        dogfood.beat();
    }
    dogfood.boundary();
    let code = dogfood.turn(&signals)?;
    Ok(code)
}

/// Waits without a word; whether a signal ended it.
fn slow_start(signals: &SignalFd, time: Duration) -> io::Result<bool> {
    let until = Instant::now() + time;
    loop {
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        wait(&mut fds, Some(until))?;
        while let Some(signal) = signals.read_signal()? {
            if signal.ssi_signo != Signal::SIGWINCH as u32 {
                return Ok(true);
            }
        }
        if Instant::now() >= until {
            return Ok(false);
        }
    }
}

/// Polls until something happens or the time has come.
fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<()> {
    let timeout = match until {
        None => PollTimeout::NONE,
        Some(until) => {
            // Rounded up: a wake-up just before the time would only go round again.
            let millis = until.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

struct Dogfood {
    terminal: Terminal,
    editor: Editor,
    beats: Option<Beats>,
    armed: Vec<(Fault, Instant)>,
    muted: bool,
    /// How many times Enter still leaves the draft; `None` for always.
    keeps_drafts: Option<u32>,
    ignores_hang_up: bool,
    hung_up: bool,
    hog: Vec<Vec<u8>>,
    working_until: Option<Instant>,
    queue: VecDeque<String>,
    conversation: u32,
    complained: bool,
    changed: bool,
    me: Option<Identity>,
    layout: Layout,
    /// Where everything that was submitted is kept exactly, a JSON string a line, for tests.
    record: Option<PathBuf>,
}

impl Dogfood {
    fn turn(&mut self, signals: &SignalFd) -> io::Result<u8> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            if self.changed && !self.editor.pasting() {
                self.terminal.prompt(self.editor.draft());
                self.changed = false;
            }
            let ready = self.wait(signals)?;
            while let Some(signal) = signals.read_signal()? {
                if let Some(code) = self.signalled(signal.ssi_signo) {
                    return Ok(code);
                }
            }
            if ready.probed {
                if let Some(beats) = &mut self.beats {
                    beats.take_probe();
                }
                self.beat();
            }
            if ready.input
                && let Some(code) = self.input(&mut buffer)?
            {
                return Ok(code);
            }
            if let Some(code) = self.times() {
                return Ok(code);
            }
        }
    }

    fn wait(&self, signals: &SignalFd) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if !self.hung_up {
            fds.push(PollFd::new(self.terminal.input(), PollFlags::POLLIN));
        }
        if let Some(probed) = self.beats.as_ref().and_then(Beats::probed) {
            fds.push(PollFd::new(probed, PollFlags::POLLIN));
        }
        let due = self.beats.as_ref().map(Beats::due);
        let armed = self.armed.iter().map(|(_, at)| *at);
        wait(&mut fds, due.into_iter().chain(armed).chain(self.working_until).min())?;
        let happened = |at: usize| fds.get(at).is_some_and(|fd| fd.any().unwrap_or(true));
        let input = !self.hung_up && happened(1);
        Ok(Ready { input, probed: happened(if self.hung_up { 1 } else { 2 }) })
    }

    fn signalled(&mut self, signal: u32) -> Option<u8> {
        match signal {
            s if s == Signal::SIGWINCH as u32 => {
                self.changed = true;
                None
            }
            s if s == Signal::SIGHUP as u32 && self.ignores_hang_up => None,
            s if s == Signal::SIGHUP as u32 => self.end("hang-up"),
            _ => self.end("SIGTERM"),
        }
    }

    fn end(&mut self, by: &str) -> Option<u8> {
        self.terminal.say(&format!("dogfood ends by {by}"));
        Some(0)
    }

    fn input(&mut self, buffer: &mut [u8]) -> io::Result<Option<u8>> {
        let count = match self.terminal.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            // A terminal whose other end is gone answers with an error.
            Err(_) => 0,
        };
        if count == 0 {
            self.hung_up = true;
            if self.terminal.is_raw() {
                return Ok(if self.ignores_hang_up { None } else { self.end("hang-up") });
            }
            if !self.editor.draft().is_empty() {
                self.enter();
            }
            return Ok(if self.working_until.is_none() { Some(0) } else { None });
        }
        self.changed = true;
        for byte in &buffer[..count] {
            let code = match self.editor.feed(*byte) {
                None | Some(Event::Cleared) => None,
                Some(Event::Enter) => self.enter(),
                Some(Event::Interrupt) => self.interrupt(),
                Some(Event::End) => self.end("ctrl-D"),
            };
            if code.is_some() {
                return Ok(code);
            }
        }
        Ok(None)
    }

    /// Does what time has come for.
    fn times(&mut self) -> Option<u8> {
        let now = Instant::now();
        if let Some(at) = self.armed.iter().position(|(_, at)| *at <= now) {
            let (fault, _) = self.armed.swap_remove(at);
            self.changed = true;
            return self.misbehave(fault);
        }
        if self.working_until.is_some_and(|until| until <= now) {
            self.changed = true;
            return self.done();
        }
        if self.beats.as_ref().is_some_and(|beats| beats.due() <= now) {
            self.beat();
        }
        None
    }

    fn arm(&mut self, armed: Armed) -> Option<u8> {
        if armed.after.is_zero() {
            return self.misbehave(armed.fault);
        }
        self.armed.push((armed.fault, Instant::now() + armed.after));
        None
    }

    fn misbehave(&mut self, fault: Fault) -> Option<u8> {
        match fault {
            Fault::None => {
                self.muted = false;
                self.keeps_drafts = Some(0);
                self.ignores_hang_up = false;
                self.hog = Vec::new();
                self.armed = Vec::new();
                self.terminal.full_screen(false);
                self.beat();
            }
            Fault::Hang => hang(),
            Fault::Die => drop(kill(Pid::this(), Signal::SIGKILL)),
            Fault::Exit(code) => {
                self.terminal.say(&format!("dogfood exits with {code}"));
                return Some(code);
            }
            Fault::Mute => self.muted = true,
            Fault::Draft(times) => self.keeps_drafts = times,
            Fault::FullScreen => self.terminal.full_screen(true),
            // A start happens once.
            Fault::Slow(_) => {}
            Fault::Memory(mib) => {
                // One by one and written to, so that the memory is really taken.
                self.hog.extend((0..mib).map(|_| vec![1; 1 << 20]));
            }
            Fault::IgnoreHangUp => self.ignores_hang_up = true,
        }
        None
    }

    fn beat(&mut self) {
        let Some(beats) = &mut self.beats else { return };
        if self.muted {
            return beats.skip();
        }
        let status = if self.working_until.is_some() { Status::Busy } else { Status::Ok };
        let session = format!("dogfood-{}-{}", nix::unistd::getpid(), self.conversation);
        match beats.beat(status, &session) {
            Err(error) if !self.complained => {
                self.complained = true;
                self.changed = true;
                self.terminal.say(&format!("no heartbeat: {error}"));
            }
            Err(_) => {}
            Ok(()) => self.complained = false,
        }
    }
}

struct Ready {
    input: bool,
    probed: bool,
}

/// Nothing but SIGKILL ends this.
fn hang() -> ! {
    // Blocked, not ignored: a stop asks, and nobody answers.
    let _ = SigSet::all().thread_block();
    loop {
        pause();
    }
}
