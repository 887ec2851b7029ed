//! Agents below our template that neither the roster nor the ledger knows: they run, or are pulled in at
//! boot. No apply touches them, since the ledger does not name them.

use std::collections::BTreeMap;

use super::{Check, Evidence, Why};
use crate::names::AgentName;

const EXPECTED: &str = "no agent's unit but the roster's";

/// What such an agent does.
#[derive(Debug, Default)]
struct Stranger<'a> {
    runs: bool,
    wanted_by: Vec<&'a str>,
}

/// One that fails for each, or one that holds; not known where the manager could not be asked who runs.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let strangers = all(evidence);
    if strangers.is_empty() {
        return vec![super::unless_unknown("agents", EXPECTED, evidence.given.seen.units.why())];
    }
    let failing = strangers.into_iter().map(|(agent, stranger)| {
        let mut does = Vec::new();
        if stranger.runs {
            does.push("runs".to_owned());
        }
        if !stranger.wanted_by.is_empty() {
            does.push(format!("is pulled in by {}", stranger.wanted_by.join(" and ")));
        }
        let unit = agent.unit();
        let seen = format!("{unit} {}, and neither roster nor ledger knows it", does.join(" and "));
        // Its session alone would come back: the supervisor sees to that.
        let cure = format!("systemctl --user disable --now {unit}  # or have the roster name it");
        Check::fails("agents", Some(&agent), Why::UnknownAgent, seen, EXPECTED).cure(cure)
    });
    failing.collect()
}

/// Whether the session of that name is an agent's that is told here.
pub fn is_told(evidence: &Evidence<'_>, session: &str) -> bool {
    AgentName::parse(session).is_ok_and(|agent| all(evidence).get(&agent).is_some_and(|s| s.runs))
}

fn all<'a>(evidence: &'a Evidence<'_>) -> BTreeMap<AgentName, Stranger<'a>> {
    let given = &evidence.given;
    if given.layout.declared_at().is_some() {
        // There the links are for every user of the machine, and what runs and is declared no more is the
        // plan's to stop.
        return BTreeMap::new();
    }
    let ledger = given.installed.known().and_then(Option::as_ref);
    let unknown = |unit: &str| {
        let agent = AgentName::from_unit(unit)?;
        let ours = given.roster.agent(&agent).is_some()
            || ledger.is_some_and(|ledger| ledger.units.contains_key(unit));
        (!ours).then_some(agent)
    };
    let mut strangers: BTreeMap<AgentName, Stranger<'a>> = BTreeMap::new();
    for (unit, facts) in given.seen.units.known().into_iter().flatten() {
        let up = matches!(facts.active.as_str(), "active" | "activating" | "reloading");
        if let Some(agent) = unknown(unit).filter(|_| up) {
            strangers.entry(agent).or_default().runs = true;
        }
    }
    for (by, unit) in given.seen.wants.known().into_iter().flatten() {
        if let Some(agent) = unknown(unit) {
            strangers.entry(agent).or_default().wanted_by.push(by);
        }
    }
    strangers
}
