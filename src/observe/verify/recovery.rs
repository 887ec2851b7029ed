//! How long after a boot each agent answered for the first time.

use crate::names::AgentName;
use crate::observe::Given;
use crate::runfile::record::Record;

/// One agent's recovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// The agent.
    pub agent: AgentName,
    /// Seconds from the machine's boot to its first heartbeat.
    pub since_boot: f64,
    /// The same from the start of the user's manager, where that is known.
    pub since_manager: Option<f64>,
}

/// Of every agent that has answered in this boot, in the roster's order.
///
/// The manager says its start by CLOCK_MONOTONIC, which stands still while the machine sleeps, and
/// the beat its time by CLOCK_BOOTTIME: until the first sleep of a boot they are the same, and a
/// machine does not sleep before its users' managers are up.
pub fn of(given: &Given<'_>) -> Vec<Recovery> {
    let seen = given.seen;
    let started = seen.manager.known().map(|m| m.started);
    let answered = |agent: &AgentName| {
        let record = Record::parse(seen.records.get(agent)?.known()?)?;
        let first = record.first_beat_of_boot.filter(|_| record.boot_id == seen.clock.boot_id)?;
        let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
        Some(Recovery {
            agent: agent.clone(),
            since_boot: rounded(first - seen.booted),
            // A manager that was started again since says nothing of this boot.
            since_manager: started.map(|s| rounded(first - s)).filter(|s| *s >= 0.0),
        })
    };
    given.roster.agents.iter().filter_map(|a| answered(&a.name)).collect()
}
