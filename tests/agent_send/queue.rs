//! What waits: in order, for so long, and never handed out twice.

use std::fs;

use crate::desk::Desk;
use crate::pty::until;

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
