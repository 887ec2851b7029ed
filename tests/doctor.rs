//! `fleet doctor`: what a person sees, on whatever machine the tests run.

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

fn doctor(home: &Path, args: &[&str]) -> Output {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_fleet"));
    command.env_clear().env("HOME", home).env("PATH", home.join("bin")).arg("doctor").args(args);
    command.output().expect("it runs")
}

fn put(home: &Path, path: &str, text: &str, mode: u32) {
    let path = home.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    if mode & 0o111 != 0 {
        program::write(&path, text);
    } else {
        fs::write(&path, text).expect("written");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn check<'a>(value: &'a Value, id: &str) -> &'a Value {
    let checks = value["checks"].as_array().expect("checks");
    checks.iter().find(|c| c["id"] == id).unwrap_or_else(|| panic!("no {id} in {value:#}"))
}

const ROSTER: &str = ".config/mosaic/fleet/roster.yaml";

#[test]
fn without_a_roster_it_says_what_was_left_out_and_writes_nothing() {
    let home = tempfile::tempdir().expect("a home");
    put(home.path(), "bin/tmux", "#!/bin/sh\necho tmux 3.2a\n", 0o755);
    let output = doctor(home.path(), &[]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("3.2a") && out.contains("cure:"), "{out}");
    assert!(err.contains("without a roster these were left out"), "{err}");
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    let left: Vec<_> = fs::read_dir(home.path()).expect("read").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["bin"], "nothing is written");
}

#[test]
fn the_json_stands_alone_and_each_check_has_all_its_fields() {
    let home = tempfile::tempdir().expect("a home");
    put(
        home.path(),
        ROSTER,
        "version: 1\ntenant_id: usc\nagents: [{name: a, runtime: claude}, {name: b}]\n",
        0o600,
    );
    put(home.path(), ".local/bin/claude", "echo stub\n", 0o755);
    put(home.path(), ".npm-global/bin/pi", "#!/usr/bin/env node\n", 0o755);
    let begun = Instant::now();
    let output = doctor(home.path(), &["--json"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "bounded: {:?}", begun.elapsed());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.trim_start().starts_with("{\n  \"schema_version\": 1"), "{text}");
    let value = json(&output);
    assert_eq!((&value["tenant_id"], &value["ok"]), (&"usc".into(), &false.into()));
    for check in value["checks"].as_array().expect("checks") {
        let keys: Vec<&String> = check.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["id", "ok", "level", "seen", "expected", "cure"]);
    }
    let claude = check(&value, "runtime-claude");
    assert_eq!(claude["level"], "bad");
    assert!(
        claude["seen"].as_str().is_some_and(|s| s.contains(".local/bin/claude is not a program")),
        "{claude}"
    );
    assert!(claude["cure"].as_str().is_some_and(|s| s.contains("node install.cjs")), "{claude}");
    let pi = check(&value, "runtime-pi");
    assert!(pi["seen"].as_str().is_some_and(|s| s.ends_with(".npm-global/bin/pi")), "{pi}");
}

#[test]
fn a_program_that_hangs_is_waited_for_and_is_not_known() {
    let home = tempfile::tempdir().expect("a home");
    put(home.path(), "bin/tmux", "#!/bin/sh\nexec /bin/sleep 60\n", 0o755);
    let begun = Instant::now();
    let value = json(&doctor(home.path(), &["--json"]));
    assert!(begun.elapsed() < Duration::from_secs(8), "bounded: {:?}", begun.elapsed());
    assert_eq!(check(&value, "tmux")["level"], "unknown");
    assert_eq!(check(&value, "tmux-server")["level"], "unknown");
}

#[test]
fn a_roster_that_can_not_be_read_is_one_of_the_checks() {
    let home = tempfile::tempdir().expect("a home");
    put(home.path(), ROSTER, "version: 1\nagents: [{nam: a}]\n", 0o600);
    let output = doctor(home.path(), &["--json"]);
    let value = json(&output);
    assert_eq!(output.status.code(), Some(1));
    let roster = check(&value, "roster");
    assert_eq!(roster["level"], "bad");
    assert!(roster["seen"].as_str().is_some_and(|s| s.contains("roster.yaml:2")), "{roster}");
}
