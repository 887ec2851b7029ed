//! YAML files that people write: text to typed records, and every problem with its place.
//!
//! A file is read into a tree first ([`Node`]) and into records from there, so that one reading
//! tells all that is wrong with it. Knows no key of its own, reads no file and prints nothing.

mod emit;
mod lists;
mod node;
mod parse;
mod problem;
mod record;
mod scalar;
#[cfg(test)]
pub mod schema_tests;

pub use emit::emit;
pub use lists::{List, Map};
pub use node::{Key, Kind, Node, Place, Scalar, Value};
pub use parse::{MAX_BYTES, parse, text};
pub use problem::{Log, Problem, Problems, closest, nearest, one_of};
pub(crate) use record::record;
pub use record::{At, Field, Read, Record, fields, pairs};
pub use scalar::{FromScalar, Line, Refusal, Whole};
pub(crate) use scalar::{inline_schema, keyword, shown};
