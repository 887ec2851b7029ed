//! A start by hand, or by somebody's script: makes the session where there is none, and supervises
//! nothing.
//!
//! It needs no roster, no user manager and no file of ours. Where the fleet's own socket is meant
//! and the holder's unit is there, the holder is started: no other process founds its server.

use std::path::{Path, PathBuf};

use super::found::Holder;
use super::settings::{Settings, kept_npm_prefix};
use super::{CANT_CREATE, NO_TMUX, TEMPORARY, say};
use crate::envfile;
use crate::host::command::{Command, CommandError, Output};
use crate::host::runfiles;
use crate::host::tmux::listing;
use crate::layout::Layout;
use crate::names::{AgentName, EnvName, HOLDER_UNIT, SocketName};

/// What to do with a session that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and say so.
    Keep,
    /// End it and make a new one.
    Replace,
}

/// Why nothing was started: the exit code, and what to say.
struct Refusal(u8, String);

/// Starts or reuses the agent's session; the exit code of the documented script.
pub fn start(layout: &Layout, agent: &AgentName, existing: Existing) -> u8 {
    match attempt(layout, agent, existing) {
        Ok(()) => 0,
        Err(Refusal(code, why)) => {
            say(&why);
            code
        }
    }
}

fn attempt(layout: &Layout, agent: &AgentName, existing: Existing) -> Result<(), Refusal> {
    let config = |error: &dyn std::fmt::Display| Refusal(super::CONFIG, error.to_string());
    let settings = Settings::read(layout, agent).map_err(|e| config(&e))?;
    let set = already_set(&settings).map_err(|e| config(&e))?;
    let settings = settings.overridden_by(set.clone(), layout, agent);
    let socket = settings.socket().map_err(|e| config(&e))?;
    let npm_prefix = kept_npm_prefix(layout);
    let command = settings.pane_command(layout, npm_prefix.as_deref()).map_err(|e| config(&e))?;
    let Some(tmux) = on_path("tmux") else {
        let why = "tmux is not on PATH; install it (on Debian: apt install tmux)";
        return Err(Refusal(NO_TMUX, why.to_owned()));
    };
    let call = Call { tmux, socket, agent };
    let mut there = call.stands()?;
    if there && existing == Existing::Keep && !call.dead() {
        call.runs_already();
        return Ok(());
    }
    let cant = |error: String| Refusal(CANT_CREATE, error);
    let workdir = settings.workdir();
    std::fs::create_dir_all(workdir).map_err(|e| cant(format!("make {}: {e}", workdir.display())))?;
    let holder = super::found::holder_of(layout, &call.socket).map_err(|why| Refusal(TEMPORARY, why))?;
    if holder == Holder::Up {
        // It brings its agents, this one perhaps.
        there = call.stands()?;
        if there && existing == Existing::Keep && !call.dead() {
            call.runs_already();
            return Ok(());
        }
    }
    leave_for_the_pane(layout, agent, &set).map_err(cant)?;
    // As late as can be: what could go wrong before leaves the session that runs alone.
    let made = if there { call.kill() } else { Ok(()) };
    let made = made.and_then(|()| call.new_session(layout, workdir, command, holder));
    if made.is_err() {
        // The next pane would take them for its own.
        let _ = std::fs::remove_file(layout.launch(agent));
    }
    made
}

/// Variables of the caller that win over the files: those of ours, and those the files name. No other
/// one is looked at; a value of theirs that no file can hold is named, and not shown.
fn already_set(settings: &Settings) -> Result<Vec<(String, String)>, String> {
    let vars = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    vars.filter(|(name, _)| name.starts_with("MOSAIC_") || settings.value(name).is_some())
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(format!("{name} is set to what is not UTF-8; set it to text, or unset it")),
        })
        .collect()
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

/// tmux, for one agent's session.
struct Call<'a> {
    tmux: PathBuf,
    socket: SocketName,
    agent: &'a AgentName,
}

