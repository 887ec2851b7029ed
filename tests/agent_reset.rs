//! `mosaic agent reset` against real runtimes: a new conversation, its first prompt, and what is
//! left alone.

#[path = "common/desk.rs"]
mod desk;

use std::fs;

use desk::Desk;
use serde_json::json;

#[test]
fn a_reset_is_typed_acknowledged_and_followed_by_the_first_prompt() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let reset = desk.mosaic(&["agent", "reset", "coder0"]);
    assert_eq!((reset.code, reset.stdout.as_str()), (0, "coder0: reset (accepted)\n"), "{reset:?}");
    assert_eq!(desk.acks("coder0")[0]["event"], "reset");
    assert!(desk.screen("coder0").contains("conversation 2"));

    let file = desk.home.path().join("first.md");
    fs::write(&file, "You are {{ name }} of {{ tenant_id }}.\nBegin.\n").expect("written");
    let file = file.to_str().expect("text");
    let reset = desk.mosaic(&["agent", "reset", "coder0", "--clear", "--kickstart", file, "--json"]);
    let told = reset.json();
    assert_eq!((reset.code, &told["reset"]), (0, &json!("accepted")), "{reset:?}");
    assert_eq!(told["kickstart"]["state"], "accepted");
    assert_eq!(desk.received("coder0").pop().as_deref(), Some("You are coder0 of usc.\nBegin."));
    let role = desk.mosaic(&["agent", "reset", "coder0", "--new", "--kickstart", "reviewer"]);
    assert!(role.code == 0 && role.stdout.contains("first prompt accepted"), "{role:?}");
    assert!(desk.received("coder0").pop().is_some_and(|m| m.starts_with("You are coder0, ")));
}

#[test]
fn a_draft_is_left_alone_and_what_is_wrong_is_told_before_anything_is_done() {
    let desk = Desk::new(&["coder0"]);
    desk.dogfood("coder0", &[]);
    let no = |args: &[&str]| desk.mosaic(&[&["agent", "reset"], args].concat());
    assert_eq!(no(&["coder"]).code, 3);
    assert_eq!(no(&["coder0", "--new", "--clear"]).code, 2);
    let wrong = no(&["coder0", "--kickstart", "reviewr"]);
    assert!(wrong.code == 3 && wrong.stderr.contains("reviewer"), "{wrong:?}");
    let holes = desk.home.path().join("holes.md");
    fs::write(&holes, "{{ nmae }}").expect("written");
    assert_eq!(no(&["coder0", "--kickstart", holes.to_str().expect("text")]).code, 3);
    let empty = desk.home.path().join("empty.md");
    fs::write(&empty, "").expect("written");
    let reset = no(&["coder0", "--kickstart", empty.to_str().expect("text")]);
    assert!(reset.code == 3 && reset.stderr.contains("the message is empty"), "{reset:?}");
    desk.keys("coder0", "half a thought");
    desk.wait("the draft shows", || desk.screen("coder0").ends_with("> half a thought"));
    let reset = no(&["coder0"]);
    assert!(
        reset.code == 1 && reset.stderr.contains("a draft stands in the composer of agent coder0"),
        "{reset:?}"
    );
    assert!(desk.screen("coder0").ends_with("> half a thought"));
    assert!(desk.acks("coder0").is_empty());
}
