//! The real machine: `host` behind the verbs of `apply`, for one tenant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::machine::{After, JobEnd, Lingering, Machine};
use super::settle;
use crate::error::{Error, Result};
use crate::host::interrupt::point;
use crate::host::logind::{self, Linger, Logind};
use crate::host::systemd::{JobOutcome, JobRequest, JobVerb, SystemdError, UserManager};
use crate::host::{clock, files, journal, runfiles, users};
use crate::layout::Layout;
use crate::ledger::{Ledger, Sha};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::render::{File, Link};
use crate::runfile::record::{self, Record};
use crate::snapshot::Fact;

/// How long a user's manager may take to come up after lingering was turned on.
const MANAGER_COMES: Duration = Duration::from_secs(30);
/// What a batch of jobs may take, whatever its size, and what each job adds: starts are admitted a
/// few at a time.
const BATCH: Duration = Duration::from_secs(60);
const PER_JOB: Duration = Duration::from_secs(2);
/// Lines that are shown of a unit that failed.
const LAST_LINES: usize = 10;
/// No kept last lines of a pane are longer.
const LONGEST_LAST: usize = 64 * 1024;

/// The machine as one tenant's user sees it.
#[derive(Debug)]
pub struct Real<'a> {
    layout: &'a Layout,
    uid: u32,
    manager: Option<UserManager>,
    limit: Option<Duration>,
}

impl<'a> Real<'a> {
    /// The machine of the user `uid`. Its manager may not run yet.
    pub fn new(layout: &'a Layout, uid: u32) -> Self {
        Self { layout, uid, manager: None, limit: None }
    }

