//! How an agent is reached: exactly five operations. What a message's receipt says is decided from
//! their outcomes and nowhere below; queues and receipts are not known here.
//!
//! `tmux` is the one that is built. Another is one more implementation that passes the same tests:
//! tests/transport.rs, which runs them on one without any terminal, too.

pub mod delivery;
pub mod evidence;
mod reset;
pub mod terminal;
mod tmux;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use tmux::Tmux;

use crate::host::tmux::TmuxError;
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::ack;
use crate::runfile::receipt::{State, draft_digest};
use crate::runtime::Kind;
use crate::runtime::screen::{self, Screen};

/// An agent, as a transport needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// Its name.
    pub agent: &'a AgentName,
    /// What it runs.
    pub kind: Kind,
    /// What stands before a draft in its composer.
    pub mark: &'a str,
    /// Its tenant's places.
    pub layout: &'a Layout,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// Its id.
    pub id: &'a str,
    /// All that is typed, or was.
    pub words: Words<'a>,
    /// How long evidence of its acceptance is waited for; `None` where nobody asks.
    pub verify: Option<Duration>,
}

/// A message's text.
#[derive(Debug, Clone, Copy)]
pub enum Words<'a> {
    /// To be typed.
    New(&'a str),
    /// Typed before, by a sender that ended before it pressed Enter. Nothing is typed: Enter is pressed where
    /// it stands in the composer, provably.
    Standing {
        /// [`ack::digest`] of it.
        prompt_sha256: &'a str,
        /// [`draft_digest`] of it.
        draft_sha256: &'a str,
    },
}

impl Words<'_> {
    /// By what the runtime's acknowledgement is known.
    pub fn prompt_digest(&self) -> String {
        match self {
            Self::New(text) => ack::digest(text),
            Self::Standing { prompt_sha256, .. } => (*prompt_sha256).to_owned(),
        }
    }

    /// Whether a composer that was empty before, or in which it was typed, provably shows it and nothing else.
    pub fn are_shown(&self, kind: Kind, draft: &str) -> bool {
        match self {
            Self::New(text) => screen::shows(kind, draft, text),
            Self::Standing { draft_sha256, .. } => draft_digest(draft) == *draft_sha256,
        }
    }
}

/// Held by one sender to an agent at a time, and by what types for it.
pub type SendLock = Arc<File>;

/// What is about to happen, or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// From now on the text may reach the runtime. If this cannot be recorded, nothing is typed.
    Typing,
    /// It was typed.
    Typed,
    /// Enter was pressed, this often.
    Entered(u32),
}

/// What is known after sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The message's state.
    pub state: State,
    /// Why, for people.
    pub reason: Option<String>,
    /// How often Enter was pressed.
    pub enters: u32,
}

/// An agent's terminal, seen once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    Absent,
    /// What ran there has ended.
    Ended,
    /// It runs.
    Running {
        /// Pid of the runtime.
        pid: i32,
        /// What its screen says.
        screen: Screen,
        /// Whether a person types there.
        typing: bool,
    },
}

/// One agent's terminal in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The session's name.
    pub name: String,
    /// Pid of its runtime.
    pub pid: i32,
    /// Whether that runs.
    pub running: bool,
}

/// Why a transport could not answer. Nothing is known then: not that an agent is dead, not that
/// nothing was typed.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// What carries it did not.
    #[error(transparent)]
    Unanswered(Box<dyn std::error::Error + Send + Sync>),
    /// What was about to happen could not be recorded, so it did not happen.
    #[error("record what is about to be typed: {0}")]
    Record(io::Error),
}

impl From<TmuxError> for TransportError {
    fn from(error: TmuxError) -> Self {
        Self::Unanswered(Box::new(error))
    }
}

/// The operations.
pub trait Transport {
    /// Sends one message, at most once, and says what is known of it. `told` hears each moment.
    fn send(
        &self,
        to: &Recipient<'_>,
        letter: &Letter<'_>,
        lock: &SendLock,
        told: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> Result<Outcome, TransportError>;

    /// Types the runtime's reset command and says what is known of it.
    fn reset(
        &self,
        to: &Recipient<'_>,
        command: &str,
        verify: Duration,
        lock: &SendLock,
    ) -> Result<Outcome, TransportError>;

    /// What the agent's terminal shows now.
    fn status(&self, to: &Recipient<'_>) -> Result<Status, TransportError>;

    /// The last lines of the agent's terminal as text; `None` where there is none.
    fn tail(&self, to: &Recipient<'_>, lines: u32) -> Result<Option<String>, TransportError>;

    /// Everything that can be reached, agents or not.
    fn list(&self) -> Result<Vec<Listed>, TransportError>;
}

impl Outcome {
    /// Nothing was typed.
    pub fn untouched(state: State, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()), enters: 0 }
    }
}
