//! One agent's checks: its unit, its pane, its process, its heartbeat, by its row and its unit.

use super::{Check, Evidence, Why};
use crate::envfile;
use crate::names::{AgentName, HOLDER_UNIT, PROTECTED};
use crate::observe::row::PaneState;
use crate::observe::{Flag, Row};
use crate::roster::{Agent, Launch, Lifecycle, State};
use crate::runfile::heartbeat::Health;
use crate::runfile::record::{Record, State as Phase};
use crate::snapshot::{Fact, FileFacts, UnitFacts};

/// Exit codes that a retry can't cure: the program is missing, the configuration is wrong.
const INCURABLE: [i32; 2] = [127, 78];

/// The checks of one agent. One that is parked, or that others start per task and nobody has, has
/// only its unit's.
pub fn checks(evidence: &Evidence<'_>, agent: &Agent) -> Vec<Check> {
    let Some(row) = evidence.rows.iter().find(|r| r.name == agent.name.as_str()) else { return Vec::new() };
    let one = One { evidence, agent, row, name: &agent.name };
    let mut checks = vec![one.unit_file()];
    checks.extend(one.overrides());
    let active = one.active();
    let up = active.ok && active.reason.is_none();
    checks.push(active);
    if up {
        checks.extend([one.pane(), one.cgroup(), one.runtime(), one.heartbeat()]);
        checks.extend(one.path());
    }
    checks
}

struct One<'a> {
    evidence: &'a Evidence<'a>,
    agent: &'a Agent,
    row: &'a Row,
    name: &'a AgentName,
}

