//! Facts about one tenant at one instant: data only, gathered by the host, judged elsewhere.
//!
//! What could not be found out is [`Fact::Unknown`] with the reason, never an empty value.

pub mod boot;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::names::AgentName;

/// Something that was looked at: known, or not known because of something.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact<T> {
    /// It was seen.
    Known(T),
    /// It could not be seen; why, in words for people.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The same of what can be told from it.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(of(value)),
            Self::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// Why it is not known, where it is not.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Fact<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

/// One tenant at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When.
    pub clock: Clock,
    /// CLOCK_BOOTTIME of the machine's boot: 0, but in a container, which shares its host's clocks.
    pub booted: f64,
    /// Whether logind starts the user's manager at boot.
    pub linger: Fact<bool>,
    /// The user's own service manager.
    pub manager: Fact<Manager>,
    /// Our units that the manager has loaded, by name; one that is absent is not loaded.
    pub units: Fact<BTreeMap<String, UnitFacts>>,
    /// Which units are pulled in by which: `(wanted_by, unit)`, read from the wants folders.
    pub wants: Fact<BTreeSet<(String, String)>>,
    /// The fleet's tmux server.
    pub tmux: Fact<Tmux>,
    /// What stands at the paths the plan is about; a path that is absent there has nothing.
    pub files: BTreeMap<PathBuf, Fact<FileFacts>>,
    /// Permission bits of folders of ours that are the user's own; asked for only by a plan.
    pub folders: BTreeMap<PathBuf, u32>,
    /// What was noted when the holder's server started; absent where nothing was. Asked for only by a
    /// plan.
    pub holder: Option<Fact<String>>,
    /// What stands at each agent's heartbeat, of a file at most one byte more than a beat may have;
    /// absent where there is nothing.
    pub beats: BTreeMap<AgentName, Fact<Content>>,
    /// Each agent's supervisor record, its text.
    pub records: BTreeMap<AgentName, Fact<String>>,
    /// Each agent's summary of its receipts, its text.
    pub receipts: BTreeMap<AgentName, Fact<String>>,
    /// What was noted when each agent's runtime was launched; absent where nothing was.
    pub launched: BTreeMap<AgentName, Fact<String>>,
    /// What stands at each agent's environment files.
    pub environments: BTreeMap<AgentName, EnvironmentFiles>,
    /// Agents that a person stopped, with the boot in which it was done.
    pub parked: BTreeMap<AgentName, Fact<String>>,
    /// The processes concerned, by pid: panes, their descendants, supervisors.
    pub processes: BTreeMap<i32, Process>,
    /// What panes run by tmux's word and `/proc` does not show: it is mounted with hidepid (proc(5)) and they may not
    /// be traced, or it is that of another pid namespace than the server's. Nothing is known of these.
    pub hidden: BTreeSet<i32>,
    /// Memory in use of each unit's cgroup in bytes, where the kernel accounts for it.
    pub memory: BTreeMap<String, u64>,
    /// What systemd reads in the place of our unit files; asked for only by a plan that may write.
    pub stand_ins: Fact<Vec<StandIn>>,
    /// What running left of agents that the roster no longer has; asked for only by a plan that may
    /// write.
    pub left: BTreeMap<AgentName, Vec<PathBuf>>,
    /// Kills by the OOM killer in each unit's cgroup as it is now, where the kernel counts them.
    pub oom_kills: BTreeMap<String, u64>,
}

/// Whether a person stopped an agent in that boot, by what is remembered of it: that holds no longer than the boot.
pub fn is_parked(remembered: Option<&Fact<String>>, boot_id: &str) -> Fact<bool> {
    match remembered {
        None => Fact::Known(false),
        Some(Fact::Known(parked_in)) => Fact::Known(parked_in == boot_id),
        Some(Fact::Unknown(why)) => Fact::Unknown(why.clone()),
    }
}

/// The instant: three clocks read together.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    /// Seconds since 1970, UTC.
    pub unix: f64,
    /// CLOCK_BOOTTIME in seconds.
    pub boottime: f64,
    /// This boot.
    pub boot_id: String,
}

/// The user's service manager.
#[derive(Debug, Clone, PartialEq)]
pub struct Manager {
    /// Its version, as it says itself, for instance `252.39-1~deb12u2`.
    pub version: String,
    /// When it started, CLOCK_MONOTONIC in seconds.
    pub started: f64,
}

/// What the manager says of one unit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitFacts {
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub load: String,
    /// `active`, `activating`, `failed`, `inactive`, `deactivating`, `reloading`.
    pub active: String,
    /// `running`, `dead`, `auto-restart`, `start-pre`, and so on.
    pub sub: String,
    /// Type of the job that waits or runs for it, `start`, `stop`, `restart`; empty for none.
    pub job: String,
    /// Details; `None` where they were not asked for or could not be had.
    pub detail: Option<UnitDetail>,
}

