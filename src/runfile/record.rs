//! The supervisor's record of one agent: what ps, verify and the next start need to know.
//!
//! Written by the supervisor alone, whole, by rename. Lines of `key=value`; a reader takes the keys
//! it knows and leaves the others, so supervisors and command lines of different versions
//! understand each other. `version` changes only when a known key changes its meaning.

use std::fmt;

use super::environment::Environment;

/// The version of the record that this program writes.
pub const VERSION: u32 = 1;
/// Starts that are remembered: enough to see flapping.
const REMEMBERED_STARTS: usize = 16;
/// No honest record is longer.
pub const LONGEST: usize = 8 * 1024;

/// What the supervisor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// Waiting for one of the tenant's start slots.
    Waiting,
    /// Waiting before the next try, after ends that came too soon.
    Backoff,
    /// Making the session.
    #[default]
    Starting,
    /// The runtime runs.
    Running,
    /// Asked to stop; the runtime is being let go.
    Stopping,
    /// The runtime has ended.
    Ended,
}

/// How a runtime ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is not known: the tmux server, which alone could say, is gone.
    Unknown,
}

/// Exit codes that a retry can't cure: the program is missing (127), the configuration is wrong
/// (78, EX_CONFIG). The unit lists the same ones, so that systemd leaves it failed.
pub const INCURABLE: [i32; 2] = [127, 78];

/// What an exit code of a runtime means that a retry can't cure; `None` of any other.
pub fn incurable(code: i32) -> Option<&'static str> {
    match code {
        127 => Some("its program is missing"),
        78 => Some("its configuration is wrong"),
        _ => None,
    }
}

/// The record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The supervisor's version of this program.
    pub supervisor: String,
    /// Its pid.
    pub supervisor_pid: i32,
    /// The boot it belongs to.
    pub boot_id: String,
    /// What it is doing.
    pub state: State,
    /// The same for people, as systemd shows it.
    pub status: String,
    /// Starts in this boot, counted by us: systemd's counter misses restarts by dependency.
    pub starts: u32,
    /// The last starts, CLOCK_BOOTTIME in seconds, oldest first; not those after a stop that was asked
    /// for.
    pub start_times: Vec<f64>,
    /// Whether the last run ended because a stop was asked for.
    pub stopped: bool,
    /// Pid of the pane's process.
    pub runtime_pid: Option<i32>,
    /// When it started, CLOCK_BOOTTIME in seconds.
    pub started: Option<f64>,
    /// With which variables it was started, as a digest.
    pub environment: Option<Environment>,
    /// Its first heartbeat, CLOCK_BOOTTIME in seconds.
    pub first_beat: Option<f64>,
    /// The first heartbeat since the boot, whichever run's it was: how long the boot took.
    pub first_beat_of_boot: Option<f64>,
    /// How the one before it ended.
    pub last_end: Option<End>,
    /// When that was, RFC 3339.
    pub last_end_at: Option<String>,
    /// The same, CLOCK_BOOTTIME in seconds.
    pub last_end_boottime: Option<f64>,
    /// Ends in a row that came too soon after their start.
    pub quick_ends: u32,
    /// When a start that is held back will be tried, CLOCK_BOOTTIME in seconds.
    pub next_try: Option<f64>,
    /// Kills by the OOM killer in this unit's cgroups in this boot.
    pub oom_kills: u64,
    /// Those of this run; not said by supervisors that only counted at its end.
    pub run_oom_kills: Option<u64>,
    /// When the last of them was noticed, CLOCK_BOOTTIME in seconds.
    pub last_oom: Option<f64>,
    /// Restarts in a row because beats had stopped, as far as answers have not forgiven them.
    pub stale_restarts: u32,
    /// When the last of them was, CLOCK_BOOTTIME in seconds.
    pub last_stale_restart: Option<f64>,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit:{code}"),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl End {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("exit", code)) => code.parse().ok().map(Self::Exit),
            Some(("signal", signal)) => signal.parse().ok().map(Self::Signal),
            None if text == "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl State {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Waiting, "waiting"),
        (Self::Backoff, "backoff"),
        (Self::Starting, "starting"),
        (Self::Running, "running"),
        (Self::Stopping, "stopping"),
        (Self::Ended, "ended"),
    ];

    /// Its word in the file.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("", |(_, w)| w)
    }
}

