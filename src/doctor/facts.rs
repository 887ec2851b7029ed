//! What the host sees of a machine, as data.

use std::path::PathBuf;

use crate::names::RuntimeName;
use crate::snapshot::Fact;
use crate::snapshot::boot::Account;

/// Everything that is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// systemd, logind, control groups.
    pub system: System,
    /// tmux, the runtimes, our own.
    pub programs: Programs,
    /// Home and /tmp.
    pub places: Places,
    /// Limits and amounts.
    pub numbers: Numbers,
}

/// systemd, logind, control groups.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// The user's name.
    pub user: String,
    /// The user's number.
    pub uid: u32,
    /// The machine's first process.
    pub first: Process,
    /// systemd's version, as it says itself.
    pub version: Fact<String>,
    /// The user's own manager.
    pub manager: Fact<Manager>,
    /// Whether the user's bus listens.
    pub bus: Fact<bool>,
    /// Whether logins are told to logind.
    pub pam: Fact<bool>,
    /// Whether the user lingers.
    pub linger: Fact<bool>,
    /// Until when its account may be used.
    pub account: Fact<Account>,
    /// Whether polkit is there, which alone lets a plain user linger by itself.
    pub polkit: bool,
    /// Control groups.
    pub cgroup: Fact<Controllers>,
}

/// The machine's first process and what it runs in.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its name.
    pub name: Fact<String>,
    /// Whether systemd was booted: `/run/systemd/system` is there.
    pub booted: bool,
    /// Whether the kernel is that of Windows' subsystem.
    pub wsl: bool,
    /// What kind of container it is, where it is one that says so.
    pub container: Option<String>,
}

/// Whether the user's manager answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manager {
    /// It does.
    Up,
    /// There is none; what was seen and what to do.
    Down(String, Option<String>),
}

/// Which controllers a user's manager may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Controllers {
    /// Control groups are the old hierarchy.
    Legacy,
    /// These are delegated.
    Delegated(Vec<String>),
    /// The user's manager has no group yet, so it is not known which it would get.
    NoManager,
}

/// Programs.
#[derive(Debug, Clone, PartialEq)]
pub struct Programs {
    /// Why `fleet` and `mosaic` are not both where units look for them.
    pub own: Option<String>,
    /// tmux's version; `None` where there is no tmux.
    pub tmux: Fact<Option<String>>,
    /// The version of the fleet's running server; `None` where none runs.
    pub server: Fact<Option<String>>,
    /// The runtimes that the roster's agents are on.
    pub runtimes: Vec<Runtime>,
    /// Node.
    pub node: Node,
    /// Whether the locale C.UTF-8 is there.
    pub utf8: Fact<bool>,
}

/// A runtime that agents are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: RuntimeName,
    /// Its program, where the roster names one.
    pub bin: Option<PathBuf>,
    /// The package of the npm registry that brings it.
    pub package: Option<&'static str>,
    /// What is run in that package where npm did not.
    pub script: Option<&'static str>,
}

/// One runtime's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Which.
    pub wanted: Wanted,
    /// Where it is.
    pub found: Found,
}

/// Where a runtime's program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Agents find it.
    There(PathBuf, Native),
    /// Only the caller's own PATH has it.
    OnlyHere(PathBuf),
    /// Files of that name that can't be run, each with why.
    Broken(Vec<(PathBuf, String)>),
    /// Nowhere.
    Missing,
}

/// What a program is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Native {
    /// A binary, or a script that another interpreter than node runs.
    Whole,
    /// A script that node runs.
    Node,
    /// A script of node's that calls a binary which is not there.
    Halved,
}

/// Node as agents find it.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Nothing asks for it.
    NotAsked,
    /// It is not there.
    Missing,
    /// Its version, `v20.19.2`.
    Version(Fact<String>),
}

/// Home and /tmp.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The user's home.
    pub home: PathBuf,
    /// The mount that holds it.
    pub home_mount: Fact<Mount>,
    /// The mount that holds /tmp.
    pub tmp_mount: Fact<Mount>,
    /// Whether the user's manager sees the same /tmp as the caller.
    pub same_tmp: Fact<bool>,
    /// Free bytes where the home is, and free files in percent.
    pub free: Fact<(u64, Option<u64>)>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// The file system's kind.
    pub kind: String,
    /// Its options.
    pub options: Vec<String>,
}

/// Limits and amounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// The hard limit on open files of the user's manager.
    pub open_files: Fact<u64>,
    /// Watchers of files that one user may have, over all its programs.
    pub inotify: Fact<u64>,
    /// Processes and threads that the machine may have.
    pub pids: Fact<u64>,
    /// Processes and threads that the user may have; `None` for no limit.
    pub tasks: Fact<Option<u64>>,
    /// The machine's memory in bytes.
    pub memory: Fact<u64>,
}
