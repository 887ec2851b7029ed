//! Which server a start by hand may found, and with which configuration.

use std::path::PathBuf;

use crate::host::users;
use crate::layout::{Layout, TMUX_FOLDER};
use crate::names::{HOLDER_UNIT, SocketName};

/// Starts the holder's unit where the fleet's own socket is meant, so that its server has an owner.
/// Where that can't be done the caller goes on: a start by hand needs no user manager.
pub fn holder_of(layout: &Layout, socket: &SocketName) {
    let elsewhere = std::env::var_os("TMUX_TMPDIR").is_some_and(|d| !d.is_empty() && d != TMUX_FOLDER);
    if elsewhere || !holds(layout, socket) {
        return;
    }
    let uid = nix::unistd::geteuid().as_raw();
    if !users::runtime_dir(uid).is_dir() {
        return;
    }
    if let Err(error) = crate::host::systemd::start_one(uid, HOLDER_UNIT) {
        super::say(&format!("the holder could not be started, going on without it: {error}"));
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
