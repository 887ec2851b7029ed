//! What root and its child, which has become a tenant, say to each other: one call, one reply, JSON
//! on pipes. The reply is written by a process of the tenant's, who may be hostile: it is data, never
//! more, and is taken through [`Reply::read`] alone.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::words::{clean, clean_value};
use crate::error::Error;

/// The version of the protocol. Both sides are the same program; another one means that it is not.
pub const VERSION: u32 = 1;
/// The first argument by which a program knows that it is such a child.
pub const ENTRY: &str = "tenant-child";
/// What such a child says first, once it is in its home: that it does not hang there.
pub const GREETING: &[u8] = b"in\n";
/// The first argument by which it knows that it looks at a home for root.
pub const LOOK: &str = "tenant-look";
/// The longest reply that is read.
pub const LONGEST: usize = 8 * 1024 * 1024;
/// The longest call: a roster and little else.
pub const LONGEST_CALL: usize = 4 * 1024 * 1024;
/// How many lines for people a reply may have.
const MOST_LINES: usize = 200;

/// Who the child becomes, by the password and group databases as root read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The user's name.
    pub name: String,
    /// Its number; never 0.
    pub uid: u32,
    /// Its group's number; never 0.
    pub gid: u32,
    /// Its groups.
    pub groups: Vec<u32>,
    /// Its home.
    pub home: PathBuf,
    /// Its shell.
    pub shell: PathBuf,
}

/// What the child is asked for: a verb of the tenant's own, its answer as that verb's `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// `fleet ps`.
    Ps {
        /// Whether runtimes are asked for a heartbeat first.
        probe: bool,
    },
    /// `fleet status`, and how many steps an apply would take.
    Facts,
    /// `fleet verify`.
    Verify {
        /// Whether an agent is restarted, too.
        deep: bool,
    },
    /// `fleet doctor`.
    Doctor,
    /// The roster, then as `fleet apply` or `fleet init`.
    Apply {
        /// A roster to begin with, or to have.
        roster: Option<Given>,
        /// What is started.
        start: Start,
    },
    /// Stops the fleet and takes back that it comes at boot.
    Retire,
    /// Kills everything that runs as the tenant.
    End,
    /// Removes all that is in the home, and what was left outside of it.
    RemoveHome,
}

/// A roster that root gives.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its text, which may hold secrets.
    pub text: String,
    /// What becomes of another one that is there.
    pub other: Other,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Given({} bytes, {:?})", self.text.len(), self.other)
    }
}

/// What becomes of a roster that is there and is another one than root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Other {
    /// It is the tenant's and is applied.
    Kept,
    /// Root decides it: it is replaced, and a copy is kept.
    Replaced,
}

/// What an apply starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Nothing: it comes at the next boot.
    Later,
    /// What is wanted and does not run.
    Now,
    /// The same, and every agent has answered, in 60 s at most.
    Answered,
}

/// Root's call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The protocol's version.
    pub version: u32,
    /// Root's process: without it the child ends.
    pub parent: u32,
    /// Who the child becomes before it does anything.
    pub who: Who,
    /// What it does then.
    pub request: Request,
}

/// An error, as it crosses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What was tried and what was seen.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hints: Vec<String>,
}

impl Told {
    /// What was seen and what to do about it, where there is room for one text only.
    pub fn whole(self) -> String {
        std::iter::once(self.message).chain(self.hints).collect::<Vec<_>>().join("; ")
    }
}

impl From<Told> for Error {
    fn from(told: Told) -> Self {
        told.hints.iter().fold(Self::machine(told.message), Self::hint)
    }
}

/// The child's reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The protocol's version.
    pub version: u32,
    /// The exit code that the verb would have had.
    pub code: u8,
    /// What the verb would have printed as JSON.
    #[serde(default)]
    pub value: Option<Value>,
    /// What it would have said to people.
    #[serde(default)]
    pub said: Vec<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<Told>,
}

/// Why a call or a reply is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or not that of a call or a reply.
    #[error("what it said is none of the protocol's: line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Of another version.
    #[error("it speaks version {0} of the protocol, this program {VERSION}")]
    Version(u32),
}

impl Call {
    /// Reads a call. Root's alone is carried out: who may call is the caller's business.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let call: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if call.version == VERSION { Ok(call) } else { Err(WireError::Version(call.version)) }
    }
}

fn malformed(error: serde_json::Error) -> WireError {
    WireError::Malformed { line: error.line(), column: error.column() }
}

impl Reply {
    /// Reads a reply as what it is: a stranger's words. No control character, no end of it that is
    /// not bounded, no exit code that does not exist.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let reply: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if reply.version != VERSION {
            return Err(WireError::Version(reply.version));
        }
        Ok(Self {
            version: VERSION,
            code: reply.code.min(4),
            value: reply.value.map(clean_value),
            said: reply.said.iter().take(MOST_LINES).map(|line| clean(line)).collect(),
            error: reply.error.map(|told| Told {
                message: clean(&told.message),
                hints: told.hints.iter().take(MOST_LINES).map(|hint| clean(hint)).collect(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_strangers_words_and_reaches_no_terminal_as_more() {
        let reply = Reply {
            version: VERSION,
            code: 77,
            value: Some(serde_json::json!({"a\u{1b}[2J": ["\u{9b}31m", {"b": "x\ry\n\u{202e}z"}]})),
            said: vec!["\u{1b}]0;owned\u{7}".to_owned(); 5000],
            error: Some(Told { message: "m".repeat(1_000_000), hints: vec!["\u{8}".to_owned()] }),
        };
        let read = Reply::read(&serde_json::to_vec(&reply).expect("JSON")).expect("a reply");
        assert_eq!(read.code, 4, "no such exit code");
        assert_eq!(read.said.len(), MOST_LINES);
        let error = read.error.clone().expect("an error");
        assert!(error.message.len() < 20_000, "{}", error.message.len());
        let text = format!("{:?}{}", read.said, serde_json::to_string(&read.value).expect("JSON"));
        for bad in ['\u{1b}', '\u{7}', '\u{8}', '\u{9b}', '\r', '\u{202e}'] {
            assert!(!text.contains(bad), "{bad:?}");
        }
        assert!(text.contains("y\\n"), "a line end in JSON is no harm: {text}");
    }

    #[test]
    fn what_is_no_reply_is_refused_by_its_place_alone() {
        let half = br#"{"version": 1, "code": "#;
        assert!(matches!(Reply::read(half), Err(WireError::Malformed { line: 1, .. })));
        assert_eq!(Reply::read(br#"{"version": 2, "code": 0}"#), Err(WireError::Version(2)));
        let deep = format!("{{\"version\":1,\"code\":0,\"value\":{}", "[".repeat(100_000));
        assert!(Reply::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_call_reads_back() {
        let who = Who {
            name: "usc".into(),
            uid: 1000,
            gid: 1000,
            groups: vec![1000],
            home: "/home/usc".into(),
            shell: "/bin/sh".into(),
        };
        let call = Call { version: VERSION, parent: 1, who, request: Request::Ps { probe: true } };
        let text = serde_json::to_string(&call).expect("JSON");
        assert!(text.contains(r#""request":{"verb":"ps","probe":true}"#), "{text}");
        assert_eq!(Call::read(text.as_bytes()), Ok(call));
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        assert_eq!(Call::read(newer.as_bytes()), Err(WireError::Version(2)));
        assert!(matches!(Call::read(b"{"), Err(WireError::Malformed { .. })));
    }
}
