//! The transport by panes of the fleet's own tmux server.

use std::io;
use std::time::{Duration, Instant};

use super::delivery::{Delivery, PATIENCE, deliver};
use super::reset::reset;
use super::terminal::{Pauses, Terminal, judged, person_types};
use super::{Letter, Listed, Moment, Outcome, Recipient, SendLock, Status, Transport, TransportError};
use crate::host::tmux::typing::{Glimpse, Pasted, Turn};
use crate::host::tmux::{Server, Target, TmuxError};
use crate::host::{clock, process};
use crate::names::AgentName;
use crate::runfile::receipt::State;
use crate::snapshot;

/// Agents' panes on one server.
#[derive(Debug, Clone)]
pub struct Tmux {
    server: Server,
}

impl Tmux {
    /// Those of that server.
    pub fn new(server: Server) -> Self {
        Self { server }
    }
}

/// One agent's pane, for one sender.
struct Pane<'a> {
    server: &'a Server,
    agent: &'a AgentName,
    buffer: String,
    lock: &'a SendLock,
}

impl Pane<'_> {
    /// `id` is of the message: a buffer has one writer, also where an earlier one was killed.
    fn new<'a>(server: &'a Server, agent: &'a AgentName, id: &str, lock: &'a SendLock) -> Pane<'a> {
        // Only characters that tmux's command language takes as they are.
        let plain = id.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b) } else { '-' });
        let buffer = format!("mosaic-{agent}-{}-{}", std::process::id(), plain.collect::<String>());
        Pane { server, agent, buffer, lock }
    }

    /// In two calls, so that a sender that is killed while it hands a text over leaves no part.
    fn hand_over(
        &self,
        text: &str,
        put: impl FnOnce() -> Result<Pasted, TmuxError>,
    ) -> Result<Pasted, TransportError> {
        self.server.load(&self.buffer, text)?;
        let put = put();
        if put.is_err() {
            let _ = self.server.forget(&self.buffer);
        }
        Ok(put?)
    }
}

impl Terminal for Pane<'_> {
    fn look(&self) -> Result<Option<Glimpse>, TransportError> {
        Ok(self.server.glimpse(self.agent.as_str())?)
    }

    fn paste(&self, text: &str, seen: &Glimpse) -> Result<Pasted, TransportError> {
        self.hand_over(text, || self.server.paste(&self.buffer, seen, self.lock))
    }

    fn type_keys(&self, keys: &str, seen: &Glimpse) -> Result<Pasted, TransportError> {
        self.hand_over(keys, || self.server.type_keys(&self.buffer, seen, self.lock))
    }

    fn enter(&self, seen: &Glimpse) -> Result<(), TransportError> {
        Ok(self.server.enter(&self.buffer, &seen.pane, self.lock)?)
    }
}

/// How long somebody else's turn is waited for.
const TURN: Duration = Duration::from_secs(30);

/// Our turn at a pane, ended when it is dropped.
struct Held<'a> {
    server: &'a Server,
    pane: String,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Who comes next ends the turn of a process that is gone.
        let _ = self.server.end_turn(&self.pane, std::process::id().cast_signed());
    }
}

/// Waits for the turn at an agent's pane; nothing is held where there is no pane.
fn turn<'a>(server: &'a Server, agent: &AgentName) -> Result<Result<Option<Held<'a>>, Outcome>, TmuxError> {
    let until = Instant::now() + TURN;
    let mut pauses = Pauses::default();
    loop {
        let (pane, pid) = match server.take_turn(agent.as_str())? {
            None => return Ok(Ok(None)),
            Some(Turn::Ours(pane)) => return Ok(Ok(Some(Held { server, pane }))),
            Some(Turn::Theirs { pane, pid }) => (pane, pid),
        };
        match pid {
            Some(pid) if process::glance(pid).is_none() => server.end_turn(&pane, pid)?,
            _ if Instant::now() > until => {
                let who = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                let why = format!("another sender{who} types to agent {agent}");
                return Ok(Err(Outcome::untouched(State::Held, why)));
            }
            _ => std::thread::sleep(pauses.next().unwrap_or_default()),
        }
    }
}

impl Transport for Tmux {
    fn send(
        &self,
        to: &Recipient<'_>,
        letter: &Letter<'_>,
        lock: &SendLock,
        told: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> Result<Outcome, TransportError> {
        let _turn = match turn(&self.server, to.agent)? {
            Ok(turn) => turn,
            Err(outcome) => return Ok(outcome),
        };
        let pane = Pane::new(&self.server, to.agent, letter.id, lock);
        deliver(&Delivery { terminal: &pane, to, letter, patience: PATIENCE }, told)
    }

    fn reset(
        &self,
        to: &Recipient<'_>,
        command: &str,
        verify: Duration,
        lock: &SendLock,
    ) -> Result<Outcome, TransportError> {
        let _turn = match turn(&self.server, to.agent)? {
            Ok(turn) => turn,
            Err(outcome) => return Ok(outcome),
        };
        reset(&Pane::new(&self.server, to.agent, "reset", lock), to, command, verify)
    }

    fn status(&self, to: &Recipient<'_>) -> Result<Status, TransportError> {
        Ok(match self.server.glimpse(to.agent.as_str())? {
            None => Status::Absent,
            Some(seen) if seen.dead => Status::Ended,
            Some(seen) => Status::Running {
                pid: seen.pid,
                screen: judged(to, &seen),
                typing: person_types(&seen.typists, clock::unix() as i64),
            },
        })
    }

    fn tail(&self, to: &Recipient<'_>, lines: u32) -> Result<Option<String>, TransportError> {
        if !self.server.has_session(to.agent.as_str())? {
            return Ok(None);
        }
        Ok(Some(self.server.capture(Target::Session(to.agent.as_str()), lines)?))
    }

    fn list(&self) -> Result<Vec<Listed>, TransportError> {
        let panes = match self.server.look()? {
            snapshot::Tmux::Absent => Vec::new(),
            snapshot::Tmux::Running { panes, .. } => panes,
        };
        Ok(panes.into_iter().map(|p| Listed { name: p.session, pid: p.pid, running: !p.dead }).collect())
    }
}
