//! The beat that follows another: what is said now, and what is carried on from before.

use jiff::Timestamp;

use super::{Beat, LONGEST, Source, State, Status, text};
use crate::snapshot::Clock;

/// What a writer says; what it leaves out is carried on while the same process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who writes.
    pub source: Source,
    /// Whether the runtime can take a prompt.
    pub status: Option<Status>,
    /// What it is doing.
    pub state: Option<State>,
    /// Until when.
    pub resume_at: Option<Timestamp>,
    /// Its conversation.
    pub session: Option<String>,
}

/// Whose beat it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// The runtime's pid.
    pub pid: i32,
    /// Seconds between beats.
    pub interval: u32,
    /// The tenant.
    pub tenant_id: Option<String>,
    /// The machine.
    pub host: Option<String>,
}

/// The next beat. A sidecar knows only that the process lives, so it carries on what the runtime
/// or its hook said last, and when they did.
pub fn next(previous: Option<Beat>, said: &Said, whose: &Whose, clock: &Clock) -> Beat {
    let same_run = |b: &Beat| b.pid == whose.pid && b.boot_id.as_deref() == Some(&clock.boot_id);
    let previous = previous.filter(same_run);
    let before = previous.as_ref();
    let says_something = said.status.is_some() || said.state.is_some();
    let state = match (said.state, said.status) {
        (Some(state), _) => Some(state),
        (None, Some(Status::Busy)) => Some(State::Working),
        (None, Some(Status::Ok)) => Some(State::Idle),
        (None, None) => before.and_then(|b| b.state),
    };
    let status = said.status.or(match said.state {
        Some(State::Working) => Some(Status::Busy),
        Some(State::Idle) => Some(Status::Ok),
        _ => None,
    });
    let carried_end = || before.filter(|_| !says_something).and_then(|b| b.resume_at);
    let heard = match said.source {
        Source::Sidecar => {
            before.and_then(|b| if b.source == Source::Sidecar { b.heard } else { b.boottime })
        }
        Source::Runtime | Source::Hook => None,
    };
    let beat = Beat {
        ts: now(clock),
        pid: whose.pid,
        status: status.or(before.map(|b| b.status)).unwrap_or(Status::Ok),
        interval: Some(whose.interval),
        tenant_id: whose.tenant_id.clone(),
        host: whose.host.clone(),
        boot_id: Some(clock.boot_id.clone()),
        boottime: Some(clock.boottime),
        first: before.and_then(|b| b.first).or(Some(clock.boottime)),
        source: said.source,
        state,
        resume_at: said.resume_at.or_else(carried_end),
        session: said.session.clone().or_else(|| before.and_then(|b| b.session.clone())),
        heard,
        unknown: previous.as_ref().map(|b| b.unknown.clone()).unwrap_or_default(),
    };
    // Lines of others are carried on as far as they leave a beat that its readers take.
    let fits = beat.unknown.is_empty() || text(&beat).len() <= LONGEST;
    if fits { beat } else { Beat { unknown: Vec::new(), ..beat } }
}

fn now(clock: &Clock) -> Timestamp {
    // Microseconds, which is what the file holds: two beats in one millisecond must differ, since
    // a newer time is the answer to a probe. No clock of a machine is out of range.
    Timestamp::from_microsecond((clock.unix * 1e6) as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(boottime: f64) -> Clock {
        Clock { unix: 1000.0 + boottime, boottime, boot_id: "this".to_owned() }
    }

    fn whose(pid: i32) -> Whose {
        Whose { pid, interval: 15, tenant_id: Some("usc".to_owned()), host: None }
    }

    fn said(source: Source) -> Said {
        Said { source, status: None, state: None, resume_at: None, session: None }
    }

    fn working() -> Beat {
        let said = Said { status: Some(Status::Busy), session: Some("s1".to_owned()), ..said(Source::Hook) };
        next(None, &said, &whose(7), &clock(10.0))
    }

    #[test]
    fn the_first_beat_of_a_process_is_remembered_until_another_process_beats() {
        let second = next(Some(working()), &said(Source::Hook), &whose(7), &clock(20.0));
        assert_eq!((second.first, second.boottime), (Some(10.0), Some(20.0)));
        let other = next(Some(second.clone()), &said(Source::Hook), &whose(8), &clock(30.0));
        assert_eq!((other.first, other.session), (Some(30.0), None));
        let reboot = Clock { boot_id: "next".to_owned(), ..clock(5.0) };
        assert_eq!(next(Some(second), &said(Source::Hook), &whose(7), &reboot).first, Some(5.0));
    }

    #[test]
    fn what_is_not_said_is_carried_on() {
        let beat = next(Some(working()), &said(Source::Hook), &whose(7), &clock(20.0));
        assert_eq!((beat.status, beat.state), (Status::Busy, Some(State::Working)));
        assert_eq!(beat.session.as_deref(), Some("s1"));
    }

    #[test]
    fn status_and_state_follow_from_each_other_where_one_is_said() {
        let idle = Said { status: Some(Status::Ok), ..said(Source::Hook) };
        assert_eq!(next(Some(working()), &idle, &whose(7), &clock(20.0)).state, Some(State::Idle));
        let limited = Said {
            state: Some(State::RateLimited),
            resume_at: Some(Timestamp::UNIX_EPOCH),
            ..said(Source::Hook)
        };
        let limited = next(Some(working()), &limited, &whose(7), &clock(20.0));
        assert_eq!((limited.status, limited.state), (Status::Busy, Some(State::RateLimited)));
        let later = next(Some(limited), &said(Source::Hook), &whose(7), &clock(30.0));
        assert_eq!(later.resume_at, Some(Timestamp::UNIX_EPOCH));
        let over = next(Some(later), &idle, &whose(7), &clock(40.0));
        assert_eq!((over.state, over.resume_at), (Some(State::Idle), None));
    }

    #[test]
    fn a_sidecar_carries_on_what_a_hook_said_and_when() {
        let beat = next(Some(working()), &said(Source::Sidecar), &whose(7), &clock(20.0));
        assert_eq!(
            (beat.source, beat.state, beat.heard),
            (Source::Sidecar, Some(State::Working), Some(10.0))
        );
        let again = next(Some(beat), &said(Source::Sidecar), &whose(7), &clock(30.0));
        assert_eq!((again.heard, again.boottime), (Some(10.0), Some(30.0)));
        let alone = next(None, &said(Source::Sidecar), &whose(7), &clock(20.0));
        assert_eq!((alone.heard, alone.state), (None, None));
    }

    #[test]
    fn lines_of_others_are_carried_on() {
        let before = Beat { unknown: vec!["model=x".to_owned()], ..working() };
        let beat = next(Some(before), &said(Source::Runtime), &whose(7), &clock(20.0));
        assert_eq!(beat.unknown, ["model=x"]);
        let long = Beat { unknown: vec!["x".repeat(LONGEST - 20)], ..working() };
        let beat = next(Some(long), &said(Source::Hook), &whose(7), &clock(20.0));
        assert_eq!((beat.unknown.len(), beat.state), (0, Some(State::Working)), "its own word is kept");
    }
}
