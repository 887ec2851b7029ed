//! Carries out a plan: walks its steps phase by phase and writes the ledger after each, so that a
//! run that is cut off anywhere is completed by the next one. Decides nothing, prints nothing.

mod books;
mod machine;
mod real;

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::host::systemd::JobRequest;
use crate::ledger::{Applied, Identity, Ledger};
use crate::names::AgentName;
use crate::plan::{Action, Phase, Plan, Step};
use crate::render::Role;

pub use machine::{JobEnd, Lingering, Machine};
pub use real::{Real, batch, last_lines};

use books::Books;

/// Where and when a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion {
    /// What the ledger says of the fleet from now on.
    pub identity: Identity,
    /// The boot and the time, for the record of a run that carries everything out; `None` for one
    /// that stops before systemd.
    pub now: Option<Applied>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A phase begins; so many steps.
    Begin(Phase, usize),
    /// A step is done.
    Done(&'a Step),
    /// A job ended.
    Job(&'a JobEnd),
    /// A phase that had steps is over.
    End(Phase),
}

/// How it went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the machine refused; everything else was done.
    pub refused: Vec<Error>,
    /// Every job's end.
    pub jobs: Vec<JobEnd>,
}

impl Report {
    /// Jobs that failed.
    pub fn failed(&self) -> impl Iterator<Item = &JobEnd> {
        self.jobs.iter().filter(|j| !j.is_good())
    }

    /// Whether everything was done.
    pub fn complete(&self) -> bool {
        self.refused.is_empty() && self.failed().next().is_none()
    }
}

/// Carries out `plan`. An error means that files could not be written: nothing after them was
/// tried. What systemd or logind refuse stands in the report, and everything else is done.
pub fn apply(
    plan: &Plan,
    ledger: Ledger,
    occasion: &Occasion,
    machine: &mut dyn Machine,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Report> {
    let mut walk = Walk { plan, books: Books::open(ledger), machine, tell, report: Report::default() };
    walk.stop_unwanted();
    walk.end(Phase::BeforeFiles);
    walk.files(occasion)?;
    walk.end(Phase::Files);
    walk.linger()?;
    walk.end(Phase::Linger);
    walk.links()?;
    walk.end(Phase::BeforeReload);
    walk.reload();
    walk.end(Phase::Reload);
    walk.jobs()?;
    walk.end(Phase::AfterReload);
    walk.finish(occasion)?;
    Ok(walk.report)
}

struct Walk<'a> {
    plan: &'a Plan,
    books: Books,
    machine: &'a mut dyn Machine,
    tell: &'a mut dyn FnMut(Event<'_>),
    report: Report,
}

