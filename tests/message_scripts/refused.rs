//! What does not arrive is said, and nothing of it stays.

use crate::place::{Place, SOCKET, code, is, stderr, until};

#[test]
fn a_name_is_meant_exactly_and_a_dead_or_missing_target_is_said() {
    let place = Place::new();
    place.shows("coder0");
    for target in ["coder", "=coder", "coder:0.0", "coder:", "coder0:7.0", "coder0:0.7", "%99"] {
        is(&place.send(&["-L", SOCKET, "-t", target, "-m", "x"]), 1, "there is no");
    }
    is(&place.send(&["-L", "nothing-here", "-t", "coder0", "-m", "x"]), 1, "on socket nothing-here");
    place.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    place.tmux(&["new-session", "-d", "-s", "gone", "exit 3"]);
    until("its end", || place.tmux(&["display-message", "-p", "-t", "=gone:", "#{pane_dead}"]).trim() == "1");
    is(&place.send(&["-L", SOCKET, "-t", "gone", "-m", "x"]), 1, "has ended");
    assert_eq!(place.screen("coder0").trim(), "");
}

#[test]
fn a_draft_that_stays_is_told_after_the_enters_that_were_asked_for() {
    let place = Place::new();
    place.agent("coder0", "--fault draft:2");
    let sent = place.send(&["-L", SOCKET, "-t", "coder0", "-m", "first", "-r", "1", "-v"]);
    is(&sent, 2, "message left as unsubmitted draft in =coder0:");
    assert_eq!(stderr(&sent).matches("Enter, ").count(), 2, "{}", stderr(&sent));
    // What stands there now is a draft that is not this message's: it is not touched.
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "second"]), 2, "somebody's draft");
    assert!(place.screen("coder0").trim_end().ends_with("> first"), "{}", place.screen("coder0"));
    assert!(place.took("coder0").is_empty());
}

#[test]
fn a_persons_draft_is_seen_where_the_terminal_wraps_it_and_wherever_the_cursor_is() {
    let place = Place::new();
    let line = "exec bash --norc -c 'while read -e -p \"> \" line; do echo \"got:$line\"; done'";
    place.tmux(&["new-session", "-d", "-x", "60", "-y", "20", "-s", "wraps", line]);
    until("a prompt", || place.screen("wraps").contains('>'));
    let draft = "a person's own words ".repeat(6);
    place.tmux(&["send-keys", "-t", "=wraps:", "-l", &draft]);
    let joined = || place.tmux(&["capture-pane", "-p", "-J", "-t", "=wraps:"]);
    until("the draft", || joined().matches("person's own").count() == 6);
    let before = place.screen("wraps");
    is(&place.send(&["-L", SOCKET, "-t", "wraps", "-m", "x"]), 2, "somebody's draft");
    place.tmux(&["send-keys", "-t", "=wraps:", "Home"]);
    is(&place.send(&["-L", SOCKET, "-t", "wraps", "-m", "x"]), 2, "somebody's draft");
    assert_eq!(place.screen("wraps"), before);
}

#[test]
fn a_message_that_could_not_be_pasted_does_not_stay_in_the_server() {
    let place = Place::new();
    place.agent("coder", "");
    let refuses =
        "#!/bin/sh\ncase \" $* \" in *' paste-buffer '*) exit 1 ;; esac\nexec /usr/bin/tmux \"$@\"\n";
    crate::program::write(&place.path("bin/tmux"), refuses);
    let args = ["-L", SOCKET, "-t", "coder", "-m", "for one reader"];
    let mut send = place.call(&place.script("send-message.sh"), &args);
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    is(&send.env("PATH", path).output().expect("it runs"), 1, "tmux did not take the message");
    assert_eq!(place.tmux(&["list-buffers"]), "");
}

#[test]
fn what_shows_nothing_is_not_said_to_be_delivered() {
    let place = Place::new();
    place.tmux(&["new-session", "-d", "-s", "blind", "stty -echo; printf ready; exec sleep 1000"]);
    until("its start", || place.screen("blind").contains("ready"));
    is(&place.send(&["-L", SOCKET, "-t", "blind", "-m", "x"]), 2, "could not verify delivery");
}

#[test]
fn wrong_usage_is_said_and_nothing_is_typed() {
    let place = Place::new();
    place.shows("coder0");
    let at: [&str; 4] = ["-L", SOCKET, "-t", "coder0"];
    for (args, says) in [
        (&["-x"][..], "there is no -x"),
        (&["-m"], "-m wants a value"),
        (&["-m", "a", "-f", "b"], "only one of"),
        (&["-f", "/nowhere"], "no file that can be read"),
        (&["-b", "%%%"], "not base64"),
        (&["-m", ""], "empty"),
        (&["-m", " \n"], "empty"),
        (&["-m", "a", "-r", "100"], "-r wants a number"),
        (&["-m", "\u{9b}2J"], "control characters"),
        (&["-m", "a\u{1b}[201~\rb"], "control characters"),
        (&["-m", "a", "-r", "many"], "-r wants a number"),
        (&["-m", "a", "stray"], "stray"),
    ] {
        let sent = place.send(&[&at, args].concat());
        is(&sent, 3, says);
        assert!(stderr(&sent).contains("usage: send-message.sh"), "{}", stderr(&sent));
    }
    is(&place.send(&["-L", SOCKET, "-m", "x"]), 3, "no target");
    for target in [":", ":0.0", "=:"] {
        is(&place.send(&["-L", SOCKET, "-t", target, "-m", "x"]), 3, "names no session");
    }
    is(&place.fed("send-message.sh", &at, b"a\0b"), 3, "NUL");
    for no_text in [
        &b"\xff"[..],
        b"a\xc3",
        b"\xc3\xa9\xa9",
        b"\xe2\x82 ",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
    ] {
        is(&place.fed("send-message.sh", &at, no_text), 3, "not UTF-8");
    }
    for (args, says) in [
        (&["-m", "x"][..], "no session"),
        (&["-s", "coder0", "-m", "a", "-f", "b"], "only one of"),
        (&["-s", "coder0", "-m", "a", "-r", "x"], "-r wants a number"),
        (&["-s", "coder0", "-m", "a", "-H", "-oProxyCommand=x"], "-H wants"),
        (&["-s", "coder0", "-m", "a", "-S", "x] y"], "can't stand before a message"),
        (&["-s", "coder0", "-f", "/nowhere"], "/nowhere"),
        (&["-s", "coder0", "-f", ""], "no file that can be read"),
        (&["-s", "coder0", "-q"], "there is no -q"),
    ] {
        is(&place.agent_send(&[&["-L", SOCKET], args].concat()), 3, says);
    }
    for script in ["send-message.sh", "agent-send.sh"] {
        let helped = place.call(&place.script(script), &["-h"]).output().expect("it runs");
        assert_eq!(code(&helped), 0);
        assert!(String::from_utf8_lossy(&helped.stdout).starts_with(&format!("usage: {script}")));
    }
    assert_eq!(place.screen("coder0").trim(), "");
}
