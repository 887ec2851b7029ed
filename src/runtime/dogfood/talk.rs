//! What the dogfood runtime does with what is said to it: prompts, commands, acknowledgements.

use std::io;
use std::time::{Duration, Instant};

use super::Dogfood;
use super::faults::{self, Armed};
use crate::host::queue::Queue;
use crate::host::{clock, runfiles};
use crate::runfile::ack::{self, Ack};
use crate::runfile::receipt::State;

/// How much of a message is echoed.
const ECHOED_LINES: usize = 200;
const ECHOED_BYTES: usize = 16 << 10;

impl Dogfood {
    pub(super) fn interrupt(&mut self) -> Option<u8> {
        if self.working_until.is_some() {
            self.terminal.say("interrupted");
            return self.done();
        }
        self.terminal.say("ctrl-D ends dogfood");
        None
    }

    pub(super) fn enter(&mut self) -> Option<u8> {
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
        self.keep(&text);
        if let Some(command) = trimmed.strip_prefix('/').filter(|c| !c.contains('\n')) {
            return self.command(command);
        }
        if self.working_until.is_some() {
            self.acknowledge(ack::Event::Queued, Some(&text));
            self.terminal.say(&format!("queued: {}", echo(&text)));
            self.queue.push_back(text);
            return None;
        }
        self.take_up(&text);
        self.boundary();
        None
    }

    fn command(&mut self, command: &str) -> Option<u8> {
        match command.split_once(char::is_whitespace).unwrap_or((command, "")) {
            ("new" | "clear", "") => {
                self.conversation += 1;
                self.queue.clear();
                self.working_until = None;
                self.acknowledge(ack::Event::Reset, None);
                self.beat();
                self.greet();
                self.boundary();
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

    /// Between two turns: takes the messages that wait in the agent's queue, as a runtime's hook
    /// does, until one of them is work.
    pub(super) fn boundary(&mut self) {
        let Some(me) = self.me.clone() else { return };
        let layout = self.layout.clone();
        let queue = Queue::of(&layout, &me.agent);
        let complain = |error: io::Error| format!("the queue cannot be read: {error}");
        while self.working_until.is_none() {
            let claim = match queue.claim() {
                Ok(Some(claim)) => claim,
                Ok(None) => break,
                Err(error) => return self.terminal.say(&complain(error)),
            };
            if let Err(error) = claim.begin() {
                return self.terminal.say(&complain(error));
            }
            let text = claim.message.text.clone();
            self.keep(&text);
            self.take_up(&text);
            let why = "taken at the turn boundary".to_owned();
            if let Err(error) = claim.finish(State::Accepted, Some(why), "queue", 0) {
                return self.terminal.say(&complain(error));
            }
        }
        for gone in queue.take_expired().unwrap_or_default() {
            self.terminal.say(&format!(
                "a message from {}, sent {}, expired before it was delivered",
                gone.source, gone.created_at
            ));
        }
    }

    /// Keeps what was submitted, as it is, where a test asked for that.
    fn keep(&self, text: &str) {
        let Some(file) = &self.record else { return };
        let line = serde_json::Value::from(text).to_string() + "\n";
        let _ = runfiles::append(file, &line, usize::MAX);
    }

    /// Begins a turn with a prompt.
    fn take_up(&mut self, text: &str) {
        self.acknowledge(ack::Event::Prompt, Some(text));
        self.terminal.say(&format!("you said: {}", echo(text)));
        if let Some(time) = work(text) {
            self.working_until = Some(Instant::now() + time);
            self.beat();
            self.terminal.say(&format!("working for {} s", time.as_secs_f64()));
        }
    }

    /// Ends a turn; what was queued meanwhile begins the next.
    pub(super) fn done(&mut self) -> Option<u8> {
        self.working_until = None;
        self.terminal.say("done");
        while self.working_until.is_none() {
            match self.queue.pop_front() {
                Some(text) => self.take_up(&text),
                None => {
                    self.beat();
                    self.boundary();
                    return (self.hung_up && !self.terminal.is_raw()).then_some(0);
                }
            }
        }
        None
    }

    pub(super) fn greet(&mut self) {
        let who = self.me.as_ref().map_or("nobody", |me| me.agent.as_str());
        let text = format!(
            "dogfood for {who}, conversation {}: /new resets, /fault KIND misbehaves, `work 5` takes 5 s, ctrl-D ends",
            self.conversation
        );
        self.terminal.say(&text);
    }

    fn acknowledge(&mut self, event: ack::Event, prompt: Option<&str>) {
        let Some(me) = &self.me else { return };
        let ack = Ack {
            ts: format!("{:.3}", clock::timestamp()),
            event,
            id: None,
            sha256: prompt.map(ack::digest),
            pid: Some(nix::unistd::getpid().as_raw()),
            tenant_id: me.tenant_id.clone(),
            host: me.host.clone(),
        };
        let path = self.layout.ack(&me.agent);
        let line = ack::line(&ack).map_err(io::Error::other);
        if let Err(error) = line.and_then(|line| runfiles::append(&path, &line, ack::LONGEST_FILE)) {
            self.terminal.say(&format!("no acknowledgement: {error}"));
        }
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
