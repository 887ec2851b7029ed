//! What a sender is told: the receipt, who can't be reached, and what a name means.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::pty::until;

#[test]
fn a_message_is_accepted_and_its_receipt_says_all_but_the_body() {
    let desk = Desk::new(&["coder", "coder0"]);
    desk.dogfood("coder0", &[]);
    let sent = desk.send(&["coder0", "--message", "the secret of the day", "--verify", "--json"]);
    let receipt = sent.json();
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.stdout.starts_with("{\n  \"schema_version\": 1,"), "{sent:?}");
    for (key, value) in [
        ("state", json!("accepted")),
        ("tenant_id", json!("usc")),
        ("agent", json!("coder0")),
        ("body_bytes", json!(21)),
        ("enters", json!(1)),
        ("via", json!("tmux")),
    ] {
        assert_eq!(receipt[key], value, "{key} of {receipt:#}");
    }
    let id = receipt["id"].as_str().expect("an id");
    let host = receipt["host"].as_str().expect("a host");
    let on_disk: Value =
        serde_json::from_str(&desk.run_file(&format!("receipts/coder0/{id}.json"))).expect("JSON");
    assert_eq!(on_disk, receipt);
    let latest: Value = serde_json::from_str(&desk.run_file("coder0.receipt")).expect("JSON");
    assert_eq!(latest["latest"], receipt);
    assert!(!desk.run_file("coder0.receipt").contains("secret"));
    let source = receipt["source"].as_str().expect("a source");
    assert_eq!(desk.received("coder0"), [format!("[{source} -> {host}:coder0] the secret of the day")]);
    assert_eq!(source.split_once(':').map(|(h, _)| h), Some(host));
}

#[test]
fn a_name_is_exact_and_the_dead_are_an_error_unless_it_is_queued() {
    let desk = Desk::new(&["coder", "coder0"]);
    desk.dogfood("coder0", &[]);
    let nobody = desk.send(&["code", "--message", "x"]);
    assert_eq!(nobody.code, 3, "{nobody:?}");
    assert!(nobody.stderr.contains("did you mean coder?"), "{nobody:?}");
    let dead = desk.send(&["coder", "--message", "x", "--json"]);
    assert_eq!((dead.code, dead.state()), (1, "refused".to_owned()), "{dead:?}");
    assert!(dead.stderr.contains("agent coder is not running"), "{dead:?}");
    let later = desk.send(&["coder", "--message", "for later", "--queue", "--json"]);
    assert_eq!((later.code, later.state()), (0, "held".to_owned()), "{later:?}");
    assert_eq!(desk.received("coder0"), Vec::<String>::new());
    desk.dogfood("coder", &[]);
    until("it is taken at the start", || desk.received("coder").len() == 1);
    let id = later.json()["id"].as_str().expect("an id").to_owned();
    until("its receipt says so", || desk.receipt("coder", &id)["state"] == "accepted");
    assert!(desk.received("coder")[0].ends_with(":coder] for later"), "{:?}", desk.received("coder"));
    assert_eq!(desk.received("coder0"), Vec::<String>::new());
}

#[test]
fn the_roster_without_tmux_has_no_terminal_and_a_session_that_ended_is_not_running() {
    let desk = Desk::new(&["coder0"]);
    desk.session("coder0", "exit 3");
    until("it ended", || desk.format("coder0", "#{pane_dead}") == "1");
    let sent = desk.send(&["coder0", "--message", "x"]);
    assert_eq!(sent.code, 1, "{sent:?}");
    assert!(sent.stderr.contains("has ended"), "{sent:?}");
    desk.roster_line("transport: none");
    let sent = desk.send(&["coder0", "--message", "x"]);
    assert!(sent.code == 1 && sent.stderr.contains("transport is none"), "{sent:?}");
}

#[test]
fn a_hung_runtime_never_counts_as_having_accepted() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &["--fault", "hang@0.5"]);
    let pid = desk.format("coder0", "#{pane_pid}");
    until("it hangs", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        status.lines().any(|l| l.starts_with("SigBlk:") && l.contains("fffff"))
    });
    let sent =
        desk.send(&["coder0", "--message", "anyone?", "--verify", "--verify-timeout", "700", "--json"]);
    assert_eq!((sent.code, sent.state()), (1, "unknown".to_owned()), "{sent:?}");
    let told = "could not verify delivery (no pane change after send) for agent coder0";
    assert!(sent.stderr.contains(told), "{sent:?}");

    // What another one takes of the same text is no word of the first, which a hang-up does not end.
    assert!(desk.tmux(&["kill-session", "-t", "=coder0"]).status.success());
    kill(Pid::from_raw(pid.parse().expect("a pid")), Signal::SIGKILL).expect("it hangs still");
    desk.dogfood("coder0", &[]);
    let again = desk.send(&["coder0", "--message", "anyone?", "--verify", "--json"]);
    assert_eq!((again.code, again.state()), (0, "accepted".to_owned()), "{again:?}");
    let status = desk.mosaic(&["agent", "status", "coder0", "--json"]).json();
    assert_eq!(status["open_receipts"][0]["id"], sent.json()["id"], "{status:#}");
    assert_eq!(desk.received("coder0").len(), 1);
}

