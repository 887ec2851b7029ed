//! The walk over a plan: one function a phase. It keeps the ledger and collects what was refused.

use super::books::Books;
use super::machine::{Lingering, Machine};
use super::{Event, Occasion, Report};
use crate::error::Result;
use crate::host::systemd::JobRequest;
use crate::ledger::Ledger;
use crate::names::AgentName;
use crate::plan::{Action, Phase, Plan, Step};
use crate::render::Role;

/// A walk that is under way.
pub struct Walk<'a> {
    plan: &'a Plan,
    books: Books,
    machine: &'a mut dyn Machine,
    tell: &'a mut dyn FnMut(Event<'_>),
    /// What has come of it so far.
    pub report: Report,
}

impl<'a> Walk<'a> {
    /// At the beginning of a plan, with the ledger as it is on disk.
    pub fn new(
        plan: &'a Plan,
        ledger: Ledger,
        machine: &'a mut dyn Machine,
        tell: &'a mut dyn FnMut(Event<'_>),
    ) -> Self {
        Self { plan, books: Books::open(ledger), machine, tell, report: Report::default() }
    }

    fn begin(&mut self, phase: Phase) -> Vec<&'a Step> {
        let steps: Vec<_> = self.plan.steps.iter().filter(|s| s.action.phase() == phase).collect();
        if !steps.is_empty() {
            (self.tell)(Event::Begin(phase, steps.len()));
        }
        steps
    }

    /// Tells that a phase is over, where it had steps.
    pub fn end(&mut self, phase: Phase) {
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
    pub fn stop_unwanted(&mut self) {
        let steps = self.begin(Phase::BeforeFiles);
        self.batch(&steps);
    }

    /// Writes and removes files, what is intended in the ledger before the first and what was done after
    /// the last, whatever stopped it.
    pub fn files(&mut self, occasion: &Occasion) -> Result<()> {
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
            Action::SetMode { path, mode } => self.machine.set_mode(path, *mode)?,
            Action::KeepCopy { from, to } => {
                let copied = self.machine.keep_copy(from, to)?;
                self.books.kept_copy(to, copied);
            }
            Action::WriteFile { file, .. } => {
                self.machine.write(file)?;
                if file.role != Role::Roster {
                    self.books.wrote(file);
                }
            }
            Action::RemoveFile { agent, .. } if agent.as_ref().is_some_and(|a| self.still_up(a)) => {
                return Ok(());
            }
            Action::Clear { agent, .. } if self.still_up(agent) => return Ok(()),
            Action::Clear { paths, .. } => self.machine.clear(paths)?,
            Action::RemoveFile { path, .. } => {
                self.machine.remove(path)?;
                self.books.removed(path);
            }
            _ => return Ok(()),
        }
        self.done(&[step]);
        Ok(())
    }

    /// Turns lingering on. A refusal is an admin's matter and stops nothing else.
    pub fn linger(&mut self) -> Result<()> {
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

    /// Makes and removes the links that pull units in, all of a kind at once.
    pub fn links(&mut self) -> Result<()> {
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

    /// Has the manager read the files anew.
    pub fn reload(&mut self) {
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

    /// Starts, restarts and stops in one batch, unless the manager still has older files.
    pub fn jobs(&mut self) -> Result<()> {
        let steps = self.begin(Phase::AfterReload);
        // A reload that failed leaves the manager with older files: what it would start is not
        // what the roster says.
        if steps.is_empty() || self.books.reload_is_due() {
            return Ok(());
        }
        for step in &steps {
            if let Action::ResetFailed { unit } = &step.action {
                match self.machine.reset_failed(unit) {
                    Ok(()) => self.done(&[step]),
                    Err(error) => self.report.refused.push(error),
                }
            }
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
                // Whatever became of it then, it was started with the files of now.
                for end in ends.iter().filter(|e| e.outcome.result.is_good()) {
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

    /// Closes the books: units that are gone are forgotten, and the boot of a walk that carried out all is kept.
    pub fn finish(&mut self, occasion: &Occasion) -> Result<()> {
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
