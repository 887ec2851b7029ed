//! What stands around the holder's tmux server: nobody else's server on the socket before it, and
//! proof that it answers and is ours after it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, geteuid};

use crate::host::tmux::{Founding, NewSession};
use crate::host::{cgroup, clock, files, process, runfiles, users};
use crate::layout::{Layout, MACHINE_UNITS, TMUX_FOLDER, tmux_socket};
use crate::names::{HOLDER_UNIT, SessionName, SocketName};
use crate::runfile::started::Started;

/// How long the server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// How long what is in the way is given to go before the start fails; then systemd tries again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at, where no event tells of it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The mode bits with which tmux refuses a folder.
const OTHERS: u32 = 0o007;

/// Where the fleet's socket is for this user.
pub fn socket(name: &SocketName) -> PathBuf {
    tmux_socket(Path::new(TMUX_FOLDER), geteuid().as_raw(), name)
}

/// Pid of the process that listens on the socket; `None` where nothing does. The kernel says it, so
/// a server that hangs can't hide it.
pub fn listener(socket: &Path) -> io::Result<Option<i32>> {
    match UnixStream::connect(socket) {
        Ok(stream) => Ok(Some(getsockopt(&stream, PeerCredentials)?.pid())),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Before the server: refuses to start beside a foreign one, which is never taken over or filled
/// with our sessions, or where it could not stand. Waits a while for the cure, so that systemd's
/// retries of this unit neither spin, and fail every agent's start along with it, nor come late.
pub fn check(name: &SocketName, tmux: Option<&str>) -> Result<(), String> {
    let socket = socket(name);
    let until = Instant::now() + PATIENCE;
    let mut said = String::new();
    loop {
        let (whose, why) = match in_the_way(&socket, tmux) {
            Ok(None) => return Ok(()),
            Ok(Some(pid)) => (Some(pid), foreign(&socket, pid, name)),
            Err(why) => (None, why),
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("it is still so after {} s", PATIENCE.as_secs()));
        }
        // Said before the wait: the journal finds the unit of a line while its process is alive.
        if why != said {
            super::say(&why);
            said = why;
        }
        let server = whose
            .and_then(rustix::process::Pid::from_raw)
            .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
        match server {
            Some(server) => {
                super::signals::Signals::finish(std::os::fd::AsFd::as_fd(&server), left);
            }
            // Nobody tells of a mode that was changed, or of a program that was installed.
            None => std::thread::sleep(LOOK_EVERY.min(left)),
        }
    }
}

/// What keeps the server from standing: the pid of another one, or why none could be started.
fn in_the_way(socket: &Path, tmux: Option<&str>) -> Result<Option<i32>, String> {
    if let Some(tmux) = tmux.filter(|tmux| !super::is_program(Path::new(tmux))) {
        return Err(format!(
            "{tmux} is no program: install tmux, or run `fleet apply` where it is elsewhere"
        ));
    }
    if let Some(folder) = socket.parent() {
        usable(folder)?;
    }
    listener(socket).map_err(|e| format!("look at {}: {e}", socket.display()))
}

/// Whether tmux would take the folder of its sockets, by tmux's own rules.
fn usable(folder: &Path) -> Result<(), String> {
    let facts = match fs::symlink_metadata(folder) {
        Ok(facts) => facts,
        // tmux makes it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("look at {}: {error}", folder.display())),
    };
    let shown = folder.display();
    if !facts.is_dir() {
        return Err(format!("{shown} is no folder, and tmux needs its socket there: rm {shown}"));
    }
    if facts.uid() != geteuid().as_raw() {
        let owner = users::name_of(facts.uid());
        return Err(format!(
            "{shown} belongs to {owner}, and tmux takes none but your own: root can remove it, `rm -r {shown}`"
        ));
    }
    if facts.mode() & OTHERS != 0 {
        return Err(format!("others may enter {shown}, so tmux refuses it: chmod 700 {shown}"));
    }
    Ok(())
}

/// After the server has been started: waits until it listens, proves that it is the unit's main
/// process, and makes the holder's session, after which agents may start.
pub fn up(name: &SocketName, session: &SessionName, main_pid: Pid) -> Result<(), String> {
    let socket = socket(name);
    let until = Instant::now() + LISTENS_WITHIN;
    let mut pause = Duration::from_millis(2);
    let pid = loop {
        match listener(&socket).map_err(|e| format!("look at {}: {e}", socket.display()))? {
            Some(pid) => break pid,
            None if Instant::now() > until => {
                return Err(format!(
                    "the tmux server (pid {main_pid}) does not listen on {} after {} s",
                    socket.display(),
                    LISTENS_WITHIN.as_secs()
                ));
            }
            // tmux tells nobody when it begins to listen, and its folder may not exist to be watched.
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    if pid != main_pid.as_raw() {
        return Err(foreign(&socket, pid, name));
    }
    let server = super::fleet_server(name);
    let made = server.has_session(session.as_str()).and_then(|there| {
        let rests = ["sleep".into(), "infinity".into()];
        let new = NewSession {
            name: session.as_str(),
            folder: Path::new("/"),
            argv: &rests,
            size: None,
            founding: Founding::Forbidden,
        };
        if there { Ok(()) } else { server.new_session(&new).map(drop) }
    });
    made.map_err(|e| format!("make session {session} on socket {name}: {e}"))?;
    if let Err(error) = note(pid) {
        // Without it a later look takes a restart for due that is not.
        super::say(&format!("what this server was started with is not noted: {error}"));
    }
    Ok(())
}

/// Notes what the server was started with, by the configuration that its command line names: the
/// fleet's folder is the one that this stands in.
fn note(pid: i32) -> io::Result<()> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "its command line names no configuration");
    let argv = process::argv(pid);
    let conf = argv.iter().skip_while(|arg| *arg != "-f").nth(1).map(PathBuf::from).ok_or_else(missing)?;
    let fleet = conf.parent().ok_or_else(missing)?;
    let home = users::caller().map_err(io::Error::other)?.home;
    let layout = Layout::new(home, fleet.parent().map(Path::to_path_buf));
    // A declarative host has the unit among the machine's.
    let unit = match fs::read(layout.holder_unit()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::read(Path::new(MACHINE_UNITS).join(HOLDER_UNIT))?
        }
        read => read?,
    };
    let started = Started::of(clock::boot_id(), pid, &fs::read(&conf)?, &unit);
    files::make_folder(&layout.run()).map_err(io::Error::other)?;
    runfiles::replace(&layout.holder_started(), started.text().as_bytes())
}

fn foreign(socket: &Path, pid: i32, name: &SocketName) -> String {
    let unit = cgroup::of(pid)
        .map_or_else(|_| "an unknown unit".to_owned(), |path| cgroup::unit_of(&path).to_owned());
    format!(
        "{} belongs to another tmux server: pid {pid}, of {unit}. It is left alone. Save what runs in it and end it with \
         `tmux -L {name} kill-server`, or choose another tmux.socket_name in the roster.",
        socket.display()
    )
}
