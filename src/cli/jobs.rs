//! What `fleet start`, `stop` and `restart` share: which agents are meant, and one batch of jobs
//! told as it goes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::agent::reach;
use super::carry::{name, nobody_told, tell_job};
use super::{Answer, Context, ground, outcome};
use crate::apply::{self, JobEnd};
use crate::error::{Error, Result};
use crate::host::parking;
use crate::host::systemd::{JobRequest, JobVerb, UserManager};
use crate::names::{AgentName, HOLDER_UNIT, TenantId};
use crate::roster::{Agent, Lifecycle, Roster, State};
use crate::snapshot::{Clock, Fact, UnitFacts, is_parked};

/// Which agents are meant.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// Agents; all of the roster where none is named
    #[arg(value_name = "AGENT")]
    agents: Vec<String>,
    /// The holder, which owns every pane: with no agent named, it alone and whoever goes along
    #[arg(long)]
    pub holder: bool,
    /// What was done, as JSON
    #[arg(long)]
    pub json: bool,
}

/// What became of the jobs.
pub struct Done {
    pub ends: Vec<JobEnd>,
    pub answer: Answer,
}

/// What the verbs work on.
pub struct Fleet {
    pub context: Context,
    pub manager: UserManager,
    /// The agents that are meant.
    pub agents: Vec<Agent>,
    /// Whether the caller named them.
    pub named: bool,
    pub holder: bool,
    units: BTreeMap<String, UnitFacts>,
    tenant: TenantId,
    json: bool,
    /// Units about which nothing is done, and why.
    untouched: RefCell<Vec<(String, String)>>,
}

impl Fleet {
    /// Reads the roster, checks the names and looks at the units.
    pub fn of(which: Which, context: &Context) -> Result<Self> {
        let roster = context.roster()?;
        let agents = meant(&which.agents, &roster)?;
        let context = context.for_json(which.json);
        ground::await_manager(&context);
        let manager = ground::manager(&context)?;
        let units = manager.units(&[HOLDER_UNIT, "mosaic-agent@*.service"])?;
        let named = !which.agents.is_empty();
        Ok(Self {
            context,
            manager,
            agents,
            named,
            holder: which.holder,
            units,
            tenant: roster.tenant,
            json: which.json,
            untouched: RefCell::default(),
        })
    }

    /// Whether the holder is meant and agents only go along with it.
    pub fn holder_alone(&self) -> bool {
        self.holder && !self.named
    }

