//! How a runtime takes messages at its terminal: facts measured on the programs themselves, as
//! data. What is done with them is decided where messages are sent.
//!
//! The reset command and the draft's mark are the roster's to change and stand there.

use std::time::Duration;

use super::{Kind, claude, codex, opencode, pi};
use crate::runfile::ack::Event;

/// How a runtime is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talk {
    /// How it is known that it takes input.
    pub ready: Ready,
    /// How long it still needs after that.
    pub settle: Duration,
    /// Between a paste and Enter: some take an Enter that comes at once for a part of the paste.
    pub gap: Duration,
    /// Between a command typed at the prompt and Enter: most open a list of commands first.
    pub command_gap: Duration,
    /// What it acknowledges, by the adapter that `mosaic yolo` gives it or by itself.
    pub acknowledges: &'static [Event],
    /// What it does with a message while it works.
    pub while_busy: WhileBusy,
}

/// How it is known that a runtime takes input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Its first heartbeat of this run with `status=ok`, or any with `status=busy` after that.
    Beat,
    /// Its screen.
    Screen,
}

/// What a runtime does with a message while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileBusy {
    /// Keeps it for the end of the turn, or of the step.
    Queues,
    /// Stops what it does and takes the message at once.
    Steers,
    /// Not known.
    Unknown,
}

impl Kind {
    /// How it is talked to.
    pub fn talk(self) -> Talk {
        match self {
            Self::Claude => claude::TALK,
            Self::Codex => codex::TALK,
            Self::OpenCode => opencode::TALK,
            Self::Pi => pi::TALK,
            Self::Dogfood => DOGFOOD,
            Self::Custom => CUSTOM,
        }
    }
}

/// Ours reads a paste and Enter as they come.
const DOGFOOD: Talk = Talk {
    ready: Ready::Beat,
    settle: Duration::ZERO,
    gap: Duration::ZERO,
    command_gap: Duration::ZERO,
    acknowledges: &[Event::Prompt, Event::Queued, Event::Reset],
    while_busy: WhileBusy::Queues,
};

/// Of a program that is not known, the slowest of those that are.
const CUSTOM: Talk = Talk {
    ready: Ready::Screen,
    settle: Duration::from_millis(500),
    gap: Duration::from_millis(200),
    command_gap: Duration::from_millis(500),
    acknowledges: &[],
    while_busy: WhileBusy::Unknown,
};
