//! `fleet ps` and `fleet status` on a real tmux server, without any user manager.

#[path = "common/program.rs"]
mod program;
#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use nix::unistd::{Pid, geteuid};
use pty::Pty;
use serde_json::Value;

/// A tenant of this test's own: a home, and a tmux server of a name that nobody else uses.
struct Tenant {
    home: tempfile::TempDir,
    socket: String,
}

impl Tenant {
    fn new(agents: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("mosaic-test-{}-{number}", std::process::id());
        let tenant = Self { home: tempfile::tempdir().expect("a home"), socket };
        let fleet = tenant.fleet();
        std::fs::create_dir_all(fleet.join("run")).expect("folders");
        let socket = &tenant.socket;
        let head =
            "version: 1\ntenant_id: usc\nruntimes: {rest: {command: sleep 600, process_names: [sleep]}}\n";
        let roster = format!("{head}tmux: {{socket_name: {socket}}}\nagents:\n{agents}");
        std::fs::write(fleet.join("roster.yaml"), roster).expect("a roster");
        tenant
    }

    fn fleet(&self) -> PathBuf {
        self.home.path().join(".config/mosaic/fleet")
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut tmux = self.bare("tmux");
        tmux.args(["-L", &self.socket, "-f", "/dev/null"]).args(args);
        tmux.output().expect("tmux runs")
    }

    fn session(&self, name: &str, command: &str) {
        let made = self.tmux(&["new-session", "-d", "-s", name, command]);
        assert!(made.status.success(), "{made:?}");
        // Between fork and exec a pane is neither the shell nor what it becomes.
        let comm = format!("/proc/{}/comm", self.pid_of(name));
        let until = Instant::now() + Duration::from_secs(20);
        while std::fs::read_to_string(&comm).is_ok_and(|now| now.trim() != "sleep") {
            assert!(Instant::now() < until, "session {name} does not sleep");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid_of(&self, session: &str) -> i32 {
        let target = format!("={session}:");
        let said = self.tmux(&["list-panes", "-t", &target, "-F", "#{pane_pid}"]);
        String::from_utf8_lossy(&said.stdout).trim().parse().expect("a pid")
    }

    fn server(&self) -> Option<Pid> {
        let said = self.tmux(&["display-message", "-p", "#{pid}"]);
        String::from_utf8_lossy(&said.stdout).trim().parse().ok().map(Pid::from_raw)
    }

    fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.bare(env!("CARGO_BIN_EXE_fleet")).args(args).output().expect("fleet runs")
    }

    fn rows(&self) -> BTreeMap<String, Value> {
        let output = self.run(&["ps", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON alone on stdout");
        assert_eq!((&report["schema_version"], &report["tenant_id"]), (&1.into(), &"usc".into()));
        let rows = report["rows"].as_array().expect("rows").clone();
        rows.into_iter().map(|row| (row["name"].as_str().expect("a name").to_owned(), row)).collect()
    }

    /// Every file below the home with its content.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                match entry.path() {
                    path if path.is_dir() => walk(&path, into),
                    path => drop(into.insert(path.clone(), std::fs::read(&path).expect("readable"))),
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(self.home.path(), &mut tree);
        tree
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if let Some(server) = self.server() {
            let _ = kill(server, Signal::SIGKILL);
        }
        let _ = std::fs::remove_file(format!("/tmp/tmux-{}/{}", geteuid(), self.socket));
    }
}

const THREE: &str = "  - {name: coder, runtime: rest, class: implementer, model: m}\n  \
                     - {name: coder0, runtime: rest}\n  - {name: gone, runtime: rest}\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_row_says_what_tmux_processes_and_files_say_and_what_is_not_known_is_null() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    tenant.session("coder0", "exec sleep 600");
    tenant.session("codex", "exec sleep 600");
    let pid = tenant.pid_of("coder");
    let beat = format!("ts={}\npid={pid}\nstatus=busy\n", jiff::Timestamp::now());
    std::fs::write(tenant.fleet().join("run/coder.hb"), beat).expect("a beat");
    let before = tenant.tree();
    let rows = tenant.rows();
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["coder", "coder0", "codex", "gone"]);
    let coder = &rows["coder"];
    assert_eq!(coder["pane"]["state"], "alive");
    assert_eq!(coder["pane"]["pid"], pid);
    assert_eq!(coder["pane"]["command"], "sleep");
    assert_eq!(coder["heartbeat"]["health"], "healthy");
    assert_eq!(coder["heartbeat"]["status"], "busy");
    assert_eq!((&coder["class"], &coder["model"]), (&"implementer".into(), &"m".into()));
    assert!(coder["idle_seconds"].as_f64().is_some_and(|s| (0.0..600.0).contains(&s)), "{coder:#}");
    // There is no user manager here: that is a reason and no verdict.
    assert_eq!(coder["systemd"]["active"], Value::Null);
    let reasons = coder["reasons"].as_array().expect("reasons");
    assert!(reasons.iter().any(|r| r.as_str().is_some_and(|r| r.starts_with("systemd: "))), "{coder:#}");
    assert_eq!(rows["coder0"]["flags"], Value::Array(Vec::new()), "{:#}", rows["coder0"]);
    assert_eq!(rows["codex"]["flags"], serde_json::json!(["UNKNOWN"]));
    assert_eq!(rows["gone"]["flags"], serde_json::json!(["DEAD"]));
    assert!(tenant.tree() == before, "a look writes nothing");
}

