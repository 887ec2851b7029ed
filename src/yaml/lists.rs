//! Lists, and maps from names.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map as Object, Value as Json};

use super::{At, Field, FromScalar, Kind, Log, Node, Problem, Read, Refusal, Scalar, Value, pairs};

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
                Problem::new(node.place, format_args!("{what} cannot be {}", node.seen()))
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
