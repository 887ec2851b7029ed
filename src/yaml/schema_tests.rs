//! What tests of shipped schemas share: that one is the types' own, and how it judges a text.

use std::path::Path;

use serde_json::Value;

/// Compares a shipped schema with what the types say; with `UPDATE_SCHEMA` in the environment, ships that.
pub fn is_what_the_types_say(shipped: &str, generated: &Value, file: &str) {
    let mut text = serde_json::to_string_pretty(generated).expect("JSON");
    text.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("framework/fleet").join(file);
        std::fs::write(path, &text).expect("write the schema");
        return;
    }
    assert!(text == shipped, "it is not: run the tests once with UPDATE_SCHEMA=1 and look at the change");
}

/// Whether a text is valid by a schema.
pub fn valid(schema: &Value, text: &str) -> bool {
    let instance: Value = serde_yaml::from_str(text).expect("YAML");
    jsonschema::draft7::new(schema).expect("a schema").is_valid(&instance)
}
