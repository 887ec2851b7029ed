//! What is done when an agent's beats stop and the roster says `on_stale: restart`. Pure.
//!
//! A restart ends a conversation, so a reason outside the agent is ruled out first: a clock that was
//! set, a machine that stood still, a folder that can't be written, others that fell silent along with
//! it. Then nothing is done, and that is said.

use std::fmt;

use crate::runfile::heartbeat::GRACE_INTERVALS;

/// By how much two clocks may drift apart between two looks, in seconds: more is a step.
const STEP: f64 = 2.0;
/// So many intervals of answers forgive one restart.
const FORGIVEN_AFTER: f64 = 40.0;
/// Others that fell silent along with it hold a restart off for so many intervals, and for so many seconds
/// at least: an outage that they share may pass, and one that does not must not keep them down for ever.
const TOGETHER_INTERVALS: f64 = 10.0;
const TOGETHER_AT_LEAST: f64 = 600.0;
/// The longest a restart is put off, in seconds.
const LONGEST: f64 = 3600.0;
/// A look falls a little behind the moment it is about, in seconds.
const SLACK: f64 = 0.2;

/// Three clocks at one moment, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clocks {
    /// Since 1970.
    pub unix: f64,
    /// CLOCK_BOOTTIME.
    pub boottime: f64,
    /// CLOCK_MONOTONIC.
    pub monotonic: f64,
}

/// What the agent's last beat says; times are CLOCK_BOOTTIME.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beat {
    /// None of this run yet, or none that can be judged.
    None,
    /// It answers.
    Fresh {
        /// When it beat last.
        at: f64,
        /// Seconds between its beats.
        interval: f64,
    },
    /// It did, and has stopped.
    Stale {
        /// When it beat last.
        at: f64,
        /// Seconds between its beats.
        interval: f64,
    },
}

/// Why nothing is done about beats that stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The wall clock was set.
    ClockStep,
    /// The machine slept.
    Suspended,
    /// Even the supervisor did not get to run.
    StoodStill,
    /// No beat can be written.
    Unwritable(String),
    /// So did others'.
    Together {
        /// Theirs.
        others: Vec<String>,
        /// How many of them have their turn before it, once this has lasted too long.
        before: u32,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockStep => f.write_str("the clock was set a moment ago"),
            Self::Suspended => f.write_str("the machine slept a moment ago"),
            Self::StoodStill => f.write_str("the machine stood still a moment ago"),
            Self::Unwritable(why) => write!(f, "its folder cannot be written: {why}"),
            Self::Together { others, .. } => {
                let (shown, more) = others.split_at(others.len().min(3));
                write!(f, "those of {} stopped at the same moment", shown.join(", "))?;
                if more.is_empty() { Ok(()) } else { write!(f, " ({} more)", more.len()) }
            }
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Nothing: it answers, or was never heard.
    Nothing,
    /// Ask the runtime for a beat: it may be its timer alone that has stopped.
    Probe,
    /// Nothing yet: restarted at that time, CLOCK_BOOTTIME.
    Wait(f64),
    /// Nothing, for a reason that lies elsewhere.
    Held(Hold),
    /// Restart it, where nothing speaks against it that only a look around can tell.
    Restart,
}

/// One agent's beats over time.
#[derive(Debug, Clone)]
pub struct Watch {
    last: Clocks,
    next: f64,
    held: Option<(f64, Hold)>,
    suspect: Option<f64>,
    /// Since when others have been held responsible for it.
    together: Option<f64>,
    /// Restarts in a row, and when the last was.
    restarts: u32,
    last_restart: f64,
}

impl Watch {
    /// Begins at that moment, after `restarts` in a row of which the last was at `last_restart`.
    pub fn new(now: Clocks, restarts: u32, last_restart: Option<f64>) -> Self {
        let last_restart = last_restart.unwrap_or(0.0);
        Self {
            last: now,
            next: now.boottime,
            held: None,
            suspect: None,
            together: None,
            restarts,
            last_restart,
        }
    }

    /// When to look again, CLOCK_BOOTTIME.
    pub fn next(&self) -> f64 {
        self.next
    }

    /// Looks at the last beat. `interval` is what the agent's settings say.
    pub fn look(&mut self, now: Clocks, beat: Beat, interval: f64) -> Act {
        let interval = match beat {
            Beat::None => interval,
            Beat::Fresh { interval, .. } | Beat::Stale { interval, .. } => interval,
        };
        self.notice(now, interval);
        let (act, next) = match beat {
            Beat::None => {
                self.answers_or_is_excused();
                (Act::Nothing, now.boottime + GRACE_INTERVALS * interval)
            }
            Beat::Fresh { at, .. } => {
                self.answers_or_is_excused();
                self.forgive(at, interval);
                (Act::Nothing, at + GRACE_INTERVALS * interval + SLACK)
            }
            Beat::Stale { .. } => self.stale(now.boottime, interval),
        };
        self.next = next.max(now.boottime + SLACK);
        act
    }

