//! An agent's unit: what is wanted of it, what systemd says, whether it would come back.

use std::borrow::Cow;

use crate::layout::Layout;
use crate::names::HOLDER_UNIT;
use crate::observe::{Flag, Given};
use crate::roster::{Agent, Lifecycle, State};
use crate::snapshot::{Fact, UnitFacts, is_parked};

/// What pulls units in at boot.
const BOOT: &str = "default.target";

/// What is wanted of an agent at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Running.
    Running,
    /// Started per task by others.
    PerTask,
    /// Not running: why, in words.
    Parked(&'static str),
    /// A person may have stopped it; why that is not known.
    Unknown(String),
}

/// What is wanted of `agent`.
pub fn wanted(given: &Given<'_>, agent: &Agent) -> Wanted {
    if agent.state == State::Stopped {
        return Wanted::Parked("the roster says stopped");
    }
    match is_parked(given.seen.parked.get(&agent.name), &given.seen.clock.boot_id) {
        Fact::Known(true) => Wanted::Parked("a person stopped it in this boot"),
        Fact::Unknown(why) => Wanted::Unknown(why),
        Fact::Known(false) if agent.lifecycle == Lifecycle::Ephemeral => Wanted::PerTask,
        Fact::Known(false) => Wanted::Running,
    }
}

/// What systemd says of a unit that is not loaded.
fn not_loaded<'a>() -> Cow<'a, UnitFacts> {
    Cow::Owned(UnitFacts { active: "inactive".to_owned(), sub: "dead".to_owned(), ..UnitFacts::default() })
}

/// The unit's facts; one that is not loaded is inactive.
pub fn facts<'a>(given: &Given<'a>, unit: &str) -> Result<Cow<'a, UnitFacts>, &'a str> {
    match &given.seen.units {
        Fact::Known(units) => Ok(units.get(unit).map_or_else(not_loaded, Cow::Borrowed)),
        Fact::Unknown(why) => Err(why),
    }
}

/// Whether it is pulled in at boot.
pub fn enabled<'a>(given: &Given<'a>, unit: &str) -> Result<bool, &'a str> {
    match &given.seen.wants {
        Fact::Known(wants) => Ok(wants.contains(&(BOOT.to_owned(), unit.to_owned()))),
        Fact::Unknown(why) => Err(why),
    }
}

/// Flags of the unit's files.
pub fn file_flags(layout: &Layout, facts: &UnitFacts) -> Vec<(Flag, String)> {
    let mut flags = Vec::new();
    let Some(detail) = &facts.detail else { return flags };
    if detail.needs_reload {
        let why = "its unit's files changed since systemd read them: systemctl --user daemon-reload";
        flags.push((Flag::Reload, why.to_owned()));
    }
    if let Some(other) = other_file(layout, &detail.fragment) {
        flags.push((Flag::Shadowed, format!("systemd reads {other} in place of our template")));
    }
    flags
}

/// The file that systemd reads in place of ours.
pub fn other_file<'a>(layout: &Layout, fragment: &'a str) -> Option<&'a str> {
    (!fragment.is_empty() && std::path::Path::new(fragment) != layout.agent_template()).then_some(fragment)
}

/// Why an agent that runs now would not come back after a boot.
pub fn gaps(given: &Given<'_>, agent: &Agent, facts: &UnitFacts) -> Vec<String> {
    let mut gaps = Vec::new();
    if facts.load == "masked" {
        gaps.push("its unit is masked".to_owned());
    }
    if facts.detail.as_ref().is_some_and(|d| other_file(given.layout, &d.fragment).is_some()) {
        gaps.push("another file stands in for its unit".to_owned());
    }
    if enabled(given, &agent.name.unit()) == Ok(false) {
        gaps.push("its unit is not enabled".to_owned());
    }
    let holder = given.seen.units.known().and_then(|units| units.get(HOLDER_UNIT));
    if holder.is_some_and(|holder| holder.load == "masked") {
        gaps.push("the holder's unit is masked, and no agent starts without it".to_owned());
    }
    if given.seen.linger == Fact::Known(false) {
        gaps.push("lingering is off, so nothing of this user starts at boot".to_owned());
    }
    gaps
}
