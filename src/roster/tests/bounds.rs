//! What is read at all: bounds on size, depth and aliases, and encodings.

use std::path::Path;

use super::super::{read, read_bytes};
use super::{accepted, problems};
use crate::yaml::MAX_BYTES;

#[test]
fn a_file_that_is_nested_too_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("? ", ""), ("[", "")] {
        for depth in [40, 10_000] {
            let said =
                problems(&format!("version: 1\nagents: {}{}\n", open.repeat(depth), close.repeat(depth)));
            assert!(said.starts_with("roster.yaml:2:"), "{said}");
        }
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = "version: 1\na: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("b{level}: &a{level} [{aliases}]\n"));
    }
    let said = problems(&bomb);
    assert!(said.contains("its aliases make the file too large here"), "{said}");
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let said = problems(&"#".repeat(MAX_BYTES + 1));
    insta::assert_snapshot!(said, @r"
    roster.yaml:1:1: the file is too large to be a roster
        expected at most 4 MiB
    ");
}

#[test]
fn a_file_of_too_many_values_is_refused() {
    let said = problems(&format!("version: 1\nagents:\n{}", "- {name: a}\n".repeat(60_000)));
    assert!(
        said.contains(": the file has too many values, up to here\n    expected at most 100000"),
        "{said}"
    );
}

#[test]
fn bytes_that_are_no_text_have_their_place() {
    let said = |bytes| read_bytes(bytes, Path::new("r.yaml"), "usc").expect_err("no text").to_string();
    insta::assert_snapshot!(said(b"version: 1\n# caf\xe9\n"), @r"
    r.yaml:2:6: the byte 0xe9 is not UTF-8
        expected a text file in UTF-8
    ");
    assert!(said(b"\xff\xfev\0e\0").starts_with("r.yaml:1:1: "));
    assert!(said(b"version: 1\ntenant_id: a\0b\n").starts_with("r.yaml:2:13: "));
}

#[test]
fn an_editor_of_another_system_may_have_written_it() {
    let roster = accepted("\u{feff}version: 1\r\nagents:\r\n  - name: a\r\n    env: {A: 027}\r\n");
    let values: Vec<&str> = roster.agents.iter().flat_map(|a| &a.env).map(|var| var.value.as_str()).collect();
    assert_eq!(values, ["027"]);
}

#[test]
fn a_user_whose_name_cannot_be_a_tenant_is_asked_for_one() {
    let said = |text| read(text, Path::new("roster.yaml"), "a@b");
    insta::assert_snapshot!(said("version: 1\n").expect_err("no tenant").to_string(), @r#"
    roster.yaml:1:1: the user's name "a@b" cannot be the tenant's
        expected 1 to 32 of A-Z a-z 0-9 _ . -, not beginning with - or .
        name the tenant by `tenant_id`
    "#);
    assert!(said("version: 1\ntenant_id: usc\n").is_ok());
}

#[test]
fn a_file_of_mistakes_alone_does_not_fill_the_screen() {
    let keys: String = (0..45_000).map(|n| format!("k{n}: x\n")).collect();
    let said = problems(&keys);
    assert!(said.ends_with("and 44981 more"), "{said}");
}
