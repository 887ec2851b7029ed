//! What the supervisor says: to systemd its state and status, to the record what it knows.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sd_notify::NotifyState;

use super::backoff;
use super::ending::Ending;
use crate::host::clock;
use crate::host::runfiles;
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::record::{End, Record, State};
use crate::runfile::{self, record};

/// A kill by the OOM killer so shortly before the end is its cause, in seconds.
const OOM_BEFORE_END: f64 = 10.0;
/// How long systemd waits for the next word while a start is held back on purpose.
const PATIENCE: Duration = Duration::from_secs(60);

/// The supervisor's voice.
pub struct Journal {
    /// What is known so far.
    pub record: Record,
    path: PathBuf,
    last_lines: PathBuf,
    /// What the supervisor before this one said last, where it came to its end.
    before: Option<String>,
}

impl Journal {
    /// The record that the supervisor before this one left, if it can be read.
    pub fn previous(layout: &Layout, agent: &AgentName) -> Option<Record> {
        Record::parse(&runfiles::read_text(&layout.record(agent), record::LONGEST)?)
    }

    /// A voice for `agent`; `before` is what the supervisor before this one said last.
    pub fn new(layout: &Layout, agent: &AgentName, mut record: Record, before: Option<String>) -> Self {
        record.supervisor = env!("CARGO_PKG_VERSION").to_owned();
        record.supervisor_pid = i32::try_from(std::process::id()).unwrap_or(0);
        Self { record, path: layout.record(agent), last_lines: layout.last_lines(agent), before }
    }

    /// Says what is being done.
    pub fn phase(&mut self, state: State, status: &str) {
        self.tell(&[NotifyState::Status(status), NotifyState::ExtendTimeoutUsec(micros(PATIENCE))]);
        self.write(state, status);
    }