impl Call<'_> {
    /// A call of tmux, bounded as all are: a server can hang.
    fn tmux(&self, args: &[&str]) -> Command {
        Command::new(&self.tmux).args(["-L", self.socket.as_str()]).args(args.iter().copied())
    }

    fn run(&self, command: &Command) -> Result<Output, Refusal> {
        command.run().map_err(|error| {
            let code = if matches!(error, CommandError::Late { .. }) { TEMPORARY } else { NO_TMUX };
            Refusal(code, error.to_string())
        })
    }

    fn session(&self) -> String {
        format!("={}", self.agent)
    }

    fn stands(&self) -> Result<bool, Refusal> {
        Ok(self.run(&self.tmux(&["has-session", "-t", &self.session()]))?.status.success())
    }

    /// Whether nothing runs in the session any more; in doubt it is left alone.
    fn dead(&self) -> bool {
        let asked = self.tmux(&["list-panes", "-s", "-F", "#{pane_dead}", "-t", &self.session()]).run();
        asked.is_ok_and(|output| {
            let answer = String::from_utf8_lossy(&output.stdout).into_owned();
            !answer.trim().is_empty() && answer.lines().all(|l| l == "1")
        })
    }

    fn runs_already(&self) {
        super::tell(&format!(
            "Mosaic agent session already running: {} on socket {}",
            self.agent, self.socket
        ));
    }

    /// Ends the session. One that has gone meanwhile needs no end.
    fn kill(&self) -> Result<(), Refusal> {
        self.run(&self.tmux(&["kill-session", "-t", &self.session()])).map(drop)
    }

    /// One `tmux -L SOCKET new-session`; its exit status is ours, and so are its words. Where the holder is
    /// up, its server lives even if nothing answers on the socket: none is founded beside it.
    fn new_session(
        &self,
        layout: &Layout,
        workdir: &Path,
        command: String,
        holder: Holder,
    ) -> Result<(), Refusal> {
        let tmux = match holder {
            Holder::Up => self.tmux(&["-N"]),
            // Read only where this call founds the server: never the user's own configuration.
            Holder::Aside => Command::new(&self.tmux)
                .arg("-f")
                .arg(super::found::configuration(layout))
                .args(["-L", self.socket.as_str()]),
        };
        let tmux = tmux.args(["new-session", "-d", "-x", "200", "-y", "50"]);
        let tmux = tmux.args(["-s", self.agent.as_str(), "-c"]).arg(crate::host::tmux::literal(workdir));
        let tmux = tmux.arg("--").arg(super::own_program()).args(["session", "pane", "--home"]);
        let output = self.run(&tmux.arg(layout.mosaic()).arg(self.agent.as_str()).arg(command))?;
        if output.status.success() {
            return Ok(());
        }
        let code = output.status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1);
        let said = String::from_utf8_lossy(&output.stderr);
        if holder == Holder::Up && listing::says_no_server(said.trim()) {
            let cure = super::found::cure(layout, &self.socket);
            let why = format!("nothing answers on socket {}, and {HOLDER_UNIT} is up: {cure}", self.socket);
            return Err(Refusal(TEMPORARY, why));
        }
        let said = if said.trim().is_empty() { output.status.to_string() } else { said.trim().to_owned() };
        Err(Refusal(code, format!("tmux -L {} new-session: {said}", self.socket)))
    }
}

/// The program of that name on PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| super::is_program(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_holder_is_up_no_server_is_founded_and_the_cure_is_named() {
        let home = tempfile::tempdir().expect("a home");
        let layout = Layout::new(home.path(), None);
        let agent = AgentName::parse("coder").expect("a name");
        let socket = SocketName::parse("mosaic-nobody-is-here").expect("a name");
        let call = Call { tmux: "tmux".into(), socket, agent: &agent };
        let made = call.new_session(&layout, home.path(), "exec true".to_owned(), Holder::Up);
        let Err(Refusal(code, why)) = made else {
            let _ = call.run(&call.tmux(&["kill-server"]));
            panic!("a server was founded");
        };
        assert_eq!(code, TEMPORARY);
        assert!(why.contains("mosaic-nobody-is-here") && why.contains("fleet verify"), "{why}");
    }
}