impl<'a> Walk<'a> {
    fn begin(&mut self, phase: Phase) -> Vec<&'a Step> {
        let steps: Vec<_> = self.plan.steps.iter().filter(|s| s.action.phase() == phase).collect();
        if !steps.is_empty() {
            (self.tell)(Event::Begin(phase, steps.len()));
        }
        steps
    }

    fn end(&mut self, phase: Phase) {
        if self.plan.steps.iter().any(|s| s.action.phase() == phase) {
            (self.tell)(Event::End(phase));
        }
    }

    fn done(&mut self, steps: &[&Step]) {
        for step in steps {
            (self.tell)(Event::Done(step));
        }
    }

    /// Ends what is not wanted any more while its files are still there: its last command reads
    /// them.
    fn stop_unwanted(&mut self) {
        let steps = self.begin(Phase::BeforeFiles);
        self.batch(&steps);
    }

    fn files(&mut self, occasion: &Occasion) -> Result<()> {
        let steps = self.begin(Phase::Files);
        // What a run that was killed may have left beside files that it wrote or removed.
        for path in self.books.unfinished().iter().chain(&self.plan.books.forget) {
            self.machine.sweep(path)?;
        }
        self.books.intend(self.plan, &occasion.identity);
        self.books.keep(self.machine)?;
        let result = steps.iter().try_for_each(|step| self.file(step));
        // Whatever stopped it, what was done is remembered.
        let kept = self.books.keep(self.machine);
        result.and(kept)
    }

    fn file(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::KeepCopy { from, to } => self.machine.keep_copy(from, to)?,
            Action::WriteFile { file, .. } => {
                self.machine.write(file)?;
                if file.role != Role::Roster {
                    self.books.wrote(file);
                }
            }
            Action::RemoveFile { agent, .. } if agent.as_ref().is_some_and(|a| self.still_up(a)) => {
                return Ok(());
            }
            Action::RemoveFile { path, .. } => {
                self.machine.remove(path)?;
                self.books.removed(path);
            }
            _ => return Ok(()),
        }
        self.done(&[step]);
        Ok(())
    }

    fn linger(&mut self) -> Result<()> {
        let steps = self.begin(Phase::Linger);
        if steps.is_empty() {
            return Ok(());
        }
        match self.machine.linger() {
            Ok(how) => {
                if how == Lingering::TurnedOn {
                    self.books.lingers();
                }
                self.done(&steps);
                self.books.keep(self.machine)
            }
            Err(error) => {
                self.report.refused.push(error);
                Ok(())
            }
        }
    }

    fn links(&mut self) -> Result<()> {
        let steps = self.begin(Phase::BeforeReload);
        if steps.is_empty() {
            return Ok(());
        }
        let (mut on, mut off) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (mut enables, mut disables) = (Vec::new(), Vec::new());
        for step in &steps {
            match &step.action {
                Action::Enable { unit, links } => {
                    on.0.push(unit.clone());
                    on.1.extend(links.iter().cloned());
                    enables.push(*step);
                }
                Action::Disable { unit, links } => {
                    off.0.push(unit.clone());
                    off.1.extend(links.iter().cloned());
                    disables.push(*step);
                }
                Action::RemoveLink { path } => match self.machine.remove(path) {
                    Ok(()) => {
                        self.books.removed(path);
                        self.done(&[step]);
                    }
                    Err(error) => self.report.refused.push(error),
                },
                _ => {}
            }
        }
        if !disables.is_empty() {
            match self.machine.disable(&off.0, &off.1) {
                Ok(()) => {
                    self.books.disabled(&off.0, &off.1);
                    self.done(&disables);
                }
                Err(error) => self.report.refused.push(error),
            }
        }
        if !enables.is_empty() {
            match self.machine.enable(&on.0, &on.1) {
                Ok(()) => {
                    self.books.enabled(&on.0, &on.1);
                    self.done(&enables);
                }
                Err(error) => self.report.refused.push(error),
            }
        }
        self.books.keep(self.machine)
    }

    fn reload(&mut self) {
        let steps = self.begin(Phase::Reload);
        if steps.is_empty() {
            return;
        }
        match self.machine.reload() {
            Ok(()) => {
                self.books.reloaded();
                self.done(&steps);
            }
            Err(error) => self.report.refused.push(error),
        }
    }

    fn jobs(&mut self) -> Result<()> {
        let steps = self.begin(Phase::AfterReload);
        // A reload that failed leaves the manager with older files: what it would start is not
        // what the roster says.
        if steps.is_empty() || self.books.reload_is_due() {
            return Ok(());
        }
        self.batch(&steps);
        self.books.keep(self.machine)
    }

    fn batch(&mut self, steps: &[&Step]) {
        let jobs: Vec<JobRequest> = steps.iter().filter_map(|s| job(&s.action)).collect();
        if jobs.is_empty() {
            return;
        }
        let tell = &mut *self.tell;
        match self.machine.jobs(&jobs, &mut |end| tell(Event::Job(end))) {
            Ok(ends) => {
                for end in ends.iter().filter(|e| e.is_good()) {
                    self.books.ran(&end.outcome);
                }
                self.report.jobs.extend(ends);
            }
            Err(error) => self.report.refused.push(error),
        }
    }

    /// Whether the unit of a removed agent could not be stopped: then its files are kept.
    fn still_up(&self, agent: &AgentName) -> bool {
        let unit = agent.unit();
        let wanted_down = self.plan.steps.iter().any(|s| s.action == Action::Stop { unit: unit.clone() });
        let is_down = self.report.jobs.iter().any(|e| e.outcome.unit == unit && e.is_good());
        wanted_down && !is_down
    }

    fn finish(&mut self, occasion: &Occasion) -> Result<()> {
        let down = |unit: &&String| self.report.failed().all(|e| e.outcome.unit != **unit);
        let gone: Vec<_> = self.plan.books.gone.iter().filter(down).cloned().collect();
        if self.report.refused.is_empty() {
            self.books.forget_units(&gone);
        }
        if let Some(now) = occasion.now.as_ref().filter(|_| self.report.complete()) {
            self.books.applied(now);
        }
        self.books.keep(self.machine)
    }
}

fn job(action: &Action) -> Option<JobRequest> {
    match action {
        Action::Start { unit } => Some(JobRequest::start(unit)),
        Action::Stop { unit } => Some(JobRequest::stop(unit)),
        Action::Restart { unit } => Some(JobRequest::restart(unit)),
        _ => None,
    }
}
