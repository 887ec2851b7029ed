//! Sends a message to an agent and keeps its receipt: one sender at a time, at most once per id,
//! and no state that is not known. How the terminal is reached is the transport's business.

pub mod body;
mod known;
mod queue;
mod reset;
mod seam;
mod standing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use known::{Known, bring_up_to_date, by_now};
pub use queue::Handed;
pub use reset::{Reset, reset};

use crate::error::{Error, Result};
use crate::host::lock::{self, Lock};
use crate::host::queue::Queue;
use crate::host::receipts::{Lasting, Receipts};
use crate::host::{clock, runfiles};
use crate::layout::Layout;
use crate::names::{HostName, TenantId};
use crate::roster::{Agent, Roster};
use crate::runfile::ack;
use crate::runfile::queued::Priority;
use crate::runfile::receipt::{Receipt, State, VERSION, body_digest, draft_digest, stamp};
use crate::runtime::Kind;
use crate::transport::{Letter, Moment, Outcome, Recipient, SendLock, Transport, Words};

/// How long another sender to the same agent is waited for.
const LOCK: Duration = Duration::from_secs(30);
/// What a receipt says while its message is typed.
const TYPING: &str = "it is being typed; its sender has not finished";
/// How long evidence is waited for where nobody says otherwise.
pub const VERIFY: Duration = Duration::from_secs(6);
/// How long a message waits in a queue where nobody says otherwise.
pub const TTL: Duration = Duration::from_secs(24 * 3600);
/// How long it may wait at most.
pub const LONGEST_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// From where messages are sent.
pub struct Desk<'a> {
    /// The tenant's places.
    pub layout: &'a Layout,
    /// Its roster.
    pub roster: &'a Roster,
    /// This machine.
    pub host: &'a HostName,
    /// How its agents are reached; `None` where the roster says that they are not.
    pub transport: Option<&'a dyn Transport>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The caller's key, where the same message may be sent again.
    pub id: Option<String>,
    /// Who sends it.
    pub source: String,
    /// What it says.
    pub body: Vec<u8>,
    /// Whether its source and destination stand before it.
    pub preamble: Preamble,
    /// How long evidence is waited for; `None` where nobody asks.
    pub verify: Option<Duration>,
    /// Now, or later.
    pub when: When,
}

/// Whether a preamble is put before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// It is.
    Put,
    /// The body goes as it is.
    Left,
}

/// When a message is to reach its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Now, or not at all.
    Now,
    /// At its next turn boundary or start.
    Queued {
        /// Its place in the row.
        priority: Priority,
        /// How long it may wait.
        ttl: Duration,
        /// Whether an idle agent gets it at once.
        waking: Waking,
    },
}

/// Whether an idle agent is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waking {
    /// It is.
    Wakes,
    /// It is left until somebody else talks to it.
    Waits,
}

