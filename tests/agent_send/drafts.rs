//! What stands in a composer: a draft of ours is entered again, a person's is left alone.

use crate::desk::Desk;
use crate::pty::{Pty, until};

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
