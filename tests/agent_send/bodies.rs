//! What is sent: every text as it is, but none that a terminal would obey.

use std::fs;

use crate::desk::Desk;

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
