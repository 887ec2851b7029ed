//! The single values of a declaration. Each states its rule once, in words for a message and as a schema
//! for editors.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::roster::{Profile, schema};
use crate::yaml::{self, FromScalar, Log, Node, Problem, Read, Refusal, Scalar, Value, inline_schema};

/// The longest path of a user's database entry that is taken.
const LONGEST_PATH: usize = 255;

/// A path as the password database can hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry(pub String);

impl FromScalar for Entry {
    fn expected() -> String {
        format!("a path that begins with /, at most {LONGEST_PATH} bytes, without .. and without a colon")
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.as_text()?;
        let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
        let plain = |part: &str| !matches!(part, "" | "." | "..");
        let good = parts.is_some_and(|mut parts| parts.all(plain))
            && text.len() <= LONGEST_PATH
            && yaml::shown(text)
            && !text.contains(':');
        if good { Ok(Self(text.to_owned())) } else { Err(Refusal::default()) }
    }
}

inline_schema!(
    Entry,
    json_schema!({ "type": "string", "maxLength": LONGEST_PATH, "pattern": r"^(/(?!\.{1,2}(/|$))[^/:\x00-\x1f\x7f-\x9f]+)+$" })
);

impl FromScalar for Profile {
    fn expected() -> String {
        yaml::one_of(Self::names())
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        Self::by_name(&scalar.text).ok_or_else(|| Refusal::suggest(&scalar.text, Self::names()))
    }
}

inline_schema!(Profile, json_schema!({ "enum": Profile::names() }));

/// A roster that stands in the declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Inline(pub Node);

impl Read for Inline {
    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return Some(Self(node.clone()));
        }
        log.add(
            Problem::new(node.place, format_args!("{what} cannot be {}", node.kind()))
                .expected("a roster: a mapping that begins with `version: 1`"),
        );
        None
    }
}

impl JsonSchema for Inline {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Roster".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::part(generator)
    }
}
