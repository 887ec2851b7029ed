//! A start by hand, or by somebody's script: makes the session where there is none, and supervises
//! nothing.
//!
//! It needs no roster, no user manager and no file of ours. Where the fleet's own socket is meant
//! and the holder's unit is there, the holder is started: no other process founds its server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::settings::{Settings, kept_npm_prefix};
use super::{CANT_CREATE, NO_TMUX, TEMPORARY, say};
use crate::envfile;
use crate::host::runfiles;
use crate::layout::Layout;
use crate::names::{AgentName, EnvName, SocketName};

/// What to do with a session that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and say so.
    Keep,
    /// End it and make a new one.
    Replace,
}

/// Starts or reuses the agent's session; the exit code of the documented script.
pub fn start(layout: &Layout, agent: &AgentName, existing: Existing) -> u8 {
    let settings = match Settings::read(layout, agent) {
        Ok(settings) => settings,
        Err(error) => return refuse(super::CONFIG, &error),
    };
    let set: Vec<(String, String)> = already_set(&settings).collect();
    let settings = settings.overridden_by(set.clone(), layout, agent);
    let socket = match settings.socket() {
        Ok(socket) => socket,
        Err(error) => return refuse(super::CONFIG, &error),
    };
    let Some(tmux) = on_path("tmux") else {
        return refuse(NO_TMUX, &"tmux is not on PATH; install it (on Debian: apt install tmux)");
    };
    let call = Call { tmux, socket };
    if call.stands(agent) {
        if existing == Existing::Keep && !call.dead(agent) {
            super::tell(&format!("Mosaic agent session already running: {agent} on socket {}", call.socket));
            return 0;
        }
        call.run(&["kill-session", "-t", &format!("={agent}")]);
    }
    if let Err(error) = std::fs::create_dir_all(settings.workdir()) {
        return refuse(CANT_CREATE, &format!("make {}: {error}", settings.workdir().display()));
    }
    if let Err(error) = leave_for_the_pane(layout, agent, &set) {
        return refuse(CANT_CREATE, &error);
    }
    if let Err(why) = super::found::holder_of(layout, &call.socket) {
        return refuse(TEMPORARY, &why);
    }
    let command = settings.pane_command(layout, kept_npm_prefix(layout).as_deref());
    call.new_session(layout, agent, &settings, command)
}

/// Variables of the caller that win over the files: those of ours, and those the files name.
fn already_set(settings: &Settings) -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| name.starts_with("MOSAIC_") || settings.value(name).is_some())
}

/// A pane inherits the tmux server's environment, not the caller's, and no value may stand on a
/// command line: so what the caller set is left in a file that only the user can read.
fn leave_for_the_pane(layout: &Layout, agent: &AgentName, set: &[(String, String)]) -> Result<(), String> {
    let named = |(name, value): &'_ (String, String)| Some((EnvName::parse(name).ok()?, value.clone()));
    let vars: Vec<(EnvName, String)> = set.iter().filter_map(named).collect();
    let vars: Vec<(EnvName, &str)> =
        vars.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
    let text = envfile::write(&vars).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(layout.run()).map_err(|e| format!("make {}: {e}", layout.run().display()))?;
    let path = layout.launch(agent);
    runfiles::replace(&path, text.as_bytes()).map_err(|e| format!("write {}: {e}", path.display()))
}

struct Call {
    tmux: PathBuf,
    socket: SocketName,
}

impl Call {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.tmux);
        command.arg("-L").arg(self.socket.as_str());
        command
    }

    fn run(&self, args: &[&str]) -> bool {
        let status = self
            .command()
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|s| s.success())
    }

    fn stands(&self, agent: &AgentName) -> bool {
        self.run(&["has-session", "-t", &format!("={agent}")])
    }

    /// Whether nothing runs in the session any more; in doubt it is left alone.
    fn dead(&self, agent: &AgentName) -> bool {
        let asked = self
            .command()
            .args(["list-panes", "-s", "-F", "#{pane_dead}", "-t", &format!("={agent}")])
            .output();
        asked.is_ok_and(|o| {
            let answer = String::from_utf8_lossy(&o.stdout).into_owned();
            !answer.trim().is_empty() && answer.lines().all(|l| l == "1")
        })
    }

    /// One `tmux -L SOCKET new-session`; its exit status is ours.
    fn new_session(&self, layout: &Layout, agent: &AgentName, settings: &Settings, command: String) -> u8 {
        let mut tmux = Command::new(&self.tmux);
        // Read only where this call founds the server: never the user's own configuration.
        tmux.arg("-f").arg(super::found::configuration(layout));
        tmux.arg("-L").arg(self.socket.as_str()).args(["new-session", "-d", "-x", "200", "-y", "50"]);
        tmux.args(["-s", agent.as_str(), "-c"]).arg(crate::host::tmux::literal(settings.workdir()));
        tmux.arg("--").arg(super::own_program()).args(["session", "pane", "--home"]).arg(layout.mosaic());
        tmux.arg(agent.as_str()).arg(OsString::from(command));
        match tmux.stdin(Stdio::null()).status() {
            Ok(status) => status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1),
            Err(error) => refuse(NO_TMUX, &format!("run {}: {error}", self.tmux.display())),
        }
    }
}

/// The program of that name on PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn refuse(code: u8, why: &dyn std::fmt::Display) -> u8 {
    say(&why.to_string());
    code
}
