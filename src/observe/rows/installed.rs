//! What we installed against what stands there now: what was changed by hand, and what waits for a
//! restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layout::{Layout, below};
use crate::ledger::{Due, FileRecord, Ledger, Sha, copied_from};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::observe::Given;
use crate::plan::agent_of;
use crate::runfile;
use crate::runfile::environment;
use crate::runfile::record::Record;
use crate::snapshot::{EnvironmentFiles, Fact, FileFacts};

/// The files of ours, but for the agents' environment files, that rows are judged by.
pub fn judged<'l>(layout: &'l Layout, ledger: &'l Ledger) -> impl Iterator<Item = PathBuf> + 'l {
    let (framework, agents) = (layout.framework(), layout.agents());
    let judged = move |path: &&PathBuf| {
        below(path, &framework).is_none()
            && below(path, &agents).is_none_or(|name| name.contains('/'))
            && copied_from(path).is_none()
    };
    ledger.files.keys().filter(judged).cloned()
}

/// The judgement on a fleet's files.
#[derive(Debug, Default)]
pub struct Installed<'a> {
    ledger: Option<&'a Ledger>,
    /// Why nothing of it is known, where it is not.
    pub unknown: Option<&'a str>,
    /// Changes by hand of what every agent runs with.
    shared: Vec<String>,
    /// Of what one does.
    own: BTreeMap<AgentName, Vec<String>>,
    /// Whether the holder waits for a restart.
    holder_due: bool,
}

impl<'a> Installed<'a> {
    /// Of all files.
    pub fn of(given: &Given<'a>) -> Self {
        let ledger = match given.installed {
            Fact::Known(Some(ledger)) => ledger,
            Fact::Known(None) => return Self::default(),
            Fact::Unknown(why) => return Self { unknown: Some(why), ..Self::default() },
        };
        let mut installed = Self { ledger: Some(ledger), ..Self::default() };
        let (framework, agents) = (given.layout.framework(), given.layout.agents());
        for (path, record) in &ledger.files {
            if below(path, &framework).is_some() {
                continue;
            }
            let environment = below(path, &agents).and_then(|name| name.strip_suffix(".env"));
            let environment = environment.and_then(|name| AgentName::parse(name).ok());
            let what = match &environment {
                // A copy of what was overwritten is nobody's to run with.
                None if copied_from(path).is_some() => continue,
                None => by_hand(record, given.seen.files.get(path)),
                Some(agent) => installed.environment(given, agent, record),
            };
            let Some(what) = what else { continue };
            let shown = path.strip_prefix(given.layout.home());
            let shown = shown.map_or_else(|_| path.clone(), |below| Path::new("~").join(below));
            let told = format!("{} {what}", shown.display());
            match environment.or_else(|| agent_of(path)) {
                Some(agent) => installed.own.entry(agent).or_default().push(told),
                None => installed.shared.push(told),
            }
        }
        let holder = given.seen.units.known().and_then(|units| units.get(HOLDER_UNIT)?.detail.as_ref());
        installed.holder_due = ledger
            .restarts_due
            .get(HOLDER_UNIT)
            .is_some_and(|due| holds(due, given, holder.map(|detail| detail.main_pid)));
        installed
    }

    /// How an agent's environment file is not as we wrote it.
    fn environment(&self, given: &Given<'_>, agent: &AgentName, record: &FileRecord) -> Option<String> {
        match given.seen.environments.get(agent)? {
            EnvironmentFiles::Seen { rendered, .. } => by_hand(record, rendered.as_ref()),
            EnvironmentFiles::AsStarted => {
                let told = given.seen.records.get(agent)?.known()?;
                let started = environment::rendered(runfile::value(told, "environment")?)?;
                changed(record, Sha::parse(started)?)
            }
        }
    }

    /// What was changed by hand of what this agent runs with.
    pub fn edited(&self, agent: &AgentName) -> Vec<&str> {
        self.own.get(agent).into_iter().flatten().chain(&self.shared).map(String::as_str).collect()
    }

    /// What this agent, which runs, waits for.
    pub fn pending(&self, given: &Given<'_>, agent: &AgentName, record: Option<&Record>) -> Vec<String> {
        let due = self.ledger.and_then(|ledger| ledger.restarts_due.get(&agent.unit()));
        let mut waits = Vec::new();
        if let Some(due) = due.filter(|due| holds(due, given, record.map(|r| r.supervisor_pid))) {
            let apply = if due.shared { "" } else { "fleet apply, or " };
            waits
                .push(format!("it runs with files from before the last apply: {apply}fleet restart {agent}"));
        }
        if self.holder_due {
            waits.push(
                "the holder runs with files from before the last apply: fleet apply --restart-holder"
                    .to_owned(),
            );
        }
        waits
    }
}

/// Whether a restart is still due: not once the boot or the main process is another.
fn holds(due: &Due, given: &Given<'_>, main_pid: Option<i32>) -> bool {
    let same = |pid: i32| pid == 0 || due.main_pid == 0 || pid == due.main_pid;
    due.boot_id == given.seen.clock.boot_id && main_pid.is_none_or(same)
}

/// How a file of ours is not as we wrote it. One that can't be read is not known to be.
fn by_hand(record: &FileRecord, seen: Option<&Fact<FileFacts>>) -> Option<String> {
    match seen {
        None => record.written.map(|_| "was removed".to_owned()),
        // Only the machine's configuration changes it, nobody by hand.
        Some(Fact::Unknown(_) | Fact::Known(FileFacts::Declared { .. })) => None,
        Some(Fact::Known(FileFacts::File { content, .. })) => changed(record, Sha::of(content)),
        Some(Fact::Known(FileFacts::Link(_))) => Some("is a link now".to_owned()),
        Some(Fact::Known(FileFacts::Other(kind))) => Some(format!("is {kind} now")),
    }
}

fn changed(record: &FileRecord, now: Sha) -> Option<String> {
    (!record.owns(now)).then(|| "was changed".to_owned())
}
