//! The dogfood runtime on real terminals: what it shows, writes and, when told to, does wrong.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mosaic_fleet::runfile::ack::{self, Ack, Event, digest};
use mosaic_fleet::runfile::heartbeat::{self, Beat, Source, State, Status};
use nix::sys::signal::Signal;
use nix::sys::termios::LocalFlags;
use pty::{Pty, until};

fn mosaic() -> PathBuf {
    assert_cmd::cargo::cargo_bin("mosaic")
}

/// An agent of its own home.
struct Agent {
    home: tempfile::TempDir,
    pty: Pty,
}

impl Agent {
    fn start(args: &[&str]) -> Self {
        Self::with(args, &[])
    }

    fn with(args: &[&str], more: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a home");
        let variables = [
            ("HOME", home.path().to_str().expect("text")),
            ("MOSAIC_AGENT_NAME", "coder0"),
            ("MOSAIC_TENANT_ID", "usc"),
            ("MOSAIC_HOST", "h1"),
        ];
        let variables: Vec<(&str, &str)> = variables.iter().chain(more).copied().collect();
        let pty = Pty::start(&mosaic(), &[&["yolo", "dogfood"], args].concat(), &variables);
        Self { home, pty }
    }

    fn ready(args: &[&str]) -> Self {
        let mut agent = Self::start(args);
        agent.pty.sees("> ");
        until("a first beat", || agent.beat().is_some());
        agent
    }

    fn run(&self, name: &str) -> PathBuf {
        self.home.path().join(".config/mosaic/fleet/run").join(name)
    }

    fn beat(&self) -> Option<Beat> {
        let bytes = fs::read(self.run("coder0.hb")).ok()?;
        Some(heartbeat::parse(&bytes).expect("never half-written"))
    }

    fn acks(&self) -> Vec<Ack> {
        ack::parse(&fs::read(self.run("coder0.ack")).unwrap_or_default())
    }

    fn probe(&self) {
        let mut probe =
            fs::OpenOptions::new().append(true).open(self.run("coder0.probe")).expect("a probe file");
        probe.write_all(b"probe\n").expect("probed");
    }

    fn answers(&self, what: &str) {
        let before = self.beat().and_then(|b| b.boottime);
        self.probe();
        until(what, || self.beat().and_then(|b| b.boottime) > before);
    }

    fn says(&mut self, message: &str) {
        self.pty.keys(message.as_bytes());
        self.pty.keys(b"\r");
    }
}

#[test]
fn it_shows_a_prompt_beats_at_once_and_echoes_a_message() {
    let mut agent = Agent::ready(&[]);
    let beat = agent.beat().expect("a beat");
    assert_eq!((beat.pid, beat.status, beat.source), (agent.pty.pid(), Status::Ok, Source::Runtime));
    assert_eq!((beat.tenant_id.as_deref(), beat.host.as_deref()), (Some("usc"), Some("h1")));
    assert_eq!((beat.interval, beat.first, beat.state), (Some(15), beat.boottime, Some(State::Idle)));
    agent.says("hello");
    agent.pty.sees("you said: hello\r\n");
    agent.pty.sees("\r\x1b[K> ");
    let acks = agent.acks();
    assert_eq!(acks.len(), 1);
    assert_eq!((acks[0].event, acks[0].sha256.clone()), (Event::Prompt, Some(digest("hello"))));
    assert_eq!((acks[0].tenant_id.as_deref(), acks[0].host.as_deref()), (Some("usc"), Some("h1")));
}

#[test]
fn a_paste_of_many_lines_is_one_message_and_its_draft_is_one_line() {
    let mut agent = Agent::ready(&[]);
    agent.pty.paste("first\n> second\nthird");
    agent.pty.sees("> first\\n> second\\nthird");
    agent.pty.keys(b"\r");
    agent.pty.sees("you said: first\r\n  | > second\r\n  | third\r\n");
    assert_eq!(agent.acks()[0].sha256, Some(digest("first\n> second\nthird")));
}

