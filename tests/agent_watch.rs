//! `mosaic agent watch` on real terminals: it shows, and that is all it does.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;
#[path = "common/tenant.rs"]
mod tenant;

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use pty::{Pty, until};
use tenant::{Conf, Tenant};

const MOSAIC: &str = env!("CARGO_BIN_EXE_mosaic");
/// Prints numbered lines for ever.
const COUNTER: &str = "exec sh -c 'i=0; while :; do i=$((i+1)); echo \"count $i.\"; sleep 0.01; done'";

/// A person on a terminal of that size who watches.
fn watcher_with(
    tenant: &Tenant,
    (columns, rows): (u16, u16),
    agent: &str,
    variables: &[(&str, &str)],
) -> Pty {
    let line = format!("stty cols {columns} rows {rows} && exec '{MOSAIC}' agent watch {agent}");
    let home = tenant.home.path().to_str().expect("text").to_owned();
    let mut all = vec![("HOME", home.as_str())];
    all.extend(variables);
    Pty::start(Path::new("/bin/sh"), &["-c", &line], &all)
}

fn watcher(tenant: &Tenant, size: (u16, u16), agent: &str) -> Pty {
    let before = tenant.clients();
    let mut watcher = watcher_with(tenant, size, agent, &[]);
    watcher.sees(&format!("watching {agent} ("));
    until("it is attached", || tenant.clients() > before);
    watcher
}

fn size(length: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(length).expect("some")
}

fn gone(tenant: &Tenant) {
    until("nobody is attached", || tenant.clients() == 0);
}

#[test]
fn no_watcher_changes_a_windows_size_in_whatever_order_they_come_and_go() {
    const SMALL: (u16, u16) = (80, 24);
    const LARGE: (u16, u16) = (200, 50);
    for conf in Conf::both() {
        for (window, viewers) in [
            (LARGE, [SMALL, LARGE]),
            (SMALL, [LARGE, SMALL]),
            (LARGE, [LARGE, SMALL]),
            (SMALL, [SMALL, LARGE]),
        ] {
            let tenant = Tenant::new(conf, &["coder"]);
            tenant.session("coder", window, "echo here it is; exec sleep 600");
            let size = match conf {
                Conf::Fleet => "200x50".to_owned(),
                Conf::Plain => format!("{}x{}", window.0, window.1),
            };
            if conf == Conf::Fleet {
                tenant.ask(&["resize-window", "-t", "=coder:", "-x", "200", "-y", "50"]);
            }
            assert_eq!(tenant.size("coder"), size);
            let sessions = tenant.sessions();
            let [mut first, mut second] = viewers.map(|viewer| watcher(&tenant, viewer, "coder"));
            first.sees("here it is");
            second.sees("here it is");
            assert_eq!(tenant.size("coder"), size, "{conf:?} {window:?} {viewers:?}: while both watch");
            first.keys(b"q");
            assert_eq!(first.end(), "exit 0");
            until("one has left", || tenant.clients() == 1);
            assert_eq!(tenant.size("coder"), size, "{conf:?} {window:?} {viewers:?}: while one watches");
            second.signal(Signal::SIGKILL);
            gone(&tenant);
            assert_eq!(tenant.size("coder"), size, "{conf:?} {window:?} {viewers:?}: after it was killed");
            let mut third = watcher(&tenant, viewers[0], "coder");
            third.hang_up();
            gone(&tenant);
            third.end();
            assert_eq!(tenant.size("coder"), size, "{conf:?} {window:?} {viewers:?}: after a hang-up");
            assert_eq!(tenant.sessions(), sessions);
        }
    }
}

#[test]
fn nothing_that_a_watcher_types_reaches_tmux_or_the_agent() {
    for conf in Conf::both() {
        let tenant = Tenant::new(conf, &["coder"]);
        let typed = tenant.home.path().join("typed");
        tenant.session("coder", (200, 50), &format!("echo ready; exec cat >{}", typed.display()));
        tenant.session("other", (200, 50), "exec sleep 600");
        let sessions = tenant.sessions();
        let mut watcher = watcher(&tenant, (80, 24), "coder");
        watcher.sees("ready");
        let keys: [&[u8]; 9] = [
            b"hello\r",
            b"\x02:kill-server\r",
            b"\x02[",
            b"\x02&y",
            b"\x02xy",
            b"\x02(\x02)\x02L",
            b"\x02c\x02%",
            b"\x1b[200~pasted\r\x1b[201~",
            b"\x1b[<64;5;5M\x1b[<0;5;5M",
        ];
        for key in keys {
            watcher.keys(key);
        }
        watcher.keys(b"\x02d");
        assert_eq!(watcher.end(), "exit 0", "{conf:?}");
        gone(&tenant);
        assert_eq!(tenant.sessions(), sessions, "{conf:?}");
        assert_eq!(tenant.format("coder", "#{pane_in_mode} #{pane_dead}"), "0 0", "{conf:?}");
        assert_eq!(std::fs::read_to_string(&typed).unwrap_or_default(), "", "{conf:?}");
    }
}