#[test]
fn a_full_screen_runtime_and_a_busy_one_say_what_they_did_with_it() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &["--fault", "fullscreen"]);
    let sent = desk.send(&["coder0", "--message", "work 1.5", "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (0, "accepted".to_owned()), "{sent:?}");
    let sent = desk.send(&["coder0", "--message", "meanwhile", "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (0, "queued".to_owned()), "{sent:?}");
    let id = sent.json()["id"].as_str().expect("an id").to_owned();
    until("it is taken up", || desk.acks("coder0").len() == 3);
    assert_eq!(desk.receipt("coder0", &id)["state"], "queued", "what the sender knew");
    let status = desk.mosaic(&["agent", "status", "coder0", "--json"]).json();
    assert_eq!(status["receipt"]["state"], "accepted", "{status:#}");
    assert_eq!(desk.send(&["coder0", "--message", "x", "--verify"]).code, 0);
    assert_eq!(desk.receipt("coder0", &id)["state"], "accepted", "entered by who came next");
}

#[test]
fn an_acknowledgement_of_another_text_is_never_made_up_for_by_the_screen() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    // In its place, a program that takes a line and says that it was another one.
    let ack = desk.run_folder().join("coder0.ack");
    let line = json!({"ts": "2999-01-01T00:00:00Z", "event": "prompt", "sha256": "0".repeat(64)});
    let taker = desk.home.path().join("taker");
    let script = format!(
        "printf '> '; while read -r l; do echo \"got $l\"; echo '{line}' >>{}; printf '> '; done\n",
        ack.display()
    );
    fs::write(&taker, script).expect("written");
    let run = format!("exec sh {}", taker.display());
    assert!(desk.tmux(&["respawn-pane", "-k", "-t", "=coder0:", &run]).status.success());
    desk.wait("it shows a prompt", || desk.screen("coder0") == ">");
    let sent = desk.send(&["coder0", "--message", "x", "--verify", "--verify-timeout", "900", "--json"]);
    assert_eq!((sent.code, sent.state()), (1, "unknown".to_owned()), "{sent:?}");
    assert!(sent.stderr.contains("acknowledged another text"), "{sent:?}");
    let unasked = desk.send(&["coder0", "--message", "x", "--json"]);
    assert_eq!((unasked.code, unasked.state()), (0, "typed".to_owned()), "{unasked:?}");
}

#[test]
fn a_runtime_without_acknowledgements_is_judged_by_its_screen() {
    let dogfood = format!("exec {} yolo dogfood", env!("CARGO_BIN_EXE_mosaic"));
    let keeper = format!("{dogfood} --fault draft");
    let desk = Desk::custom(&[
        ("echoing", r#"printf '\033[?2004h> '; while IFS= read -r l; do echo "got $l"; printf '> '; done"#),
        ("mute", "stty -echo; printf 'ready\\n> '; sleep 600"),
        // Outside an agent it acknowledges nothing.
        ("taker", &dogfood),
        ("keeper", &keeper),
    ]);
    for agent in ["echoing", "mute", "taker", "keeper"] {
        desk.start(agent);
    }
    for agent in ["echoing", "mute", "taker", "keeper"] {
        desk.wait("it shows a prompt", || desk.screen(agent).ends_with('>'));
    }
    let sent = |agent: &str| {
        desk.send(&[agent, "--message", "hello\nthere", "--verify", "--verify-timeout", "900", "--json"])
    };
    for agent in ["echoing", "taker"] {
        let sent = sent(agent);
        assert_eq!((sent.code, sent.state()), (0, "submitted".to_owned()), "{agent}: {sent:?}");
    }
    let mute = sent("mute");
    assert_eq!((mute.code, mute.state()), (1, "unknown".to_owned()), "{mute:?}");
    let told = "could not verify delivery (no pane change after send) for agent mute";
    assert!(mute.stderr.contains(told), "{mute:?}");
    let keeper = sent("keeper");
    assert_eq!((keeper.code, keeper.state()), (1, "draft".to_owned()), "{keeper:?}");
    assert!(keeper.stderr.contains("message left as unsubmitted draft in agent keeper"), "{keeper:?}");
}

#[test]
fn no_other_server_hears_of_it() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    // A person's own server, in whose pane the sender runs.
    let theirs = Desk::new(&["coder0"]);
    theirs.session("coder0", "exec cat");
    let pane = theirs.format("coder0", "/tmp/tmux-%U,#{socket_path},#{pid},0");
    let before = (theirs.screen("coder0"), theirs.ask(&["list-buffers"]), theirs.clients());
    let mut fields = pane.split(',').skip(1);
    let tmux = format!("{},{},0", fields.next().unwrap_or(""), fields.next().unwrap_or(""));
    let sent = desk.send_with(
        &["coder0", "--message", "x", "--verify"],
        &[("TMUX", &tmux), ("TMUX_PANE", "%0"), ("TMUX_TMPDIR", "/nonexistent")],
    );
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!((theirs.screen("coder0"), theirs.ask(&["list-buffers"]), theirs.clients()), before);
    assert_eq!(desk.received("coder0").len(), 1);
}
