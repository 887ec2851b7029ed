//! Looks at an agent's beats for `on_stale: restart`, and around it before it is restarted. Wakes up once
//! in three intervals while the agent answers; without that setting, never.

use std::io;
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::settings::Settings;
use super::stale::{Act, Beat, Clocks, Hold, Watch};
use crate::host::{clock, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::heartbeat::{self, DEFAULT_INTERVAL, Expect, Health, LONGEST_INTERVAL};
use crate::runfile::record::{self, Record, State};
use crate::snapshot::Fact;

/// A probe file begins anew beyond this: nobody reads what is old.
const LONGEST_PROBE: usize = 4096;
/// More agents than this are not looked at before a restart.
const MOST_OTHERS: usize = 1000;
/// An agent that has been silent for so many intervals is not answering, whatever it is called yet.
const SILENT_INTERVALS: f64 = 2.0;

/// One agent's beats, watched.
pub struct Beats<'a> {
    layout: &'a Layout,
    agent: &'a AgentName,
    interval: f64,
    watch: Watch,
}

impl<'a> Beats<'a> {
    /// Watches where the agent's settings ask for it.
    pub fn of(layout: &'a Layout, agent: &'a AgentName, journal: &Journal) -> Option<Self> {
        let settings = Settings::read(layout, agent).ok()?;
        settings.value("MOSAIC_AGENT_ON_STALE").filter(|what| *what == "restart")?;
        let interval = settings.value("MOSAIC_HEARTBEAT_INTERVAL").and_then(|v| v.parse().ok());
        let interval = interval.filter(|i| (1..=LONGEST_INTERVAL).contains(i)).unwrap_or(DEFAULT_INTERVAL);
        let record = &journal.record;
        let watch = Watch::new(clocks(), record.stale_restarts, record.last_stale_restart);
        Some(Self { layout, agent, interval: f64::from(interval), watch })
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        let left = (self.watch.next() - clock::boottime()).clamp(0.0, 86_400.0);
        Instant::now() + Duration::from_secs_f64(left)
    }

    /// Looks, says what has changed, and whether the agent is to be restarted.
    pub fn look(&mut self, journal: &mut Journal) -> bool {
        if self.next() > Instant::now() {
            return false;
        }
        let now = clocks();
        let (beat, silent) = self.beat(journal);
        let mut act = self.watch.look(now, beat, self.interval);
        if act == Act::Probe
            && let Err(error) = self.probe()
        {
            act = self.held(now, Hold::Unwritable(error.to_string()));
        }
        if act == Act::Restart
            && let Err(hold) = self.look_around(beat, journal)
        {
            act = self.held(now, hold);
        }
        let restarts = self.watch.restarts();
        journal.record.stale_restarts = restarts;
        match &act {
            Act::Nothing => journal.beats(None, restarts),
            Act::Probe => journal.beats(Some(&format!("its beats stopped: {silent}")), restarts),
            Act::Wait(due) => {
                let left = (due - now.boottime).ceil();
                journal.beats(Some(&format!("its beats stopped: {silent}; restarted in {left} s")), restarts);
            }
            Act::Held(hold) => {
                journal.beats(Some(&format!("its beats stopped, and it is not restarted: {hold}")), restarts);
            }
            Act::Restart => {
                journal.record.stale_restarts = restarts.saturating_add(1);
                journal.record.last_stale_restart = Some(now.boottime);
                journal.beats(Some(&format!("restarted, since its beats stopped: {silent}")), restarts);
            }
        }
        act == Act::Restart
    }

    fn held(&mut self, now: Clocks, hold: Hold) -> Act {
        self.watch.hold(now, hold, self.interval)
    }

    /// The last beat, and what is said of it.
    fn beat(&mut self, journal: &Journal) -> (Beat, String) {
        let path = self.layout.heartbeat(self.agent);
        let file = match runfiles::read(&path, heartbeat::LONGEST) {
            Ok(file) => file.map(|file| Fact::Known(file.into())),
            Err(error) => Some(Fact::Unknown(error.to_string())),
        };
        let now = clock::now();
        let expect =
            Expect { interval: self.interval as u32, started: journal.record.started, ..Expect::default() };
        let verdict = heartbeat::judge(file.as_ref(), &now, &expect, None);
        let said = verdict.beat.as_ref().and_then(|beat| beat.interval);
        let interval = said.map_or(self.interval, f64::from);
        let beat = match (verdict.health, verdict.age) {
            (Health::Healthy | Health::Alive, Some(age)) => Beat::Fresh { at: now.boottime - age, interval },
            (Health::Stale, Some(age)) => Beat::Stale { at: now.boottime - age, interval },
            _ => Beat::None,
        };
        (beat, verdict.reason)
    }

    fn probe(&self) -> io::Result<()> {
        let line = format!("ts={}\n", clock::rfc3339(clock::unix()));
        runfiles::append(&self.layout.probe(self.agent), &line, LONGEST_PROBE)
    }

    /// What speaks against a restart: a folder in which no beat can be written, and others that fell
    /// silent at the same moment, whatever the roster says of them.
    fn look_around(&self, beat: Beat, journal: &mut Journal) -> Result<(), Hold> {
        journal.rewrite().map_err(|error| Hold::Unwritable(error.to_string()))?;
        let Beat::Stale { at, interval } = beat else { return Ok(()) };
        let folder = std::fs::read_dir(self.layout.run()).map_err(|e| Hold::Unwritable(e.to_string()))?;
        let names = folder.flatten().filter_map(|entry| {
            let name = entry.file_name();
            AgentName::parse(name.to_str()?.strip_suffix(".hb")?).ok()
        });
        let others = names.filter(|name| name != self.agent).take(MOST_OTHERS);
        let mut together: Vec<String> = others
            .filter(|other| self.fell_silent(other, &journal.record.boot_id, at, interval))
            .map(|other| other.to_string())
            .collect();
        together.sort_unstable();
        if together.is_empty() {
            return Ok(());
        }
        let first = together.iter().filter(|other| other.as_str() < self.agent.as_str());
        Err(Hold::Together { before: u32::try_from(first.count()).unwrap_or(u32::MAX), others: together })
    }

    /// Whether another agent that should run stopped answering within an interval of that moment.
    fn fell_silent(&self, other: &AgentName, boot_id: &str, at: f64, interval: f64) -> bool {
        let record = runfiles::read_text(&self.layout.record(other), record::LONGEST);
        let record = record.as_deref().and_then(Record::parse);
        let Some(record) = record.filter(|r| r.state == State::Running && r.boot_id == boot_id) else {
            return false;
        };
        let Ok(Some(file)) = runfiles::read(&self.layout.heartbeat(other), heartbeat::LONGEST) else {
            return false;
        };
        let expect = Expect { started: record.started, ..Expect::default() };
        let verdict = heartbeat::judge(Some(&Fact::Known(file.into())), &clock::now(), &expect, None);
        let said = verdict.beat.as_ref().and_then(|beat| beat.interval).unwrap_or(expect.interval);
        let theirs = f64::from(said);
        let Some(age) = verdict.age.filter(|_| verdict.health != Health::Unknown) else { return false };
        let apart = (clock::boottime() - age - at).abs();
        age > SILENT_INTERVALS * theirs && apart <= interval.max(theirs) + 1.0
    }
}

fn clocks() -> Clocks {
    Clocks { unix: clock::unix(), boottime: clock::boottime(), monotonic: clock::monotonic() }
}
