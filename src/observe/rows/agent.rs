//! One agent's row: everything that is known of it, and each disagreement with its condition.

mod noted;
mod told;

use std::borrow::Cow;

use noted::Unrecorded;

use super::installed::Installed;
use super::pane::{self, BySession, Found, find};
use super::rounded;
use super::unit::{self, Wanted, wanted};
use super::version;
use crate::observe::row::{Heartbeat, Pane, PaneState, Row, Systemd};
use crate::observe::{Flag, Given};
use crate::roster::{Agent, Lifecycle};
use crate::runfile::heartbeat::{self, DEFAULT_INTERVAL, Expect, Health, Verdict};
use crate::runfile::record::{End, Record, State};
use crate::runtime::Kind;
use crate::runtime::drift::{self, Drift};
use crate::snapshot::{EnvironmentFiles, Fact, FileFacts, UnitFacts};

/// The row of one agent.
pub fn row<'a>(
    given: &'a Given<'a>,
    panes: &BySession<'a>,
    installed: &'a Installed<'a>,
    agent: &'a Agent,
) -> Row {
    Judge::new(given, panes, installed, agent).row()
}

struct Judge<'a> {
    given: &'a Given<'a>,
    installed: &'a Installed<'a>,
    agent: &'a Agent,
    wanted: Wanted,
    unit: Result<Cow<'a, UnitFacts>, &'a str>,
    /// What its supervisor recorded in this boot.
    record: Option<Record>,
    /// Why there is no such record.
    unrecorded: Unrecorded,
    found: Found<'a>,
    /// Whether what runs is the roster's runtime.
    is_it: bool,
    flags: Vec<Flag>,
    reasons: Vec<String>,
}

impl<'a> Judge<'a> {
    fn new(
        given: &'a Given<'a>,
        panes: &BySession<'a>,
        installed: &'a Installed<'a>,
        agent: &'a Agent,
    ) -> Self {
        let (record, unrecorded) = noted::record(given, &agent.name);
        Self {
            wanted: wanted(given, agent),
            unit: unit::facts(given, &agent.name.unit()),
            found: find(given, panes, &agent.name, record.as_ref().and_then(|r| r.runtime_pid)),
            record,
            unrecorded,
            is_it: false,
            given,
            installed,
            agent,
            flags: Vec::new(),
            reasons: Vec::new(),
        }
    }

    fn row(mut self) -> Row {
        let (systemd, found) = (self.systemd(), self.found.clone());
        if let Wanted::Parked(why) = &self.wanted {
            self.reasons.push(format!("parked: {why}"));
        }
        self.running();
        let verdict = self.heartbeat();
        self.drift();
        self.environment();
        self.boot();
        self.files();
        self.supervisor();
        self.told(&verdict);
        if found.attached > 0 {
            self.flag(Flag::Attached, "a person is attached and can type");
        }
        self.messages();
        if let Some(others) = pane::beside(&found.others) {
            self.not_known("panes", format_args!("its session has {others}"));
        }
        let alive = found.state == PaneState::Alive;
        let (restarts, memory_bytes) = (self.restarts(), self.memory());
        let version = version::of(self.given, self.agent, &self.found, self.record.as_ref(), self.is_it);
        if let Err(why) = &version
            && alive
        {
            self.not_known("version", why);
        }
        self.flags.sort_unstable();
        self.flags.dedup();
        let text = |text: &Option<String>| text.clone();
        Row {
            name: self.agent.name.to_string(),
            tenant_id: self.given.roster.tenant.clone(),
            host: self.given.host.clone(),
            runtime: Some(self.agent.runtime.to_string()),
            class: text(&self.agent.class),
            lifecycle: Some(match self.agent.lifecycle {
                Lifecycle::Core => "core",
                Lifecycle::Ephemeral => "ephemeral",
            }),
            systemd,
            pane: Pane {
                state: found.state,
                pid: found.pid,
                command: found.pane.filter(|_| alive).map(|p| p.command.clone()),
            },
            idle_seconds: found
                .pane
                .filter(|_| alive)
                .map(|p| rounded(self.given.seen.clock.unix - p.activity)),
            heartbeat: Heartbeat::of(&verdict),
            model: text(&self.agent.model),
            effort: text(&self.agent.effort),
            version: version.ok(),
            restarts,
            memory_bytes,
            parked: matches!(self.wanted, Wanted::Parked(_)),
            flags: self.flags,
            reasons: self.reasons,
        }
    }

    fn flag(&mut self, flag: Flag, why: impl std::fmt::Display) {
        self.flags.push(flag);
        self.reasons.push(format!("{}: {why}", flag.word()));
    }

    fn not_known(&mut self, what: &str, why: impl std::fmt::Display) {
        self.reasons.push(format!("{what}: {why}"));
    }