#[test]
fn a_mebibyte_in_one_paste_is_one_message() {
    let mut agent = Agent::ready(&[]);
    let text = "0123456789abcde\n".repeat(1 << 16);
    agent.pty.paste(&text);
    agent.pty.keys(b"\r");
    agent.pty.sees("(1048576 bytes, 65536 lines)");
    let acks = agent.acks();
    assert_eq!((acks.len(), acks[0].sha256.clone()), (1, Some(digest(&text))));
}

#[test]
fn a_probe_is_answered_at_once_also_where_the_file_was_replaced_or_removed() {
    let agent = Agent::ready(&[]);
    agent.answers("an answer");
    agent.answers("another");
    fs::write(agent.run("new"), "probe\n").expect("written");
    let before = agent.beat().and_then(|b| b.boottime);
    fs::rename(agent.run("new"), agent.run("coder0.probe")).expect("replaced");
    until("an answer to the replaced file", || agent.beat().and_then(|b| b.boottime) > before);
    agent.answers("an answer after that");
    let before = agent.beat().and_then(|b| b.boottime);
    fs::remove_file(agent.run("coder0.probe")).expect("removed");
    until("a beat at the removal", || agent.beat().and_then(|b| b.boottime) > before);
    until("a file to probe", || agent.run("coder0.probe").exists());
    agent.answers("an answer in the new file");
}

#[test]
fn it_beats_at_its_interval_and_does_not_wake_up_in_between() {
    let agent = Agent::with(&[], &[("MOSAIC_HEARTBEAT_INTERVAL", "1")]);
    until("a first beat", || agent.beat().is_some());
    let first = agent.beat().expect("a beat");
    until("a second beat", || agent.beat().expect("a beat").boottime > first.boottime);
    let second = agent.beat().expect("a beat");
    assert_eq!((second.first, second.interval), (first.boottime, Some(1)));
    let pause = second.boottime.unwrap_or(0.0) - first.boottime.unwrap_or(0.0);
    assert!((0.95..10.0).contains(&pause), "{pause}");

    let idle = Agent::ready(&[]);
    let sleeps = || {
        let status = fs::read_to_string(format!("/proc/{}/status", idle.pty.pid())).expect("it runs");
        let line = status.lines().find(|l| l.starts_with("voluntary_ctxt_switches")).expect("counted");
        line.rsplit('\t').next().and_then(|n| n.parse::<u32>().ok()).expect("a number")
    };
    let state = || fs::read_to_string(format!("/proc/{}/wchan", idle.pty.pid())).unwrap_or_default();
    until("it waits", || state().contains("poll") || state() == "0");
    let before = sleeps();
    // What is looked for is that nothing happens, so some time has to pass.
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert!(sleeps() - before <= 1, "{} wake-ups", sleeps() - before);
}

#[test]
fn a_reset_begins_a_conversation_and_is_acknowledged() {
    let mut agent = Agent::ready(&[]);
    let session = agent.beat().and_then(|b| b.session);
    agent.says("/new");
    agent.pty.sees("conversation 2");
    until("another session", || agent.beat().and_then(|b| b.session) != session);
    assert_eq!(agent.acks()[0].event, Event::Reset);
}

#[test]
fn it_is_busy_while_it_works_and_queues_what_comes_meanwhile() {
    let mut agent = Agent::ready(&[]);
    agent.says("[h:s -> h:coder0] work 1");
    agent.pty.sees("working for 1 s");
    until("busy", || {
        agent.beat().is_some_and(|b| b.status == Status::Busy && b.state == Some(State::Working))
    });
    agent.says("later");
    agent.pty.sees("queued: later");
    assert_eq!(agent.acks()[1].event, Event::Queued);
    agent.pty.sees("done");
    agent.pty.sees("you said: later");
    until("idle", || agent.beat().is_some_and(|b| b.status == Status::Ok && b.state == Some(State::Idle)));
    let acks = agent.acks();
    assert_eq!((acks[2].event, &acks[2].sha256), (Event::Prompt, &acks[1].sha256));
    agent.says("work 60");
    agent.pty.sees("working");
    agent.pty.keys(b"\x03");
    agent.pty.sees("interrupted");
}

