//! One check of a machine: what was seen, what should be, what to do.

use serde::Serialize;

use crate::snapshot::Fact;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked.
    pub id: String,
    /// Whether a fleet can live with it: good, or only a warning. What is not known is not ok.
    pub ok: bool,
    /// How it stands.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// What should be.
    pub expected: String,
    /// What to do.
    pub cure: Option<String>,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A fleet runs, and something of it may not.
    Warn,
    /// A fleet does not run, or does not last.
    Bad,
    /// It could not be looked at.
    Unknown,
}

impl Check {
    /// As it should be.
    pub fn ok(id: impl Into<String>, seen: impl Into<String>) -> Self {
        let seen = seen.into();
        Self { id: id.into(), ok: true, level: Level::Ok, expected: seen.clone(), seen, cure: None }
    }

    /// A fleet runs, and something of it may not.
    pub fn warn(
        id: impl Into<String>,
        seen: impl Into<String>,
        expected: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, ok: true, ..Self::bad(id, seen, expected, cure) }
    }

    /// A fleet does not run, or does not last.
    pub fn bad(
        id: impl Into<String>,
        seen: impl Into<String>,
        expected: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            ok: false,
            level: Level::Bad,
            seen: seen.into(),
            expected: expected.into(),
            cure: Some(cure.into()),
        }
    }

    /// It could not be looked at.
    pub fn unknown(id: impl Into<String>, why: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ok: false,
            level: Level::Unknown,
            seen: why.into(),
            expected: expected.into(),
            cure: None,
        }
    }

    /// Judges a fact where it is known.
    pub fn of<T>(id: &str, fact: &Fact<T>, expected: &str, judge: impl FnOnce(&T) -> Self) -> Self {
        match fact {
            Fact::Known(value) => judge(value),
            Fact::Unknown(why) => Self::unknown(id, why, expected),
        }
    }
}
