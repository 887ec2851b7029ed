//! The shipped schema is the types' own, and judges as the reader does.

use std::path::Path;

use super::super::{Profile, read, schema};
use crate::yaml::schema_tests;

fn valid(text: &str) -> bool {
    schema_tests::valid(&schema::generate(), text)
}

#[test]
fn the_shipped_schema_is_what_the_types_say() {
    schema_tests::is_what_the_types_say(schema::TEXT, &schema::generate(), "roster.schema.json");
}

#[test]
fn the_schema_accepts_every_profile() {
    for profile in Profile::ALL {
        assert!(valid(profile.text()), "{}", profile.name());
    }
}

/// Rosters that both accept, or that both refuse.
const JUDGED: &[(bool, &str)] = &[
    (true, "version: 1"),
    (true, "version: 1\nagents:\ndefaults:\nruntimes: {pi: }\n"),
    (true, "version: 1\ntransport: none\ntmux: {socket_name: a.b, holder_session: _h}\n"),
    (true, "version: 1\nagents: [{name: a, env: {A: 1, B: true, C: x, D: 1.5}}]\n"),
    (
        true,
        "version: 1\nagents: [{name: a, persistent_persona: semi}, {name: b, persistent_persona: false}]\n",
    ),
    (true, "version: 1\nagents: [{name: a, limits: {umask: 027}}, {name: b, limits: {umask: \"0o27\"}}]\n"),
    (
        true,
        "version: 1\nagents: [{name: a, limits: {memory_max: 2G, memory_high: 1024, cpu_quota: 50.5%, nice: -20}}]\n",
    ),
    (true, "version: 1\nruntimes: {mine: {command: x, process_names: [x], draft_mark: '>'}}\n"),
    (true, "version: 1\nagents: [{name: a, working_directory: '~'}, {name: b, working_directory: /srv}]\n"),
    (false, "{}"),
    (false, "[]"),
    (false, "version: 2"),
    (false, "version: \"1\""),
    (false, "version: 1\ncolour: red"),
    (false, "version: 1\ntransport: matrix"),
    (false, "version: 1\nmatrix: {homeserver: x}"),
    (false, "version: 1\nworking_directory: ~/src"),
    (false, "version: 1\ntenant_id: a b"),
    (false, "version: 1\nagents: {a: {runtime: pi}}"),
    (false, "version: 1\nagents: [a]"),
    (false, "version: 1\nagents: [{runtime: pi}]"),
    (false, "version: 1\nagents: [{name: 9}]"),
    (false, "version: 1\nagents: [{name: 'a.b'}]"),
    (false, "version: 1\nagents: [{name: a, model: }]"),
    (false, "version: 1\nagents: [{name: a, class: ''}]"),
    (false, "version: 1\nagents: [{name: a, command: ' '}]"),
    (false, "version: 1\nagents: [{name: a, reset_between_tasks: 'true'}]"),
    (false, "version: 1\nagents: [{name: a, persistent_persona: 'true'}]"),
    (false, "version: 1\nagents: [{name: a, working_directory: src}]"),
    (false, "version: 1\nagents: [{name: a, env: {9A: x}}]"),
    (false, "version: 1\nagents: [{name: a, env: {A: }}]"),
    (false, "version: 1\nagents: [{name: a, env: {A: [x]}}]"),
    (false, "version: 1\nagents: [{name: a, env: {MOSAIC_HOME: x}}]"),
    (false, "version: 1\nagents: [{name: a, limits: {nice: 20}}]"),
    (false, "version: 1\nagents: [{name: a, limits: {tasks_max: 0}}]"),
    (false, "version: 1\nagents: [{name: a, limits: {umask: '27'}}]"),
    (false, "version: 1\nagents: [{name: a, limits: {memory_max: 2GB}}]"),
    (false, "version: 1\nagents: [{name: a, limits: {cpu_quota: 150}}]"),
    (false, "version: 1\nagents: [{name: a, state: paused}]"),
    (false, "version: 1\nruntimes: {'a b': {command: x}}"),
];

#[test]
fn the_schema_and_the_reader_judge_alike() {
    for (good, text) in JUDGED {
        assert_eq!(valid(text), *good, "the schema on:\n{text}");
        assert_eq!(read(text, Path::new("r"), "usc").is_ok(), *good, "the reader on:\n{text}");
    }
}

#[test]
fn the_guide_names_every_key_and_its_examples_are_accepted() {
    let guide = include_str!("../../../docs/usage/roster.md");
    let schema = schema::generate();
    let definitions = schema["definitions"].as_object().expect("definitions").values();
    for object in definitions.chain([&schema]) {
        for key in object["properties"].as_object().into_iter().flatten().map(|(key, _)| key) {
            assert!(guide.contains(&format!("\n| `{key}` | ")), "the guide has no row for {key}");
        }
    }
    let examples: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        super::accepted(example);
    }
}
