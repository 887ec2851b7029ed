//! Messages for later: put into the agent's queue, handed out by its hooks, or typed where it is
//! idle.

use std::time::{Duration, Instant};

use super::{Desk, VERIFY, Waking, seam, unwritten};
use crate::error::{Error, Result};
use crate::host::queue::{Put, Queue};
use crate::host::receipts::{Lasting, Receipts};
use crate::host::{bell, changes, clock, lock, runfiles};
use crate::roster::Agent;
use crate::runfile::heartbeat::{self, Beat, Status as Beating};
use crate::runfile::queued::{DEPTH, Priority, Queued, VERSION};
use crate::runfile::receipt::{Receipt, State, stamp};
use crate::runtime::screen::{Activity, Composer};
use crate::transport::{Letter, Moment, Outcome, Status, Transport, Words};

/// Another sender is not waited for to wake an agent: it wakes it.
const LOCK: Duration = Duration::from_secs(2);

/// How long a composer may still show what was taken.
const PASSING: Duration = Duration::from_millis(800);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(40);

/// Who hands a queue out looks for an idle agent this often, less often the longer it is not.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(2);
/// Who has just seen an empty queue has gone within this.
const GOES: Duration = Duration::from_secs(1);

/// What was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// How many were typed.
    pub typed: usize,
    /// How many wait still.
    pub waiting: usize,
    /// Why they do.
    pub reason: Option<String>,
    /// Whether one was typed of which it is not known that it was taken: no more is typed then.
    pub stuck: bool,
}

