//! Declarations, good and bad; the shipped schema is the types' own, and judges as the reader does.

use std::path::Path;

use super::*;
use crate::yaml::schema_tests;

fn read_as(text: &str, name: &str) -> Result<Declared, String> {
    let name = TenantId::parse(name).expect("a name");
    read(text.as_bytes(), Path::new("t.yaml"), &name).map_err(|problems| problems.to_string())
}

fn usc(text: &str) -> Result<Declared, String> {
    read_as(text, "usc")
}

fn valid(text: &str) -> bool {
    schema_tests::valid(&schema::generate(), text)
}

#[test]
fn the_shipped_schema_is_what_the_types_say() {
    schema_tests::is_what_the_types_say(schema::TEXT, &schema::generate(), "tenant.schema.json");
}

#[test]
fn the_schema_and_the_reader_judge_alike() {
    for (good, text) in [
        (true, "{}"),
        (true, "version: 1\nuser: usc\nuid: 1234\nhome: /srv/h/usc\nshell: /bin/bash\nprofile: usc\n"),
        (true, "limits: {memory_max: 8G, tasks_max: 100, cpu_quota: 150%}\nstate: absent"),
        (true, "roster: {version: 1, agents: [{name: a, command: sleep 1}]}"),
        (false, "[]"),
        (false, "version: 2"),
        (false, "user: Root"),
        (false, "user: a b"),
        (false, "uid: 999"),
        (false, "uid: 4294967295"),
        (false, "uid: '1234'"),
        (false, "home: home/usc"),
        (false, "home: /"),
        (false, "home: /home/../etc"),
        (false, "home: '/home/a:b'"),
        (false, "shell: bash"),
        (false, "profile: factory"),
        (false, "roster: /etc/roster.yaml"),
        (false, "roster: {agents: []}"),
        (false, "roster: {version: 1, agents: [{name: 'a b'}]}"),
        (false, "limits: {nofile: 5}"),
        (false, "limits: {memory_max: lots}"),
        (false, "limits: {tasks_max: 0}"),
        (false, "state: gone"),
    ] {
        assert_eq!(valid(text), good, "the schema on:\n{text}");
        assert_eq!(usc(text).is_ok(), good, "the reader on:\n{text}: {:?}", usc(text));
    }
}

#[test]
fn what_is_wrong_has_its_place_and_the_nearest_word() {
    let error = usc("user: usc\nprofil: usc\nlimits:\n  task_max: 5\nstate: absend\n").expect_err("wrong");
    for expected in [
        "t.yaml:2:1: unknown key \"profil\" in a declaration",
        "did you mean \"profile\"?",
        "t.yaml:4:3: unknown key \"task_max\" below \"limits\"",
        "did you mean \"tasks_max\"?",
        "t.yaml:5:8: state cannot be \"absend\"",
        "did you mean \"absent\"?",
    ] {
        assert!(error.contains(expected), "{expected} in\n{error}");
    }
    let error = usc("roster:\n  version: 1\n  agents:\n    - {name: a, runtme: pi}\n").expect_err("wrong");
    assert!(error.contains("t.yaml:4:17: unknown key \"runtme\""), "{error}");
    let error = usc("tasks_max: 5").expect_err("wrong");
    assert!(error.contains("it goes below \"limits\""), "{error}");
    let error = usc("profile: usc\nroster: {version: 1}").expect_err("both");
    assert!(error.contains("t.yaml:1:10: the profile stands here"), "{error}");
    let error = read_as("", "Usc.1").expect_err("no user's name");
    assert!(error.contains("expected user: "), "{error}");
    assert!(usc("user: root").expect_err("root").contains("root cannot be a tenant"));
}

#[test]
fn a_secret_of_the_roster_is_in_no_error() {
    let text = "roster: {version: 1, agents: [{name: a, env: {A: hunter2, B: [hunter2]}}]}\nstate: hmm\n";
    let error = usc(text).expect_err("wrong");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn the_roster_becomes_a_file_of_its_own() {
    let text = "roster:\n  version: 1\n  agents: [{name: a, command: \"x: y\", limits: {umask: 027}}]\n";
    let Ok(Declared { fleet: Fleet::Root(roster), .. }) = usc(text) else { panic!("a roster") };
    let read = crate::roster::read(&roster, Path::new("r"), "usc").expect("a roster");
    assert_eq!(read.agents.len(), 1);
    assert!(roster.contains("027"), "{roster}");
}

#[test]
fn the_guide_names_every_key_and_its_example_is_accepted() {
    let guide = include_str!("../../docs/usage/admin.md");
    let schema = schema::generate();
    let of = |object: &serde_json::Value| object["properties"].as_object().expect("keys").clone();
    for key in of(&schema).keys().chain(of(&schema["definitions"]["TenantLimits"]).keys()) {
        assert!(guide.contains(&format!("\n| `{key}` | ")), "the guide has no row for {key}");
    }
    let example =
        guide.split("```yaml\n").nth(1).and_then(|part| part.split("```").next()).expect("an example");
    usc(example).expect("accepted");
}
