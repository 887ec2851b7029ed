//! One row of `fleet ps`: the JSON contract as types. Judged in `rows`, printed elsewhere.

use serde::Serialize;

use super::Flag;
use crate::names::{HostName, TenantId};
use crate::runfile::heartbeat::Health;

/// The version of the JSON that rows stand in.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that `fleet ps --json` says of one tenant.
#[derive(Debug, Clone, Serialize)]
pub struct Report<'a> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tenant.
    pub tenant_id: &'a TenantId,
    /// The machine.
    pub host: &'a HostName,
    /// When it was looked at, RFC 3339.
    pub time: String,
    /// The rows.
    pub rows: &'a [Row],
}

/// One agent, or one session that the roster does not have. What is not known is `None`, and the
/// reasons say why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The agent's name, or the session's.
    pub name: String,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The machine.
    pub host: HostName,
    /// Its runtime.
    pub runtime: Option<String>,
    /// What it is for.
    pub class: Option<String>,
    /// `core` or `ephemeral`.
    pub lifecycle: Option<&'static str>,
    /// Its unit.
    pub systemd: Systemd,
    /// Its pane.
    pub pane: Pane,
    /// Seconds since its window's last output.
    pub idle_seconds: Option<f64>,
    /// Its heartbeat.
    pub heartbeat: Heartbeat,
    /// By the roster.
    pub model: Option<String>,
    /// By the roster.
    pub effort: Option<String>,
    /// The runtime program's version.
    pub version: Option<String>,
    /// Starts in this boot after the first.
    pub restarts: Option<u32>,
    /// Memory in use of its unit.
    pub memory_bytes: Option<u64>,
    /// Named disagreements.
    pub flags: Vec<Flag>,
    /// Why flags stand there and values do not, a sentence each.
    pub reasons: Vec<String>,
    /// Whether it is stopped on purpose, by the roster or by a person in this boot.
    #[serde(skip)]
    pub parked: bool,
}

/// A row's unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Systemd {
    /// `active`, `activating`, `failed`, `inactive`.
    pub active: Option<String>,
    /// `running`, `dead`, `auto-restart`.
    pub sub: Option<String>,
    /// Whether it is pulled in at boot.
    pub enabled: Option<bool>,
}

/// A row's pane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pane {
    /// Whether it lives.
    pub state: PaneState,
    /// Pid of its process, where one lives.
    pub pid: Option<i32>,
    /// What runs in its foreground.
    pub command: Option<String>,
}

/// Whether a pane lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PaneState {
    /// Its process lives.
    Alive,
    /// There is none, or its process has ended.
    Dead,
    /// It could not be looked at.
    Unknown,
}

impl PaneState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

/// A row's heartbeat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Heartbeat {
    /// In one word.
    #[serde(serialize_with = "health")]
    pub health: Health,
    /// When the last was written, RFC 3339.
    pub ts: Option<String>,
    /// Whose it is.
    pub pid: Option<i32>,
    /// How old it is.
    pub age_seconds: Option<f64>,
    /// `ok` or `busy`.
    pub status: Option<&'static str>,
    /// `runtime`, `hook` or `sidecar`.
    pub source: Option<&'static str>,
    /// What the runtime is doing.
    pub state: Option<&'static str>,
    /// Until when, RFC 3339.
    pub resume_at: Option<String>,
    /// Why it is called healthy or not.
    #[serde(skip)]
    pub reason: String,
}

fn health<S: serde::Serializer>(health: &Health, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(health.word())
}

impl Row {
    /// Whether its flags say that something is wrong.
    pub fn is_faulty(&self) -> bool {
        self.flags.iter().any(|f| f.is_fault())
    }
}
