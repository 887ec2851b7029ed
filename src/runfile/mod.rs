//! The small files below `fleet/run`: text to type and back, without touching the disk.
//!
//! They are what programs of different versions say to each other, so each is versioned or open to
//! further lines, and each reader bounds what it takes.

pub mod ack;
pub mod attached;
pub mod boots;
pub mod environment;
pub mod heartbeat;
pub mod launched;
pub mod queued;
pub mod receipt;
pub mod record;
pub mod started;

/// The value of the first line `key=value`.
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}
