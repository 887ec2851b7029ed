//! `mosaic agent attach` and `mosaic agent status` on real terminals, without a user manager.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;
#[path = "common/tenant.rs"]
mod tenant;

use std::path::Path;

use nix::sys::signal::Signal;
use pty::{Pty, until};
use serde_json::Value;
use tenant::{Conf, Tenant};

/// A person on a small terminal, who came by ssh and sudo.
fn person(tenant: &Tenant, agent: &str) -> Pty {
    let program = env!("CARGO_BIN_EXE_mosaic");
    let line = format!("stty cols 80 rows 24 && exec '{program}' agent attach {agent}");
    let home = tenant.home.path().to_str().expect("text").to_owned();
    let ssh = ("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22");
    Pty::start(Path::new("/bin/sh"), &["-c", &line], &[("HOME", &home), ssh, ("SUDO_USER", "ada")])
}

fn status(tenant: &Tenant, args: &[&str]) -> (Option<i32>, Value) {
    let output = tenant.run(&[&["agent", "status", "--json"], args].concat());
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code(), value)
}

/// `who` that a status lists, the last first.
fn attachments(tenant: &Tenant) -> Vec<Value> {
    status(tenant, &["coder"]).1["attachments"].as_array().expect("a list").clone()
}

#[test]
fn a_person_types_and_leaves_and_it_is_known_who_that_was() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    let typed = tenant.home.path().join("typed");
    tenant.session("coder", (200, 50), &format!("echo ready; exec cat >{}", typed.display()));
    assert_eq!(attachments(&tenant), Vec::<Value>::new());
    let mut ada = person(&tenant, "coder");
    ada.sees("attaching to coder (200x50): what you type reaches the agent; C-b d leaves");
    ada.sees("ready");
    assert_eq!(tenant.size("coder"), "200x50");
    ada.keys(b"hello\r");
    until("the agent has read it", || std::fs::read_to_string(&typed).is_ok_and(|t| t == "hello\n"));
    let rows = tenant.run(&["fleet", "ps", "--json"]);
    assert!(String::from_utf8_lossy(&rows.stdout).contains("\"ATTACHED\""), "{rows:?}");
    let there = &attachments(&tenant)[0];
    assert_eq!(there["attached"], true, "{there:#}");
    assert_eq!((&there["from"], &there["sudo_user"]), (&"192.0.2.7".into(), &"ada".into()));
    assert!(
        there["user"].is_string() && there["terminal"].as_str().is_some_and(|t| t.starts_with("/dev/pts/"))
    );
    let text = String::from_utf8_lossy(&tenant.run(&["agent", "status", "coder"]).stdout).into_owned();
    assert!(
        text.contains("attached") && text.contains("by sudo from ada") && text.contains("still there"),
        "{text}"
    );
    ada.keys(b"\x02");
    until("tmux waits for the key", || tenant.ask(&["list-clients", "-F", "#{client_prefix}"]) == "1");
    ada.keys(b"d");
    assert_eq!(ada.end(), "exit 0");
    until("nobody is attached", || tenant.clients() == 0);
    assert_eq!(tenant.size("coder"), "200x50");
    let gone = &attachments(&tenant)[0];
    assert!(gone["attached"] == false && gone["until"].is_string(), "{gone:#}");
    let mut killed = person(&tenant, "coder");
    killed.sees("ready");
    killed.signal(Signal::SIGKILL);
    until("nobody is attached", || tenant.clients() == 0);
    killed.end();
    let all = attachments(&tenant);
    assert!(all.len() == 2 && all[0]["attached"] == false && all[0]["until"] == Value::Null, "{all:#?}");
    assert_eq!(tenant.format("coder", "#{pane_dead}"), "0");
}

#[test]
fn it_is_refused_without_a_terminal_and_before_anything_is_looked_at() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    let refused = tenant.run(&["agent", "attach", "coder"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let unknown = tenant.run(&["agent", "attach", "code"]);
    assert_eq!(unknown.status.code(), Some(3), "{unknown:?}");
    let mut nobody = person(&tenant, "coder");
    assert_eq!(nobody.end(), "exit 1");
    assert!(!tenant.run_folder().join("coder.attached").exists());
}

#[test]
fn a_status_tells_what_is_known_and_no_value_of_a_variable() {
    let tenant = Tenant::new(Conf::Fleet, &["coder", "rev"]);
    tenant.session("coder", (200, 50), "exec sleep 600");
    let agents = tenant.home.path().join(".config/mosaic/fleet/agents");
    std::fs::create_dir_all(&agents).expect("a folder");
    std::fs::write(agents.join("coder.local.env"), "TOKEN=sesame\n").expect("written");
    let (_, one) = status(&tenant, &["coder"]);
    assert_eq!(one["schema_version"], 1);
    assert_eq!((&one["tenant_id"], &one["name"]), (&"usc".into(), &"coder".into()));
    assert_eq!((&one["command"], &one["pane"]["state"]), (&"sleep 600".into(), &"alive".into()));
    assert_eq!(one["unit"]["name"], "mosaic-agent@coder.service");
    let files = one["environment_files"].as_array().expect("a list");
    assert!(files[0]["exists"] == false && files[1]["exists"] == true, "{files:?}");
    assert_eq!(one["journal"], Value::Null);
    let reasons = one["reasons"].to_string();
    assert!(reasons.contains("journal: ") && reasons.contains("memory: "), "{reasons}");
    assert!(!one.to_string().contains("sesame"));
    let (code, all) = status(&tenant, &[]);
    assert_eq!(code, Some(1), "rev is not running: {all:#}");
    assert_eq!(all["schema_version"], 1);
    let names: Vec<&str> =
        all["agents"].as_array().expect("a list").iter().filter_map(|a| a["name"].as_str()).collect();
    assert_eq!(names, ["coder", "rev"]);
    let unknown = tenant.run(&["agent", "status", "revv"]);
    assert_eq!(unknown.status.code(), Some(3), "{unknown:?}");
}
