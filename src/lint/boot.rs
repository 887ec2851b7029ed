//! What starts together at boot, and which of it waits for which: what files say, and what the user
//! manager adds by itself (systemd.unit(5), "Implicit" and "Default Dependencies").

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::order::{Cycle, Edge, Origin, cycles};
use super::source::{Source, Sources, Text};
use super::words::{Setting, expand, settings};

/// What pulls in what: `(wanted_by, unit)`.
pub type Links = BTreeSet<(String, String)>;

/// What a user manager starts at boot.
const BOOT: &str = "default.target";
/// What every service of a user manager waits for.
const BASIC: &str = "basic.target";
/// Settings that pull other units into the same start.
const PULLS: [&str; 4] = ["Wants", "Requires", "BindsTo", "Upholds"];
/// A chain of aliases longer than this is one that leads back to itself.
const ALIASES: usize = 8;

/// The rings among the units that start at boot. A ring is told by an edge that stands in one of
/// the user's own folders or in a drop-in, where there is one.
pub fn boot_cycles(sources: &Sources, links: &Links) -> Vec<Cycle> {
    let units = Units::from_boot(sources, links);
    cycles(&units.edges(), |edge| match &edge.origin {
        Origin::Line { path, .. } => is_drop_in(path),
        Origin::Default(_) => false,
    })
}

/// The two units of a link of a wants folder.
pub fn pair(link: &Path) -> Option<(String, String)> {
    let by = link.parent()?.file_name()?.to_str()?.strip_suffix(".wants")?;
    Some((by.to_owned(), link.file_name()?.to_str()?.to_owned()))
}

fn is_drop_in(path: &Path) -> bool {
    path.parent().and_then(Path::extension).is_some_and(|e| e == "d")
}

/// One unit with everything that is said of it.
struct Unit<'a> {
    said: Vec<(Source<'a>, Setting)>,
    pulls: BTreeSet<String>,
}

impl Unit<'_> {
    /// The last value counts.
    fn last(&self, key: &str) -> Option<&str> {
        self.said.iter().rev().find(|(_, s)| s.key == key).map(|(_, s)| s.value.as_str())
    }

    fn default_dependencies(&self) -> bool {
        !matches!(self.last("DefaultDependencies"), Some("no" | "false" | "0" | "off" | "n" | "f"))
    }
}

struct Units<'a> {
    sources: &'a Sources,
    by_name: BTreeMap<String, Unit<'a>>,
}

impl<'a> Units<'a> {
    /// The units that a boot starts, by whatever pulls them in.
    fn from_boot(sources: &'a Sources, links: &Links) -> Self {
        let mut units = Self { sources, by_name: BTreeMap::new() };
        let mut linked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (by, unit) in links {
            linked.entry(units.canonical(by)).or_default().push(units.canonical(unit));
        }
        let mut waiting = vec![BOOT.to_owned()];
        while let Some(name) = waiting.pop() {
            let name = units.canonical(&name);
            if units.by_name.contains_key(&name) {
                continue;
            }
            let Some(mut unit) = units.read(&name) else { continue };
            unit.pulls.extend(linked.remove(&name).unwrap_or_default());
            waiting.extend(unit.pulls.iter().cloned());
            units.by_name.insert(name, unit);
        }
        units
    }

    /// The name that a unit really has.
    fn canonical(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for _ in 0..ALIASES {
            match self.sources.fragment(&name).map(|s| s.text) {
                Some(Text::Alias(to)) if *to != name => name.clone_from(to),
                _ => break,
            }
        }
        name
    }

    /// `None` for a unit that is not there or is masked: it is never started.
    fn read(&self, name: &str) -> Option<Unit<'a>> {
        let fragment = self.sources.fragment(name)?;
        if *fragment.text == Text::Masked {
            return None;
        }
        let mut said = Vec::new();
        for source in std::iter::once(fragment).chain(self.sources.drop_ins(name)) {
            if let Text::Plain(text) = source.text {
                said.extend(settings(text).into_iter().map(|s| (source.clone(), s)));
            }
        }
        let mut unit = Unit { said, pulls: BTreeSet::new() };
        let named = unit.said.iter().filter(|(_, s)| s.section == "Unit" && PULLS.contains(&s.key.as_str()));
        let mut pulls: BTreeSet<String> = named.flat_map(|(_, s)| self.names(&s.value, name)).collect();
        if name.ends_with(".service") && unit.default_dependencies() {
            pulls.insert(BASIC.to_owned());
        }
        unit.pulls = pulls;
        Some(unit)
    }

    fn names(&self, value: &str, unit: &str) -> Vec<String> {
        value.split_whitespace().map(|word| self.canonical(&expand(word.trim_matches('"'), unit))).collect()
    }

    fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (name, unit) in &self.by_name {
            for (source, setting) in unit.said.iter().filter(|(_, s)| s.section == "Unit") {
                let origin = || Origin::Line { path: source.path.clone(), line: setting.line };
                for other in self.names(&setting.value, name) {
                    match setting.key.as_str() {
                        "After" => self.edge(&mut edges, name, &other, origin()),
                        "Before" => self.edge(&mut edges, &other, name, origin()),
                        _ => {}
                    }
                }
            }
        }
        let said: BTreeSet<(String, String)> =
            edges.iter().map(|e| (e.later.clone(), e.earlier.clone())).collect();
        for (name, unit) in self.by_name.iter().filter(|(_, u)| u.default_dependencies()) {
            self.defaults(name, unit, &said, &mut edges);
        }
        edges
    }

    /// What systemd adds by itself.
    fn defaults(
        &self,
        name: &str,
        unit: &Unit<'_>,
        said: &BTreeSet<(String, String)>,
        edges: &mut Vec<Edge>,
    ) {
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let started = |key: &str| unit.last(key).map_or_else(|| format!("{stem}.service"), str::to_owned);
        match kind {
            "service" => {
                self.edge(edges, name, BASIC, Origin::Default("every service waits for it"));
            }
            "socket" => {
                self.edge(
                    edges,
                    &started("Service"),
                    name,
                    Origin::Default("a service waits for its socket"),
                );
            }
            "timer" | "path" => {
                self.edge(
                    edges,
                    &started("Unit"),
                    name,
                    Origin::Default("a unit waits for what triggers it"),
                );
            }
            "target" => {
                // A target waits for what it pulls in, but for what is said to come after it.
                let rule = Origin::Default("a target waits for what it wants");
                let pulled = unit.pulls.iter().filter(|pulled| {
                    let with = self.by_name.get(*pulled).is_some_and(Unit::default_dependencies);
                    with && !said.contains(&((*pulled).clone(), name.to_owned()))
                });
                for pulled in pulled {
                    self.edge(edges, name, pulled, rule.clone());
                }
            }
            _ => {}
        }
    }

    /// Keeps an edge between units that both start at boot.
    fn edge(&self, edges: &mut Vec<Edge>, later: &str, earlier: &str, origin: Origin) {
        if self.by_name.contains_key(later) && self.by_name.contains_key(earlier) {
            edges.push(Edge { later: later.to_owned(), earlier: earlier.to_owned(), origin });
        }
    }
}
