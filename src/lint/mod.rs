//! Judges unit files before anything is written: what systemd would take without a word and then
//! not do. Pure: the host reads the files, `cli` tells what was found.

mod boot;
mod finding;
mod keys;
mod order;
mod places;
mod rules;
mod source;
pub mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use crate::render::{Desired, Role};

pub use boot::{Links, boot_cycles};
pub use finding::{Finding, Level, Rule};
pub use keys::NEWER_KEYS;
pub use order::{Cycle, Edge, Origin};
pub use source::{Folder, Source, Sources, Text, template_of};

/// Everything that is wrong with what would be written, together with the unit files and drop-ins
/// that are there already. `links` is what pulls units in now; what would be enabled comes on top.
pub fn lint(desired: &Desired, home: &Path, found: &Sources, links: &Links) -> Vec<Finding> {
    let sources = found.with(desired.files.iter().filter(|f| is_unit_file(&f.role)));
    let rendered: BTreeSet<&Path> = desired.files.iter().map(|f| f.path.as_path()).collect();
    let mut findings = rules::rendered(desired, home);
    let mut seen = BTreeSet::new();
    for unit in &desired.units {
        for source in sources.drop_ins(&unit.name) {
            if !rendered.contains(source.path.as_path()) && seen.insert(source.path.clone()) {
                findings.extend(rules::by_hand(&source, &sources));
            }
        }
    }
    let mut pulled = links.clone();
    for link in &desired.links {
        pulled.extend(boot::pair(&link.path));
    }
    let ours: Vec<&str> = desired.units.iter().map(|u| u.name.as_str()).collect();
    let cycles = boot_cycles(&sources, &pulled);
    findings.extend(cycles.iter().filter_map(|c| finding::of_cycle(c, &ours, &rendered)));
    findings.sort_by_key(|f| f.level);
    findings
}

fn is_unit_file(role: &Role) -> bool {
    matches!(role, Role::HolderUnit | Role::AgentTemplate | Role::AgentDropIn(_))
}
