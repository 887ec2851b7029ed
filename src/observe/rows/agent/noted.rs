//! What an agent's supervisor has noted, and what its record says where it says nothing.

use super::Judge;
use crate::names::AgentName;
use crate::observe::row::PaneState;
use crate::observe::{Flag, Given};
use crate::roster::OnStale;
use crate::runfile;
use crate::runfile::record::{Record, State, unreadable};
use crate::snapshot::Fact;

/// So many starts within [`FLAPPING_WITHIN`] are flapping.
const FLAPPING_STARTS: usize = 3;
/// In seconds.
const FLAPPING_WITHIN: f64 = 600.0;
/// How long a kill by the OOM killer is shown, in seconds.
const OOM_SHOWN: f64 = 3600.0;
/// This program's version, which its supervisors should have.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why nothing of this boot is known from an agent's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unrecorded {
    /// No supervisor has written one.
    Nothing,
    /// It tells of an earlier boot.
    EarlierBoot,
    /// Something stands there that could not be read, or is none; why.
    NotRead(String),
}

/// What its supervisor recorded in this boot, and why that is nothing, where it is.
pub(super) fn record(given: &Given<'_>, agent: &AgentName) -> (Option<Record>, Unrecorded) {
    let text = match given.seen.records.get(agent) {
        None => return (None, Unrecorded::Nothing),
        Some(Fact::Unknown(why)) => return (None, Unrecorded::NotRead(why.clone())),
        Some(Fact::Known(text)) => text,
    };
    match Record::parse(text) {
        None => (None, Unrecorded::NotRead(unreadable(text))),
        Some(record) => {
            (Some(record).filter(|r| r.boot_id == given.seen.clock.boot_id), Unrecorded::EarlierBoot)
        }
    }
}

/// The version of the supervisor that wrote a record, whatever the record's own version.
fn supervisors_version(record: &str) -> Option<&str> {
    runfile::value(record, "supervisor").map(str::trim).filter(|v| !v.is_empty())
}

impl Judge<'_> {
    /// What its supervisor has noted.
    pub(super) fn supervisor(&mut self) {
        if let Unrecorded::NotRead(why) = self.unrecorded.clone() {
            self.not_known("record", why);
        }
        let this_boot = |text: &&String| {
            let boot = runfile::value(text, "boot_id").map(str::trim);
            boot.is_none_or(|boot| boot == self.given.seen.clock.boot_id)
        };
        let text = self.given.seen.records.get(&self.agent.name).and_then(Fact::known).filter(this_boot);
        if let Some(version) = text.and_then(|text| supervisors_version(text))
            && self.active()
            && version != VERSION
        {
            self.flag(Flag::Skew, format!("its supervisor is version {version}, this is {VERSION}"));
        }
        let Some(record) = self.record.clone() else { return };
        if self.agent.on_stale == OnStale::Restart
            && record.state == State::Running
            && let Some((_, beats)) = record.status.split_once("; ")
        {
            self.reasons.push(format!("on_stale: {beats}"));
        }
        let now = self.given.seen.clock.boottime;
        let recent = record.start_times.iter().filter(|s| now - **s <= FLAPPING_WITHIN).count();
        if recent >= FLAPPING_STARTS {
            self.flag(Flag::Flapping, format!("{recent} starts within ten minutes"));
        }
        let noted = record.last_oom.filter(|at| now - at <= OOM_SHOWN);
        // The kernel counts without a time. What its supervisor has not noted yet is news; of one that
        // notes at the end alone, a count is recent where all of the run is.
        let counted = self.given.seen.oom_kills.get(&self.agent.name.unit()).copied().unwrap_or(0);
        let recent = match record.run_oom_kills {
            Some(noted) => counted > noted,
            None => counted > 0 && record.started.is_some_and(|s| now - s <= OOM_SHOWN),
        };
        if let Some(at) = noted {
            self.flag(Flag::Oom, format!("the OOM killer ended a process of it {:.0} s ago", now - at));
        } else if recent {
            self.flag(Flag::Oom, format!("the OOM killer ended {counted} of its processes in this run"));
        }
    }

    /// Starts after the first; what can't be read is not taken for none.
    pub(super) fn restarts(&mut self) -> Option<u32> {
        if let Some(record) = &self.record {
            return Some(record.starts.saturating_sub(1));
        }
        let runs = self.active() || self.found.state == PaneState::Alive;
        let why = match self.unrecorded {
            Unrecorded::NotRead(_) => "its supervisor's record could not be read",
            Unrecorded::Nothing if runs => "its supervisor left no record",
            Unrecorded::EarlierBoot if runs => "its supervisor left no record in this boot",
            Unrecorded::Nothing | Unrecorded::EarlierBoot => return Some(0),
        };
        self.not_known("restarts", why);
        None
    }
}
