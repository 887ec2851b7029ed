//! Flags: named disagreements between what should be and what is.

use serde::{Serialize, Serializer};

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        /// A named disagreement, in the order in which a row shows them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Flag { $($(#[$doc])* $name),+ }

        impl Flag {
            /// Every flag.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The bare word that stands for it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

flags!(
    /// A session that the roster does not have.
    Unknown = "UNKNOWN",
    /// Wanted, and nothing runs.
    Dead = "DEAD",
    /// systemd says active, and nothing runs.
    ExitedActive = "EXITED-ACTIVE",
    /// No beat for more than three intervals.
    Stale = "STALE",
    /// Only a sidecar answers.
    Alive = "ALIVE",
    /// No beat since the start, and its grace is over.
    NoBeat = "NO-BEAT",
    /// What stands there is no beat of this agent.
    BadBeat = "BAD-BEAT",
    /// What the pane runs is not the roster's runtime.
    Drift = "DRIFT",
    /// The runtime is not in its unit's cgroup.
    Outside = "OUTSIDE",
    /// Runs now, and would not come back after a boot.
    BootEnable = "BOOT-ENABLE",
    /// systemd has not read its file again.
    Reload = "RELOAD",
    /// Another file wins.
    Shadowed = "SHADOWED",
    /// A file of ours was changed by hand.
    Edited = "EDITED",
    /// It runs with files from before the last apply.
    Pending = "PENDING",
    /// Three or more starts within ten minutes.
    Flapping = "FLAPPING",
    /// The OOM killer ended something of it within the last hour.
    Oom = "OOM",
    /// Its supervisor is of another version.
    Skew = "SKEW",
    /// The provider's limit is reached.
    RateLimited = "RATE-LIMITED",
    /// It asks a person something.
    NeedsInput = "NEEDS-INPUT",
    /// Its login no longer holds.
    AuthExpired = "AUTH-EXPIRED",
    /// Its context is full.
    ContextFull = "CONTEXT-FULL",
    /// A person is attached and can type.
    Attached = "ATTACHED",
    /// The last message stands unsubmitted in its composer.
    Draft = "DRAFT",
    /// Messages expired before it could be given them.
    Undelivered = "UNDELIVERED",
);

impl Flag {
    /// Whether something is wrong, or a person is only told something.
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::Attached | Self::RateLimited | Self::NeedsInput | Self::Unknown)
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
