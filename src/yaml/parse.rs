//! The parser behind the tree: its bounds, its errors in words, and the way from its values to ours.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::budget::BudgetBreach;
use serde_yaml::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_yaml::{Error, Location, MessageFormatter, Spanned};

use super::{Key, Kind, Node, Place, Problem, Scalar, Value};

/// Larger files are refused: no definition that people write comes near.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Larger trees are refused: keys and values are what reading costs time and memory for.
const MAX_VALUES: usize = 100_000;

/// A file's bytes as text. Of one that is too large the reader may have taken a part alone.
pub fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > MAX_BYTES {
        return Err(too_large());
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem::new(Place::START, "the file is in UTF-16").expected("a text file in UTF-8"));
    }
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
        return Err(too_large());
    }
    let options = serde_yaml::options! {
        // Duplicates reach the tree, so that both places can be named.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: 32, max_nodes: MAX_VALUES, max_documents: 2 },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: 100_000 },
    };
    serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options)
        .map(|raw| settle(raw, text))
        .map_err(|error| explain(&error))
}

fn too_large() -> Problem {
    Problem::new(Place::START, "the file is too large to be a roster")
        .expected(format_args!("at most {} MiB", MAX_BYTES / (1024 * 1024)))
}

/// The parser's own error in our words, with what usually is behind it. Never with what stands in
/// the file: at this point nobody knows yet whether it is the value of a variable.
fn explain(error: &Error) -> Problem {
    let place = error.location().map_or(Place::START, Place::from);
    match error.without_snippet() {
        Error::AliasError { error, .. } => explain(error),
        Error::MultipleDocuments { .. } => Problem::new(place, "a second YAML document begins here")
            .expected("one document: remove the `---` and what follows, or make it a file of its own"),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => Problem::new(place, TOO_DEEP),
        Error::Budget { .. } => Problem::new(place, "the file has too many values, up to here")
            .expected(format_args!("at most {MAX_VALUES} keys and values")),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            Problem::new(place, "its aliases make the file too large here").note("write the values out")
        }
        Error::UnknownAnchor { .. } => {
            Problem::new(place, "an alias to an anchor that does not stand above it")
                .note("quote the text if it is meant to begin with `*`")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Problem::new(place, "an alias to what it stands in")
        }
        Error::UnsupportedTag { .. } => Problem::new(place, "a tag, which has no meaning here")
            .note("quote the text if it is meant to begin with `!`"),
        other => {
            let message = serde_yaml::UserMessageFormatter.format_message(other);
            match IN_OUR_WORDS.iter().find(|(part, ..)| message.contains(part)) {
                Some((_, words, "")) => Problem::new(place, words),
                Some((_, words, cause)) => Problem::new(place, words).note(cause),
                None => Problem::new(place, &message),
            }
        }
    }
}

const TOO_DEEP: &str = "lists and mappings are nested too deep here";
const INDENTATION: &str = "check the indentation: what belongs together begins in the same column";

/// A part of what the parser says, the same in our words, and what usually is behind it.
const IN_OUR_WORDS: [(&str, &str, &str); 17] = [
    (
        "simple key expected",
        "neither `key: value` nor an item behind a `-`",
        "a key ends with `:` and a blank",
    ),
    ("recursion limit", TOO_DEEP, ""),
    ("unclosed quote", "a quote that is opened here is never closed", ""),
    ("multiline quoted", "a text in quotes goes on here, too far left", "perhaps a quote is left open above"),
    ("trailing content", "text behind the closing quote", "quote it as a whole"),
    (
        "escape",
        "an escape that YAML does not know",
        "write two backslashes for one, or put the text into single quotes",
    ),
    ("tab", "a tab where blanks are expected", "indent with spaces"),
    ("unclosed bracket", "a bracket that is opened here is never closed", ""),
    (
        "expected ',' or",
        "a list or mapping in brackets breaks off here",
        "expected `,` or its closing bracket",
    ),
    ("block collection", "what stands here belongs to nothing above it", INDENTATION),
    ("block mapping", "what stands here belongs to nothing above it", INDENTATION),
    (
        "mapping values are not allowed",
        "a second `:` where one value is expected",
        "quote a text with `: ` in it; else check the indentation",
    ),
    ("`\\u{0}'", "a NUL byte", "the file was not written whole: write it again, or take a copy of it"),
    (
        "unexpected character: `\\u{",
        "a character that YAML does not take as it is",
        r#"remove it, or write it in double quotes as an escape such as "\x7f" or "\u0081""#,
    ),
    ("unexpected character", "a character that no text begins with", "put the text into quotes"),
    ("merge value", "`<<` merges a mapping, and this is none", "remove it, or name a mapping by its anchor"),
    ("unexpected EOF", "the file ends in the middle of something", ""),
];

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
    match &node.value {
        Value::Scalar(Scalar { text, kind: Kind::Text }) => {
            Key { place: node.place, text: text.clone(), odd: None }
        }
        Value::Scalar(scalar) => Key { place: node.place, text: scalar.text.clone(), odd: Some(node.seen()) },
        _ => Key { place: node.place, text: String::new(), odd: Some(node.seen()) },
    }
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
