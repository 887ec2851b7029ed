//! Limits of agents and of a whole tenant as the kernel keeps them, disk quotas among them, and a clock that is set, in
//! emulated systems with all controllers: who goes over his own is stopped there, and nobody else feels it.

mod agents;
mod bench;
mod clock;
mod disk;
#[path = "../common/fleet.rs"]
mod fleet;
#[path = "../common/measured.rs"]
mod measured;
mod tenant;
