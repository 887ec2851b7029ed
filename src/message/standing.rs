//! Messages that a sender typed and left, since it was killed before it pressed Enter. Left alone, such a draft
//! would hold every later message. Nothing is typed again: Enter is pressed where the text provably stands in
//! the composer alone, as its receipt knows it.

use std::time::Duration;

use super::{Desk, known, unwritten};
use crate::error::Result;
use crate::host::clock;
use crate::host::queue::Queue;
use crate::host::receipts::{Lasting, Receipts};
use crate::roster::Agent;
use crate::runfile::receipt::{Receipt, State};
use crate::transport::{Letter, Moment, SendLock, Transport, Words};

impl Desk<'_> {
    /// Finishes what earlier senders left in an agent's composer; what came of those that were. Who calls holds
    /// the agent's lock, so that no sender is at work.
    pub(super) fn finish_standing(
        &self,
        agent: &Agent,
        transport: &dyn Transport,
        lock: &SendLock,
    ) -> Result<Vec<Receipt>> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let open = receipts.summary().map(|summary| summary.open).unwrap_or_default();
        let mut finished = Vec::new();
        for id in open.iter().rev() {
            let Some(receipt) = self.left_standing(agent, id) else { continue };
            let receipt = self.finish(agent, transport, receipt, None, lock)?;
            finished.extend(Some(receipt).filter(|r| r.enters > 0));
        }
        Ok(finished)
    }

    /// The receipt of a message that may stand there. Who takes one out of the queue in the agent's own hook holds no lock of
    /// senders', and is at work as long as the message has its file; it writes the receipt before that goes.
    pub(super) fn left_standing(&self, agent: &Agent, id: &str) -> Option<Receipt> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let read = || receipts.read(id).ok().flatten().filter(Receipt::was_left_standing);
        read()?;
        let queue = Queue::of(self.layout, &agent.name);
        // Who died over one while its lock was waited for is no longer at work.
        let is_taken = queue.sweep().and_then(|()| queue.holds(id)).unwrap_or(true);
        if is_taken { None } else { read() }
    }

    /// Finishes one of them.
    pub(super) fn finish(
        &self,
        agent: &Agent,
        transport: &dyn Transport,
        mut receipt: Receipt,
        verify: Option<Duration>,
        lock: &SendLock,
    ) -> Result<Receipt> {
        let Some(draft) = receipt.draft_sha256.clone() else { return Ok(receipt) };
        let receipts = Receipts::of(self.layout, &agent.name);
        let (id, prompt) = (receipt.id.clone(), receipt.prompt_sha256.clone());
        let words = Words::Standing { prompt_sha256: &prompt, draft_sha256: &draft };
        let letter = Letter { id: &id, words, verify };
        let sent = transport.send(&self.recipient(agent), &letter, lock, &mut |moment| {
            // Before anything else happens: a second Enter would be somebody else's.
            if let Moment::Entered(times) = moment {
                receipt.enters = times;
                receipts.amend(&receipt)?;
            }
            Ok(())
        });
        match sent {
            // Not now; perhaps later.
            Ok(outcome) if outcome.state == State::Held => return Ok(receipt),
            Err(error) => {
                tracing::warn!("a message that was left in the composer of {}: {error}", agent.name);
                return Ok(receipt);
            }
            Ok(outcome) if outcome.enters == 0 => {
                let gone = |stands: &Receipt| stands.was_left_standing().then(|| known::gone(stands));
                let settled = receipts.settle(&id, gone);
                let settled = settled.map_err(|error| unwritten(&receipts.path(&id), error))?;
                return Ok(settled.unwrap_or(receipt));
            }
            Ok(outcome) => {
                receipt.enters = outcome.enters;
                let why = "its sender ended before Enter, which was pressed for it later";
                let why = outcome.reason.map_or_else(|| why.to_owned(), |more| format!("{why}; {more}"));
                receipt.enter(outcome.state, clock::timestamp(), Some(why));
            }
        }
        receipts
            .write(&receipt, Lasting::Durable)
            .map_err(|error| unwritten(&receipts.path(&receipt.id), error))?;
        Ok(receipt)
    }
}