#[test]
fn a_killed_pane_is_dead_at_once() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    tenant.session("coder", "exec sleep 600");
    assert_eq!(tenant.rows()["coder"]["pane"]["state"], "alive");
    kill(Pid::from_raw(tenant.pid_of("coder")), Signal::SIGKILL).expect("it is killed");
    let row = &tenant.rows()["coder"];
    assert_eq!((&row["pane"]["state"], &row["flags"]), (&"dead".into(), &serde_json::json!(["DEAD"])));
}

#[test]
fn a_hung_server_is_not_known_within_two_seconds_and_never_dead() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    let server = tenant.server().expect("it runs");
    kill(server, Signal::SIGSTOP).expect("it is stopped");
    let asked = Instant::now();
    let output = tenant.run(&["ps", "--json"]);
    let took = asked.elapsed();
    kill(server, Signal::SIGCONT).expect("it goes on");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("rows all the same");
    for row in report["rows"].as_array().expect("rows") {
        assert_eq!((&row["pane"]["state"], &row["flags"]), (&"unknown".into(), &Value::Array(Vec::new())));
    }
    // Neither panes nor units could be seen here.
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("did not answer within"), "{}", text(&output.stderr));
}

#[test]
fn a_probe_asks_whoever_lives_and_names_who_does_not_answer() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    tenant.session("coder0", "exec sleep 600");
    let pid = tenant.pid_of("coder");
    let run = tenant.fleet().join("run");
    // Answers as a runtime does: by a newer beat once its probe file has grown.
    let (beat, asked) = (run.join("coder.hb"), run.join("coder.probe"));
    let answer = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(30);
        while std::fs::metadata(&asked).map_or(0, |m| m.len()) == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = format!("ts={}\npid={pid}\nstatus=ok\n", jiff::Timestamp::now());
        std::fs::write(run.join("new"), text).and_then(|()| std::fs::rename(run.join("new"), beat))
    });
    let output = tenant.run(&["ps", "--probe", "--json"]);
    answer.join().expect("it answered").expect("a beat");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let told = |at: usize| report["rows"][at]["reasons"].to_string();
    assert_eq!(report["rows"][0]["heartbeat"]["health"], "healthy");
    assert!(!told(0).contains("probe: "), "{report:#}");
    assert!(told(1).contains("probe: not answered within 3 s"), "{report:#}");
    assert!(!told(2).contains("probe: "), "nobody asks the dead: {report:#}");
}

