//! What is known of a message: its receipt, and an agent's summary of them. Text to type and back;
//! no file is opened here, and no message's body stands in one.
//!
//! `run/receipts/AGENT/ID.json` holds one receipt, `run/AGENT.receipt` the agent's [`Summary`]: one
//! small file that says of all of them what a look at many agents needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ack::{Ack, Event};

/// The version that this program writes.
pub const VERSION: u32 = 1;
/// No honest receipt or summary is longer.
pub const LONGEST: usize = 32 * 1024;
/// So many messages of which more may become known are remembered for one agent.
const MOST_OPEN: usize = 16;
/// So many of a receipt's steps are kept, the first and the last ones: what is tried again for days must not
/// outgrow its file.
const MOST_STEPS: usize = 64;
/// No reason has more characters: what a program said stands in some of them.
const LONGEST_REASON: usize = 1024;
/// The longest id.
pub const LONGEST_ID: usize = 128;

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing of it was typed, and nothing will be.
    Refused,
    /// In our queue; or not sent, because somebody else's text was in the composer.
    Held,
    /// Typed and entered; nothing was looked for.
    Typed,
    /// The screen shows that it was taken.
    Submitted,
    /// The runtime says that it took it.
    Accepted,
    /// The runtime says that it queued it.
    Queued,
    /// It stands in the composer, unsubmitted.
    Draft,
    /// It may have been taken or not.
    Unknown,
    /// Its time in our queue was up.
    Expired,
}

impl State {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Typed => "typed",
            Self::Submitted => "submitted",
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Draft => "draft",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    /// Whether there is evidence that the runtime has it.
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::Submitted | Self::Accepted | Self::Queued)
    }

    /// Whether the runtime may still say more of it than is known.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Unknown | Self::Typed | Self::Draft | Self::Submitted | Self::Queued)
    }

    /// Whether a part of it may have reached the runtime, so that it must never be typed again.
    pub fn may_have_arrived(self) -> bool {
        matches!(
            self,
            Self::Typed | Self::Submitted | Self::Accepted | Self::Queued | Self::Draft | Self::Unknown
        )
    }
}

/// A state and when it was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub state: State,
    /// When, RFC 3339.
    pub at: String,
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`VERSION`] of who wrote it.
    pub schema_version: u32,
    /// The message's id: the caller's key, or one that was made for it.
    pub id: String,
    /// Whose agent it is for.
    pub tenant_id: String,
    /// On which machine.
    pub host: String,
    /// For which agent.
    pub agent: String,
    /// Who sent it, as its preamble says.
    pub source: String,
    /// What is known of it.
    pub state: State,
    /// Why, for people.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was sent, RFC 3339.
    pub created_at: String,
    /// Each state that it was in.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// SHA-256 of the body, in hex.
    pub body_sha256: String,
    /// The body's length in bytes.
    pub body_bytes: usize,
    /// By what the runtime's acknowledgement is known: [`super::ack::digest`] of all that is typed.
    pub prompt_sha256: String,
    /// By what its draft is known on a screen: [`draft_digest`] of all that is typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft_sha256: Option<String>,
    /// When other messages of the very same text were typed after it: an acknowledgement may be theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub typed_again: Vec<String>,
    /// How it reached the runtime: the transport's name, or `queue`.
    #[serde(default)]
    pub via: Option<String>,
    /// How often Enter was pressed.
    #[serde(default)]
    pub enters: u32,
}

impl Receipt {
    /// Enters a state.
    pub fn enter(&mut self, state: State, at: Timestamp, reason: Option<String>) {
        self.state = state;
        self.reason = reason.map(|why| why.chars().take(LONGEST_REASON).collect());
        self.note(state, at);
    }

    /// Notes a step; what is known of the message stays as it is.
    pub fn note(&mut self, state: State, at: Timestamp) {
        if self.steps.len() >= MOST_STEPS {
            self.steps.remove(1);
        }
        self.steps.push(Step { state, at: stamp(at) });
    }

