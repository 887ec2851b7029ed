//! What is known of a message by now, after its sender wrote its receipt: what the runtime has
//! acknowledged since, or that its sender ended. Types nothing.

use std::io;

use super::TYPING;
use crate::host::clock;
use crate::host::receipts::Receipts;
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::ack::Ack;
use crate::runfile::receipt::{Receipt, State};

/// What is known of an agent's messages by now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The last message's receipt.
    pub latest: Option<Receipt>,
    /// Those of earlier messages that are not settled, the latest at the end.
    pub open: Vec<Receipt>,
}

/// The receipt as the runtime's acknowledgements make it; `None` where they add nothing.
pub fn by_now(layout: &Layout, agent: &AgentName, receipt: &Receipt) -> Option<Receipt> {
    let acks = if receipt.state.is_open() { Receipts::of(layout, agent).acks() } else { Vec::new() };
    settled(receipt, &acks)
}

fn settled(receipt: &Receipt, acks: &[Ack]) -> Option<Receipt> {
    let state = receipt.acknowledged(acks)?;
    let mut now = receipt.clone();
    now.enter(state, clock::timestamp(), Some("the runtime acknowledged it since".to_owned()));
    Some(now)
}

/// Enters into the agent's receipts what was acknowledged since they were written.
pub fn bring_up_to_date(receipts: &Receipts<'_>) -> io::Result<Known> {
    let Some(summary) = receipts.summary() else { return Ok(Known::default()) };
    let mut known = Known { latest: summary.latest, open: Vec::new() };
    let mut ids = summary.open;
    // A summary of an earlier version names none.
    ids.extend(known.latest.iter().filter(|r| r.state.is_open()).map(|r| r.id.clone()));
    ids.dedup();
    if ids.is_empty() {
        return Ok(known);
    }
    let acks = receipts.acks();
    for id in ids {
        // One that was removed, or cannot be read, says nothing more.
        let Some(before) = receipts.read(&id).ok().flatten() else { continue };
        let now = match settled(&before, &acks) {
            None => before,
            Some(_) => receipts.settle(&id, |stands| settled(stands, &acks))?.unwrap_or(before),
        };
        match &mut known.latest {
            Some(latest) if latest.id == now.id => *latest = now,
            _ if matches!(now.state, State::Queued | State::Draft | State::Unknown) => known.open.push(now),
            _ => {}
        }
    }
    Ok(known)
}

/// The receipt of a message whose sender is gone and whose text does not stand in the composer, and never will.
pub(super) fn gone(receipt: &Receipt) -> Receipt {
    let told = !receipt.was_typed() && receipt.reason.as_deref().is_some_and(|why| why != TYPING);
    // Why it did not come to be typed is known better already.
    let now = if told { receipt.clone() } else { abandoned(receipt) };
    Receipt { draft_sha256: None, ..now }
}

/// The receipt of a message whose sender is gone.
pub(super) fn abandoned(receipt: &Receipt) -> Receipt {
    let mut now = receipt.clone();
    let why = match receipt.was_typed() {
        true => "it was typed, and its sender ended before it saw what became of it",
        false => "its sender ended while it was typing it, and perhaps before",
    };
    now.enter(State::Unknown, clock::timestamp(), Some(why.to_owned()));
    now
}
