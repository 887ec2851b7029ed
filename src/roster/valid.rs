//! The last stage: a roster in which every name is checked and every reference resolves.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::names::{AgentName, EnvName, RuntimeName, SessionName, SocketName, TenantId};
use crate::yaml::keyword;

/// A tenant's fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Roster {
    /// Whose fleet it is.
    pub tenant: TenantId,
    /// How agents are reached.
    pub transport: Transport,
    /// `tmux -L` name of the fleet's own server.
    pub socket: SocketName,
    /// The session that keeps the server; no agent may have its name.
    pub holder_session: SessionName,
    /// Every runtime that is built in or defined by the roster, with the roster's settings merged.
    pub runtimes: Vec<Runtime>,
    /// The agents in the roster's order; names are unique.
    pub agents: Vec<Agent>,
    /// Whether there is a list of them, which may be empty: a key with nothing behind it is none.
    pub agents_listed: bool,
}

/// How agents are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A pane of the fleet's own tmux server.
    Tmux,
    /// No terminal multiplexer: the supervisor owns the terminal.
    None,
}

keyword!(Transport { "tmux" => Tmux, "none" => None } reserved {
    "matrix" => "matrix is reserved for a later version and cannot be used yet"
});
impl Transport {
    /// Its word, as receipts say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tmux => "tmux",
            Self::None => "none",
        }
    }
}

keyword!(Lifecycle { "core" => Core, "ephemeral" => Ephemeral });
keyword!(State { "running" => Running, "stopped" => Stopped });
keyword!(OnStale { "flag" => Flag, "restart" => Restart });

/// A runtime as this roster uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// Its name.
    pub name: RuntimeName,
    /// Launch line in place of `mosaic yolo NAME`; always there for a runtime that is not built in.
    pub command: Option<String>,
    /// What resets a conversation, typed at its prompt.
    pub reset_command: Option<String>,
    /// The program's file.
    pub bin: Option<PathBuf>,
    /// Variables for every agent on this runtime, in the roster's order.
    pub env: Vec<EnvVar>,
    /// Names under which its process shows, for drift.
    pub process_names: Vec<String>,
    /// What stands before text that was typed and not submitted.
    pub draft_mark: String,
}

/// One variable: `defaults.env`, then the runtime's, then the agent's, later ones winning.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: EnvName,
    /// Its value; may be a secret, so it is never printed.
    pub value: String,
}

impl std::fmt::Debug for EnvVar {
    /// Shows the name alone: a value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its address.
    pub name: AgentName,
    /// Its runtime; one of [`Roster::runtimes`].
    pub runtime: RuntimeName,
    /// What it is for; an open set.
    pub class: Option<String>,
    /// A note for people.
    pub model_hint: Option<String>,
    /// Handed to the runtime by `mosaic yolo`.
    pub model: Option<String>,
    /// Handed to the runtime by `mosaic yolo`.
    pub effort: Option<String>,
    /// Whether its persona outlives a task.
    pub persistent_persona: Persona,
    /// Whether the slot is reused after a reset.
    pub reset_between_tasks: bool,
    /// As written: may begin with `~` or `%h`, which mean the tenant's home.
    pub working_directory: String,
    /// All variables for this agent, merged, each name once, in order of first mention.
    pub env: Vec<EnvVar>,
    /// A shell line that replaces the launch command.
    pub command: Option<String>,
    /// First prompt: a file or a name in the role library.
    pub kickstart_template: Option<String>,
    /// Always on, or per task.
    pub lifecycle: Lifecycle,
    /// What an ephemeral worker works for.
    pub lane: Option<String>,
    /// Wanted running, or parked for good.
    pub state: State,
    /// Limits of its cgroup and its process.
    pub limits: Limits,
    /// What happens when heartbeats stop.
    pub on_stale: OnStale,
}

/// Whether a persona outlives a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Between the two: kept until a person resets it.
    Semi,
}

impl Serialize for Persona {
    /// As the roster says it: `true`, `false` or `"semi"`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Semi => serializer.serialize_str("semi"),
        }
    }
}

/// Whether an agent is always on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Always on: enabled, restarted whatever its exit was.
    Core,
    /// Per task: never restarted.
    Ephemeral,
}

/// What the roster wants of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Running.
    Running,
    /// Parked for good: its unit is disabled.
    Stopped,
}

/// What happens when heartbeats stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// It is shown.
    Flag,
    /// Its unit is restarted, with a growing delay.
    Restart,
}

/// Limits: those of the cgroup stand in a drop-in of the unit, those of the process are set in the
/// pane, where a unit's settings do not reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// systemd's `MemoryMax=`, as written, checked.
    pub memory_max: Option<String>,
    /// systemd's `MemoryHigh=`.
    pub memory_high: Option<String>,
    /// systemd's `CPUQuota=`, for instance `150%`.
    pub cpu_quota: Option<String>,
    /// systemd's `TasksMax=`.
    pub tasks_max: Option<u64>,
    /// Open files, soft and hard.
    pub nofile: Option<u64>,
    /// Niceness, -20 to 19.
    pub nice: Option<i32>,
    /// File mode creation mask.
    #[serde(serialize_with = "octal")]
    pub umask: Option<u32>,
    /// Whether privileges can no longer be gained, by sudo for one.
    pub no_new_privs: Option<bool>,
}

/// A mask as people write it: `"027"`.
fn octal<S: Serializer>(mask: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    mask.map(|mask| format!("{mask:03o}")).serialize(serializer)
}

/// What an agent's pane runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch<'a> {
    /// The agent's or its runtime's own shell line.
    Command(&'a str),
    /// `mosaic yolo RUNTIME`.
    Yolo(&'a RuntimeName),
}

impl Roster {
    /// The agent of that name.
    pub fn agent(&self, name: &AgentName) -> Option<&Agent> {
        self.agents.iter().find(|a| a.name == *name)
    }

    /// The runtime of that name.
    pub fn runtime(&self, name: &RuntimeName) -> Option<&Runtime> {
        self.runtimes.iter().find(|r| r.name == *name)
    }

    /// What an agent's pane runs: its own command, else its runtime's, else `mosaic yolo`.
    pub fn launch<'a>(&'a self, agent: &'a Agent) -> Launch<'a> {
        let runtime = || self.runtime(&agent.runtime).and_then(|r| r.command.as_deref());
        match agent.command.as_deref().or_else(runtime) {
            Some(line) => Launch::Command(line),
            None => Launch::Yolo(&agent.runtime),
        }
    }
}

impl Agent {
    /// Whether its unit is wanted at every boot.
    pub fn enabled(&self) -> bool {
        self.lifecycle == Lifecycle::Core && self.state == State::Running
    }
}

impl Limits {
    /// Whether the agent's unit needs a drop-in for them.
    pub fn in_unit(&self) -> bool {
        self.memory_max.is_some()
            || self.memory_high.is_some()
            || self.cpu_quota.is_some()
            || self.tasks_max.is_some()
    }
}