    fn systemd(&mut self) -> Systemd {
        let enabled = unit::enabled(self.given, &self.agent.name.unit());
        let unit = self.unit.clone();
        if let Err(why) = &unit {
            self.not_known("systemd", why);
        }
        if let Err(why) = &enabled {
            self.not_known("enabled", why);
        }
        let unit = unit.ok();
        Systemd {
            active: unit.as_ref().map(|u| u.active.clone()),
            sub: unit.map(|u| u.sub.clone()),
            enabled: enabled.ok(),
        }
    }

    fn active(&self) -> bool {
        self.unit.as_ref().is_ok_and(|u| u.active == "active")
    }

    /// Whether it runs, and where.
    fn running(&mut self) {
        match self.found.state {
            PaneState::Alive => self.outside(),
            PaneState::Unknown => {
                let why = self.found.why.clone();
                self.not_known("pane", why);
                self.outside();
            }
            PaneState::Dead
                if self.unit.as_ref().is_ok_and(|u| u.active == "active" && u.sub == "exited") =>
            {
                let why = format!("systemd says active, and {}", self.found.why);
                self.flag(Flag::ExitedActive, why);
            }
            PaneState::Dead => self.dead(),
        }
        if let Some(Record { last_end: Some(end), last_end_at, .. }) = &self.record {
            let at = last_end_at.as_ref().map_or_else(String::new, |at| format!(", {at}"));
            self.reasons.push(format!("last end: {}{at}", words(*end)));
        }
    }

    fn dead(&mut self) {
        match &self.wanted {
            Wanted::Running => {}
            Wanted::Unknown(why) => {
                let (path, why) = (self.given.layout.parked(&self.agent.name), why.clone());
                return self.not_known("parking", format_args!("{}: {why}", path.display()));
            }
            Wanted::PerTask | Wanted::Parked(_) => return,
        }
        if let Some(how) = self.starting() {
            return self.reasons.push(format!("starting: {how}"));
        }
        let unit = match &self.unit {
            Ok(unit) => format!("; its unit is {} ({})", unit.active, unit.sub),
            Err(_) => String::new(),
        };
        let status = match &self.record {
            Some(record) if !record.status.is_empty() => format!("; its supervisor: {}", record.status),
            _ => String::new(),
        };
        let why = format!("{}{unit}{status}", self.found.why);
        self.flag(Flag::Dead, why);
    }

    /// How its start is under way, where it is: neither dead nor there yet.
    fn starting(&self) -> Option<String> {
        let unit = self.unit.as_ref().ok();
        if let Some(unit) = unit.filter(|u| matches!(u.active.as_str(), "inactive" | "failed")) {
            let queued = matches!(unit.job.as_str(), "start" | "restart");
            return queued.then(|| "its start is queued".to_owned());
        }
        let record = self.record.as_ref()?;
        let on_its_way = matches!(record.state, State::Waiting | State::Starting);
        let activating = unit.is_none_or(|u| u.active == "activating" && u.sub != "auto-restart");
        (on_its_way && activating).then(|| record.status.clone())
    }

    fn outside(&mut self) {
        let Some(process) = self.found.process(self.given) else { return };
        let own = self.agent.name.unit();
        if !process.unit.is_empty() && process.unit != own {
            let why = format!("its process is in {}, not in {own}", process.unit);
            self.flag(Flag::Outside, why);
        }
    }

    fn heartbeat(&mut self) -> Verdict {
        let verdict = self.judged();
        let reason = &verdict.reason;
        let flag = match verdict.health {
            _ if self.found.state == PaneState::Dead => None,
            Health::Healthy => None,
            Health::Stale => Some(Flag::Stale),
            Health::Alive => Some(Flag::Alive),
            Health::Invalid => Some(Flag::BadBeat),
            Health::Unknown if verdict.overdue => Some(Flag::NoBeat),
            Health::Unknown => None,
        };
        match flag {
            Some(flag) => self.flag(flag, reason),
            None if verdict.health == Health::Unknown => self.not_known("heartbeat", reason),
            // Healthy by more than one word: the reason says how.
            None if verdict.beat.as_ref().is_some_and(|b| b.source == heartbeat::Source::Sidecar) => {
                self.not_known("heartbeat", reason);
            }
            None => {}
        }
        verdict
    }

    fn judged(&self) -> Verdict {
        let seen = self.given.seen;
        let dead = self.found.state == PaneState::Dead;
        if dead && self.wanted != Wanted::Running {
            let reason = "not running".to_owned();
            return Verdict { health: Health::Unknown, reason, age: None, beat: None, overdue: false };
        }
        let process = self.found.process(self.given);
        let in_pane = |pid| self.found.pid.is_some_and(|root| heartbeat::within(&seen.processes, root, pid));
        // Where the runtime could not be seen, no beat can be called a stranger's.
        let in_tree: Option<&dyn Fn(i32) -> bool> = if process.is_some() { Some(&in_pane) } else { None };
        let expect = Expect {
            // A beat says its own; this one counts where there is none.
            interval: DEFAULT_INTERVAL,
            started: process.map(|p| p.started),
            timer: Kind::of(&self.agent.runtime).timer(),
        };
        let verdict = heartbeat::judge(seen.beats.get(&self.agent.name), &seen.clock, &expect, in_tree);
        match verdict.health {
            Health::Healthy | Health::Alive if dead => {
                let reason = "the process that wrote the last beat has ended".to_owned();
                Verdict { health: Health::Stale, reason, ..verdict }
            }
            _ => verdict,
        }
    }