#[test]
fn a_window_that_a_person_left_in_front_is_neither_shown_nor_moved() {
    for conf in Conf::both() {
        let tenant = Tenant::new(conf, &["coder"]);
        tenant.session("coder", (200, 50), "echo the agents own; exec sleep 600");
        let front = || tenant.format("coder", "#{window_index} #{window_width}x#{window_height}");
        tenant.ask(&["new-window", "-t", "=coder:", "-n", "mine", "echo a persons; exec sleep 600"]);
        let left_so = front();
        assert!(left_so.starts_with("1 "), "{conf:?}: {left_so}");
        let size = tenant.format("coder", "#{window_width}x#{window_height}");
        let mut watcher = watcher_with(&tenant, (100, 24), "coder", &[]);
        watcher.sees("another window of its session is in front");
        watcher.sees("window 1 (mine) of its session is in front");
        watcher.sees("the agents own");
        assert_eq!((front(), tenant.clients()), (left_so, 0), "{conf:?}");
        // The person goes back to the agent's, and away again.
        tenant.ask(&["select-window", "-t", "=coder:0"]);
        until("it is seen through a client", || tenant.clients() == 1);
        watcher.sees("the agents own");
        tenant.ask(&["select-window", "-t", "=coder:1"]);
        until("the client has gone", || tenant.clients() == 0);
        watcher.sees("window 1 (mine) of its session is in front");
        // So it is where another pane fills the agent's window.
        tenant.ask(&["select-window", "-t", "=coder:0"]);
        until("it is seen through a client", || tenant.clients() == 1);
        tenant.ask(&["split-window", "-t", "=coder:0", "echo a persons; exec sleep 600"]);
        tenant.ask(&["resize-pane", "-Z", "-t", "=coder:0.1"]);
        until("the client has gone", || tenant.clients() == 0);
        watcher.sees("of its session is in front");
        assert_eq!(tenant.format("coder", "#{window_zoomed_flag} #{pane_index}"), "1 1", "{conf:?}");
        watcher.keys(b"x\x1b[Aq");
        assert_eq!(watcher.end(), "exit 0", "{conf:?}");
        assert_eq!(tenant.format("coder", "#{window_width}x#{window_height}"), size, "{conf:?}");
        let settings = watcher.settings();
        assert!(settings.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{conf:?}");
    }
}

#[test]
fn an_agent_writes_on_whoever_watches_and_however_they_go() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), COUNTER);
    // One never reads its terminal, one is killed, one is hung up on, one leaves.
    let _deaf = watcher(&tenant, (80, 24), "coder");
    let killed = watcher(&tenant, (80, 24), "coder");
    let mut hung = watcher(&tenant, (200, 50), "coder");
    let mut leaves = watcher(&tenant, (120, 30), "coder");
    leaves.sees("count 20");
    killed.signal(Signal::SIGKILL);
    hung.hang_up();
    leaves.keys(b"\x03");
    assert_eq!(leaves.end(), "exit 0");
    until("only one is left", || tenant.clients() == 1);
    let last = |shown: &str| -> usize {
        let number =
            shown.trim_end().rsplit("count ").next().and_then(|n| n.trim_end_matches('.').parse().ok());
        number.unwrap_or(0)
    };
    let then = last(&tenant.shown("coder"));
    until("it counts on", || last(&tenant.shown("coder")) > then + 20);
    let shown = tenant.shown("coder");
    let counted: Vec<String> = shown.lines().map(str::to_owned).collect();
    let expected: Vec<String> = (1..=counted.len()).map(|n| format!("count {n}.")).collect();
    assert_eq!(counted, expected);
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), "echo ready; exec sleep 600");
    for way_out in ["q", "term", "hung", "server"] {
        let mut watcher = watcher(&tenant, (80, 24), "coder");
        watcher.sees("ready");
        let server = tenant.server().expect("a server");
        match way_out {
            "q" => watcher.keys(b"q"),
            "term" => watcher.signal(Signal::SIGTERM),
            "hung" => {
                kill(server, Signal::SIGSTOP).expect("stopped");
                watcher.keys(b"q");
            }
            _ => kill(server, Signal::SIGKILL).expect("killed"),
        }
        let end = watcher.end();
        let expected = [("q", "exit 0"), ("term", "exit 143"), ("hung", "exit 0"), ("server", "exit 1")];
        assert!(expected.contains(&(way_out, end.as_str())), "{way_out}: {end}: {}", watcher.seen());
        let settings = watcher.settings();
        assert!(settings.local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{way_out}");
        let mut screen = vt100::Parser::new(size(24), size(80), 0);
        screen.process(watcher.seen().as_bytes());
        assert!(!screen.screen().alternate_screen() && !screen.screen().hide_cursor(), "{way_out}");
        assert!(screen.screen().contents().contains("watching coder"), "{way_out}");
        if way_out == "hung" {
            kill(server, Signal::SIGCONT).expect("goes on");
            gone(&tenant);
        }
    }
}

