//! Runs one outside program, bounded in time; its errors show the command as typed and the end of
//! what it said.
//!
//! The child is waited for by events (pidfd and its pipes), never by polling a clock. What a
//! program's output means belongs to the file of that program, not here.

mod pipes;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use super::room;
use crate::error::Error;
use pipes::{Deadlines, Pipes, Pumped};

/// How long a program may take where the caller says nothing else.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(10);
/// How much a program may say where the caller says nothing else: more than any that is asked has to say.
const MOST_OUTPUT: usize = 64 << 20;
/// How long a killed program may take to be gone.
const GOES: Duration = Duration::from_secs(2);
/// How much of a failed program's stderr its error shows.
const SHOWN_LINES: usize = 5;

/// One run of a program, not yet started.
#[derive(Debug, Clone)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, Option<OsString>>,
    bare: bool,
    folder: Option<PathBuf>,
    input: Vec<u8>,
    stdin: Option<Arc<File>>,
    limit: Duration,
    speaks: Option<Duration>,
    most: usize,
    group: Group,
}

/// Which process group a program is in when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// One of its own: it is ended with what it started.
    Own,
    /// Ours, until it makes a session of its own, which a leader of a group can't.
    OwnSession,
}

/// What a program that ended left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// What became of a program that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It is gone.
    Killed,
    /// It hangs in the kernel, which lets nobody go who waits for a disk or for a file system that
    /// somebody serves.
    Stuck,
}

impl Ended {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stuck => "and it can't be killed: a file system that it uses hangs",
        }
    }
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such program.
    #[error("run {command}: {program} is not installed or not on PATH")]
    Missing {
        /// The command as typed.
        command: String,
        /// The program's name.
        program: String,
    },
    /// The system refused to start or to watch it.
    #[error("run {command}: {}", refusal(source))]
    Refused {
        /// The command as typed.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("run {command}: no end within {} s, {}{}", limit.as_secs_f64(), ended.words(), tail(stderr))]
    Late {
        /// The command as typed.
        command: String,
        /// The time it had.
        limit: Duration,
        /// What became of it then.
        ended: Ended,
        /// What it had written to its standard error.
        stderr: Vec<u8>,
    },
    /// It said more than anybody would read and was killed.
    #[error("run {command}: more than {most} bytes of output, killed")]
    TooMuch {
        /// The command as typed.
        command: String,
        /// How much it may say.
        most: usize,
    },
    /// It ended, and not well.
    #[error("run {command}: {status}{}", tail(&output.stderr), status = output.status)]
    Failed {
        /// The command as typed.
        command: String,
        /// What it left.
        output: Output,
    },
    /// What it wrote is not UTF-8.
    #[error("run {command}: its output is not UTF-8")]
    NotText {
        /// The command as typed.
        command: String,
    },
}

fn refusal(source: &io::Error) -> String {
    if room::is_missing(source) { room::words() } else { source.to_string() }
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let shown = Error::machine(&error);
        match error {
            CommandError::Missing { program, .. } => shown.hint(format!("install {program}, or set PATH")),
            CommandError::Refused { source, .. } if room::is_missing(&source) => room::hinted(shown),
            _ => shown,
        }
    }
}

