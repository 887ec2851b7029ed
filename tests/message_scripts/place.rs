//! The rendered scripts with a tmux server of their own, and what tests ask of them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use mosaic_fleet::runfile::ack;
use tempfile::TempDir;

pub const SOCKET: &str = "scripts";

/// The rendered scripts, a home and a folder of sockets.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a folder") };
        for folder in ["home", "sockets", "tree"] {
            fs::create_dir(place.path(folder)).expect("a folder");
        }
        let rendered = Command::new(env!("CARGO_BIN_EXE_fleet"))
            .args(["render", "--profile", "minimal", "--out"])
            .arg(place.path("tree"))
            .arg("--home")
            .arg(place.path("home"))
            .output()
            .expect("it runs");
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn script(&self, name: &str) -> PathBuf {
        self.path("tree/.config/mosaic/tools/tmux").join(name)
    }

    /// A call in the place's own environment.
    pub fn call(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", self.path("home"));
        command.env("TMUX_TMPDIR", self.path("sockets")).env("PATH", "/usr/bin:/bin");
        command.env("LANG", "C.UTF-8");
        command
    }

    pub fn tmux(&self, args: &[&str]) -> String {
        let args = [&["-L", SOCKET, "-f", "/dev/null"], args].concat();
        let output = self.call(Path::new("tmux"), &args).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn screen(&self, session: &str) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &format!("={session}:")])
    }

    /// A session in which dogfood runs as the agent of that name, with its first prompt drawn.
    pub fn agent(&self, name: &str, args: &str) {
        let program = assert_cmd::cargo::cargo_bin("mosaic");
        let line = format!(
            "MOSAIC_AGENT_NAME={name} MOSAIC_TENANT_ID=t MOSAIC_HOST=h1 exec '{}' yolo dogfood {args}",
            program.display()
        );
        self.tmux(&["new-session", "-d", "-x", "120", "-y", "40", "-s", name, &line]);
        until("a prompt", || self.screen(name).lines().any(|l| l.trim_end() == ">"));
    }

    /// A session that shows what it is sent, as a terminal does.
    pub fn shows(&self, name: &str) {
        self.tmux(&["new-session", "-d", "-x", "120", "-y", "40", "-s", name, "exec cat"]);
    }

    /// What the agent's runtime took, by digest.
    pub fn took(&self, name: &str) -> Vec<String> {
        let file = self.path("home/.config/mosaic/fleet/run").join(format!("{name}.ack"));
        let acks = ack::parse(&fs::read(file).unwrap_or_default());
        acks.into_iter().filter_map(|ack| ack.sha256).collect()
    }

    pub fn send(&self, args: &[&str]) -> Output {
        self.call(&self.script("send-message.sh"), args).stdin(Stdio::null()).output().expect("it runs")
    }

    pub fn fed(&self, script: &str, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.call(&self.script(script), args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        // One that refuses reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    pub fn agent_send(&self, args: &[&str]) -> Output {
        self.call(&self.script("agent-send.sh"), args).stdin(Stdio::null()).output().expect("it runs")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for socket in [SOCKET, "default", "other"] {
            let _ = self.call(Path::new("tmux"), &["-L", socket, "kill-server"]).output();
        }
    }
}

pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub fn is(output: &Output, expected: i32, says: &str) {
    assert_eq!(code(output), expected, "{}", stderr(output));
    assert!(stderr(output).contains(says), "{says:?} is not in {:?}", stderr(output));
}

pub fn host() -> String {
    nix::unistd::gethostname().expect("a name").into_string().expect("text")
}
