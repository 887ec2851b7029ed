//! Which server a start by hand may found, and with which configuration.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::logind::{self, Logind};
use crate::host::systemd::{JobRequest, SystemdError, UserManager};
use crate::host::users;
use crate::layout::{Layout, TMUX_FOLDER};
use crate::names::{HOLDER_UNIT, SocketName};
use crate::snapshot::Fact;

/// How long the holder may take to come up; its unit's own limit is shorter.
const HOLDER_WITHIN: Duration = Duration::from_secs(45);
/// How long a lingering user's manager may take to come up.
const MANAGER_COMES: Duration = Duration::from_secs(30);

/// What became of the holder's unit before a session is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The server is not its affair, or nobody is there to run it.
    Aside,
    /// It is up, and may have brought its agents with it.
    Up,
}

/// Starts the holder's unit where the fleet's own socket is meant, so that its server has an owner.
/// Where there is no user manager the caller goes on: a start by hand needs none. A manager or a
/// holder that is there and fails is an error, since a server founded beside it would keep the
/// holder from ever coming up.
pub fn holder_of(layout: &Layout, socket: &SocketName) -> Result<Holder, String> {
    let elsewhere = std::env::var_os("TMUX_TMPDIR").is_some_and(|d| !d.is_empty() && d != TMUX_FOLDER);
    if elsewhere || !holds(layout, socket) {
        return Ok(Holder::Aside);
    }
    let failed = |why: String| {
        format!("{HOLDER_UNIT} could not be started: {why}\nlook at: systemctl --user status {HOLDER_UNIT}")
    };
    let Some(manager) = manager(layout).map_err(|error| failed(error.to_string()))? else {
        return Ok(Holder::Aside);
    };
    let outcomes = manager
        .jobs(&[JobRequest::start(HOLDER_UNIT)], HOLDER_WITHIN, |_| {})
        .map_err(|e| failed(e.to_string()))?;
    match outcomes.iter().find(|o| !o.result.is_good()) {
        Some(bad) => Err(failed(bad.result.to_string())),
        None => Ok(Holder::Up),
    }
}

/// The user's manager; none where none runs for this home and none is on its way, as soon after a
/// boot that of a user who lingers is.
fn manager(layout: &Layout) -> Result<Option<UserManager>, SystemdError> {
    let uid = nix::unistd::geteuid().as_raw();
    let connect = || UserManager::connect_for(uid, layout.home());
    let error = match connect() {
        Ok(manager) => return Ok(Some(manager)),
        Err(error) if error.says_none_runs() => error,
        Err(error) => return Err(error),
    };
    let lingers = logind::linger(&users::name_of(uid)) == Fact::Known(true);
    if matches!(error, SystemdError::OtherHome { .. }) || !lingers {
        return Ok(None);
    }
    let Ok(logind) = Logind::connect() else { return Ok(None) };
    let _ = logind.wait_for_manager(uid, MANAGER_COMES);
    connect().map(Some)
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
