//! The tree: what stands in a file, each value with its place and plain scalars as they were typed.
//!
//! The typed text matters: `027`, `1.10` and `on` mean what the reader of a key says, not what a
//! YAML schema turns them into.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Location, MessageFormatter, Spanned};

use super::Problem;

/// Larger files are refused: no definition that people write comes near.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A place in a file, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl Place {
    /// The beginning of the file.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

/// A value and where it stands; behind an alias, where the anchor stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A single word, number or text.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping with its entries in order; a key may stand twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

/// A scalar: its text as it was typed, and what it is to YAML.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// Without quotes and escapes.
    pub text: String,
    /// What it is to YAML.
    pub kind: Kind,
}

/// What a scalar is to YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A text, quoted or not.
    Text,
    /// `true` or `false`, not quoted.
    Bool(bool),
    /// A whole number, not quoted.
    Int(i128),
    /// Another number, not quoted.
    Float,
}

/// A file's bytes as text.
pub fn text(bytes: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let good = String::from_utf8_lossy(good);
        let last = good.rsplit('\n').next().unwrap_or_default();
        let place =
            Place { line: 1 + good.matches('\n').count() as u64, column: 1 + last.chars().count() as u64 };
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        Problem::new(place, format_args!("the byte 0x{byte:02x} is not UTF-8"))
            .expected("a text file in UTF-8")
    })
}

/// Reads a file of one document. Anchors, aliases and merge keys are resolved, within bounds.
pub fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::new(Place::START, format_args!("the file has {} bytes", text.len()))
            .expected(format_args!("at most {MAX_BYTES}")));
    }
    let options = serde_yaml::options! {
        // Duplicates reach the tree, so that both places can be named.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: 32, max_nodes: 100_000, max_documents: 2 },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 100_000 },
    };
    serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options)
        .map(|raw| settle(raw, text))
        .map_err(|error| explain(&error))
}

/// The parser's own error in our words where it speaks of its API, else in its words.
fn explain(error: &Error) -> Problem {
    let place = error.location().map_or(Place::START, Place::from);
    match error.without_snippet() {
        Error::MultipleDocuments { .. } => Problem::new(place, "a second YAML document begins here")
            .expected("one document: remove the `---` and what follows, or make it a file of its own"),
        Error::Budget { breach, .. } => {
            Problem::new(place, format_args!("the file is too large or too deep: {breach:?}"))
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            Problem::new(place, "aliases make the file too large").note("write the values out")
        }
        other => Problem::new(place, serde_yaml::UserMessageFormatter.format_message(other)),
    }
}

/// A value as the parser hands it over, before its typed text is looked up.
enum Raw {
    Null,
    Text(String),
    Plain(Kind, String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn settle(raw: Spanned<Raw>, text: &str) -> Node {
    let place = Place::from(raw.defined);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar(Scalar { text, kind: Kind::Text }),
        Raw::Plain(kind, canonical) => {
            let text = typed(raw.defined, text).unwrap_or(canonical);
            Value::Scalar(Scalar { text, kind })
        }
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, text)).collect()),
        Raw::Map(entries) => {
            Value::Map(entries.into_iter().map(|(k, v)| (key(k, text), settle(v, text))).collect())
        }
    };
    Node { place, value }
}

/// The text of a plain scalar; `None` where a tag or quotes stand around it.
fn typed(location: Location, text: &str) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let typed = text.get(start..start.checked_add(length)?)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    (!typed.is_empty() && typed.chars().all(plain)).then(|| typed.to_owned())
}

fn key(raw: Spanned<Raw>, text: &str) -> Key {
    let node = settle(raw, text);
    let text = match node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(scalar) => scalar.text,
        // No record and no name has such a key, so it is refused as an unknown one.
        Value::List(_) => "[…]".to_owned(),
        Value::Map(_) => "{…}".to_owned(),
    };
    Key { place: node.place, text }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Bool(value), value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Int(value.into()), value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Int(value.into()), value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Int(value), value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(Kind::Float, value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
