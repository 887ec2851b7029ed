//! What a person sees where a value is of the wrong type or breaks a rule.

use super::problems;

#[test]
fn a_bad_agent_name_states_the_rule() {
    let text = r#"
version: 1
agents:
  - name: coder 0
  - name: -x
  - name: a.b
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:11: name cannot be "coder 0"
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    roster.yaml:4:11: name cannot be "-x"
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    roster.yaml:5:11: name cannot be "a.b"
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    "#);
}

#[test]
fn a_number_as_a_name_is_to_be_quoted() {
    let text = r#"
version: 1
agents:
  - name: 9
  - name: true
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:11: name cannot be the number 9
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
        quote it: "9"
    roster.yaml:4:11: name cannot be the boolean true
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
        quote it: "true"
    "#);
}

#[test]
fn bad_names_of_tenant_socket_and_holder_state_their_rules() {
    let text = r#"
version: 1
tenant_id: a b
tmux:
  socket_name: ../x
  holder_session: a:b
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:12: tenant_id cannot be "a b"
        expected 1 to 32 of A-Z a-z 0-9 _ . -, not beginning with - or .
    roster.yaml:4:16: socket_name cannot be "../x"
        expected 1 to 63 of A-Z a-z 0-9 _ . -, not beginning with - or .
    roster.yaml:5:19: holder_session cannot be "a:b"
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    "#);
}

#[test]
fn an_unknown_word_names_the_nearest_one() {
    let text = r#"
version: 1
transport: tmx
defaults:
  lifecycle: Core
agents:
  - name: a
    state: stoped
    on_stale: ignore
    persistent_persona: Semi
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:12: transport cannot be "tmx"
        expected tmux or none
        did you mean "tmux"?
    roster.yaml:4:14: lifecycle cannot be "Core"
        expected core or ephemeral
        did you mean "core"?
    roster.yaml:7:12: state cannot be "stoped"
        expected running or stopped
        did you mean "stopped"?
    roster.yaml:8:15: on_stale cannot be "ignore"
        expected flag or restart
    roster.yaml:9:25: persistent_persona cannot be "Semi"
        expected true, false or semi
        did you mean "semi"?
    "#);
}

#[test]
fn a_boolean_of_older_yaml_is_translated() {
    let text = r#"
version: 1
agents:
  - name: a
    persistent_persona: yes
    reset_between_tasks: "off"
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:25: persistent_persona cannot be "yes"
        expected true, false or semi
        did you mean true?
    roster.yaml:5:26: reset_between_tasks cannot be "off"
        expected true or false
        did you mean false?
    "#);
}

#[test]
fn a_wrong_type_says_what_was_seen() {
    let text = r#"
version: 1
defaults: pi
runtimes:
  - pi
agents:
  coder0:
    runtime: pi
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:11: defaults cannot be "pi"
        expected a mapping, a line `key: value` each
    roster.yaml:4:3: runtimes cannot be a list
        expected a mapping, a line `key: value` each
    roster.yaml:6:3: agents cannot be a mapping
        expected a list, each item behind a `-`
    "#);
}

#[test]
fn a_wrong_type_deeper_says_what_was_seen() {
    let text = r#"
version: 1
runtimes:
  pi: /new
agents:
  - coder0
  - name: a
    env: [A=1]
    limits: 2G
    model: [x]
    class: {x: y}
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:7: runtimes.pi cannot be "/new"
        expected a mapping, a line `key: value` each
    roster.yaml:5:5: an item of agents cannot be "coder0"
        expected a mapping, a line `key: value` each
    roster.yaml:7:10: env cannot be a list
        expected a mapping, a line `NAME: value` each
    roster.yaml:8:13: limits cannot be "2G"
        expected a mapping, a line `key: value` each
    roster.yaml:9:12: model cannot be a list
        expected one line of text, at most 1000 characters, without control characters
    roster.yaml:10:12: class cannot be a mapping
        expected one line of text, at most 1000 characters, without control characters
    "#);
}

