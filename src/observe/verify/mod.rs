//! The proof that a fleet is what the roster says and survives a boot, as typed checks. Pure.
//!
//! It is "plan again, expect nothing to do" plus the rows' health, not a second checker: what the
//! plan would do and what a row says is not judged anew here.

mod agent;
mod check;
mod planned;
mod recovery;
mod tenant;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{Given, Row};
use crate::names::{AgentName, HostName, TenantId};
use crate::plan::Plan;
use crate::snapshot::Fact;

pub use check::{Check, Why};
pub use recovery::Recovery;

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
    /// The tenant's user.
    pub user: &'a str,
    /// Its number.
    pub uid: u32,
    /// The folder of the programs that units call.
    pub programs: &'a Path,
    /// Whether the fleet was applied in an earlier boot than this.
    pub survived_boot: bool,
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
    /// The checks.
    pub checks: Vec<Check>,
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
    checks.extend(planned::checks(given.layout, evidence.plan));
    for agent in &given.roster.agents {
        checks.extend(agent::checks(evidence, agent));
    }
    let mut recovery = if evidence.survived_boot { recovery::of(given) } else { Vec::new() };
    // Who answered once and is down again has not recovered.
    let down = |agent: &AgentName| {
        checks.iter().any(|c| !c.ok && c.agent.as_ref() == Some(agent) && ["active", "pane"].contains(&c.id))
    };
    recovery.retain(|r| !down(&r.agent));
    Verdict {
        schema_version: SCHEMA_VERSION,
        tenant_id: given.roster.tenant.clone(),
        host: given.host.clone(),
        boot_id: given.seen.clock.boot_id.clone(),
        time,
        ok: checks.iter().all(|c| c.ok),
        checks,
        recovery_seconds: recovery.iter().map(|r| (r.agent.clone(), r.since_boot)).collect(),
        recovery,
    }
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
