//! A tenant of a test's own: a home, and a tmux server of a name that nobody else uses.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// The server's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conf {
    /// As the fleet renders it: windows keep their size whoever attaches.
    Fleet,
    /// tmux's own: windows follow the clients that don't refrain from it.
    Plain,
}

impl Conf {
    pub fn both() -> [Self; 2] {
        [Self::Fleet, Self::Plain]
    }
}

pub struct Tenant {
    pub home: tempfile::TempDir,
    pub socket: String,
    conf: PathBuf,
}

impl Tenant {
    /// With a roster of these agents, and nothing running.
    pub fn new(conf: Conf, agents: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("mosaic-watch-{}-{number}", std::process::id());
        let home = tempfile::tempdir().expect("a home");
        let fleet = home.path().join(".config/mosaic/fleet");
        std::fs::create_dir_all(fleet.join("run")).expect("folders");
        let mut roster = format!("version: 1\ntenant_id: usc\ntmux: {{socket_name: {socket}}}\nagents:\n");
        for agent in agents {
            roster.push_str(&format!("  - {{name: {agent}, command: sleep 600}}\n"));
        }
        std::fs::write(fleet.join("roster.yaml"), roster).expect("a roster");
        let file = home.path().join("tmux.conf");
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/.config/mosaic/fleet/tmux.conf");
        match conf {
            Conf::Fleet => drop(std::fs::copy(template, &file).expect("the template")),
            Conf::Plain => std::fs::write(&file, "set -g remain-on-exit on\n").expect("written"),
        }
        Self { home, socket, conf: file }
    }

    pub fn run_folder(&self) -> PathBuf {
        self.home.path().join(".config/mosaic/fleet/run")
    }

    pub fn tmux(&self, args: &[&str]) -> Output {
        let mut tmux = self.bare("tmux");
        tmux.args(["-L", &self.socket, "-f"]).arg(&self.conf).args(args).stdin(Stdio::null());
        tmux.env("LC_ALL", "C.UTF-8").output().expect("tmux runs")
    }

    /// What tmux prints.
    pub fn ask(&self, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.tmux(args).stdout).trim_end().to_owned()
    }

    /// A session with a window of that size.
    pub fn session(&self, name: &str, (columns, rows): (u16, u16), command: &str) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let made = self.tmux(&["new-session", "-d", "-s", name, "-x", &columns, "-y", &rows, command]);
        assert!(made.status.success(), "{made:?}");
    }

    pub fn format(&self, session: &str, format: &str) -> String {
        self.ask(&["display-message", "-p", "-t", &format!("={session}:"), format])
    }

    pub fn size(&self, session: &str) -> String {
        self.format(session, "#{window_width}x#{window_height}")
    }

    pub fn sessions(&self) -> String {
        self.ask(&["list-sessions", "-F", "#{session_name} #{session_windows}"])
    }

    pub fn clients(&self) -> usize {
        self.ask(&["list-clients", "-F", "#{client_pid}"]).lines().count()
    }

    /// Everything that a session's pane has shown and still shows.
    pub fn shown(&self, session: &str) -> String {
        self.ask(&["capture-pane", "-p", "-S", "-", "-t", &format!("={session}:")])
    }

    pub fn server(&self) -> Option<Pid> {
        self.ask(&["display-message", "-p", "#{pid}"]).parse().ok().map(Pid::from_raw)
    }

    pub fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.home.path());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// `mosaic` with no terminal.
    pub fn run(&self, args: &[&str]) -> Output {
        self.bare(env!("CARGO_BIN_EXE_mosaic")).args(args).stdin(Stdio::null()).output().expect("mosaic runs")
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if let Some(pid) = self.server() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = std::fs::remove_file(format!("/tmp/tmux-{}/{}", geteuid(), self.socket));
    }
}
