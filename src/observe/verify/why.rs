//! Why a check does not hold, each reason a word of its own.

use serde::{Serialize, Serializer};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// Why a check does not hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Why { $($(#[$doc])* $name),+ }

        impl Why {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word that stands in JSON.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

reasons!(
    /// It could not be looked at.
    Unknown = "unknown",
    /// Its start is so young that the first beat need not be there yet.
    Waiting = "waiting",
    /// No manager of the user runs.
    NoManager = "no-manager",
    /// logind does not start the user's manager at boot.
    LingerOff = "linger-off",
    /// The user's account has ended, so that no boot starts its manager.
    AccountEnded = "account-ended",
    /// A file is missing or not as it should be.
    NotAsRendered = "not-as-rendered",
    /// A file was changed by hand, or is not ours.
    Edited = "edited",
    /// The fleet was made by hand and not taken over yet.
    HandMade = "hand-made",
    /// Nothing pulls its unit in.
    NotEnabled = "not-enabled",
    /// Something pulls it in that should not.
    NotForBoot = "not-for-boot",
    /// Its unit is masked.
    Masked = "masked",
    /// Another file wins.
    Shadowed = "shadowed",
    /// What its files say keeps it from starting.
    BadUnit = "bad-unit",
    /// systemd has not read what stands on disk.
    ReloadPending = "reload-pending",
    /// It runs with files from before the last apply.
    RestartPending = "restart-pending",
    /// Nothing pulls its unit in, so it was never told to start.
    NeverWanted = "never-wanted",
    /// Stopped on purpose: nothing is wrong.
    Parked = "parked",
    /// Its start is under way.
    Starting = "starting",
    /// It is down because the holder is, or was when it should have started.
    HolderFailed = "holder-failed",
    /// It is wanted and enabled, and was not started in this boot.
    NotStarted = "not-started",
    /// It was started and is down.
    NotRunning = "not-running",
    /// Its unit failed.
    Failed = "failed",
    /// It ended too often, and systemd gave up.
    StartLimit = "start-limit",
    /// It ended in a way that trying again can't cure.
    CannotRetry = "cannot-retry",
    /// systemd says active, and nothing runs.
    ExitedActive = "exited-active",
    /// Its unit is up, and its pane is dead.
    PaneDead = "pane-dead",
    /// It runs outside its unit's cgroup.
    Outside = "outside",
    /// Its pane runs something else than the roster says.
    Drift = "drift",
    /// Its last beat is too old.
    Stale = "stale",
    /// Its start was dropped from the boot, to break a circle in the order of units.
    OrderingCycle = "ordering-cycle",
    /// The home came after the user's manager, which had nothing to start.
    HomeLate = "home-late",
    /// Only a sidecar answers.
    Alive = "alive",
    /// No beat in this run.
    NoBeat = "no-beat",
    /// What stands there is no beat of this agent.
    BadBeat = "bad-beat",
    /// Nothing listens on the server's socket.
    NoServer = "no-server",
    /// The server is not the holder's.
    ForeignServer = "foreign-server",
    /// The server is of another version than the program that is installed.
    TmuxVersion = "tmux-version",
    /// A session that the roster does not have.
    UnknownSession = "unknown-session",
    /// An agent that neither the roster nor the ledger knows runs or is pulled in.
    UnknownAgent = "unknown-agent",
    /// A name hit a session of which it is only the beginning.
    PrefixHit = "prefix-hit",
    /// A program is not found on the agent's PATH.
    NotOnPath = "not-on-path",
    /// A local override tries to change who the agent is.
    Override = "override",
    /// It started again and again: told, no failure by itself.
    Flapping = "flapping",
    /// The OOM killer ended something of it: told, no failure by itself.
    Oom = "oom",
    /// Its supervisor is of another version: told, no failure by itself.
    Skew = "skew",
    /// Something else than what was restarted changed.
    OthersChanged = "others-changed",
    /// What was restarted did not come back.
    NotBack = "not-back",
);

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Why {
    /// Whether nothing is wrong yet: it is on its way, and a later look tells more.
    pub fn is_underway(self) -> bool {
        matches!(self, Self::Waiting | Self::Starting)
    }
}
