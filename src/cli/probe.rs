//! Asks runtimes for a beat at once, for `ps --probe`: a line in each one's probe file, then a
//! bounded wait for newer beats.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Context;
use crate::error::Result;
use crate::host::{changes, clock, runfiles};
use crate::names::AgentName;
use crate::runfile::heartbeat::{self, Beat};

/// How long they may take.
const LIMIT: Duration = Duration::from_secs(3);
/// How long where the tmux server or the manager did not answer: the look as a whole stays below 2 s.
const LIMIT_OF_A_HUNG_LOOK: Duration = Duration::from_millis(1850);
/// A look that took so long has waited for somebody.
const HANGS: Duration = Duration::from_secs(1);
/// A probe file begins anew beyond this: nobody reads what is old.
const LONGEST_PROBE: usize = 4096;

/// Runtimes that were asked.
pub struct Probe<'a> {
    context: &'a Context,
    begun: Instant,
    line: String,
    /// What each one's beat was before; why one could not be asked.
    asked: BTreeMap<AgentName, Result<Option<Beat>, String>>,
}

impl<'a> Probe<'a> {
    /// Asks all that ever beat: they answer while it is looked which of them live.
    pub fn begin(context: &'a Context) -> Result<Self> {
        let line = format!("ts={}\n", clock::rfc3339(clock::unix()));
        let mut probe = Self { context, begun: Instant::now(), line, asked: BTreeMap::new() };
        for agent in &context.roster()?.agents {
            if context.layout.heartbeat(&agent.name).symlink_metadata().is_ok() {
                probe.ask(&agent.name);
            }
        }
        Ok(probe)
    }

    fn ask(&mut self, agent: &AgentName) {
        if self.asked.contains_key(agent) {
            return;
        }
        let before = self.beat(agent);
        let asked = runfiles::append(&self.context.layout.probe(agent), &self.line, LONGEST_PROBE);
        let before = asked.map(|()| before).map_err(|error| format!("not asked: {error}"));
        self.asked.insert(agent.clone(), before);
    }

    fn beat(&self, agent: &AgentName) -> Option<Beat> {
        let text = runfiles::read_text(&self.context.layout.heartbeat(agent), heartbeat::LONGEST)?;
        heartbeat::parse(text.as_bytes()).ok()
    }

    /// Waits for those that live; who did not answer, and why. Not for long where the look found a `hung`
    /// server or manager.
    pub fn silent(mut self, alive: &[AgentName], hung: bool) -> Result<BTreeMap<AgentName, String>> {
        for agent in alive {
            self.ask(agent);
        }
        let mut silent = BTreeMap::new();
        let mut waiting = Vec::new();
        for agent in alive {
            match self.asked.get(agent) {
                Some(Ok(before)) => waiting.push((agent, before.as_ref())),
                Some(Err(why)) => drop(silent.insert(agent.clone(), why.clone())),
                None => {}
            }
        }
        // One that refused at once cost no time.
        let limit = if hung && self.begun.elapsed() >= HANGS { LIMIT_OF_A_HUNG_LOOK } else { LIMIT };
        if !waiting.is_empty() {
            let left = (self.begun + limit).saturating_duration_since(Instant::now());
            changes::until(&self.context.layout.run(), left, || {
                waiting.retain(|(agent, before)| match (self.beat(agent), before) {
                    (Some(now), Some(before)) => !heartbeat::is_newer(&now, before),
                    (now, _) => now.is_none(),
                });
                waiting.is_empty()
            })?;
        }
        let late = format!("not answered within {} s", limit.as_secs_f64());
        silent.extend(waiting.into_iter().map(|(agent, _)| (agent.clone(), late.clone())));
        Ok(silent)
    }
}
