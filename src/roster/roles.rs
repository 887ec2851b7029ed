//! The role library: personas that agents start with.

/// The roles of the library.
pub const NAMES: [&str; 9] = [
    "orchestrator",
    "implementer",
    "reviewer",
    "security_reviewer",
    "final_reviewer",
    "enhancer",
    "analyst",
    "finance",
    "researcher",
];

/// The classes that are known: the library's roles, and the agent that `verify --deep` restarts.
pub const CLASSES: [&str; 10] = [
    "orchestrator",
    "implementer",
    "reviewer",
    "security_reviewer",
    "final_reviewer",
    "enhancer",
    "analyst",
    "finance",
    "researcher",
    "canary",
];
