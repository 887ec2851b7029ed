//! One message to one terminal: wait until the runtime is ready, look at the composer, paste once,
//! Enter, wait for evidence. Never pastes twice, never touches somebody else's draft, and never
//! takes an exit code for success.

use std::io;
use std::time::{Duration, Instant};

use super::evidence::Evidence;
use super::terminal::{Pauses, Terminal, judged, person_types};
use super::{Letter, Moment, Outcome, Recipient, TransportError, Words};
use crate::host::changes::Watch;
use crate::host::tmux::typing::{Glimpse, Pasted};
use crate::host::{clock, process, runfiles};
use crate::runfile::ack::Event;
use crate::runfile::heartbeat::{self, Source};
use crate::runfile::receipt::{State, stamp};
use crate::runtime::Kind;
use crate::runtime::screen::{Composer, Screen};
use crate::runtime::talk::Ready;

/// How long a runtime has to become ready.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How long a runtime that beats, or one of which nothing is known, has to show a composer.
const COMPOSER: Duration = Duration::from_millis(1500);
/// A runtime that is older than this needs no time to settle.
const SETTLED: f64 = 10.0;
/// How long a sender that asks for no evidence stays: the next one must not find this one's text.
const SETTLING: Duration = Duration::from_millis(400);
/// A draft that is gone within this was on its way to be submitted.
const PASSING: Duration = Duration::from_millis(300);
/// How often Enter is pressed again.
const AGAIN: u32 = 3;
/// Between two looks at a composer that may lag behind.
const LAG: Duration = Duration::from_millis(20);
/// Between one Enter and the next.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What is delivered, and where.
pub struct Delivery<'a> {
    /// The terminal.
    pub terminal: &'a dyn Terminal,
    /// Whose it is.
    pub to: &'a Recipient<'a>,
    /// The message.
    pub letter: &'a Letter<'a>,
    /// How long the runtime has to become ready, and its cursor to rest.
    pub patience: Duration,
}

