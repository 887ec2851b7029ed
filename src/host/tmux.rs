//! The one tmux client: every call is bounded in time and addresses a session exactly.
//!
//! Kept light, since the supervisor of every agent uses it for days: no parser, bus or
//! serialization is reached from here. What tmux prints is parsed in [`listing`], without a server.
//! It never reads or touches the user's own server: without a socket name there is no call.

pub mod client;
pub mod listing;
pub mod typing;
mod version;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::command::{Command, CommandError, Output};
use crate::snapshot::{Pane, Tmux};

pub use version::installed;

/// How long one call may take: a server can livelock, and what people look at must answer in two
/// seconds.
pub const LIMIT: Duration = Duration::from_millis(1500);

/// tmux reaps its children when it gets to it.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

/// Below which folder the server's socket is: `FOLDER/tmux-UID/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketFolder {
    /// tmux's own default, whatever TMUX_TMPDIR the caller has: where a plain login shell looks.
    Default,
    /// That folder, as recorded.
    At(PathBuf),
    /// Wherever the caller's environment says.
    Inherited,
}

/// One tmux server, running or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    program: OsString,
    name: String,
    folder: SocketFolder,
    limit: Duration,
}

/// Why tmux gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// Nothing listens on the socket.
    #[error("no tmux server runs on socket {socket}")]
    NoServer {
        /// The socket's name.
        socket: String,
    },
    /// The server took the call and never answered.
    #[error("the tmux server on socket {socket} did not answer within {} s", limit.as_secs_f64())]
    Hung {
        /// The socket's name.
        socket: String,
        /// How long it had.
        limit: Duration,
    },
    /// tmux refused, in its own words.
    #[error("{command}: {said}")]
    Refused {
        /// The command as typed.
        command: String,
        /// Its exit code; `None` where a signal ended it.
        status: Option<i32>,
        /// What it wrote to its standard error.
        said: String,
    },
    /// tmux itself could not be run.
    #[error(transparent)]
    NotRun(#[from] CommandError),
    /// It said something that is not what it was asked for.
    #[error("tmux said what cannot be read: {0:?}")]
    Unreadable(String),
}

/// Which pane is meant. There is no way to name one by prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The pane that exactly that session began with.
    Session(&'a str),
    /// The pane of that id, `%3`.
    Pane(&'a str),
}

/// Whether a call may bring a server to life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Founding {
    /// Never: only the holder's unit owns a server.
    Forbidden,
    /// It may, with that configuration and never the user's.
    With(PathBuf),
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its command starts.
    pub folder: &'a Path,
    /// The program that its pane runs, with its arguments; no shell stands between.
    pub argv: &'a [OsString],
    /// Columns and rows, where the server's configuration does not decide.
    pub size: Option<(u16, u16)>,
    /// Whether a server may be founded for it.
    pub founding: Founding,
}

/// A session that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The id of its pane.
    pub pane: String,
    /// The pid of its process.
    pub pid: i32,
}

impl TmuxError {
    /// By the first line of what it said: a screen may come behind that, and what an agent shows stands in no
    /// error.
    fn unreadable(said: &str) -> Self {
        Self::Unreadable(said.lines().next().unwrap_or_default().to_owned())
    }
}

impl Server {
    /// The server that `program -L name` reaches, with its socket at tmux's default place.
    pub fn new(program: impl Into<OsString>, name: impl AsRef<str>) -> Self {
        Self {
            program: program.into(),
            name: name.as_ref().to_owned(),
            folder: SocketFolder::Default,
            limit: LIMIT,
        }
    }

    /// The same server name below another folder.
    pub fn below(mut self, folder: SocketFolder) -> Self {
        self.folder = folder;
        self
    }

    /// Other calls' time limit.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The socket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server, its panes and who is attached, in one call whatever their number; not what the
    /// panes run.
    pub fn look(&self) -> Result<Tmux, TmuxError> {
        let call = self.call(["display-message", "-p", listing::SERVER, ";"]).args([
            "list-panes",
            "-a",
            "-F",
            listing::OF_ALL,
            ";",
            "list-clients",
            "-F",
            listing::CLIENT,
        ]);
        let output = match self.ask(&call) {
            Err(TmuxError::NoServer { .. }) => return Ok(Tmux::Absent),
            asked => asked?,
        };
        // A server without a session refuses to list panes; it has said who it is before.
        if !output.status.success() && !listing::says_no_session(&complaint(&output)) {
            return Err(refused(&call, &output));
        }
        listing::parse(&text(output)).map_err(TmuxError::Unreadable)
    }