    /// What the runtime's acknowledgements make of its state; `None` where they add nothing. Each is one
    /// message's: where the same text was typed again, the later ones count as acknowledged first.
    pub fn acknowledged(&self, acks: &[Ack]) -> Option<State> {
        let time = |text: &str| text.parse::<Timestamp>().ok();
        // Before it was typed nothing was acknowledged of it, however long it waited in our queue.
        let typed = self.steps.iter().find(|step| step.state.may_have_arrived()).map(|step| &step.at);
        let since = time(typed.unwrap_or(&self.created_at)).filter(|_| self.state.is_open())?;
        let again: Vec<Timestamp> = self.typed_again.iter().filter_map(|at| time(at)).collect();
        let is_told = |event: Event| {
            let same =
                acks.iter().filter(|a| a.event == event && a.sha256.as_deref() == Some(&self.prompt_sha256));
            let mut told: Vec<Timestamp> =
                same.filter_map(|a| time(&a.ts)).filter(|at| *at >= since).collect();
            told.sort_unstable();
            told.iter().zip(1..).any(|(at, count)| count > again.iter().filter(|typed| *typed <= at).count())
        };
        let states = [(Event::Prompt, State::Accepted), (Event::Queued, State::Queued)];
        let state = states.into_iter().find(|(event, _)| is_told(*event))?.1;
        (state != self.state).then_some(state)
    }

    /// Notes that another message is typed now, if it has the same text; whether it has.
    pub fn is_followed_by(&mut self, other: &Self, at: Timestamp) -> bool {
        let same = other.prompt_sha256 == self.prompt_sha256 && other.id != self.id;
        let noted = same && self.typed_again.len() < MOST_STEPS;
        if noted {
            self.typed_again.push(stamp(at));
        }
        noted
    }

    /// Whether it was noted that it was typed.
    pub fn was_typed(&self) -> bool {
        self.steps.iter().any(|step| step.state == State::Typed)
    }

    /// Whether its text may stand in the composer, for somebody who knows that none is at work: its sender ended before it
    /// said more, or tmux took the text after it was waited for. That it was typed need not have been noted any more.
    pub fn was_left_standing(&self) -> bool {
        self.state == State::Unknown && self.enters == 0 && self.draft_sha256.is_some()
    }

    /// The file's text.
    pub fn text(&self) -> String {
        // Nothing of it can fail: all keys are text.
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |json| json + "\n")
    }

    /// Reads a receipt; `None` where it is of another version, or none at all.
    pub fn parse(text: &str) -> Option<Self> {
        let receipt: Self = serde_json::from_str(text).ok()?;
        (receipt.schema_version == VERSION && is_id(&receipt.id)).then_some(receipt)
    }
}

/// An agent's receipts in one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// [`VERSION`] of who wrote it.
    pub schema_version: u32,
    /// Whose agent it is.
    pub tenant_id: String,
    /// On which machine.
    pub host: String,
    /// Which agent.
    pub agent: String,
    /// The receipt that changed last.
    pub latest: Option<Receipt>,
    /// Ids of the last messages of which the runtime may still say more, the latest at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<String>,
    /// Messages in our queue.
    #[serde(default)]
    pub waiting: u32,
    /// When the first of them expires, RFC 3339.
    #[serde(default)]
    pub next_expiry: Option<String>,
    /// Messages that expired and of which the agent was not told yet.
    #[serde(default)]
    pub expired: u32,
    /// When old receipts were last removed, RFC 3339.
    #[serde(default)]
    pub pruned_at: Option<String>,
}

impl Summary {
    /// Of an agent that nothing was sent to.
    pub fn empty(tenant_id: &str, host: &str, agent: &str) -> Self {
        Self {
            schema_version: VERSION,
            tenant_id: tenant_id.to_owned(),
            host: host.to_owned(),
            agent: agent.to_owned(),
            latest: None,
            open: Vec::new(),
            waiting: 0,
            next_expiry: None,
            expired: 0,
            pruned_at: None,
        }
    }

