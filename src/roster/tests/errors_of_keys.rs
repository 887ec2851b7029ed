//! What a person sees where a key is unknown, misplaced, missing or said twice.

use super::problems;

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let text = r#"
version: 1
agents:
  - name: coder0
    working_directry: ~/src
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:5: unknown key "working_directry" in an agent
        expected name, runtime, class, model_hint, model, effort, persistent_persona, reset_between_tasks, working_directory, env, command, kickstart_template, lifecycle, lane, state, limits or on_stale
        did you mean "working_directory"?
    "#);
}

#[test]
fn an_unknown_key_that_is_near_to_none_names_those_that_are_known() {
    let text = r#"
version: 1
colour: red
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:1: unknown key "colour" at the top of the roster
        expected version, tenant_id, transport, tmux, defaults, runtimes or agents
    "#);
}

#[test]
fn a_known_key_at_the_wrong_level_names_its_place() {
    let text = r#"
version: 1
working_directory: ~/src
socket_name: x
agents:
  - name: coder0
    memory_max: 2G
    reset_command: /new
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:1: "working_directory" does not belong at the top of the roster
        it goes below "defaults" or in an agent below "agents"
    roster.yaml:3:1: "socket_name" does not belong at the top of the roster
        it goes below "tmux"
    roster.yaml:6:5: "memory_max" does not belong in an agent
        it goes below "limits"
    roster.yaml:7:5: "reset_command" does not belong in an agent
        it goes in a runtime below "runtimes"
    "#);
}

#[test]
fn a_key_that_stands_twice_names_both_places() {
    let text = r#"
version: 1
agents:
  - name: coder0
    runtime: pi
    runtime: claude
agents: []
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:5:5: "runtime" stands twice in the same mapping
        roster.yaml:4:5: it stands here first
    roster.yaml:6:1: "agents" stands twice in the same mapping
        roster.yaml:2:1: it stands here first
    "#);
}

#[test]
fn a_variable_that_stands_twice_shows_no_value() {
    let text = r#"
version: 1
defaults:
  env:
    TOKEN: hunter2
    TOKEN: hunter3
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:5:5: "TOKEN" stands twice in the same mapping
        roster.yaml:4:5: it stands here first
    "#);
}

#[test]
fn a_missing_version_and_a_missing_name_are_named() {
    let text = r#"
agents:
  - runtime: pi
  -
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:1:1: the roster has no "version"
        expected version: 1
    roster.yaml:2:5: an agent has no "name"
        expected name: 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    roster.yaml:3:4: an agent has no "name"
        expected name: 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    "#);
}

#[test]
fn another_version_is_refused_by_its_number() {
    let text = r#"
version: 2
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:1:10: version cannot be the number 2
        expected 1
        a newer mosaic-fleet may know it; this one knows version 1 alone
    "#);
}

#[test]
fn a_version_in_quotes_is_refused() {
    let text = r#"
version: "1"
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:1:10: version cannot be "1"
        expected 1
        write it without quotes: 1
    "#);
}

#[test]
fn what_is_reserved_says_so() {
    let text = r#"
version: 1
transport: matrix
matrix:
  homeserver: https://example.org
  room_prefix: usc
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:12: transport cannot be "matrix"
        expected tmux or none
        matrix is reserved for a later version and cannot be used yet
    roster.yaml:3:1: "matrix" is reserved for a later version and cannot be used yet
        remove it; `transport` is tmux or none
    "#);
}

#[test]
fn a_key_without_a_value_is_refused_where_one_is_needed() {
    let text = r#"
version: 1
agents:
  - name: coder0
    model:
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:10: model cannot be empty
        expected one line of text, at most 1000 characters, without control characters
    "#);
}