#[test]
fn a_table_in_a_pipe_is_whole_and_plain_and_the_reasons_stand_beside_it() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    let output = tenant.run(&["ps"]);
    assert_eq!(output.status.code(), Some(0));
    let table = text(&output.stdout);
    for column in
        ["NAME", "TENANT", "HOST", "RUNTIME", "SYSTEMD", "PANE", "PID", "IDLE", "HEARTBEAT", "FLAGS"]
    {
        assert!(table.lines().next().is_some_and(|l| l.contains(column)), "{column} in\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(text(&output.stderr).contains("coder0, gone: DEAD: no session of its name"), "{output:?}");
}

#[test]
fn a_callers_own_tmux_folder_leads_nowhere_else() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    let mut fleet = tenant.bare(env!("CARGO_BIN_EXE_fleet"));
    let output =
        fleet.env("TMUX_TMPDIR", tenant.home.path()).args(["ps", "--json"]).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["rows"][0]["pane"]["state"], "alive");
}

/// A program in the place of tmux notes which server is asked, and says nothing.
#[test]
fn the_rosters_own_server_is_asked_once_and_no_other() {
    for (names, asked) in [
        ("", "mosaic-factory"),
        ("transport: tmux\ntmux: {socket_name: mosaic-factory}\n", "mosaic-factory"),
        ("tmux: {socket_name: mosaic-test-other}\n", "mosaic-test-other"),
        ("\"\\x74mux\": {\"socket\\x5fname\": mosaic-test-other}\n", "mosaic-test-other"),
    ] {
        let tenant = Tenant::new("");
        let roster = format!("version: 1\ntenant_id: usc\n{names}agents: [{{name: a, runtime: dogfood}}]\n");
        std::fs::write(tenant.fleet().join("roster.yaml"), roster).expect("a roster");
        let (folder, noted) = (tenant.home.path().join("bin"), tenant.home.path().join("noted"));
        std::fs::create_dir(&folder).expect("a folder");
        let script = format!("#!/bin/sh\necho \"$2\" >>{}\nexit 1\n", noted.display());
        program::write(&folder.join("tmux"), &script);
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let mut fleet = tenant.bare(env!("CARGO_BIN_EXE_fleet"));
        fleet.env("PATH", path).arg("ps").output().expect("it runs");
        assert_eq!(std::fs::read_to_string(&noted).expect("asked"), format!("{asked}\n"), "{names}");
    }
}