    /// Pid of the server; an error where there is none.
    pub fn pid(&self) -> Result<i32, TmuxError> {
        let said = self.said(&self.call(["display-message", "-p", "#{pid}"]))?;
        said.trim().parse().map_err(|_| TmuxError::Unreadable(said))
    }

    /// Whether exactly that session is there; without a server it is not.
    pub fn has_session(&self, session: &str) -> Result<bool, TmuxError> {
        Ok(self.found(&self.call(["has-session", "-t"]).arg(exact(session)))?.is_some())
    }

    /// Makes a session, detached.
    pub fn new_session(&self, session: &NewSession<'_>) -> Result<Made, TmuxError> {
        let mut call = match &session.founding {
            Founding::Forbidden => self.calling(["-N"]),
            Founding::With(config) => self.calling([OsString::from("-f"), config.into()]),
        };
        call = call.args(["new-session", "-d", "-P", "-F", listing::MADE, "-s", session.name, "-c"]);
        call = call.arg(literal(session.folder));
        if let Some((columns, rows)) = session.size {
            call = call.args(["-x".to_owned(), columns.to_string(), "-y".to_owned(), rows.to_string()]);
        }
        let said = self.said(&call.arg("--").args(session.argv))?;
        let made = said
            .trim()
            .split_once(':')
            .and_then(|(pane, pid)| Some(Made { pane: pane.to_owned(), pid: pid.parse().ok()? }));
        made.ok_or(TmuxError::Unreadable(said))
    }

    /// The panes of exactly that session; none where it is not there.
    pub fn panes(&self, session: &str) -> Result<Vec<Pane>, TmuxError> {
        let call = self.call(["list-panes", "-s", "-F", listing::PANE, "-t"]).arg(exact_pane(session));
        match self.found(&call)? {
            Some(output) => listing::parse_panes(&text(output)).map_err(TmuxError::Unreadable),
            None => Ok(Vec::new()),
        }
    }

    /// The pane that exactly that session began with: the agent's, whatever windows and panes a person
    /// who was attached has made beside it and left in front.
    pub fn own_pane(&self, session: &str) -> Result<Option<String>, TmuxError> {
        let call = self.call(["list-panes", "-s", "-F", "#{pane_id}", "-t"]).arg(exact_pane(session));
        let Some(output) = self.found(&call)? else { return Ok(None) };
        let said = text(output);
        let ids = said.lines().filter_map(|id| Some((listing::number_of(id)?, id)));
        match ids.min() {
            Some((_, id)) => Ok(Some(id.to_owned())),
            None => Err(TmuxError::Unreadable(said)),
        }
    }