    /// Whether it would come back after a boot.
    fn boot(&mut self) {
        let Ok(unit) = self.unit.clone() else { return };
        for (flag, why) in unit::file_flags(self.given.layout, &unit) {
            self.flag(flag, why);
        }
        let runs = self.active() || self.found.state == PaneState::Alive;
        if runs && self.agent.enabled() {
            let gaps = unit::gaps(self.given, self.agent, &unit);
            if !gaps.is_empty() {
                self.flag(Flag::BootEnable, gaps.join("; "));
            }
        }
    }

    /// Whether what runs is what the roster says.
    fn drift(&mut self) {
        let Some(pid) = self.found.pid else { return };
        let expected = drift::expected(self.given.roster, self.agent);
        let seen = self.given.seen;
        // A pane may wait to be let in long after its process was forked: its time runs from there.
        let record = self.record.as_ref().filter(|record| record.runtime_pid == Some(pid));
        let waited = record.and_then(|r| r.started).zip(seen.processes.get(&pid));
        let waited = waited.map_or(0.0, |(let_in, process)| (let_in - process.started).max(0.0));
        match drift::judge(&expected, pid, &seen.processes, seen.clock.boottime - waited) {
            Drift::Match => self.is_it = true,
            Drift::Differs { seen } => {
                self.flag(Flag::Drift, format!("runs {seen}, not {}", self.agent.runtime));
            }
            Drift::Unknown { why } => self.not_known("drift", why),
        }
    }

    /// Whether it runs with the variables that its files hold.
    fn environment(&mut self) {
        let seen = self.given.seen;
        // Who does not run, runs with nothing.
        let Some(pid) = self.found.pid else { return };
        let Some(record) = self.record.as_ref().filter(|r| r.runtime_pid == Some(pid)) else { return };
        let (Some(ran_with), Some(files)) = (&record.environment, seen.environments.get(&self.agent.name))
        else {
            return;
        };
        let EnvironmentFiles::Seen { rendered, local } = files else { return };
        match (content(rendered.as_ref()), content(local.as_ref())) {
            (Ok(rendered), Ok(local)) if ran_with.is_in(rendered, local) => {}
            (Ok(_), Ok(_)) => {
                let why = format!(
                    "runs with other variables than its environment files hold now: fleet restart {}",
                    self.agent.name
                );
                self.flag(Flag::Drift, why);
            }
            (Err(why), _) | (_, Err(why)) => self.not_known("environment", why),
        }
    }

    /// What of its files is not as we left it, or not yet what it runs with.
    fn files(&mut self) {
        let installed = self.installed;
        if let Some(why) = installed.unknown {
            self.not_known("ledger", format_args!("not known what was changed by hand: {why}"));
        }
        let edited = installed.edited(&self.agent.name);
        if !edited.is_empty() {
            self.flag(Flag::Edited, format_args!("{} by hand", edited.join(", ")));
        }
        if self.active() || self.found.state == PaneState::Alive {
            let pending = installed.pending(self.given, &self.agent.name, self.record.as_ref());
            if !pending.is_empty() {
                self.flag(Flag::Pending, pending.join("; "));
            }
        }
    }

    fn memory(&mut self) -> Option<u64> {
        let memory = self.given.seen.memory.get(&self.agent.name.unit()).copied();
        if memory.is_none() && self.found.state == PaneState::Alive {
            self.not_known("memory", "the kernel does not account for its unit's");
        }
        memory
    }
}

/// The bytes of an environment file; one that is absent has none.
fn content(file: Option<&Fact<FileFacts>>) -> Result<&[u8], String> {
    match file {
        None => Ok(&[]),
        Some(Fact::Known(FileFacts::File { content, .. } | FileFacts::Declared { content, .. })) => {
            Ok(content)
        }
        Some(Fact::Known(FileFacts::Link(_))) => Err("a link in place of a file".to_owned()),
        Some(Fact::Known(FileFacts::Other(what))) => Err(format!("{what} in place of a file")),
        Some(Fact::Unknown(why)) => Err(why.clone()),
    }
}

fn words(end: End) -> String {
    match end {
        End::Exit(code) => format!("exit code {code}"),
        End::Signal(signal) => format!("signal {signal}"),
        End::Unknown => "not known how".to_owned(),
    }
}
