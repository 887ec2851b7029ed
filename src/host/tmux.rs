//! The one tmux client: every call is bounded in time and addresses a session exactly.
//!
//! Kept light, since the supervisor of every agent uses it for days: no parser, bus or
//! serialization is reached from here. What tmux prints is parsed in [`listing`], without a server.
//! It never reads or touches the user's own server: without a socket name there is no call.

pub mod listing;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{Command, CommandError, Output};
use crate::snapshot::{Pane, Tmux};

/// How long one call may take: a server can livelock, and what people look at must answer in two
/// seconds.
pub const LIMIT: Duration = Duration::from_millis(1500);

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
#[derive(Debug, Clone)]
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
    /// The active pane of exactly that session.
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

    /// The server, its panes and who is attached, in one call whatever their number.
    pub fn look(&self) -> Result<Tmux, TmuxError> {
        let call = self.call(["display-message", "-p", listing::SERVER, ";"]).args([
            "list-panes",
            "-a",
            "-F",
            listing::PANE,
            ";",
            "list-clients",
            "-F",
            listing::CLIENT,
        ]);
        let (output, outcome) = match self.run(&call) {
            Ok(output) => (output, None),
            Err(Failed::Ended(output, error)) => (output, Some(error)),
            Err(Failed::Other(TmuxError::NoServer { .. })) => return Ok(Tmux::Absent),
            Err(Failed::Other(error)) => return Err(error),
        };
        match outcome {
            // A server without a session refuses to list panes; it has said who it is before.
            Some(TmuxError::Refused { said, .. }) if listing::says_no_session(&said) => {}
            Some(error) => return Err(error),
            None => {}
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
        self.there(&self.call(["has-session", "-t"]).arg(exact(session)))
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
        match self.run(&call) {
            Ok(output) => listing::parse_panes(&text(output)).map_err(TmuxError::Unreadable),
            Err(Failed::Ended(_, TmuxError::Refused { said, .. })) if listing::says_not_found(&said) => {
                Ok(Vec::new())
            }
            Err(Failed::Other(TmuxError::NoServer { .. })) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
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

    /// Ends exactly that session; whether it was there.
    pub fn kill_session(&self, session: &str) -> Result<bool, TmuxError> {
        self.there(&self.call(["kill-session", "-t"]).arg(exact(session)))
    }

    /// The last `lines` lines of a pane as text, without the empty ones at its end; the alternate
    /// screen where a full-screen program shows one.
    pub fn capture(&self, target: Target<'_>, lines: u32) -> Result<String, TmuxError> {
        let call = self.call(["capture-pane", "-p", "-J"]);
        let call = call.args(["-S".to_owned(), format!("-{lines}"), "-t".to_owned(), pane_target(target)]);
        Ok(listing::last_lines(&self.said(&call)?, lines))
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
        Ok(text(self.run(call)?))
    }

    /// Whether what a call is about was there.
    fn there(&self, call: &Command) -> Result<bool, TmuxError> {
        match self.run(call) {
            Ok(_) => Ok(true),
            Err(Failed::Ended(_, TmuxError::Refused { said, .. })) if listing::says_not_found(&said) => {
                Ok(false)
            }
            Err(Failed::Other(TmuxError::NoServer { .. })) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn run(&self, call: &Command) -> Result<Output, Failed> {
        if let SocketFolder::At(folder) = &self.folder
            && !folder.is_dir()
        {
            // tmux would quietly fall back to /tmp, and so to another server.
            return Err(Failed::Other(self.no_server()));
        }
        let output = match call.run() {
            Ok(output) => output,
            Err(CommandError::Late { limit, .. }) => {
                return Err(Failed::Other(TmuxError::Hung { socket: self.name.clone(), limit }));
            }
            Err(error) => return Err(Failed::Other(error.into())),
        };
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if listing::says_no_server(&said) {
            return Err(Failed::Other(self.no_server()));
        }
        let error = TmuxError::Refused { command: call.typed(), status: output.status.code(), said };
        Err(Failed::Ended(output, error))
    }

    fn no_server(&self) -> TmuxError {
        TmuxError::NoServer { socket: self.name.clone() }
    }
}

/// A call without success: tmux answered with a no, or there was no answer.
enum Failed {
    Ended(Output, TmuxError),
    Other(TmuxError),
}

impl From<Failed> for TmuxError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Ended(_, error) | Failed::Other(error) => error,
        }
    }
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

fn pane_target(target: Target<'_>) -> String {
    match target {
        Target::Session(session) => exact_pane(session),
        Target::Pane(id) => id.to_owned(),
    }
}