#[test]
fn ctrl_c_clears_a_draft_and_ctrl_d_ends_it_with_the_terminal_as_it_was() {
    let mut agent = Agent::ready(&[]);
    assert!(!agent.pty.settings().local_flags.contains(LocalFlags::ICANON));
    agent.pty.keys(b"not meant");
    agent.pty.sees("> not meant");
    agent.pty.keys(b"\x03");
    agent.pty.sees("\r\x1b[K> \x1b[?7h");
    agent.pty.keys(b"\x04");
    assert_eq!(agent.pty.end(), "exit 0");
    assert!(agent.pty.settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
    assert!(agent.pty.seen().ends_with("\x1b[?2004l"), "{:?}", agent.pty.seen());
    assert!(agent.acks().is_empty());
}

#[test]
fn term_and_hang_up_end_it_cleanly_with_a_last_line() {
    for (signal, word) in [(Signal::SIGTERM, "SIGTERM"), (Signal::SIGHUP, "hang-up")] {
        let mut agent = Agent::ready(&[]);
        agent.pty.signal(signal);
        assert_eq!(agent.pty.end(), "exit 0");
        assert!(agent.pty.seen().contains(&format!("dogfood ends by {word}")), "{:?}", agent.pty.seen());
    }
    let mut agent = Agent::ready(&[]);
    agent.pty.hang_up();
    assert_eq!(agent.pty.end(), "exit 0");
}

#[test]
fn fault_hang_neither_reads_nor_beats_nor_listens_to_signals() {
    let mut agent = Agent::ready(&[]);
    agent.says("/fault hang");
    agent.pty.sees("fault: hang");
    let before = agent.beat();
    agent.probe();
    agent.pty.signal(Signal::SIGTERM);
    // The kernel shows the signal as one that waits to be taken.
    let pid = agent.pty.pid();
    until("a pending SIGTERM", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let pending =
            status.lines().find_map(|l| l.strip_prefix("ShdPnd:")).expect("listed").trim().to_owned();
        let blocked =
            status.lines().find_map(|l| l.strip_prefix("SigBlk:")).expect("listed").trim().to_owned();
        let bit = |mask: &str| u64::from_str_radix(mask, 16).expect("a mask") >> 14 & 1 == 1;
        bit(&pending) && bit(&blocked) && status.contains("State:\tS")
    });
    assert_eq!(agent.beat(), before);
    agent.pty.signal(Signal::SIGKILL);
    assert_eq!(agent.pty.end(), "signal 9");
}

#[test]
fn faults_die_and_exit_end_it_at_once_or_later() {
    for (fault, end) in [
        ("die", "signal 9"),
        ("exit", "exit 1"),
        ("exit:7", "exit 7"),
        ("exit:7@0.2", "exit 7"),
        ("die@0.2", "signal 9"),
    ] {
        assert_eq!(Agent::start(&["--fault", fault]).pty.end(), end, "{fault}");
    }
    let mut agent = Agent::ready(&[]);
    agent.says("/fault exit 9");
    assert_eq!(agent.pty.end(), "exit 9");
}

#[test]
fn fault_mute_reads_on_and_answers_no_probe_until_it_is_taken_back() {
    let mut agent = Agent::ready(&[]);
    agent.says("/fault mute");
    agent.pty.sees("fault: mute");
    let before = agent.beat();
    agent.probe();
    agent.says("still there?");
    agent.pty.sees("you said: still there?");
    assert_eq!(agent.beat(), before);
    agent.says("/fault none");
    agent.pty.sees("fault: none");
    until("a beat again", || agent.beat() != before);
}

#[test]
fn fault_mute_from_the_start_never_beats() {
    let mut agent = Agent::start(&["--fault", "mute"]);
    agent.pty.sees("> ");
    agent.says("hello");
    agent.pty.sees("you said: hello");
    assert_eq!(agent.beat(), None);
}

#[test]
fn fault_draft_leaves_what_was_typed_at_the_prompt() {
    let mut agent = Agent::ready(&["--fault", "draft:1"]);
    agent.says("hello");
    agent.pty.sees("> hello");
    assert!(agent.acks().is_empty());
    agent.pty.keys(b"\r");
    agent.pty.sees("you said: hello");
    let mut always = Agent::ready(&["--fault", "draft"]);
    always.says("hello\r\r\r there");
    always.pty.sees("> hello there");
    assert!(always.acks().is_empty());
}

