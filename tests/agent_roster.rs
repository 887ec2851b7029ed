//! `mosaic agent roster`: what a person and a program see of the definition, good and bad.

use std::fs;

use assert_cmd::Command;
use assert_fs::TempDir;
use assert_fs::prelude::*;
use serde_json::{Value, json};

/// A home of its own, and nothing of the caller's environment.
struct Tenant {
    home: TempDir,
}

impl Tenant {
    fn new() -> Self {
        Self { home: TempDir::new().expect("a folder") }
    }

    fn with_roster(text: &str) -> Self {
        let tenant = Self::new();
        tenant.home.child(".config/mosaic/fleet/roster.yaml").write_str(text).expect("written");
        tenant
    }

    fn run(&self, program: &str, args: &[&str]) -> Seen {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin(program));
        command.env_clear().env("HOME", self.home.path()).args(args);
        let output = command.output().expect("it runs");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.replace(&self.home.path().display().to_string(), "HOME")
        };
        Seen { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

struct Seen {
    code: Option<i32>,
    out: String,
    err: String,
}

const TWO: &str = "\
version: 1
tenant_id: usc
defaults:
  env: {TOKEN: hunter2}
agents:
  - name: coder0
    runtime: claude
    class: implementer
    model: opus
    effort: high
    reset_between_tasks: true
    limits: {umask: 027, memory_max: 2G}
  - name: worker
    lifecycle: ephemeral
    lane: docs
    state: stopped
    persistent_persona: semi
    working_directory: /srv/work
";

#[test]
fn a_person_sees_a_table() {
    let seen = Tenant::with_roster(TWO).run("mosaic", &["agent", "roster"]);
    assert_eq!(seen.code, Some(0), "{}", seen.err);
    insta::assert_snapshot!(seen.out, @r"
    NAME    RUNTIME  CLASS        STATE    LIFECYCLE  LANE  MODEL  EFFORT  PERSONA  DIRECTORY
    coder0  claude   implementer  running  core             opus   high    reset    ~/src
    worker  pi                    stopped  ephemeral  docs                 semi     /srv/work
    ");
}

#[test]
fn a_program_gets_json_with_tenant_and_host_and_without_any_value_of_a_variable() {
    let seen = Tenant::with_roster(TWO).run("mosaic", &["agent", "roster", "--json"]);
    assert_eq!((seen.code, seen.err.as_str()), (Some(0), ""));
    assert!(!seen.out.contains("hunter2"));
    let answer: Value = serde_json::from_str(&seen.out).expect("JSON alone");
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["tenant_id"], "usc");
    let host = nix::unistd::gethostname().expect("a name").into_string().expect("UTF-8");
    assert_eq!(answer["host"], host);
    assert!(seen.out.trim_start().starts_with("{\n  \"schema_version\""), "it begins with its version");
    assert_eq!(
        answer["agents"][0],
        json!({
            "name": "coder0", "tenant_id": "usc", "host": host, "runtime": "claude",
            "class": "implementer", "lifecycle": "core", "lane": null, "state": "running",
            "model": "opus", "effort": "high", "model_hint": null, "persistent_persona": false,
            "reset_between_tasks": true, "working_directory": "~/src", "kickstart_template": null,
            "env": ["TOKEN"],
            "limits": {
                "memory_max": "2G", "memory_high": null, "cpu_quota": null, "tasks_max": null,
                "nofile": null, "nice": null, "umask": "027", "no_new_privs": null,
            },
            "on_stale": "flag",
        })
    );
    assert_eq!(answer["agents"][1]["persistent_persona"], "semi");
    assert_eq!(answer["agents"][1]["lane"], "docs");
}

#[test]
fn both_programs_reach_it_and_say_the_same() {
    let tenant = Tenant::with_roster(TWO);
    let one = tenant.run("mosaic", &["agent", "roster"]).out;
    assert_eq!(tenant.run("fleet", &["agent", "roster"]).out, one);
    assert_eq!(tenant.run("mosaic", &["fleet", "agent", "roster"]).out, one);
}

#[test]
fn a_roster_without_agents_is_no_error() {
    let tenant = Tenant::with_roster("version: 1\nagents:\n");
    let seen = tenant.run("mosaic", &["agent", "roster"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(0), ""));
    assert_eq!(seen.err, "the roster has no agent\n");
    let json = tenant.run("mosaic", &["agent", "roster", "--json"]);
    let answer: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(answer["agents"], json!([]));
}

#[test]
fn a_wrong_roster_ends_with_3_and_says_where_and_what() {
    let tenant = Tenant::with_roster("version: 1\nagents:\n  - name: a\n    runtime: cluade\n    modle: x\n");
    for args in [&["agent", "roster"][..], &["agent", "roster", "--json"]] {
        let seen = tenant.run("mosaic", args);
        assert_eq!((seen.code, seen.out.as_str()), (Some(3), ""));
        insta::allow_duplicates! {
            insta::assert_snapshot!(seen.err, @r#"
            error: HOME/.config/mosaic/fleet/roster.yaml has 2 problems
            HOME/.config/mosaic/fleet/roster.yaml:4:14: unknown runtime "cluade"
                expected claude, codex, opencode, pi or dogfood, or one that you define below "runtimes"
                did you mean "claude"?
            HOME/.config/mosaic/fleet/roster.yaml:5:5: unknown key "modle" in an agent
                expected name, runtime, class, model_hint, model, effort, persistent_persona, reset_between_tasks, working_directory, env, command, kickstart_template, lifecycle, lane, state, limits or on_stale
                did you mean "model"?
            "#);
        }
    }
}

#[test]
fn without_a_roster_it_ends_with_3_and_says_how_to_begin() {
    let seen = Tenant::new().run("mosaic", &["agent", "roster"]);
    assert_eq!((seen.code, seen.out.as_str()), (Some(3), ""));
    assert!(seen.err.starts_with(
        "error: there is no roster: not HOME/.config/mosaic/fleet/roster.yaml, nor /etc/mosaic/fleet/"
    ));
    assert!(seen.err.ends_with("\nhint: fleet init --profile minimal --write\n"), "{}", seen.err);
}

#[test]
fn another_roster_is_read_where_it_is_named() {
    let tenant = Tenant::with_roster("not: read");
    tenant.home.child("other.yaml").write_str("version: 1\nagents: [{name: only}]\n").expect("written");
    let other = tenant.home.child("other.yaml").path().display().to_string();
    let seen = tenant.run("mosaic", &["agent", "roster", "--roster", &other]);
    assert_eq!(seen.code, Some(0), "{}", seen.err);
    assert!(seen.out.contains("only"));
    let missing = tenant.run("mosaic", &["--roster", "/nowhere/roster.yaml", "agent", "roster"]);
    assert_eq!(missing.code, Some(3));
    assert_eq!(missing.err, "error: /nowhere/roster.yaml: there is no such roster\n");
}

#[test]
fn what_cannot_be_read_as_a_file_is_said() {
    let tenant = Tenant::new();
    let roster = tenant.home.child(".config/mosaic/fleet/roster.yaml");
    fs::create_dir_all(roster.path()).expect("a folder in its place");
    let seen = tenant.run("mosaic", &["agent", "roster"]);
    assert_eq!(seen.code, Some(3));
    assert!(seen.err.contains("HOME/.config/mosaic/fleet/roster.yaml: it is a folder"), "{}", seen.err);
}
