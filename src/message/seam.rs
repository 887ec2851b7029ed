//! Where a test ends a sender with no warning: at the step of its choice. Nothing of it is in a
//! release.

/// One more step is done; MOSAIC_SEND_DIES_AT says which is the last.
pub fn step() {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU32, Ordering};
        static STEPS: AtomicU32 = AtomicU32::new(0);
        let done = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
        let last = std::env::var("MOSAIC_SEND_DIES_AT").ok().and_then(|at| at.parse().ok());
        if last == Some(done) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
        }
    }
}
