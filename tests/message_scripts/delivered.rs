//! What arrives: exactly what was given, from whomever, at nobody else.

use std::fs;
use std::path::Path;
use std::process::Command;

use mosaic_fleet::runfile::ack::digest;

use crate::place::{Place, SOCKET, host, is, until};

#[test]
fn every_way_to_give_a_message_delivers_exactly_it() {
    let place = Place::new();
    place.agent("coder0", "");
    let file = place.path("message");
    fs::write(&file, "from\ta file\n\n").expect("written");
    let file = file.to_str().expect("text");
    is(
        &place.send(&["-L", SOCKET, "-t", "coder0", "-m", "gr\u{fc}\u{df}e; $HOME `x` \"q\" \u{1f642}"]),
        0,
        "",
    );
    is(&place.send(&["-L", SOCKET, "-t", "=coder0", "-f", file]), 0, "");
    is(&place.send(&["-L", SOCKET, "-t", "coder0:0.0", "-b", "YmFzZTY0IHNheXMgaGVsbG8K"]), 0, "");
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], b"!one\ntwo\n> three"), 0, "");
    let said = [
        "gr\u{fc}\u{df}e; $HOME `x` \"q\" \u{1f642}",
        "from\ta file\n\n",
        "base64 says hello\n",
        "!one\ntwo\n> three",
    ];
    assert_eq!(place.took("coder0"), said.map(digest));
}

#[test]
fn a_long_message_arrives_whole() {
    let place = Place::new();
    place.agent("coder0", "");
    let text = "0123456789 abcde".repeat(1 << 16);
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], text.as_bytes()), 0, "");
    assert_eq!(place.took("coder0"), [digest(&text)]);
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], (text + "!").as_bytes()), 3, "1 MiB");
}

#[test]
fn many_senders_at_once_are_not_merged_and_one_that_is_gone_holds_nobody_up() {
    let place = Place::new();
    place.agent("coder0", "");
    let gone = Command::new("true").spawn().and_then(|mut c| c.wait().map(|_| c.id())).expect("it ran");
    place.tmux(&["set-option", "-p", "-t", "=coder0:", "@mosaic-sender", &gone.to_string()]);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let text = format!("message {n} of six");
                is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", &text, "-r", "08"]), 0, "");
            });
        }
    });
    let mut took = place.took("coder0");
    took.sort();
    let mut sent: Vec<String> = (0..6).map(|n| digest(&format!("message {n} of six"))).collect();
    sent.sort();
    assert_eq!(took, sent);
}

#[test]
fn an_enter_that_was_lost_is_pressed_again() {
    let place = Place::new();
    place.agent("coder0", "--fault draft:2");
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "taken at the third"]), 0, "");
    assert_eq!(place.took("coder0"), [digest("taken at the third")]);
}

#[test]
fn a_shell_that_a_person_opened_beside_an_agent_gets_nothing_that_is_for_the_agent() {
    let place = Place::new();
    // Panes are numbered, and %9 comes before %10.
    (0..9).for_each(|n| place.shows(&format!("other{n}")));
    place.agent("coder0", "");
    for beside in ["split-window", "new-window"] {
        place.tmux(&[beside, "-t", "=coder0:", "exec cat"]);
        let text = format!("past {beside}");
        is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", &text]), 0, "");
        is(&place.send(&["-L", SOCKET, "-t", "=coder0", "-m", "and again"]), 0, "");
        assert_eq!(place.screen("coder0").trim(), "", "the shell is in front: {beside}");
    }
    let said = ["past split-window", "and again", "past new-window", "and again"];
    assert_eq!(place.took("coder0"), said.map(digest));
    // Whoever names a window means it.
    is(&place.send(&["-L", SOCKET, "-t", "coder0:1", "-m", "to the shell"]), 0, "");
    assert!(place.screen("coder0").contains("to the shell"), "{}", place.screen("coder0"));
    assert_eq!(place.took("coder0").len(), 4);
}

