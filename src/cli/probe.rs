//! Asks runtimes for a beat at once, for `ps --probe`: a line in each one's probe file, then a
//! bounded wait for newer beats.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Context;
use crate::error::Result;
use crate::host::{changes, clock, runfiles};
use crate::names::AgentName;
use crate::runfile::heartbeat::{self, Beat};

/// How long they may take.
pub const LIMIT: Duration = Duration::from_secs(3);
/// A probe file begins anew beyond this: nobody reads what is old.
const LONGEST_PROBE: usize = 4096;

/// Probes these agents; those that did not answer, and why.
pub fn probe(context: &Context, agents: &[AgentName]) -> Result<BTreeMap<AgentName, String>> {
    let layout = &context.layout;
    let beat = |agent: &AgentName| -> Option<Beat> {
        let text = runfiles::read_text(&layout.heartbeat(agent), heartbeat::LONGEST)?;
        heartbeat::parse(text.as_bytes()).ok()
    };
    let before: BTreeMap<&AgentName, Option<Beat>> = agents.iter().map(|a| (a, beat(a))).collect();
    let line = format!("ts={}\n", clock::rfc3339(clock::unix()));
    let mut silent = BTreeMap::new();
    let mut asked: Vec<&AgentName> = Vec::new();
    for agent in agents {
        match runfiles::append(&layout.probe(agent), &line, LONGEST_PROBE) {
            Ok(()) => asked.push(agent),
            Err(error) => drop(silent.insert(agent.clone(), format!("not asked: {error}"))),
        }
    }
    if !asked.is_empty() {
        changes::until(&layout.run(), LIMIT, || {
            asked.retain(|agent| match (beat(agent), before.get(agent).and_then(Option::as_ref)) {
                (Some(now), Some(before)) => now.ts <= before.ts,
                (now, _) => now.is_none(),
            });
            asked.is_empty()
        })?;
    }
    let late = format!("not answered within {} s", LIMIT.as_secs());
    silent.extend(asked.into_iter().map(|agent| (agent.clone(), late.clone())));
    Ok(silent)
}
