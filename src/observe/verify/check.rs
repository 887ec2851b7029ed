//! One check: what was expected, what was seen, and what to do about it.

use serde::Serialize;

use super::Why;
use crate::names::AgentName;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked.
    pub id: &'static str,
    /// Of which agent; `None` for the fleet's own.
    pub agent: Option<AgentName>,
    /// Whether it holds.
    pub ok: bool,
    /// Why not; or why it holds although nothing runs.
    pub reason: Option<Why>,
    /// What was seen.
    pub seen: String,
    /// What should be.
    pub expected: String,
    /// What to do: a line for a shell. What a person has to weigh or decide stands behind its `#`.
    pub cure: Option<String>,
    /// Which units it is about, for telling causes from effects.
    #[serde(skip)]
    pub(super) about: About,
}

/// Which units a check of the fleet's files is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum About {
    /// None in particular.
    #[default]
    Nothing,
    /// The holder's.
    Holder,
    /// Every agent's.
    EveryAgent,
    /// One agent's.
    Agent(AgentName),
    /// All of these.
    Several(Vec<About>),
}

impl About {
    /// Whether all of `other` is about agents that this is about, too, and there are any.
    pub fn covers_all_of(&self, other: &About) -> bool {
        match other {
            Self::Agent(agent) => self.covers(Some(agent)),
            Self::Several(all) => !all.is_empty() && all.iter().all(|about| self.covers_all_of(about)),
            Self::Nothing | Self::Holder | Self::EveryAgent => false,
        }
    }

    /// Whether a check of `agent` (`None` for the fleet's own) is about the same units.
    pub fn covers(&self, agent: Option<&AgentName>) -> bool {
        match (self, agent) {
            (Self::Holder, None) | (Self::EveryAgent, Some(_)) => true,
            (Self::Agent(own), Some(agent)) => own == agent,
            (Self::Several(all), agent) => all.iter().any(|about| about.covers(agent)),
            _ => false,
        }
    }
}

impl Check {
    /// A check that holds.
    pub fn holds(id: &'static str, agent: Option<&AgentName>, seen: impl Into<String>) -> Self {
        let seen = seen.into();
        Self {
            id,
            agent: agent.cloned(),
            ok: true,
            reason: None,
            expected: seen.clone(),
            seen,
            cure: None,
            about: About::Nothing,
        }
    }

    /// A check that does not.
    pub fn fails(
        id: &'static str,
        agent: Option<&AgentName>,
        reason: Why,
        seen: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            id,
            agent: agent.cloned(),
            ok: false,
            reason: Some(reason),
            seen: seen.into(),
            expected: expected.into(),
            cure: None,
            about: About::Nothing,
        }
    }

    /// Whether it fails for that reason.
    pub fn is(&self, id: &str, reason: Why) -> bool {
        self.id == id && self.reason == Some(reason)
    }

    /// About which units it is.
    pub(super) fn about(mut self, about: About) -> Self {
        self.about = about;
        self
    }

    /// With what to do.
    pub fn cure(mut self, command: impl Into<String>) -> Self {
        self.cure = Some(command.into());
        self
    }

    /// With why it holds nevertheless.
    pub fn because(mut self, reason: Why) -> Self {
        self.reason = Some(reason);
        self
    }
}
