//! The machine's clocks and its boot.

use nix::time::{ClockId, clock_gettime};

use crate::snapshot::Clock;

/// The instant, by all three clocks that judgements need.
pub fn now() -> Clock {
    Clock { unix: unix(), boottime: boottime(), boot_id: boot_id() }
}

fn seconds(clock: ClockId) -> f64 {
    // These clocks are always there on the kernels that systemd 252 needs.
    clock_gettime(clock).map_or(0.0, |t| t.tv_sec() as f64 + t.tv_nsec() as f64 / 1e9)
}

/// CLOCK_BOOTTIME in seconds: since the boot, sleep included; no step of the wall clock moves it.
pub fn boottime() -> f64 {
    seconds(ClockId::CLOCK_BOOTTIME)
}

/// CLOCK_MONOTONIC in seconds, the clock of systemd's timestamps.
pub fn monotonic() -> f64 {
    seconds(ClockId::CLOCK_MONOTONIC)
}

/// CLOCK_BOOTTIME of the machine's boot. A container shares the clocks of its host: there, its first
/// process began with it.
pub fn booted() -> f64 {
    let in_container = std::path::Path::new("/run/systemd/container").exists();
    let first = in_container.then(|| super::process::look(1)).flatten();
    first.map_or(0.0, |seen| seen.process.started)
}

/// Seconds since 1970, UTC.
pub fn unix() -> f64 {
    seconds(ClockId::CLOCK_REALTIME)
}

/// An instant as RFC 3339 in UTC, whole seconds.
pub fn rfc3339(unix: f64) -> String {
    jiff::Timestamp::from_second(unix.floor() as i64).map_or_else(|_| String::new(), |t| t.to_string())
}

/// The wall clock's instant.
pub fn timestamp() -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond((unix() * 1e6) as i64).unwrap_or_default()
}

/// This boot's id; empty where the kernel does not say.
pub fn boot_id() -> String {
    super::kernel::text("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_people_write_it() {
        assert_eq!(rfc3339(1_700_000_000.9), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_boot_has_an_id() {
        assert_eq!(boot_id().len(), 36);
    }
}
