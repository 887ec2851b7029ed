//! What is known of a message by now, after its sender wrote its receipt: what the runtime has
//! acknowledged since, or that its sender ended. Types nothing.

use std::io;

use jiff::Timestamp;

use crate::host::receipts::Receipts;
use crate::host::{clock, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::ack::{self, Event};
use crate::runfile::receipt::{Receipt, State};

/// No file of acknowledgements is longer.
const LONGEST: u64 = 4 << 20;

/// The receipt as the runtime's acknowledgements make it; `None` where they add nothing.
pub fn by_now(layout: &Layout, agent: &AgentName, receipt: &Receipt) -> Option<Receipt> {
    let open = matches!(
        receipt.state,
        State::Unknown | State::Typed | State::Draft | State::Submitted | State::Queued
    );
    if !open {
        return None;
    }
    let (bytes, _) = runfiles::read_on(&layout.ack(agent), 0, LONGEST).ok()?;
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let since = time(&receipt.created_at)?;
    let acks = ack::parse(&bytes);
    let ours = acks.iter().filter(|a| {
        a.sha256.as_deref() == Some(&receipt.prompt_sha256) && time(&a.ts).is_some_and(|at| at >= since)
    });
    let states = ours.map(|a| if a.event == Event::Queued { State::Queued } else { State::Accepted });
    let state = states.min_by_key(|state| *state != State::Accepted)?;
    (state != receipt.state).then(|| {
        let mut now = receipt.clone();
        now.enter(state, clock::timestamp(), Some("the runtime acknowledged it since".to_owned()));
        now
    })
}

/// Enters into the agent's latest receipt what was acknowledged since it was written.
pub(super) fn bring_up_to_date(receipts: &Receipts<'_>) -> io::Result<()> {
    let latest = receipts.summary().and_then(|summary| summary.latest);
    match latest.and_then(|latest| by_now(receipts.layout(), receipts.agent(), &latest)) {
        Some(now) => receipts.amend(&now),
        None => Ok(()),
    }
}

/// The receipt of a message whose sender is gone.
pub(super) fn abandoned(receipt: &Receipt) -> Receipt {
    let mut now = receipt.clone();
    let typed = receipt.steps.iter().any(|step| step.state == State::Typed);
    let why = match typed {
        true => "it was typed, and its sender ended before it saw what became of it",
        false => "its sender ended while it was typing it, and perhaps before",
    };
    now.enter(State::Unknown, clock::timestamp(), Some(why.to_owned()));
    now
}
