//! The roster's JSON Schema, which editors check and complete by: made from the types of the first
//! stage. It knows keys, types and patterns; what leads from one place to another (unique names,
//! known runtimes) is checked by reading alone.

use schemars::generate::SchemaSettings;

use super::written;

/// The schema as it is shipped and installed.
pub const TEXT: &str = include_str!("../../framework/fleet/roster.schema.json");

/// The schema as the types say it. Draft 7 is what editors of YAML know best.
pub fn generate() -> serde_json::Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<written::Roster>();
    schema.insert("title".to_owned(), "Mosaic Fleet roster, version 1".into());
    schema.to_value()
}

/// The schema of a roster that stands in another file.
pub fn part(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<written::Roster>()
}
