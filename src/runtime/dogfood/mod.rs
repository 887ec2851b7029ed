//! The dogfood runtime: a small line-oriented program inside the binary, which behaves like an
//! agent's runtime and, when told to, like a broken one. It needs no key, no network and nothing
//! installed; it must never do anything but talk to its terminal and its own run files.
//!
//! One loop on `poll`: no threads, and no wake-up while idle but for the heartbeats.

mod beat;
mod editor;
pub mod faults;
mod terminal;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, pause};

use beat::Beats;
use editor::{Editor, Event};
use faults::{Armed, Fault};
use terminal::Terminal;

use crate::host::{clock, runfiles};
use crate::layout::Layout;
use crate::runfile::ack::{self, Ack};
use crate::runfile::heartbeat::Status;
use crate::runtime::identity::Identity;

/// How far the file of acknowledgements grows.
const LONGEST_ACKS: usize = 1 << 20;
/// How much of a message is echoed.
const ECHOED_LINES: usize = 200;
const ECHOED_BYTES: usize = 16 << 10;

/// Runs until it is told to end; the exit code.
pub fn run(layout: &Layout, me: Option<&Identity>, faults: Vec<Armed>) -> io::Result<u8> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGWINCH] {
        signals.add(signal);
    }
    signals.thread_block()?;
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
        if let Some(beats) = &self.beats {
            fds.push(PollFd::new(beats.probed(), PollFlags::POLLIN));
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

    fn interrupt(&mut self) -> Option<u8> {
        if self.working_until.is_some() {
            self.terminal.say("interrupted");
            return self.done();
        }
        self.terminal.say("ctrl-D ends dogfood");
        None
    }

    fn enter(&mut self) -> Option<u8> {
        match &mut self.keeps_drafts {
            None => return None,
            Some(0) => {}
            Some(times) => {
                *times -= 1;
                return None;
            }
        }
        let text = self.editor.take();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return None;
        }
        if let Some(command) = trimmed.strip_prefix('/').filter(|c| !c.contains('\n')) {
            return self.command(command);
        }
        if self.working_until.is_some() {
            self.terminal.say(&format!("queued: {}", echo(&text)));
            self.acknowledge(ack::Event::Queued, Some(&text));
            self.queue.push_back(text);
            return None;
        }
        self.take_up(&text);
        None
    }

    fn command(&mut self, command: &str) -> Option<u8> {
        match command.split_once(char::is_whitespace).unwrap_or((command, "")) {
            ("new" | "clear", "") => {
                self.conversation += 1;
                self.queue.clear();
                self.working_until = None;
                self.greet();
                self.acknowledge(ack::Event::Reset, None);
                self.beat();
            }
            ("quit", "") => return self.end("/quit"),
            ("fault", what) => match what.parse::<Armed>() {
                Ok(armed) => {
                    self.terminal.say(&format!("fault: {what}"));
                    return self.arm(armed);
                }
                Err(error) => self.terminal.say(&error.to_string()),
            },
            _ => self.terminal.say(&format!("/{command} is none of /new, /fault KIND, /quit")),
        }
        None
    }

    /// Begins a turn with a prompt.
    fn take_up(&mut self, text: &str) {
        self.acknowledge(ack::Event::Prompt, Some(text));
        self.terminal.say(&format!("you said: {}", echo(text)));
        if let Some(time) = work(text) {
            self.terminal.say(&format!("working for {} s", time.as_secs_f64()));
            self.working_until = Some(Instant::now() + time);
            self.beat();
        }
    }

    /// Ends a turn; what was queued meanwhile begins the next.
    fn done(&mut self) -> Option<u8> {
        self.working_until = None;
        self.terminal.say("done");
        while self.working_until.is_none() {
            match self.queue.pop_front() {
                Some(text) => self.take_up(&text),
                None => {
                    self.beat();
                    return (self.hung_up && !self.terminal.is_raw()).then_some(0);
                }
            }
        }
        None
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

    fn greet(&mut self) {
        let who = self.me.as_ref().map_or("nobody", |me| me.agent.as_str());
        let text = format!(
            "dogfood for {who}, conversation {}: /new resets, /fault KIND misbehaves, `work 5` takes 5 s, ctrl-D ends",
            self.conversation
        );
        self.terminal.say(&text);
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

    fn acknowledge(&mut self, event: ack::Event, prompt: Option<&str>) {
        let Some(me) = &self.me else { return };
        let ts = jiff::Timestamp::from_millisecond((clock::unix() * 1000.0) as i64).unwrap_or_default();
        let ack = Ack {
            ts: format!("{ts:.3}"),
            event,
            id: None,
            sha256: prompt.map(ack::digest),
            pid: Some(nix::unistd::getpid().as_raw()),
            tenant_id: me.tenant_id.clone(),
            host: me.host.clone(),
        };
        let path = self.layout.ack(&me.agent);
        let line = ack::line(&ack).map_err(io::Error::other);
        if let Err(error) = line.and_then(|line| runfiles::append(&path, &line, LONGEST_ACKS)) {
            self.terminal.say(&format!("no acknowledgement: {error}"));
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

/// For how long a prompt asks to work: `work 5`, also after the sender's preamble.
fn work(text: &str) -> Option<Duration> {
    let text = text.trim();
    let said = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, said)) => said,
        None => text,
    };
    faults::seconds(said.trim().strip_prefix("work ")?)
}

/// A message as it is shown: later lines are set in, so that none looks like a prompt.
fn echo(text: &str) -> String {
    let mut shown = String::new();
    for (number, line) in text.trim_end().lines().enumerate() {
        if number == ECHOED_LINES || shown.len() + line.len() > ECHOED_BYTES {
            let lines = text.lines().count();
            shown.push_str(&format!("\n  … ({} bytes, {lines} lines)", text.len()));
            break;
        }
        shown.push_str(if number == 0 { "" } else { "\n  | " });
        shown.push_str(line);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_never_looks_like_a_prompt_and_never_floods() {
        assert_eq!(echo("one\n> two\n"), "one\n  | > two");
        let long = echo(&"line\n".repeat(50_000));
        assert!(long.len() < 20_000 && long.ends_with("(250000 bytes, 50000 lines)"), "{long}");
        assert!(echo(&"x".repeat(1 << 20)).len() < 100);
    }

    #[test]
    fn work_is_asked_for_with_or_without_a_preamble() {
        assert_eq!(work("work 2"), Some(Duration::from_secs(2)));
        assert_eq!(work("[h:s -> h:a] work 0.5"), Some(Duration::from_millis(500)));
        assert_eq!(work("work hard"), None);
        assert_eq!(work("do work 2"), None);
    }
}
