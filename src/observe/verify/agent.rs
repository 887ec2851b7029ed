//! One agent's checks: its unit, its pane, its process, its heartbeat, by its row and its unit.

use super::{Check, Evidence, Why, cure, down};
use crate::envfile;
use crate::names::{AgentName, PROTECTED};
use crate::observe::row::PaneState;
use crate::observe::{Flag, Row};
use crate::roster::{Agent, Launch, Lifecycle, State};
use crate::runfile::heartbeat::{DEFAULT_INTERVAL, GRACE_INTERVALS, Health};
use crate::runfile::record::Record;
use crate::runtime::Kind;
use crate::snapshot::{Fact, FileFacts, UnitFacts};

/// The checks of one agent. One that is parked, or that others start per task and nobody has, has
/// only its unit's.
pub fn checks(evidence: &Evidence<'_>, agent: &Agent) -> Vec<Check> {
    let Some(row) = evidence.rows.iter().find(|r| r.name == agent.name.as_str()) else { return Vec::new() };
    let one = One { evidence, agent, row, name: &agent.name };
    let mut checks: Vec<Check> = one.overrides().into_iter().collect();
    let active = one.active();
    let up = active.ok && active.reason.is_none();
    checks.push(active);
    if up {
        checks.extend([one.pane(), one.cgroup(), one.runtime(), one.heartbeat()]);
        checks.extend(one.path());
        checks.extend(one.told());
    }
    checks
}

