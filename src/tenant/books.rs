//! What root did for a tenant: the only licence to undo it later; and the uids that no tenant gets again.
//! Data and its text alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::place;
use super::words::clean_line;

/// The version this program writes. It reads this one and all before it.
const VERSION: u64 = 1;

/// What root did for one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    version: u64,
    /// The tenant.
    pub tenant: String,
    /// Its user.
    pub user: String,
    /// The user's number, noted before the user is made.
    pub uid: u32,
    /// Whether it was us who made the user; only then may we remove it.
    pub user_by_us: bool,
    /// Whether it was us who made the home; only then may we remove it.
    pub home_by_us: bool,
    /// The home.
    pub home: PathBuf,
    /// Whether it was us who turned lingering on; only then may we turn it off.
    pub linger_by_us: bool,
    /// The system's files that we wrote, with the SHA-256 of what we wrote.
    #[serde(default)]
    pub files: BTreeMap<PathBuf, String>,
    /// Such files changed, and the system's manager has not been told yet.
    #[serde(default)]
    pub reload_due: bool,
}

/// A uid that a tenant had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// The number.
    pub uid: u32,
    /// Whose it was.
    pub user: String,
    /// Since when, RFC 3339.
    pub time: String,
}

/// The uids that no tenant gets again: files of theirs may be left somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetiredUids {
    version: u64,
    /// Each once.
    pub uids: Vec<Retired>,
}

/// Why root's record could not be read. Nothing is changed while it can't.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Not JSON, or not that of such a record.
    #[error("line {line}, column {column}: it is no record of ours: {what}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        what: String,
    },
    /// Written by a newer program, or by none.
    #[error("it has version {0}, and this fleet reads {VERSION}")]
    Version(String),
    /// It would be a licence to end or to remove what is no tenant's.
    #[error("it names {0}, which is no tenant's")]
    Foreign(String),
}

impl Book {
    /// The record of a tenant for whom nothing was done yet.
    pub fn new(tenant: &str, user: &str, uid: u32, home: PathBuf) -> Self {
        Self {
            version: VERSION,
            tenant: tenant.to_owned(),
            user: user.to_owned(),
            uid,
            user_by_us: false,
            home_by_us: false,
            home,
            linger_by_us: false,
            files: BTreeMap::new(),
            reload_due: false,
        }
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        text(self)
    }

    /// Reads it.
    pub fn from_text(text: &str) -> Result<Self, BookError> {
        let book: Self = read(text)?;
        if book.uid == 0 {
            return Err(BookError::Foreign("root".to_owned()));
        }
        match book.files.keys().find(|path| !place::is_file(path)) {
            Some(path) => Err(BookError::Foreign(clean_line(&path.to_string_lossy()))),
            None => Ok(book),
        }
    }
}

impl Default for RetiredUids {
    fn default() -> Self {
        Self { version: VERSION, uids: Vec::new() }
    }
}

impl RetiredUids {
    /// Whether a tenant had it.
    pub fn has(&self, uid: u32) -> bool {
        self.uids.iter().any(|retired| retired.uid == uid)
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        text(self)
    }

    /// Reads it.
    pub fn from_text(text: &str) -> Result<Self, BookError> {
        read(text)
    }
}

fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, BookError> {
    let malformed = |error: serde_json::Error| BookError::Malformed {
        line: error.line(),
        column: error.column(),
        what: clean_line(&error.to_string()),
    };
    let value: serde_json::Value = serde_json::from_str(text).map_err(malformed)?;
    match value.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => serde_json::from_str(text).map_err(malformed),
        Some(version) => Err(BookError::Version(clean_line(&version.to_string()))),
        None => Err(BookError::Version("none".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_a_newer_or_half_one_is_refused() {
        let mut book = Book::new("usc", "usc", 1000, "/home/usc".into());
        book.files.insert("/etc/systemd/system/user-1000.slice.d/mosaic.conf".into(), "ab".into());
        let text = book.to_text();
        assert_eq!(Book::from_text(&text), Ok(book));
        let newer = text.replacen("\"version\": 1", "\"version\": 2, \"more\": 1", 1);
        assert_eq!(Book::from_text(&newer), Err(BookError::Version("2".into())));
        assert!(matches!(Book::from_text(&text[..text.len() / 2]), Err(BookError::Malformed { .. })));
        assert_eq!(Book::from_text("{}"), Err(BookError::Version("none".into())));
        let root = text.replacen("\"uid\": 1000", "\"uid\": 0", 1);
        assert_eq!(Book::from_text(&root), Err(BookError::Foreign("root".into())));
        for path in ["/etc/passwd", "/etc/systemd/system/../x.d/mosaic.conf", "/etc/systemd/system/x.service"]
        {
            let other = text.replacen("/etc/systemd/system/user-1000.slice.d/mosaic.conf", path, 1);
            assert_eq!(Book::from_text(&other), Err(BookError::Foreign(path.into())));
        }
        let uids = RetiredUids {
            uids: vec![Retired { uid: 7, user: "x".into(), time: "t".into() }],
            ..RetiredUids::default()
        };
        assert_eq!(RetiredUids::from_text(&uids.to_text()), Ok(uids.clone()));
        assert!(uids.has(7) && !uids.has(8));
    }
}
