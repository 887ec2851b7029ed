//! Mappings with known keys, lists, and maps from names: what a tree is read into.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{FromScalar, Key, Log, Node, Place, Problem, Value, nearest, one_of};

/// Something that can be read from a tree.
pub trait Read: Sized {
    /// Whether a key with nothing behind it means the same as no key: so it is for mappings and
    /// lists, of which every line may be commented out.
    const EMPTY_IS_ABSENT: bool = false;

    /// Reads it; what is wrong goes to the log. `what` is what it is called there.
    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self>;
}

/// A value and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<T> {
    /// What.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// What stands behind a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// It was refused, and that has been said.
    Bad,
    /// A value.
    Given(At<T>),
}

impl<T> Field<T> {
    /// The value with its place, where there is a good one.
    pub fn given(self) -> Option<At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Bad => None,
        }
    }

    /// The value, where there is a good one.
    pub fn value(self) -> Option<T> {
        self.given().map(|at| at.value)
    }

    /// Where the value stands, where there is a good one.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Given(at) => Some(at.place),
            Self::Absent | Self::Bad => None,
        }
    }
}

impl<T: Read + JsonSchema> JsonSchema for Field<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = generator.subschema_for::<T>();
        if T::EMPTY_IS_ABSENT { json_schema!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
    }
}

/// A mapping with known keys.
pub trait Record {
    /// Where it stands, in words that follow an unknown key: `in an agent`.
    const PLACE: &'static str;
    /// Its keys.
    const KEYS: &'static [&'static str];

    /// What it is called: `an agent`.
    const NAME: &'static str;

    /// What is said of a key that is not one of them, where there is better to say than the
    /// nearest word.
    fn elsewhere(_key: &Key) -> Option<Problem> {
        None
    }
}

/// Declares a mapping with known keys: its type, its reading and its description for editors. Every
/// field is a [`Field`]; the documentation of a field is what an editor shows.
macro_rules! record {
    (
        $(#[$meta:meta])* $name:ident is $called:literal, keys stand $where:literal $(, others are for $elsewhere:path)?;
        required { $($(#[$rmeta:meta])* $rkey:ident: $rtype:ty,)* }
        optional { $($(#[$ometa:meta])* $okey:ident: $otype:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            $($(#[$rmeta])* pub $rkey: $crate::yaml::Field<$rtype>,)*
            $($(#[$ometa])* #[schemars(default)] pub $okey: $crate::yaml::Field<$otype>,)*
        }

        impl $crate::yaml::Record for $name {
            const PLACE: &'static str = $where;
            const NAME: &'static str = $called;
            const KEYS: &'static [&'static str] = &[$(stringify!($rkey),)* $(stringify!($okey),)*];

            $(fn elsewhere(key: &$crate::yaml::Key) -> Option<$crate::yaml::Problem> {
                $elsewhere(key, <Self as $crate::yaml::Record>::PLACE)
            })?
        }

        impl $crate::yaml::Read for $name {
            const EMPTY_IS_ABSENT: bool = true;

            fn read(
                node: &$crate::yaml::Node,
                what: &str,
                log: &mut $crate::yaml::Log,
            ) -> Option<Self> {
                let fields = $crate::yaml::fields::<Self>(node, what, log)?;
                Some(Self {
                    $($rkey: fields.required(stringify!($rkey), log),)*
                    $($okey: fields.optional(stringify!($okey), log),)*
                })
            }
        }
    };
}
pub(crate) use record;

/// The entries of a record, each key once and known.
#[derive(Debug)]
pub struct Fields<'n, R> {
    place: Place,
    record: PhantomData<R>,
    misspelt: Vec<&'static str>,
    entries: Vec<(&'n Key, &'n Node)>,
}

/// The entries of a record; what does not belong there goes to the log.
pub fn fields<'n, R: Record>(node: &'n Node, what: &str, log: &mut Log) -> Option<Fields<'n, R>> {
    let mut entries = pairs(node, what, log)?;
    let place = entries.first().map_or(node.place, |(key, _)| key.place);
    let mut misspelt = Vec::new();
    entries.retain(|(key, _)| {
        let known = R::KEYS.contains(&key.text.as_str());
        if !known {
            misspelt.extend(nearest(&key.text, R::KEYS.iter().copied()));
            log.add(unknown::<R>(key));
        }
        known
    });
    Some(Fields { place, record: PhantomData, misspelt, entries })
}

fn unknown<R: Record>(key: &Key) -> Problem {
    R::elsewhere(key).unwrap_or_else(|| {
        Problem::new(key.place, format_args!("unknown key {:?} {}", key.text, R::PLACE))
            .expected(one_of(R::KEYS.iter().copied()))
            .suggest(&key.text, R::KEYS.iter().copied())
    })
}

/// The entries of a mapping, in order, each key once; nothing at all is an empty mapping.
pub fn pairs<'n>(node: &'n Node, what: &str, log: &mut Log) -> Option<Vec<(&'n Key, &'n Node)>> {
    let entries = match &node.value {
        Value::Null => return Some(Vec::new()),
        Value::Map(entries) => entries,
        _ => {
            log.add(
                Problem::new(node.place, format_args!("{what} cannot be {}", node.seen()))
                    .expected("a mapping, a line `key: value` each"),
            );
            return None;
        }
    };
    let mut first: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
    let mut once = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(odd) = &key.odd {
            log.add(odd_key(key, odd));
            continue;
        }
        match first.entry(&key.text) {
            Entry::Occupied(earlier) => log.add(
                Problem::new(key.place, format_args!("{:?} stands twice in the same mapping", key.text))
                    .also(*earlier.get(), "it stands here first"),
            ),
            Entry::Vacant(free) => {
                free.insert(key.place);
                once.push((key, value));
            }
        }
    }
    Some(once)
}

/// Refused also because the parser itself drops what stands before a second one of the same number.
fn odd_key(key: &Key, odd: &str) -> Problem {
    let problem = Problem::new(key.place, format_args!("a key cannot be {odd}")).expected("a word");
    if key.text.is_empty() { problem } else { problem.note(format_args!("quote it: {:?}", key.text)) }
}

impl<R: Record> Fields<'_, R> {
    /// The value of a key that must be there. One that is misspelt has been named already.
    pub fn required<T: FromScalar>(&self, key: &str, log: &mut Log) -> Field<T> {
        let field = self.optional(key, log);
        if matches!(field, Field::Absent) && self.misspelt.contains(&key) {
            return Field::Bad;
        }
        if matches!(field, Field::Absent) {
            log.add(
                Problem::new(self.place, format_args!("{} has no {key:?}", R::NAME))
                    .expected(format_args!("{key}: {}", T::expected())),
            );
        }
        field
    }

    /// The value of a key that may be there.
    pub fn optional<T: Read>(&self, key: &str, log: &mut Log) -> Field<T> {
        let Some((_, node)) = self.entries.iter().find(|(k, _)| k.text == key) else {
            return Field::Absent;
        };
        if T::EMPTY_IS_ABSENT && node.value == Value::Null {
            return Field::Absent;
        }
        match T::read(node, key, log) {
            Some(value) => Field::Given(At { value, place: node.place }),
            None => Field::Bad,
        }
    }
}
