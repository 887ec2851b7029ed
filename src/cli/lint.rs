//! What the lint of the unit files found, for the verbs that write them: told, and an end before the
//! first write where it is an error.

use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use super::ground::Ground;
use crate::error::{Error, Result};
use crate::host::unit_files::{read, search_path};
use crate::lint::{Finding, Level, Links, Sources, lint};
use crate::render::Desired;
use crate::snapshot::{Fact, Snapshot};

/// What a lint found.
#[derive(Debug, Clone, Default)]
pub struct Linted {
    /// Errors first.
    pub findings: Vec<Finding>,
    /// Why what stands on the machine could not be looked at.
    pub unseen: Option<String>,
}

/// Judges what would be written, with the unit files and drop-ins that are there.
pub fn look(context: &Context, ground: &Ground, seen: &Snapshot) -> Linted {
    let (sources, unseen) = match read(&search_path(&context.layout, context.caller.uid)) {
        Fact::Known(sources) => (sources, None),
        Fact::Unknown(why) => (Sources::default(), Some(why)),
    };
    let links = seen.wants.known().cloned().unwrap_or_else(Links::new);
    Linted { findings: lint(&ground.desired, context.layout.home(), &sources, &links), unseen }
}

impl Linted {
    /// Judges a tree for another machine, of which nothing is known.
    pub fn of_tree(desired: &Desired, home: &Path) -> Self {
        Self { findings: lint(desired, home, &Sources::default(), &Links::new()), unseen: None }
    }

    /// Tells what is no error.
    pub fn warn(&self, context: &Context) {
        for finding in self.findings.iter().filter(|f| f.level == Level::Warning) {
            context.out.warn(format_args!("{finding}; {}", finding.cure));
        }
        if let Some(why) = &self.unseen {
            context.out.warn(format_args!("drop-ins and other units were not looked at: {why}"));
        }
    }

    /// Refuses what would not work.
    pub fn refuse(&self) -> Result<()> {
        let errors: Vec<&Finding> = self.findings.iter().filter(|f| f.level == Level::Error).collect();
        if errors.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut error = Error::input(shown.join("\n"));
        for finding in errors {
            if !error.hints.contains(&finding.cure) {
                error = error.hint(&finding.cure);
            }
        }
        Err(error.hint("nothing is written until then"))
    }

    /// As it stands in a plan's JSON.
    pub fn as_json(&self) -> Value {
        let one = |f: &Finding| {
            json!({
                "level": f.level.id(),
                "rule": f.rule.id(),
                "path": f.path,
                "line": (f.line > 0).then_some(f.line),
                "seen": f.seen,
                "cure": f.cure,
            })
        };
        self.findings.iter().map(one).collect()
    }
}
