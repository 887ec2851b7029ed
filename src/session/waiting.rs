//! Messages that wait for the agent: whether there are any, and who types them. Types nothing itself: what
//! that takes would stay in the supervisor for days.

use std::path::Path;

use crate::host::bell;
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::queued::Place;

/// Starts `fleet agent deliver` where messages wait. It waits until the runtime is ready, and is in the
/// unit's cgroup, so that it ends with it.
pub fn deliver(layout: &Layout, agent: &AgentName) {
    // One that was claimed may be of somebody who died with it.
    let waits =
        |entry: std::fs::DirEntry| entry.file_name().to_str().is_some_and(|n| Place::of_any(n).is_some());
    let Ok(mut entries) = std::fs::read_dir(layout.queue(agent)) else { return };
    if entries.any(|entry| entry.is_ok_and(waits)) {
        bell::answer(Path::new(&super::own_program()), layout, agent);
    }
}
