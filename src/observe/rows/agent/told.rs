//! What is known of an agent from others: the messages that were sent to it, and its runtime's own word.

use jiff::Timestamp;

use super::Judge;
use crate::observe::Flag;
use crate::observe::row::PaneState;
use crate::observe::rows::pane::plain;
use crate::runfile::heartbeat::{self, Health, Verdict};
use crate::runfile::receipt::Summary;
use crate::snapshot::Fact;

impl Judge<'_> {
    /// What is known of the messages that were sent to it.
    pub(super) fn messages(&mut self) {
        let seen = self.given.seen;
        let text = match seen.receipts.get(&self.agent.name) {
            Some(Fact::Known(text)) => text,
            Some(Fact::Unknown(why)) => return self.not_known("receipt", why),
            None => return,
        };
        let Some(summary) = Summary::parse(text) else {
            return self.not_known("receipt", "no summary of receipts, or one of another version");
        };
        if self.found.state != PaneState::Dead && summary.left_a_draft() {
            let sender = summary.latest.as_ref().map_or("", |receipt| receipt.source.as_str());
            let from = if sender.is_empty() { String::new() } else { format!(", from {}", plain(sender)) };
            let why = format!("the last message{from}, stands unsubmitted in its composer");
            self.flag(Flag::Draft, why);
        }
        let now = Timestamp::from_millisecond((seen.clock.unix * 1000.0) as i64).unwrap_or_default();
        match summary.undelivered(now) {
            0 => {}
            1 => self.flag(Flag::Undelivered, "a message expired in its queue"),
            many => self.flag(Flag::Undelivered, format_args!("{many} messages expired in its queue")),
        }
    }

    /// What the runtime says of itself; an old word is no word, nor is one whose own time is up.
    pub(super) fn told(&mut self, verdict: &Verdict) {
        use heartbeat::State::{AuthExpired, ContextFull, Idle, NeedsInput, RateLimited, Working};
        if !matches!(verdict.health, Health::Healthy | Health::Alive) || self.found.state == PaneState::Dead {
            return;
        }
        let Some(beat) = &verdict.beat else { return };
        let flag = match beat.state {
            Some(RateLimited) => Flag::RateLimited,
            Some(NeedsInput) => Flag::NeedsInput,
            Some(AuthExpired) => Flag::AuthExpired,
            Some(ContextFull) => Flag::ContextFull,
            Some(Working | Idle) | None => return,
        };
        match beat.resume_at {
            None => self.flag(flag, "the runtime said so"),
            Some(until) if until.as_duration().as_secs_f64() > self.given.seen.clock.unix => {
                self.flag(flag, format_args!("the runtime said so, until {until:.0}"));
            }
            // It beats on, and so repeats its last word until it has another.
            Some(until) => {
                let said = flag.word().to_lowercase();
                self.not_known(
                    "state",
                    format_args!("it said {said} until {until:.0}, which is over, and nothing since"),
                );
            }
        }
    }
}
