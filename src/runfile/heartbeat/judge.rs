//! What a heartbeat means: one of five words and the reason for it. Pure; the clock is a fact.

use std::collections::BTreeMap;

use super::{Beat, DEFAULT_INTERVAL, LONGEST, Source, State, parse};
use crate::snapshot::{Clock, Content, Fact, Process};

/// After how many intervals without a beat a runtime is no longer healthy, and how many it has
/// after its start before the first.
pub const GRACE_INTERVALS: f64 = 3.0;
/// How far in the future a beat may lie, in seconds: clocks of two programs are read apart.
const AHEAD: f64 = 5.0;
/// How much a wall clock time that was cut to whole seconds may lie before a start, in seconds.
const CUT: f64 = 1.0;

/// How the reason begins where what stands there could not be looked at.
pub const UNREADABLE: &str = "cannot be looked at";

/// Whether an agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The runtime or its hook answered within three intervals.
    Healthy,
    /// Only a sidecar did: the process lives, more is not known.
    Alive,
    /// Nothing did.
    Stale,
    /// What stands there is no heartbeat of this agent.
    Invalid,
    /// There is none, or it could not be looked at.
    Unknown,
}

impl Health {
    /// The word for it in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Alive => "alive",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a runtime can beat while nobody talks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// It can.
    Own,
    /// Only its hooks speak; while it is idle a sidecar beats for it.
    SidecarWhileIdle,
}

/// What is known of the runtime that should beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expect {
    /// Seconds between beats, where the beat itself does not say.
    pub interval: u32,
    /// CLOCK_BOOTTIME in seconds at which the runtime was started, where it is known.
    pub started: Option<f64>,
    /// Whether it can beat while idle.
    pub timer: Timer,
}

impl Default for Expect {
    fn default() -> Self {
        Self { interval: DEFAULT_INTERVAL, started: None, timer: Timer::Own }
    }
}

/// The judgement on one agent's heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// In one word.
    pub health: Health,
    /// Why, in words for people.
    pub reason: String,
    /// Seconds since the beat; `None` where there is none or it is of an earlier boot.
    pub age: Option<f64>,
    /// The beat, where the file holds one.
    pub beat: Option<Beat>,
    /// Whether the grace after the start is over without any beat since.
    pub overdue: bool,
}

/// Judges what stands at an agent's heartbeat. `in_tree` says whether a pid is of the agent's
/// processes; it is left out where those could not be looked at.
pub fn judge(
    file: Option<&Fact<Content>>,
    clock: &Clock,
    expect: &Expect,
    in_tree: Option<&dyn Fn(i32) -> bool>,
) -> Verdict {
    let plain = |health, reason: String| Verdict { health, reason, age: None, beat: None, overdue: false };
    let none = |what: &str| {
        let (reason, overdue) = none_since(what, clock, expect);
        Verdict { overdue, ..plain(Health::Unknown, reason) }
    };
    let content = match file {
        None => return none("no heartbeat file"),
        Some(Fact::Unknown(why)) => return plain(Health::Unknown, format!("{UNREADABLE}: {why}")),
        Some(Fact::Known(Content::Link)) => {
            return plain(Health::Invalid, "a symbolic link in place of a file".to_owned());
        }
        Some(Fact::Known(Content::Other(what))) => {
            return plain(Health::Invalid, format!("{what} in place of a file"));
        }
        Some(Fact::Known(Content::File(content))) => content,
    };
    let beat = match parse(content) {
        Ok(beat) => beat,
        Err(invalid) => return plain(Health::Invalid, invalid.to_string()),
    };
    let age = age(&beat, clock);
    let verdict = match age {
        Age::EarlierBoot if expect.started.is_none() => {
            plain(Health::Stale, "the last beat is from before the reboot".to_owned())
        }
        Age::EarlierBoot => none("the last beat is from before the reboot"),
        Age::Seconds { age, .. } if age < -AHEAD => {
            plain(Health::Invalid, format!("{} in the future", seconds(-age)))
        }
        Age::Seconds { age, slack } if expect.started.is_some_and(|s| clock.boottime - age < s - slack) => {
            none("the last beat is of an earlier run")
        }
        Age::Seconds { .. } if in_tree.is_some_and(|within| !within(beat.pid)) => {
            plain(Health::Invalid, format!("pid {} is none of this agent's processes", beat.pid))
        }
        Age::Seconds { age, .. } => {
            let (health, reason) = answered(&beat, age, clock, expect);
            plain(health, reason)
        }
    };
    let age = match age {
        Age::Seconds { age, .. } => Some(age.max(0.0)),
        Age::EarlierBoot => None,
    };
    Verdict { age, beat: Some(beat), ..verdict }
}

