//! A message comes once, however many send at the same time and whoever of them is killed.

use std::fs;
use std::time::Instant;

use crate::desk::{Desk, Sent};
use crate::measured;
use crate::pty::until;

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
    let begun = Instant::now();
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
    let arrived = begun.elapsed();
    let mut received = desk.received("coder0");
    assert_eq!(received.len(), 100);
    assert!(received.iter().all(|m| m.matches("[t:t -> ").count() == 1 && m.ends_with("\nsecond line")));
    received.sort();
    received.dedup();
    assert_eq!(received.len(), 100);
    measured::note("ten concurrent sends to one agent", "no system booted", None, Some(arrived));
}