/// Delivers it.
pub fn deliver(
    delivery: &Delivery<'_>,
    told: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> Result<Outcome, TransportError> {
    let Delivery { terminal, to, letter, patience } = *delivery;
    let Words::New(text) = letter.words else { return finish(delivery, told) };
    let mut readiness = Readiness::new(to, patience);
    let evidence;
    let before = loop {
        let seen = match readiness.wait(terminal)? {
            Ok(seen) => seen,
            Err(outcome) => return Ok(outcome),
        };
        let since = Evidence::from_now(&to.layout.ack(to.agent), stamp(clock::timestamp()));
        told(Moment::Typing).map_err(TransportError::Record)?;
        match terminal.paste(text, &seen)? {
            Pasted::Yes => {
                evidence = since;
                break seen;
            }
            // Something moved in the composer between the look and the paste: look again.
            Pasted::Moved => {
                if let Some(outcome) = readiness.moved() {
                    return Ok(outcome);
                }
            }
        }
    };
    // What has happened stays true where it cannot be recorded; the receipt is tried again at the end.
    let _ = told(Moment::Typed);
    std::thread::sleep(to.kind.talk().gap);
    terminal.enter(&before)?;
    let _ = told(Moment::Entered(1));
    let watch = Acceptance { delivery, before: &before, evidence: &evidence, enters: 1 };
    let outcome = watch.wait(Instant::now() + letter.verify.unwrap_or(SETTLING), told)?;
    if letter.verify.is_some() || outcome.state.is_delivered() {
        return Ok(outcome);
    }
    // Nobody asked for more, so nothing more is claimed.
    Ok(Outcome { state: State::Typed, ..outcome })
}

/// Presses Enter for a text that another sender typed and left, where it provably stands in the composer
/// alone.
fn finish(
    delivery: &Delivery<'_>,
    told: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> Result<Outcome, TransportError> {
    let Delivery { terminal, to, letter, .. } = *delivery;
    let begun = Instant::now();
    let seen = loop {
        let Some(seen) = terminal.look()?.filter(|seen| !seen.dead) else {
            return Ok(Outcome::untouched(State::Unknown, "the agent has ended since"));
        };
        if person_types(&seen.typists, clock::unix() as i64) {
            return Ok(Outcome::untouched(State::Held, "somebody is attached and typing"));
        }
        let screen = judged(to, &seen);
        match screen.composer {
            Composer::Draft(draft) if letter.words.are_shown(to.kind, &draft) => break seen,
            // It may have been typed a moment ago.
            _ if begun.elapsed() < SETTLING => std::thread::sleep(LAG),
            // What hides the composer does not say what stands in it.
            _ if screen.dialog.is_some() => {
                return Ok(Outcome::untouched(State::Held, "a dialog hides the composer"));
            }
            _ => return Ok(Outcome::untouched(State::Unknown, "it does not stand in the composer")),
        }
    };
    let evidence = Evidence::from_now(&to.layout.ack(to.agent), stamp(clock::timestamp()));
    terminal.enter(&seen)?;
    let _ = told(Moment::Entered(1));
    let watch = Acceptance { delivery, before: &seen, evidence: &evidence, enters: 1 };
    watch.wait(Instant::now() + letter.verify.unwrap_or(SETTLING), told)
}

/// Waits until a runtime takes input and its composer is free.
pub(super) struct Readiness<'a> {
    to: &'a Recipient<'a>,
    patience: Duration,
    begun: Instant,
    ready_since: Option<Instant>,
    draft_since: Option<Instant>,
    pauses: Pauses,
}

impl<'a> Readiness<'a> {
    pub(super) fn new(to: &'a Recipient<'a>, patience: Duration) -> Self {
        let (begun, pauses) = (Instant::now(), Pauses::default());
        Self { to, patience, begun, ready_since: None, draft_since: None, pauses }
    }

    /// The terminal as it was when something may be typed; or why nothing may.
    pub(super) fn wait(
        &mut self,
        terminal: &dyn Terminal,
    ) -> Result<Result<Glimpse, Outcome>, TransportError> {
        let agent = self.to.agent;
        loop {
            let Some(seen) = terminal.look()? else {
                let why = format!("agent {agent} is not running: it has no session");
                return Ok(Err(Outcome::untouched(State::Refused, why)));
            };
            if seen.dead {
                let why = format!("agent {agent} is not running: what its pane ran has ended");
                return Ok(Err(Outcome::untouched(State::Refused, why)));
            }
            let held = |why: String| Ok(Err(Outcome::untouched(State::Held, why)));
            if person_types(&seen.typists, clock::unix() as i64) {
                return held(format!("somebody is attached to agent {agent} and typing"));
            }
            let screen = judged(self.to, &seen);
            if let Composer::Draft(_) = &screen.composer {
                if self.draft_since.get_or_insert_with(Instant::now).elapsed() < PASSING {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                return held(format!("a draft stands in the composer of agent {agent}"));
            }
            self.draft_since = None;
            if let Some(dialog) = &screen.dialog {
                return held(format!("agent {agent} shows a dialog: {dialog}"));
            }
            if self.is_ready(&seen, &screen) {
                return Ok(Ok(seen));
            }
            if self.begun.elapsed() > self.patience {
                let why = format!(
                    "agent {agent} was not ready within {} s: {}",
                    self.patience.as_secs(),
                    if seen.screen.trim().is_empty() {
                        "its screen is blank"
                    } else {
                        "its screen shows no composer"
                    }
                );
                return Ok(Err(Outcome::untouched(State::Refused, why)));
            }
            std::thread::sleep(self.pauses.next().unwrap_or_default());
        }
    }

    /// After something moved between a look and a paste: what is to be said once that was so for long.
    pub(super) fn moved(&mut self) -> Option<Outcome> {
        std::thread::sleep(self.pauses.next().unwrap_or_default());
        (self.begun.elapsed() > self.patience).then(|| {
            let (agent, seconds) = (self.to.agent, self.patience.as_secs());
            let why = format!(
                "the cursor of agent {agent} did not rest within {seconds} s, as if somebody typed there"
            );
            Outcome::untouched(State::Held, why)
        })
    }

    fn is_ready(&mut self, seen: &Glimpse, screen: &Screen) -> bool {
        let talk = self.to.kind.talk();
        let started = process::look(seen.pid).map(|p| p.process.started);
        let waited = self.begun.elapsed();
        let signal = talk.ready == Ready::Beat && self.has_answered(started);
        let shown = screen.ready || (self.to.kind == Kind::Custom && !seen.screen.trim().is_empty());
        let ready = match () {
            () if signal => shown || waited > COMPOSER,
            () if talk.ready == Ready::Beat => shown && waited > COMPOSER,
            // Of what the roster defines it is not known whether it shows anything at all.
            () => shown || (self.to.kind == Kind::Custom && waited > COMPOSER),
        };
        if !ready {
            self.ready_since = None;
            return false;
        }
        let since = *self.ready_since.get_or_insert_with(Instant::now);
        let old = started.is_none_or(|at| clock::boottime() - at > SETTLED);
        old || since.elapsed() >= talk.settle
    }

    /// Whether the runtime has beaten in this run: it is up, whatever its screen shows.
    fn has_answered(&self, started: Option<f64>) -> bool {
        let text = runfiles::read_text(&self.to.layout.heartbeat(self.to.agent), heartbeat::LONGEST);
        let beat = text.and_then(|text| heartbeat::parse(text.as_bytes()).ok());
        let (Some(beat), Some(started)) = (beat, started) else { return false };
        let this_boot = beat.boot_id.as_deref().is_none_or(|boot| boot == clock::boot_id());
        beat.source != Source::Sidecar && this_boot && beat.boottime.is_some_and(|at| at >= started)
    }
}

/// Waits for evidence that a message was taken.
struct Acceptance<'a> {
    delivery: &'a Delivery<'a>,
    before: &'a Glimpse,
    evidence: &'a Evidence,
    enters: u32,
}

/// What the screen says after Enter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shown {
    /// As before, or blank: nothing can be said.
    Nothing,
    /// Our text, in the composer.
    OurDraft,
    /// Text in the composer that cannot be proven ours.
    OtherDraft,
    /// Something else than before, and no draft.
    Changed,
    /// The pane is gone, or what it ran.
    Ended,
}

