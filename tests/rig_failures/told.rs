//! Faults that end in a restart: named within a bound, healed within another, and afterwards the row counts the
//! restart and tells why it was. A look that could not be had tells nothing.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{AGENTS, Bench, HEALED, has, row, well};

/// How a restart is told: its row counts it, and why it was stands there or in the journal.
pub struct Restart<'a> {
    /// The flag of the row until then.
    pub flag: &'a str,
    /// Why, once it is over.
    pub why: Why<'a>,
    /// From the fault until the flag, or the restart, is seen.
    pub within: Duration,
}

pub enum Why<'a> {
    /// Words of the row's reasons.
    Reason(&'a str),
    /// Words of a new line of its unit's journal, as `agent status` shows it.
    Journal(&'a str),
}

impl Bench {
    /// Until `ps` names the fault, and until all is well again and each who was hit is told to have been restarted,
    /// with the reason. Notes both.
    fn is_told_and_heals(&self, fault: &str, hit: &[&str], told: &Restart, inject: impl FnOnce()) {
        let (before, lines) = (self.look(), self.journals(hit, told));
        let begun = Instant::now();
        inject();
        let mut now = Value::Null;
        let late = |bound: Duration, now: &Value| {
            assert!(begun.elapsed() < bound, "{:?}: {fault}: not within {bound:?}: {now:#}", self.suite);
        };
        let restarted = |now: &Value| hit.iter().all(|a| self.restart_is_told(&before, now, a, told, &lines));
        let flagged = |now: &Value| hit.iter().any(|a| has(&row(now, a)["flags"], told.flag));
        while !flagged(&now) && !restarted(&now) {
            late(told.within, &now);
            now = self.look();
        }
        let noticed = begun.elapsed();
        late(told.within, &now);
        while !(well(&now) && hit.iter().all(|a| pane(&now, a) != pane(&before, a)) && restarted(&now)) {
            late(HEALED, &now);
            now = self.look();
        }
        let healed = begun.elapsed();
        late(HEALED, &now);
        for agent in AGENTS {
            let touched = pane(&now, agent) != pane(&before, agent);
            assert_eq!(touched, hit.contains(&agent), "{:?}: {fault}: {agent}: {before} {now}", self.suite);
        }
        self.note(fault, Some(noticed), Some(healed));
    }

    fn restart_is_told(
        &self,
        before: &Value,
        now: &Value,
        agent: &str,
        told: &Restart,
        old: &[String],
    ) -> bool {
        let (row, count) = (row(now, agent), |seen: &Value| row(seen, agent)["restarts"].as_u64());
        let counted = count(now).zip(count(before)).is_some_and(|(now, before)| now > before);
        counted
            && match told.why {
                Why::Reason(words) => row["reasons"].to_string().contains(words),
                Why::Journal(words) => {
                    let lines = self.journal(agent);
                    lines.iter().any(|line| line.contains(words) && !old.contains(line))
                }
            }
    }

    /// What the journal has of their units, where that has to tell.
    fn journals(&self, agents: &[&str], told: &Restart) -> Vec<String> {
        match told.why {
            Why::Reason(_) => Vec::new(),
            Why::Journal(_) => agents.iter().flat_map(|agent| self.journal(agent)).collect(),
        }
    }

    fn journal(&self, agent: &str) -> Vec<String> {
        let run = self.fleet.run(&["mosaic", "agent", "status", agent, "--json"]);
        let seen: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
        serde_json::from_value(seen["journal"].clone()).unwrap_or_default()
    }

    /// A fault of one agent's: it is back, and nobody else is touched.
    pub fn one_agent_is_hit(&self, fault: &str, agent: &str, told: &Restart, inject: impl FnOnce()) {
        let holder = self.fleet.holder();
        self.is_told_and_heals(fault, &[agent], told, inject);
        assert_eq!(self.fleet.holder(), holder, "{:?}: {fault}", self.suite);
    }

    /// A fault of what carries them: all are back.
    pub fn all_are_hit(&self, fault: &str, told: &Restart, inject: impl FnOnce()) {
        self.is_told_and_heals(fault, &AGENTS, told, inject);
        assert_eq!(self.fleet.sessions(), ["_holder", "a", "ab", "c"], "{:?}: {fault}", self.suite);
    }
}

fn pane(seen: &Value, agent: &str) -> Value {
    row(seen, agent)["pane"]["pid"].clone()
}
