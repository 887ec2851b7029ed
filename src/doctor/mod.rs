//! Judges a machine: what a fleet needs of it that is missing, or known to be bad, each with its
//! cure. Pure: the host gathers the facts, `cli` tells the checks.

mod check;
mod facts;
mod limits;
mod places;
mod programs;
mod system;
pub mod version;

#[cfg(test)]
mod tests;

use crate::roster::{Launch, Roster};

pub use check::{Check, Level};
pub use facts::{
    Controllers, Facts, Found, Manager, Mount, Native, Node, Numbers, Places, Process, Programs, Runtime,
    System, Wanted,
};
pub use system::account;

/// What a roster asks of its machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// How many agents are always on.
    pub agents: u64,
    /// Memory that they take as far as is known, in bytes.
    pub memory: u64,
    /// Controllers that its limits need, each once.
    pub controllers: Vec<&'static str>,
}

/// Memory that an agent takes, in megabytes. pi's was measured (127 MB resident); the others are
/// reckoned.
fn memory_of(launch: Launch<'_>) -> u64 {
    match launch {
        Launch::Command(_) => 50,
        Launch::Yolo(runtime) => match runtime.as_str() {
            "pi" => 130,
            "dogfood" => 10,
            _ => 300,
        },
    }
}

impl Needs {
    /// What this roster asks.
    pub fn of(roster: &Roster) -> Self {
        let mut needs = Self::default();
        for agent in roster.agents.iter().filter(|a| a.enabled()) {
            needs.agents += 1;
            needs.memory += memory_of(roster.launch(agent)) * 1_000_000;
        }
        let any = |has: &dyn Fn(&crate::roster::Limits) -> bool| roster.agents.iter().any(|a| has(&a.limits));
        for (name, wanted) in [
            ("cpu", any(&|l| l.cpu_quota.is_some())),
            ("memory", any(&|l| l.memory_max.is_some() || l.memory_high.is_some())),
            ("pids", any(&|l| l.tasks_max.is_some())),
        ] {
            if wanted {
                needs.controllers.push(name);
            }
        }
        needs
    }
}

/// Every check. Without needs, those that a roster decides are left out.
pub fn diagnose(facts: &Facts, needs: Option<&Needs>) -> Vec<Check> {
    let mut checks = system::checks(&facts.system);
    checks.extend(programs::checks(&facts.programs));
    checks.extend(places::checks(&facts.places, &facts.system));
    checks.extend(limits::checks(&facts.numbers, &facts.system, needs));
    checks
}
