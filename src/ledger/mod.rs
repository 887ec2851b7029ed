//! What we installed for one tenant: the only licence to change or delete anything later.
//!
//! Data and its rules alone. Nothing here reads a disk; `text` turns it into JSON and back.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::names::{HostName, TenantId};

pub use text::LedgerError;

/// What we installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// For whom, where and with what.
    pub identity: Identity,
    /// Files that we wrote, by absolute path.
    pub files: BTreeMap<PathBuf, FileRecord>,
    /// Links by which our units are pulled in: where, and what the link says.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Units that we brought, by name.
    pub units: BTreeMap<String, UnitRecord>,
    /// Whether it was us who turned lingering on; only then may we turn it off.
    pub linger_by_us: bool,
    /// Unit files or links changed and the manager has not been told yet.
    pub reload_due: bool,
    /// Units that run with older files than those on disk, until they are restarted.
    pub restarts_due: BTreeMap<String, Due>,
    /// When an apply last carried everything out.
    pub applied: Option<Applied>,
}

/// For whom, where and with what a fleet was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose fleet.
    pub tenant: TenantId,
    /// Which machine.
    pub host: HostName,
    /// The socket of the fleet's tmux server, absolute: where every later command looks for it,
    /// whatever TMUX_TMPDIR its caller has.
    pub socket: PathBuf,
    /// The program that units and scripts call.
    pub program: PathBuf,
}

/// One file that we wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// The content that we last finished writing; `None` while the first write is under way.
    pub written: Option<Sha>,
    /// The content that is being written: a run that is killed in the middle leaves either.
    pub writing: Option<Sha>,
    /// Permission bits.
    pub mode: u32,
}

/// One unit that we brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnitRecord {
    /// Whether it was us who enabled it.
    pub enabled: bool,
}

/// A restart that has not been done yet: as long as the unit's main process is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The boot in which it became due; another boot has started everything anew.
    pub boot_id: String,
    /// The process that runs with the older files; 0 where it could not be seen.
    pub main_pid: i32,
    /// Nothing of the unit's own changed, only what all agents share: an apply leaves it to whoever restarts it.
    pub shared: bool,
}

/// When an apply last carried everything out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The boot it happened in.
    pub boot_id: String,
    /// RFC 3339, UTC.
    pub time: String,
}

/// The SHA-256 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha([u8; 32]);

impl Sha {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FileRecord {
    /// A file that stands as we wrote it.
    pub fn settled(sha: Sha, mode: u32) -> Self {
        Self { written: Some(sha), writing: None, mode }
    }

    /// Whether content of this hash is ours: what we finished writing, or were about to.
    pub fn owns(&self, sha: Sha) -> bool {
        self.written == Some(sha) || self.writing == Some(sha)
    }
}

/// What stands between the name of a file and the time at which a copy of it was kept.
const COPY: &str = ".bak-";

/// The name of a copy of `path` that is kept at `time`, RFC 3339 in UTC, before it is overwritten. Two may be
/// kept within a second: the time has more digits than that.
pub fn copy_name(path: &Path, time: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(COPY);
    name.push(time.replace(['-', ':'], ""));
    name.into()
}

/// The file of which this is such a copy.
pub fn copied_from(path: &Path) -> Option<PathBuf> {
    let (name, time) = path.file_name()?.to_str()?.rsplit_once(COPY)?;
    let digits = time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z' | b'.'));
    (digits && !time.is_empty() && !name.is_empty()).then(|| path.with_file_name(name))
}

impl Ledger {
    /// The ledger of a fleet of which nothing is installed yet.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            units: BTreeMap::new(),
            linger_by_us: false,
            reload_due: false,
            restarts_due: BTreeMap::new(),
            applied: None,
        }
    }

    /// Whether a run was cut off while it wrote files.
    pub fn unfinished(&self) -> bool {
        self.files.values().any(|f| f.writing.is_some())
    }

    /// Every place at which we have something.
    pub fn paths(&self) -> BTreeSet<PathBuf> {
        self.files.keys().chain(self.links.keys()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_from_its_text() {
        let sha = Sha::of(b"abc");
        assert_eq!(sha.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Sha::parse(&sha.to_string()), Some(sha));
        for bad in ["", "ba78", &"g".repeat(64), &"A".repeat(64)] {
            assert_eq!(Sha::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_copy_is_known_by_its_name_and_nothing_else_is_one() {
        let file = Path::new("/h/agents/a.env");
        for (time, name) in
            [("2026-11-28T22:00:00Z", "20261128T220000Z"), ("2026-11-28T22:00:00.25Z", "20261128T220000.25Z")]
        {
            let copy = copy_name(file, time);
            assert_eq!(copy, PathBuf::from(format!("/h/agents/a.env.bak-{name}")));
            assert_eq!(copied_from(&copy).as_deref(), Some(file));
        }
        for other in ["/h/a.env", "/h/a.bak-mine", "/h/a.bak-", "/h/.bak-20261128T220000Z", "/"] {
            assert_eq!(copied_from(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_ours_before_and_after_an_interrupted_write() {
        let (old, new, other) = (Sha::of(b"old"), Sha::of(b"new"), Sha::of(b"other"));
        let record = FileRecord { written: Some(old), writing: Some(new), mode: 0o600 };
        assert!(record.owns(old) && record.owns(new) && !record.owns(other));
    }
}
