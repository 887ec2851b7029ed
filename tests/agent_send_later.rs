//! What becomes of a message after its sender has gone: killed before Enter, or with the message in the queue of an
//! agent that is not idle, or queued by the runtime. On real tmux servers of their own.

#[path = "common/desk.rs"]
mod desk;

use std::fs;

use desk::{Desk, Sent};
use serde_json::Value;

/// Takes lines behind a mark, and has no hook and no acknowledgement.
const READER: &str = "printf '> '; while read -r l; do printf 'got %s\\n> ' \"$l\"; done";
/// The step at which a sender has pasted and not pressed Enter.
const PASTED: (&str, &str) = ("MOSAIC_SEND_DIES_AT", "4");

fn reader() -> Desk {
    let desk = Desk::custom(&[("reader", READER)]);
    desk.start("reader");
    desk.wait("it shows a prompt", || desk.screen("reader").ends_with('>'));
    desk
}

/// A message whose sender was killed before Enter: it stands in the composer.
fn leave(desk: &Desk, args: &[&str]) {
    let killed = desk.send_with(args, &[PASTED]);
    assert_eq!(killed.code, 137, "{killed:?}");
    let text = args[2];
    desk.wait("it stands there", || desk.screen("reader").ends_with(text));
}

/// How often the reader got a text.
fn got(desk: &Desk, text: &str) -> usize {
    let lines = desk.ask(&["capture-pane", "-p", "-J", "-S", "-200", "-t", "=reader:"]);
    lines.lines().filter(|line| line.starts_with("got ") && line.trim_end().ends_with(text)).count()
}

#[test]
fn what_a_killed_sender_left_in_the_composer_is_entered_for_whoever_comes_next() {
    let desk = reader();
    leave(&desk, &["reader", "--message", "left", "--id", "k"]);
    let next = desk.send(&["reader", "--message", "next", "--verify", "--json"]);
    assert_eq!((next.code, next.state()), (0, "submitted".to_owned()), "{next:?}");
    desk.wait("both arrive", || (got(&desk, "] left"), got(&desk, "] next")) == (1, 1));
    let first = desk.receipt("reader", "k");
    assert_eq!((first["state"].as_str(), first["enters"].as_u64()), (Some("submitted"), Some(1)), "{first}");

    // Asked again with its own key, it is that one that is finished.
    leave(&desk, &["reader", "--message", "again", "--id", "k2"]);
    let again = desk.send(&["reader", "--message", "again", "--id", "k2", "--verify", "--json"]);
    assert_eq!((again.code, again.state()), (0, "submitted".to_owned()), "{again:?}");
    let why = again.json()["reason"].as_str().map(str::to_owned);
    assert!(why.as_deref().is_some_and(|why| why.contains("Enter")), "{why:?}");

    // Also one that was killed before it noted that it had pasted.
    leave(&desk, &["reader", "--message", "unnoted", "--id", "k4"]);
    let path = desk.run_folder().join("receipts/reader/k4.json");
    let mut receipt = desk.receipt("reader", "k4");
    receipt["steps"].as_array_mut().expect("steps").retain(|step| step["state"] != "typed");
    fs::write(&path, receipt.to_string()).expect("written");
    let next = desk.send(&["reader", "--message", "beside", "--verify", "--json"]);
    assert_eq!((next.code, next.state()), (0, "submitted".to_owned()), "{next:?}");
    desk.wait("both arrive", || (got(&desk, "] unnoted"), got(&desk, "] beside")) == (1, 1));
    assert_eq!(desk.receipt("reader", "k4")["state"], "submitted");

    // The same text without a key is not said twice to the agent.
    leave(&desk, &["reader", "--message", "same"]);
    let same = desk.send(&["reader", "--message", "same", "--json"]);
    assert_eq!((same.code, same.state()), (0, "submitted".to_owned()), "{same:?}");

    // What waits in the queue is handed out behind it, too.
    leave(&desk, &["reader", "--message", "before", "--id", "k3"]);
    let queued = desk.send(&["reader", "--message", "after", "--queue", "--json"]);
    assert_eq!(queued.state(), "held", "{queued:?}");
    assert_eq!(desk.mosaic(&["agent", "deliver", "reader"]).code, 0);
    let texts = ["left", "next", "again", "same", "before", "after"];
    desk.wait("each arrives", || texts.iter().all(|text| got(&desk, &format!("] {text}")) > 0));
    for text in texts {
        assert_eq!(got(&desk, &format!("] {text}")), 1, "{text}");
    }
}

