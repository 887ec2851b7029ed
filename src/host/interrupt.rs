//! Points of an apply at which a test has this very process killed or stopped from inside, so that it
//! is met at each step and not by chance. In a release build they are nothing.

/// A point between two steps; `what` names it.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_what: &str) {}

/// A point between two steps; `what` names it. `MOSAIC_TEST_INTERRUPT` says which signal this process
/// sends itself where: `KILL@7` at the seventh point, `STOP@reload` at the first of that name.
#[cfg(debug_assertions)]
pub fn point(what: &str) {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static MET: AtomicBool = AtomicBool::new(false);
    static WANTED: OnceLock<Option<(Signal, String)>> = OnceLock::new();
    let Some((signal, at)) = WANTED.get_or_init(wanted) else { return };
    let number = PASSED.fetch_add(1, Ordering::Relaxed) + 1;
    if (at.parse() == Ok(number) || at == what) && !MET.swap(true, Ordering::Relaxed) {
        // Where it can't be sent the test finds the run ended as any other.
        let _ = signal::kill(Pid::this(), *signal);
    }
}

#[cfg(debug_assertions)]
fn wanted() -> Option<(Signal, String)> {
    let text = std::env::var("MOSAIC_TEST_INTERRUPT").ok()?;
    let (signal, at) = text.split_once('@')?;
    let signal = match signal {
        "KILL" => Signal::SIGKILL,
        "STOP" => Signal::SIGSTOP,
        _ => return None,
    };
    Some((signal, at.to_owned()))
}

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[cfg(debug_assertions)]
use nix::sys::signal::{self, Signal};
#[cfg(debug_assertions)]
use nix::unistd::Pid;
