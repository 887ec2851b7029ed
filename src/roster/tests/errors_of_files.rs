//! What a person sees where the file itself is broken.

use super::problems;

#[test]
fn an_empty_file_says_what_to_begin_with() {
    let text = r#"
# nothing but a comment
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:1:1: the roster is empty
        expected at least `version: 1`
        `fleet init --profile minimal` shows a roster to begin with
    "#);
}

#[test]
fn a_file_of_something_else_says_what_is_expected() {
    let text = r#"
just text
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:1:1: the roster cannot be a text
        expected a mapping, a line `key: value` each
    "#);
}

#[test]
fn broken_indentation_has_its_place() {
    let text = r#"
version: 1
agents:
  - name: a
   runtime: pi
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:4:4: what stands here belongs to nothing above it
        check the indentation: what belongs together begins in the same column
    ");
}

#[test]
fn an_open_bracket_has_its_place() {
    let text = r#"
version: 1
agents: [
"#;
    insta::assert_snapshot!(problems(text), @r"roster.yaml:2:9: a bracket that is opened here is never closed");
}

#[test]
fn an_open_quote_has_its_place() {
    let text = r#"
version: 1
tenant_id: "usc
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:3:1: a text in quotes goes on here, too far left
        perhaps a quote is left open above
    ");
}

#[test]
fn a_tab_has_its_place() {
    let text = r#"
version: 1
agents:
	- name: a
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:3:2: a tab where blanks are expected
        indent with spaces
    ");
}

#[test]
fn a_second_document_has_its_place() {
    let text = r#"
version: 1
---
version: 1
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:1: a second YAML document begins here
        expected one document: remove the `---` and what follows, or make it a file of its own
    "#);
}

#[test]
fn a_line_without_a_colon_has_its_place() {
    let text = r#"
version: 1
agents
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:2:1: neither `key: value` nor an item behind a `-`
        a key ends with `:` and a blank
    ");
}

#[test]
fn an_anchor_within_itself_has_its_place() {
    let text = r#"
version: 1
defaults: &base
  env: *base
"#;
    insta::assert_snapshot!(problems(text), @r#"roster.yaml:3:8: an alias to what it stands in"#);
}

#[test]
fn an_alias_to_nothing_has_its_place() {
    let text = r#"
version: 1
defaults: *base
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:11: an alias to an anchor that does not stand above it
        quote the text if it is meant to begin with `*`
    "#);
}

#[test]
fn a_tag_has_its_place() {
    let text = r#"
version: 1
tenant_id: !secret usc
"#;
    insta::assert_snapshot!(problems(text), @r"
    roster.yaml:2:20: a tag, which has no meaning here
        quote the text if it is meant to begin with `!`
    ");
}

#[test]
fn a_number_as_a_key_is_to_be_quoted() {
    let text = r#"
version: 1
runtimes:
  9: {command: x}
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:3: a key cannot be the number 9
        expected a word
        quote it: "9"
    "#);
}

#[test]
fn a_key_that_is_no_word_has_its_place() {
    let text = r#"
version: 1
? [a, b]
: x
? {a: b}
: x
null: x
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:2:3: a key cannot be a list
        expected a word
    roster.yaml:4:3: a key cannot be a mapping
        expected a word
    roster.yaml:6:1: a key cannot be empty
        expected a word
    "#);
}

#[test]
fn a_wrong_value_behind_an_alias_is_told_once_and_where_it_stands() {
    let text = r#"
version: 1
defaults: &base
  working_directory: src
agents:
  - <<: *base
    name: a
  - <<: *base
    name: b
"#;
    insta::assert_snapshot!(problems(text), @r#"
    roster.yaml:3:22: working_directory cannot be "src"
        expected a path that begins with /, or with ~/ or %h/ for the tenant's home
    "#);
}
