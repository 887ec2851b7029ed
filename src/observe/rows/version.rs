//! The version of the runtime that an agent runs, as its launch noted it.

use super::pane::Found;
use crate::observe::Given;
use crate::roster::Agent;
use crate::runfile::heartbeat;
use crate::runfile::launched::{Launched, is_version};
use crate::runfile::record::Record;
use crate::runtime::Kind;
use crate::snapshot::Fact;

/// The version, or why it is not known. `is_it`: what runs was seen to be the roster's runtime.
pub fn of(
    given: &Given<'_>,
    agent: &Agent,
    found: &Found<'_>,
    record: Option<&Record>,
    is_it: bool,
) -> Result<String, String> {
    let Some(pid) = found.pid else { return Err("it does not run".to_owned()) };
    match Kind::of(&agent.runtime) {
        Kind::Custom => return Err("a runtime of the roster's own does not tell it".to_owned()),
        // It is part of the program that supervises it.
        Kind::Dogfood if !is_it => return Err("what runs is not known to be dogfood".to_owned()),
        Kind::Dogfood => {
            let record = record.filter(|record| record.runtime_pid == Some(pid));
            let version = record.map(|record| record.supervisor.clone()).filter(|v| is_version(v));
            return version.ok_or_else(|| "its supervisor's record does not tell of this run".to_owned());
        }
        Kind::Claude | Kind::Codex | Kind::OpenCode | Kind::Pi => {}
    }
    let seen = given.seen;
    let text = match seen.launched.get(&agent.name) {
        Some(Fact::Known(text)) => text,
        Some(Fact::Unknown(why)) => return Err(why.clone()),
        None => return Err("it was not noted at its launch".to_owned()),
    };
    let note = Launched::parse(text).ok_or("what was noted at its launch can't be read")?;
    let of_this_run = note.boot_id == seen.clock.boot_id
        && note.runtime == agent.runtime.as_str()
        && (note.pid == pid || heartbeat::within(&seen.processes, pid, note.pid));
    if !of_this_run {
        return Err("what was noted is of another launch".to_owned());
    }
    note.version
}
