//! What the caller of a plan allows, each choice with a name of its own.

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How far to go.
    pub reach: Reach,
    /// What becomes of running agents whose own files changed.
    pub restarts: Restarts,
    /// What becomes of a running holder whose own files changed.
    pub holder: HolderRestart,
    /// What becomes of files that are not as we left them.
    pub conflicts: Conflicts,
    /// Whether agents that are wanted and not running are started.
    pub starting: Starting,
    /// Whether the roster names another socket than the one that was installed.
    pub server: Server,
    /// Whose the units are.
    pub units: Units,
}

/// Whose the units are, with the links that pull them in, and lingering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// The tenant's own, for us to write.
    Ours,
    /// The machine's: its configuration declares them, and nothing of them is changed here.
    Declared,
}

/// Whether the fleet's tmux server stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// It does.
    Stays,
    /// Its socket has another place: then nothing that runs fits the new files, and nothing is
    /// done by halves.
    Moves,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Files, units, lingering and jobs.
    Everything,
    /// Files alone.
    FilesOnly,
}

/// What becomes of running agents whose own files changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restarts {
    /// They are restarted.
    Changed,
    /// They run on, and their restart is pending.
    Hold,
}

/// What becomes of a running holder whose own files changed: its restart ends every agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderRestart {
    /// It runs on, and its restart is pending.
    Hold,
    /// It is restarted.
    Restart,
}

/// What becomes of files that are not as we left them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// They are kept.
    Keep,
    /// They are overwritten; a copy of each is kept beside it.
    Overwrite,
    /// They are overwritten; the caller has saved what stood there.
    TakeOver,
}

/// Whether what is wanted and not running is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// It is.
    Now,
    /// It is left to the next boot or to `fleet start`.
    Later,
}

impl Default for Options {
    /// What `fleet apply` does without a flag.
    fn default() -> Self {
        Self {
            reach: Reach::Everything,
            restarts: Restarts::Changed,
            holder: HolderRestart::Hold,
            conflicts: Conflicts::Keep,
            starting: Starting::Now,
            server: Server::Stays,
            units: Units::Ours,
        }
    }
}