    /// Says that the start is held back, after starts that came to nothing or ends that came too soon.
    pub fn hold_back(&mut self, left: Duration) {
        let last = match (self.record.last_end, &self.before) {
            (None, _) => String::new(),
            // Of one that never ran, why.
            (Some(End::Unknown), Some(why)) => format!(" ({why})"),
            (Some(end), _) => format!(", last {}", words(end)),
        };
        let status = format!(
            "ended {} times too soon{last}; next try in {} s",
            self.record.quick_ends,
            left.as_secs().max(1)
        );
        self.record.next_try = Some(clock::boottime() + left.as_secs_f64());
        self.tell(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(micros(left + PATIENCE))]);
        self.write(State::Backoff, &status);
    }

    /// The runtime runs in the unit's cgroup: the unit is up.
    pub fn running(&mut self, pid: i32) {
        self.record.runtime_pid = Some(pid);
        self.record.started.get_or_insert_with(clock::boottime);
        let status = format!("running, pid {pid}");
        self.write(State::Running, &status);
        self.tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }

    /// Notes the runtime's first heartbeat, once there is one; whether there is.
    pub fn note_first_beat(&mut self, layout: &Layout, agent: &AgentName) -> bool {
        let Some(started) = self.record.started else { return false };
        let Some(text) = runfiles::read_text(&layout.heartbeat(agent), record::LONGEST) else {
            return false;
        };
        let number = |key| runfile::value(&text, key).and_then(|v| v.trim().parse::<f64>().ok());
        let of_this_boot = runfile::value(&text, "boot_id").is_none_or(|b| b.trim() == self.record.boot_id);
        // A runtime of somebody else's may write the three plain lines alone: then the file's age
        // is the beat's.
        let beat = number("first").or_else(|| number("boottime")).or_else(|| {
            let age = std::fs::metadata(layout.heartbeat(agent)).ok()?.modified().ok()?.elapsed().ok()?;
            Some(clock::boottime() - age.as_secs_f64())
        });
        match beat.filter(|b| of_this_boot && *b >= started) {
            Some(beat) => {
                self.record.first_beat = Some(beat);
                self.record.first_beat_of_boot.get_or_insert(beat);
                let (state, status) = (self.record.state, self.record.status.clone());
                self.write(state, &status);
                true
            }
            None => false,
        }
    }

    /// Says what is to be said of the runtime's beats, where that has changed: to systemd, in the
    /// record, and in the journal for whoever asks later. `None`: it answers, or was never heard.
    pub fn beats(&mut self, said: Option<&str>, restarts: u32) {
        let pid = self.record.runtime_pid.unwrap_or(0);
        let times = match restarts {
            0 => String::new(),
            1 => "; restarted once since its beats stopped".to_owned(),
            n => format!("; restarted {n} times in a row since its beats stopped"),
        };
        let said = said.map_or_else(String::new, |said| format!("; {said}"));
        let status = format!("running, pid {pid}{times}{said}");
        if status == self.record.status {
            return;
        }
        if !said.is_empty() {
            super::say(&status);
        }
        self.tell(&[NotifyState::Status(&status)]);
        let state = self.record.state;
        self.write(state, &status);
    }

    /// Writes the record as it is: whether it can be.
    pub fn rewrite(&self) -> io::Result<()> {
        runfiles::replace(&self.path, self.record.text().as_bytes())
    }

    /// The runtime was ended because its beats had stopped; the unit is restarted for it.
    pub fn gave_up(&mut self, end: End) -> Ending {
        let now = clock::boottime();
        // Its silence is counted elsewhere; a good run before it forgives here as well.
        self.record.quick_ends =
            backoff::quick_ends_after(self.record.quick_ends, self.record.started, now, End::Unknown);
        self.note_end(end, now);
        let status = self.record.status.clone();
        self.write(State::Ended, &status);
        Ending::Stale
    }

    /// Keeps what the pane showed last.
    pub fn keep_last_lines(&self, screen: Option<String>) {
        if let Some(screen) = screen {
            let _ = runfiles::replace(&self.last_lines, screen.as_bytes());
        }
    }

    /// Notes that the kernel accounts for this run's memory, and what the OOM killer has done in it
    /// since the last look. ps shows that for an hour, so its time matters.
    pub fn oom_kills(&mut self, new: u64) {
        let before = self.record.run_oom_kills;
        if before.is_some() && new == 0 {
            return;
        }
        self.record.run_oom_kills = Some(before.unwrap_or(0).saturating_add(new));
        self.record.oom_kills = self.record.oom_kills.saturating_add(new);
        if new > 0 {
            self.record.last_oom = Some(clock::boottime());
            super::say(&format!("the OOM killer ended {new} of its processes"));
        }
        // What this run's record says next is written with it; a failure is seen there, too.
        let _ = self.rewrite();
    }

    /// The runtime has ended by itself: the unit ends the same way, at once. `why` it is not known how,
    /// where it is not.
    pub fn ended(&mut self, end: End, why: Option<&str>) -> Ending {
        let now = clock::boottime();
        self.record.quick_ends =
            backoff::quick_ends_after(self.record.quick_ends, self.record.started, now, end);
        self.note_end(end, now);
        let killed = self.record.last_oom.is_some_and(|at| now - at < OOM_BEFORE_END);
        let oom = if killed { " (the OOM killer was here)" } else { "" };
        let status = match end {
            End::Exit(code) if backoff::INCURABLE.contains(&code) => {
                format!("the runtime ended, {}: not retried, since that can't cure it", words(end))
            }
            _ => {
                let why = why.map_or_else(String::new, |why| format!(": {why}"));
                format!("the runtime ended, {}{why}{oom}", words(end))
            }
        };
        self.tell(&[NotifyState::Status(&status)]);
        self.write(State::Ended, &status);
        Ending::Runtime(end)
    }

    /// A stop was asked for and carried out.
    pub fn stopped(&mut self) -> Ending {
        self.record.quick_ends = 0;
        self.record.stale_restarts = 0;
        // What somebody asked for is no flapping: the start after it does not count.
        self.record.stopped = true;
        // Its number will be another process's.
        self.record.runtime_pid = None;
        self.write(State::Ended, "stopped");
        Ending::Stopped
    }

    /// A start came to nothing.
    pub fn fail(&mut self, why: String) -> Ending {
        self.came_to_nothing(End::Unknown, &why);
        Ending::failed(why)
    }

    /// The pane refused to become the runtime, and said with which code: the unit ends with it.
    pub fn refused(&mut self, code: u8, why: String) -> Ending {
        let cure = if backoff::INCURABLE.contains(&code.into()) {
            "; not retried, since that can't cure it"
        } else {
            ""
        };
        let why = format!("{why}{cure}");
        self.came_to_nothing(End::Exit(code.into()), &why);
        Ending::Failed { code, why }
    }

    fn came_to_nothing(&mut self, end: End, why: &str) {
        self.record.quick_ends = self.record.quick_ends.saturating_add(1);
        self.note_end(end, clock::boottime());
        self.tell(&[NotifyState::Status(why)]);
        self.write(State::Ended, why);
    }

    fn note_end(&mut self, end: End, now: f64) {
        self.record.last_end = Some(end);
        self.record.last_end_boottime = Some(now);
        self.record.last_end_at = Some(clock::rfc3339(clock::unix()));
        self.record.runtime_pid = None;
    }

    fn write(&mut self, state: State, status: &str) {
        self.record.state = state;
        status.clone_into(&mut self.record.status);
        // A full disk must not end an agent: ps then says that the record is old.
        let _ = self.rewrite();
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let _: io::Result<()> = sd_notify::notify(states);
    }
}

