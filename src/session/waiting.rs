//! Messages that waited for the agent's start: whether there are any, and who types them. Types
//! nothing itself: what that takes would stay in the supervisor for days.

use std::process::{Command, Stdio};

use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::queued::Place;

/// Starts `fleet agent deliver` where messages wait. It waits until the runtime is ready, and is
/// in the unit's cgroup, so that it ends with it. The shell in between gives it away: nobody here
/// would see its end.
pub fn deliver(layout: &Layout, agent: &AgentName) {
    let waits = |entry: std::fs::DirEntry| entry.file_name().to_str().is_some_and(|n| Place::of(n).is_some());
    let Ok(mut entries) = std::fs::read_dir(layout.queue(agent)) else { return };
    if !entries.any(|entry| entry.is_ok_and(waits)) {
        return;
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", r#""$0" --mosaic-home "$1" agent deliver "$2" >/dev/null &"#]);
    shell.arg(super::own_program()).arg(layout.mosaic()).arg(agent.as_str());
    // A message that is not typed now waits for the next turn; its receipt says so.
    let _ = shell.stdin(Stdio::null()).status();
}
