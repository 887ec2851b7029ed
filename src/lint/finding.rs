//! What a lint found: where, what was seen, what to do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::order::{Cycle, Origin};
use crate::names::AgentName;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What kind of thing it is.
    pub rule: Rule,
    /// In which file.
    pub path: PathBuf,
    /// On which line, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// What was seen, and what it would do.
    pub seen: String,
    /// What to do.
    pub cure: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The fleet would not do what the roster says: nothing is written.
    Error,
    /// It has no effect, or another than whoever wrote it thinks.
    Warning,
}

impl Level {
    /// The word that stands in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Units wait for each other in a ring.
    OrderingCycle,
    /// systemd would expand a `%` that is part of a value.
    Percent,
    /// systemd would expand a `$` that is part of a value.
    Dollar,
    /// A dependency on what only the system's manager has.
    SystemOnly,
    /// A setting that systemd 252 does not know.
    NewerKey,
    /// An EnvironmentFile that is not read.
    EnvironmentFile,
    /// A drop-in makes another service of ours.
    TakesOver,
    /// A unit is enabled, and its file does not say by what.
    NoInstall,
    /// A drop-in that could not be read.
    Unreadable,
}

impl Rule {
    /// The word that stands in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::OrderingCycle => "ordering-cycle",
            Self::Percent => "unescaped-percent",
            Self::Dollar => "unescaped-dollar",
            Self::SystemOnly => "system-only-dependency",
            Self::NewerKey => "newer-key",
            Self::EnvironmentFile => "environment-file",
            Self::TakesOver => "takes-over",
            Self::NoInstall => "no-install",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            0 => write!(f, "{path}: {}", self.seen),
            line => write!(f, "{path}:{line}: {}", self.seen),
        }
    }
}

/// A cycle that keeps units of ours from starting, told at the line that closes it: one that we do
/// not render, where there is one. `None` for a cycle that only others are in.
pub fn of_cycle(cycle: &Cycle, ours: &[&str], rendered: &BTreeSet<&Path>) -> Option<Finding> {
    let mut hit: Vec<&str> = ours.iter().copied().filter(|u| cycle.units.contains(*u)).collect();
    if hit.is_empty() {
        return None;
    }
    hit.sort_unstable();
    let (path, line) = cycle.place(|path| !rendered.contains(path))?;
    let names: Vec<String> = hit
        .iter()
        .map(|u| AgentName::from_unit(u).map_or_else(|| (*u).to_owned(), |a| a.to_string()))
        .collect();
    let ring: Vec<String> = cycle
        .edges
        .iter()
        .map(|edge| {
            let why = match &edge.origin {
                Origin::Line { path: at, line: n } if *at == path && *n == line => "this line".to_owned(),
                Origin::Line { path, line } => format!("{}:{line}", path.display()),
                Origin::Default(rule) => (*rule).to_owned(),
            };
            format!("{} waits for {} ({why})", edge.later, edge.earlier)
        })
        .collect();
    Some(Finding {
        level: Level::Error,
        rule: Rule::OrderingCycle,
        seen: format!(
            "an ordering cycle: {}. At boot systemd breaks it by leaving units out, and nothing is marked as \
             failed; these are in it: {}",
            ring.join(", "),
            few(&names)
        ),
        cure: format!(
            "take that ordering out of {} line {line}, or order against something else",
            path.display()
        ),
        path,
        line,
    })
}

/// The names, or the first of them and how many more.
fn few(names: &[String]) -> String {
    match names.len() {
        0..=5 => names.join(", "),
        all => format!("{} and {} more", names[..4].join(", "), all - 4),
    }
}
