//! What stands around the holder's tmux server: nobody else's server on the socket before it, and
//! proof that it answers and is ours after it.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Pid, geteuid};

use crate::host::cgroup;
use crate::host::tmux::{Founding, NewSession};
use crate::layout::{TMUX_FOLDER, tmux_socket};
use crate::names::{SessionName, SocketName};

/// How long the server may take until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// How long a foreign server is given to go before the start fails; then systemd tries again.
const FOREIGN_PATIENCE: Duration = Duration::from_secs(10);

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
/// with our sessions. Waits a while for it to end, as an event, so that systemd's retries of this
/// unit neither spin nor come late.
pub fn check(name: &SocketName) -> Result<(), String> {
    let socket = socket(name);
    let Some(pid) = listener(&socket).map_err(|e| format!("look at {}: {e}", socket.display()))? else {
        return Ok(());
    };
    // Said before the wait: the journal finds the unit of a line while its process is alive.
    let whose = foreign(&socket, pid, name);
    super::say(&whose);
    let gone = rustix::process::Pid::from_raw(pid)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
        .is_none_or(|fd| super::signals::Signals::finish(std::os::fd::AsFd::as_fd(&fd), FOREIGN_PATIENCE));
    if gone { Ok(()) } else { Err(format!("it is still there after {} s", FOREIGN_PATIENCE.as_secs())) }
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
    made.map_err(|e| format!("make session {session} on socket {name}: {e}"))
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
