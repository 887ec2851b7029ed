//! One verified message to the dogfood runtime on a tmux server of its own, as a process, measured in turn with the same
//! typed by `tmux send-keys`, of which nobody knows what became: `cargo bench --bench send`. The bound is a median of 150 ms.
#![allow(missing_docs, reason = "a program that measures")]
#![allow(clippy::print_stdout, reason = "what it measured")]

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bound, Figures, measures, median};

const MEASURED: usize = 100;
/// In milliseconds.
const BOUND: f64 = 150.0;

fn main() {
    // `cargo test --benches` only looks whether it runs.
    let measured = if measures() { MEASURED } else { 3 };
    let home = tempfile::tempdir().expect("a home");
    let socket = format!("mosaic-bench-{}", std::process::id());
    let mosaic = env!("CARGO_BIN_EXE_mosaic");
    let fleet = home.path().join(".config/mosaic/fleet");
    fs::create_dir_all(fleet.join("run")).expect("folders");
    let roster = format!(
        "version: 1\ntenant_id: bench\ntmux: {{socket_name: {socket}}}\nagents:\n  - {{name: coder0, runtime: dogfood}}\n"
    );
    fs::write(fleet.join("roster.yaml"), roster).expect("a roster");
    let bare = |program: &str| {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let line =
        format!("exec env HOME={} MOSAIC_AGENT_NAME=coder0 {mosaic} yolo dogfood", home.path().display());
    let tmux = |args: &[&str]| {
        let status = bare("tmux").args(["-L", &socket, "-f", "/dev/null"]).args(args).status();
        assert!(status.is_ok_and(|s| s.success()), "tmux {args:?}");
    };
    tmux(&["new-session", "-d", "-s", "coder0", "-x", "200", "-y", "50", &line]);
    let until = Instant::now() + Duration::from_secs(10);
    while !fleet.join("run/coder0.hb").exists() {
        assert!(Instant::now() < until, "dogfood never beat");
        std::thread::sleep(Duration::from_millis(5));
    }
    let is_taken = |message: &str| {
        let mut look = bare("tmux");
        look.args(["-L", &socket, "capture-pane", "-p", "-t", "=coder0:"]).stdout(Stdio::piped());
        let screen = look.output().expect("tmux answers").stdout;
        String::from_utf8_lossy(&screen).contains(message)
    };
    let send = |number: usize| {
        let begun = Instant::now();
        let mut send = bare(mosaic);
        send.args(["agent", "send", "coder0", "--verify", "--message", &format!("message {number}")]);
        assert!(send.status().is_ok_and(|s| s.success()), "message {number} was not taken");
        begun.elapsed()
    };
    let type_it = |number: usize| {
        let message = format!("typed {number}.");
        let begun = Instant::now();
        tmux(&["send-keys", "-t", "=coder0:", "-l", &message]);
        tmux(&["send-keys", "-t", "=coder0:", "Enter"]);
        let took = begun.elapsed();
        // The next one finds an agent that waits.
        while !is_taken(&format!("you said: {message}")) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{message} was never taken");
        }
        took
    };
    // The first round finds cold caches.
    let (sent, typed): (Vec<Duration>, Vec<Duration>) =
        (0..=measured).map(|number| (send(number), type_it(number))).skip(1).unzip();
    tmux(&["kill-server"]);
    let _ = fs::remove_file(format!("/tmp/tmux-{}/{socket}", nix::unistd::geteuid()));
    let milliseconds =
        |times: Vec<Duration>| -> Vec<f64> { times.iter().map(|time| time.as_secs_f64() * 1000.0).collect() };
    let (sent, typed) = (milliseconds(sent), milliseconds(typed));
    let slowest = sent.iter().copied().fold(0.0, f64::max);
    let mut figures = Figures::new("send");
    let what = format!("agent send --verify to dogfood, median of {measured}");
    figures.must("this machine", &what, median(sent), "ms", Bound::Below(BOUND));
    figures.tell("this machine", "the slowest of them", slowest, "ms");
    let typing = "a message typed by two tmux send-keys that nobody looks after, median";
    figures.tell("this machine", typing, median(typed), "ms");
    figures.finish();
}
