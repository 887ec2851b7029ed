//! The tree: what stands in a file, each value with its place and plain scalars as they were typed.
//!
//! The typed text matters: `027`, `1.10` and `on` mean what the reader of a key says, not what a
//! YAML schema turns them into.

use std::fmt;

use serde_yaml::Location;

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
    /// What, as it was typed.
    pub text: String,
    /// What it is, where it is no text to YAML.
    pub odd: Option<String>,
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

impl Node {
    /// What stands there, in words: short, without line ends.
    pub fn seen(&self) -> String {
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Scalar(Scalar { text, kind }) => {
                let short: String = text.chars().take(60).collect();
                let more = if short.len() < text.len() { "…" } else { "" };
                match kind {
                    Kind::Text => format!("{:?}", format!("{short}{more}")),
                    Kind::Bool(_) => format!("the boolean {short}"),
                    Kind::Int(_) | Kind::Float => format!("the number {short}{more}"),
                }
            }
        }
    }

    /// What stands there without its text, for what may hold secrets.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "empty",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Text => "a text",
                Kind::Bool(_) => "a boolean",
                Kind::Int(_) | Kind::Float => "a number",
            },
        }
    }
}
