//! Why a service manager could not be reached or did not do what was asked, in words for people and
//! with the cure.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// Why systemd or logind gave no answer, or a bad one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemdError {
    /// The user has no runtime folder: nobody is logged in and nothing lingers.
    #[error("reach the user manager of {user}: /run/user/{uid} does not exist, so no user manager runs")]
    NoRuntimeDir {
        /// The user's number.
        uid: u32,
        /// The user's name.
        user: String,
    },
    /// The runtime folder is there, the manager is not.
    #[error("reach the user manager of {user}: {seen}")]
    NoManager {
        /// The user's number.
        uid: u32,
        /// The user's name.
        user: String,
        /// What was seen instead.
        seen: String,
    },
    /// It reads units below another home than the caller's.
    #[error("reach the user manager of {user}: it reads units below {}, not below {}", theirs.display(), home.display())]
    OtherHome {
        /// The user's name.
        user: String,
        /// The home that the caller works on.
        home: PathBuf,
        /// The home that the manager reads units from.
        theirs: PathBuf,
    },
    /// It is another user's, or the bus turned us away before any call.
    #[error("reach the user manager of {user}: refused: {seen}")]
    Refused {
        /// The user's name.
        user: String,
        /// What the bus said.
        seen: String,
    },
    /// The system bus, or the service on it, is not there.
    #[error("{what}: {seen}")]
    NoService {
        /// What was being done.
        what: String,
        /// What was seen.
        seen: String,
    },
    /// The call is not allowed to this user.
    #[error("{what}: not allowed: {seen}")]
    Denied {
        /// What was being done.
        what: String,
        /// What was said.
        seen: String,
    },
    /// No answer in time.
    #[error("{what}: no answer within {} s", limit.as_secs_f64())]
    Late {
        /// What was being done.
        what: String,
        /// The time it had.
        limit: Duration,
    },
    /// The connection broke.
    #[error("{what}: the connection broke: {seen}")]
    Gone {
        /// What was being done.
        what: String,
        /// How it broke.
        seen: String,
    },
    /// The manager answered with an error of its own.
    #[error("{what}: {message}")]
    Answered {
        /// What was being done.
        what: String,
        /// The error's D-Bus name, `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// What it said.
        message: String,
    },
    /// The answer is not what the interface promises.
    #[error("{what}: an answer that is not understood: {seen}")]
    Garbled {
        /// What was being done.
        what: String,
        /// What was wrong with it.
        seen: String,
    },
}

impl SystemdError {
    /// Sorts out what zbus says of a call.
    pub(in crate::host) fn from_call(what: &str, error: zbus::Error) -> Self {
        use zbus::fdo::Error as Fdo;
        let what = what.to_owned();
        match error {
            zbus::Error::MethodError(name, said, _) => {
                let message = said.unwrap_or_else(|| name.to_string());
                Self::Answered { what, name: name.to_string(), message }
            }
            zbus::Error::FDO(error) => match *error {
                Fdo::AccessDenied(seen)
                | Fdo::AuthFailed(seen)
                | Fdo::InteractiveAuthorizationRequired(seen) => Self::Denied { what, seen },
                Fdo::ServiceUnknown(seen) | Fdo::NameHasNoOwner(seen) | Fdo::NoServer(seen) => {
                    Self::NoService { what, seen }
                }
                Fdo::Disconnected(seen) | Fdo::NoReply(seen) => Self::Gone { what, seen },
                Fdo::ZBus(error) => Self::from_call(&what, error),
                other => {
                    let name = zbus::DBusError::name(&other).to_string();
                    let message = zbus::DBusError::description(&other).unwrap_or(&name).to_owned();
                    Self::Answered { what, name, message }
                }
            },
            zbus::Error::InputOutput(error) => Self::Gone { what, seen: error.to_string() },
            zbus::Error::Connection(error, _) => Self::NoService { what, seen: error.to_string() },
            other => Self::Garbled { what, seen: other.to_string() },
        }
    }

    /// The connection ended before the answer.
    pub(in crate::host) fn ended() -> zbus::Error {
        io::Error::new(io::ErrorKind::BrokenPipe, "the other side closed it").into()
    }

    /// Whether it says that no manager runs for the caller's home: then nobody is in its place, and nothing
    /// has to be told. One that is late, or turns us away, is there.
    pub fn says_none_runs(&self) -> bool {
        matches!(self, Self::NoRuntimeDir { .. } | Self::NoManager { .. } | Self::OtherHome { .. })
    }

    /// What to do next: most often a command that an admin or the user runs.
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::NoRuntimeDir { user, .. } => Some(format!("sudo loginctl enable-linger {user}")),
            Self::NoManager { uid, .. } => Some(format!("sudo systemctl start user@{uid}.service")),
            Self::OtherHome { theirs, .. } => Some(format!("run it with HOME={}", theirs.display())),
            Self::Refused { user, .. } => {
                Some(format!("run it as {user} itself, for instance with sudo -u {user}"))
            }
            // systemd before the middle of 2026 waits so long for a bus that has just ended (its issue 21177).
            Self::Late { .. } => {
                let stalled = "a user manager whose bus has just ended answers again after 90 s";
                Some(format!("it is busy or hangs: run this again; {stalled}"))
            }
            _ => None,
        }
    }
}

impl From<SystemdError> for Error {
    fn from(error: SystemdError) -> Self {
        let shown = Error::machine(&error);
        match error.cure() {
            Some(cure) => shown.hint(cure),
            None => shown,
        }
    }
}
