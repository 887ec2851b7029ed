//! Ends all that runs as a user, or as one of its subordinate uids, and says what is left.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::system::System;
use super::{accounts, child};
use crate::error::{Error, Result};
use crate::host::kernel;
use crate::tenant::books::Span;
use crate::tenant::wire::Who;

/// How long it may take until the last process is gone.
const GONE: Duration = Duration::from_secs(30);
/// How long processes may take to end by themselves before they are killed.
const GENTLY: Duration = Duration::from_secs(3);
/// Between two looks.
const STEP: Duration = Duration::from_millis(50);

/// Ends everything of the user, which may be gone from the password database, and of `spans`, uids that are
/// subordinate to it alone; waits until nothing is left. Whether there was anything.
pub fn everything(system: &System, who: &Who, spans: &[Span]) -> Result<bool> {
    let began = Instant::now();
    let uid = who.uid;
    let running = || processes(uid, spans);
    let any = !running().is_empty();
    system.terminate(uid)?;
    while !running().is_empty() && began.elapsed() < GENTLY {
        std::thread::sleep(STEP);
    }
    loop {
        // What is another process whenever it is looked at is seen in no list, and met by this alone. So is all that
        // is in a user namespace of the tenant's, whatever its uid.
        let swept = child::end_all(who);
        let left = running();
        match swept {
            Ok(()) if left.is_empty() => return Ok(any),
            Err(error) if left.is_empty() && began.elapsed() > GONE => return Err(error.into()),
            _ if began.elapsed() > GONE => return Err(are_left(&left, uid)),
            _ => {}
        }
        system.stop(uid);
        // All of a slice at once: what multiplies gets no step ahead.
        system.kill(uid);
        left.iter().for_each(|pid| kill(*pid, uid, spans));
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
    .hint(format!(
        "see for what they wait: ps -o pid,user,stat,wchan:30,args {}",
        left.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join(" ")
    ))
}

/// Processes any of whose user ids is `uid` or one of `spans`, but for those that have ended and wait for their
/// parent.
fn processes(uid: u32, spans: &[Span]) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| is_of(*pid, uid, spans)).collect()
}

fn is_of(pid: i32, uid: u32, spans: &[Span]) -> bool {
    let Ok(status) = kernel::read(format!("/proc/{pid}/status")) else { return false };
    let status = String::from_utf8_lossy(&status);
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    let ended = field("State:").is_some_and(|state| matches!(state.trim().chars().next(), Some('Z' | 'X')));
    let owners = field("Uid:").unwrap_or_default();
    let owners: Vec<u32> = owners.split_whitespace().filter_map(|owner| owner.parse().ok()).collect();
    !ended && (owners.contains(&uid) || owners.iter().any(|owner| is_below(pid, *owner, spans)))
}

/// Whether a process with that uid has it by the tenant's subordinate ones. In a user namespace of its own it is
/// the tenant's if the tenant may kill it, and may be a container of root's where it may not: neither is for us.
fn is_below(pid: i32, owner: u32, spans: &[Span]) -> bool {
    spans.iter().any(|span| span.has(owner))
        && ["user", "pid"].iter().all(|kind| is_in_our(kind, pid))
        && matches!(accounts::by_uid(owner), Ok(None))
}

fn is_in_our(kind: &str, pid: i32) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/{kind}")).ok();
    namespace("self").is_some_and(|ours| Some(ours) == namespace(&pid.to_string()))
}

fn name(pid: i32) -> String {
    let text = kernel::text(format!("/proc/{pid}/comm")).unwrap_or_default();
    crate::tenant::words::clean_line(text.trim())
}

/// Kills that very process: its number may be another's by now, so it is held first and looked at again.
fn kill(pid: i32, uid: u32, spans: &[Span]) {
    let Some(target) = Pid::from_raw(pid) else { return };
    let Ok(held) = pidfd_open(target, PidfdFlags::empty()) else { return };
    if is_of(pid, uid, spans) {
        // That it is gone is what is wanted.
        let _ = pidfd_send_signal(held, Signal::KILL);
    }
}
