//! What keeps a unit from being the one that we wrote, by what stands on the disk, since that is what
//! a boot reads: what the plan says wins over it, and what the lint says of drop-ins. Each file once.

use std::path::Path;

use super::check::About;
use super::{Check, Evidence, Why, cure};
use crate::lint::{Finding, Level, Rule};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::observe::row::PaneState;

/// What the lint found that would keep the fleet from coming back.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let mut failing: Vec<Check> = evidence.findings.iter().filter_map(|f| of_finding(evidence, f)).collect();
    failing.dedup_by(|a, b| a.cure == b.cure && a.reason == b.reason);
    if let Some(why) = evidence.not_linted {
        let units = cure::word(&evidence.given.layout.units().display().to_string());
        let check = Check::fails("unit-file", None, Why::Unknown, why, "every folder of units can be read");
        failing.push(check.cure(format!("ls -ld {units}")).about(About::Holder));
    }
    failing
}

fn of_finding(evidence: &Evidence<'_>, finding: &Finding) -> Option<Check> {
    let why = match finding.rule {
        Rule::OrderingCycle => Why::OrderingCycle,
        Rule::TakesOver => Why::Shadowed,
        _ if finding.level == Level::Error => Why::BadUnit,
        _ => return None,
    };
    let path = &finding.path;
    let line = finding.line;
    let cure = if path.extension().is_some_and(|e| e == "conf") {
        format!("{} && fleet apply", cure::put_aside(evidence, path))
    } else {
        let shown = cure::word(&path.display().to_string());
        format!("sed -n {line}p {shown}  # take that out or change it, then: fleet apply")
    };
    Some(in_the_way(evidence, unit_of(path), why, finding.to_string(), &cure))
}

/// The unit that a file makes, or adds to.
fn unit_of(path: &Path) -> &str {
    fn name(path: &Path) -> Option<&str> {
        path.file_name()?.to_str()
    }
    let folder = path.parent().and_then(name).and_then(|folder| folder.strip_suffix(".d"));
    folder.or_else(|| name(path)).unwrap_or_default()
}

/// A file that stands in a unit's way, with the cure that ends that.
pub fn in_the_way(evidence: &Evidence<'_>, unit: &str, why: Why, seen: String, cure: &str) -> Check {
    let agent = AgentName::from_unit(unit).filter(|a| evidence.given.roster.agent(a).is_some());
    let holder = unit == HOLDER_UNIT || why == Why::OrderingCycle && agent.is_none();
    let about = match &agent {
        Some(agent) => About::Agent(agent.clone()),
        None if holder => About::Holder,
        None => About::EveryAgent,
    };
    let layout = evidence.given.layout;
    let ours = if holder { layout.holder_unit() } else { layout.agent_template() };
    let after = restart(evidence, &about);
    Check::fails(
        "unit-file",
        agent.as_ref(),
        why,
        seen,
        format!("{}, and nothing in its way", ours.display()),
    )
    .cure(match cure.split_once("  #") {
        Some(_) => cure.to_owned(),
        None => format!("{cure}{after}"),
    })
    .about(about)
}

/// What has to be started anew, since it was started from that file: nobody else loses a pane.
fn restart(evidence: &Evidence<'_>, about: &About) -> String {
    let names: Vec<&str> = evidence
        .rows
        .iter()
        .filter(|row| row.systemd.active.as_deref() == Some("active") && row.pane.state == PaneState::Dead)
        .filter(|row| AgentName::parse(&row.name).is_ok_and(|name| about.covers(Some(&name))))
        .map(|row| row.name.as_str())
        .collect();
    if names.is_empty() { String::new() } else { format!(" && fleet restart {}", names.join(" ")) }
}