fn words(end: End) -> String {
    match end {
        End::Exit(127) => "exit code 127 (program not found)".to_owned(),
        End::Exit(78) => "exit code 78 (configuration)".to_owned(),
        End::Exit(code) => format!("exit code {code}"),
        End::Signal(signal) => format!("signal {signal}"),
        End::Unknown => "not known how".to_owned(),
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(home: &std::path::Path) -> Journal {
        let record = Record { start_times: vec![1.0, 2.0, 3.0], quick_ends: 2, ..Record::default() };
        let layout = Layout::new(home, None);
        runfiles::make_folder(&layout.run()).expect("made");
        Journal::new(&layout, &AgentName::parse("coder").expect("a name"), record, None)
    }

    #[test]
    fn a_stop_that_was_asked_for_is_neither_flapping_nor_a_failure() {
        let home = tempfile::tempdir().expect("a home");
        let mut journal = journal(home.path());
        assert!(matches!(journal.stopped(), Ending::Stopped));
        assert!(journal.record.stopped);
        assert_eq!((journal.record.start_times.len(), journal.record.quick_ends), (3, 0));
    }

    #[test]
    fn an_end_by_itself_keeps_the_starts_in_mind() {
        let home = tempfile::tempdir().expect("a home");
        let mut journal = journal(home.path());
        assert!(matches!(journal.ended(End::Exit(3), None), Ending::Runtime(End::Exit(3))));
        assert_eq!(journal.record.start_times.len(), 3);
        assert_eq!(journal.record.quick_ends, 3);
        assert!(!journal.record.status.contains("OOM"), "{}", journal.record.status);
    }

    #[test]
    fn a_good_run_forgives_also_where_it_ended_because_its_beats_had_stopped() {
        for (lived, left) in [(backoff::GOOD_RUN + 1.0, 0), (1.0, 2)] {
            let home = tempfile::tempdir().expect("a home");
            let mut journal = journal(home.path());
            journal.record.started = Some(clock::boottime() - lived);
            assert!(matches!(journal.gave_up(End::Signal(1)), Ending::Stale));
            assert_eq!(journal.record.quick_ends, left, "after {lived} s");
        }
    }

    #[test]
    fn a_kill_by_the_oom_killer_has_its_time_in_the_record_at_once() {
        let home = tempfile::tempdir().expect("a home");
        let mut journal = journal(home.path());
        let layout = Layout::new(home.path(), None);
        let written =
            || Journal::previous(&layout, &AgentName::parse("coder").expect("a name")).expect("a record");
        journal.oom_kills(0);
        assert_eq!((written().run_oom_kills, written().last_oom), (Some(0), None), "it is watched");
        journal.oom_kills(2);
        journal.oom_kills(0);
        let record = written();
        assert_eq!((record.run_oom_kills, record.oom_kills), (Some(2), 2));
        assert!(record.last_oom.is_some_and(|at| clock::boottime() - at < 5.0));
        journal.ended(End::Signal(9), None);
        assert!(journal.record.status.contains("the OOM killer was here"), "{}", journal.record.status);
    }
}
