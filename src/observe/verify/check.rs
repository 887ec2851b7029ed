//! One check: what was expected, what was seen, and what to do about it.

use serde::{Serialize, Serializer};

use crate::names::AgentName;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked.
    pub id: &'static str,
    /// Of which agent; `None` for the fleet's own.
    pub agent: Option<AgentName>,
    /// Whether it holds.
    pub ok: bool,
    /// Why not; or why it holds although nothing runs.
    pub reason: Option<Why>,
    /// What was seen.
    pub seen: String,
    /// What should be.
    pub expected: String,
    /// What to do, to be copied.
    pub cure: Option<String>,
}

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
    /// logind does not start the user's manager at boot.
    LingerOff = "linger-off",
    /// A file is missing or not as it should be.
    NotAsRendered = "not-as-rendered",
    /// A file was changed by hand, or is not ours.
    Edited = "edited",
    /// Nothing pulls its unit in.
    NotEnabled = "not-enabled",
    /// Something pulls it in that should not.
    NotForBoot = "not-for-boot",
    /// Its unit is masked.
    Masked = "masked",
    /// Another file wins.
    Shadowed = "shadowed",
    /// systemd has not read what stands on disk.
    ReloadPending = "reload-pending",
    /// It runs with files from before the last apply.
    RestartPending = "restart-pending",
    /// Its unit was never told to start, and nothing does at boot.
    NeverWanted = "never-wanted",
    /// Stopped on purpose: nothing is wrong.
    Parked = "parked",
    /// Its start is under way.
    Starting = "starting",
    /// It is down because the holder is.
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
    /// A session that the roster does not have.
    UnknownSession = "unknown-session",
    /// A name hit a session of which it is only the beginning.
    PrefixHit = "prefix-hit",
    /// A program is not found on the agent's PATH.
    NotOnPath = "not-on-path",
    /// A local override tries to change who the agent is.
    Override = "override",
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

impl Check {
    /// A check that holds.
    pub fn holds(id: &'static str, agent: Option<&AgentName>, seen: impl Into<String>) -> Self {
        let seen = seen.into();
        Self { id, agent: agent.cloned(), ok: true, reason: None, expected: seen.clone(), seen, cure: None }
    }

    /// A check that does not.
    pub fn fails(
        id: &'static str,
        agent: Option<&AgentName>,
        reason: Why,
        seen: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            id,
            agent: agent.cloned(),
            ok: false,
            reason: Some(reason),
            seen: seen.into(),
            expected: expected.into(),
            cure: None,
        }
    }

    /// With what to do.
    pub fn cure(mut self, command: impl Into<String>) -> Self {
        self.cure = Some(command.into());
        self
    }

    /// With why it holds nevertheless.
    pub fn because(mut self, reason: Why) -> Self {
        self.reason = Some(reason);
        self
    }
}