/// Single properties of a unit, asked for only where they are needed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnitDetail {
    /// Pid of its main process; 0 for none.
    pub main_pid: i32,
    /// Its cgroup below the hierarchy's root, empty while it has none.
    pub cgroup: String,
    /// What it said of itself last.
    pub status_text: String,
    /// How often systemd restarted it by itself; restarts by a dependency are not among them.
    pub restarts: u32,
    /// `success`, `exit-code`, `signal`, `timeout`, `protocol`, `resources`, and so on.
    pub result: String,
    /// Exit code or signal number of its last main process.
    pub exit_status: i32,
    /// `CLD_EXITED` 1, `CLD_KILLED` 2, `CLD_DUMPED` 3; 0 while it never ran.
    pub exit_code: i32,
    /// When it became active, CLOCK_MONOTONIC in seconds; 0 for never.
    pub active_since: f64,
    /// The file it was read from.
    pub fragment: String,
    /// Its drop-ins.
    pub drop_ins: Vec<String>,
    /// Whether its files changed since they were read.
    pub needs_reload: bool,
    /// systemd's word: `enabled`, `disabled`, `masked`, `linked`, and so on; for people, not for
    /// judgement.
    pub file_state: String,
}

/// The fleet's tmux server as it answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Tmux {
    /// Nothing listens on the socket.
    Absent,
    /// It answered.
    Running {
        /// The server's pid.
        pid: i32,
        /// Its version, `3.3a`.
        version: String,
        /// Its panes.
        panes: Vec<Pane>,
    },
}

/// One pane; an agent's session has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Pane {
    /// The session's name.
    pub session: String,
    /// tmux's own id, `%3`.
    pub id: String,
    /// Pid of its process, also after its end.
    pub pid: i32,
    /// Whether its process has ended.
    pub dead: bool,
    /// Exit code, where it ended by one.
    pub dead_status: Option<i32>,
    /// Signal, where it ended by one.
    pub dead_signal: Option<i32>,
    /// Name of what runs in the foreground.
    pub command: String,
    /// Seconds since 1970 of the window's last output.
    pub activity: f64,
    /// How many clients that can type are attached.
    pub attached: u32,
}

/// The environment files of one agent.
#[derive(Debug, Clone, PartialEq)]
pub enum EnvironmentFiles {
    /// Untouched since its supervisor started the run that its record tells of.
    AsStarted,
    /// What stands there; `None` for nothing.
    Seen {
        /// At ours.
        rendered: Option<Fact<FileFacts>>,
        /// At the operator's own.
        local: Option<Fact<FileFacts>>,
    },
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum FileFacts {
    /// A plain file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// A link to a file that nobody but the machine's configuration changes.
    Declared {
        /// The file's bytes.
        content: Vec<u8>,
        /// What the link says.
        link: PathBuf,
    },
    /// Another symbolic link and what it says.
    Link(PathBuf),
    /// Something else: a folder, a FIFO, a device.
    Other(String),
}

/// What stands in the place of a file of which nothing but the content matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A plain file's bytes.
    File(Vec<u8>),
    /// A symbolic link.
    Link,
    /// Something else: a folder, a FIFO, a device.
    Other(String),
}

impl From<FileFacts> for Content {
    fn from(facts: FileFacts) -> Self {
        match facts {
            FileFacts::File { content, .. } => Self::File(content),
            FileFacts::Declared { .. } | FileFacts::Link(_) => Self::Link,
            FileFacts::Other(what) => Self::Other(what),
        }
    }
}

/// Something that systemd reads in the place of a unit file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The unit, or the template, that it stands in for.
    pub unit: String,
    /// Where.
    pub path: PathBuf,
    /// What it is.
    pub kind: StandInKind,
}

/// What stands in for a file of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandInKind {
    /// Nothing at all, or a link to /dev/null: the unit can't be started or enabled.
    Mask,
    /// Another unit file.
    File,
    /// A drop-in of the name of ours, in a folder that comes before ours.
    DropIn,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Process {
    /// Its parent.
    pub parent: i32,
    /// `/proc/PID/comm`.
    pub comm: String,
    /// `/proc/PID/cmdline`, split.
    pub argv: Vec<String>,
    /// The unit it runs in, by its cgroup.
    pub unit: String,
    /// CLOCK_BOOTTIME of its start in seconds.
    pub started: f64,
    /// The process group in the foreground of its terminal; none where that is not above 0.
    pub foreground: i32,
}