    /// Restarts in a row, as far as they are not forgiven.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Nothing is done for that reason, which a look around has told; where others have been the reason for
    /// too long, it is its turn after all.
    pub fn hold(&mut self, now: Clocks, hold: Hold, interval: f64) -> Act {
        let until = match hold {
            // It is looked at again and again, and said once.
            Hold::Together { before, .. } => {
                let since = *self.together.get_or_insert(now.boottime);
                let longest = (TOGETHER_INTERVALS * interval).max(TOGETHER_AT_LEAST);
                let turn = since + longest + f64::from(before) * interval;
                if now.boottime + SLACK >= turn {
                    return Act::Restart;
                }
                turn.min(now.boottime + interval)
            }
            // A folder that can be written again gets its first beat within an interval.
            _ => {
                self.answers_or_is_excused();
                now.boottime + GRACE_INTERVALS * interval
            }
        };
        self.held = Some((until, hold.clone()));
        self.next = until;
        Act::Held(hold)
    }

    /// What was counted towards a restart counts no more.
    fn answers_or_is_excused(&mut self) {
        self.suspect = None;
        self.together = None;
    }

    fn notice(&mut self, now: Clocks, interval: f64) {
        let past = now.boottime - self.last.boottime;
        let stepped = (now.unix - self.last.unix - past).abs() > STEP;
        let slept = past - (now.monotonic - self.last.monotonic) > STEP;
        let late = now.boottime - self.next > interval.max(STEP);
        let hold = match (stepped, slept, late) {
            (_, true, _) => Some(Hold::Suspended),
            (true, _, _) => Some(Hold::ClockStep),
            (_, _, true) => Some(Hold::StoodStill),
            _ => None,
        };
        self.last = now;
        if let Some(hold) = hold {
            self.answers_or_is_excused();
            self.held = Some((now.boottime + GRACE_INTERVALS * interval, hold));
        }
    }

    fn stale(&mut self, now: f64, interval: f64) -> (Act, f64) {
        match self.held.take() {
            Some((until, hold)) if now < until => {
                self.held = Some((until, hold.clone()));
                return (Act::Held(hold), until);
            }
            _ => {}
        }
        let Some(since) = self.suspect else {
            self.suspect = Some(now);
            return (Act::Probe, now + interval);
        };
        let due = since + interval.max(delay(self.restarts, interval));
        if now + SLACK < due { (Act::Wait(due), due) } else { (Act::Restart, now + interval) }
    }

    fn forgive(&mut self, at: f64, interval: f64) {
        while self.restarts > 0 && at - self.last_restart > FORGIVEN_AFTER * interval {
            self.restarts -= 1;
            self.last_restart += FORGIVEN_AFTER * interval;
        }
    }
}