#[test]
fn a_small_terminal_shows_a_part_and_arrows_show_others() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session(
        "coder",
        (200, 50),
        "printf '\\033[2;3Hupper left\\033[48;180Hlower right'; exec sleep 600",
    );
    let mut watcher = watcher(&tenant, (80, 24), "coder");
    watcher.sees("lower right");
    for _ in 0..6 {
        watcher.keys(b"\x1b[A\x1b[D");
    }
    watcher.sees("upper left");
    watcher.keys(b"\x1b[H");
    watcher.sees("lower right");
    assert_eq!(tenant.size("coder"), "200x50");
    watcher.keys(b"q");
    assert_eq!(watcher.end(), "exit 0");
}

#[test]
fn it_works_inside_tmux_and_shows_no_terminal_in_itself() {
    let tenant = Tenant::new(Conf::Fleet, &["coder", "coder0"]);
    tenant.session("coder", (200, 50), "echo it is coder; exec sleep 600");
    let home = tenant.home.path().display();
    let watch = format!("HOME={home} '{MOSAIC}' agent watch coder; echo left: $?; exec sleep 600");
    // In another session of the same server, and in a server of the person's own.
    tenant.session("coder0", (200, 50), &watch);
    let own = Tenant::new(Conf::Plain, &[]);
    own.session("mine", (100, 30), &watch);
    until("both watch", || tenant.clients() == 2);
    for (server, session) in [(&tenant, "coder0"), (&own, "mine")] {
        until("it is seen there", || {
            server.shown(session).contains("it is coder") && server.shown(session).contains("agent coder")
        });
        server.ask(&["send-keys", "-t", &format!("={session}:"), "q"]);
        until("it has left", || server.shown(session).contains("left: 0"));
    }
    gone(&tenant);
    let itself = format!("HOME={home} '{MOSAIC}' agent watch coder; echo left: $?; exec sleep 600");
    tenant.ask(&["respawn-pane", "-k", "-t", "=coder:", &itself]);
    until("it is refused", || tenant.shown("coder").contains("left: 1"));
    assert!(tenant.shown("coder").contains("own terminal"), "{}", tenant.shown("coder"));
}

#[test]
fn it_ends_with_the_agent_and_says_why() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), "echo ready; exec sleep 600");
    tenant.session("keeps", (200, 50), "exec sleep 600");
    let mut watcher = watcher(&tenant, (80, 24), "coder");
    watcher.sees("ready");
    tenant.ask(&["kill-session", "-t", "=coder"]);
    assert_eq!(watcher.end(), "exit 1");
    assert!(watcher.seen().contains("coder is not running"), "{}", watcher.seen());
}

#[test]
fn a_terminal_that_is_not_described_here_is_taken_for_a_common_one() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), "echo ready; exec sleep 600");
    let mut watcher = watcher_with(&tenant, (80, 24), "coder", &[("TERM", "xterm-nobody-knows")]);
    watcher.sees("ready");
    watcher.keys(b"q");
    assert_eq!(watcher.end(), "exit 0");
}

#[test]
fn what_can_not_be_watched_is_refused_with_what_to_do() {
    let tenant = Tenant::new(Conf::Fleet, &["coder0", "rev"]);
    let said = |name: &str| {
        let mut watcher = watcher_with(&tenant, (80, 24), name, &[]);
        (watcher.end(), watcher.seen().to_owned())
    };
    let (end, text) = said("coder");
    assert!(end == "exit 3" && text.contains("did you mean coder0?"), "{end} {text}");
    let (end, text) = said("coder0");
    assert!(
        end == "exit 1" && text.contains("no tmux server runs") && text.contains("fleet start coder0"),
        "{end} {text}"
    );
    tenant.session("coder01", (80, 24), "exec sleep 600");
    let (end, text) = said("coder0");
    assert!(end == "exit 1" && text.contains("coder0 is not running"), "{end} {text}");
    let piped = tenant.run(&["agent", "watch", "rev"]);
    assert_eq!(piped.status.code(), Some(2), "{piped:?}");
    assert!(String::from_utf8_lossy(&piped.stderr).contains("agent tail rev"), "{piped:?}");
}
