//! `mosaic agent tail` and `watch --log`: an agent's terminal as text.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "only its bounds are used here")]
mod pty;
#[path = "common/tenant.rs"]
mod tenant;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use pty::until;
use tenant::{Conf, Tenant};

/// No test writes this for another reason.
const MARK: &str = "mark";

/// A follower that writes into a file.
struct Following {
    child: Child,
    file: PathBuf,
}

impl Following {
    fn start(tenant: &Tenant, name: &str, args: &[&str]) -> Self {
        let before = tenant.clients();
        let file = tenant.home.path().join(name);
        let mut command = tenant.bare(env!("CARGO_BIN_EXE_mosaic"));
        command.args(args).stdin(Stdio::null()).stdout(File::create(&file).expect("a file"));
        let child = command.stderr(Stdio::piped()).spawn().expect("mosaic runs");
        until("it follows", || tenant.clients() > before);
        let following = Self { child, file };
        following.has_looked(tenant);
        following
    }

    /// Waits until it tells what is typed: then it has looked at the screen for the first time, and what comes from now on
    /// is new to it. What was typed is taken back.
    fn has_looked(&self, tenant: &Tenant) {
        let type_keys = |keys: &str| tenant.ask(&["send-keys", "-t", "=coder:", keys]);
        let mut typed: Option<Instant> = None;
        until("it tells what is new", || {
            // What came before that look is told by none; and one that is typed at all the time never rests.
            if typed.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                type_keys(MARK);
                typed = Some(Instant::now());
            }
            self.wrote().contains(MARK)
        });
        type_keys("C-u");
        until("nothing is typed", || !tenant.shown("coder").contains(MARK));
    }

    fn wrote(&self) -> String {
        std::fs::read_to_string(&self.file).expect("text")
    }

    fn writes(&self, text: &str) {
        until(text, || self.wrote().contains(text));
    }

    fn end(mut self) -> (Option<i32>, String, String) {
        let wrote = self.file.clone();
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut pipe, &mut stderr).expect("text");
        }
        let code = self.child.wait().expect("our child").code();
        (code, std::fs::read_to_string(wrote).expect("text"), stderr)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_last_lines_come_as_plain_text_also_of_a_full_screen_program() {
    let tenant = Tenant::new(Conf::Fleet, &["coder", "full"]);
    tenant.session("coder", (200, 50), "printf '\\033[31mred\\033[0m\\n'; seq 1 300; exec sleep 600");
    let full =
        "seq 1 9; printf '\\033[?1049h\\033[2J\\033[5;5Hfull screen\\033[50;1Hlast row'; exec sleep 600";
    tenant.session("full", (200, 50), full);
    until("both have written", || {
        tenant.shown("coder").ends_with("300") && tenant.shown("full").contains("last row")
    });
    let lines: Vec<String> =
        text(&tenant.run(&["agent", "tail", "coder"])).lines().map(str::to_owned).collect();
    assert_eq!(lines, (221..=300).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(text(&tenant.run(&["agent", "tail", "coder", "-n", "2"])), "299\n300\n");
    assert!(text(&tenant.run(&["agent", "tail", "coder", "-n", "5000"])).starts_with("red\n1\n2\n"));
    let full = text(&tenant.run(&["agent", "tail", "full"]));
    assert!(full.contains("\n    full screen\n") && full.ends_with("last row\n"), "{full}");
    assert_eq!(tenant.clients(), 0);
}

#[test]
fn a_log_has_every_line_once_and_in_order_and_several_do_not_disturb_each_other() {
    const COUNTER: &str = "exec sh -c 'read x; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"count $i.\"; \
                           done; read x; echo \"no line end yet\"; sleep 600'";
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), COUNTER);
    let log = Following::start(&tenant, "log", &["agent", "watch", "coder", "--log"]);
    let tail = Following::start(&tenant, "tail", &["agent", "tail", "coder", "-f"]);
    tenant.ask(&["send-keys", "-t", "=coder:", "Enter"]);
    log.writes("count 3000.\n");
    tail.writes("count 3000.\n");
    tenant.ask(&["send-keys", "-t", "=coder:", "Enter"]);
    log.writes("no line end yet\n");
    let expected: String = (1..=3000).map(|n| format!("count {n}.\n")).collect();
    let counted = |wrote: String| -> String {
        wrote.lines().filter(|l| l.starts_with("count")).map(|l| format!("{l}\n")).collect()
    };
    assert!(counted(log.wrote()) == expected, "{}", log.wrote());
    assert!(counted(tail.wrote()) == expected, "{}", tail.wrote());
    assert_eq!((tenant.size("coder"), tenant.clients()), ("200x50".to_owned(), 2));
    assert_eq!(tenant.format("coder", "#{pane_pipe}"), "0");
    drop(log);
    until("one is left", || tenant.clients() == 1);
    tenant.ask(&["kill-session", "-t", "=coder"]);
    let (code, _, stderr) = tail.end();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("coder is not running"), "{stderr}");
}

