//! The JSON Schema of a declaration, made from the types of its first stage.

use schemars::generate::SchemaSettings;

use super::written;

/// The schema as it is shipped.
pub const TEXT: &str = include_str!("../../framework/fleet/tenant.schema.json");

/// The schema as the types say it. Draft 7 is what editors of YAML know best.
pub fn generate() -> serde_json::Value {
    let mut schema =
        SchemaSettings::draft07().into_generator().into_root_schema_for::<written::Declaration>();
    schema.insert("title".to_owned(), "Mosaic Fleet tenant, version 1".into());
    schema.to_value()
}
