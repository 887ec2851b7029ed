//! `fleet top` on a real terminal, read as a person sees it.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;
#[path = "common/tenant.rs"]
mod tenant;

use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use pty::{BOUND, Pty, until};
use tenant::{Conf, Tenant};

const SIZE: (u16, u16) = (80, 24);

/// A person who looks at `fleet top`.
struct Person {
    pty: Pty,
}

impl Person {
    fn new(tenant: &Tenant, variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_fleet");
        let line = format!("stty cols {} rows {} && exec '{program}' top", SIZE.0, SIZE.1);
        let home = tenant.home.path().to_str().expect("text").to_owned();
        let mut all = vec![("HOME", home.as_str()), ("TERM", "xterm-256color")];
        all.extend(variables);
        Self { pty: Pty::start(Path::new("/bin/sh"), &["-c", &line], &all) }
    }

    fn screen(&self) -> vt100::Parser {
        let length = |length| NonZero::new(length).expect("some");
        let mut screen = vt100::Parser::new(length(SIZE.1), length(SIZE.0), 0);
        screen.process(self.pty.seen().as_bytes());
        screen
    }

    /// Waits until the screen has this on it.
    fn sees(&mut self, text: &str) {
        let until = Instant::now() + BOUND;
        while !self.screen().screen().contents().contains(text) {
            assert!(Instant::now() < until, "no {text:?} on\n{}", self.screen().screen().contents());
            self.pty.listen(Duration::from_millis(50));
        }
    }
}

fn tenant() -> Tenant {
    let tenant = Tenant::new(Conf::Fleet, &["coder0", "coder1", "rev"]);
    tenant.session("coder0", (200, 50), "echo this is coder0; exec sleep 600");
    tenant.session("rev", (200, 50), "echo this is rev; exec sleep 600");
    tenant.session("stray", (200, 50), "exec sleep 600");
    tenant
}