impl Record {
    /// The file's text.
    pub fn text(&self) -> String {
        let mut out = format!("version={VERSION}\n");
        let mut line = |key: &str, value: &dyn fmt::Display| {
            // A line end inside a value would begin a line of its own.
            let value = value.to_string().replace(['\n', '\r'], " ");
            out.push_str(key);
            out.push('=');
            out.push_str(&value);
            out.push('\n');
        };
        line("supervisor", &self.supervisor);
        line("supervisor_pid", &self.supervisor_pid);
        line("boot_id", &self.boot_id);
        line("state", &self.state.word());
        line("status", &self.status);
        line("starts", &self.starts);
        let times: Vec<String> = self.start_times.iter().map(|t| format!("{t:.3}")).collect();
        line("start_times", &times.join(" "));
        if self.stopped {
            line("stopped", &1);
        }
        let mut time = |key, value: Option<f64>| {
            if let Some(value) = value {
                line(key, &format_args!("{value:.3}"));
            }
        };
        time("started", self.started);
        time("first_beat", self.first_beat);
        time("first_beat_of_boot", self.first_beat_of_boot);
        time("last_end_boottime", self.last_end_boottime);
        time("next_try", self.next_try);
        time("last_oom", self.last_oom);
        time("last_stale_restart", self.last_stale_restart);
        if let Some(pid) = self.runtime_pid {
            line("runtime_pid", &pid);
        }
        if let Some(environment) = &self.environment {
            line("environment", environment);
        }
        if let Some(end) = self.last_end {
            line("last_exit", &end);
        }
        if let Some(at) = &self.last_end_at {
            line("last_exit_at", at);
        }
        line("quick_ends", &self.quick_ends);
        line("oom_kills", &self.oom_kills);
        if let Some(kills) = self.run_oom_kills {
            line("run_oom_kills", &kills);
        }
        line("stale_restarts", &self.stale_restarts);
        out
    }

    /// Reads a record; `None` where it is of a version whose keys may mean something else, or none
    /// at all.
    pub fn parse(text: &str) -> Option<Self> {
        // Once through the text: a look at hundreds of agents reads as many records.
        let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |key: &str| lines.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
        if value("version")?.parse() != Ok(VERSION) {
            return None;
        }
        let number = |key: &str| value(key).and_then(|v| v.parse::<f64>().ok()).filter(|n| n.is_finite());
        let count = |key: &str| value(key).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        let word = value("state").unwrap_or("");
        Some(Self {
            supervisor: value("supervisor").unwrap_or("").to_owned(),
            supervisor_pid: value("supervisor_pid").and_then(|v| v.parse().ok()).unwrap_or(0),
            boot_id: value("boot_id").unwrap_or("").to_owned(),
            state: State::ALL.iter().find(|(_, w)| *w == word).map(|(s, _)| *s)?,
            status: value("status").unwrap_or("").to_owned(),
            starts: u32::try_from(count("starts")).unwrap_or(u32::MAX),
            start_times: value("start_times")
                .unwrap_or("")
                .split_whitespace()
                .filter_map(|t| t.parse().ok())
                .take(REMEMBERED_STARTS)
                .collect(),
            stopped: value("stopped") == Some("1"),
            runtime_pid: value("runtime_pid").and_then(|v| v.parse().ok()),
            started: number("started"),
            environment: value("environment").and_then(Environment::parse),
            first_beat: number("first_beat"),
            first_beat_of_boot: number("first_beat_of_boot"),
            last_end: value("last_exit").and_then(End::parse),
            last_end_at: value("last_exit_at").map(str::to_owned),
            last_end_boottime: number("last_end_boottime"),
            quick_ends: u32::try_from(count("quick_ends")).unwrap_or(u32::MAX),
            next_try: number("next_try"),
            oom_kills: count("oom_kills"),
            run_oom_kills: value("run_oom_kills").and_then(|v| v.parse().ok()),
            last_oom: number("last_oom"),
            stale_restarts: u32::try_from(count("stale_restarts")).unwrap_or(u32::MAX),
            last_stale_restart: number("last_stale_restart"),
        })
    }

