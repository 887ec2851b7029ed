//! A tenant with a tmux server of its own, runtimes in its panes, and `mosaic` to talk to them.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

/// Bound for what takes a moment.
const SOON: Duration = Duration::from_secs(20);

pub struct Desk {
    pub home: tempfile::TempDir,
    pub socket: String,
    commands: Vec<(String, String)>,
}

/// What a run of `mosaic` did.
#[derive(Debug)]
pub struct Sent {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Sent {
    pub fn of(child: Child) -> Self {
        Self::from(child.wait_with_output().expect("it ends"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn state(&self) -> String {
        self.json()["state"].as_str().expect("a state").to_owned()
    }
}

impl From<Output> for Sent {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Desk {
    /// Agents on the dogfood runtime; none runs yet.
    pub fn new(agents: &[&str]) -> Self {
        Self::with(agents.iter().map(|a| format!("{{name: {a}, runtime: dogfood}}")), Vec::new())
    }

    /// Agents of a runtime of which only the mark is known, each with its shell line.
    pub fn custom(agents: &[(&str, &str)]) -> Self {
        let commands = agents.iter().map(|(a, c)| ((*a).to_owned(), (*c).to_owned())).collect();
        Self::with(agents.iter().map(|(a, _)| format!("{{name: {a}, runtime: shell}}")), commands)
    }

    fn with(agents: impl Iterator<Item = String>, commands: Vec<(String, String)>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("mosaic-send-{}-{number}", std::process::id());
        let home = tempfile::tempdir().expect("a home");
        let fleet = home.path().join(".config/mosaic/fleet");
        fs::create_dir_all(fleet.join("run")).expect("folders");
        let mut roster = format!("version: 1\ntenant_id: usc\ntmux: {{socket_name: {socket}}}\n");
        if !commands.is_empty() {
            roster.push_str("runtimes:\n  shell: {command: sh}\n");
        }
        roster.push_str("agents:\n");
        for agent in agents {
            roster.push_str(&format!("  - {agent}\n"));
        }
        fs::write(fleet.join("roster.yaml"), roster).expect("a roster");
        // As a fleet's own: a server that ends with its last session would meet the next one while it ends.
        let conf = "set -s exit-empty off\nset -g remain-on-exit on\n";
        fs::write(home.path().join("tmux.conf"), conf).expect("a configuration");
        Self { home, socket, commands }
    }

    /// One more line of the roster.
    pub fn roster_line(&self, line: &str) {
        let file = self.home.path().join(".config/mosaic/fleet/roster.yaml");
        let text = fs::read_to_string(&file).expect("a roster");
        fs::write(file, text.replacen("tmux: {", &format!("{line}\ntmux: {{"), 1)).expect("written");
    }

    pub fn host(&self) -> String {
        nix::unistd::gethostname().expect("a name").into_string().expect("text")
    }

    pub fn run_folder(&self) -> PathBuf {
        self.home.path().join(".config/mosaic/fleet/run")
    }

    pub fn run_file(&self, name: &str) -> String {
        fs::read_to_string(self.run_folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.home.path()).env("LC_ALL", "C.UTF-8");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    pub fn tmux(&self, args: &[&str]) -> Output {
        let mut tmux = self.bare("tmux");
        tmux.args(["-L", &self.socket, "-f"]).arg(self.home.path().join("tmux.conf")).args(args);
        tmux.stdin(Stdio::null()).output().expect("tmux runs")
    }

    pub fn ask(&self, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.tmux(args).stdout).trim_end().to_owned()
    }

    pub fn format(&self, session: &str, format: &str) -> String {
        self.ask(&["display-message", "-p", "-t", &format!("={session}:"), format])
    }

    pub fn clients(&self) -> usize {
        self.ask(&["list-clients", "-F", "#{client_tty}"]).lines().count()
    }

    /// What the session's pane shows, without the empty rest.
    pub fn screen(&self, session: &str) -> String {
        self.ask(&["capture-pane", "-p", "-t", &format!("={session}:")])
    }

    pub fn session(&self, name: &str, line: &str) {
        let made = self.tmux(&["new-session", "-d", "-s", name, "-x", "200", "-y", "50", line]);
        assert!(made.status.success(), "{made:?}");
    }

    /// Starts a custom agent's line.
    pub fn start(&self, agent: &str) {
        let line = &self.commands.iter().find(|(name, _)| name == agent).expect("defined").1;
        self.session(agent, line);
    }

    /// Starts an agent on dogfood and waits until it answers.
    pub fn dogfood(&self, agent: &str, args: &[&str]) {
        let record = self.home.path().join(format!("{agent}.received"));
        let variables = [
            format!("HOME={}", self.home.path().display()),
            format!("MOSAIC_AGENT_NAME={agent}"),
            "MOSAIC_TENANT_ID=usc".to_owned(),
            format!("MOSAIC_HOST={}", self.host()),
            format!("MOSAIC_DOGFOOD_RECORD={}", record.display()),
        ];
        let mosaic = env!("CARGO_BIN_EXE_mosaic");
        let line = format!("exec env {} {mosaic} yolo dogfood {}", variables.join(" "), args.join(" "));
        self.session(agent, &line);
        let beat = self.run_folder().join(format!("{agent}.hb"));
        self.wait("it beats and shows a prompt", || beat.exists() && self.screen(agent).contains("\n>"));
    }

    pub fn wait(&self, what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + SOON;
        while !holds() {
            assert!(Instant::now() < until, "never: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that was submitted to the agent, exactly.
    pub fn received(&self, agent: &str) -> Vec<String> {
        let text = fs::read_to_string(self.home.path().join(format!("{agent}.received")));
        let text = text.unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a JSON string")).collect()
    }

    pub fn acks(&self, agent: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.run_folder().join(format!("{agent}.ack"))).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn receipt(&self, agent: &str, id: &str) -> Value {
        serde_json::from_str(&self.run_file(&format!("receipts/{agent}/{id}.json"))).expect("JSON")
    }

    pub fn keys(&self, agent: &str, text: &str) {
        let typed = self.tmux(&["send-keys", "-t", &format!("={agent}:"), "-l", text]);
        assert!(typed.status.success(), "{typed:?}");
    }

    pub fn enter(&self, agent: &str) {
        self.tmux(&["send-keys", "-t", &format!("={agent}:"), "Enter"]);
    }

    pub fn type_into(&self, agent: &str, text: &str) {
        self.keys(agent, text);
        self.enter(agent);
    }

    /// Empties the composer.
    pub fn clear_draft(&self, agent: &str) {
        self.tmux(&["send-keys", "-t", &format!("={agent}:"), "C-u"]);
        self.wait("an empty composer", || self.screen(agent).ends_with("\n>"));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(env!("CARGO_BIN_EXE_mosaic"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn mosaic(&self, args: &[&str]) -> Sent {
        self.command(args).output().expect("mosaic runs").into()
    }

    pub fn send(&self, args: &[&str]) -> Sent {
        self.mosaic(&[&["agent", "send"], args].concat())
    }

    pub fn send_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Sent {
        let mut command = self.command(&[&["agent", "send"], args].concat());
        command.envs(variables.iter().copied()).output().expect("mosaic runs").into()
    }

    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(&[&["agent", "send"], args].concat()).spawn().expect("mosaic runs")
    }

    pub fn send_stdin(&self, args: &[&str], body: &[u8]) -> Sent {
        let mut command = self.command(&[&["agent", "send"], args].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("mosaic runs");
        // A sender that refuses need not read all of it.
        let _ = child.stdin.take().expect("piped").write_all(body);
        Sent::of(child)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let server = self.ask(&["display-message", "-p", "#{pid}"]);
        // One that hangs on purpose would outlive its terminal.
        let panes = self.ask(&["list-panes", "-a", "-F", "#{pane_pid}"]);
        for pid in server.lines().chain(panes.lines()).filter_map(|pid| pid.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = fs::remove_file(format!("/tmp/tmux-{}/{}", geteuid(), self.socket));
    }
}