#[test]
fn fault_fullscreen_draws_on_the_alternate_screen_and_leaves_it_at_the_end() {
    let mut agent = Agent::ready(&["--fault", "fullscreen"]);
    assert!(agent.pty.seen().contains("\x1b[?1049h"));
    agent.says("hello");
    agent.pty.sees("you said: hello");
    agent.pty.sees("\x1b[24;1H> ");
    agent.pty.keys(b"\x04");
    assert_eq!(agent.pty.end(), "exit 0");
    assert!(agent.pty.seen().contains("\x1b[?1049l"));
}

#[test]
fn fault_slow_shows_and_writes_nothing_for_a_while() {
    let begun = std::time::Instant::now();
    let mut agent = Agent::start(&["--fault", "slow:0.5"]);
    agent.pty.sees("> ");
    assert!(begun.elapsed().as_secs_f64() >= 0.5);
    until("a first beat", || agent.beat().is_some());
    let mut stopped = Agent::start(&["--fault", "slow:60"]);
    until("it waits", || {
        fs::read_to_string(format!("/proc/{}/comm", stopped.pty.pid())).is_ok_and(|c| c == "dogfood\n")
            && fs::read_to_string(format!("/proc/{}/status", stopped.pty.pid()))
                .is_ok_and(|s| s.contains("SigBlk:\t0000000008004001"))
    });
    stopped.pty.signal(Signal::SIGTERM);
    assert_eq!(stopped.pty.end(), "exit 0");
}

#[test]
fn fault_memory_takes_it_for_real() {
    let mut agent = Agent::ready(&[]);
    let resident = |agent: &Agent| {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.pty.pid())).expect("it runs");
        // Not what is mapped of the program itself, which depends on how it was built.
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).expect("listed").trim().to_owned();
        line.split(' ').next().and_then(|n| n.parse::<u32>().ok()).expect("a number")
    };
    assert!(resident(&agent) < 16 << 10, "{} kB", resident(&agent));
    agent.says("/fault memory:64");
    until("64 MiB", || resident(&agent) > 64 << 10);
    agent.says("/fault none");
    until("back", || resident(&agent) < 32 << 10);
}

#[test]
fn fault_ignore_hup_survives_a_hang_up_and_not_a_term() {
    let mut agent = Agent::ready(&["--fault", "ignore-hup"]);
    agent.pty.signal(Signal::SIGHUP);
    agent.says("still here");
    agent.pty.sees("you said: still here");
    agent.pty.hang_up();
    agent.answers("a beat without a terminal");
    agent.pty.signal(Signal::SIGTERM);
    assert_eq!(agent.pty.end(), "exit 0");
}

#[test]
fn faults_come_from_the_environment_too_and_a_bad_one_is_a_usage_error() {
    let mut agent = Agent::with(&[], &[("MOSAIC_DOGFOOD_FAULT", "mute,exit:5@0.1")]);
    assert_eq!(agent.pty.end(), "exit 5");
    assert_eq!(agent.beat(), None);
    let mut bad = Agent::with(&[], &[("MOSAIC_DOGFOOD_FAULT", "hung")]);
    assert_eq!(bad.pty.end(), "exit 2");
    assert!(bad.pty.seen().contains(r#""hung" is no fault: hang, die"#), "{}", bad.pty.seen());
    assert_eq!(Agent::start(&["--fault", "hung"]).pty.end(), "exit 2");
}

#[test]
fn without_a_terminal_every_line_is_a_message() {
    let home = tempfile::tempdir().expect("a home");
    let mut child = Command::new(mosaic())
        .args(["yolo", "dogfood"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\nwork 0.1\ntwo\nthree without an end").expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let expected = [
        "you said: one",
        "you said: work 0.1",
        "working for 0.1 s",
        "queued: two",
        "queued: three without an end",
        "done",
        "you said: two",
        "you said: three without an end",
    ];
    assert_eq!(lines, expected);
    assert!(!Path::new(&home.path().join(".config")).exists(), "nobody's runtime leaves no files");
}