#[test]
fn the_fleet_is_shown_live_with_the_selected_agents_terminal() {
    let tenant = tenant();
    let mut ada = Person::new(&tenant, &[]);
    for text in ["usc on ", "coder0", "coder1", "dead", "UNKNOWN", "this is coder0", "?:keys"] {
        ada.sees(text);
    }
    ada.pty.keys(b"jj");
    ada.sees("this is rev");
    tenant.ask(&["kill-session", "-t", "=stray"]);
    let until = Instant::now() + BOUND;
    while ada.screen().screen().contents().contains("stray") {
        assert!(Instant::now() < until, "it is shown for ever");
        ada.pty.listen(Duration::from_millis(50));
    }
    ada.pty.keys(b"?");
    ada.sees("watch the agent's terminal");
    ada.pty.keys(b"?");
    // It shows an agent's terminal by looking, and attaches to none.
    assert_eq!(tenant.clients(), 0);
    ada.pty.keys(b"q");
    assert_eq!(ada.pty.end(), "exit 0");
    let screen = ada.screen();
    assert!(!screen.screen().alternate_screen() && !screen.screen().hide_cursor());
    assert!(ada.pty.settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
}

#[test]
fn an_end_is_shown_when_its_supervisor_notes_it_and_not_by_the_clock() {
    let tenant = tenant();
    let mut ada = Person::new(&tenant, &[]);
    ada.sees("stray");
    let first_line = |ada: &Person| ada.screen().screen().contents().lines().next().map(str::to_owned);
    // By the clock it is looked two seconds after the last look. On a busy machine once in three is enough.
    let at_once = (0..3).any(|round| {
        let before = first_line(&ada);
        until_listening(&mut ada, |ada| first_line(ada) != before);
        let name = if round == 0 { "stray".to_owned() } else { format!("stray{round}") };
        tenant.ask(&["kill-session", "-t", &format!("={name}")]);
        std::fs::write(tenant.run_folder().join("coder1.record"), "").expect("noted");
        let noted = Instant::now();
        until_listening(&mut ada, |ada| !ada.screen().screen().contents().contains(&name));
        let taken = noted.elapsed();
        tenant.session(&format!("stray{}", round + 1), (200, 50), "exec sleep 600");
        ada.sees(&format!("stray{}", round + 1));
        taken < Duration::from_millis(1200)
    });
    assert!(at_once);
    ada.pty.keys(b"q");
    assert_eq!(ada.pty.end(), "exit 0");
}

fn until_listening(ada: &mut Person, holds: impl Fn(&Person) -> bool) {
    let until = Instant::now() + BOUND;
    while !holds(ada) {
        assert!(Instant::now() < until, "not on\n{}", ada.screen().screen().contents());
        ada.pty.listen(Duration::from_millis(20));
    }
}

#[test]
fn a_watch_takes_the_terminal_and_gives_it_back() {
    let tenant = tenant();
    let mut ada = Person::new(&tenant, &[]);
    ada.sees("this is coder0");
    ada.pty.keys(b"w");
    until("it watches", || tenant.clients() == 1);
    ada.sees("agent coder0");
    assert_eq!(tenant.size("coder0"), "200x50");
    ada.pty.keys(b"q");
    until("it has left", || tenant.clients() == 0);
    ada.sees("?:keys");
    ada.pty.keys(b"a");
    ada.sees("attach to coder0?");
    ada.pty.keys(b"n");
    ada.sees("nothing was done");
    assert_eq!(tenant.clients(), 0);
    ada.pty.keys(b"j");
    ada.sees("DEAD: ");
    ada.pty.keys(b"w");
    ada.sees("coder1 is not running");
    ada.pty.keys(b"kt");
    ada.sees("line 1 of 1");
    // A watch that is under way ends with it.
    ada.pty.keys(b"qw");
    until("it watches", || tenant.clients() == 1);
    ada.pty.signal(Signal::SIGTERM);
    assert_eq!(ada.pty.end(), "exit 143");
    until("nobody is attached", || tenant.clients() == 0);
    assert!(ada.pty.settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
}

#[test]
fn the_terminal_is_given_back_after_a_signal_and_a_hang_up_ends_it() {
    let tenant = tenant();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut ada = Person::new(&tenant, &[("NO_COLOR", "1")]);
        ada.sees("this is coder0");
        let screen = ada.screen();
        let cells = (0..SIZE.1).flat_map(|row| (0..SIZE.0).map(move |column| (row, column)));
        let plain = |(row, column)| {
            screen.screen().cell(row, column).is_none_or(|cell| cell.fgcolor() == vt100::Color::Default)
        };
        assert!(cells.clone().all(plain), "no colour: {:?}", ada.pty.seen());
        ada.pty.signal(signal);
        assert_eq!(ada.pty.end(), format!("exit {}", 128 + signal as i32));
        assert!(!ada.screen().screen().alternate_screen(), "{signal}");
        assert!(ada.pty.settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{signal}");
    }
    let mut ada = Person::new(&tenant, &[]);
    ada.sees("this is coder0");
    ada.pty.hang_up();
    ada.pty.end();
}

#[test]
fn a_server_that_hangs_holds_no_key_up_and_is_unknown() {
    let tenant = tenant();
    let mut ada = Person::new(&tenant, &[]);
    ada.sees("this is coder0");
    let server = tenant.server().expect("a server");
    kill(server, Signal::SIGSTOP).expect("stopped");
    ada.sees("unknown: ");
    let asked = Instant::now();
    ada.pty.keys(b"?");
    ada.sees("watch the agent's terminal");
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
    assert!(!ada.screen().screen().contents().contains(" dead "), "{}", ada.screen().screen().contents());
    kill(server, Signal::SIGCONT).expect("goes on");
    ada.pty.keys(b"xq");
    assert_eq!(ada.pty.end(), "exit 0");
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let tenant = Tenant::new(Conf::Fleet, &["coder0"]);
    let refused = tenant.run(&["fleet", "top"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fleet ps"), "{refused:?}");
}

#[test]
fn it_works_inside_tmux() {
    let tenant = tenant();
    let own = Tenant::new(Conf::Plain, &[]);
    let (home, program) = (tenant.home.path().display(), env!("CARGO_BIN_EXE_fleet"));
    own.session("mine", (100, 30), &format!("HOME={home} '{program}' top; echo left: $?; exec sleep 600"));
    until("it is shown there", || own.shown("mine").contains("this is coder0"));
    own.ask(&["resize-window", "-t", "=mine:", "-x", "60", "-y", "20"]);
    until("it is drawn anew", || {
        let shown = own.ask(&["capture-pane", "-p", "-t", "=mine:"]);
        shown.contains("this is coder0") && shown.lines().nth(19).is_some_and(|l| l.contains("?:keys"))
    });
    own.ask(&["send-keys", "-t", "=mine:", "q"]);
    until("it has left", || own.shown("mine").contains("left: 0"));
}
