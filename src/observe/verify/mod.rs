//! The proof that a fleet is what the roster says and survives a boot, as typed checks. Pure.
//!
//! It is "plan again, expect nothing to do" plus the rows' health, not a second checker: what the
//! plan would do and what a row says is not judged anew here.

mod agent;
mod causes;
mod check;
mod cure;
mod down;
mod planned;
mod recovery;
mod strangers;
mod tenant;
mod unit_file;
mod why;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{Given, Row};
use crate::lint::Finding;
use crate::names::{AgentName, HostName, TenantId};
use crate::plan::Plan;
use crate::snapshot::Fact;
use crate::snapshot::boot::BootFacts;

pub use causes::Follower;
pub use check::Check;
pub use recovery::Recovery;
pub use tenant::account;
pub use why::Why;

/// The version of the JSON that a verdict stands in.
pub const SCHEMA_VERSION: u32 = 1;

/// What is judged besides rows and snapshot.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The fleet, as it should be and as it is, with everything asked of units.
    pub given: Given<'a>,
    /// Its rows.
    pub rows: &'a [Row],
    /// What an apply would do.
    pub plan: &'a Plan,
    /// What was tried out.
    pub probes: &'a Probes,
    /// What a boot brought.
    pub boot: &'a BootFacts,
    /// What is wrong with the unit files and drop-ins that are there.
    pub findings: &'a [Finding],
    /// Why they could not all be looked at.
    pub not_linted: Option<&'a str>,
    /// The tenant's user.
    pub user: &'a str,
    /// Its number.
    pub uid: u32,
    /// The folder of the programs that units call.
    pub programs: &'a Path,
    /// What is known of it before this boot.
    pub past: Past,
}

/// What is known of a fleet from before this boot, and of how it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It was not there yet.
    Young,
    /// It was, and what runs now may be owed to an apply in this boot.
    Applied,
    /// It was, and nobody has applied it in this boot.
    Untouched,
    /// It was, and an earlier look in this boot saw whether it came back by itself.
    Seen(bool),
}

/// What was tried out, since no fact tells it.
#[derive(Debug, Clone, Default)]
pub struct Probes {
    /// The name that was asked for, no session's and the beginning of one's, and whether the server
    /// took it for that one; `None` without a server.
    pub exact: Option<(String, Fact<bool>)>,
    /// Whether `mosaic` is found on the PATH of each agent's runtime.
    pub mosaic: BTreeMap<AgentName, Fact<bool>>,
}

/// The proof, or what is missing of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The machine.
    pub host: HostName,
    /// This boot.
    pub boot_id: String,
    /// When it was looked at, RFC 3339.
    pub time: String,
    /// Whether every check holds.
    pub ok: bool,
    /// The checks that speak for themselves.
    pub checks: Vec<Check>,
    /// Those that say nothing of their own, since another one has to hold first.
    pub not_judged: Vec<Follower>,
    /// Whether the fleet came back by itself in this boot; `None` where it was not there before, or
    /// that can't be told.
    pub survived_boot: Option<bool>,
    /// Seconds from the machine's boot to each agent's first heartbeat.
    pub recovery_seconds: BTreeMap<AgentName, f64>,
    /// The same with more to it, for people.
    #[serde(skip)]
    pub recovery: Vec<Recovery>,
}

/// Judges the evidence.
pub fn verify(evidence: &Evidence<'_>, time: String) -> Verdict {
    let given = &evidence.given;
    let mut checks = tenant::checks(evidence);
    let planned = planned::checks(evidence);
    checks.extend(unit_files(evidence, &planned));
    checks.extend(planned.into_iter().filter(|c| c.id != "unit-file"));
    for agent in &given.roster.agents {
        checks.extend(agent::checks(evidence, agent));
    }
    let mut recovery = if evidence.past == Past::Young { Vec::new() } else { recovery::of(given) };
    // Who answered once and is down again has not recovered.
    let down = |agent: &AgentName| {
        checks.iter().any(|c| !c.ok && c.agent.as_ref() == Some(agent) && ["active", "pane"].contains(&c.id))
    };
    recovery.retain(|r| !down(&r.agent));
    let survived_boot = survived(evidence.past, &checks);
    let (checks, not_judged) = causes::part(checks);
    let checks = together(checks);
    Verdict {
        schema_version: SCHEMA_VERSION,
        tenant_id: given.roster.tenant.clone(),
        host: given.host.clone(),
        boot_id: given.seen.clock.boot_id.clone(),
        time,
        ok: checks.iter().all(|c| c.ok),
        checks,
        not_judged,
        survived_boot,
        recovery_seconds: recovery.iter().map(|r| (r.agent.clone(), r.since_boot)).collect(),
        recovery,
    }
}