impl Acceptance<'_> {
    fn wait(
        mut self,
        until: Instant,
        told: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> Result<Outcome, TransportError> {
        let Delivery { terminal, to, letter, .. } = *self.delivery;
        let digest = letter.words.prompt_digest();
        let acknowledges = to.kind.talk().acknowledges.contains(&Event::Prompt);
        let watch = Watch::of(&to.layout.run()).ok();
        let mut pauses = Pauses::default();
        let mut look_at = Instant::now() + Duration::from_millis(if acknowledges { 50 } else { 10 });
        let mut last_enter = Instant::now();
        let mut shown = Shown::Nothing;
        loop {
            match self.evidence.of_prompt(&digest, letter.id) {
                Some(Event::Queued) => return Ok(self.outcome(State::Queued, None)),
                Some(_) => return Ok(self.outcome(State::Accepted, None)),
                None => {}
            }
            let now = Instant::now();
            let late = now >= until;
            if now >= look_at || late {
                // What cannot be looked at says nothing; the runtime may still.
                let seen = self.look().unwrap_or(Shown::Nothing);
                match (&seen, &shown) {
                    (Shown::Ended, _) => {
                        let why = format!("agent {} ended while its answer was waited for", to.agent);
                        return Ok(self.outcome(State::Unknown, Some(why)));
                    }
                    // Twice in a row: a screen that is being redrawn shows anything once.
                    (Shown::Changed, Shown::Changed) if !acknowledges => {
                        return Ok(self.outcome(State::Submitted, None));
                    }
                    (Shown::OurDraft, Shown::OurDraft) if last_enter.elapsed() >= AGAIN_AFTER => {
                        if self.enters > AGAIN {
                            return Ok(self.verdict(&seen));
                        }
                        terminal.enter(self.before)?;
                        self.enters += 1;
                        last_enter = Instant::now();
                        let _ = told(Moment::Entered(self.enters));
                    }
                    _ => {}
                }
                if late {
                    return Ok(self.verdict(&seen));
                }
                shown = seen;
                look_at = Instant::now() + pauses.next().unwrap_or_default();
            }
            let pause = look_at.min(until).saturating_duration_since(Instant::now());
            match &watch {
                Some(watch) => drop(watch.wait(pause)),
                // Too many watch already: look often enough.
                None => std::thread::sleep(pause.min(Duration::from_millis(20))),
            }
        }
    }

    fn look(&self) -> Result<Shown, TransportError> {
        let Delivery { terminal, to, letter, .. } = *self.delivery;
        let Some(seen) = terminal.look()?.filter(|seen| !seen.dead && seen.pid == self.before.pid) else {
            return Ok(Shown::Ended);
        };
        let text = &seen.screen;
        Ok(match judged(to, &seen).composer {
            Composer::Draft(draft) if letter.words.are_shown(to.kind, &draft) => Shown::OurDraft,
            Composer::Draft(_) => Shown::OtherDraft,
            _ if text.trim().is_empty() || *text == self.before.screen => Shown::Nothing,
            _ => Shown::Changed,
        })
    }

    /// What the screen's last look leaves to be said.
    fn verdict(&self, shown: &Shown) -> Outcome {
        let agent = self.delivery.to.agent;
        match shown {
            // It may have been taken as a part of that; the screen cannot tell.
            Shown::Changed | Shown::Nothing if self.evidence.of_another() => {
                let why = "the runtime acknowledged another text since, and not this one";
                self.outcome(State::Unknown, Some(why.to_owned()))
            }
            Shown::Changed => self.outcome(State::Submitted, None),
            Shown::OurDraft => self.outcome(
                State::Draft,
                Some(format!("it stands in the composer after {} times Enter", self.enters)),
            ),
            Shown::OtherDraft => self.outcome(
                State::Draft,
                Some("the composer holds text which is not provably this message alone".to_owned()),
            ),
            Shown::Nothing | Shown::Ended => {
                self.outcome(State::Unknown, Some(format!("no pane change after send for agent {agent}")))
            }
        }
    }

    fn outcome(&self, state: State, reason: Option<String>) -> Outcome {
        Outcome { state, reason, enters: self.enters }
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