#[test]
fn limits_are_checked() {
    let text = r#"
version: 1
defaults:
  limits:
    memory_max: 2GB
    memory_high: lots
    cpu_quota: 150
    tasks_max: 0
    nofile: -1
    nice: 20
    umask: 27
    no_new_privs: 1
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:17: memory_max cannot be "2GB"
        expected a size such as 512M, 2G or a number of bytes, a share such as 50%, or infinity
        did you mean 2G?
    roster.yaml:5:18: memory_high cannot be "lots"
        expected a size such as 512M, 2G or a number of bytes, a share such as 50%, or infinity
    roster.yaml:6:16: cpu_quota cannot be the number 150
        expected a share of one processor such as 50% or, for one and a half, 150%
        did you mean 150%?
    roster.yaml:7:16: tasks_max cannot be the number 0
        expected a whole number, at least 1
    roster.yaml:8:13: nofile cannot be the number -1
        expected a whole number, at least 1
    roster.yaml:9:11: nice cannot be the number 20
        expected a whole number from -20 to 19
    roster.yaml:10:12: umask cannot be the number 27
        expected an octal mask with a leading 0, from 000 to 0777, such as 027
        did you mean 027?
    roster.yaml:11:19: no_new_privs cannot be the number 1
        expected true or false
        did you mean true?
    "#);
}

#[test]
fn a_folder_must_be_found_from_anywhere() {
    let text = r#"
version: 1
defaults:
  working_directory: src
runtimes:
  claude:
    bin: $HOME/bin/claude
agents:
  - name: a
    working_directory: ~bob/src
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:22: working_directory cannot be "src"
        expected a path that begins with /, or with ~/ or %h/ for the tenant's home
    roster.yaml:6:10: bin cannot be "$HOME/bin/claude"
        expected a path that begins with /, or with ~/ or %h/ for the tenant's home
        did you mean "~/bin/claude"?
    roster.yaml:9:24: working_directory cannot be "~bob/src"
        expected a path that begins with /, or with ~/ or %h/ for the tenant's home
    "#);
}

#[test]
fn a_command_must_say_something_that_can_be_carried() {
    let text = r#"
version: 1
agents:
  - name: a
    command: " "
  - name: b
    command: "a\0b"
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:14: command cannot be " "
        expected a shell line
        remove the key for the launch command that is usual
    roster.yaml:6:14: command cannot be "a\0b"
        expected a shell line
        a NUL at character 2 of its value; no environment can hold one
    "#);
}

#[test]
fn a_line_holds_nothing_that_a_terminal_obeys() {
    let text = r#"
version: 1
agents:
  - name: a
    class: "x\e[2J"
    lane: |
      two
      lines
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:12: class cannot be "x\u{1b}[2J"
        expected one line of text, at most 1000 characters, without control characters
    roster.yaml:6:7: lane cannot be "two\nlines\n"
        expected one line of text, at most 1000 characters, without control characters
    "#);
}

#[test]
fn a_variable_is_refused_without_showing_its_value() {
    let text = r#"
version: 1
defaults:
  env:
    9A: hunter2
    A: [hunter2]
    B: {C: hunter2}
    D: "hunter2\0"
    E:
    UID: hunter2
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:5: "9A" cannot be the name of a variable
        expected 1 to 255 of A-Z a-z 0-9 _, not beginning with a digit
    roster.yaml:5:8: the value of A cannot be a list
        expected a text, a number, true or false; taken as it is typed
    roster.yaml:6:8: the value of B cannot be a mapping
        expected a text, a number, true or false; taken as it is typed
    roster.yaml:7:8: variable D: a NUL at character 8 of its value; no environment can hold one
    roster.yaml:8:6: E has no value
        write "" for an empty one, or remove the line
    roster.yaml:9:5: variable UID: the shell sets it itself; choose another name
    "#);
}

#[test]
fn an_environment_that_is_no_mapping_is_refused_without_showing_it() {
    let text = r#"
version: 1
defaults:
  env: TOKEN=hunter2
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:3:8: env cannot be a text
        expected a mapping, a line `NAME: value` each
    ");
}

#[test]
fn variables_that_the_fleet_sets_are_refused_with_the_key_to_use() {
    let text = r#"
version: 1
defaults:
  env:
    MOSAIC_AGENT_MODEL: x
    MOSAIC_HEARTBEAT_INTERVAL: 5
    MOSAIC_PI_SKILL_MODE: all
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:5: MOSAIC_AGENT_MODEL is set by the fleet itself
        say it by the agent's `model`
    roster.yaml:5:5: MOSAIC_HEARTBEAT_INTERVAL is set by the fleet itself
        say it in the agent's .local.env file
    "#);
}