#[test]
fn status_counts_and_names_what_is_wrong() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    let output = tenant.run(&["status"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("agents  0 of 3 healthy"), "{said}");
    assert!(said.contains("wrong   gone: DEAD: no session of its name"), "{said}");
    let json: Value = serde_json::from_slice(&tenant.run(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!((&json["ok"], &json["agents"]["total"]), (&false.into(), &3.into()));
}

#[test]
fn without_a_roster_there_is_nothing_to_show() {
    let tenant = Tenant::new(THREE);
    std::fs::remove_file(tenant.fleet().join("roster.yaml")).expect("it goes");
    for verb in ["ps", "status"] {
        assert_eq!(tenant.run(&[verb]).status.code(), Some(3), "{verb}");
    }
}

/// `fleet ps --watch` on a terminal of its own, once it has shown a live agent.
fn watching(tenant: &Tenant) -> Pty {
    let home = tenant.home.path().to_str().expect("a path").to_owned();
    let fleet = Path::new(env!("CARGO_BIN_EXE_fleet"));
    let mut pty = Pty::start(fleet, &["ps", "--watch", "--interval", "0.3"], &[("HOME", &home)]);
    pty.sees("\u{1b}[?1049h");
    pty.sees("alive");
    pty
}

#[test]
fn a_watch_shows_an_end_in_place_and_gives_the_terminal_back() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    tenant.session("coder", "exec sleep 600");
    let mut pty = watching(&tenant);
    kill(Pid::from_raw(tenant.pid_of("coder")), Signal::SIGKILL).expect("it is killed");
    // How it ended is not always known here: tmux 3.3a overlooks the end of a child now and then, and only a
    // supervisor may wake it.
    pty.sees("coder: DEAD: its process");
    pty.keys(b"q");
    assert_eq!(pty.end(), "exit 0");
    assert_eq!(pty.seen().matches("\u{1b}[2J").count(), 1, "cleared once, then drawn over");
    assert!(pty.seen().ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{:?}", pty.seen());
}

#[test]
fn however_a_watch_ends_the_terminal_is_as_it_was() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    for (signal, end) in [
        (None, "exit 0"),
        (Some(Signal::SIGINT), "exit 130"),
        (Some(Signal::SIGTERM), "exit 143"),
        (Some(Signal::SIGHUP), "exit 129"),
    ] {
        let mut pty = watching(&tenant);
        let raw = pty.settings();
        match signal {
            None => pty.keys(b"\x03"),
            Some(signal) => pty.signal(signal),
        }
        assert_eq!(pty.end(), end);
        assert!(pty.seen().contains("\u{1b}[?1049l"), "{signal:?}");
        let modes = LocalFlags::ICANON | LocalFlags::ECHO;
        assert!(!raw.local_flags.intersects(modes) && pty.settings().local_flags.contains(modes));
    }
    let mut pty = watching(&tenant);
    pty.hang_up();
    assert_eq!(pty.end(), "exit 129");
}

#[test]
fn a_watch_follows_the_terminals_size_and_no_line_is_wider() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    let mut pty = watching(&tenant);
    for (columns, rows) in [(40, 10), (200, 50), (60, 5)] {
        pty.resize(columns, rows);
        pty.sees("\u{1b}[H");
        let size = |number| NonZeroU16::new(number).expect("some");
        let mut screen = vt100::Parser::new(size(rows), size(columns), 0);
        pty.sees("\u{1b}[?2026l");
        let last = pty.seen().rfind("\u{1b}[?2026h").expect("a picture");
        screen.process(&pty.seen().as_bytes()[last..]);
        let shown = screen.screen().contents();
        assert!(shown.contains("NAME") && shown.contains("coder"), "{columns}x{rows}:\n{shown}");
        assert_eq!(shown.contains("TENANT"), columns == 200, "{columns}x{rows}:\n{shown}");
        let wrapped = (0..rows).any(|row| screen.screen().row_wrapped(row));
        assert!(!wrapped, "{columns}x{rows}:\n{shown}");
    }
    pty.keys(b"q");
    assert_eq!(pty.end(), "exit 0");
}

