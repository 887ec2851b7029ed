//! How long a start is held back after ends that came too soon. Pure.
//!
//! There is no limit of starts: a network that is away for ten minutes, or a holder that flaps, must
//! end nothing. The delay only keeps a runtime that can't start from burning the machine.

use std::time::Duration;

pub use crate::runfile::record::INCURABLE;
use crate::runfile::record::{End, Record, State};

/// A runtime that lived this long was a good start.
pub const GOOD_RUN: f64 = 60.0;
/// The longest a start is held back.
pub const LONGEST: Duration = Duration::from_secs(60);

/// How long the next start is held back after `quick_ends` ends in a row that came too soon. The
/// first is tried again at once: most deaths are accidents.
pub fn delay(quick_ends: u32) -> Duration {
    match quick_ends {
        0 | 1 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 2).min(6)).min(LONGEST),
    }
}

/// Ends in a row that came too soon, once a runtime that started at `started` has ended at `now`.
/// An end that is nobody's fault (the server went away) leaves the count as it is.
pub fn quick_ends_after(before: u32, started: Option<f64>, now: f64, end: End) -> u32 {
    let lived = started.map_or(0.0, |s| now - s);
    if lived >= GOOD_RUN {
        return 0;
    }
    match end {
        End::Unknown => before,
        End::Exit(_) | End::Signal(_) => before.saturating_add(1),
    }
}

/// The count that the next supervisor starts from: one that was killed could not write that its
/// runtime ended.
pub fn quick_ends_inherited(previous: &Record, now: f64) -> u32 {
    match previous.state {
        State::Running | State::Starting => {
            quick_ends_after(previous.quick_ends, previous.started, now, End::Signal(9))
        }
        State::Waiting | State::Backoff | State::Stopping | State::Ended => previous.quick_ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_early_end_is_retried_at_once_and_the_delay_is_bounded() {
        let seconds: Vec<u64> = (0..10).map(|n| delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn a_good_run_forgives_and_a_lost_server_is_not_the_runtimes_fault() {
        assert_eq!(quick_ends_after(5, Some(0.0), 61.0, End::Exit(1)), 0);
        assert_eq!(quick_ends_after(5, Some(0.0), 10.0, End::Exit(0)), 6);
        assert_eq!(quick_ends_after(5, Some(0.0), 10.0, End::Unknown), 5);
    }

    #[test]
    fn a_killed_supervisor_counts_like_an_early_end() {
        let previous =
            Record { state: State::Running, quick_ends: 1, started: Some(0.0), ..Record::default() };
        assert_eq!(quick_ends_inherited(&previous, 5.0), 2);
        assert_eq!(quick_ends_inherited(&previous, 90.0), 0);
    }
}
