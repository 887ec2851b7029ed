//! `mosaic heartbeat` as hooks run it: what it writes, whose pid it finds, what it refuses.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mosaic_fleet::runfile::heartbeat::{self, Beat, Source, State, Status};
use mosaic_fleet::runfile::record::{Record, State as Phase};
use predicates::prelude::*;
use predicates::str::contains;

/// A home with nothing in it, and the environment of one agent.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a home"))
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join("mosaic/fleet/run").join(name)
    }

    fn bare(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin("mosaic"));
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("MOSAIC_HOME", self.0.path().join("mosaic"))
            .arg("heartbeat");
        command
    }

    fn heartbeat(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = self.bare();
        command
            .env("MOSAIC_AGENT_NAME", "coder0")
            .env("MOSAIC_TENANT_ID", "usc")
            .env("MOSAIC_HOST", "h1")
            .args(args);
        command
    }

    fn beat(&self) -> Beat {
        heartbeat::parse(&fs::read(self.run("coder0.hb")).expect("a beat")).expect("a whole one")
    }

    fn record(&self, record: &Record) {
        fs::create_dir_all(self.run("")).expect("a folder");
        fs::write(self.run("coder0.record"), record.text()).expect("written");
    }
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot").trim().to_owned()
}

/// Something that runs until it is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("sleep starts"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_writes_whose_beat_it_is_and_when() {
    let home = Home::new();
    home.heartbeat(&["--pid", "77"]).assert().success().stdout("").stderr("");
    let beat = home.beat();
    assert_eq!((beat.pid, beat.status, beat.source), (77, Status::Ok, Source::Hook));
    assert_eq!((beat.tenant_id.as_deref(), beat.host.as_deref()), (Some("usc"), Some("h1")));
    assert_eq!((beat.interval, beat.boot_id, beat.first), (Some(15), Some(boot_id()), beat.boottime));
    let mode = fs::metadata(home.run("coder0.hb")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_hook_does_not_say_again_is_carried_on() {
    let home = Home::new();
    let limited = [
        "--pid",
        "77",
        "--status",
        "busy",
        "--state",
        "rate-limited",
        "--resume-at",
        "2026-11-20T12:00:00Z",
        "--session",
        "s1",
    ];
    home.heartbeat(&limited).assert().success();
    let first = home.beat();
    assert_eq!(
        (first.status, first.state, first.session.as_deref()),
        (Status::Busy, Some(State::RateLimited), Some("s1"))
    );
    home.heartbeat(&["--pid", "77", "--source", "sidecar"]).assert().success();
    let second = home.beat();
    assert_eq!(
        (second.source, second.state, second.resume_at),
        (Source::Sidecar, first.state, first.resume_at)
    );
    assert_eq!((second.first, second.heard), (first.first, first.boottime));
    home.heartbeat(&["--pid", "77", "--status", "ok"]).assert().success();
    let third = home.beat();
    assert_eq!((third.status, third.state, third.resume_at), (Status::Ok, Some(State::Idle), None));
    home.heartbeat(&["--pid", "78"]).assert().success();
    assert_eq!(home.beat().session, None, "another process, another conversation");
}

#[test]
fn the_recorded_runtime_is_meant_while_it_lives() {
    let home = Home::new();
    let runtime = Sleeper::start();
    let record = Record {
        boot_id: boot_id(),
        state: Phase::Running,
        runtime_pid: Some(runtime.pid()),
        ..Record::default()
    };
    home.record(&record);
    home.heartbeat(&[]).assert().success();
    assert_eq!(home.beat().pid, runtime.pid());
    for stale in [
        Record { boot_id: "another".to_owned(), ..record.clone() },
        Record { state: Phase::Ended, ..record.clone() },
        Record { runtime_pid: Some(i32::MAX), ..record.clone() },
    ] {
        home.record(&stale);
        home.heartbeat(&[]).assert().code(2).stderr(contains("find the runtime of agent coder0"));
    }
}

#[test]
fn without_a_record_the_process_that_tmux_started_is_meant() {
    let home = Home::new();
    let sockets = tempfile::tempdir().expect("a folder");
    let tmux = |args: &[&str]| {
        let mut command = Command::new("tmux");
        command
            .env_remove("TMUX")
            .env("TMUX_TMPDIR", sockets.path())
            .args(["-L", "t", "-f", "/dev/null"])
            .args(args);
        command.output().expect("tmux runs")
    };
    // A hook stands some processes below the runtime, which is what the pane runs.
    let hook = format!(
        "MOSAIC_AGENT_NAME=coder0 MOSAIC_HOME={0}/mosaic sh -c '{1} heartbeat 2> {0}/err; true'; echo $$ > {0}/pid; exec sleep 1000",
        home.0.path().display(),
        assert_cmd::cargo::cargo_bin("mosaic").display(),
    );
    assert!(tmux(&["new-session", "-d", &hook]).status.success());
    let path = home.0.path().join("pid");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))
        && std::time::Instant::now() < until
    {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    tmux(&["kill-server"]);
    let pid = fs::read_to_string(&path).expect("the pane ran");
    assert_eq!(
        home.beat().pid.to_string(),
        pid.trim(),
        "{:?}",
        fs::read_to_string(home.0.path().join("err"))
    );
}

