//! The single values of a roster: names, folders, commands. Each states its rule once, in words for
//! a message and as a schema for editors.

use schemars::json_schema;

use super::valid::Persona;
use crate::envfile;
use crate::names::{AgentName, EnvName, RuntimeName, SessionName, SocketName, TenantId, UserName};
use crate::yaml::{FromScalar, Kind, Refusal, Scalar, inline_schema, shown};

macro_rules! name {
    ($type:ident, $pattern:literal) => {
        impl FromScalar for $type {
            fn expected() -> String {
                Self::RULE.to_owned()
            }

            fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
                Self::parse(scalar.as_text()?).map_err(|_| Refusal::default())
            }
        }

        inline_schema!($type, json_schema!({ "type": "string", "pattern": $pattern }));
    };
}

name!(AgentName, "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$");
name!(SessionName, "^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$");
name!(SocketName, "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$");
name!(RuntimeName, "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$");
name!(TenantId, "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$");
name!(UserName, "^[a-z_][a-z0-9_-]{0,31}$");
name!(EnvName, "^[A-Za-z_][A-Za-z0-9_]{0,254}$");

/// The version of the roster's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl FromScalar for Version {
    fn expected() -> String {
        "1".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        match scalar.kind {
            Kind::Int(1) => Ok(Self),
            Kind::Int(2..) => {
                Err(Refusal::note("a newer mosaic-fleet may know it; this one knows version 1 alone"))
            }
            _ if scalar.text == "1" => Err(Refusal::note("write it without quotes: 1")),
            _ => Err(Refusal::default()),
        }
    }
}

inline_schema!(Version, json_schema!({ "const": 1 }));

impl FromScalar for Persona {
    fn expected() -> String {
        "true, false or semi".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        match (scalar.kind, scalar.text.as_str()) {
            (Kind::Bool(true), _) => Ok(Self::Yes),
            (Kind::Bool(false), _) => Ok(Self::No),
            (_, "semi") => Ok(Self::Semi),
            (_, text) => Err(match Refusal::truth(text) {
                Refusal(None) => Refusal::suggest(text, ["semi", "true", "false"]),
                translated => translated,
            }),
        }
    }
}

inline_schema!(Persona, json_schema!({ "enum": [true, false, "semi"] }));

/// The longest path that the kernel takes, in bytes.
const LONGEST_PATH: usize = 4095;

/// A place in the tenant's view: absolute, or below the home by `~` or `%h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub String);

impl FromScalar for Place {
    fn expected() -> String {
        "a path that begins with /, or with ~/ or %h/ for the tenant's home".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.as_text()?;
        let rooted = matches!(text, "~" | "%h") || ["/", "~/", "%h/"].iter().any(|r| text.starts_with(r));
        if rooted && text.len() <= LONGEST_PATH && shown(text) {
            return Ok(Self(text.to_owned()));
        }
        let below_home = ["$HOME/", "${HOME}/", "./"].iter().find_map(|p| text.strip_prefix(p));
        Err(match below_home {
            Some(rest) => Refusal::note(format!("did you mean {:?}?", format!("~/{rest}"))),
            None => Refusal::default(),
        })
    }
}

inline_schema!(
    Place,
    json_schema!({
        "type": "string",
        "maxLength": LONGEST_PATH,
        "pattern": r"^(~|%h|(~|%h)?/[^\x00-\x1f\x7f-\x9f]*)$",
    })
);

/// A shell line, perhaps of several lines: what a variable can carry to the pane's shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(pub String);

impl FromScalar for Command {
    fn expected() -> String {
        "a shell line".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.as_text()?;
        if text.trim().is_empty() {
            return Err(Refusal::note("remove the key for the launch command that is usual"));
        }
        let carried = EnvName::parse("MOSAIC_AGENT_COMMAND").map(|name| envfile::check(&name, text));
        match carried {
            Ok(Err(refused)) => Err(Refusal::note(refused.why.to_string())),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

inline_schema!(Command, json_schema!({ "type": "string", "pattern": r"\S" }));

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar { text: text.to_owned(), kind: Kind::Text }
    }

    #[test]
    fn a_folder_is_found_from_anywhere() {
        for good in ["/", "/srv/x y", "~", "~/src", "%h", "%h/src"] {
            assert!(Place::from_scalar(&text(good)).is_ok(), "{good}");
        }
        for bad in ["", "src", "./src", "../src", "~bob/src", "%hsrc", "$HOME/src", "/a\nb", "%t/x"] {
            assert!(Place::from_scalar(&text(bad)).is_err(), "{bad}");
        }
    }
}
