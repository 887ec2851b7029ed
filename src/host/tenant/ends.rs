//! Ends all that runs as a user, and says what is left.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::child;
use super::system::System;
use crate::error::{Error, Result};
use crate::host::kernel;
use crate::tenant::wire::Who;

/// How long it may take until the last process is gone.
const GONE: Duration = Duration::from_secs(30);
/// How long processes may take to end by themselves before they are killed.
const GENTLY: Duration = Duration::from_secs(3);
/// Between two looks.
const STEP: Duration = Duration::from_millis(50);

/// Ends everything of `uid` and waits until nothing is left; whether there was anything. `who` it is; `None`
/// where the user is gone.
pub fn everything(system: &System, uid: u32, who: Option<&Who>) -> Result<bool> {
    let began = Instant::now();
    let any = !processes(uid).is_empty();
    system.terminate(uid)?;
    while !processes(uid).is_empty() && began.elapsed() < GENTLY {
        std::thread::sleep(STEP);
    }
    loop {
        // What is another process whenever it is looked at is seen in no list, and met by this alone.
        let swept = who.map_or(Ok(()), child::end_all);
        let left = processes(uid);
        match swept {
            Ok(()) if left.is_empty() => return Ok(any),
            Err(error) if left.is_empty() && began.elapsed() > GONE => return Err(error.into()),
            _ if began.elapsed() > GONE => return Err(are_left(&left, uid)),
            _ => {}
        }
        system.stop(uid);
        // All of a slice at once: what multiplies gets no step ahead.
        system.kill(uid);
        left.iter().for_each(|pid| kill(*pid, uid));
        std::thread::sleep(STEP);
    }
}

fn are_left(left: &[i32], uid: u32) -> Error {
    let names: Vec<String> = left.iter().take(5).map(|pid| format!("{pid} ({})", name(*pid))).collect();
    Error::machine(format!(
        "{} processes of uid {uid} are left after {} s: {}",
        left.len(),
        GONE.as_secs(),
        names.join(", ")
    ))
    .hint(format!("see for what they wait: ps -o pid,stat,wchan:30,args -U {uid}"))
}

/// Processes any of whose user ids is `uid`, but for those that have ended and wait for their parent.
pub fn processes(uid: u32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| is_of(*pid, uid)).collect()
}

fn is_of(pid: i32, uid: u32) -> bool {
    let Ok(status) = kernel::read(format!("/proc/{pid}/status")) else { return false };
    let status = String::from_utf8_lossy(&status);
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    let ended = field("State:").is_some_and(|state| matches!(state.trim().chars().next(), Some('Z' | 'X')));
    let owners = field("Uid:").unwrap_or_default();
    !ended && owners.split_whitespace().any(|owner| owner.parse() == Ok(uid))
}

fn name(pid: i32) -> String {
    let text = kernel::text(format!("/proc/{pid}/comm")).unwrap_or_default();
    crate::tenant::words::clean_line(text.trim())
}

/// Kills that very process: its number may be another's by now, so it is held first and looked at again.
fn kill(pid: i32, uid: u32) {
    let Some(target) = Pid::from_raw(pid) else { return };
    let Ok(held) = pidfd_open(target, PidfdFlags::empty()) else { return };
    if is_of(pid, uid) {
        // That it is gone is what is wanted.
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}