fn none_since(what: &str, clock: &Clock, expect: &Expect) -> (String, bool) {
    match expect.started {
        None => (what.to_owned(), false),
        Some(started) => {
            let since = clock.boottime - started;
            let overdue = since > GRACE_INTERVALS * f64::from(expect.interval);
            (format!("{what}, none since the start {} ago", seconds(since)), overdue)
        }
    }
}

/// How old a beat is.
#[derive(Clone, Copy)]
enum Age {
    EarlierBoot,
    Seconds { age: f64, slack: f64 },
}

fn age(beat: &Beat, clock: &Clock) -> Age {
    match (&beat.boot_id, beat.boottime) {
        (Some(boot), _) if *boot != clock.boot_id => Age::EarlierBoot,
        // The wall clock has no say here: it may have been set since.
        (Some(_), Some(boottime)) => Age::Seconds { age: clock.boottime - boottime, slack: 0.0 },
        _ => Age::Seconds { age: clock.unix - beat.ts.as_duration().as_secs_f64(), slack: CUT },
    }
}

/// Whether a beat says what is now: its agent has not missed its time since, nor is it from the future, where a clock
/// that was set back leaves one that knows no better.
pub fn is_fresh(beat: &Beat, clock: &Clock) -> bool {
    let limit = GRACE_INTERVALS * f64::from(beat.interval.unwrap_or(DEFAULT_INTERVAL));
    matches!(age(beat, clock), Age::Seconds { age, .. } if (-AHEAD..=limit).contains(&age))
}

/// Whether a beat was written after another one. A clock that was set in between has no say where both tell the
/// boot's own time.
pub fn is_newer(beat: &Beat, before: &Beat) -> bool {
    match (beat.boottime, before.boottime) {
        (Some(now), Some(then)) if beat.boot_id.is_some() && beat.boot_id == before.boot_id => now > then,
        _ => beat.ts > before.ts,
    }
}

fn answered(beat: &Beat, age: f64, clock: &Clock, expect: &Expect) -> (Health, String) {
    let interval = beat.interval.unwrap_or(expect.interval);
    let limit = GRACE_INTERVALS * f64::from(interval);
    if age > limit {
        let reason = format!("the last beat is {} old, more than 3 x {interval} s", seconds(age));
        return (Health::Stale, reason);
    }
    let ago = seconds(age);
    match beat.source {
        Source::Runtime => (Health::Healthy, format!("the runtime answered {ago} ago")),
        Source::Hook => (Health::Healthy, format!("a hook of the runtime answered {ago} ago")),
        Source::Sidecar => by_sidecar(beat, &ago, limit, clock, expect),
    }
}

fn by_sidecar(beat: &Beat, ago: &str, limit: f64, clock: &Clock, expect: &Expect) -> (Health, String) {
    let this_run = |heard: &f64| {
        clock.boottime - heard >= -AHEAD && expect.started.is_none_or(|started| *heard >= started)
    };
    let heard = beat.heard.filter(|_| beat.boot_id.is_some()).filter(this_run).map(|h| clock.boottime - h);
    match heard {
        Some(heard) if heard <= limit => {
            (Health::Healthy, format!("a hook of the runtime answered {} ago", seconds(heard)))
        }
        Some(heard) if expect.timer == Timer::SidecarWhileIdle && beat.state == Some(State::Idle) => {
            let heard = seconds(heard);
            (
                Health::Healthy,
                format!("idle since its last hook {heard} ago, and a sidecar answered {ago} ago"),
            )
        }
        Some(heard) => (
            Health::Alive,
            format!("only a sidecar answered, {ago} ago; the runtime's last word is {} old", seconds(heard)),
        ),
        None => (Health::Alive, format!("only a sidecar answered, {ago} ago")),
    }
}