    /// One pane by its id; `None` where it is gone, with its server or without.
    pub fn pane(&self, id: &str) -> Result<Option<Pane>, TmuxError> {
        match self.said(&self.call(["display-message", "-p", "-t", id, listing::PANE])) {
            Ok(said) => listing::parse_pane(said.trim_end()).map_err(TmuxError::Unreadable),
            Err(TmuxError::NoServer { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A pane of which is known that its process has ended, with how it ended; `None` where the pane of that
    /// id is not that process's: another server counts its panes from the beginning.
    ///
    /// tmux 3.3a now and then overlooks a child's end and leaves it unreaped until the next one:
    /// the pane is dead without a status, for ever where nothing else ends. The signal that it
    /// missed, sent again, makes it look.
    pub fn ended_pane(&self, id: &str, pid: i32) -> Result<Option<Pane>, TmuxError> {
        let deadline = Instant::now() + REAPED_WITHIN;
        let mut pause = Duration::from_millis(2);
        loop {
            let pane = self.pane(id)?.filter(|pane| pane.pid == pid);
            let told = pane.as_ref().is_none_or(|p| p.dead_status.is_some() || p.dead_signal.is_some());
            if told || Instant::now() > deadline {
                return Ok(pane);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
            if let Ok(server) = self.pid() {
                let _ = kill(Pid::from_raw(server), Signal::SIGCHLD);
            }
        }
    }

    /// Ends exactly that session; whether it was there.
    pub fn kill_session(&self, session: &str) -> Result<bool, TmuxError> {
        Ok(self.found(&self.call(["kill-session", "-t"]).arg(exact(session)))?.is_some())
    }

    /// Ends the server with every session on it.
    pub fn kill_server(&self) -> Result<(), TmuxError> {
        match self.ask(&self.call(["kill-server"])) {
            // It may be gone before it has answered; who asked looks whether it is.
            Ok(_) | Err(TmuxError::NoServer { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The last `lines` lines of a pane as text, without the empty ones at its end; the alternate
    /// screen where a full-screen program shows one.
    pub fn capture(&self, target: Target<'_>, lines: u32) -> Result<String, TmuxError> {
        let call = self.call(["capture-pane", "-p", "-J"]);
        let target = self.pane_target(target)?;
        let call = call.args(["-S".to_owned(), format!("-{lines}"), "-t".to_owned(), target]);
        Ok(listing::last_lines(&self.said(&call)?, lines))
    }

    fn pane_target(&self, target: Target<'_>) -> Result<String, TmuxError> {
        Ok(match target {
            Target::Session(session) => self.own_pane(session)?.unwrap_or_else(|| exact_pane(session)),
            Target::Pane(id) => id.to_owned(),
        })
    }

    fn call<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.calling(args).env("LC_ALL", "C.UTF-8")
    }

    /// A call that keeps the caller's locale: what founds a server hands its environment on.
    fn calling<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let call = Command::new(&self.program).args(["-L", &self.name]).args(args).within(self.limit);
        let call = call.without_env("TMUX").without_env("TMUX_PANE");
        match &self.folder {
            SocketFolder::Default => call.without_env("TMUX_TMPDIR"),
            SocketFolder::At(folder) => call.env("TMUX_TMPDIR", folder),
            SocketFolder::Inherited => call,
        }
    }

    fn said(&self, call: &Command) -> Result<String, TmuxError> {
        let output = self.ask(call)?;
        if output.status.success() { Ok(text(output)) } else { Err(refused(call, &output)) }
    }

    /// The answer to a call about a session; `None` where the session is not there.
    fn found(&self, call: &Command) -> Result<Option<Output>, TmuxError> {
        match self.ask(call) {
            Ok(output) if output.status.success() => Ok(Some(output)),
            Ok(output) if listing::says_not_found(&complaint(&output)) => Ok(None),
            Ok(output) => Err(refused(call, &output)),
            Err(TmuxError::NoServer { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs a call; a refusal is an answer too.
    fn ask(&self, call: &Command) -> Result<Output, TmuxError> {
        let no_server = || TmuxError::NoServer { socket: self.name.clone() };
        if let SocketFolder::At(folder) = &self.folder
            && !folder.is_dir()
        {
            // tmux would quietly fall back to /tmp, and so to another server.
            return Err(no_server());
        }
        let output = call.run().map_err(|error| match error {
            CommandError::Late { limit, .. } => TmuxError::Hung { socket: self.name.clone(), limit },
            other => other.into(),
        })?;
        if !output.status.success() && listing::says_no_server(&complaint(&output)) {
            return Err(no_server());
        }
        Ok(output)
    }
}

fn refused(call: &Command, output: &Output) -> TmuxError {
    TmuxError::Refused { command: call.typed(), status: output.status.code(), said: complaint(output) }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn text(output: Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder as tmux takes it: it expands `#{...}` in a session's folder.
pub fn literal(folder: &Path) -> OsString {
    let bytes = folder.as_os_str().as_bytes();
    let escaped = bytes.iter().flat_map(|b| std::iter::repeat_n(*b, if *b == b'#' { 2 } else { 1 }));
    OsString::from_vec(escaped.collect())
}

/// A session by its whole name: `coder` never means `coder0`.
pub fn exact(session: &str) -> String {
    format!("={session}")
}

/// The same where a command asks for a window or a pane.
pub fn exact_pane(session: &str) -> String {
    format!("={session}:")
}
