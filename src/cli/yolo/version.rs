//! Notes which version of a runtime an agent is launched with, where its package tells it. The
//! runtime is not asked: that would start it.

use std::path::Path;

use crate::cli::Context;
use crate::host::{above, ancestry, clock, runfiles};
use crate::names::{AgentName, RuntimeName};
use crate::runfile::launched::{self, Launched};
use crate::runtime::{Kind, version};

/// Leaves the note for `fleet ps`. That it can't be left is no obstacle: ps then says so.
pub fn note(context: &Context, agent: &AgentName, runtime: &RuntimeName, program: &Path) {
    let Some(package) = Kind::of(runtime).package() else { return };
    let path = context.layout.launched(agent);
    let boot_id = clock::boot_id();
    let noted = runfiles::read_text(&path, launched::LONGEST).and_then(|text| Launched::parse(&text));
    // What an agent launches below itself is not the agent.
    let is_above = |pid| ancestry::ancestors().iter().any(|(above, _)| *above == pid);
    if noted.is_some_and(|noted| noted.boot_id == boot_id && is_above(noted.pid)) {
        return;
    }
    let take = |content: &[u8]| version::in_package(content, package.name);
    let version = match above::find(program, "package.json", version::LONGEST, take) {
        Ok(Some(told)) => told,
        Ok(None) => Err(format!("no package.json of {} is above its program", package.name)),
        Err(error) => Err(format!("its program could not be followed: {error}")),
    };
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    let note = Launched { pid, boot_id, runtime: runtime.to_string(), version };
    let _ = runfiles::replace(&path, note.text().as_bytes());
}
