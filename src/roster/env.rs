//! Variables in a roster: any name and any scalar, but none that the fleet sets itself.

use std::collections::HashMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::valid::EnvVar;
use crate::envfile::{self, Why};
use crate::names::EnvName;
use crate::yaml::{Log, Node, Problem, Read, Value, pairs};

/// Variables, each name once, in the file's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Env(pub Vec<EnvVar>);

/// What the fleet sets itself, and where a roster says what it becomes.
const OURS: &[(&str, &str)] = &[
    ("MOSAIC_AGENT_CLASS", "say it by the agent's `class`"),
    ("MOSAIC_AGENT_COMMAND", "say it by the agent's `command`"),
    ("MOSAIC_AGENT_EFFORT", "say it by the agent's `effort`"),
    ("MOSAIC_AGENT_MODEL", "say it by the agent's `model`"),
    ("MOSAIC_AGENT_NAME", "it is the agent's `name`"),
    ("MOSAIC_AGENT_ON_STALE", "say it by the agent's `on_stale`"),
    ("MOSAIC_AGENT_RUNTIME", "say it by the agent's `runtime`"),
    ("MOSAIC_AGENT_WORKDIR", "say it by the agent's `working_directory`"),
    ("MOSAIC_HEARTBEAT_INTERVAL", "say it in the agent's .local.env file"),
    ("MOSAIC_HOME", "it is where the roster is installed"),
    ("MOSAIC_HOST", "it is the machine's name"),
    ("MOSAIC_LIMIT_NICE", "say it by `limits.nice`"),
    ("MOSAIC_LIMIT_NOFILE", "say it by `limits.nofile`"),
    ("MOSAIC_LIMIT_NO_NEW_PRIVS", "say it by `limits.no_new_privs`"),
    ("MOSAIC_LIMIT_UMASK", "say it by `limits.umask`"),
    ("MOSAIC_RUNTIME_BIN", "say it by the runtime's `bin`"),
    ("MOSAIC_TENANT_ID", "say it by `tenant_id`"),
    ("MOSAIC_TMUX_HOLDER", "say it by `tmux.holder_session`"),
    ("MOSAIC_TMUX_SOCKET", "say it by `tmux.socket_name`"),
    ("MOSAIC_TRANSPORT", "say it by `transport`"),
];

impl Read for Env {
    const EMPTY_IS_ABSENT: bool = true;

    fn read(node: &Node, what: &str, log: &mut Log) -> Option<Self> {
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            log.add(
                Problem::new(node.place, format_args!("{what} cannot be {}", node.kind()))
                    .expected("a mapping, a line `NAME: value` each"),
            );
            return None;
        }
        let mut vars = Vec::new();
        for (key, value) in pairs(node, what, log)? {
            let Ok(name) = EnvName::parse(&key.text) else {
                log.add(
                    Problem::new(
                        key.place,
                        format_args!("{} cannot be the name of a variable", named(&key.text)),
                    )
                    .expected(EnvName::RULE),
                );
                continue;
            };
            if let Some((_, instead)) = OURS.iter().find(|(ours, _)| *ours == key.text) {
                log.add(
                    Problem::new(key.place, format_args!("{name} is set by the fleet itself")).note(instead),
                );
                continue;
            }
            match &value.value {
                Value::Scalar(scalar) => match envfile::check(&name, &scalar.text) {
                    Ok(()) => vars.push(EnvVar { name, value: scalar.text.clone() }),
                    Err(refused) => {
                        let place = if refused.why == Why::OfTheShell { key.place } else { value.place };
                        log.add(Problem::new(place, refused));
                    }
                },
                Value::Null => log.add(
                    Problem::new(value.place, format_args!("{name} has no value"))
                        .note("write \"\" for an empty one, or remove the line"),
                ),
                Value::List(_) | Value::Map(_) => log.add(
                    Problem::new(value.place, format_args!("the value of {name} cannot be {}", value.seen()))
                        .expected("a text, a number, true or false; taken as it is typed"),
                ),
            }
        }
        Some(Self(vars))
    }
}

/// What stands where a name should, up to where a value may have begun: in `{TOKEN=secret}` the whole
/// is a key to YAML.
fn named(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.' | ' '));
    let shown: String = text.chars().take(end.unwrap_or(text.len()).min(60)).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{:?}", format!("{shown}{more}"))
}

impl JsonSchema for Env {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Env".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": {
                "allOf": [
                    generator.subschema_for::<EnvName>(),
                    { "not": { "enum": OURS.iter().map(|(name, _)| *name).collect::<Vec<_>>() } },
                ],
            },
            "additionalProperties": { "type": ["string", "number", "boolean"] },
        })
    }
}

/// Lays later variables over earlier ones: a name keeps its first place and takes its last value.
pub fn merge<'a>(layers: impl IntoIterator<Item = &'a Vec<EnvVar>>) -> Vec<EnvVar> {
    let mut merged: Vec<EnvVar> = Vec::new();
    let mut place: HashMap<&EnvName, usize> = HashMap::new();
    for var in layers.into_iter().flatten() {
        match place.get(&var.name).and_then(|at| merged.get_mut(*at)) {
            Some(earlier) => earlier.value.clone_from(&var.value),
            None => {
                place.insert(&var.name, merged.len());
                merged.push(var.clone());
            }
        }
    }
    merged
}