impl Desk<'_> {
    /// Sends a message. Its receipt is what is known of it, whatever happened; an error is what
    /// stands in the way of any receipt.
    pub fn send(&self, agent: &Agent, message: &Message) -> Result<Receipt> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let id = message.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let lasting = if message.id.is_some() { Lasting::Durable } else { Lasting::Running };
        let mut receipt = self.receipt(agent, &id, message);
        let written = |receipt: Receipt| -> Result<Receipt> {
            receipts
                .write(&receipt, lasting)
                .map_err(|error| unwritten(&receipts.path(&receipt.id), error))?;
            Ok(receipt)
        };
        // What is due is expired, and what was acknowledged is entered, whoever comes by.
        let queue = Queue::of(self.layout, &agent.name);
        if let Err(error) = queue.sweep().and_then(|()| bring_up_to_date(&receipts).map(drop)) {
            tracing::warn!("the queue of {}: {error}", agent.name);
        }
        // Who asks again with the same key waits for the first answer.
        let _id_lock = message.id.as_ref().map(|id| self.id_lock(agent, id)).transpose()?;
        if message.id.is_some()
            && let Some(first) = self.first(agent, &receipt)?
        {
            return match (first.state, message.when) {
                // It waits still: what was asked for then is asked for again.
                (State::Held, When::Queued { waking, .. }) => {
                    self.seen_through(agent, first, waking, message.verify)
                }
                _ if first.was_left_standing() => self.finished(agent, first, message.verify),
                _ => Ok(first),
            };
        }
        let text = match body::check(&message.body) {
            Ok(body) => self.text(agent, message, body),
            Err(refusal) => {
                receipt.enter(State::Refused, clock::timestamp(), Some(refusal.to_string()));
                return written(receipt);
            }
        };
        receipt.prompt_sha256 = ack::digest(&text);
        receipt.draft_sha256 = Some(draft_digest(&text));
        seam::step();
        if let When::Queued { priority, ttl, waking } = message.when {
            let receipt = self.put(agent, receipt, text, priority, ttl)?;
            return match receipt.state {
                State::Held => self.seen_through(agent, receipt, waking, message.verify),
                _ => Ok(receipt),
            };
        }
        let refused = |mut receipt: Receipt, why: String| {
            receipt.enter(State::Refused, clock::timestamp(), Some(why));
            receipt
        };
        let Some(transport) = self.transport else {
            let why = "the roster's transport is none: there is no terminal to type into";
            return written(refused(receipt, why.to_owned()));
        };
        let lock = match self.send_lock(agent, LOCK) {
            Ok(lock) => lock,
            Err(error) => return written(refused(receipt, error.to_string())),
        };
        // What an earlier sender left in the composer would hold this one.
        let finished = self.finish_standing(agent, transport, &lock)?;
        if let Some(same) = finished.iter().find(|r| r.prompt_sha256 == receipt.prompt_sha256) {
            let why = format!("the same text stood in the composer, left by the sender of {}", same.id);
            receipt.enter(same.state, clock::timestamp(), Some(why));
            return written(receipt);
        }
        seam::step();
        self.deliver(agent, transport, receipt, &text, message.verify, &lock, lasting)
    }

    /// The first message of an id, whose sender left it in the composer: entered, where it stands there still.
    fn finished(&self, agent: &Agent, first: Receipt, verify: Option<Duration>) -> Result<Receipt> {
        let Some(transport) = self.transport else { return Ok(first) };
        let lock = self.send_lock(agent, LOCK);
        // Who types it may have been at work until now, and has said what came of it.
        if let Ok(lock) = &lock
            && let Some(stands) = self.left_standing(agent, &first.id)
        {
            return self.finish(agent, transport, stands, verify, lock);
        }
        // Or somebody else is at it still, and will find it.
        Ok(Receipts::of(self.layout, &agent.name).read(&first.id).ok().flatten().unwrap_or(first))
    }

    /// Types a message and records each step; `lock` is held until that is done.
    #[allow(clippy::too_many_arguments, reason = "one delivery's own parts, each of another type")]
    fn deliver(
        &self,
        agent: &Agent,
        transport: &dyn Transport,
        mut receipt: Receipt,
        text: &str,
        verify: Option<Duration>,
        lock: &SendLock,
        lasting: Lasting,
    ) -> Result<Receipt> {
        let receipts = Receipts::of(self.layout, &agent.name);
        receipt.via = Some(self.roster.transport.word().to_owned());
        let id = receipt.id.clone();
        let letter = Letter { id: &id, words: Words::New(text), verify };
        let mut began = false;
        let sent = transport.send(&self.recipient(agent), &letter, lock, &mut |moment| {
            match moment {
                Moment::Typing => {
                    receipt.enter(State::Unknown, clock::timestamp(), Some(TYPING.to_owned()));
                    receipts.write(&receipt, lasting)?;
                    began = true;
                }
                // The state stays what it is known to be; the step is kept, should we be killed.
                Moment::Typed => {
                    receipt.note(State::Typed, clock::timestamp());
                    receipts.write(&receipt, lasting)?;
                }
                Moment::Entered(times) => receipt.enters = times,
            }
            seam::step();
            Ok(())
        });
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(error) if began => Outcome::untouched(State::Unknown, error.to_string()),
            Err(error) => Outcome::untouched(State::Refused, error.to_string()),
        };
        seam::step();
        receipt.enters = receipt.enters.max(outcome.enters);
        receipt.enter(outcome.state, clock::timestamp(), outcome.reason);
        receipts.write(&receipt, lasting).map_err(|error| match (began, &receipt.reason) {
            (false, Some(why)) => {
                Error::machine(format!("the message to {} was not sent: {why}", agent.name))
                    .hint("nothing of it was typed: put that right, and send it again")
            }
            _ => unwritten(&receipts.path(&receipt.id), error),
        })?;
        seam::step();
        Ok(receipt)
    }

    /// An agent, as transports need to know it.
    pub fn recipient<'a>(&'a self, agent: &'a Agent) -> Recipient<'a> {
        let runtime = self.roster.runtime(&agent.runtime);
        Recipient {
            agent: &agent.name,
            kind: Kind::of(&agent.runtime),
            mark: runtime.map_or("> ", |r| r.draft_mark.as_str()),
            layout: self.layout,
        }
    }

    fn text(&self, agent: &Agent, message: &Message, body: &str) -> String {
        match message.preamble {
            Preamble::Put => body::preamble(&message.source, self.host.as_str(), agent.name.as_str()) + body,
            Preamble::Left => body.to_owned(),
        }
    }

    fn receipt(&self, agent: &Agent, id: &str, message: &Message) -> Receipt {
        let body = String::from_utf8_lossy(&message.body);
        Receipt {
            schema_version: VERSION,
            id: id.to_owned(),
            tenant_id: self.tenant().to_string(),
            host: self.host.to_string(),
            agent: agent.name.to_string(),
            source: message.source.clone(),
            state: State::Unknown,
            reason: None,
            created_at: stamp(clock::timestamp()),
            steps: Vec::new(),
            body_sha256: body_digest(&body),
            body_bytes: message.body.len(),
            prompt_sha256: ack::digest(&body),
            draft_sha256: None,
            typed_again: Vec::new(),
            via: None,
            enters: 0,
        }
    }

    fn tenant(&self) -> &TenantId {
        &self.roster.tenant
    }

    /// The receipt of the first message with this id, unless nothing of that one was ever typed or
    /// kept: then it may be sent now.
    fn first(&self, agent: &Agent, again: &Receipt) -> Result<Option<Receipt>> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let read = || {
            receipts.read(&again.id).map_err(|error| {
                Error::machine(format!("read the first receipt of message {}: {error}", again.id))
                    .hint("it is not known whether the message was sent, so it is not sent again")
            })
        };
        let Some(mut first) = read()? else { return Ok(None) };
        if first.body_sha256 != again.body_sha256 {
            return Err(Error::input(format!(
                "message {} was sent to {} before, with another body",
                again.id, agent.name
            ))
            .hint("a new message needs a new --id"));
        }
        // Its sender may have been killed between the receipt and the queue.
        let queue = Queue::of(self.layout, &agent.name);
        let queued = first.state == State::Held && queue.holds(&first.id)?;
        if first.state == State::Held && !queued {
            // Handed out between the two looks? Its receipt says so before its file goes.
            first = read()?.unwrap_or(first);
        }
        let over = first.state.may_have_arrived() || first.state == State::Expired;
        if !over && !queued {
            return Ok(None);
        }
        // The runtime may have spoken since.
        let settled = by_now(self.layout, &agent.name, &first).or_else(|| {
            // Its sender held the lock of its id, which is ours now.
            let left = first.state == State::Unknown && first.reason.as_deref() == Some(TYPING);
            left.then(|| known::abandoned(&first))
        });
        if let Some(settled) = settled {
            first = settled;
            receipts
                .write(&first, Lasting::Durable)
                .map_err(|error| unwritten(&receipts.path(&first.id), error))?;
        }
        Ok(Some(first))
    }

    /// Keeps other senders away from the agent.
    fn send_lock(&self, agent: &Agent, limit: Duration) -> Result<SendLock> {
        runfiles::make_folder(&self.layout.run())?;
        let what = format!("send to {}", agent.name);
        let lock = lock::take(&self.layout.send_lock(&agent.name), &what, limit, |_| {})?;
        Ok(Arc::new(lock.into_file()))
    }

    fn id_lock(&self, agent: &Agent, id: &str) -> Result<Lock> {
        let folder = self.layout.receipts(&agent.name);
        runfiles::make_folder(&folder)?;
        lock::take(&folder.join(format!(".{id}.lock")), &format!("send of message {id}"), LOCK, |_| {})
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> Error {
    Error::machine(format!("write the receipt {}: {error}", path.display()))
        .hint("what became of the message is not kept: look at the agent before sending it again")
}
