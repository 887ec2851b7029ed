//! Root's side: asks a tenant something, through a child that becomes the tenant.
//!
//! The child is this very program. It waits for its call in its tenant's own slice, is bounded in
//! time and in what it may say, and is ended with everything that it started.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::drop::own_pid;
use super::system::System;
use crate::error::Error;
use crate::host::command::{Command, CommandError, Ended, Output};
use crate::host::users;
use crate::tenant::wire::{Call, ENTRY, GREETING, LONGEST, Reply, Request, VERSION, Who, WireError};
use crate::tenant::words::clean_line;

/// This program, also where its file has been replaced since it was started.
pub(super) const OWN: &str = "/proc/self/exe";
/// What a program of the system is found by.
pub(super) const PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";
/// How much longer systemd waits before it ends a child whose root is gone.
const GRACE: Duration = Duration::from_secs(5);
/// How long a child may take until its home has let it in.
const GREETS: Duration = Duration::from_secs(20);
/// How long a child may take that only ends others.
const ENDS: Duration = Duration::from_secs(5);

/// Why a tenant gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It took too long: it hangs, or is kept from running.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The kernel does not let it go.
    #[error("no answer within {} s: a file system that it uses hangs", .limit.as_secs_f64())]
    Stuck {
        /// The time it had.
        limit: Duration,
        /// Its home, which is the first to be looked at.
        home: PathBuf,
    },
    /// It said more than is read.
    #[error("an answer of more than {} MiB", LONGEST / 1024 / 1024)]
    TooMuch,
    /// It could not be started or placed.
    #[error("{0}")]
    Refused(String),
    /// It ended without an answer.
    #[error("the child ended without an answer: {how}{said}")]
    Ended {
        /// How.
        how: String,
        /// The end of what it said, from ": " on.
        said: String,
    },
    /// Its answer is none.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<ChildError> for Error {
    fn from(error: ChildError) -> Self {
        let shown = Self::machine(&error);
        match error {
            ChildError::Stuck { home, .. } => {
                shown.hint(format!("see what is mounted there: findmnt -T {}", home.display()))
            }
            _ => shown,
        }
    }
}

/// Asks one tenant.
pub fn ask(system: &System, who: &Who, request: Request, limit: Duration) -> Result<Reply, ChildError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let scope = format!("mosaic-tenant-{}-{}.scope", own_pid(), NEXT.fetch_add(1, Ordering::Relaxed));
    let command = command(who, request, limit)?;
    let ran = command.run_placed(|pid| system.place(&scope, pid, who.uid, limit + GRACE));
    system.clear(&scope);
    read(ran, who)
}

/// Has everything that runs as the tenant killed, by the tenant itself: the kernel does that in one stroke,
/// which nobody outruns by starting another process, also outside of the tenant's slice.
pub fn end_all(who: &Who) -> Result<(), ChildError> {
    read(command(who, Request::End, ENDS)?.run(), who).map(drop)
}

fn command(who: &Who, request: Request, limit: Duration) -> Result<Command, ChildError> {
    let call = Call { version: VERSION, parent: own_pid(), who: who.clone(), request };
    let input = serde_json::to_vec(&call).map_err(|error| ChildError::Refused(error.to_string()))?;
    let mut command = Command::new(OWN)
        .args([ENTRY, &who.name])
        .bare_env()
        .in_folder("/")
        .input(input)
        .at_most(LONGEST)
        .within(limit)
        .speaks_within(GREETS)
        .own_session();
    for (name, value) in environment(who) {
        command = command.env(name, value);
    }
    Ok(command)
}

fn read(ran: Result<Output, CommandError>, who: &Who) -> Result<Reply, ChildError> {
    let output = match ran {
        Ok(output) => output,
        Err(CommandError::Late { limit, ended: Ended::Killed, .. }) => return Err(ChildError::Late(limit)),
        Err(CommandError::Late { limit, ended: Ended::Stuck, .. }) => {
            return Err(ChildError::Stuck { limit, home: who.home.clone() });
        }
        Err(CommandError::TooMuch { .. }) => return Err(ChildError::TooMuch),
        Err(CommandError::Refused { source, .. }) => return Err(ChildError::Refused(source.to_string())),
        Err(other) => return Err(ChildError::Refused(other.to_string())),
    };
    let answer = output.stdout.strip_prefix(GREETING).unwrap_or(&output.stdout);
    if answer.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = last_words(&said).map_or_else(String::new, |line| format!(": {line}"));
        return Err(ChildError::Ended { how: output.status.to_string(), said });
    }
    Ok(Reply::read(answer)?)
}

/// The last line that says something: of a panic, what happened, and not how to see more of it.
fn last_words(said: &str) -> Option<String> {
    let says = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    said.lines().rev().find(says).map(clean_line)
}

/// What the child's environment is made of: the password database, and nothing of root's.
fn environment(who: &Who) -> Vec<(&'static str, PathBuf)> {
    let name = PathBuf::from(&who.name);
    vec![
        ("HOME", who.home.clone()),
        ("USER", name.clone()),
        ("LOGNAME", name),
        ("SHELL", who.shell.clone()),
        ("PATH", PATH.into()),
        ("XDG_RUNTIME_DIR", users::runtime_dir(who.uid)),
        ("LANG", "C.UTF-8".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_child_that_panicked_are_what_happened() {
        let said = "thread 'main' (7) panicked at src/x.rs:1:2:\nthe disk is gone\n\
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\n";
        assert_eq!(last_words(said).as_deref(), Some("the disk is gone"));
        assert_eq!(last_words("\n"), None);
    }
}