impl Command {
    /// A run of `program`, found on PATH where it is a bare name.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            bare: false,
            folder: None,
            input: Vec::new(),
            stdin: None,
            limit: DEFAULT_LIMIT,
            speaks: None,
            most: MOST_OUTPUT,
            group: Group::Own,
        }
    }

    /// One more argument, handed over as it is.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable. Values are never shown in an error.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), Some(value.into()));
        self
    }

    /// Keeps a variable of ours from the program.
    pub fn without_env(mut self, name: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), None);
        self
    }

    /// Keeps all of our environment from the program, but for what [`Command::env`] sets.
    pub fn bare_env(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Runs it in that folder.
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// What it reads on its standard input; nothing where this is not called.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// A file as its standard input, in place of bytes: it stays open as long as the program, also
    /// where we end before it.
    pub fn stdin(mut self, file: Arc<File>) -> Self {
        self.stdin = Some(file);
        self
    }

    /// How long it may take: then it is killed, with what it started in its process group.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How long it may take until it has written anything at all to its standard output: one that hangs from
    /// the beginning is not waited for as long as one that works.
    pub fn speaks_within(mut self, limit: Duration) -> Self {
        self.speaks = Some(limit);
        self
    }

    /// How much it may write to either of its outputs: then it is killed.
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Lets it make a session of its own, which it must do first of all: it is not put into a process
    /// group before.
    pub fn own_session(mut self) -> Self {
        self.group = Group::OwnSession;
        self
    }

    /// Runs it; any exit status is an answer.
    pub fn run(&self) -> Result<Output, CommandError> {
        self.run_placed(|_| Ok(()))
    }

    /// The same; `place` is called with its pid before it is given anything to read, and where that
    /// fails it is ended.
    pub fn run_placed(&self, place: impl FnOnce(u32) -> io::Result<()>) -> Result<Output, CommandError> {
        let began = Instant::now();
        let deadlines = Deadlines { end: began + self.limit, first: self.speaks.map(|limit| began + limit) };
        let child = self.start()?;
        if let Err(source) = place(child.id()) {
            kill(child);
            return Err(CommandError::Refused { command: self.typed(), source });
        }
        match watch(child, &self.input, deadlines, self.most) {
            Ok(Watched::Ended(output)) => Ok(output),
            Ok(Watched::Late { stderr, ended, silent }) => {
                let limit = self.speaks.filter(|_| silent).map_or(self.limit, |first| first.min(self.limit));
                Err(CommandError::Late { command: self.typed(), limit, ended, stderr })
            }
            Ok(Watched::TooMuch) => Err(CommandError::TooMuch { command: self.typed(), most: self.most }),
            Err(source) => Err(CommandError::Refused { command: self.typed(), source }),
        }
    }

    /// Runs it; only exit 0 is good.
    pub fn succeed(&self) -> Result<Output, CommandError> {
        let output = self.run()?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(CommandError::Failed { command: self.typed(), output })
        }
    }

    /// Runs it; only exit 0 is good. Its standard output as text.
    pub fn text(&self) -> Result<String, CommandError> {
        let output = self.succeed()?;
        String::from_utf8(output.stdout).map_err(|_| CommandError::NotText { command: self.typed() })
    }

    /// The command as a person would type it.
    pub fn typed(&self) -> String {
        let words: Vec<String> = std::iter::once(&self.program).chain(&self.args).map(|w| word(w)).collect();
        words.join(" ")
    }

    fn start(&self) -> Result<Child, CommandError> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args);
        if self.group == Group::Own {
            command.process_group(0);
        }
        if self.bare {
            command.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let stdin = match &self.stdin {
            Some(file) => file
                .try_clone()
                .map(Stdio::from)
                .map_err(|source| CommandError::Refused { command: self.typed(), source })?,
            None if self.input.is_empty() => Stdio::null(),
            None => Stdio::piped(),
        };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|source| {
            // A missing folder is the same errno as a missing program.
            let folder_is_there = self.folder.as_ref().is_none_or(|f| f.is_dir());
            if source.kind() == io::ErrorKind::NotFound && folder_is_there {
                let program = self.program.to_string_lossy().into_owned();
                CommandError::Missing { command: self.typed(), program }
            } else {
                CommandError::Refused { command: self.typed(), source }
            }
        })
    }
}

enum Watched {
    Ended(Output),
    Late { stderr: Vec<u8>, ended: Ended, silent: bool },
    TooMuch,
}

/// Feeds and reads a child until it ends, its time is up or it says too much.
fn watch(mut child: Child, input: &[u8], deadlines: Deadlines, most: usize) -> io::Result<Watched> {
    let mut pipes = Pipes {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        input,
        out: Vec::new(),
        err: Vec::new(),
        most,
    };
    let watched = pidfd(&child).and_then(|ended| pipes.pump(&ended, deadlines));
    match watched {
        Ok(Pumped::Ended) => {
            let status = child.wait()?;
            // A grandchild may hold the pipes open for ever: only what is there already counts.
            match pipes.drain() {
                true => Ok(Watched::Ended(Output { status, stdout: pipes.out, stderr: pipes.err })),
                false => Ok(Watched::TooMuch),
            }
        }
        Ok(Pumped::Late) => {
            let (silent, ended) = (pipes.out.is_empty(), kill(child));
            pipes.drain();
            Ok(Watched::Late { stderr: pipes.err, ended, silent })
        }
        Ok(Pumped::TooMuch) => {
            kill(child);
            Ok(Watched::TooMuch)
        }
        Err(error) => {
            kill(child);
            Err(error)
        }
    }
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no pid"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Ends the child's whole process group. The child is not reaped before, so its number is its own. One
/// that the kernel does not let go is left to a thread that waits for it, as long as we are there.
fn kill(mut child: Child) -> Ended {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    if pidfd(&child).is_ok_and(|ended| !pipes::comes(&ended, GOES)) {
        std::thread::spawn(move || child.wait());
        return Ended::Stuck;
    }
    let _ = child.wait();
    Ended::Killed
}

/// One word as a shell reads it back.
fn word(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The end of a program's stderr, for an error's end.
fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(SHOWN_LINES);
    let lines = lines.get(from..).unwrap_or_default();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("\n")) }
}

#[cfg(test)]
mod tests;
