//! The user's own service manager, spoken to over D-Bus: facts of units, batches of jobs, unit files.
//!
//! Synchronous outside, asynchronous inside. No `systemctl`, no environment variable: the manager is
//! found by uid. Whether to act on what is seen is decided elsewhere.

mod connection;
mod error;
mod exchange;
#[cfg(test)]
pub(in crate::host) mod fake;
mod files;
mod graph;
mod jobs;
pub mod private;
pub(in crate::host) mod proxy;
mod units;

pub use connection::{READ_LIMIT, Route, UserManager};
pub(in crate::host) use connection::{bounded, manager};
pub use error::SystemdError;
pub use files::{Enabled, LinkChange, WRITE_LIMIT};
pub use jobs::{Along, JobOutcome, JobRequest, JobResult, JobVerb, QueuedJob};
pub use units::{Detail, Whom};
