//! What it means that the kernel starts no further process or thread.

use std::io;

use rustix::process::geteuid;

use crate::error::Error;

/// Whether starting a process or a thread failed for that reason.
pub fn is_missing(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

/// Whether a panic says so: threads that can't be started end programs with that alone.
pub fn is_missed_by(panic: &str) -> bool {
    panic.contains("failed to spawn thread") || panic.contains("thread") && panic.contains("WouldBlock")
}

/// It, in words.
pub fn words() -> String {
    format!("uid {} may start no more processes or threads (tasks_max, or ulimit -u)", geteuid())
}

/// It, with what to do.
pub fn error() -> Error {
    hinted(Error::machine(words()))
}

/// What to do, added to an error that says it.
pub fn hinted(error: Error) -> Error {
    error.hint(format!("see what it runs: systemctl status user-{}.slice", geteuid())).hint(
        "then raise tasks_max in the tenant's declaration and apply it, or end all that it runs: \
        fleet tenant remove",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_could_not_be_started_is_told_from_other_panics() {
        let of_std = r#"failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }"#;
        let of_others = of_std.replace("failed to spawn thread", "the thread a runtime's helper runs on");
        assert!(is_missed_by(of_std) && is_missed_by(&of_others));
        assert!(!is_missed_by("index out of bounds") && !is_missed_by("a thread panicked"));
    }
}
