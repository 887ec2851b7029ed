//! Checked names: an address that exists as one of these types needs no second check.
//!
//! Each type has one constructor, `parse`, which states the rule it refused by. Nothing here knows
//! of files, systemd or tmux beyond the characters they can carry safely.

use std::fmt;

use serde::Serialize;

/// Why a name was refused: what was seen and the rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {seen:?} is not allowed: {rule}")]
pub struct NameError {
    /// What kind of name it was meant to be, for instance `agent name`.
    pub what: &'static str,
    /// The text that was refused.
    pub seen: String,
    /// The rule, in words.
    pub rule: &'static str,
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The rule this type enforces, in words.
            pub const RULE: &'static str = $rule;

            /// Checks `text` and keeps it.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NameError { what: $what, seen: text.to_owned(), rule: Self::RULE })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn word(text: &str, first: fn(u8) -> bool, rest: fn(u8) -> bool, longest: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && bytes.first().is_some_and(|b| first(*b))
        && bytes.iter().skip(1).all(|b| rest(*b))
}

fn alnum_(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn alnum_dash(b: u8) -> bool {
    alnum_(b) || b == b'-'
}

fn alnum_dash_dot(b: u8) -> bool {
    alnum_dash(b) || b == b'.'
}

name_type!(
    /// An agent: the instance name of its unit and the name of its tmux session.
    ///
    /// The characters are those that need no escaping in a unit name, a tmux target, a file name
    /// or a shell word, so the same text is the address everywhere.
    AgentName,
    "agent name",
    "1 to 63 of A-Z a-z 0-9 _ -, not beginning with -",
    |t| word(t, alnum_, alnum_dash, 63)
);

name_type!(
    /// A tenant: one Linux user's fleet.
    TenantId,
    "tenant",
    "1 to 32 of A-Z a-z 0-9 _ . -, not beginning with - or .",
    |t| word(t, alnum_, alnum_dash_dot, 32)
);

name_type!(
    /// A user whom the machine's own tools would make: no capital letters, no dots.
    UserName,
    "user name",
    "1 to 32 of a-z 0-9 _ -, beginning with a-z or _",
    |t| word(
        t,
        |b| b.is_ascii_lowercase() || b == b'_',
        |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-',
        32
    )
);

name_type!(
    /// A tmux socket name, as given to `tmux -L`.
    SocketName,
    "tmux socket name",
    "1 to 63 of A-Z a-z 0-9 _ . -, not beginning with - or .",
    |t| word(t, alnum_, alnum_dash_dot, 63)
);

name_type!(
    /// A tmux session name; the holder's, since an agent's session has the agent's name.
    SessionName,
    "tmux session name",
    "1 to 63 of A-Z a-z 0-9 _ -, not beginning with -",
    |t| word(t, alnum_, alnum_dash, 63)
);

name_type!(
    /// A runtime: claude, codex, opencode, pi, dogfood, or one the roster defines.
    RuntimeName,
    "runtime name",
    "1 to 63 of A-Z a-z 0-9 _ . -, not beginning with - or .",
    |t| word(t, alnum_, alnum_dash_dot, 63)
);

name_type!(
    /// An environment variable's name, as both systemd and a POSIX shell accept it.
    EnvName,
    "environment variable name",
    "1 to 255 of A-Z a-z 0-9 _, not beginning with a digit",
    |t| word(t, |b| alnum_(b) && !b.is_ascii_digit(), alnum_, 255)
);

name_type!(
    /// A machine, as the kernel names it.
    HostName,
    "host name",
    "1 to 253 of A-Z a-z 0-9 . _ -, not beginning with - or .",
    |t| word(t, alnum_, alnum_dash_dot, 253)
);

/// The holder's unit: the one that owns the tmux server.
pub const HOLDER_UNIT: &str = "mosaic-tmux-holder.service";
/// The agents' template unit.
pub const AGENT_TEMPLATE: &str = "mosaic-agent@.service";
/// The roster's default for `tmux.socket_name`.
pub const DEFAULT_SOCKET: &str = "mosaic-factory";
/// The roster's default for `tmux.holder_session`.
pub const DEFAULT_HOLDER_SESSION: &str = "_holder";

/// Variables that AGENT.local.env may not change.
pub const PROTECTED: [&str; 6] = [
    "MOSAIC_HOME",
    "MOSAIC_TMUX_SOCKET",
    "MOSAIC_TMUX_HOLDER",
    "MOSAIC_AGENT_NAME",
    "MOSAIC_TENANT_ID",
    "MOSAIC_HOST",
];

impl AgentName {
    /// The agent's unit, `mosaic-agent@NAME.service`; the name never needs systemd's escaping.
    pub fn unit(&self) -> String {
        format!("mosaic-agent@{}.service", self.0)
    }

    /// The agent whose unit this is, if it is one of ours.
    pub fn from_unit(unit: &str) -> Option<Self> {
        let instance = unit.strip_prefix("mosaic-agent@")?.strip_suffix(".service")?;
        Self::parse(instance).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_names_are_safe_as_unit_instance_and_tmux_target() {
        for good in ["coder0", "bot-1", "_x", "9", &"a".repeat(63)] {
            assert!(AgentName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a.b", "a:b", "a b", "a/b", "é", "a\n", &"a".repeat(64)] {
            assert!(AgentName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_unit_name_leads_back_to_its_agent() {
        let agent = AgentName::parse("bot-1").expect("a good name");
        assert_eq!(agent.unit(), "mosaic-agent@bot-1.service");
        assert_eq!(AgentName::from_unit(&agent.unit()), Some(agent));
        assert_eq!(AgentName::from_unit("mosaic-agent@.service"), None);
        assert_eq!(AgentName::from_unit("other@x.service"), None);
    }

    #[test]
    fn a_variable_name_never_begins_with_a_digit() {
        assert!(EnvName::parse("_A9").is_ok());
        assert!(EnvName::parse("9A").is_err());
        assert!(EnvName::parse("A-B").is_err());
    }
}
