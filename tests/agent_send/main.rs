//! `mosaic agent send` against real runtimes on real terminals: what a sender is told, and what
//! reached the runtime.

mod bodies;
#[path = "../common/desk.rs"]
mod desk;
mod drafts;
#[path = "../common/measured.rs"]
mod measured;
mod once;
#[allow(dead_code, reason = "not all of it is used here")]
#[path = "../common/pty.rs"]
mod pty;
mod queue;
mod receipts;
