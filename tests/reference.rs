//! The command reference and the man pages are made from the command line's own definition.

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use mosaic_fleet::cli::{Program, command};

/// `UPDATE_REFERENCE=1 cargo test --test reference` writes it anew.
#[test]
fn the_command_reference_is_what_the_programs_take() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/usage/commands.md");
    let options = || {
        clap_markdown::MarkdownOptions::new()
            .show_footer(false)
            .show_table_of_contents(false)
            .title(String::new())
    };
    let mut text =
        "# Command reference\n\nMade from the programs themselves; `fleet man` has the same as man pages.\n"
            .to_owned();
    for program in [Program::Fleet, Program::Mosaic] {
        let command = command(program);
        text.push_str(&clap_markdown::help_markdown_command_custom(&command, &options()));
    }
    // One blank line between blocks, none at the end of a line.
    let frame = |line: &str| line == "#" || line.starts_with("This document contains the help content");
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !frame(line)).collect();
    let mut tidy = String::new();
    for (at, line) in lines.iter().enumerate() {
        if !(line.is_empty() && at > 0 && lines[at - 1].is_empty()) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    let tidy = format!("{}\n", tidy.trim_end());
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, &tidy).expect("the page is written");
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == tidy, "docs/usage/commands.md is old: UPDATE_REFERENCE=1 cargo test --test reference");
}

#[test]
fn every_verb_has_a_man_page_and_both_programs_complete() {
    let dir = tempfile::tempdir().expect("a folder");
    let fleet = || {
        let mut fleet = Command::new(env!("CARGO_BIN_EXE_fleet"));
        fleet.env_clear().env("HOME", dir.path());
        fleet
    };
    fleet().args(["man", "--out"]).arg(dir.path().join("man")).assert().success();
    for program in [Program::Fleet, Program::Mosaic] {
        let command = command(program);
        let name = command.get_name();
        for verb in command.get_subcommands().filter(|v| !v.is_hide_set()) {
            let page = dir.path().join(format!("man/{name}-{}.1", verb.get_name()));
            let text = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
            assert!(text.contains(".SH NAME"), "{}", page.display());
        }
        for shell in ["bash", "fish", "zsh"] {
            let made = fleet().args(["completions", shell, "--program", name]).output().expect("it runs");
            assert!(String::from_utf8_lossy(&made.stdout).contains("completions"), "{shell} {name}");
        }
    }
}

#[test]
fn a_wrong_word_is_a_usage_error_that_says_what_there_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let output = fleet.env_clear().env("HOME", dir.path()).arg("completion").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("'completions'"));
}