#[test]
fn a_log_of_a_full_screen_program_has_what_is_new_and_no_spinner() {
    let script = "printf '\\033[?1049h'; read x; i=0; while [ $i -lt 150 ]; do i=$((i+1)); \
                  printf \"\\033[Htitle\\r\\n* working $i\\r\\n> \"; sleep 0.01; done; \
                  printf '\\033[Htitle\\r\\nthe answer\\033[K\\r\\n> '; sleep 600";
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), &format!("exec sh -c '{}'", script.replace('\'', "'\\''")));
    until("it is full-screen", || tenant.format("coder", "#{alternate_on}") == "1");
    let log = Following::start(&tenant, "log", &["agent", "watch", "coder", "--log"]);
    tenant.ask(&["send-keys", "-t", "=coder:", "Enter"]);
    log.writes("the answer\n");
    let wrote = log.wrote();
    assert_eq!(wrote.matches("title").count(), 1, "{wrote}");
    assert!(wrote.matches("working").count() < 3, "{wrote}");
    assert!(!wrote.contains('\u{1b}'), "{wrote:?}");
}

#[test]
fn a_log_ends_with_its_reader() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), "exec sleep 600");
    let mut command = tenant.bare(env!("CARGO_BIN_EXE_mosaic"));
    command.args(["agent", "watch", "coder", "--log"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("mosaic runs");
    until("it follows", || tenant.clients() == 1);
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("our child").code(), Some(0));
    until("nobody is attached", || tenant.clients() == 0);
}

#[test]
fn a_server_that_hangs_for_a_while_is_waited_for() {
    let tenant = Tenant::new(Conf::Fleet, &["coder"]);
    tenant.session("coder", (200, 50), "exec cat");
    let log = Following::start(&tenant, "log", &["agent", "watch", "coder", "--log"]);
    tenant.ask(&["send-keys", "-t", "=coder:", "before", "Enter"]);
    log.writes("before\n");
    let server = tenant.server().expect("a server");
    kill(server, Signal::SIGSTOP).expect("stopped");
    let hung = tenant.run(&["agent", "tail", "coder"]);
    assert_eq!(hung.status.code(), Some(4), "{hung:?}");
    assert!(String::from_utf8_lossy(&hung.stderr).contains("did not answer"), "{hung:?}");
    kill(server, Signal::SIGCONT).expect("goes on");
    tenant.ask(&["send-keys", "-t", "=coder:", "hello", "Enter"]);
    log.writes("hello\n");
}

#[test]
fn of_an_agent_that_does_not_run_the_kept_lines_are_shown() {
    let tenant = Tenant::new(Conf::Fleet, &["coder", "rev"]);
    std::fs::write(tenant.run_folder().join("coder.last"), "one\ntwo\u{1b}[31m\nthree\n").expect("written");
    let output = tenant.run(&["agent", "tail", "coder", "-n", "2"]);
    assert_eq!(text(&output), "two[31m\nthree\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("coder is not running"), "{output:?}");
    let none = tenant.run(&["agent", "tail", "rev"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0), "{none:?}");
    let unknown = tenant.run(&["agent", "tail", "code"]);
    assert_eq!(unknown.status.code(), Some(3), "{unknown:?}");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean coder?"), "{unknown:?}");
}
