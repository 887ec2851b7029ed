//! What root did for a tenant: the only licence to undo it later; and the uids that no tenant gets again.
//! Data and its text alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::place;
use super::words::clean_line;
use crate::names::UserName;

/// The version this program writes. It reads this one and all before it.
const VERSION: u64 = 2;

/// Subordinate numbers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Span {
    /// The number behind the last.
    pub fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    /// Whether the number is one of these.
    pub fn has(self, number: u32) -> bool {
        number >= self.first && u64::from(number) < self.end()
    }

    /// Whether both have a number.
    pub fn meets(self, other: Self) -> bool {
        u64::from(self.first) < other.end() && u64::from(other.first) < self.end()
    }
}

/// The subordinate numbers of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spans {
    /// Uids.
    #[serde(default)]
    pub uids: Vec<Span>,
    /// Gids.
    #[serde(default)]
    pub gids: Vec<Span>,
}

impl Spans {
    /// Takes those of another in, each once.
    pub fn add(&mut self, other: &Self) {
        for (all, more) in [(&mut self.uids, &other.uids), (&mut self.gids, &other.gids)] {
            all.extend(more);
            all.sort_unstable();
            all.dedup();
        }
    }
}

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
    /// The user's subordinate numbers, also where its entry is gone.
    #[serde(default)]
    pub subordinate: Spans,
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
    /// Whether the user stayed when its tenant got another: it alone may be a tenant's again.
    #[serde(default)]
    pub stays: bool,
    /// Its subordinate numbers, which nobody gets again either.
    #[serde(default)]
    pub subordinate: Spans,
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
            subordinate: Spans::default(),
        }
    }

    /// Whether the tenant has been ended: nothing is left of it but its user.
    pub fn is_ended(&self) -> bool {
        self.files.is_empty() && !self.linger_by_us
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        text(self)
    }

    /// Reads it.
    pub fn from_text(text: &str) -> Result<Self, BookError> {
        let book = Self { version: VERSION, ..read(text)? };
        if book.uid == 0 {
            return Err(BookError::Foreign("root".to_owned()));
        }
        if UserName::parse(&book.user).is_err() {
            return Err(BookError::Foreign(clean_line(&book.user)));
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
    /// The tenant's that had it.
    pub fn of(&self, uid: u32) -> Option<&Retired> {
        self.uids.iter().find(|retired| retired.uid == uid)
    }

    /// Adds one, or what more is known of one that is there.
    pub fn add(&mut self, more: Retired) {
        match self.uids.iter_mut().find(|retired| retired.uid == more.uid) {
            Some(there) => {
                there.stays &= more.stays;
                there.subordinate.add(&more.subordinate);
            }
            None => self.uids.push(more),
        }
    }

    /// The text to keep.
    pub fn to_text(&self) -> String {
        text(self)
    }

    /// Reads it.
    pub fn from_text(text: &str) -> Result<Self, BookError> {
        Ok(Self { version: VERSION, ..read(text)? })
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
        Some(version) if version.as_u64().is_some_and(|version| (1..=VERSION).contains(&version)) => {
            serde_json::from_str(text).map_err(malformed)
        }
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
        let newer = text.replacen("\"version\": 2", "\"version\": 3, \"more\": 1", 1);
        assert_eq!(Book::from_text(&newer), Err(BookError::Version("3".into())));
        assert!(matches!(Book::from_text(&text[..text.len() / 2]), Err(BookError::Malformed { .. })));
        assert_eq!(Book::from_text("{}"), Err(BookError::Version("none".into())));
        let root = text.replacen("\"uid\": 1000", "\"uid\": 0", 1);
        assert_eq!(Book::from_text(&root), Err(BookError::Foreign("root".into())));
        let other = text.replacen("\"user\": \"usc\"", "\"user\": \"../x\"", 1);
        assert_eq!(Book::from_text(&other), Err(BookError::Foreign("../x".into())));
        for path in ["/etc/passwd", "/etc/systemd/system/../x.d/mosaic.conf", "/etc/systemd/system/x.service"]
        {
            let other = text.replacen("/etc/systemd/system/user-1000.slice.d/mosaic.conf", path, 1);
            assert_eq!(Book::from_text(&other), Err(BookError::Foreign(path.into())));
        }
    }

    #[test]
    fn a_retired_uid_reads_back_with_its_subordinate_ones_and_from_a_record_without_any() {
        let old = r#"{"version": 1, "uids": [{"uid": 7, "user": "x", "time": "t"}]}"#;
        let mut uids = RetiredUids::from_text(old).expect("an old record");
        let spans = |first| Spans { uids: vec![Span { first, count: 10 }], gids: Vec::new() };
        let seven =
            |stays, subordinate| Retired { uid: 7, user: "x".into(), time: "u".into(), stays, subordinate };
        uids.add(seven(true, spans(500)));
        uids.add(seven(true, spans(500)));
        uids.add(seven(true, spans(100)));
        assert_eq!(RetiredUids::from_text(&uids.to_text()), Ok(uids.clone()));
        let known = uids.of(7).expect("retired");
        assert_eq!((known.stays, known.time.as_str()), (false, "t"), "once gone is gone");
        assert_eq!(known.subordinate.uids, [Span { first: 100, count: 10 }, Span { first: 500, count: 10 }]);
        assert_eq!((uids.uids.len(), uids.of(8)), (1, None));
    }

    #[test]
    fn rows_of_numbers_meet_where_they_share_one() {
        let row = |first, count| Span { first, count };
        assert!(row(100, 10).meets(row(109, 1)) && row(109, 1).meets(row(100, 10)));
        assert!(!row(100, 10).meets(row(110, 5)) && !row(100, 0).meets(row(100, 10)));
        assert!(row(100, 10).has(109) && !row(100, 10).has(110) && row(u32::MAX, 9).has(u32::MAX));
    }
}
