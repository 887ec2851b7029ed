//! What a machine is like, for a judgement of whether a fleet can live on it. Read only; each
//! question is bounded, and all are asked at once.

mod numbers;
mod places;
mod programs;
mod system;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::users::Caller;
use crate::doctor::{Facts, Wanted};
use crate::layout::Layout;
use crate::names::SocketName;
use crate::snapshot::Fact;

/// What no answer may take longer than.
const LIMIT: Duration = Duration::from_secs(2);

/// What to look at.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tenant's places.
    pub layout: Layout,
    /// The tenant's user.
    pub caller: Caller,
    /// The fleet's socket.
    pub socket: SocketName,
    /// The runtimes that agents are on, but for those inside our own programs.
    pub runtimes: Vec<Wanted>,
}

/// Looks at everything.
pub fn gather(ask: &Ask) -> Facts {
    thread::scope(|scope| {
        let system = scope.spawn(|| system::look(ask));
        let programs = scope.spawn(|| programs::look(ask));
        let places = places::look(ask);
        let numbers = numbers::look(ask);
        let ended = "looking ended early";
        Facts {
            system: system.join().expect(ended),
            programs: programs.join().expect(ended),
            places,
            numbers,
        }
    })
}

/// The answer of something that can't be bounded itself, if it comes in time.
fn within<T: Send + 'static>(what: &str, ask: impl FnOnce() -> T + Send + 'static) -> Fact<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || drop(tell.send(ask())));
    told.recv_timeout(LIMIT).map_err(|_| format!("{what}: no answer within {} s", LIMIT.as_secs())).into()
}

/// The user manager's own process: the first of its scope, as the kernel lists it.
pub fn manager_pid(uid: u32) -> Option<i32> {
    let scope = system::group(uid)?.join("init.scope/cgroup.procs");
    super::kernel::text(scope).ok()?.lines().next()?.parse().ok().filter(|pid| *pid > 1)
}
