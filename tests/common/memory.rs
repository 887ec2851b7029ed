//! A transport without any terminal: agents that are a composer and a list. It shows that what a transport has to
//! keep to can be kept without tmux.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::runfile::receipt::State;
use mosaic_fleet::runtime::screen::{Activity, Composer, Screen};
use mosaic_fleet::transport::{
    Letter, Listed, Moment, Outcome, Recipient, SendLock, Status, Transport, TransportError, Words,
};

use super::{House, Ways};

struct Agent {
    ways: Ways,
    composer: String,
    received: Vec<String>,
}

/// What an Enter came to.
enum Entered {
    Taken,
    StandsThere,
    Nothing,
}

impl Agent {
    fn enter(&mut self) -> Entered {
        match self.ways {
            Ways::Takes => {
                self.received.push(std::mem::take(&mut self.composer));
                Entered::Taken
            }
            Ways::Keeps => Entered::StandsThere,
            Ways::Hangs => Entered::Nothing,
        }
    }
}

pub struct Memory {
    home: tempfile::TempDir,
    layout: Layout,
    agents: RefCell<BTreeMap<String, Agent>>,
}

impl Memory {
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let layout = Layout::new(home.path(), None);
        Self { home, layout, agents: RefCell::default() }
    }

    /// What has to be so before anything may be typed.
    fn free<'a>(agent: Option<&'a mut Agent>, name: &str) -> Result<&'a mut Agent, Outcome> {
        let agent = agent
            .ok_or_else(|| Outcome::untouched(State::Refused, format!("agent {name} is not running")))?;
        if agent.composer.is_empty() {
            return Ok(agent);
        }
        Err(Outcome::untouched(State::Held, format!("a draft stands in the composer of agent {name}")))
    }
}

impl Transport for Memory {
    fn send(
        &self,
        to: &Recipient<'_>,
        letter: &Letter<'_>,
        _lock: &SendLock,
        told: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> Result<Outcome, TransportError> {
        let mut agents = self.agents.borrow_mut();
        let agent = agents.get_mut(to.agent.as_str());
        let agent = match letter.words {
            Words::New(text) => {
                let agent = match Self::free(agent, to.agent.as_str()) {
                    Ok(agent) => agent,
                    Err(outcome) => return Ok(outcome),
                };
                told(Moment::Typing).map_err(TransportError::Record)?;
                agent.composer = text.to_owned();
                let _ = told(Moment::Typed);
                agent
            }
            standing @ Words::Standing { .. } => {
                match agent.filter(|agent| standing.are_shown(to.kind, &agent.composer)) {
                    Some(agent) => agent,
                    None => return Ok(Outcome::untouched(State::Unknown, "it does not stand there")),
                }
            }
        };
        for enters in 1..=4 {
            let entered = agent.enter();
            let _ = told(Moment::Entered(enters));
            let state = match entered {
                Entered::Taken => State::Accepted,
                Entered::Nothing => State::Unknown,
                Entered::StandsThere if enters == 4 => State::Draft,
                Entered::StandsThere => continue,
            };
            return Ok(Outcome { state, reason: None, enters });
        }
        unreachable!("the last Enter returns")
    }

    fn reset(
        &self,
        to: &Recipient<'_>,
        _command: &str,
        _verify: Duration,
        _lock: &SendLock,
    ) -> Result<Outcome, TransportError> {
        let mut agents = self.agents.borrow_mut();
        Ok(match Self::free(agents.get_mut(to.agent.as_str()), to.agent.as_str()) {
            Err(outcome) => outcome,
            Ok(agent) => {
                let state = if agent.ways == Ways::Takes { State::Accepted } else { State::Unknown };
                Outcome { state, reason: None, enters: 1 }
            }
        })
    }

    fn status(&self, to: &Recipient<'_>) -> Result<Status, TransportError> {
        let agents = self.agents.borrow();
        let Some(agent) = agents.get(to.agent.as_str()) else { return Ok(Status::Absent) };
        let composer = match agent.composer.as_str() {
            "" => Composer::Empty,
            text => Composer::Draft(text.to_owned()),
        };
        let screen = Screen { ready: true, composer, activity: Activity::Idle, queued: false, dialog: None };
        Ok(Status::Running { pid: std::process::id().cast_signed(), screen, typing: false })
    }

    fn tail(&self, to: &Recipient<'_>, lines: u32) -> Result<Option<String>, TransportError> {
        let agents = self.agents.borrow();
        let Some(agent) = agents.get(to.agent.as_str()) else { return Ok(None) };
        let all: Vec<String> =
            agent.received.iter().cloned().chain([format!("> {}", agent.composer)]).collect();
        let skipped = all.len().saturating_sub(lines as usize);
        Ok(Some(all[skipped..].join("\n")))
    }

    fn list(&self) -> Result<Vec<Listed>, TransportError> {
        let pid = std::process::id().cast_signed();
        let listed = |name: &String| Listed { name: name.clone(), pid, running: true };
        Ok(self.agents.borrow().keys().map(listed).collect())
    }
}

impl House for Memory {
    fn transport(&self) -> &dyn Transport {
        self
    }

    fn layout(&self) -> &Layout {
        assert!(self.home.path().is_dir(), "it lives as long as we do");
        &self.layout
    }

    fn begin(&self, agent: &str, ways: Ways) {
        let new = Agent { ways, composer: String::new(), received: Vec::new() };
        self.agents.borrow_mut().insert(agent.to_owned(), new);
    }

    fn draft(&self, agent: &str, text: &str) {
        self.agents.borrow_mut().get_mut(agent).expect("it began").composer = text.to_owned();
    }

    fn received(&self, agent: &str) -> Vec<String> {
        self.agents.borrow().get(agent).expect("it began").received.clone()
    }
}
