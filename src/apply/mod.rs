//! Carries out a plan: walks its steps phase by phase and writes the ledger after each, so that a
//! run that is cut off anywhere is completed by the next one. Decides nothing, prints nothing.

mod books;
mod machine;
mod real;
mod settle;
mod walk;

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::ledger::{Applied, Identity, Ledger};
use crate::plan::{Phase, Plan, Step};

pub use machine::{After, JobEnd, Lingering, Machine};
pub use real::{Real, batch, forget_ends};

use walk::Walk;

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
    let mut walk = Walk::new(plan, ledger, machine, tell);
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