    /// Whether a unit runs, or is on its way.
    pub fn is_up(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|u| {
            matches!(u.active.as_str(), "active" | "activating" | "reloading") || !u.job.is_empty()
        })
    }

    /// Whether a unit has come up.
    pub fn is_active(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|u| u.active == "active" && u.job.is_empty())
    }

    /// Whether a unit has failed and been given up.
    pub fn has_failed(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|u| u.active == "failed")
    }

    /// Whether a person stopped the agent in this boot.
    pub fn is_parked(&self, agent: &AgentName, clock: &Clock) -> Fact<bool> {
        let parked = parking::parked(&self.context.layout, std::slice::from_ref(agent));
        stopped(parked.get(agent), &clock.boot_id, self.is_active(&agent.unit()))
    }

    /// Says that an agent stays as it is, since a person may have stopped it.
    pub fn tell_may_be_parked(&self, agent: &AgentName, why: &str) {
        let path = self.context.layout.parked(agent);
        // Its unit asks for the same file, and can't read it either: it goes along with the holder.
        let left = match self.holder {
            true => "may be parked, and is left to systemd, which starts it with the holder",
            false => "may be parked, so it is left as it is",
        };
        let what = format!("{left}: {}: {why}; to end that: fleet start {agent}", path.display());
        self.tell(&agent.unit(), &what);
    }

    /// Agents that the roster wants running; one that it stops is refused where it was named, and
    /// left out otherwise. One per task is meant only where it is named.
    pub fn wanted(&self) -> Result<Vec<&Agent>> {
        if let Some(stopped) = self.agents.iter().find(|a| self.named && a.state == State::Stopped) {
            return Err(Error::no(format!("{}: the roster says state: stopped", stopped.name))
                .hint("change that in the roster, then: fleet apply"));
        }
        let meant = |a: &&Agent| {
            a.state == State::Running
                && (self.named || a.lifecycle == Lifecycle::Core || self.is_up(&a.name.unit()))
        };
        Ok(self.agents.iter().filter(meant).collect())
    }

    /// Carries out the jobs in one batch, tells each one's end, and counts.
    pub fn carry_out(&self, jobs: &[JobRequest], verb: JobVerb, idle: usize) -> Result<Done> {
        let out = &self.context.out;
        if jobs.len() > 1 && out.is_terminal() {
            out.note(format_args!("waiting for {} units", jobs.len()));
        }
        let mut tell = |end: &JobEnd| tell_job(end, &self.context);
        let ends = match jobs {
            [] => Vec::new(),
            jobs => apply::batch(&self.manager, &self.context.layout, jobs, None, &mut tell)?,
        };
        let unknown = ends.iter().filter(|end| end.outcome.result.is_unknown()).count();
        let done = ends.iter().filter(|end| end.is_good()).count();
        let failed = ends.len() - done - unknown;
        let word = match verb {
            JobVerb::Start => "started",
            JobVerb::Stop => "stopped",
            JobVerb::Restart => "restarted",
        };
        let mut parts = vec![format!("{done} {word}")];
        if idle > 0 {
            parts.push(format!("{idle} left as they were"));
        }
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if unknown > 0 {
            parts.push(format!("{unknown} not known"));
        }
        out.line(parts.join(", "));
        if unknown > 0 {
            let error = nobody_told(unknown)
                .hint(format!("what runs now: fleet ps; what does not: the same {verb} again"));
            out.error(&error);
            return Ok(Done { ends, answer: Answer::of(error.kind) });
        }
        Ok(Done { ends, answer: if failed == 0 { Answer::Yes } else { Answer::No } })
    }

    /// Ends the verb with that answer.
    pub fn conclude(&self, ends: &[JobEnd], answer: Answer) -> Result<Answer> {
        if self.json {
            let host = self.context.host()?;
            let untouched = self.untouched.borrow();
            let value = outcome::of_jobs((&self.tenant, &host), ends, &untouched, &answer);
            self.context.out.json(&value)?;
        }
        Ok(answer)
    }

    /// Says why nothing is done about a unit.
    pub fn tell(&self, unit: &str, what: &str) {
        self.context.out.line(format_args!("{}: {what}", name(unit)));
        self.untouched.borrow_mut().push((unit.to_owned(), what.to_owned()));
    }
}

/// Whether a person stopped an agent in that boot. What runs was stopped by nobody, whatever can't be read.
fn stopped(parked: Option<&Fact<String>>, boot: &str, runs: bool) -> Fact<bool> {
    match is_parked(parked, boot) {
        Fact::Unknown(_) if runs => Fact::Known(false),
        known => known,
    }
}

/// The agents of these names, each once; all where none is named.
fn meant(names: &[String], roster: &Roster) -> Result<Vec<Agent>> {
    if names.is_empty() {
        return Ok(roster.agents.clone());
    }
    let mut agents: Vec<Agent> = Vec::new();
    for text in names {
        let name = reach::named(roster, text)?;
        if agents.iter().all(|a| a.name != name) {
            agents.extend(roster.agent(&name).cloned());
        }
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_have_been_stopped_counts_as_neither_unless_it_runs() {
        let denied = "permission denied".to_owned();
        let unread = Fact::Unknown(denied.clone());
        assert_eq!(stopped(Some(&unread), "now", false), Fact::Unknown(denied));
        assert_eq!(stopped(Some(&unread), "now", true), Fact::Known(false));
        for (boot, parked) in [("now", true), ("before", false)] {
            let known = Fact::Known(boot.to_owned());
            assert_eq!(stopped(Some(&known), "now", true), Fact::Known(parked));
        }
        assert_eq!(stopped(None, "now", false), Fact::Known(false));
    }
}
