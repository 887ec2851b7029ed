//! What a person sees where parts of a roster do not fit each other, and several problems at once.

use super::problems;

#[test]
fn two_agents_of_one_name_name_both_places() {
    let text = r#"
version: 1
agents:
  - name: coder0
  - name: coder1
  - name: coder0
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:5:11: a second agent "coder0"
        roster.yaml:3:11: the first one; a name is an address, so each stands once
    "#);
}

#[test]
fn an_agent_cannot_be_named_like_the_holder() {
    let text = r#"
version: 1
agents:
  - name: _holder
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:11: agent "_holder" has the name of the holder's session
        choose another name, or another `tmux.holder_session`
    "#);
}

#[test]
fn an_agent_cannot_be_named_like_the_holder_that_the_roster_names() {
    let text = r#"
version: 1
tmux:
  holder_session: base
agents:
  - name: base
  - name: _holder
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:5:11: agent "base" has the name of the holder's session
        choose another name, or another `tmux.holder_session`
        roster.yaml:3:19: the holder's session is named here
    "#);
}

#[test]
fn an_unknown_runtime_names_the_nearest_one() {
    let text = r#"
version: 1
agents:
  - name: a
    runtime: cluade
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:14: unknown runtime "cluade"
        expected claude, codex, opencode, pi or dogfood, or one that you define below "runtimes"
        did you mean "claude"?
    "#);
}

#[test]
fn an_unknown_default_runtime_is_said_once_and_at_its_place() {
    let text = r#"
version: 1
defaults:
  runtime: pie
agents:
  - name: a
  - name: b
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:12: unknown runtime "pie"
        expected claude, codex, opencode, pi or dogfood, or one that you define below "runtimes"
        did you mean "pi"?
    "#);
}

#[test]
fn a_runtime_of_ones_own_needs_a_command() {
    let text = r#"
version: 1
runtimes:
  claud:
    reset_command: /clear
  mine:
agents:
  - name: a
    runtime: mine
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:3: runtime "claud" is not built in and has no "command"
        expected a command that starts it, or one of the built-in claude, codex, opencode, pi or dogfood
        did you mean "claude"?
    roster.yaml:5:3: runtime "mine" is not built in and has no "command"
        expected a command that starts it, or one of the built-in claude, codex, opencode, pi or dogfood
    "#);
}

#[test]
fn an_unknown_role_names_the_nearest_one() {
    let text = r#"
version: 1
agents:
  - name: a
    kickstart_template: reviewr
  - name: b
    kickstart_template: prompts/b.md
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:4:25: unknown role "reviewr"
        expected orchestrator, implementer, reviewer, security_reviewer, final_reviewer, enhancer, analyst, finance or researcher, or a file by a path that begins with /, ~/ or %h/
        did you mean "reviewer"?
    roster.yaml:6:25: unknown role "prompts/b.md"
        expected orchestrator, implementer, reviewer, security_reviewer, final_reviewer, enhancer, analyst, finance or researcher, or a file by a path that begins with /, ~/ or %h/
    "#);
}

#[test]
fn everything_is_said_at_once() {
    let text = r#"
version: 1
transprt: tmux
defaults:
  runtime: pi
  nice: 5
agents:
  - name: coder 0
  - name: a
    runtime: cluade
  - name: a
    limits: {nice: high}
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:1: unknown key "transprt" at the top of the roster
        expected version, tenant_id, transport, tmux, defaults, runtimes or agents
        did you mean "transport"?
    roster.yaml:5:3: "nice" does not belong below "defaults"
        it goes below "limits"
    roster.yaml:7:11: name cannot be "coder 0"
        expected 1 to 63 of A-Z a-z 0-9 _ -, not beginning with -
    roster.yaml:9:14: unknown runtime "cluade"
        expected claude, codex, opencode, pi or dogfood, or one that you define below "runtimes"
        did you mean "claude"?
    roster.yaml:10:11: a second agent "a"
        roster.yaml:8:11: the first one; a name is an address, so each stands once
    roster.yaml:11:20: nice cannot be "high"
        expected a whole number from -20 to 19
    "#);
}
