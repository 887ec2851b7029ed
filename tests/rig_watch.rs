//! Watching, following and attaching in real fleets, with the tmux of Debian 12 and of Debian 13.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::path::Path;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, SOON, TENANT};
use nix::sys::signal::Signal;
use pty::{Pty, until};
use serde_json::Value;

const ROSTER: &str = "version: 1\nagents:\n  - {name: coder, command: \"sh -c 'echo ready; exec cat >$HOME/typed'\", \
                      limits: {tasks_max: 50}}\n  - {name: coder0, runtime: dogfood}\n";

/// A person on a terminal of that size, outside the rig, who runs this inside.
fn person(fleet: &Fleet, (columns, rows): (u16, u16), command: &str) -> Pty {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder").to_str().expect("text");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rig");
    let line = format!(
        "stty cols {columns} rows {rows}; export CARGO_TARGET_DIR={target}; exec {script} as {} {TENANT} {command}",
        fleet.rig.name()
    );
    Pty::start(Path::new("/bin/bash"), &["-c", &line], &[])
}

fn tmux(fleet: &Fleet, args: &[&str]) -> String {
    fleet.run(&[&["tmux", "-L", "mosaic-factory"], args].concat()).ok().trim().to_owned()
}

fn clients(fleet: &Fleet) -> usize {
    tmux(fleet, &["list-clients", "-F", "#{client_pid}"]).lines().count()
}

#[test]
fn an_agents_terminal_is_watched_followed_and_taken_over_and_stays_as_it_was() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, ROSTER);
        let size =
            || tmux(&fleet, &["display-message", "-p", "-t", "=coder:", "#{window_width}x#{window_height}"]);
        let sessions = fleet.sessions();
        assert_eq!(size(), "200x50", "{suite:?}");

        let mut small = person(&fleet, (80, 24), "mosaic agent watch coder");
        small.sees("watching coder (200x50), read-only");
        small.sees("ready");
        let mut large = person(&fleet, (250, 60), "fleet agent watch coder");
        large.sees("ready");
        assert_eq!((size(), clients(&fleet)), ("200x50".to_owned(), 2), "{suite:?}");
        for keys in ["hello\r", "\x02:kill-server\r", "\x02[", "\x02(", "\x02&y", "\x02c"] {
            small.keys(keys.as_bytes());
        }
        let rows: Value = serde_json::from_str(&fleet.run(&["fleet", "ps", "--json"]).ok()).expect("JSON");
        assert!(!rows.to_string().contains("ATTACHED"), "{suite:?}: who watches can't type: {rows:#}");
        small.keys(b"q");
        assert_eq!(small.end(), "exit 0", "{suite:?}: {}", small.seen());
        large.signal(Signal::SIGKILL);
        until("nobody is attached", || clients(&fleet) == 0);
        assert_eq!((size(), fleet.sessions()), ("200x50".to_owned(), sessions), "{suite:?}");
        let state =
            ["display-message", "-p", "-t", "=coder:", "#{pane_in_mode} #{pane_dead} #{session_windows}"];
        assert_eq!(tmux(&fleet, &state), "0 0 1", "{suite:?}");
        let typed = || fleet.run(&["sh", "-c", "cat ~/typed 2>/dev/null"]).stdout;
        assert_eq!(typed(), "", "{suite:?}");

        let mut ada = person(&fleet, (80, 24), "mosaic agent attach coder");
        ada.sees("C-b d leaves");
        ada.sees("ready");
        let rows = fleet.run(&["fleet", "ps", "--json"]).ok();
        assert!(rows.contains("ATTACHED"), "{suite:?}: {rows}");
        ada.keys(b"typed by a person\r");
        fleet.rig.wait_until("the agent has read it", SOON, || typed() == "typed by a person\n");
        assert_eq!(size(), "200x50", "{suite:?}");

        let mut log = person(&fleet, (80, 24), "mosaic agent tail coder0 -f");
        log.sees("dogfood");
        tmux(&fleet, &["send-keys", "-t", "=coder0:", "hello there", "Enter"]);
        log.sees("hello there");

        let one: Value =
            serde_json::from_str(&fleet.run(&["mosaic", "agent", "status", "coder", "--json"]).stdout)
                .expect("JSON");
        assert_eq!(one["attachments"][0]["user"], TENANT, "{suite:?}: {one:#}");
        assert_eq!(one["attachments"][0]["attached"], true, "{suite:?}: {one:#}");
        assert_eq!(one["limits"]["tasks_max"], 50, "{suite:?}");
        assert_eq!(one["supervisor"]["state"], "running", "{suite:?}: {one:#}");
        assert!(one["supervisor"]["started_at"].is_string(), "{suite:?}: {one:#}");
        let journal = one["journal"].as_array().unwrap_or_else(|| panic!("{suite:?}: {one:#}"));
        assert!(!journal.is_empty(), "{suite:?}: {one:#}");

        // The agent ends: whoever looks is told, and what it showed last is kept.
        fleet.run(&["fleet", "stop", "coder", "coder0"]).ok();
        assert_eq!(ada.end(), "exit 1", "{suite:?}: {}", ada.seen());
        assert!(ada.seen().contains("coder is not running"), "{suite:?}: {}", ada.seen());
        assert_eq!(log.end(), "exit 1", "{suite:?}: {}", log.seen());
        let refused = fleet.run(&["mosaic", "agent", "tail", "coder"]).exits(1);
        assert!(refused.stderr.contains("its supervisor: stopped"), "{suite:?}: {}", refused.report());
        fleet.run(&["fleet", "start", "coder0"]).ok();
        let before = fleet.pane("coder0").expect("a pane");
        let mut log = person(&fleet, (80, 24), "mosaic agent watch coder0 --log");
        fleet.rig.wait_until("it follows", SOON, || clients(&fleet) == 1);
        tmux(&fleet, &["send-keys", "-t", "=coder0:", "last words", "Enter"]);
        log.sees("last words");
        fleet.kill("-KILL", before);
        assert_eq!(log.end(), "exit 1", "{suite:?}: {}", log.seen());
        let kept = fleet.run(&["mosaic", "agent", "tail", "coder0", "-n", "500"]).exits(0);
        assert!(
            kept.stdout.contains("last words") || !kept.stderr.contains("these are its last lines"),
            "{suite:?}: {}",
            kept.report()
        );
    }
}

#[test]
fn from_the_live_view_an_agent_is_told_something_and_restarted_only_when_asked_twice() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::with(Suite::Trixie, "version: 1\nagents:\n  - {name: coder, runtime: dogfood}\n");
    let answers = || fleet.run(&["fleet", "ps", "--json"]).stdout.contains("\"health\": \"healthy\"");
    fleet.rig.wait_until("it answers", SOON, answers);
    let shown = || fleet.run(&["mosaic", "agent", "tail", "coder", "-n", "500"]).stdout;
    let before = fleet.pane("coder").expect("a pane");
    let mut ada = person(&fleet, (80, 24), "fleet top");
    ada.sees("coder");
    ada.sees("healthy");
    ada.keys(b"mgood");
    ada.keys(b"morning");
    assert!(!shown().contains("goodmorning"));
    ada.keys(b"\r");
    fleet.rig.wait_until("the message is there", SOON, || shown().contains("goodmorning"));
    ada.sees("done");
    ada.keys(b"Rn");
    ada.keys(b"Ry");
    let after = fleet.comes_back("coder", before);
    assert_ne!(after, before);
    ada.keys(b"\x03");
    assert_eq!(ada.end(), "exit 0", "{}", ada.seen());
}
