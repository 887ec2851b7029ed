//! What runs inside the units: starts a pane, watches it, tells systemd.

use std::process::ExitCode;

pub mod backoff;
mod gate;
mod signals;
mod slots;

/// Runs the internal entry that the first argument names, before anything else is loaded: what
/// stands behind every agent for days must stay small.
pub fn entry() -> Option<ExitCode> {
    None
}
