//! Makes and removes users, by the machine's own tools, one at a time.
//!
//! A tool that is running when we are killed keeps the lock until it has ended: the next run meets it
//! done or not begun.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::AtFlags;
use nix::unistd::{Gid, Uid, fchownat};

use super::child::PATH;
use crate::error::{Error, Result};
use crate::host::command::{Command, CommandError};
use crate::host::interrupt::point;
use crate::host::lock;
use crate::tenant::place;

/// How long a tool may take: it may wait for another one's lock.
const TOOL: Duration = Duration::from_secs(30);
/// How long others who make or remove users may take.
const TURN: Duration = Duration::from_secs(120);
/// Ordinary users, where the machine says nothing else.
const RANGE: (u32, u32) = (1000, 60_000);

/// Held while users are made or removed.
#[derive(Debug, Clone)]
pub struct Turn(Arc<File>);

/// Waits for its turn.
pub fn turn() -> Result<Turn> {
    let held = lock::take(Path::new(place::USERS_LOCK), "fleet that makes or removes users", TURN, |_| {})?;
    Ok(Turn(Arc::new(held.into_file())))
}

/// A user to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// The name.
    pub name: &'a str,
    /// The number.
    pub uid: u32,
    /// The home.
    pub home: &'a Path,
    /// The shell; `None` for the machine's default.
    pub shell: Option<&'a Path>,
}

/// Whether the machine's own files have the user; one that only a directory or a configuration has can't
/// be changed here.
pub fn is_local(name: &str) -> bool {
    let text = table("/etc/passwd").unwrap_or_default();
    text.lines().any(|line| line.split(':').next() == Some(name))
}

/// A table of the machine's as text; empty where there is none. Names of people in it may be in no UTF-8.
pub(super) fn table(file: &str) -> io::Result<String> {
    match fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(io::Error::new(error.kind(), format!("read {file}: {error}"))),
    }
}

/// Whether users, and what the system knows of them, come from a NixOS configuration.
pub fn is_nixos() -> bool {
    Path::new("/etc/NIXOS").exists()
}

/// Refuses where users are made elsewhere.
pub fn can_make(name: &str) -> Result<()> {
    if is_nixos() {
        return Err(Error::machine(format!(
            "there is no user {name}, and this machine's users come from its NixOS configuration"
        ))
        .hint(format!("users.users.{name} = {{ isNormalUser = true; linger = true; }};"))
        .hint(format!(
            "or the whole fleet: services.mosaic-fleet.tenants.{name} = {{ uid = 1001; profile = \"usc\"; }};"
        ))
        .hint("after nixos-rebuild switch: fleet tenant apply"));
    }
    Ok(())
}

/// Makes a user with a group of its own and a private home. Subordinate uids are given afterwards: useradd
/// knows nothing of those that a removed tenant had.
pub fn user(new: New<'_>, turn: &Turn) -> Result<()> {
    let mut command = Command::new("useradd").args(["--uid", &new.uid.to_string(), "--user-group"]);
    // It comes back at each boot for years: what the machine says of people's accounts would end that.
    command = command.args(["--key", "PASS_MAX_DAYS=-1", "--expiredate", "", "--inactive", "-1"]);
    command = command.args(["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"]);
    command = command.arg("--home-dir").arg(new.home);
    // Where something stands there already, nothing is put into it.
    if fs::symlink_metadata(new.home).is_err() {
        command = command.args(["--create-home", "--key", "HOME_MODE=0700"]);
    } else {
        command = command.arg("--no-create-home");
    }
    if let Some(shell) = new.shell {
        command = command.arg("--shell").arg(shell);
    }
    point("useradd");
    run(command.args(["--", new.name]), turn)?;
    point("useradded");
    Ok(())
}

/// Makes the home that a run before this one did not get to, or gives it to its user. The folder above it
/// is root's.
pub fn home(path: &Path, uid: u32, gid: u32) -> Result<()> {
    let failed = |error: io::Error| Error::machine(format!("make the home {}: {error}", path.display()));
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(failed)?,
    }
    point("home");
    // Nothing but a folder is given away, whatever stands there by now.
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let held = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    fchownat(&held, "", uid, gid, AtFlags::AT_EMPTY_PATH).map_err(|errno| failed(errno.into()))
}

/// Changes a user's login shell.
pub fn shell(name: &str, shell: &Path, turn: &Turn) -> Result<()> {
    run(Command::new("usermod").arg("--shell").arg(shell).args(["--", name]), turn)
}

/// Removes a user from the databases; its home is not touched.
pub fn remove(name: &str, turn: &Turn) -> Result<()> {
    point("userdel");
    run(Command::new("userdel").args(["--", name]), turn)?;
    point("userdeled");
    Ok(())
}

/// Removes the group that a user had of its own, where the user's end was cut off before that.
pub fn remove_group(name: &str, turn: &Turn) -> Result<()> {
    run(Command::new("groupdel").args(["--", name]), turn)
}

/// More of a user: what `usermod` takes.
pub(super) fn change(name: &str, words: &[&str], turn: &Turn) -> Result<()> {
    run(Command::new("usermod").args(words.iter().copied()).args(["--", name]), turn)
}

fn run(command: Command, turn: &Turn) -> Result<()> {
    // Given as its input, the lock lives as long as the tool does. The tool is the system's, whatever root's
    // shell has for a search path, and what it says is read by anybody.
    let command = command.stdin(Arc::clone(&turn.0)).within(TOOL).bare_env();
    let command = command.env("PATH", PATH).env("LC_ALL", "C.UTF-8");
    match command.succeed() {
        Ok(_) => Ok(()),
        Err(CommandError::Missing { program, .. }) => {
            Err(Error::machine(format!("{program} is not installed: users can't be made or removed here"))
                .hint("make the user by what this machine has for that, then: fleet tenant apply"))
        }
        Err(other) => Err(other.into()),
    }
}

/// The numbers that this machine gives to ordinary users.
pub(super) fn range() -> (u32, u32) {
    let text = defaults();
    (number(&text, "UID_MIN").unwrap_or(RANGE.0).max(1), number(&text, "UID_MAX").unwrap_or(RANGE.1))
}

/// What the machine says of users whom its tools make.
pub(super) fn defaults() -> String {
    table("/etc/login.defs").unwrap_or_default()
}

/// A number in that.
pub(super) fn number(defaults: &str, key: &str) -> Option<u32> {
    defaults.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.next()?.parse().ok()).flatten()
    })
}