impl One<'_> {
    fn holds(&self, id: &'static str, seen: impl Into<String>) -> Check {
        Check::holds(id, Some(self.name), seen)
    }

    fn fails(&self, id: &'static str, why: Why, seen: impl Into<String>, expected: &str) -> Check {
        Check::fails(id, Some(self.name), why, seen, expected)
    }

    fn reason(&self, flag: Flag) -> String {
        let said = |reason: &&String| reason.starts_with(&format!("{}: ", flag.word()));
        let reason = self.row.reasons.iter().find(said).map(String::as_str).unwrap_or_default();
        reason.split_once(": ").map_or(reason, |(_, text)| text).to_owned()
    }

    fn reason_of(&self, what: &str) -> String {
        let said = self.row.reasons.iter().find_map(|r| r.strip_prefix(what)?.strip_prefix(": "));
        said.unwrap_or_default().to_owned()
    }

    fn facts(&self) -> Option<&UnitFacts> {
        self.evidence.given.seen.units.known()?.get(&self.name.unit())
    }

    fn record(&self) -> Option<Record> {
        let seen = self.evidence.given.seen;
        let record = Record::parse(seen.records.get(self.name)?.known()?)?;
        (record.boot_id == seen.clock.boot_id).then_some(record)
    }

    fn unit_file(&self) -> Check {
        let expected = self.evidence.given.layout.agent_template().display().to_string();
        let unit = self.name.unit();
        match self.facts() {
            Some(facts) if facts.load == "masked" => self
                .fails("unit-file", Why::Masked, format!("{unit} is masked"), &expected)
                .cure(format!("systemctl --user unmask {unit} && fleet apply")),
            Some(_) if self.row.flags.contains(&Flag::Shadowed) => {
                let other = self.facts().and_then(|f| f.detail.as_ref()).map_or("", |d| d.fragment.as_str());
                self.fails("unit-file", Why::Shadowed, other, &expected)
                    .cure(format!("mv {other} {other}.aside && fleet apply"))
            }
            _ => self.holds("unit-file", expected),
        }
    }

    /// Local overrides that try to change who the agent is: they are ignored, and named here.
    fn overrides(&self) -> Option<Check> {
        const EXPECTED: &str = "socket, holder, name, tenant, host and home stay the fleet's";
        let layout = self.evidence.given.layout;
        let vars = |path| match self.evidence.given.seen.files.get(&path)? {
            Fact::Known(FileFacts::File { content, .. }) => {
                Some(envfile::parse(&String::from_utf8_lossy(content)))
            }
            Fact::Known(_) | Fact::Unknown(_) => None,
        };
        let local = vars(layout.agent_local_env(self.name))?;
        let ours = vars(layout.agent_env(self.name)).unwrap_or_default();
        let differs = |name: &str, value: &str| ours.iter().any(|(n, v)| n == name && v != value);
        let tried: Vec<&str> = local
            .iter()
            .filter(|(name, value)| PROTECTED.contains(&name.as_str()) && differs(name, value))
            .map(|(name, _)| name.as_str())
            .collect();
        if tried.is_empty() {
            return Some(self.holds("overrides", EXPECTED));
        }
        let file = layout.agent_local_env(self.name);
        let seen = format!("{} sets {}, which is ignored", file.display(), tried.join(", "));
        let lines = tried.iter().map(|name| format!("/^{name}=/d")).collect::<Vec<_>>().join(";");
        let cure = format!("sed -i '{lines}' {}", file.display());
        Some(self.fails("overrides", Why::Override, seen, EXPECTED).cure(cure))
    }

    /// Its unit is active in this boot; where it is not, why.
    fn active(&self) -> Check {
        const EXPECTED: &str = "active in this boot";
        let units = &self.evidence.given.seen.units;
        if let Fact::Unknown(why) = units {
            return self.fails("active", Why::Unknown, why, EXPECTED);
        }
        let facts = self.facts();
        let active = facts.map_or("inactive", |f| f.active.as_str());
        if self.row.parked {
            let seen = format!("{active}, {}", self.reason_of("parked"));
            return match active {
                "active" if self.agent.state == State::Stopped => self
                    .fails("active", Why::NotForBoot, seen, "stopped, as the roster says")
                    .cure("fleet apply"),
                _ => self.holds("active", seen).because(Why::Parked),
            };
        }
        if self.row.flags.contains(&Flag::ExitedActive) {
            return self
                .fails("active", Why::ExitedActive, self.reason(Flag::ExitedActive), EXPECTED)
                .cure(self.restart());
        }
        if active == "active" {
            return self.holds("active", EXPECTED);
        }
        if self.agent.lifecycle == Lifecycle::Ephemeral && active == "inactive" {
            return self.holds("active", "not started: per task").because(Why::Parked);
        }
        let (why, seen, cure) = self.down(facts, active);
        self.fails("active", why, seen, EXPECTED).cure(cure)
    }

    /// Why a wanted agent's unit is not active.
    fn down(&self, facts: Option<&UnitFacts>, active: &str) -> (Why, String, String) {
        let start = || format!("fleet start {}", self.name);
        let detail = facts.and_then(|f| f.detail.as_ref());
        let result = detail.map_or("", |d| d.result.as_str());
        let code = detail.filter(|d| d.exit_code == 1).map(|d| d.exit_status);
        let record = self.record();
        let status = record.as_ref().map_or("", |r| r.status.as_str());
        let with_status = |text: String| if status.is_empty() { text } else { format!("{text}: {status}") };
        if facts.is_some_and(|f| f.load == "masked") {
            return (
                Why::Masked,
                "masked".to_owned(),
                format!("systemctl --user unmask {}", self.name.unit()),
            );
        }
        if self.row.flags.contains(&Flag::Shadowed) {
            let seen = format!("{active}, and another file stands in for its unit");
            return (Why::Shadowed, seen, "fleet plan".to_owned());
        }
        if let Some(code) = code.filter(|c| active == "failed" && INCURABLE.contains(c)) {
            let what = if code == 127 { "its program is missing" } else { "its configuration is wrong" };
            return (Why::CannotRetry, format!("exit code {code}: {what}"), self.how_it_is_launched());
        }
        if result == "start-limit-hit" {
            return (Why::StartLimit, with_status("ended too often".to_owned()), start());
        }
        if active == "failed" {
            return (Why::Failed, with_status(format!("failed ({result})")), self.restart());
        }
        let phase = record.as_ref().map(|r| r.state);
        let queued = facts.is_some_and(|f| matches!(f.job.as_str(), "start" | "restart"));
        if queued || (active == "activating" && phase != Some(Phase::Backoff)) {
            return (Why::Starting, with_status(active.to_owned()), "fleet ps".to_owned());
        }
        if active == "activating" {
            return (Why::Failed, with_status("held back".to_owned()), self.restart());
        }
        let holder = self.evidence.given.seen.units.known().and_then(|u| u.get(HOLDER_UNIT));
        if holder.is_none_or(|h| h.active != "active") {
            let holder = holder.map_or("inactive", |h| h.active.as_str());
            let seen = format!("{active}, and the holder is {holder}");
            return (Why::HolderFailed, seen, "fleet start --holder".to_owned());
        }
        if record.is_some() {
            return (Why::NotRunning, with_status(active.to_owned()), start());
        }
        if self.row.systemd.enabled == Some(false) {
            return (Why::NeverWanted, format!("{active}, and not enabled"), "fleet apply".to_owned());
        }
        (Why::NotStarted, format!("{active}, enabled, and never started in this boot"), start())
    }

    fn restart(&self) -> String {
        format!("fleet restart {}", self.name)
    }

    /// What shows where its program was looked for.
    fn how_it_is_launched(&self) -> String {
        match self.evidence.given.roster.launch(self.agent) {
            Launch::Yolo(runtime) => format!("mosaic yolo {runtime} --print"),
            Launch::Command(_) => format!("mosaic agent tail {}", self.name),
        }
    }

    fn pane(&self) -> Check {
        const EXPECTED: &str = "its pane is alive";
        match self.row.pane.state {
            PaneState::Alive => self.holds("pane", EXPECTED),
            PaneState::Unknown => self.fails("pane", Why::Unknown, self.reason_of("pane"), EXPECTED),
            PaneState::Dead => {
                let seen = if self.row.flags.contains(&Flag::Dead) {
                    self.reason(Flag::Dead)
                } else {
                    "dead".to_owned()
                };
                self.fails("pane", Why::PaneDead, seen, EXPECTED).cure(self.restart())
            }
        }
    }

    fn cgroup(&self) -> Check {
        const EXPECTED: &str = "its process is in its unit's cgroup";
        let process = self.row.pane.pid.and_then(|pid| self.evidence.given.seen.processes.get(&pid));
        match process {
            _ if self.row.flags.contains(&Flag::Outside) => {
                self.fails("cgroup", Why::Outside, self.reason(Flag::Outside), EXPECTED).cure(self.restart())
            }
            Some(process) if process.unit == self.name.unit() => self.holds("cgroup", EXPECTED),
            _ => self.fails("cgroup", Why::Unknown, "its process could not be looked at", EXPECTED),
        }
    }

    /// What its pane runs; where that can't be said, nothing speaks against it.
    fn runtime(&self) -> Check {
        let expected = format!("its pane runs {}", self.agent.runtime);
        if self.row.flags.contains(&Flag::Drift) {
            return self
                .fails("runtime", Why::Drift, self.reason(Flag::Drift), &expected)
                .cure(self.restart());
        }
        match self.reason_of("drift") {
            why if why.is_empty() => self.holds("runtime", expected),
            why => self.holds("runtime", format!("not known: {why}")),
        }
    }

    fn heartbeat(&self) -> Check {
        const EXPECTED: &str = "a heartbeat of this boot, younger than three intervals";
        let why = match self.row.heartbeat.health {
            Health::Healthy => return self.holds("heartbeat", EXPECTED),
            Health::Stale => Why::Stale,
            Health::Alive => Why::Alive,
            Health::Invalid => Why::BadBeat,
            Health::Unknown => Why::NoBeat,
        };
        self.fails("heartbeat", why, &self.row.heartbeat.reason, EXPECTED).cure(self.restart())
    }

    /// Agents that the fleet launches call `mosaic`; what a command of the roster's own needs is
    /// not known.
    fn path(&self) -> Option<Check> {
        const EXPECTED: &str = "mosaic is found on its PATH";
        let found = self.evidence.probes.mosaic.get(self.name)?;
        if !matches!(self.evidence.given.roster.launch(self.agent), Launch::Yolo(_)) {
            return None;
        }
        Some(match found {
            Fact::Known(true) => self.holds("path", EXPECTED),
            Fact::Known(false) => {
                let program = self.evidence.programs.join("mosaic");
                self.fails("path", Why::NotOnPath, "mosaic is in none of its folders", EXPECTED)
                    .cure(format!("sudo ln -s {} /usr/local/bin/mosaic", program.display()))
            }
            Fact::Unknown(why) => self.fails("path", Why::Unknown, why, EXPECTED),
        })
    }
}