    /// Remembers a message while more may become known of it.
    pub fn remember(&mut self, receipt: &Receipt) {
        match (receipt.state.is_open(), self.open.iter().position(|id| *id == receipt.id)) {
            (true, None) => self.open.push(receipt.id.clone()),
            (false, Some(at)) => drop(self.open.remove(at)),
            _ => {}
        }
        let over = self.open.len().saturating_sub(MOST_OPEN);
        self.open.drain(..over);
    }

    /// Whether the last message stands unsubmitted in the composer, as far as is known.
    pub fn left_a_draft(&self) -> bool {
        self.latest.as_ref().is_some_and(|r| r.state == State::Draft)
    }

    /// How many messages expired undelivered, also where nobody has looked since.
    pub fn undelivered(&self, now: Timestamp) -> u32 {
        let due = self.next_expiry.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        self.expired + u32::from(self.waiting > 0 && due.is_some_and(|at| at <= now))
    }

    /// The file's text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).map_or_else(|_| String::new(), |json| json + "\n")
    }

    /// Reads a summary; `None` where it is of another version, or none at all.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|s| s.schema_version == VERSION)
    }
}

/// An instant as receipts write it: RFC 3339, milliseconds.
pub fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// SHA-256 of a body as it is, in hex.
pub fn body_digest(body: &str) -> String {
    Sha256::digest(body.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 in hex of all of a text but its white space, which a composer changes where it wraps: by this a
/// draft is known by those who have the receipt alone.
pub fn draft_digest(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    body_digest(&plain)
}

/// Whether a text can be a message's id: it is a file's name too.
pub fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:@+=".contains(&b);
    (1..=LONGEST_ID).contains(&text.len())
        && text.bytes().all(plain)
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The rule of [`is_id`], for people.
pub const ID_RULE: &str = "1 to 128 of A-Z a-z 0-9 - _ . : @ + =, beginning with a letter, a digit or _";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receipt() -> Receipt {
        let mut receipt = Receipt {
            schema_version: VERSION,
            id: "m1".to_owned(),
            tenant_id: "usc".to_owned(),
            host: "h1".to_owned(),
            agent: "coder0".to_owned(),
            source: "h1:ada".to_owned(),
            state: State::Unknown,
            reason: None,
            created_at: stamp(Timestamp::UNIX_EPOCH),
            steps: Vec::new(),
            body_sha256: body_digest("secret"),
            body_bytes: 6,
            prompt_sha256: super::super::ack::digest("[h1:ada -> h1:coder0] secret"),
            draft_sha256: Some(draft_digest("[h1:ada -> h1:coder0] secret")),
            typed_again: Vec::new(),
            via: Some("tmux".to_owned()),
            enters: 1,
        };
        receipt.enter(State::Draft, Timestamp::UNIX_EPOCH, Some("why".to_owned()));
        receipt
    }

    #[test]
    fn what_is_written_is_read_back_and_holds_no_body() {
        let text = receipt().text();
        assert_eq!(Receipt::parse(&text), Some(receipt()));
        assert!(!text.contains("secret"), "{text}");
        assert!(text.starts_with("{\n  \"schema_version\": 1,"), "{text}");
        assert!(text.contains("\"at\": \"1970-01-01T00:00:00.000Z\""), "{text}");
        let summary = Summary { latest: Some(receipt()), ..Summary::empty("usc", "h1", "coder0") };
        assert_eq!(Summary::parse(&summary.text()), Some(summary));
    }

    #[test]
    fn the_last_messages_of_which_more_may_become_known_are_remembered() {
        let mut summary = Summary::empty("usc", "h1", "coder0");
        let of = |id: usize, state| Receipt { id: format!("m{id}"), state, ..receipt() };
        for id in 0..20 {
            summary.remember(&of(id, State::Typed));
            summary.remember(&of(id, State::Queued));
        }
        assert_eq!((summary.open.len(), summary.open[0].as_str()), (MOST_OPEN, "m4"));
        summary.remember(&of(5, State::Accepted));
        assert!(!summary.open.contains(&"m5".to_owned()) && summary.open.len() == MOST_OPEN - 1);
        assert_eq!(Summary::parse(&summary.text()), Some(summary));
    }

    #[test]
    fn whatever_is_tried_and_said_a_receipt_stays_readable() {
        let mut tried = receipt();
        for at in 0..1000 {
            let at = Timestamp::from_second(at).expect("a time");
            tried.enter(State::Unknown, at, Some("x".to_owned()));
            tried.enter(State::Held, at, Some("\u{e4}".repeat(20_000)));
        }
        assert!(tried.text().len() < LONGEST, "{}", tried.text().len());
        assert_eq!((tried.steps[0].state, tried.steps.len()), (State::Draft, MOST_STEPS));
        assert_eq!(tried.steps.last().map(|step| step.state), Some(State::Held));
        assert_eq!(Receipt::parse(&tried.text()), Some(tried));
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let text = receipt().text().replace("\"schema_version\": 1", "\"schema_version\": 2");
        assert_eq!(Receipt::parse(&text), None);
    }

    #[test]
    fn keys_of_later_versions_are_passed_over() {
        let text = receipt().text().replacen('{', "{\"more\": {\"x\": 1},", 1);
        assert_eq!(Receipt::parse(&text), Some(receipt()));
    }

    #[test]
    fn an_id_is_always_a_files_name() {
        for good in ["m1", "a:b@c+d=e.f-g_h", "_", &"x".repeat(128)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", ".", "..", "-x", ".x", "a/b", "a b", "a\n", "é", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_message_that_nobody_saw_expire_counts_once_its_time_is_up() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let mut summary = Summary::empty("usc", "h1", "coder0");
        summary.waiting = 2;
        summary.next_expiry = Some(stamp(at(100)));
        assert_eq!((summary.undelivered(at(99)), summary.undelivered(at(100))), (0, 1));
        summary.expired = 3;
        assert_eq!(summary.undelivered(at(99)), 3);
        summary.latest = Some(receipt());
        assert!(summary.left_a_draft());
    }

    #[test]
    fn one_acknowledgement_is_one_messages_and_of_the_same_text_the_later_ones() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let ack = |event, seconds| Ack {
            ts: stamp(at(seconds)),
            event,
            id: None,
            sha256: Some(receipt().prompt_sha256),
            pid: None,
            tenant_id: None,
            host: None,
        };
        let (prompt, queued) = (|at| ack(Event::Prompt, at), |at| ack(Event::Queued, at));
        let mut first = receipt();
        let second = Receipt { id: "m2".to_owned(), created_at: stamp(at(10)), ..receipt() };
        assert_eq!(first.acknowledged(&[prompt(20)]), Some(State::Accepted));
        assert!(first.is_followed_by(&second, at(10)) && !first.clone().is_followed_by(&receipt(), at(10)));
        let other = Receipt { prompt_sha256: "another".to_owned(), ..second.clone() };
        assert!(!first.is_followed_by(&other, at(11)));
        assert_eq!(first.acknowledged(&[prompt(20)]), None, "that is the second's");
        assert_eq!(second.acknowledged(&[prompt(20)]), Some(State::Accepted));
        assert_eq!(first.acknowledged(&[prompt(9)]), Some(State::Accepted), "there was no other then");
        assert_eq!(first.acknowledged(&[prompt(20), prompt(21)]), Some(State::Accepted));
        assert_eq!(first.acknowledged(&[queued(20), prompt(21)]), None, "both are the second's");
        assert_eq!(first.acknowledged(&[queued(9), prompt(21)]), Some(State::Queued));
        let mut waited = Receipt { steps: Vec::new(), ..receipt() };
        waited.note(State::Held, at(0));
        waited.note(State::Typed, at(30));
        assert_eq!(waited.acknowledged(&[prompt(20)]), None, "it was not typed before");
        assert_eq!(waited.acknowledged(&[prompt(31)]), Some(State::Accepted));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,300}") {
            let _ = (Receipt::parse(&text), Summary::parse(&text));
        }
    }
}