#[test]
fn what_is_being_typed_is_not_called_unknown_by_who_asks_again_meanwhile() {
    let desk = reader();
    let args = ["reader", "--message", "typed once", "--id", "k", "--verify", "--json"];
    assert_eq!(desk.send(&args).code, 0);
    let told = desk.run_file("receipts/reader/k.json");
    // As its receipt stands while somebody hands it out and waits to see what becomes of it.
    let mut open: Value = serde_json::from_str(&told).expect("JSON");
    open["state"] = "unknown".into();
    open["reason"] = "it is being handed out; who does so has not finished".into();
    open["enters"] = 0.into();
    let receipt = desk.run_folder().join("receipts/reader/k.json");
    fs::write(&receipt, open.to_string()).expect("written");
    let path = desk.run_folder().join("reader.send.lock");
    let lock = fs::File::open(&path).expect("the sender's lock");
    lock.lock().expect("free");
    let again = desk.spawn(&args);
    let fds = format!("/proc/{}/fd", again.id());
    desk.wait("who asks again waits for its turn", || {
        let all = fs::read_dir(&fds).into_iter().flatten().flatten();
        all.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|open| open == path)
    });
    fs::write(&receipt, &told).expect("written");
    lock.unlock().expect("unlocked");
    let again = Sent::of(again);
    assert_eq!((again.code, again.state()), (0, "submitted".to_owned()), "{again:?}");
    assert_eq!(desk.run_file("receipts/reader/k.json"), told);
    assert_eq!(got(&desk, "] typed once"), 1);
}

#[test]
fn what_a_killed_sender_left_is_not_entered_with_a_word_of_somebody_elses() {
    let desk = reader();
    leave(&desk, &["reader", "--message", "left", "--id", "k"]);
    desk.keys("reader", " and mine");
    desk.wait("it shows", || desk.screen("reader").ends_with("mine"));
    let next = desk.send(&["reader", "--message", "next", "--verify", "--json"]);
    assert_eq!((next.code, next.state()), (1, "held".to_owned()), "{next:?}");
    let again = desk.send(&["reader", "--message", "left", "--id", "k", "--verify", "--json"]);
    assert_eq!((again.code, again.state()), (1, "unknown".to_owned()), "{again:?}");
    assert!(again.stderr.contains("it was typed, and its sender ended before"), "{again:?}");
    assert!(desk.screen("reader").ends_with("] left and mine"), "{}", desk.screen("reader"));

    // Nor while a person is attached and typing, and not after somebody else has entered it.
    desk.enter("reader");
    desk.wait("it is entered", || got(&desk, "left and mine") == 1);
    let later = desk.send(&["reader", "--message", "left", "--id", "k", "--json"]);
    assert_eq!((later.code, later.state()), (1, "unknown".to_owned()), "{later:?}");
    assert_eq!(desk.send(&["reader", "--message", "free again", "--verify"]).code, 0);
    assert_eq!(got(&desk, "] left"), 0);
}

#[test]
fn a_message_that_is_to_wake_an_agent_does_so_once_it_is_idle() {
    let desk = reader();
    desk.keys("reader", "mine");
    desk.wait("it shows", || desk.screen("reader").ends_with("mine"));
    let ids = ["a", "b", "c"];
    for id in ids {
        let held = desk.send(&["reader", "--message", id, "--queue", "--wake", "--id", id, "--json"]);
        assert_eq!((held.code, held.state()), (0, "held".to_owned()), "{held:?}");
    }
    assert!(desk.screen("reader").ends_with("> mine"), "a draft is not touched");
    desk.enter("reader");
    let state = |id: &str| desk.receipt("reader", id)["state"].as_str().map(str::to_owned);
    desk.wait("they are typed, whoever sent them has gone", || {
        ids.iter().all(|id| state(id).as_deref() == Some("submitted"))
    });
    for id in ids {
        assert_eq!(got(&desk, &format!("] {id}")), 1, "{id}");
    }
}