/// One agent with everything that is known of it.
pub struct One<'a> {
    /// What is judged.
    pub evidence: &'a Evidence<'a>,
    /// What the roster says of it.
    pub agent: &'a Agent,
    /// Its row.
    pub row: &'a Row,
    /// Its name.
    pub name: &'a AgentName,
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

    /// What the manager says of its unit.
    pub fn facts(&self) -> Option<&UnitFacts> {
        self.evidence.given.seen.units.known()?.get(&self.name.unit())
    }

    /// What its supervisor recorded in this boot.
    pub fn record(&self) -> Option<Record> {
        let seen = self.evidence.given.seen;
        let record = Record::parse(seen.records.get(self.name)?.known()?)?;
        (record.boot_id == seen.clock.boot_id).then_some(record)
    }

    /// Local overrides that try to change who the agent is: they are ignored, and named here.
    fn overrides(&self) -> Option<Check> {
        const EXPECTED: &str = "socket, holder, name, tenant, host and home stay the fleet's";
        let layout = self.evidence.given.layout;
        let vars = |path| match self.evidence.given.seen.files.get(&path)? {
            Fact::Known(FileFacts::File { content, .. } | FileFacts::Declared { content, .. }) => {
                Some(envfile::parse(&String::from_utf8_lossy(content)))
            }
            Fact::Known(_) | Fact::Unknown(_) => None,
        };
        let file = layout.agent_local_env(self.name);
        let word = cure::word(&file.display().to_string());
        if let Fact::Unknown(why) = self.evidence.given.seen.files.get(&file)? {
            let seen = format!("{}: {why}", file.display());
            let cure = format!("ls -l {word}  # it is for you alone to read");
            return Some(self.fails("overrides", Why::Unknown, seen, EXPECTED).cure(cure));
        }
        let local = vars(file.clone())?;
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
        let seen = format!("{} sets {}, which is ignored", file.display(), tried.join(", "));
        let lines = tried.iter().map(|name| format!("/^{name}=/d")).collect::<Vec<_>>().join(";");
        let cure = format!("sed -i '{lines}' {word}");
        Some(self.fails("overrides", Why::Override, seen, EXPECTED).cure(cure))
    }

    /// Its unit is active in this boot; where it is not, why.
    fn active(&self) -> Check {
        const EXPECTED: &str = "active in this boot";
        let units = &self.evidence.given.seen.units;
        if let Fact::Unknown(why) = units {
            return self.fails("active", Why::Unknown, why, EXPECTED).cure("fleet ps");
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
        let down = down::why(self, facts, active);
        self.fails("active", down.why, down.seen, EXPECTED).cure(down.cure)
    }

    /// Restarts it.
    fn restart(&self) -> String {
        format!("fleet restart {}", self.name)
    }

    /// Shows what its pane does; what to do about it is a person's to say.
    fn tail(&self, then: &str) -> String {
        format!("mosaic agent tail {}  # {then}", self.name)
    }

    fn pane(&self) -> Check {
        const EXPECTED: &str = "its pane is alive";
        match self.row.pane.state {
            PaneState::Alive => self.holds("pane", EXPECTED),
            PaneState::Unknown => {
                self.fails("pane", Why::Unknown, self.reason_of("pane"), EXPECTED).cure("fleet ps")
            }
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
            _ => {
                let pid = self.row.pane.pid.map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
                self.fails("cgroup", Why::Unknown, "its process could not be looked at", EXPECTED).cure(
                    format!("cat /proc/{pid}/cgroup  # it should be that of {}, or below", self.name.unit()),
                )
            }
        }
    }

    /// What its pane runs; where that can't be said, nothing speaks against it.
    fn runtime(&self) -> Check {
        let expected = format!("its pane runs {}", self.agent.runtime);
        if self.row.flags.contains(&Flag::Drift) {
            let cure = match self.evidence.given.roster.launch(self.agent) {
                Launch::Yolo(_) => self.restart(),
                Launch::Command(_) => {
                    format!(
                        "{}  # again? its command starts something else than the roster's runtime",
                        self.restart()
                    )
                }
            };
            return self.fails("runtime", Why::Drift, self.reason(Flag::Drift), &expected).cure(cure);
        }
        match self.reason_of("drift") {
            why if why.is_empty() => self.holds("runtime", expected),
            why => self.holds("runtime", format!("not known: {why}")),
        }
    }

    fn heartbeat(&self) -> Check {
        const EXPECTED: &str = "a heartbeat of this boot, younger than three intervals";
        let file = || cure::word(&self.evidence.given.layout.heartbeat(self.name).display().to_string());
        let (why, cure) = match self.row.heartbeat.health {
            Health::Healthy => return self.holds("heartbeat", EXPECTED),
            Health::Stale => (Why::Stale, self.restart()),
            Health::Alive => (Why::Alive, self.tail("what does it wait for? else: fleet restart it")),
            Health::Invalid => (
                Why::BadBeat,
                format!("mv -T {0} {0}.aside && {1}  # again? two programs write it", file(), self.restart()),
            ),
            Health::Unknown if self.row.flags.contains(&Flag::NoBeat) => (Why::NoBeat, self.never_beat()),
            Health::Unknown => match self.first_beat_due() {
                Some(left) => {
                    (Why::Waiting, cure::again(&format!("its first beat is due within {left:.0} s")))
                }
                None => (Why::Unknown, format!("ls -ld {}", file())),
            },
        };
        self.fails("heartbeat", why, &self.row.heartbeat.reason, EXPECTED).cure(cure)
    }

    /// Seconds that its runtime still has before its first beat; `None` where that can't be said.
    fn first_beat_due(&self) -> Option<f64> {
        let seen = self.evidence.given.seen;
        if seen.beats.get(self.name).is_some_and(|beat| beat.why().is_some()) {
            return None;
        }
        let started = seen.processes.get(&self.row.pane.pid?)?.started;
        let grace = GRACE_INTERVALS * f64::from(DEFAULT_INTERVAL);
        Some((started + grace - seen.clock.boottime).max(0.0).ceil())
    }

    /// What to do about a runtime that never beats: the built-in one is hung; any other may wait
    /// for a person, or not know how.
    fn never_beat(&self) -> String {
        match self.evidence.given.roster.launch(self.agent) {
            Launch::Yolo(runtime) => match Kind::of(runtime) {
                Kind::Dogfood => self.restart(),
                Kind::Custom => self.tail("has what it runs to call: mosaic heartbeat"),
                _ => self.tail("does it wait for a login or an answer? else: fleet restart it"),
            },
            Launch::Command(_) => self.tail("its command has to call, every 15 s: mosaic heartbeat"),
        }
    }

    /// What is no failure by itself and worth to be told.
    fn told(&self) -> Vec<Check> {
        [
            ("starts", Flag::Flapping, Why::Flapping),
            ("memory", Flag::Oom, Why::Oom),
            ("supervisor", Flag::Skew, Why::Skew),
        ]
        .into_iter()
        .filter(|(_, flag, _)| self.row.flags.contains(flag))
        .map(|(id, flag, why)| self.holds(id, self.reason(flag)).because(why))
        .collect()
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
            Fact::Unknown(why) => self
                .fails("path", Why::Unknown, why, EXPECTED)
                .cure(self.tail("is mosaic found there? command -v mosaic")),
        })
    }
}
