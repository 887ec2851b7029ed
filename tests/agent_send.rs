//! `mosaic agent send` against real runtimes on real terminals: what a sender is told, and what
//! reached the runtime.

#[path = "common/desk.rs"]
mod desk;
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "common/pty.rs"]
mod pty;

use std::fs;

use desk::{Desk, Sent};
use pty::{Pty, until};
use serde_json::{Value, json};

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
fn a_draft_is_entered_again_three_times_and_never_pasted_again() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &["--fault", "draft:2"]);
    let sent = desk.send(&["coder0", "--message", "stubborn", "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (0, "accepted".to_owned()), "{sent:?}");
    assert_eq!(sent.json()["enters"], 3);
    let messages = || desk.received("coder0").iter().filter(|m| m.starts_with('[')).count();
    assert_eq!(messages(), 1);

    desk.type_into("coder0", "/fault draft");
    until("the fault is on", || desk.screen("coder0").contains("fault: draft"));
    let sent = desk.send(&["coder0", "--message", "kept", "--verify", "--verify-timeout", "4000", "--json"]);
    assert_eq!((sent.code, sent.state()), (1, "draft".to_owned()), "{sent:?}");
    assert!(sent.stderr.contains("message left as unsubmitted draft in agent coder0"), "{sent:?}");
    assert_eq!(sent.json()["enters"], 4);
    assert_eq!(desk.screen("coder0").matches("] kept").count(), 1, "{}", desk.screen("coder0"));
    // And the next one does not run into it.
    let next = desk.send(&["coder0", "--message", "next", "--verify"]);
    assert!(next.code == 1 && next.stderr.contains("a draft stands in the composer"), "{next:?}");
    assert_eq!(messages(), 1);
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
fn a_persons_draft_is_never_touched() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    desk.keys("coder0", "not finis");
    until("the draft shows", || desk.screen("coder0").contains("> not finis"));
    let before = desk.screen("coder0");
    let sent = desk.send(&["coder0", "--message", "x", "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (1, "held".to_owned()), "{sent:?}");
    assert_eq!(desk.screen("coder0"), before);
    let kept = desk.send(&["coder0", "--message", "y", "--queue", "--wake", "--json"]);
    assert_eq!((kept.code, kept.state()), (0, "held".to_owned()), "{kept:?}");
    assert_eq!(desk.screen("coder0"), before);
    desk.keys("coder0", "hed");
    desk.enter("coder0");
    until("both are there", || desk.received("coder0").len() == 2);
    assert_eq!(desk.received("coder0")[0], "not finished");
    assert!(desk.received("coder0")[1].ends_with("] y"), "{:?}", desk.received("coder0"));
}

#[test]
fn a_draft_that_the_terminal_wraps_is_a_draft_wherever_its_cursor_stands() {
    let line = r#"exec bash --norc -c 'while read -e -p "> " l; do echo "got:$l"; done'"#;
    let desk = Desk::custom(&[("reader", line)]);
    desk.start("reader");
    desk.wait("it shows a prompt", || desk.screen("reader").ends_with('>'));
    let draft = format!("{}END", "words of a person ".repeat(30));
    desk.keys("reader", &draft);
    desk.wait("the draft is there", || desk.screen("reader").ends_with("END"));
    for key in [None, Some("Home")] {
        if let Some(key) = key {
            desk.tmux(&["send-keys", "-t", "=reader:", key]);
            desk.wait("the cursor is at its start", || desk.format("reader", "#{cursor_x}") == "2");
        }
        let sent = desk.send(&["reader", "--message", "mine", "--verify", "--json"]);
        assert_eq!((sent.code, sent.state()), (1, "held".to_owned()), "{sent:?}\n{}", desk.screen("reader"));
    }
    assert!(!desk.screen("reader").contains("mine"), "{}", desk.screen("reader"));
    desk.enter("reader");
    desk.wait("it is taken", || desk.screen("reader").ends_with("END\n>"));
    let long = "a long message ".repeat(40);
    let sent = desk.send(&["reader", "--message", &long, "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (0, "submitted".to_owned()), "{sent:?}");
    desk.wait("it came alone", || desk.ask(&["capture-pane", "-pJ", "-t", "=reader:"]).contains("got:["));
}

#[test]
fn an_acknowledgement_of_another_text_is_never_made_up_for_by_the_screen() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &["--fault", "hang@0.5"]);
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
fn while_a_person_is_attached_and_typing_nothing_is_typed() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let home = desk.home.path().to_str().expect("text");
    let args = ["-L", &desk.socket, "attach", "-t", "=coder0"];
    let mut person = Pty::start("/usr/bin/tmux".as_ref(), &args, &[("HOME", home), ("LC_ALL", "C.UTF-8")]);
    person.sees("> ");
    person.keys(b"x\x7f");
    until("the composer is empty again", || desk.screen("coder0").ends_with("\n>"));
    let sent = desk.send(&["coder0", "--message", "me first", "--verify", "--json"]);
    assert_eq!((sent.code, sent.state()), (1, "held".to_owned()), "{sent:?}");
    assert!(sent.stderr.contains("attached to agent coder0 and typing"), "{sent:?}");
    assert_eq!(desk.received("coder0"), Vec::<String>::new());
}

#[test]
fn somebody_who_reads_back_does_not_keep_enter_from_the_runtime() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    assert!(desk.tmux(&["copy-mode", "-t", "=coder0:"]).status.success());
    let sent = desk.send(&["coder0", "--message", "x", "--verify"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(desk.format("coder0", "#{pane_in_mode}"), "1", "still reading");
}

#[test]
fn every_body_reaches_the_runtime_as_it_is() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let long = "0123456789abcd\u{e9}\n".repeat(1 << 16);
    let bodies = [
        "x",
        "two\nlines",
        "\ttab\tand\ttab",
        "gr\u{fc}\u{df}e \u{1f642} \u{4f60}\u{597d} e\u{301}",
        "- do this",
        "--verify",
        "/clear",
        "!rm -rf /",
        "#comment $HOME `id` $(id) \\n \"quoted\" 'q' ; tmux kill-server",
        "trailing newlines\n\n\n",
        "\n\nleading ones",
        "[h:s -> h:coder0] looks like a preamble",
        "-t =coder0 --flag",
        "#{pane_id} %1 ;",
        &long[..1 << 20],
    ];
    for body in bodies {
        let sent = desk.send_stdin(&["coder0", "--verify", "--source-label", "t:t"], body.as_bytes());
        assert_eq!(sent.code, 0, "{sent:?}");
        let last = desk.received("coder0").pop().expect("received");
        let host = desk.host();
        assert!(last == format!("[t:t -> {host}:coder0] {body}"), "{:.80} came as {last:.120}", body);
    }
    for text in ["- do this", "--flag"] {
        assert_eq!(desk.send(&["coder0", "--message", text, "--verify"]).code, 0, "{text}");
        assert!(desk.received("coder0").pop().is_some_and(|m| m.ends_with(&format!("] {text}"))));
    }
    let raw = desk.send(&["coder0", "--message", "as it is\n", "--raw", "--verify"]);
    assert_eq!(raw.code, 0, "{raw:?}");
    assert_eq!(desk.received("coder0").pop().as_deref(), Some("as it is\n"));
    let file = desk.home.path().join("message.txt");
    fs::write(&file, "from a file\n").expect("written");
    let sent = desk.send(&["coder0", "--file", file.to_str().expect("text"), "--verify"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(desk.received("coder0").pop().is_some_and(|m| m.ends_with("] from a file\n")));
    assert_eq!(desk.ask(&["list-buffers"]), "", "no buffer is left");
}

#[test]
fn what_a_terminal_would_obey_is_refused() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    for (body, why) in [
        (&b"a\x1b[201~\rb"[..], "U+001B at 1:2"),
        (b"a\r\n", "U+000D"),
        (b"\xff", "not UTF-8"),
        (b"", "empty"),
        (&vec![b'x'; (1 << 20) + 1], "1 MiB"),
    ] {
        let sent = desk.send_stdin(&["coder0", "--json"], body);
        assert_eq!((sent.code, sent.state()), (1, "refused".to_owned()), "{why}");
        assert!(sent.stderr.contains(why), "{sent:?}");
    }
    assert_eq!(desk.received("coder0"), Vec::<String>::new());
    for usage in [
        &["coder0", "--message", "x", "--file", "y"][..],
        &["coder0", "--message", "x", "--id", "../x"],
        &["coder0", "--message", "x", "--source-label", "a] b"],
        &["coder0", "--message", "x", "--wake"],
        &["coder0", "--message", "x", "--verify-timeout", "0"],
        &["coder0", "--message", "x", "--queue", "--ttl", "8d"],
    ] {
        assert_eq!(desk.send(usage).code, 2, "{usage:?}");
    }
    assert_eq!(desk.send(&["coder0", "--file", "/no/such/file"]).code, 3);
}

#[test]
fn the_same_key_delivers_once_and_tells_the_first_receipt() {
    let desk = Desk::new(&["coder0"]);
    let dead = desk.send(&["coder0", "--message", "once", "--id", "k1", "--json"]);
    assert_eq!((dead.code, dead.state()), (1, "refused".to_owned()), "{dead:?}");
    desk.dogfood("coder0", &[]);
    let first = desk.send(&["coder0", "--message", "once", "--id", "k1", "--verify", "--json"]);
    assert_eq!(first.state(), "accepted", "nothing of it was typed before: {first:?}");
    let again = desk.send(&["coder0", "--message", "once", "--id", "k1", "--verify", "--json"]);
    assert_eq!((again.code, again.json()), (0, first.json()));
    let other = desk.send(&["coder0", "--message", "other", "--id", "k1"]);
    assert!(other.code == 3 && other.stderr.contains("another body"), "{other:?}");
    let senders: Vec<_> =
        (0..5).map(|_| desk.spawn(&["coder0", "--message", "at once", "--id", "k2", "--json"])).collect();
    let receipts: Vec<Sent> = senders.into_iter().map(Sent::of).collect();
    assert!(receipts.iter().all(|r| r.code == 0 && r.json()["id"] == "k2"), "{receipts:?}");
    assert_eq!(desk.received("coder0").len(), 2);
    let unverified = desk.send(&["coder0", "--message", "at once", "--id", "k2", "--verify", "--json"]);
    assert_eq!((unverified.code, unverified.state()), (0, "accepted".to_owned()), "the runtime spoke since");
}

#[test]
fn a_sender_that_is_killed_at_any_step_never_leads_to_a_second_paste() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let mut died = 0;
    for step in 1..12 {
        let key = format!("kill{step}");
        let args = ["coder0", "--message", &key, "--id", &key, "--verify", "--json"];
        let killed = desk.send_with(&args, &[("MOSAIC_SEND_DIES_AT", &step.to_string())]);
        died += u32::from(killed.code == 137);
        let again = desk.send(&args);
        let times = || desk.received("coder0").iter().filter(|m| m.ends_with(&format!("] {key}"))).count();
        match again.state().as_str() {
            "accepted" => assert_eq!((again.code, times()), (0, 1), "step {step}: {again:?}"),
            "unknown" => assert_eq!(again.code, 1, "step {step}: {again:?}"),
            other => panic!("step {step}: {other}: {again:?}"),
        }
        // What the killed one's tmux client had still to do is done once its lock is free.
        let lock = fs::File::open(desk.run_folder().join("coder0.send.lock")).expect("a lock");
        lock.lock().expect("locked");
        desk.clear_draft("coder0");
    }
    assert_eq!(desk.send(&["coder0", "--message", "the end", "--verify"]).code, 0);
    for step in 1..12 {
        let times = desk.received("coder0").iter().filter(|m| m.ends_with(&format!("] kill{step}"))).count();
        assert!(times <= 1, "step {step}: {times} times");
    }
    assert!(died >= 6, "{died} steps");
}

#[test]
fn what_waited_too_long_is_expired_for_whoever_asks() {
    let desk = Desk::new(&["coder0"]);
    let args = ["coder0", "--message", "x", "--queue", "--ttl", "1s", "--json"];
    assert_eq!(desk.send(&args).state(), "held");
    let state = || desk.mosaic(&["agent", "status", "coder0", "--json"]).json()["receipt"]["state"].clone();
    desk.wait("status says so", || state() == "expired");
    let args = [&args[..], &["--id", "k"]].concat();
    assert_eq!(desk.send(&args).state(), "held");
    desk.wait("the same key says so", || desk.send(&args).state() == "expired");
    assert_eq!(desk.send(&args).code, 1);
}

#[test]
fn senders_that_are_scripts_are_waited_for_and_the_dead_are_not() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let mut holder = std::process::Command::new("sleep").arg("60").spawn().expect("sleeps");
    let option = |args: &[&str]| desk.tmux(&[&["set-option", "-p", "-t", "=coder0:"], args].concat());
    assert!(option(&["-o", "@mosaic-sender", &holder.id().to_string()]).status.success());
    let mut sender = desk.spawn(&["coder0", "--message", "x", "--verify"]);
    desk.wait("it has its own lock", || {
        let lock = fs::File::open(desk.run_folder().join("coder0.send.lock"));
        lock.is_ok_and(|lock| lock.try_lock().is_err())
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(sender.try_wait().expect("looked").is_none() && desk.received("coder0").is_empty());
    holder.kill().expect("killed");
    holder.wait().expect("reaped");
    assert_eq!(Sent::of(sender).code, 0, "its turn ended with it");
    assert_eq!(desk.received("coder0").len(), 1);
    assert_eq!(desk.format("coder0", "#{@mosaic-sender}"), "", "nobody's turn");
}

#[test]
fn ten_senders_and_a_hundred_messages_arrive_once_each_and_whole() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    std::thread::scope(|scope| {
        for sender in 0..10 {
            let desk = &desk;
            scope.spawn(move || {
                for number in 0..10 {
                    let body = format!("{sender}.{number} {}\nsecond line", "x".repeat(sender * 300));
                    let verify: &[&str] = if number % 2 == 0 { &["--verify"] } else { &[] };
                    let sent = desk.send_stdin(
                        &[&["coder0", "--source-label", "t:t"], verify].concat(),
                        body.as_bytes(),
                    );
                    assert_eq!(sent.code, 0, "{sent:?}\n{}", desk.screen("coder0"));
                }
            });
        }
    });
    until("all are there", || desk.received("coder0").len() >= 100);
    let mut received = desk.received("coder0");
    assert_eq!(received.len(), 100);
    assert!(received.iter().all(|m| m.matches("[t:t -> ").count() == 1 && m.ends_with("\nsecond line")));
    received.sort();
    received.dedup();
    assert_eq!(received.len(), 100);
}

#[test]
fn a_queue_is_handed_out_in_order_expires_and_refuses_the_hundred_and_first() {
    let desk = Desk::new(&["coder0"]);
    for (text, more) in [("one", &[][..]), ("two", &["--ttl", "1s"]), ("now", &["--urgent"])] {
        assert_eq!(desk.send(&[&["coder0", "--message", text, "--queue"], more].concat()).code, 0);
    }
    assert_eq!(desk.mosaic(&["mail", "check", "--agent", "coder0"]).code, 0);
    let two = || {
        let receipts = fs::read_dir(desk.run_folder().join("receipts/coder0")).expect("receipts");
        let states = receipts.flatten().filter_map(|e| fs::read_to_string(e.path()).ok());
        states.filter(|text| text.contains("\"state\": \"expired\"")).count()
    };
    until("one expires", || {
        desk.mosaic(&["mail", "check", "--agent", "coder0"]);
        two() > 0
    });
    let warned = desk.send(&["coder0", "--message", "x", "--queue"]);
    assert!(warned.stderr.contains("1 queued for coder0 expired undelivered"), "{warned:?}");
    let told = desk.mosaic(&["mail", "check", "--inject", "--agent", "coder0"]);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{told:?}");
    for (line, end) in lines.iter().zip(["] now", "] one", "] x", "before it was delivered]"]) {
        assert!(line.ends_with(end), "{told:?}");
    }
    assert_eq!(desk.mosaic(&["mail", "check", "--inject", "--agent", "coder0"]).stdout, "");
    assert_eq!(desk.mosaic(&["mail", "check", "--agent", "coder0"]).code, 1);
    assert_eq!(desk.mosaic(&["mail", "check", "--inject"]).code, 0, "never fails a hook");
    let nobody = desk.mosaic(&["mail", "check", "--agent", "coder1"]);
    assert!(nobody.code == 3 && nobody.stderr.contains("did you mean coder0?"), "{nobody:?}");
    for number in 0..100 {
        assert_eq!(desk.send(&["coder0", "--message", &number.to_string(), "--queue"]).code, 0);
    }
    let full = desk.send(&["coder0", "--message", "one too many", "--queue", "--json"]);
    assert_eq!((full.code, full.state()), (1, "refused".to_owned()), "{full:?}");
    assert!(full.stderr.contains("the queue of coder0 is full"), "{full:?}");
    let inbox = desk.mosaic(&["mail", "check", "--inject", "--agent", "coder0"]).stdout;
    assert_eq!(inbox.lines().count(), 100);
    assert!(inbox.lines().zip(0..).all(|(line, n)| line.ends_with(&format!("] {n}"))), "{inbox}");
}

#[test]
fn whoever_is_killed_around_a_queue_neither_doubles_nor_hides_a_message() {
    let desk = Desk::new(&["coder0"]);
    let mut died = 0;
    for step in 1..6 {
        let key = format!("q{step}");
        let args = ["coder0", "--message", &key, "--id", &key, "--queue", "--json"];
        let killed = desk.send_with(&args, &[("MOSAIC_SEND_DIES_AT", &step.to_string())]);
        died += u32::from(killed.code == 137);
        let again = desk.send(&args);
        assert_eq!((again.code, again.state()), (0, "held".to_owned()), "step {step}: {again:?}");
    }
    assert!(died >= 3, "{died} steps");
    let inbox = desk.mosaic(&["mail", "check", "--inject", "--agent", "coder0"]).stdout;
    assert!(inbox.lines().count() == 5, "{inbox}");
    for step in 1..6 {
        assert_eq!(inbox.matches(&format!("] q{step}\n")).count(), 1, "{inbox}");
    }
    // Who wakes an agent and is killed on the way leaves what was begun, and hands it out no more.
    desk.dogfood("coder0", &[]);
    for step in 1..9 {
        let key = format!("w{step}");
        let args = ["coder0", "--message", &key, "--id", &key, "--queue", "--wake", "--verify", "--json"];
        desk.send_with(&args, &[("MOSAIC_SEND_DIES_AT", &step.to_string())]);
        let lock = fs::File::create(desk.run_folder().join("coder0.send.lock")).expect("a lock");
        lock.lock().expect("locked");
        drop(lock);
        desk.clear_draft("coder0");
        let again = desk.send(&args);
        assert!(["accepted", "unknown"].contains(&again.state().as_str()), "step {step}: {again:?}");
        desk.clear_draft("coder0");
    }
    assert_eq!(desk.send(&["coder0", "--message", "the end", "--verify"]).code, 0);
    for step in 1..9 {
        let times = desk.received("coder0").iter().filter(|m| m.ends_with(&format!("] w{step}"))).count();
        assert!(times <= 1, "step {step}: {times} times");
    }
}

#[test]
fn an_idle_agent_is_woken_and_a_busy_one_gets_it_at_its_turns_end() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let sent = desk.send(&["coder0", "--message", "left", "--queue", "--json"]);
    assert_eq!((sent.code, sent.state()), (0, "held".to_owned()), "{sent:?}");
    let woken = desk.send(&["coder0", "--message", "work 1", "--queue", "--wake", "--verify", "--json"]);
    assert_eq!((woken.code, woken.state()), (0, "accepted".to_owned()), "{woken:?}");
    assert!(desk.received("coder0")[0].ends_with("] left"), "the older one first");
    until("it works", || desk.screen("coder0").contains("working"));
    let busy = desk.send(&["coder0", "--message", "after that", "--queue", "--wake", "--verify", "--json"]);
    assert_eq!((busy.code, busy.state()), (0, "accepted".to_owned()), "{busy:?}");
    assert_eq!(busy.json()["via"], "queue", "{busy:?}");
    assert_eq!(desk.received("coder0").len(), 3);
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