/// That nothing is against it, or why that is not known: the manager, who would have told, was not to be asked.
fn unless_unknown(id: &'static str, expected: &str, unknown: Option<&str>) -> Check {
    match unknown {
        None => Check::holds(id, None, expected),
        Some(why) => Check::fails(id, None, Why::Unknown, why, expected).cure("fleet ps"),
    }
}

/// Whether it came back by itself: the first look in a boot that nobody has applied the fleet in says
/// it, once everything has been started.
fn survived(past: Past, checks: &[Check]) -> Option<bool> {
    let runs =
        |c: &&Check| !c.ok && ["manager", "home", "holder", "server", "active", "pane"].contains(&c.id);
    let mut down = checks.iter().filter(runs).peekable();
    match past {
        Past::Young | Past::Applied => None,
        Past::Seen(survived) => Some(survived),
        Past::Untouched if down.peek().is_none() => Some(true),
        Past::Untouched => {
            let settled = down.any(|c| c.reason.is_some_and(|why| !why.is_underway() && why != Why::Unknown));
            settled.then_some(false)
        }
    }
}

/// The files of the units: each that is in the way once, and one check that holds where none is.
fn unit_files(evidence: &Evidence<'_>, planned: &[Check]) -> Vec<Check> {
    let mut failing = unit_file::checks(evidence);
    failing.extend(planned.iter().filter(|c| c.id == "unit-file").cloned());
    let free = |agent: Option<&AgentName>| failing.iter().all(|c| !c.about.covers(agent));
    let layout = evidence.given.layout;
    let holder = free(None).then(|| Check::holds("unit-file", None, shown(&layout.holder_unit())));
    let template = shown(&layout.agent_template());
    let agents = evidence.given.roster.agents.iter().map(|a| &a.name).filter(|name| free(Some(name)));
    let holding: Vec<Check> = holder
        .into_iter()
        .chain(agents.map(|name| Check::holds("unit-file", Some(name), template.clone())))
        .collect();
    failing.extend(holding);
    failing
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Agents that were not started in this boot for one common reason are one failure: what kept them
/// down was not theirs.
fn together(checks: Vec<Check>) -> Vec<Check> {
    const COMMON: [Why; 3] = [Why::OrderingCycle, Why::HolderFailed, Why::NotStarted];
    let common = |c: &Check| c.reason.filter(|why| !c.ok && c.id == "active" && COMMON.contains(why));
    let mut kept: Vec<Check> = Vec::new();
    for why in COMMON {
        let those: Vec<&Check> = checks.iter().filter(|c| common(c) == Some(why)).collect();
        let names: Vec<&AgentName> = those.iter().filter_map(|c| c.agent.as_ref()).collect();
        if let [first, _, ..] = those.as_slice() {
            let all: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            let seen = format!("{}: {}", all.join(", "), first.seen);
            kept.push(
                Check::fails("active", None, why, seen, first.expected.clone()).cure(cure::start(names)),
            );
        } else {
            kept.extend(those.into_iter().cloned());
        }
    }
    let mut all: Vec<Check> = checks.into_iter().filter(|c| common(c).is_none()).collect();
    all.extend(kept);
    all
}

impl Verdict {
    /// Adds checks that were made later.
    pub fn add(&mut self, checks: Vec<Check>) {
        self.checks.extend(checks);
        self.ok = self.checks.iter().all(|c| c.ok);
    }

    /// The checks that do not hold.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|c| !c.ok)
    }
}