    /// The record of a new supervisor in `boot_id` at `now`: what happened before in this boot is
    /// kept, a start is counted.
    pub fn next(previous: Option<Self>, boot_id: &str, now: f64) -> Self {
        let mut record = previous.filter(|p| p.boot_id == boot_id).unwrap_or_default();
        record.boot_id = boot_id.to_owned();
        record.state = State::Starting;
        record.starts = record.starts.saturating_add(1);
        // What somebody asked for is no flapping, and makes no crash undone.
        if !std::mem::take(&mut record.stopped) {
            if record.start_times.len() == REMEMBERED_STARTS {
                record.start_times.remove(0);
            }
            record.start_times.push(now);
        }
        record.runtime_pid = None;
        record.started = None;
        record.environment = None;
        record.first_beat = None;
        record.next_try = None;
        record.run_oom_kills = None;
        record
    }
}

/// Why a text that [`Record::parse`] does not take is no record.
pub fn unreadable(text: &str) -> String {
    match super::value(text, "version").map(str::trim) {
        Some(version) if version.parse::<u32>().is_ok_and(|v| v != VERSION) => {
            format!("it is of version {version}, and this program reads {VERSION}")
        }
        _ if text.is_empty() => "the file is empty".to_owned(),
        _ => "what stands there is no supervisor's record".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Record {
        Record {
            supervisor: "1.2.3".into(),
            supervisor_pid: 40,
            boot_id: "b".into(),
            state: State::Running,
            status: "running".into(),
            starts: 3,
            start_times: vec![1.0, 2.5, 9.125],
            stopped: true,
            runtime_pid: Some(41),
            started: Some(9.25),
            environment: Some(Environment::of(b"A=1", b"", "1.2 -".into())),
            first_beat: Some(9.5),
            first_beat_of_boot: Some(1.5),
            last_end: Some(End::Signal(9)),
            last_end_at: Some("2026-01-02T03:04:05Z".into()),
            last_end_boottime: Some(9.0),
            quick_ends: 2,
            next_try: Some(11.0),
            oom_kills: 1,
            run_oom_kills: Some(1),
            last_oom: Some(8.0),
            stale_restarts: 2,
            last_stale_restart: Some(7.5),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Record::parse(&full().text()), Some(full()));
    }

    #[test]
    fn a_status_with_a_line_end_forges_no_line() {
        let record = Record { status: "x\nstarts=99".into(), ..full() };
        assert_eq!(Record::parse(&record.text()).map(|r| r.starts), Some(3));
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        assert_eq!(Record::parse(&full().text().replace("version=1", "version=2")), None);
        assert_eq!(Record::parse(""), None);
    }

    #[test]
    fn a_start_after_a_stop_that_was_asked_for_is_not_among_those_that_flap() {
        let after = |stopped| Record::next(Some(Record { stopped, ..full() }), "b", 20.0);
        assert_eq!(after(true).start_times, [1.0, 2.5, 9.125], "and those before are not forgotten");
        assert_eq!((after(true).starts, after(true).stopped), (4, false));
        assert_eq!(after(false).start_times, [1.0, 2.5, 9.125, 20.0]);
    }

    #[test]
    fn what_is_no_record_is_told_as_what_it_is() {
        assert_eq!(unreadable("version=9\nstate=x\n"), "it is of version 9, and this program reads 1");
        assert_eq!(unreadable(""), "the file is empty");
        for garbage in ["version=1\n", "version=one\n", "{}", "\0\0"] {
            assert_eq!(Record::parse(garbage), None);
            assert_eq!(unreadable(garbage), "what stands there is no supervisor's record", "{garbage}");
        }
    }

    #[test]
    fn a_new_boot_forgets_and_the_same_boot_counts_on() {
        let same = Record::next(Some(full()), "b", 20.0);
        assert_eq!((same.starts, same.quick_ends, same.runtime_pid), (4, 2, None));
        assert_eq!((same.first_beat, same.first_beat_of_boot), (None, Some(1.5)));
        let other = Record::next(Some(full()), "c", 20.0);
        assert_eq!((other.starts, other.quick_ends, other.start_times), (1, 0, vec![20.0]));
        assert_eq!(other.first_beat_of_boot, None);
    }
}
