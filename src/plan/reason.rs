//! Why a step is in the plan, in the words a person reads.

use std::fmt;
use std::path::PathBuf;

/// Why a step is in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of it is there yet.
    New,
    /// We wrote it, and it is gone.
    Gone,
    /// What it should be has changed since we wrote it.
    Changed,
    /// Its content is right and its mode is not.
    Mode {
        /// The mode it has.
        seen: u32,
    },
    /// It is not as we left it, and the caller asked to overwrite it.
    Forced,
    /// It is not as we left it, and a fleet that was made by hand is taken over.
    TakenOver,
    /// The roster no longer has what it was for.
    NotInRoster,
    /// What is there now is kept aside first.
    Backup,
    /// The roster stops this agent for good.
    StoppedInRoster,
    /// The agent is started per task, not at boot.
    NotForBoot,
    /// logind does not start the user's manager at boot.
    LingerOff,
    /// It could not be seen whether logind does.
    LingerUnknown(String),
    /// These do not pull it in yet.
    NotWantedBy(Vec<String>),
    /// It could not be seen what pulls it in.
    WantsUnknown(String),
    /// Unit files or links change.
    UnitFilesChange,
    /// An earlier run was cut off before the manager was told.
    ReloadWasDue,
    /// The manager says that files changed since it read them.
    ManagerIsBehind,
    /// The manager could not make sense of what it read for this unit: its word for it. It may be
    /// right by now, and 257 doesn't say of such a unit that its files changed.
    NotLoaded(String, String),
    /// It should run and does not; systemd's word for what it is.
    NotRunning(String),
    /// It was given up after failures, systemd's word for how: its start would be refused.
    GivenUp(String),
    /// It could not be seen whether it runs.
    RunUnknown,
    /// Files that it runs with change.
    OwnFilesChange(Vec<PathBuf>),
    /// The holder restarts, and every agent with it.
    HolderRestarts,
    /// The tmux server gets another socket.
    ServerMoves,
    /// Its own files changed earlier, and it runs with the old ones.
    RunsWithOldFiles,
}

impl Reason {
    /// The word that stands in JSON.
    pub fn id(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Mode { .. } => "mode",
            Self::Forced => "forced",
            Self::TakenOver => "taken-over",
            Self::NotInRoster => "not-in-roster",
            Self::Backup => "backup",
            Self::StoppedInRoster => "stopped-in-roster",
            Self::NotForBoot => "not-for-boot",
            Self::LingerOff => "linger-off",
            Self::LingerUnknown(_) => "linger-unknown",
            Self::NotWantedBy(_) => "not-enabled",
            Self::WantsUnknown(_) => "enabled-unknown",
            Self::UnitFilesChange => "unit-files-change",
            Self::ReloadWasDue => "reload-was-due",
            Self::ManagerIsBehind => "manager-is-behind",
            Self::NotLoaded(..) => "not-loaded",
            Self::NotRunning(_) => "not-running",
            Self::GivenUp(_) => "given-up",
            Self::RunUnknown => "run-unknown",
            Self::OwnFilesChange(_) => "own-files-change",
            Self::HolderRestarts => "holder-restarts",
            Self::ServerMoves => "server-moves",
            Self::RunsWithOldFiles => "runs-with-old-files",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => write!(f, "new"),
            Self::Gone => write!(f, "it is gone"),
            Self::Changed => write!(f, "changed"),
            Self::Mode { seen } => write!(f, "mode is {seen:04o}"),
            Self::Forced => write!(f, "not as we left it, overwritten by --force"),
            Self::TakenOver => write!(f, "not as we left it, taken over by --adopt"),
            Self::NotInRoster => write!(f, "no longer in the roster"),
            Self::Backup => write!(f, "keeps what is there now"),
            Self::StoppedInRoster => write!(f, "state is stopped in the roster"),
            Self::NotForBoot => write!(f, "started per task, not at boot"),
            Self::LingerOff => write!(f, "off: nothing would start at boot without a login"),
            Self::LingerUnknown(why) => write!(f, "not known whether it is on: {why}"),
            Self::NotWantedBy(by) => write!(f, "not pulled in by {}", by.join(" and ")),
            Self::WantsUnknown(why) => write!(f, "not known whether it is pulled in: {why}"),
            Self::UnitFilesChange => write!(f, "unit files or links change"),
            Self::ReloadWasDue => write!(f, "an earlier run was cut off before it"),
            Self::ManagerIsBehind => write!(f, "files changed since the manager read them"),
            Self::NotLoaded(unit, word) => write!(f, "the manager has {unit} as {word}"),
            Self::NotRunning(state) => write!(f, "wanted, and {state}"),
            Self::GivenUp(state) => write!(f, "{state}: earlier failures must not keep it from starting"),
            Self::RunUnknown => write!(f, "not known whether it runs"),
            Self::OwnFilesChange(paths) => {
                let names = paths.iter().map(|p| p.file_name().unwrap_or(p.as_os_str()).to_string_lossy());
                write!(f, "{} changed", names.collect::<Vec<_>>().join(", "))
            }
            Self::ServerMoves => write!(f, "the roster moves it to another socket"),
            Self::HolderRestarts => write!(f, "the holder restarts, and every agent with it"),
            Self::RunsWithOldFiles => write!(f, "runs with files from before the last apply"),
        }
    }
}
