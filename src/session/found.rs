//! Which server a start by hand may found, and with which configuration.

use std::path::PathBuf;
use std::time::Duration;

use crate::host::logind::{self, Logind};
use crate::host::systemd::{JobRequest, SystemdError, UserManager};
use crate::host::{clock, process, runfiles, users};
use crate::layout::{Layout, TMUX_FOLDER};
use crate::names::{HOLDER_UNIT, SocketName};
use crate::runfile::started::{self, Started};
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

/// What brings back a socket that was removed from under the holder's server. Its pid is that of the note,
/// where a tmux of that socket still has it: to anybody else the signal would be the end.
pub fn cure(layout: &Layout, socket: &SocketName) -> String {
    let note = runfiles::read_text(&layout.holder_started(), started::LONGEST);
    let noted = note.and_then(|text| Started::parse(&text)).filter(|note| note.boot_id == clock::boot_id());
    let runs = |pid: &i32| process::argv(*pid).iter().any(|word| word == socket.as_str());
    match noted.map(|note| note.pid).filter(runs) {
        Some(pid) => format!("its socket is gone; `kill -USR1 {pid}` makes it anew"),
        None => "`fleet verify` names the cure".to_owned(),
    }
}

/// The fleet's server configuration; none at all where it is not installed. Never the user's.
pub fn configuration(layout: &Layout) -> PathBuf {
    let ours = layout.tmux_conf();
    if ours.is_file() { ours } else { PathBuf::from("/dev/null") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cure_is_for_the_process_that_is_the_noted_server_and_for_no_other() {
        let home = tempfile::tempdir().expect("a home");
        let layout = Layout::new(home.path(), None);
        runfiles::make_folder(&layout.run()).expect("made");
        let socket = SocketName::parse("mosaic-a-test").expect("a name");
        assert!(cure(&layout, &socket).contains("fleet verify"), "nothing is noted");
        let server = |words: &str| {
            let mut command = std::process::Command::new("sleep");
            std::os::unix::process::CommandExt::arg0(&mut command, words);
            command.arg("600").spawn().expect("sleep runs")
        };
        for (name, signalled) in [("mosaic-a-test", true), ("mosaic-another", false)] {
            let mut child = server(name);
            let pid = i32::try_from(child.id()).expect("a pid");
            // It is executed before the kernel shows with what.
            assert!((0..10_000).any(|_| !process::argv(pid).is_empty()), "its words are shown");
            let note = Started::of(clock::boot_id(), pid, b"conf", b"unit");
            runfiles::replace(&layout.holder_started(), note.text().as_bytes()).expect("noted");
            let cure = cure(&layout, &socket);
            child.kill().and_then(|()| child.wait()).expect("ended");
            assert_eq!(cure.contains(&format!("kill -USR1 {pid}")), signalled, "{cure}");
        }
    }
}
