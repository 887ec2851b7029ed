//! Single values: texts, lines, numbers, keywords. Each says what it expects in words.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Kind, Log, Node, Problem, Read, Scalar, Value};

/// A value that is one word, number or text.
pub trait FromScalar: Sized {
    /// Whether it may be a secret: then a message never shows what was seen.
    const SECRET: bool = false;

    /// What is allowed, in words that follow "expected".
    fn expected() -> String;

    /// The value, or what is to be said beyond what is allowed.
    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal>;
}

/// A scalar was refused; a line to say with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal(pub Option<String>);

impl Refusal {
    /// Refused with a line to say.
    pub fn note(note: impl Into<String>) -> Self {
        Self(Some(note.into()))
    }

    /// Refused where a boolean is expected: what other YAML readers take for one is translated.
    pub fn truth(seen: &str) -> Self {
        let meant = match seen.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" => true,
            "false" | "no" | "n" | "off" | "0" => false,
            _ => return Self(None),
        };
        match seen == meant.to_string() {
            true => Self::note(format!("write it without quotes: {meant}")),
            false => Self::note(format!("did you mean {meant}?")),
        }
    }

    /// Refused; the nearest of those words was probably meant.
    pub fn suggest<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        Self(super::nearest(seen, words).map(|word| format!("did you mean {word:?}?")))
    }
}

impl Scalar {
    /// The text, where it is one to YAML too; else the advice to quote it.
    pub fn as_text(&self) -> Result<&str, Refusal> {
        match self.kind {
            Kind::Text => Ok(&self.text),
            _ => Err(Refusal::note(format!("quote it: {:?}", self.text))),
        }
    }
}

impl<T: FromScalar> Read for T {
    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self> {
        let Value::Scalar(scalar) = &node.value else {
            log.add(refuse::<T>(node, what));
            return None;
        };
        match T::from_scalar(scalar) {
            Ok(value) => Some(value),
            Err(Refusal(note)) => {
                let problem = refuse::<T>(node, what);
                log.add(match note {
                    Some(note) => problem.note(note),
                    None => problem,
                });
                None
            }
        }
    }
}

fn refuse<T: FromScalar>(node: &Node, what: &str) -> Problem {
    let seen = match &node.value {
        Value::Scalar(_) if T::SECRET => "this value".to_owned(),
        _ => node.seen(),
    };
    Problem::new(node.place, format_args!("{what} cannot be {seen}")).expected(T::expected())
}

/// The longest [`Line`] in characters.
const LONGEST_LINE: usize = 1000;

/// Whether all its characters are ones that a terminal shows: no control characters, and none of
/// the code points that are no character.
pub(crate) fn shown(text: &str) -> bool {
    let noncharacter = |c: char| {
        let code = u32::from(c);
        (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    !text.chars().any(|c| c.is_control() || noncharacter(c))
}

/// One line that people read in a table: never empty, of characters that a terminal shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(pub String);

impl FromScalar for Line {
    fn expected() -> String {
        format!("one line of text, at most {LONGEST_LINE} characters, without control characters")
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.as_text()?;
        let good = !text.trim().is_empty() && text.chars().count() <= LONGEST_LINE && shown(text);
        if good { Ok(Self(text.to_owned())) } else { Err(Refusal::default()) }
    }
}

/// A whole number between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> FromScalar for Whole<MIN, MAX> {
    fn expected() -> String {
        match MAX {
            i64::MAX => format!("a whole number, at least {MIN}"),
            _ => format!("a whole number from {MIN} to {MAX}"),
        }
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        match scalar.kind {
            Kind::Int(number) => i64::try_from(number)
                .ok()
                .filter(|n| (MIN..=MAX).contains(n))
                .map(Self)
                .ok_or_else(Refusal::default),
            _ => Err(Refusal::default()),
        }
    }
}

impl FromScalar for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        match scalar.kind {
            Kind::Bool(value) => Ok(value),
            _ => Err(Refusal::truth(&scalar.text)),
        }
    }
}

/// Makes an enum one of a few words: reads it, shows it, describes it to editors.
macro_rules! keyword {
    (
        $name:ident { $($word:literal => $variant:ident),+ $(,)? }
        $(reserved { $($later:literal => $reason:literal),+ })?
    ) => {
        impl $name {
            /// Every word that is allowed.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $crate::yaml::FromScalar for $name {
            fn expected() -> String {
                $crate::yaml::one_of(Self::WORDS.iter().copied())
            }

            fn from_scalar(scalar: &$crate::yaml::Scalar) -> Result<Self, $crate::yaml::Refusal> {
                match scalar.text.as_str() {
                    $($word => Ok(Self::$variant),)+
                    $($($later => Err($crate::yaml::Refusal::note($reason)),)+)?
                    other => Err($crate::yaml::Refusal::suggest(other, Self::WORDS.iter().copied())),
                }
            }
        }

        $crate::yaml::inline_schema!($name, schemars::json_schema!({ "enum": Self::WORDS }));

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use keyword;

/// Describes a scalar type to editors, in place.
macro_rules! inline_schema {
    ($type:ty, $schema:expr) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}
pub(crate) use inline_schema;

inline_schema!(
    Line,
    json_schema!({
        "type": "string",
        "maxLength": LONGEST_LINE,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*$",
    })
);

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match MAX {
            i64::MAX => json_schema!({ "type": "integer", "minimum": MIN }),
            _ => json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX }),
        }
    }
}
