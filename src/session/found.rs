//! Which server a start by hand may found, and with which configuration.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::systemd::{JobRequest, UserManager};
use crate::layout::{Layout, TMUX_FOLDER};
use crate::names::{HOLDER_UNIT, SocketName};

/// How long the holder may take to come up; its unit's own limit is shorter.
const HOLDER_WITHIN: Duration = Duration::from_secs(45);

/// Starts the holder's unit where the fleet's own socket is meant, so that its server has an owner.
/// Where there is no user manager the caller goes on: a start by hand needs none. A holder that is
/// there and fails is an error, since a server founded beside it would keep it from ever coming up.
pub fn holder_of(layout: &Layout, socket: &SocketName) -> Result<(), String> {
    let elsewhere = std::env::var_os("TMUX_TMPDIR").is_some_and(|d| !d.is_empty() && d != TMUX_FOLDER);
    if elsewhere || !holds(layout, socket) {
        return Ok(());
    }
    let Ok(manager) = UserManager::connect(nix::unistd::geteuid().as_raw()) else { return Ok(()) };
    let failed = |why: String| {
        format!("{HOLDER_UNIT} could not be started: {why}\nlook at: systemctl --user status {HOLDER_UNIT}")
    };
    let outcomes = manager
        .jobs(&[JobRequest::start(HOLDER_UNIT)], HOLDER_WITHIN, |_| {})
        .map_err(|e| failed(e.to_string()))?;
    match outcomes.iter().find(|o| !o.result.is_good()) {
        Some(bad) => Err(failed(bad.result.to_string())),
        None => Ok(()),
    }
}

/// Whether the installed holder's server is the one on this socket.
fn holds(layout: &Layout, socket: &SocketName) -> bool {
    let unit = std::fs::read_to_string(layout.holder_unit()).unwrap_or_default();
    unit.lines()
        .any(|l| l.starts_with("ExecStart=") && l.split_whitespace().any(|word| word == socket.as_str()))
}

/// The fleet's server configuration; none at all where it is not installed. Never the user's.
pub fn configuration(layout: &Layout) -> PathBuf {
    let ours = layout.tmux_conf();
    if ours.is_file() { ours } else { PathBuf::from("/dev/null") }
}