/// How long a restart is put off after so many in a row, in seconds: 4 intervals, 8, 16 and so on.
pub fn delay(restarts: u32, interval: f64) -> f64 {
    match restarts {
        0 => 0.0,
        n => (interval * f64::from(1u32 << (n + 1).min(16))).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Clocks {
        Clocks { unix: 1e9 + seconds, boottime: 500.0 + seconds, monotonic: 100.0 + seconds }
    }

    fn stale(last: f64) -> Beat {
        Beat::Stale { at: 500.0 + last, interval: 15.0 }
    }

    fn fresh(last: f64) -> Beat {
        Beat::Fresh { at: 500.0 + last, interval: 15.0 }
    }

    /// Looks when it wants to, as long as it answers, so that no look is late.
    fn answering_until(watch: &mut Watch, last: f64) -> f64 {
        let mut now = 0.0;
        loop {
            let beat = (now / 15.0_f64).floor() * 15.0;
            if beat > last {
                return now;
            }
            assert_eq!(watch.look(at(now), fresh(beat), 15.0), Act::Nothing);
            now = watch.next() - 500.0;
        }
    }

    #[test]
    fn it_is_probed_first_and_restarted_an_interval_later() {
        let mut watch = Watch::new(at(0.0), 0, None);
        assert_eq!(watch.look(at(0.0), fresh(0.0), 15.0), Act::Nothing);
        assert_eq!(watch.next(), 545.2, "nothing can be stale before");
        assert_eq!(watch.look(at(45.2), stale(0.0), 15.0), Act::Probe);
        assert_eq!(watch.look(at(50.0), stale(0.0), 15.0), Act::Wait(560.2));
        assert_eq!(watch.look(at(60.2), stale(0.0), 15.0), Act::Restart);
    }

    #[test]
    fn one_that_answers_the_probe_is_left_alone() {
        let mut watch = Watch::new(at(0.0), 0, None);
        watch.look(at(0.0), fresh(0.0), 15.0);
        assert_eq!(watch.look(at(45.2), stale(0.0), 15.0), Act::Probe);
        assert_eq!(watch.look(at(60.2), fresh(46.0), 15.0), Act::Nothing);
        assert_eq!(watch.look(at(91.2), stale(46.0), 15.0), Act::Probe, "and begins anew");
    }

    #[test]
    fn one_that_never_beat_is_never_restarted() {
        let mut watch = Watch::new(at(0.0), 0, None);
        for look in 0..100 {
            assert_eq!(watch.look(at(f64::from(look) * 45.0), Beat::None, 15.0), Act::Nothing);
        }
    }

    #[test]
    fn each_restart_in_a_row_is_put_off_longer_and_answers_forgive() {
        let delays: Vec<f64> = (0..9).map(|n| delay(n, 15.0)).collect();
        assert_eq!(delays, [0.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]);
        assert_eq!(delay(u32::MAX - 1, 3600.0), LONGEST);

        let mut watch = Watch::new(at(0.0), 2, Some(500.0));
        watch.look(at(0.0), fresh(0.0), 15.0);
        assert_eq!(watch.look(at(45.2), stale(0.0), 15.0), Act::Probe);
        assert_eq!(watch.look(at(60.2), stale(0.0), 15.0), Act::Wait(665.2), "120 s after it was found");
        assert_eq!(watch.look(at(165.2), stale(0.0), 15.0), Act::Restart);

        let mut watch = Watch::new(at(0.0), 2, Some(500.0));
        answering_until(&mut watch, 650.0);
        assert_eq!(watch.restarts(), 1, "ten minutes forgive one");
        let mut watch = Watch::new(at(0.0), 2, Some(500.0));
        answering_until(&mut watch, 1250.0);
        assert_eq!(watch.restarts(), 0);
    }

    #[test]
    fn a_clock_that_was_set_a_sleep_and_a_standstill_hold_it_back_for_three_intervals() {
        let set = Clocks { unix: 1e9 + 3645.2, ..at(45.2) };
        let slept = Clocks { monotonic: 100.0 + 5.0, ..at(45.2) };
        for (odd, why) in [(set, Hold::ClockStep), (slept, Hold::Suspended), (at(100.0), Hold::StoodStill)] {
            let mut watch = Watch::new(at(0.0), 0, None);
            watch.look(at(0.0), fresh(0.0), 15.0);
            assert_eq!(watch.look(odd, stale(0.0), 15.0), Act::Held(why.clone()));
            assert_eq!(watch.next(), odd.boottime + 45.0);
            let after = |seconds: f64| Clocks {
                unix: odd.unix + seconds,
                boottime: odd.boottime + seconds,
                monotonic: odd.monotonic + seconds,
            };
            assert_eq!(watch.look(after(20.0), stale(0.0), 15.0), Act::Held(why));
            assert_eq!(watch.look(after(45.2), stale(0.0), 15.0), Act::Probe, "then it is looked into");
        }
    }

    #[test]
    fn what_a_look_around_tells_holds_it_back_too() {
        for (hold, seconds, then) in [
            (Hold::Unwritable("Read-only file system".to_owned()), 45.0, Act::Probe),
            (together(0), 15.0, Act::Restart),
        ] {
            let mut watch = Watch::new(at(0.0), 0, None);
            watch.look(at(0.0), fresh(0.0), 15.0);
            watch.look(at(45.2), stale(0.0), 15.0);
            assert_eq!(watch.look(at(60.2), stale(0.0), 15.0), Act::Restart);
            assert_eq!(watch.hold(at(60.2), hold.clone(), 15.0), Act::Held(hold.clone()));
            assert_eq!(watch.look(at(61.0), stale(0.0), 15.0), Act::Held(hold));
            assert_eq!(
                watch.look(at(60.3 + seconds), stale(0.0), 15.0),
                then,
                "and it is looked around again"
            );
        }
    }

    fn together(before: u32) -> Hold {
        Hold::Together { others: vec!["b".to_owned()], before }
    }

    /// When it is restarted at last, in seconds from where it was held first.
    fn restarted_after(watch: &mut Watch, hold: &Hold) -> f64 {
        watch.look(at(0.0), fresh(0.0), 15.0);
        watch.look(at(45.2), stale(0.0), 15.0);
        let mut now = 60.2;
        while now < 5000.0 {
            let act = watch.look(at(now), stale(0.0), 15.0);
            if act == Act::Restart && watch.hold(at(now), hold.clone(), 15.0) == Act::Restart {
                return now - 60.2;
            }
            now = watch.next() - 500.0;
        }
        panic!("it is never restarted")
    }

    #[test]
    fn others_hold_it_back_for_ten_minutes_and_then_one_has_its_turn_after_the_other() {
        for (before, seconds) in [(0, 600.0), (1, 615.0), (4, 660.0)] {
            let after = restarted_after(&mut Watch::new(at(0.0), 0, None), &together(before));
            assert!((seconds..seconds + 1.0).contains(&after), "{before} before it: {after}");
        }
        // One that answers meanwhile begins anew.
        let mut watch = Watch::new(at(0.0), 0, None);
        watch.hold(at(0.0), together(0), 15.0);
        watch.look(at(590.0), fresh(590.0), 15.0);
        assert_eq!(watch.hold(at(700.0), together(0), 15.0), Act::Held(together(0)));
        // The longer the intervals, the longer an outage is waited out.
        let mut watch = Watch::new(at(0.0), 0, None);
        watch.hold(at(0.0), together(0), 600.0);
        assert_eq!(watch.hold(at(5990.0), together(0), 600.0), Act::Held(together(0)));
        assert_eq!(watch.hold(at(6000.0), together(0), 600.0), Act::Restart);
    }
}
