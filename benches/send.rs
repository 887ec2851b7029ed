//! One verified message to the dogfood runtime on a tmux server of its own, as a process, measured:
//! `cargo bench --bench send`. The bound is a median of 150 ms.
#![allow(missing_docs, reason = "a program that measures")]
#![allow(clippy::print_stdout, reason = "what it measured")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MEASURED: usize = 100;
const BOUND: Duration = Duration::from_millis(150);

fn main() {
    // `cargo test --benches` only looks whether it runs.
    let measured = if std::env::args().any(|a| a == "--bench") { MEASURED } else { 3 };
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
    let mut times: Vec<Duration> = (0..=measured)
        .map(|number| {
            let begun = Instant::now();
            let message = format!("message {number}");
            let mut send = bare(mosaic);
            send.args(["agent", "send", "coder0", "--verify", "--message", &message]);
            assert!(send.status().is_ok_and(|s| s.success()), "message {number} was not taken");
            begun.elapsed()
        })
        // The first one finds cold caches.
        .skip(1)
        .collect();
    tmux(&["kill-server"]);
    let _ = fs::remove_file(format!("/tmp/tmux-{}/{socket}", nix::unistd::geteuid()));
    times.sort();
    let median = times[times.len() / 2];
    println!(
        "send --verify to dogfood, {measured} messages: median {median:.1?}, fastest {:.1?}, slowest {:.1?}",
        times[0],
        times[times.len() - 1]
    );
    assert!(measured < MEASURED || median < BOUND, "the median is not below {BOUND:?}");
}