#[test]
fn a_watch_in_a_pipe_is_a_line_of_json_a_look_and_ends_with_its_reader() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    let mut fleet = tenant.bare(env!("CARGO_BIN_EXE_fleet"));
    fleet.args(["ps", "--watch", "--json", "--interval", "0.2"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = fleet.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..3 {
        let line = lines.next().expect("a line").expect("text");
        let report: Value = serde_json::from_str(&line).expect("one JSON object a line");
        assert_eq!(report["rows"].as_array().map(Vec::len), Some(3), "{line}");
    }
    // A start is told at once, not when its time has come.
    std::fs::write(tenant.fleet().join("run/coder.record"), "").expect("written");
    lines.next().expect("a line").expect("text");
    drop(lines);
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait().expect("our child").is_none() {
        assert!(Instant::now() < until, "it goes on without a reader");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The keys of a JSON object, in their order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn json_has_exactly_the_keys_that_are_documented_whatever_is_known() {
    let tenant = Tenant::new(THREE);
    tenant.session("_holder", "exec sleep 600");
    tenant.session("coder", "exec sleep 600");
    tenant.session("stray", "exec sleep 600");
    let output = tenant.run(&["ps", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(keys(&report), ["schema_version", "tenant_id", "host", "time", "rows"]);
    let rows = report["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let all = "name tenant_id host runtime class lifecycle systemd pane idle_seconds heartbeat model effort \
                   version restarts memory_bytes flags reasons";
        assert_eq!(keys(row), all.split_whitespace().collect::<Vec<_>>());
        assert_eq!(keys(&row["systemd"]), ["active", "sub", "enabled"]);
        assert_eq!(keys(&row["pane"]), ["state", "pid", "command"]);
        let beat = ["health", "ts", "pid", "age_seconds", "status", "source", "state", "resume_at"];
        assert_eq!(keys(&row["heartbeat"]), beat);
        for (key, value) in row.as_object().expect("an object") {
            let told = row["reasons"].as_array().expect("reasons").iter().filter_map(Value::as_str);
            let stray = row["runtime"].is_null();
            let alive = row["pane"]["state"] == "alive";
            if key == "version" && value.is_null() && alive && !stray {
                assert!(told.clone().any(|r| r.starts_with("version: ")), "{row:#}");
            }
        }
    }
}

#[test]
fn two_hundred_agents_with_the_longest_names_are_a_row_each_in_any_locale_and_width() {
    let name = |n: usize| format!("a{n:03}-{}", "x".repeat(58));
    let agents: String = (0..200).map(|n| format!("  - {{name: {}, runtime: rest}}\n", name(n))).collect();
    let tenant = Tenant::new(&agents);
    tenant.session("_holder", "exec sleep 600");
    tenant.session(&name(7), "exec sleep 600");
    let rows = tenant.rows();
    assert_eq!(rows.len(), 200);
    assert_eq!(rows[&name(7)]["pane"]["state"], "alive");
    assert_eq!(rows[&name(70)]["flags"], serde_json::json!(["DEAD"]));

    // A name of its own for the machine, where that can be had.
    let host = "h".repeat(40);
    let program = env!("CARGO_BIN_EXE_fleet");
    let mut shell = tenant.bare("unshare");
    let line = format!("hostname {host} && exec {program} ps");
    let output = shell.args(["--uts", "sh", "-c", &line]).env("LC_ALL", "C").output().expect("unshare runs");
    let (output, host) = match output.status.success() {
        true => (output, host),
        false => {
            (tenant.bare(program).arg("ps").env("LC_ALL", "C").output().expect("it runs"), String::new())
        }
    };
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 201, "{table}");
    let column = |title: &str| table.lines().next().and_then(|l| l.find(title)).expect("its column");
    let (pane, flags) = (column("PANE"), column("FLAGS"));
    for (line, n) in table.lines().skip(1).zip(0..) {
        assert!(line.starts_with(&name(n)) && line.contains(&host), "{line}");
        let dead = if n == 7 { "" } else { "DEAD" };
        assert_eq!(line.get(flags..).unwrap_or_default().trim(), dead, "{line}");
        assert!(line[pane..].starts_with(if n == 7 { "alive" } else { "dead" }), "{line}");
    }

    for (colour, variables) in [(true, vec![]), (false, vec![("NO_COLOR", "1")])] {
        let home = tenant.home.path().to_str().expect("a path").to_owned();
        let variables = [vec![("HOME", home.as_str()), ("COLUMNS", "80")], variables].concat();
        let mut pty = Pty::start(Path::new(program), &["ps"], &variables);
        assert_eq!(pty.end(), "exit 0");
        assert_eq!(pty.seen().contains("\u{1b}[31m"), colour, "{:?}", pty.seen());
        let plain = |line: &str| line.replace("\u{1b}[31m", "").replace("\u{1b}[39m", "").replace('\r', "");
        let lines: Vec<String> = pty.seen().lines().map(plain).collect();
        let rows = lines.iter().filter(|line| line.starts_with('a') && line.contains("xxxx")).take(200);
        let widths: Vec<usize> = rows.map(|line| line.chars().count()).collect();
        assert!(widths.len() >= 200 && widths.iter().all(|w| *w <= 80), "{widths:?}");
    }
}