    /// The same, with another limit for a batch of jobs.
    pub fn within(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// Has the user's manager do something. A connection that broke, or on which no answer came, is not used again: the
    /// next one soon shows whether anybody is there.
    fn ask<T>(
        &mut self,
        call: impl FnOnce(&UserManager) -> Result<T, SystemdError>,
    ) -> Result<T, SystemdError> {
        let manager = match self.manager.take() {
            Some(manager) => manager,
            None => UserManager::connect_for(self.uid, self.layout.home())?,
        };
        let answer = call(&manager);
        if !matches!(answer, Err(SystemdError::Late { .. } | SystemdError::Gone { .. })) {
            self.manager = Some(manager);
        }
        answer
    }
}

/// Carries out jobs in one batch, bounded by `limit` or else by their number, and adds the last lines of what failed.
pub fn batch(
    manager: &UserManager,
    layout: &Layout,
    jobs: &[JobRequest],
    limit: Option<Duration>,
    tell: &mut dyn FnMut(&JobEnd),
) -> Result<Vec<JobEnd>, SystemdError> {
    let usual = || BATCH + PER_JOB * u32::try_from(jobs.len()).unwrap_or(u32::MAX / 4);
    let bound = limit.unwrap_or_else(usual);
    let since = clock::now();
    let end = |outcome: &JobOutcome, after: Option<After>| {
        let lines = match &after {
            // Its pane says more than systemd does of how it went.
            Some(_) => said_by_pane(layout, &outcome.unit, since.unix)
                .unwrap_or_else(|| last_lines(layout, &outcome.unit, since.unix)),
            None if outcome.result.is_good() => Vec::new(),
            None => last_lines(layout, &outcome.unit, since.unix),
        };
        JobEnd { outcome: outcome.clone(), after, lines }
    };
    let jobs = &few_along(manager, jobs)?;
    let mut ends = Vec::new();
    // What failed is looked up after the batch: nothing may keep its signals waiting.
    let outcomes = manager.jobs(jobs, bound, |outcome| {
        if outcome.result.is_good() {
            tell(&end(outcome, None));
        }
    })?;
    let mut after = settle::look(layout, &outcomes, &since);
    for outcome in &outcomes {
        let end = end(outcome, after.remove(&outcome.unit));
        if !end.outcome.result.is_good() || end.after.is_some() {
            tell(&end);
        }
        ends.push(end);
    }
    Ok(ends)
}

/// The jobs as they are queued. An agent requires its holder and the holder wants all agents, so each
/// agent's job would bring along one of every other: ten thousand for a hundred. Where the holder is up, or
/// has a job of its own among these, its agents' jobs bring nothing.
fn few_along(manager: &UserManager, jobs: &[JobRequest]) -> Result<Vec<JobRequest>, SystemdError> {
    let holders = jobs.iter().find(|job| job.unit == HOLDER_UNIT).map(|job| job.verb);
    let holds = match holders {
        Some(verb) => verb != JobVerb::Stop,
        None if jobs.len() < 2 => false,
        None => manager.units(&[HOLDER_UNIT])?.values().any(|unit| unit.active == "active"),
    };
    let alone = |job: &JobRequest| match AgentName::from_unit(&job.unit) {
        Some(_) if holds => job.clone().alone(),
        _ => job.clone(),
    };
    Ok(jobs.iter().map(alone).collect())
}

/// What a unit said last since `since`, seconds since 1970: the journal's lines, else what its pane showed
/// when it ended.
fn last_lines(layout: &Layout, unit: &str, since: f64) -> Vec<String> {
    if let Fact::Known(lines) = journal::last_lines(unit, LAST_LINES, since) {
        return lines;
    }
    said_by_pane(layout, unit, since).unwrap_or_default()
}

/// What an agent's pane showed last when its runtime ended, where that was at or after `since`.
fn said_by_pane(layout: &Layout, unit: &str, since: f64) -> Option<Vec<String>> {
    let path = layout.last_lines(&AgentName::from_unit(unit)?);
    let kept = runfiles::read_text(&path, LONGEST_LAST).filter(|_| runfiles::changed_since(&path, since))?;
    let lines: Vec<String> = kept.lines().map(str::to_owned).collect();
    let lines = lines[lines.len().saturating_sub(LAST_LINES)..].to_vec();
    (!lines.is_empty()).then_some(lines)
}

/// Forgets in the record of an agent that does not run that it ended too soon, so that its next start
/// is not held back for that.
pub fn forget_ends(layout: &Layout, agent: &AgentName) -> Result<()> {
    let path = layout.record(agent);
    let record = runfiles::read_text(&path, record::LONGEST).as_deref().and_then(Record::parse);
    match record.filter(|record| record.boot_id == clock::boot_id() && record.quick_ends > 0) {
        Some(record) => Ok(runfiles::replace(&path, Record { quick_ends: 0, ..record }.text().as_bytes())?),
        None => Ok(()),
    }
}

/// A drop-in has a folder of its own, which goes with it.
fn tidy(path: &Path) {
    if let Some(folder) = path.parent().filter(|f| f.extension().is_some_and(|e| e == "d")) {
        files::remove_empty_folder(folder);
    }
}

fn names(units: &[String]) -> Vec<&str> {
    units.iter().map(String::as_str).collect()
}

impl Machine for Real<'_> {
    fn write(&mut self, file: &File) -> Result<()> {
        match &file.link {
            Some(target) => Ok(files::link(&file.path, target)?),
            None => Ok(files::replace(&file.path, file.content.as_bytes(), file.mode)?),
        }
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<()> {
        Ok(files::set_folder_mode(path, mode)?)
    }

    fn keep_copy(&mut self, from: &Path, to: &Path) -> Result<Sha> {
        Ok(Sha::of(&files::copy_aside(from, to)?))
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        files::remove(path)?;
        tidy(path);
        Ok(())
    }

    fn sweep(&mut self, path: &Path) -> Result<()> {
        files::sweep(path)?;
        tidy(path);
        Ok(())
    }

    fn clear(&mut self, paths: &[PathBuf]) -> Result<()> {
        paths.iter().try_for_each(|path| Ok(files::remove_whole(path)?))
    }

    fn keep_ledger(&mut self, ledger: &Ledger) -> Result<()> {
        let text = ledger.to_text(self.layout);
        Ok(files::replace(&self.layout.ledger(), text.as_bytes(), 0o600)?)
    }

    fn linger(&mut self) -> Result<Lingering> {
        // Turning lingering on for a home that is not the user's would help nobody.
        if let Err(error @ SystemdError::OtherHome { .. }) = self.ask(|_| Ok(())) {
            return Err(error.into());
        }
        let user = users::name_of(self.uid);
        let was_on = logind::linger(&user) == Fact::Known(true);
        let logind = Logind::connect().map_err(|error| {
            Error::from(error)
                .hint("the fleet needs a machine that systemd has booted, with logind")
                .hint(format!("there, an admin runs: sudo loginctl enable-linger {user}"))
        })?;
        if !was_on {
            point("linger");
            logind.set_linger(self.uid, Linger::On)?;
            point("lingers");
        }
        logind.wait_for_manager(self.uid, MANAGER_COMES)?;
        Ok(if was_on { Lingering::WasOn } else { Lingering::TurnedOn })
    }

    fn enable(&mut self, units: &[String], links: &[Link]) -> Result<()> {
        match self.ask(|manager| manager.enable(&names(units))) {
            Err(error) if error.says_none_runs() => {
                links.iter().try_for_each(|l| Ok(files::link(&l.path, &l.target)?))
            }
            answer => Ok(answer.map(drop)?),
        }
    }

    fn disable(&mut self, units: &[String], links: &[PathBuf]) -> Result<()> {
        match self.ask(|manager| manager.disable(&names(units))) {
            Err(error) if error.says_none_runs() => {
                links.iter().try_for_each(|path| Ok(files::remove(path)?))
            }
            answer => Ok(answer.map(drop)?),
        }
    }

    fn reload(&mut self) -> Result<()> {
        match self.ask(UserManager::reload) {
            Err(error) if error.says_none_runs() => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        if let Some(agent) = AgentName::from_unit(unit) {
            forget_ends(self.layout, &agent)?;
        }
        match self.ask(|manager| manager.reset_failed(unit)) {
            // It has forgotten the unit altogether.
            Err(SystemdError::Answered { name, .. }) if name.ends_with(".NoSuchUnit") => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn jobs(&mut self, jobs: &[JobRequest], tell: &mut dyn FnMut(&JobEnd)) -> Result<Vec<JobEnd>> {
        let (layout, limit) = (self.layout, self.limit);
        let ends = self.ask(|manager| batch(manager, layout, jobs, limit, tell))?;
        if ends.iter().any(|end| end.outcome.result.is_unknown()) {
            self.manager = None;
        }
        Ok(ends)
    }
}
