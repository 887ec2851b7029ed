//! The ledger's text: versioned JSON. What it does not understand it refuses, since the ledger
//! decides what may be deleted.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Applied, Due, FileRecord, Identity, Ledger, Sha, UnitRecord};
use crate::layout::Layout;
use crate::names::{HostName, NameError, TenantId};

/// The version this program writes. It reads this one and all before it.
const VERSION: u64 = 1;

/// So much of what stands there is told.
const LONGEST_SHOWN: usize = 300;

/// Why a ledger could not be read. Nothing may be changed while it can't.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Not JSON, or not the JSON of a ledger.
    #[error("line {line}, column {column}: {what}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        what: String,
    },
    /// Written by a newer program.
    #[error("it has version {seen}, written by a newer fleet than this one, which reads {VERSION}")]
    Newer {
        /// The version it says.
        seen: u64,
    },
    /// No version at all, or none there ever was.
    #[error("it has version {seen}, and ledgers have versions from 1 to {VERSION}")]
    Version {
        /// The version it says, or what stands in its place.
        seen: String,
    },
    /// A path that can't be one of ours.
    #[error("{path:?} can't be a path of ours: {rule}")]
    Path {
        /// The path as it stands.
        path: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A hash that is none.
    #[error("{path:?}: {seen:?} is not a SHA-256 in lower-case hexadecimal")]
    Hash {
        /// The file it stands for.
        path: String,
        /// The text.
        seen: String,
    },
    /// A mode that is none.
    #[error("{path:?}: {seen:?} is not an octal file mode")]
    Mode {
        /// The file it stands for.
        path: String,
        /// The text.
        seen: String,
    },
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    tenant_id: String,
    host: String,
    socket: PathBuf,
    program: PathBuf,
    linger: Linger,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reload_due: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    restarts_due: BTreeMap<String, WrittenDue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<WrittenApplied>,
    units: BTreeMap<String, WrittenUnit>,
    links: BTreeMap<String, PathBuf>,
    files: BTreeMap<String, WrittenFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Linger {
    turned_on_by_us: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDue {
    boot_id: String,
    main_pid: i32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApplied {
    boot_id: String,
    time: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUnit {
    enabled: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writing: Option<String>,
    mode: String,
}

impl Ledger {
    /// The text to keep. Paths below the home are written relative to it, so that a home can move.
    pub fn to_text(&self, layout: &Layout) -> String {
        let key = |path: &Path| path.strip_prefix(layout.home()).unwrap_or(path).display().to_string();
        let written = Written {
            version: VERSION,
            tenant_id: self.identity.tenant.to_string(),
            host: self.identity.host.to_string(),
            socket: self.identity.socket.clone(),
            program: self.identity.program.clone(),
            linger: Linger { turned_on_by_us: self.linger_by_us },
            reload_due: self.reload_due,
            restarts_due: self
                .restarts_due
                .iter()
                .map(|(unit, due)| {
                    let Due { boot_id, main_pid, shared } = due.clone();
                    (unit.clone(), WrittenDue { boot_id, main_pid, shared })
                })
                .collect(),
            applied: self
                .applied
                .as_ref()
                .map(|a| WrittenApplied { boot_id: a.boot_id.clone(), time: a.time.clone() }),
            units: self.units.iter().map(|(u, r)| (u.clone(), WrittenUnit { enabled: r.enabled })).collect(),
            links: self.links.iter().map(|(path, target)| (key(path), target.clone())).collect(),
            files: self
                .files
                .iter()
                .map(|(path, record)| {
                    let file = WrittenFile {
                        sha256: record.written.map(|s| s.to_string()),
                        writing: record.writing.map(|s| s.to_string()),
                        mode: format!("{:04o}", record.mode),
                    };
                    (key(path), file)
                })
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&written).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a ledger. Every path it names must be below the home or `$MOSAIC_HOME`: a damaged
    /// ledger must not become a licence to delete elsewhere.
    pub fn from_text(text: &str, layout: &Layout) -> Result<Self, LedgerError> {
        let written: Written = serde_json::from_str(text).map_err(|error| other_version(text, error))?;
        if written.version != VERSION {
            return Err(version_error(written.version));
        }
        let files = written.files.into_iter().map(|(key, file)| {
            let record = file.read(&key)?;
            Ok((place(&key, layout)?, record))
        });
        let links = written.links.into_iter().map(|(key, target)| Ok((place(&key, layout)?, target)));
        Ok(Self {
            identity: Identity {
                tenant: TenantId::parse(&written.tenant_id)?,
                host: HostName::parse(&written.host)?,
                socket: written.socket,
                program: written.program,
            },
            files: files.collect::<Result<_, LedgerError>>()?,
            links: links.collect::<Result<_, LedgerError>>()?,
            units: written
                .units
                .into_iter()
                .map(|(unit, record)| (unit, UnitRecord { enabled: record.enabled }))
                .collect(),
            linger_by_us: written.linger.turned_on_by_us,
            reload_due: written.reload_due,
            restarts_due: written
                .restarts_due
                .into_iter()
                .map(|(unit, due)| {
                    let WrittenDue { boot_id, main_pid, shared } = due;
                    (unit, Due { boot_id, main_pid, shared })
                })
                .collect(),
            applied: written.applied.map(|a| Applied { boot_id: a.boot_id, time: a.time }),
        })
    }
}

impl WrittenFile {
    fn read(self, path: &str) -> Result<FileRecord, LedgerError> {
        let hash = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => match Sha::parse(&text) {
                Some(sha) => Ok(Some(sha)),
                None => Err(LedgerError::Hash { path: shown(path), seen: shown(&text) }),
            },
        };
        let mode = u32::from_str_radix(&self.mode, 8).ok().filter(|m| *m <= 0o7777);
        Ok(FileRecord {
            written: hash(self.sha256)?,
            writing: hash(self.writing)?,
            mode: mode.ok_or_else(|| LedgerError::Mode { path: shown(path), seen: shown(&self.mode) })?,
        })
    }
}

fn place(key: &str, layout: &Layout) -> Result<PathBuf, LedgerError> {
    let refuse = |rule| LedgerError::Path { path: shown(key), rule };
    // Nearly all are plain names below the home: a look at hundreds of agents reads as many.
    if key.split('/').all(|part| !matches!(part, "" | "." | "..")) {
        return Ok(layout.home().join(key));
    }
    let path = Path::new(key);
    if path.components().any(|c| !matches!(c, Component::Normal(_) | Component::RootDir)) {
        return Err(refuse("it has . or .. in it"));
    }
    if path.file_name().is_none() {
        return Err(refuse("it names no file"));
    }
    let whole: PathBuf = layout.home().join(path).components().collect();
    if !whole.starts_with(layout.home()) && !whole.starts_with(layout.mosaic()) {
        return Err(refuse("it is neither below the home nor below MOSAIC_HOME"));
    }
    Ok(whole)
}

/// What is wrong with a text that is no ledger of ours: first of all, that it may be another version's.
fn other_version(text: &str, error: serde_json::Error) -> LedgerError {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return malformed(error) };
    match value.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => malformed(error),
        Some(version) => match version.as_u64() {
            Some(number) => version_error(number),
            None => LedgerError::Version { seen: shown(&version.to_string()) },
        },
        None => LedgerError::Version { seen: "none".to_owned() },
    }
}

/// Why another version than ours is refused.
fn version_error(seen: u64) -> LedgerError {
    if seen > VERSION { LedgerError::Newer { seen } } else { LedgerError::Version { seen: seen.to_string() } }
}

/// What stands there, for people: a damaged file may hold anything, and any amount of it.
fn shown(text: &str) -> String {
    text.chars().take(LONGEST_SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn malformed(error: serde_json::Error) -> LedgerError {
    let text = error.to_string();
    let what = shown(text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what));
    LedgerError::Malformed { line: error.line(), column: error.column(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout::new("/home/u", Some("/srv/m".into()))
    }

    fn full() -> Ledger {
        let mut ledger = Ledger::new(Identity {
            tenant: TenantId::parse("usc").expect("a tenant"),
            host: HostName::parse("box").expect("a host"),
            socket: "/tmp/tmux-1000/mosaic-factory".into(),
            program: "/usr/bin/fleet".into(),
        });
        ledger.files.insert("/srv/m/fleet/agents/a.env".into(), FileRecord::settled(Sha::of(b"a"), 0o600));
        ledger.files.insert(
            "/home/u/.config/systemd/user/x.service".into(),
            FileRecord { written: None, writing: Some(Sha::of(b"x")), mode: 0o600 },
        );
        ledger.links.insert("/home/u/.config/systemd/user/d.wants/x".into(), "../x".into());
        ledger.units.insert("x.service".into(), UnitRecord { enabled: true });
        ledger.linger_by_us = true;
        ledger.reload_due = true;
        ledger
            .restarts_due
            .insert("x.service".into(), Due { boot_id: "b".into(), main_pid: 7, shared: false });
        ledger.applied = Some(Applied { boot_id: "b".into(), time: "2025-01-01T00:00:00Z".into() });
        ledger
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let mut ledger = full();
        let shared = Due { boot_id: "b".into(), main_pid: 8, shared: true };
        ledger.restarts_due.insert("y.service".into(), shared);
        let text = ledger.to_text(&layout());
        assert_eq!(Ledger::from_text(&text, &layout()), Ok(ledger));
        assert!(text.contains("\".config/systemd/user/x.service\""), "below the home, so relative: {text}");
        assert!(text.contains("\"/srv/m/fleet/agents/a.env\""), "outside the home, so absolute: {text}");
    }

    #[test]
    fn a_newer_ledger_is_refused_by_its_version_before_anything_else() {
        let text = r#"{"version": 2, "something": "else"}"#;
        assert_eq!(Ledger::from_text(text, &layout()), Err(LedgerError::Newer { seen: 2 }));
        let zeroth = r#"{"version": 0}"#;
        assert_eq!(Ledger::from_text(zeroth, &layout()), Err(LedgerError::Version { seen: "0".into() }));
        let without = r#"{"tenant_id": "u"}"#;
        assert_eq!(Ledger::from_text(without, &layout()), Err(LedgerError::Version { seen: "none".into() }));
    }

    #[test]
    fn ledgers_as_version_1_wrote_them_are_read_for_ever() {
        let whole = include_str!("../../tests/ledger/v1.json");
        let mut expected = full();
        expected.applied = Some(Applied { boot_id: "b".into(), time: "2025-01-01T00:00:00Z".into() });
        assert_eq!(Ledger::from_text(whole, &layout()), Ok(expected));
        let least = include_str!("../../tests/ledger/v1-least.json");
        let read = Ledger::from_text(least, &layout()).expect("read");
        assert!(read.files.is_empty() && !read.reload_due && read.applied.is_none());
    }

    #[test]
    fn half_a_ledger_is_refused_with_its_place() {
        let text = full().to_text(&layout());
        let half = &text[..text.len() / 2];
        assert!(matches!(Ledger::from_text(half, &layout()), Err(LedgerError::Malformed { line: 2.., .. })));
        assert!(matches!(Ledger::from_text("", &layout()), Err(LedgerError::Malformed { .. })));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = full().to_text(&layout()).replacen("{", "{\n  \"extra\": 1,", 1);
        assert!(matches!(Ledger::from_text(&text, &layout()), Err(LedgerError::Malformed { .. })));
    }

    #[test]
    fn a_path_outside_our_places_is_refused() {
        let good = full().to_text(&layout());
        for bad in ["../../etc/passwd", "/etc/passwd", "/home/u/../v/x", "/home/other/x", "", "."] {
            let text = good.replace("/srv/m/fleet/agents/a.env", bad);
            assert!(matches!(Ledger::from_text(&text, &layout()), Err(LedgerError::Path { .. })), "{bad}");
        }
    }

    #[test]
    fn a_hash_or_a_mode_that_is_none_is_refused() {
        let good = full().to_text(&layout());
        let bad_hash = good.replace(&Sha::of(b"a").to_string(), "abc");
        assert!(matches!(Ledger::from_text(&bad_hash, &layout()), Err(LedgerError::Hash { .. })));
        let bad_mode = good.replace("\"0600\"", "\"rw\"");
        assert!(matches!(Ledger::from_text(&bad_mode, &layout()), Err(LedgerError::Mode { .. })));
    }
}
