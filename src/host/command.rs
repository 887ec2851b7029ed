//! Runs one outside program, bounded in time; its errors show the command as typed and the end of
//! what it said.
//!
//! The child is waited for by events (pidfd and its pipes), never by polling a clock. What a
//! program's output means belongs to the file of that program, not here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::error::Error;

/// How long a program may take where the caller says nothing else.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(10);
/// How much of a failed program's stderr its error shows.
const SHOWN_LINES: usize = 5;
/// A pipe that is ready takes at least this much without blocking.
const PIPE_BUF: usize = 4096;

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
    #[error("run {command}: {source}")]
    Refused {
        /// The command as typed.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("run {command}: no end within {} s, killed{}", limit.as_secs_f64(), tail(stderr))]
    Late {
        /// The command as typed.
        command: String,
        /// The time it had.
        limit: Duration,
        /// What it had written to its standard error.
        stderr: Vec<u8>,
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

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        let shown = Error::machine(&error);
        match error {
            CommandError::Missing { program, .. } => shown.hint(format!("install {program}, or set PATH")),
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

    /// Runs it; any exit status is an answer.
    pub fn run(&self) -> Result<Output, CommandError> {
        let deadline = Instant::now() + self.limit;
        let child = self.start()?;
        match watch(child, &self.input, deadline) {
            Ok(Watched::Ended(output)) => Ok(output),
            Ok(Watched::Late { stderr }) => {
                Err(CommandError::Late { command: self.typed(), limit: self.limit, stderr })
            }
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
        command.args(&self.args).process_group(0);
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
    Late { stderr: Vec<u8> },
}

/// Feeds and reads a child until it ends or its time is up.
fn watch(mut child: Child, input: &[u8], deadline: Instant) -> io::Result<Watched> {
    let mut pipes = Pipes {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        input,
        out: Vec::new(),
        err: Vec::new(),
    };
    let watched = pidfd(&child).and_then(|ended| pipes.pump(&ended, Some(deadline)));
    match watched {
        Ok(true) => {
            let status = child.wait()?;
            // A grandchild may hold the pipes open for ever: only what is there already counts.
            pipes.drain();
            Ok(Watched::Ended(Output { status, stdout: pipes.out, stderr: pipes.err }))
        }
        Ok(false) => {
            kill(&mut child);
            pipes.drain();
            Ok(Watched::Late { stderr: pipes.err })
        }
        Err(error) => {
            kill(&mut child);
            Err(error)
        }
    }
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("the child has no pid"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Ends the child's whole process group. The child is not reaped before, so its number is its own.
fn kill(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Our ends of a child's pipes; one that is closed is `None`.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    input: &'a [u8],
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Pipes<'_> {
    /// Moves bytes until the child has ended (true) or the deadline has passed (false).
    fn pump(&mut self, ended: &OwnedFd, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            if self.input.is_empty() {
                self.stdin = None;
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|l| l.is_zero()) {
                return Ok(false);
            }
            let ready = self.wait(Some(ended), left)?;
            self.move_bytes(&ready);
            if ready.ended {
                return Ok(true);
            }
        }
    }

    /// Takes what the pipes hold at this moment, without waiting.
    fn drain(&mut self) {
        self.stdin = None;
        while self.stdout.is_some() || self.stderr.is_some() {
            match self.wait(None, Some(Duration::ZERO)) {
                Ok(ready) if ready.stdout || ready.stderr => self.move_bytes(&ready),
                _ => return,
            }
        }
    }

    fn wait(&self, ended: Option<&OwnedFd>, left: Option<Duration>) -> io::Result<Ready> {
        // Rounded up: a rest below a millisecond must not turn into a busy loop.
        let timeout = left.map_or(PollTimeout::NONE, |l| {
            PollTimeout::try_from(l.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = Vec::with_capacity(4);
        let mut slots = [None; 4];
        let sources = [
            (ended.map(AsFd::as_fd), PollFlags::POLLIN),
            (self.stdin.as_ref().map(AsFd::as_fd), PollFlags::POLLOUT),
            (self.stdout.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
            (self.stderr.as_ref().map(AsFd::as_fd), PollFlags::POLLIN),
        ];
        for (slot, (fd, flags)) in slots.iter_mut().zip(sources) {
            if let Some(fd) = fd {
                *slot = Some(fds.len());
                fds.push(PollFd::new(fd, flags));
            }
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [ended, stdin, stdout, stderr] = slots
            .map(|slot| slot.and_then(|at: usize| fds.get(at)).and_then(|fd| fd.any()).unwrap_or_default());
        Ok(Ready { ended, stdin, stdout, stderr })
    }

    fn move_bytes(&mut self, ready: &Ready) {
        if ready.stdin {
            feed(&mut self.stdin, &mut self.input);
        }
        if ready.stdout {
            take(&mut self.stdout, &mut self.out);
        }
        if ready.stderr {
            take(&mut self.stderr, &mut self.err);
        }
    }
}

struct Ready {
    ended: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// Writes what fits; a child that no longer reads is no error of ours.
fn feed(pipe: &mut Option<ChildStdin>, input: &mut &[u8]) {
    let Some(open) = pipe else { return };
    let piece = input.get(..PIPE_BUF).unwrap_or(input);
    match open.write(piece) {
        Ok(written) => *input = input.get(written..).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => {
            *pipe = None;
            *input = &[];
        }
    }
}

/// Reads once, which does not block on a pipe that is ready.
fn take(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) {
    let Some(open) = pipe else { return };
    let mut buffer = [0; 16 * 1024];
    match open.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(read) => into.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => *pipe = None,
    }
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