#[test]
fn outside_an_agent_it_says_what_to_set() {
    let home = Home::new();
    let said = contains("no agent").and(contains("set MOSAIC_AGENT_NAME"));
    home.bare().assert().code(2).stderr(said);
    home.bare().args(["--agent", "../x", "--pid", "7"]).assert().code(2).stderr(contains("agent name"));
    assert!(!home.run("").exists());
    home.bare().args(["--agent", "other", "--pid", "7"]).assert().success();
    assert!(home.run("other.hb").exists());
}

#[test]
fn what_it_cannot_mean_is_a_usage_error() {
    let home = Home::new();
    for (args, said) in [
        (&["--status", "fine"][..], "none of ok, busy"),
        (&["--state", "asleep"], "none of working, idle, rate-limited"),
        (&["--state", "idle", "--resume-at", "soon"], "no time such as"),
        (&["--resume-at", "2026-11-20T12:00:00Z"], "--state"),
        (&["--source", "me"], "none of runtime, hook, sidecar"),
        (&["--source", "sidecar", "--status", "ok"], "a sidecar cannot know"),
        (&["--pid", "0"], "0"),
        (&["--session", &"s".repeat(9000)], "not at most 256 bytes"),
        (&["--session", "a\nb"], "without control characters"),
    ] {
        home.heartbeat(args).assert().code(2).stderr(contains(said));
    }
    // Nor is a beat written that every reader refuses.
    let host = "h".repeat(5000);
    let long = home.heartbeat(&["--pid", "7"]).env("MOSAIC_HOST", &host).assert();
    long.code(2).stderr(contains("readers take 4096"));
    assert!(!home.run("coder0.hb").exists());
}

#[test]
fn a_link_in_its_place_is_replaced_and_a_broken_file_forgotten() {
    let home = Home::new();
    fs::create_dir_all(home.run("")).expect("a folder");
    let other = home.0.path().join("other");
    fs::write(&other, "mine").expect("written");
    symlink(&other, home.run("coder0.hb")).expect("linked");
    home.heartbeat(&["--pid", "7"]).assert().success();
    assert_eq!(fs::read_to_string(&other).expect("there"), "mine");
    fs::write(home.run("coder0.hb"), "ts=2026").expect("written");
    home.heartbeat(&["--pid", "7"]).assert().success();
    assert_eq!(home.beat().pid, 7);
}

#[test]
fn a_folder_that_cannot_be_written_is_the_machines_refusal() {
    let home = Home::new();
    fs::write(home.0.path().join("mosaic"), "").expect("a file in the way");
    home.heartbeat(&["--pid", "7"]).assert().code(4).stderr(contains("coder0.hb"));
}

#[test]
fn many_at_once_leave_one_whole_beat_and_no_word_of_a_hook_is_lost() {
    let home = Home::new();
    let spawn = |args: &[&str]| {
        Command::new(assert_cmd::cargo::cargo_bin("mosaic"))
            .arg("heartbeat")
            .args(args)
            .env_clear()
            .env("MOSAIC_HOME", home.0.path().join("mosaic"))
            .env("HOME", home.0.path())
            .env("MOSAIC_AGENT_NAME", "coder0")
            .spawn()
            .expect("it starts")
    };
    for round in 0..10 {
        let session = format!("s{round}");
        let mut all: Vec<Child> = (0..6).map(|_| spawn(&["--pid", "7", "--source", "sidecar"])).collect();
        all.push(spawn(&["--pid", "7", "--state", "idle", "--session", &session]));
        all.extend((0..6).map(|_| spawn(&["--pid", "7", "--source", "sidecar"])));
        for mut child in all {
            assert!(child.wait().expect("it ends").success());
        }
        assert_eq!(home.beat().session, Some(session));
    }
    let left: Vec<_> =
        fs::read_dir(home.run("")).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(Path::new(&home.run("coder0.hb.lock")).exists());
}

#[test]
fn the_documented_shell_lines_are_a_runtime_that_is_alive() {
    let page = include_str!("../docs/usage/runtimes.md");
    let lines = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    assert_eq!(lines.lines().count(), 5);
    let home = Home::new();
    fs::create_dir_all(home.run("")).expect("a folder");
    let script = home.0.path().join("runtime.sh");
    fs::write(&script, lines).expect("written");
    let mut runtime = Command::new("sh")
        .arg(&script)
        .args(["sleep", "1000"])
        .env("MOSAIC_HOME", home.0.path().join("mosaic"))
        .env("MOSAIC_AGENT_NAME", "coder0")
        .env("MOSAIC_HEARTBEAT_INTERVAL", "0.1")
        .spawn()
        .expect("sh starts");
    let seen = || fs::read(home.run("coder0.hb")).ok().map(|bytes| heartbeat::parse(&bytes).expect("whole"));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let wait = |what: &dyn Fn(&Beat) -> bool| {
        while !seen().as_ref().is_some_and(what) {
            assert!(std::time::Instant::now() < until, "{:?}", seen());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    wait(&|_| true);
    let first = seen().expect("a beat");
    wait(&|beat| beat.ts > first.ts);
    runtime.kill().expect("it runs");
    runtime.wait().expect("it ends");
    assert_eq!((first.pid, first.source), (i32::try_from(runtime.id()).expect("a pid"), Source::Sidecar));
}
