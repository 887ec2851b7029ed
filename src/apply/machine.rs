//! The door that `apply` goes through, in its own verbs.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::host::systemd::{JobOutcome, JobRequest};
use crate::ledger::{Ledger, Sha};
use crate::render::{File, Link};
use crate::runfile::record::{End, incurable};

/// What `apply` does to a machine. The real one stands on `host`; tests use one that remembers.
pub trait Machine {
    /// Puts a file in place, durably.
    fn write(&mut self, file: &File) -> Result<()>;
    /// Gives a folder its mode.
    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<()>;
    /// Copies a file aside; what it copied.
    fn keep_copy(&mut self, from: &Path, to: &Path) -> Result<Sha>;
    /// Removes a file or link.
    fn remove(&mut self, path: &Path) -> Result<()>;
    /// Removes what an interrupted write or removal left beside a file.
    fn sweep(&mut self, path: &Path) -> Result<()>;
    /// Removes files, and folders with all that is in them.
    fn clear(&mut self, paths: &[PathBuf]) -> Result<()>;
    /// Writes the ledger, durably.
    fn keep_ledger(&mut self, ledger: &Ledger) -> Result<()>;
    /// Turns lingering on where it is off, and waits for the user's manager.
    fn linger(&mut self) -> Result<Lingering>;
    /// Pulls units in: all of them in one call.
    fn enable(&mut self, units: &[String], links: &[Link]) -> Result<()>;
    /// Takes units out of what is pulled in: all of them in one call.
    fn disable(&mut self, units: &[String], links: &[PathBuf]) -> Result<()>;
    /// Makes the manager read its files again.
    fn reload(&mut self) -> Result<()>;
    /// Has the manager forget that a unit failed.
    fn reset_failed(&mut self, unit: &str) -> Result<()>;
    /// Carries out all jobs in one batch and tells each one's end as it comes.
    fn jobs(&mut self, jobs: &[JobRequest], tell: &mut dyn FnMut(&JobEnd)) -> Result<Vec<JobEnd>>;
}

/// What became of lingering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lingering {
    /// It was on already.
    WasOn,
    /// We turned it on.
    TurnedOn,
}

/// How one job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// The job and systemd's verdict.
    pub outcome: JobOutcome,
    /// What came after a start that was done.
    pub after: Option<After>,
    /// The last lines of the unit's own messages, where it failed.
    pub lines: Vec<String>,
}

/// An agent that was started and has ended again since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// How, in words for people.
    pub words: String,
    /// Whether nobody tries it again.
    pub is_over: bool,
}

impl After {
    /// One whose exit code says that a retry can't cure it.
    pub fn over(code: i32) -> Self {
        let what = incurable(code).unwrap_or("it can't go on");
        let words = format!("ended at once with exit code {code}: {what}, and trying again can't cure that");
        Self { words, is_over: true }
    }

    /// One that is tried again.
    pub fn again(end: End) -> Self {
        let how = match end {
            End::Exit(code) => format!("with exit code {code}"),
            End::Signal(signal) => format!("by signal {signal}"),
            End::Unknown => "in a way that is not known".to_owned(),
        };
        Self { words: format!("ended at once {how}, and is tried again"), is_over: false }
    }
}

impl JobEnd {
    /// Whether the unit is now as asked.
    pub fn is_good(&self) -> bool {
        self.outcome.result.is_good() && !self.after.as_ref().is_some_and(|after| after.is_over)
    }
}