#[test]
fn a_view_into_the_past_is_left_before_a_key_is_sent() {
    let place = Place::new();
    place.agent("coder0", "");
    place.tmux(&["copy-mode", "-t", "=coder0:"]);
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "x"]), 0, "");
    assert_eq!(place.took("coder0"), [digest("x")]);
}

#[test]
fn an_agent_is_told_from_whom_and_to_whom() {
    let place = Place::new();
    place.agent("coder0", "");
    is(
        &place.agent_send(&["-L", SOCKET, "-s", "coder0", "-S", "there:mos", "-n", "here", "-m", "-x\ny"]),
        0,
        "",
    );
    is(&place.fed("agent-send.sh", &["-L", SOCKET, "-s", "coder0", "-S", "cron"], b"from stdin\n"), 0, "");
    let said =
        ["[there:mos -> here:coder0] -x\ny".to_owned(), format!("[cron -> {}:coder0] from stdin\n", host())];
    assert_eq!(place.took("coder0"), said.map(|text| digest(&text)));
    // From inside tmux: its session, whichever server that is of.
    let done = place.path("done");
    let line = format!(
        "'{}' -L {SOCKET} -s coder0 -m hello; echo $? >'{}'; exec sleep 1000",
        place.script("agent-send.sh").display(),
        done.display()
    );
    let from = ["-L", "other", "-f", "/dev/null", "new-session", "-d", "-s", "mos", &line];
    assert!(place.call(Path::new("tmux"), &from).status().expect("tmux runs").success());
    until("its end", || fs::read_to_string(&done).is_ok_and(|code| code.ends_with('\n')));
    assert_eq!(fs::read_to_string(&done).expect("a code"), "0\n");
    assert_eq!(place.took("coder0").last(), Some(&digest(&format!("[{0}:mos -> {0}:coder0] hello", host()))));
    is(&place.agent_send(&["-L", SOCKET, "-s", "coder", "-m", "x"]), 1, "there is no =coder:");
    // A session whose name can't stand in a preamble is named by its user.
    fs::remove_file(&done).expect("forgotten");
    let from = ["-L", "other", "new-session", "-d", "-s", "a] b", &line];
    assert!(place.call(Path::new("tmux"), &from).status().expect("tmux runs").success());
    until("its end", || fs::read_to_string(&done).is_ok_and(|code| code.ends_with('\n')));
    assert_eq!(fs::read_to_string(&done).expect("a code"), "0\n");
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).expect("looked").expect("a user").name;
    let said = format!("[{0}:{user} -> {0}:coder0] hello", host());
    assert_eq!(place.took("coder0").last(), Some(&digest(&said)));
}

#[test]
fn the_socket_of_the_fleet_is_the_default_and_the_default_server_never_sees_a_byte() {
    let place = Place::new();
    let other = ["-L", "default", "-f", "/dev/null", "new-session", "-d", "-s", "coder0", "exec cat"];
    assert!(place.call(Path::new("tmux"), &other).status().expect("tmux runs").success());
    is(&place.send(&["-t", "coder0", "-m", "leak"]), 1, "on socket mosaic-factory");
    is(&place.agent_send(&["-s", "coder0", "-m", "leak"]), 1, "on socket mosaic-factory");
    let mut inside = place.call(&place.script("send-message.sh"), &["-t", "coder0", "-m", "leak"]);
    inside.env(
        "TMUX",
        format!("{}/tmux-{}/default,1,0", place.path("sockets").display(), nix::unistd::getuid()),
    );
    is(&inside.env("TMUX_PANE", "%0").output().expect("it runs"), 1, "on socket mosaic-factory");
    let mut named = place.call(&place.script("send-message.sh"), &["-t", "coder0", "-m", "leak"]);
    is(&named.env("MOSAIC_TMUX_SOCKET", "elsewhere").output().expect("it runs"), 1, "on socket elsewhere");
    let seen = place.call(Path::new("tmux"), &["-L", "default", "capture-pane", "-p", "-t", "=coder0:"]);
    let seen = { seen }.output().expect("tmux runs").stdout;
    assert_eq!(String::from_utf8_lossy(&seen).trim(), "");
}