fn seconds(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 10.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// Whether `pid` is `root` or one of its descendants.
pub fn within(processes: &BTreeMap<i32, Process>, root: i32, pid: i32) -> bool {
    let mut at = pid;
    // Parents read at different moments could form a ring.
    for _ in 0..=processes.len() {
        if at == root {
            return processes.contains_key(&root);
        }
        match processes.get(&at) {
            Some(process) => at = process.parent,
            None => return false,
        }
    }
    false
}

const _: () = assert!(LONGEST >= 1024, "a beat with every line must fit");

#[cfg(test)]
mod tests {
    use Health::{Alive, Healthy, Invalid, Stale, Unknown};
    use proptest::prelude::*;

    use super::*;

    const NOW: f64 = 1_795_168_800.0; // 2026-11-20T10:00:00Z

    fn clock() -> Clock {
        Clock { unix: NOW, boottime: 1000.0, boot_id: "this".to_owned() }
    }

    fn file(text: &str) -> Fact<Content> {
        Fact::Known(Content::File(text.as_bytes().to_vec()))
    }

    fn beat(lines: &str) -> Fact<Content> {
        file(&format!("ts=2026-11-20T09:59:50Z\npid=77\nstatus=ok\n{lines}"))
    }

    fn with(expect: Expect, fact: &Fact<Content>) -> (Health, String) {
        let verdict = judge(Some(fact), &clock(), &expect, Some(&|pid| pid == 77));
        (verdict.health, verdict.reason)
    }

    fn simply(fact: &Fact<Content>) -> (Health, String) {
        with(Expect::default(), fact)
    }

    fn case(lines: &str) -> (Health, String) {
        simply(&beat(lines))
    }

    fn is(verdict: (Health, String), health: Health, reason: &str) {
        assert_eq!((verdict.0, verdict.1.as_str()), (health, reason));
    }

    #[test]
    fn a_fresh_beat_of_the_runtime_or_its_hook_is_healthy() {
        is(case(""), Healthy, "the runtime answered 10 s ago");
        is(case("source=hook\n"), Healthy, "a hook of the runtime answered 10 s ago");
    }

    #[test]
    fn a_beat_is_fresh_for_three_intervals_and_not_longer() {
        let at = |time: &str, more: &str| simply(&file(&format!("ts={time}\npid=77\nstatus=ok\n{more}")));
        assert_eq!(at("2026-11-20T09:59:15Z", "").0, Healthy);
        is(at("2026-11-20T09:59:14Z", ""), Stale, "the last beat is 46 s old, more than 3 x 15 s");
        assert_eq!(at("2026-11-20T09:59:14Z", "interval=20\n").0, Healthy);
        is(
            at("2026-11-20T09:59:56Z", "interval=1\n"),
            Stale,
            "the last beat is 4.0 s old, more than 3 x 1 s",
        );
    }

    #[test]
    fn boot_and_boottime_decide_the_age_and_the_wall_clock_does_not() {
        let stepped = "ts=2020-01-01T00:00:00Z\npid=77\nstatus=ok\nboot_id=this\nboottime=998\n";
        is(simply(&file(stepped)), Healthy, "the runtime answered 2.0 s ago");
        let ahead = "ts=2030-01-01T00:00:00Z\npid=77\nstatus=ok\nboot_id=this\nboottime=998\n";
        assert_eq!(simply(&file(ahead)).0, Healthy);
        is(case("boot_id=this\nboottime=900\n"), Stale, "the last beat is 100 s old, more than 3 x 15 s");
    }

    #[test]
    fn a_beat_from_before_a_reboot_is_stale_however_fresh_its_time_looks() {
        is(case("boot_id=other\nboottime=999\n"), Stale, "the last beat is from before the reboot");
        assert_eq!(case("boot_id=other\n").0, Stale);
    }

    #[test]
    fn more_than_five_seconds_in_the_future_is_invalid() {
        let at = |time: &str| simply(&file(&format!("ts={time}\npid=77\nstatus=ok\n")));
        assert_eq!(at("2026-11-20T10:00:05Z").0, Healthy);
        is(at("2026-11-20T10:00:07Z"), Invalid, "7.0 s in the future");
        is(case("boot_id=this\nboottime=1010\n"), Invalid, "10 s in the future");
    }

    #[test]
    fn which_of_two_beats_is_newer_the_boots_own_time_says_where_both_tell_it() {
        let read = |lines: &str| parse(format!("pid=77\nstatus=ok\n{lines}").as_bytes()).expect("a beat");
        let before = read("ts=2026-11-20T10:00:00Z\nboot_id=this\nboottime=900\n");
        let set_back = read("ts=2026-11-20T09:00:00Z\nboot_id=this\nboottime=901\n");
        assert!(is_newer(&set_back, &before) && !is_newer(&before, &set_back) && !is_newer(&before, &before));
        let other_boot = read("ts=2026-11-20T10:00:01Z\nboot_id=next\nboottime=5\n");
        assert!(is_newer(&other_boot, &before));
        let plain = |ts: &str| read(&format!("ts={ts}\n"));
        assert!(is_newer(&plain("2026-11-20T10:00:01Z"), &plain("2026-11-20T10:00:00Z")));
    }

    #[test]
    fn a_beat_says_what_is_now_until_it_is_overdue_and_not_where_the_clock_was_set_back() {
        let fresh = |lines: &str| {
            is_fresh(&parse(format!("pid=77\nstatus=busy\n{lines}").as_bytes()).expect("a beat"), &clock())
        };
        assert!(fresh("ts=2026-11-20T09:59:50Z\n") && fresh("ts=2026-11-20T10:00:04Z\n"));
        assert!(!fresh("ts=2026-11-20T09:59:10Z\n") && !fresh("ts=2026-11-20T11:00:00Z\n"));
        assert!(
            fresh("ts=2026-11-20T11:00:00Z\nboot_id=this\nboottime=999\n"),
            "the boot's own time decides"
        );
        assert!(!fresh("ts=2026-11-20T10:00:00Z\nboot_id=other\nboottime=999\n"));
    }

    #[test]
    fn a_pid_outside_the_agents_processes_is_invalid_where_those_are_known() {
        let foreign = file("ts=2026-11-20T09:59:50Z\npid=78\nstatus=ok\n");
        is(simply(&foreign), Invalid, "pid 78 is none of this agent's processes");
        let verdict = judge(Some(&foreign), &clock(), &Expect::default(), None);
        assert_eq!(verdict.health, Healthy);
    }

    #[test]
    fn what_is_no_beat_is_invalid_and_says_how() {
        is(simply(&file("ts=2026-11-20T09:59:50Z\npid=77\n")), Invalid, "half-written: no status line");
        is(simply(&file(&"x".repeat(LONGEST + 1))), Invalid, "oversized: more than 4096 bytes");
        let link = Fact::Known(Content::Link);
        is(simply(&link), Invalid, "a symbolic link in place of a file");
        let fifo = Fact::Known(Content::Other("a FIFO".to_owned()));
        is(simply(&fifo), Invalid, "a FIFO in place of a file");
    }

    #[test]
    fn no_file_and_a_file_that_cannot_be_read_are_unknown() {
        let verdict = judge(None, &clock(), &Expect::default(), None);
        is((verdict.health, verdict.reason), Unknown, "no heartbeat file");
        is(
            simply(&Fact::Unknown("permission denied".to_owned())),
            Unknown,
            "cannot be looked at: permission denied",
        );
    }

    #[test]
    fn none_since_the_start_is_overdue_after_three_intervals() {
        for (started, overdue) in [(960.0, false), (954.0, true)] {
            let expect = Expect { started: Some(started), ..Expect::default() };
            let before = beat("boot_id=this\nboottime=950\n");
            for file in [None, Some(&before), Some(&beat("boot_id=other\nboottime=999\n"))] {
                let verdict = judge(file, &clock(), &expect, Some(&|_| true));
                assert_eq!((verdict.health, verdict.overdue), (Unknown, overdue), "{}", verdict.reason);
                assert!(verdict.reason.contains("none since the start"), "{}", verdict.reason);
            }
        }
    }

    #[test]
    fn a_time_cut_to_whole_seconds_still_counts_as_after_the_start() {
        let expect = |started| Expect { started: Some(started), ..Expect::default() };
        assert_eq!(with(expect(990.9), &beat("")).0, Healthy);
        assert_eq!(with(expect(991.1), &beat("")).0, Unknown);
    }

    #[test]
    fn a_fresh_sidecar_alone_is_alive() {
        is(case("source=sidecar\n"), Alive, "only a sidecar answered, 10 s ago");
        assert_eq!(case("source=sidecar\nstate=idle\n").0, Alive);
    }

    #[test]
    fn a_sidecar_does_not_hide_that_a_hook_spoke_a_moment_ago() {
        let sidecar =
            |heard: &str| case(&format!("boot_id=this\nboottime=995\nsource=sidecar\nheard={heard}\n"));
        is(sidecar("960"), Healthy, "a hook of the runtime answered 40 s ago");
        is(sidecar("900"), Alive, "only a sidecar answered, 5.0 s ago; the runtime's last word is 100 s old");
        assert_eq!(sidecar("1100").0, Alive);
    }

    #[test]
    fn idle_by_its_last_hook_and_a_fresh_sidecar_is_healthy_for_a_runtime_without_a_timer() {
        let codex = Expect { timer: Timer::SidecarWhileIdle, ..Expect::default() };
        let idle = beat("boot_id=this\nboottime=995\nsource=sidecar\nheard=100\nstate=idle\n");
        is(
            with(codex, &idle),
            Healthy,
            "idle since its last hook 900 s ago, and a sidecar answered 5.0 s ago",
        );
        assert_eq!(simply(&idle).0, Alive, "a runtime with a timer should have used it");
        let working = beat("boot_id=this\nboottime=995\nsource=sidecar\nheard=100\nstate=working\n");
        assert_eq!(with(codex, &working).0, Alive);
        let silent = beat("boot_id=this\nboottime=995\nsource=sidecar\nstate=idle\n");
        assert_eq!(with(codex, &silent).0, Alive, "no hook ever said so");
        let earlier = Expect { started: Some(500.0), ..codex };
        assert_eq!(with(earlier, &idle).0, Alive, "a hook of an earlier run said so");
    }

    #[test]
    fn a_tree_is_a_process_and_all_below_it() {
        let process = |parent| Process { parent, ..Process::default() };
        let processes =
            BTreeMap::from([(10, process(1)), (11, process(10)), (12, process(11)), (20, process(1))]);
        assert!(within(&processes, 10, 10) && within(&processes, 10, 12));
        assert!(!within(&processes, 10, 20) && !within(&processes, 10, 99) && !within(&processes, 99, 99));
        let ring = BTreeMap::from([(10, process(11)), (11, process(10))]);
        assert!(!within(&ring, 1, 10));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), boottime: f64, unix: f64) {
            let clock = Clock { unix, boottime, boot_id: "this".to_owned() };
            let fact = Fact::Known(Content::File(bytes));
            let expect = Expect { started: Some(boottime), ..Expect::default() };
            let _ = judge(Some(&fact), &clock, &expect, None);
        }
    }
}