impl Desk<'_> {
    /// Puts a message into the agent's queue.
    pub(super) fn put(
        &self,
        agent: &Agent,
        mut receipt: Receipt,
        text: String,
        priority: Priority,
        ttl: Duration,
    ) -> Result<Receipt> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let now = clock::timestamp();
        let expires = now.checked_add(ttl).map_err(Error::machine)?;
        let message = Queued {
            schema_version: VERSION,
            id: receipt.id.clone(),
            tenant_id: receipt.tenant_id.clone(),
            host: receipt.host.clone(),
            agent: receipt.agent.clone(),
            source: receipt.source.clone(),
            priority,
            created_at: stamp(now),
            expires_at: stamp(expires),
            text,
        };
        receipt.via = Some("queue".to_owned());
        let why = format!("it waits in the queue of {}, until {} at most", agent.name, message.expires_at);
        receipt.enter(State::Held, now, Some(why));
        let queue = Queue::of(self.layout, &agent.name);
        let refuse =
            |error| Error::machine(format!("put a message into the queue of {}: {error}", agent.name));
        let write = |receipt: &Receipt| {
            receipts
                .write(receipt, Lasting::Durable)
                .map_err(|error| unwritten(&receipts.path(&receipt.id), error))
        };
        // Its receipt first: who takes the message out at once writes into it.
        write(&receipt)?;
        seam::step();
        match queue.put(&message) {
            Ok(Put::Waits | Put::WaitedAlready) => {}
            Ok(Put::Full) => {
                let why = format!("the queue of {} is full: {DEPTH} messages wait", agent.name);
                receipt.enter(State::Refused, clock::timestamp(), Some(why));
                write(&receipt)?;
            }
            Err(error) => {
                receipt.enter(State::Refused, clock::timestamp(), Some(refuse(&error).message));
                write(&receipt)?;
                return Err(refuse(&error));
            }
        }
        seam::step();
        Ok(receipt)
    }

    /// Does for a message in the queue what its sender asked for.
    pub(super) fn seen_through(
        &self,
        agent: &Agent,
        receipt: Receipt,
        waking: Waking,
        verify: Option<Duration>,
    ) -> Result<Receipt> {
        match waking {
            Waking::Wakes => self.wake(agent, receipt, verify),
            Waking::Waits => self.await_hand_out(agent, receipt, verify),
        }
    }

    /// Waits until a queued message was handed out, where somebody asks.
    fn await_hand_out(&self, agent: &Agent, receipt: Receipt, verify: Option<Duration>) -> Result<Receipt> {
        let Some(limit) = verify else { return Ok(receipt) };
        let receipts = Receipts::of(self.layout, &agent.name);
        let now = || receipts.read(&receipt.id).ok().flatten();
        let settled = |r: &Receipt| !matches!(r.state, State::Held | State::Unknown);
        changes::until(&self.layout.receipts(&agent.name), limit, || now().as_ref().is_some_and(settled))?;
        Ok(now().unwrap_or(receipt))
    }

    /// Types what waits for an agent that is idle, the new message among it. Where the agent is busy or its
    /// composer is not free, whoever looks after it does so once it is idle; where it is gone, its start.
    fn wake(&self, agent: &Agent, receipt: Receipt, verify: Option<Duration>) -> Result<Receipt> {
        let receipts = Receipts::of(self.layout, &agent.name);
        let now = |receipt: Receipt| receipts.read(&receipt.id).ok().flatten().unwrap_or(receipt);
        let within = verify.unwrap_or(VERIFY);
        let until = Instant::now() + within;
        let stuck = match self.transport.filter(|transport| self.is_idle(agent, *transport)) {
            Some(_) => self.hand_out(agent, within, Some(until))?.stuck,
            None => false,
        };
        let receipt = now(receipt);
        // Somebody else may be at it: the runtime itself, for one.
        if !Queue::of(self.layout, &agent.name).holds(&receipt.id)? {
            return Ok(now(receipt));
        }
        if !stuck && self.transport.is_some() && !bell::ring(self.layout, &agent.name) {
            // It was not started by its unit, or not at all.
            let program = std::env::current_exe().map_err(Error::machine)?;
            bell::answer(&program, self.layout, &agent.name);
        }
        let left = verify.map(|_| until.saturating_duration_since(Instant::now()));
        self.await_hand_out(agent, receipt, left)
    }

    /// Types what waits for an agent, one after another, until it is busy or something is in the
    /// way. For the first one it is waited until the runtime is ready.
    ///
    /// Begins none after `until`.
    pub fn hand_out(&self, agent: &Agent, verify: Duration, until: Option<Instant>) -> Result<Handed> {
        let queue = Queue::of(self.layout, &agent.name);
        // What somebody claimed who died waits again, or is settled.
        queue.sweep()?;
        let mut handed = Handed { typed: 0, waiting: queue.waiting()?, reason: None, stuck: false };
        let Some(transport) = self.transport.filter(|_| handed.waiting > 0) else { return Ok(handed) };
        let lock = match self.send_lock(agent, LOCK) {
            Ok(lock) => lock,
            Err(error) => return Ok(Handed { reason: Some(error.to_string()), ..handed }),
        };
        self.finish_standing(agent, transport, &lock)?;
        while let Some(claim) = queue.claim()? {
            let letter = Letter {
                id: &claim.message.id,
                words: Words::New(&claim.message.text),
                verify: Some(verify),
            };
            let mut began = false;
            let sent = transport.send(&self.recipient(agent), &letter, &lock, &mut |moment| {
                match moment {
                    Moment::Typing if !began => {
                        claim.begin()?;
                        began = true;
                    }
                    Moment::Typed => claim.typed()?,
                    Moment::Typing | Moment::Entered(_) => {}
                }
                seam::step();
                Ok(())
            });
            let outcome = match sent {
                Ok(outcome) => outcome,
                Err(error) if began => Outcome::untouched(State::Unknown, error.to_string()),
                Err(error) => Outcome::untouched(State::Held, error.to_string()),
            };
            if !outcome.state.may_have_arrived() {
                handed.reason.clone_from(&outcome.reason);
                claim.give_back(outcome.reason)?;
                break;
            }
            let receipt =
                claim.finish(outcome.state, outcome.reason, self.roster.transport.word(), outcome.enters)?;
            handed.typed += 1;
            if !receipt.state.is_delivered() {
                handed.reason = receipt.reason;
                handed.stuck = true;
                break;
            }
            if until.is_some_and(|until| Instant::now() > until) {
                handed.reason = Some("there was no time for more".to_owned());
                break;
            }
            if !self.is_idle(agent, transport) {
                handed.reason = Some(format!("agent {} is busy", agent.name));
                break;
            }
        }
        handed.waiting = queue.waiting()?;
        if handed.waiting == 0 {
            handed.reason = None;
        }
        Ok(handed)
    }

    /// Hands out all that waits, whenever the agent is idle, until nothing waits any more; the agent's
    /// end or a message that was not seen to be taken ends it sooner. One program at a time does so.
    pub fn see_out(&self, agent: &Agent, verify: Duration) -> Result<Handed> {
        let queue = Queue::of(self.layout, &agent.name);
        queue.sweep()?;
        let mut told = Handed { typed: 0, waiting: queue.waiting()?, reason: None, stuck: false };
        let Some(transport) = self.transport.filter(|_| told.waiting > 0) else { return Ok(told) };
        let what = format!("hand-out to {}", agent.name);
        let _alone = match lock::take(&self.layout.deliver_lock(&agent.name), &what, GOES, |_| {}) {
            Ok(lock) => lock,
            Err(error) => return Ok(Handed { reason: Some(error.to_string()), ..told }),
        };
        let mut pause = FIRST_LOOK;
        loop {
            queue.sweep()?;
            let idleness = match queue.waiting()? {
                0 => return Ok(Handed { waiting: 0, reason: None, ..told }),
                _ => self.idleness(agent, transport),
            };
            match idleness {
                Idleness::Gone => {
                    let reason = Some(format!("agent {} is not running", agent.name));
                    return Ok(Handed { waiting: queue.waiting()?, reason, ..told });
                }
                Idleness::Idle => {
                    let handed = self.hand_out(agent, verify, None)?;
                    if handed.typed > 0 {
                        pause = FIRST_LOOK;
                    }
                    told = Handed { typed: told.typed + handed.typed, ..handed };
                    if told.stuck || told.waiting == 0 {
                        return Ok(told);
                    }
                }
                Idleness::Busy | Idleness::Passing => {}
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// Whether an agent waits for a prompt. A composer that still shows what was just taken is given
    /// a moment.
    fn is_idle(&self, agent: &Agent, transport: &dyn Transport) -> bool {
        let until = Instant::now() + PASSING;
        loop {
            match self.idleness(agent, transport) {
                Idleness::Idle => return true,
                Idleness::Passing if Instant::now() < until => std::thread::sleep(PAUSE),
                Idleness::Passing | Idleness::Busy | Idleness::Gone => return false,
            }
        }
    }

    /// As its screen and its last beat say.
    fn idleness(&self, agent: &Agent, transport: &dyn Transport) -> Idleness {
        let text = runfiles::read_text(&self.layout.heartbeat(&agent.name), heartbeat::LONGEST);
        let beat = text.and_then(|text| heartbeat::parse(text.as_bytes()).ok());
        // What it was doing when it stopped beating is not what it does.
        let busy = |beat: &Beat| beat.status == Beating::Busy && heartbeat::is_fresh(beat, &clock::now());
        if beat.is_some_and(|beat| busy(&beat)) {
            return Idleness::Busy;
        }
        match transport.status(&self.recipient(agent)) {
            Ok(Status::Running { screen, typing, .. }) => {
                if typing || screen.activity == Activity::Busy || screen.dialog.is_some() {
                    return Idleness::Busy;
                }
                match screen.composer {
                    Composer::Draft(_) => Idleness::Passing,
                    Composer::Empty | Composer::Absent => Idleness::Idle,
                }
            }
            Ok(Status::Absent | Status::Ended) => Idleness::Gone,
            // A hiccup is not an answer.
            Err(_) => Idleness::Passing,
        }
    }
}

/// Whether something may be typed to an agent unasked.
enum Idleness {
    Idle,
    /// Not now, and perhaps at once.
    Passing,
    Busy,
    /// It does not run.
    Gone,
}