#[test]
fn the_only_message_that_waits_is_handed_out_also_where_somebody_claimed_it_and_died() {
    let desk = reader();
    for (id, stay) in [("once", &[][..]), ("staying", &["--stay"])] {
        assert_eq!(desk.send(&["reader", "--message", id, "--queue", "--id", id, "--json"]).state(), "held");
        let queue = desk.run_folder().join("queue/reader");
        let names = fs::read_dir(&queue).expect("a queue").flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let name = names.filter(|name| name.ends_with(".json")).last().expect("a message");
        fs::rename(queue.join(&name), queue.join(format!(".claimed-{name}"))).expect("claimed");
        assert_eq!(desk.mosaic(&[&["agent", "deliver"], stay, &["reader"]].concat()).code, 0);
        desk.wait("it arrives", || got(&desk, &format!("] {id}")) == 1);
        assert_eq!(desk.receipt("reader", id)["state"], "submitted");
    }
}

#[test]
fn an_old_word_of_being_busy_holds_nothing_up_whoever_wrote_it() {
    let desk = reader();
    for beat in [
        "ts=2026-01-01T00:00:00Z\npid=1\nstatus=busy\n",
        "ts=2026-01-01T00:00:00Z\npid=1\nstatus=busy\nboot_id=x\nboottime=9\n",
    ] {
        fs::write(desk.run_folder().join("reader.hb"), beat).expect("written");
        let sent = desk.send(&["reader", "--message", "hello", "--queue", "--wake", "--verify", "--json"]);
        assert_eq!((sent.code, sent.state()), (0, "submitted".to_owned()), "{beat}: {sent:?}");
    }
}

#[test]
fn status_and_ps_say_what_the_runtime_has_said_since() {
    let desk = Desk::new(&["coder0", "coder1"]);
    desk.dogfood("coder0", &[]);
    assert_eq!(desk.send(&["coder0", "--message", "work 2", "--verify"]).code, 0);
    for id in ["a", "b", "c"] {
        let sent = desk.send(&["coder0", "--message", id, "--verify", "--id", id, "--json"]);
        assert_eq!(sent.state(), "queued", "{sent:?}");
    }
    let status = || -> Value { desk.mosaic(&["agent", "status", "coder0", "--json"]).json() };
    let early = status();
    let ids = |status: &Value| -> Vec<String> {
        let open = status["open_receipts"].as_array().expect("a list").iter();
        open.map(|r| r["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert!(ids(&early) == ["a", "b"] || early["receipt"]["state"] == "accepted", "{early}");
    desk.wait("its turn ends", || desk.received("coder0").len() == 4 && desk.acks("coder0").len() == 7);
    let late = status();
    assert_eq!((ids(&late), &late["receipt"]["state"]), (vec![], &"accepted".into()), "{late}");
    assert_eq!(desk.receipt("coder0", "a")["state"], "accepted");

    // A draft that a person has entered meanwhile is none any more.
    desk.dogfood("coder1", &["--fault", "draft:6"]);
    let sent = desk.send(&["coder1", "--message", "kept", "--verify", "--json"]);
    assert_eq!(sent.state(), "draft", "{sent:?}");
    let flags = || {
        let rows = desk.mosaic(&["fleet", "ps", "--json"]).json();
        let row = rows["rows"].as_array().expect("rows").iter().find(|r| r["name"] == "coder1").cloned();
        row.expect("a row")["flags"].as_array().expect("flags").contains(&"DRAFT".into())
    };
    assert!(flags());
    for _ in 0..3 {
        desk.enter("coder1");
    }
    desk.wait("it takes it", || !desk.acks("coder1").is_empty());
    assert!(!flags());
}
