//! How the supervisor's own process ends: as its runtime did, so that systemd sees that end.

use std::process::ExitCode;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};

use super::TEMPORARY;
use crate::host::tmux::Server;
use crate::names::AgentName;
use crate::runfile::record::End;

/// How the supervisor ends.
#[derive(Debug)]
pub enum Ending {
    /// Asked to stop.
    Stopped,
    /// The runtime ended.
    Runtime(End),
    /// Its beats had stopped, and it was ended to be started again.
    Stale,
    /// The start came to nothing.
    Failed {
        /// The exit code; one that can't be cured keeps systemd from trying again.
        code: u8,
        /// Why.
        why: String,
    },
}

impl Ending {
    /// A start that came to nothing.
    pub fn failed(why: String) -> Self {
        Self::Failed { code: TEMPORARY, why }
    }

    /// Ends this process that way. A signal is raised again, without a core of our own.
    pub fn carry_out(self) -> ExitCode {
        match self {
            Self::Stopped => ExitCode::SUCCESS,
            Self::Runtime(End::Exit(code)) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
            Self::Runtime(End::Signal(number)) => end_by(number),
            // The server alone knew, and it is gone: never a success.
            Self::Runtime(End::Unknown) | Self::Stale => ExitCode::from(TEMPORARY),
            Self::Failed { code, why } => {
                super::say(&why);
                ExitCode::from(code)
            }
        }
    }
}

fn end_by(number: i32) -> ExitCode {
    let code = ExitCode::from(u8::try_from(128 + number).unwrap_or(TEMPORARY));
    let Ok(number) = Signal::try_from(number) else { return code };
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: restoring the default action installs no handler of ours.
    #[allow(unsafe_code)]
    let _ = unsafe { signal(number, SigHandler::SigDfl) };
    let mut set = SigSet::empty();
    set.add(number);
    let _ = set.thread_unblock();
    let _ = raise(number);
    code
}

/// Removes the agent's own session, exactly named, whatever the way out was; the unit does it once
/// more for a supervisor that was killed.
pub fn leave_nothing(server: &Server, agent: &AgentName) {
    let _ = server.kill_session(agent.as_str());
}
