//! Mappings with known keys, lists, and maps from names: what a tree is read into.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map as Object, Value as Json};

use super::{FromScalar, Key, Kind, Log, Node, Place, Problem, Refusal, Scalar, Value, one_of};

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
    entries: Vec<(&'n Key, &'n Node)>,
}

/// The entries of a record; what does not belong there goes to the log.
pub fn fields<'n, R: Record>(node: &'n Node, what: &str, log: &mut Log) -> Option<Fields<'n, R>> {
    let mut entries = pairs(node, what, log)?;
    entries.retain(|(key, _)| {
        let known = R::KEYS.contains(&key.text.as_str());
        if !known {
            log.add(unknown::<R>(key));
        }
        known
    });
    let place = entries.first().map_or(node.place, |(key, _)| key.place);
    Some(Fields { place, record: PhantomData, entries })
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
                Problem::new(node.place, format_args!("{what} cannot be {}", node.kind()))
                    .expected("a mapping, a line `key: value` each"),
            );
            return None;
        }
    };
    let mut once: Vec<(&Key, &Node)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        match once.iter().find(|(earlier, _)| earlier.text == key.text) {
            Some((earlier, _)) => log.add(
                Problem::new(key.place, format_args!("{:?} stands twice in the same mapping", key.text))
                    .also(earlier.place, "it stands here first"),
            ),
            None => once.push((key, value)),
        }
    }
    Some(once)
}

impl<R: Record> Fields<'_, R> {
    /// The value of a key that must be there.
    pub fn required<T: FromScalar>(&self, key: &str, log: &mut Log) -> Field<T> {
        let field = self.optional(key, log);
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

impl Node {
    /// What stands there without its text: what was meant to be a mapping may hold secrets.
    fn kind(&self) -> &'static str {
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

/// A list; items that were refused are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<At<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for List<T> {
    const EMPTY_IS_ABSENT: bool = true;

    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self> {
        let Value::List(items) = &node.value else {
            log.add(
                Problem::new(node.place, format_args!("{what} cannot be {}", node.kind()))
                    .expected("a list, each item behind a `-`"),
            );
            return None;
        };
        let what = format!("an item of {what}");
        let read = |item: &Node| Some(At { value: T::read(item, &what, log)?, place: item.place });
        Some(Self(items.iter().filter_map(read).collect()))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>() })
    }
}

/// A map from names; entries that were refused are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map<K, T>(pub Vec<(At<K>, At<T>)>);

impl<K, T> Default for Map<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: FromScalar, T: Read> Read for Map<K, T> {
    const EMPTY_IS_ABSENT: bool = true;

    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self> {
        let mut map = Vec::new();
        for (key, value) in pairs(node, what, log)? {
            let name = K::from_scalar(&Scalar { text: key.text.clone(), kind: Kind::Text });
            let read = T::read(value, &format!("{what}.{}", key.text), log);
            match (name, read) {
                (Ok(name), Some(read)) => {
                    map.push((At { value: name, place: key.place }, At { value: read, place: value.place }));
                }
                (Err(Refusal(note)), _) => {
                    let problem =
                        Problem::new(key.place, format_args!("{:?} cannot be a key of {what}", key.text))
                            .expected(K::expected());
                    log.add(match note {
                        Some(note) => problem.note(note),
                        None => problem,
                    });
                }
                (Ok(_), None) => {}
            }
        }
        Some(Self(map))
    }
}

impl<K: JsonSchema, T: Read + JsonSchema> JsonSchema for Map<K, T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Object::new();
        schema.insert("type".to_owned(), Json::from("object"));
        schema.insert("propertyNames".to_owned(), generator.subschema_for::<K>().to_value());
        schema.insert("additionalProperties".to_owned(), generator.subschema_for::<Field<T>>().to_value());
        schema.into()
    }
}
