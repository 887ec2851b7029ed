//! The ledger while a plan is carried out: what is intended is written down before it is done,
//! what is done after it.

use std::path::{Path, PathBuf};

use super::Machine;
use crate::error::Result;
use crate::host::systemd::{JobOutcome, JobVerb};
use crate::ledger::{Applied, FileRecord, Identity, Ledger, Sha};
use crate::names::HOLDER_UNIT;
use crate::plan::{Action, Before, Plan, Reason, Step};
use crate::render::{File, Link, Role};

/// A copy may hold what a file of variables held.
const COPY_MODE: u32 = 0o600;

/// What stands in a file that is copied before it is overwritten. A copy of a roster is its owner's.
fn copied<'p>(plan: &'p Plan, from: &Path) -> Option<&'p [u8]> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::WriteFile { file, before: Before::File { content, .. } }
            if file.path == from && file.role != Role::Roster =>
        {
            Some(content.as_slice())
        }
        _ => None,
    })
}

/// The ledger and what of it is on disk already.
pub struct Books {
    ledger: Ledger,
    kept: Option<Ledger>,
    /// Where the holder's server is once the holder has been restarted.
    next_socket: Option<PathBuf>,
}

impl Books {
    /// The books of a ledger that is on disk as it is.
    pub fn open(ledger: Ledger) -> Self {
        Self { kept: Some(ledger.clone()), ledger, next_socket: None }
    }

    /// Writes the ledger where it says something new.
    pub fn keep(&mut self, machine: &mut dyn Machine) -> Result<()> {
        if self.kept.as_ref() != Some(&self.ledger) {
            machine.keep_ledger(&self.ledger)?;
            self.kept = Some(self.ledger.clone());
        }
        Ok(())
    }

    /// Files whose write was cut off in an earlier run.
    pub fn unfinished(&self) -> Vec<PathBuf> {
        let cut_off = self.ledger.files.iter().filter(|(_, record)| record.writing.is_some());
        cut_off.map(|(path, _)| path.clone()).collect()
    }

    /// Writes down what is about to be done to files, so that a run that is killed in the middle
    /// leaves nothing that the next one takes for somebody else's.
    pub fn intend(&mut self, plan: &Plan, identity: &Identity) {
        let ledger = &mut self.ledger;
        let socket = std::mem::replace(&mut ledger.identity, identity.clone()).socket;
        let restarts = |step: &Step| step.action == Action::Restart { unit: HOLDER_UNIT.to_owned() };
        if socket != identity.socket && plan.steps.iter().any(restarts) {
            // The server is where it was until then: a run that is cut off before must not hide
            // from the next one that the fleet moves.
            ledger.identity.socket = socket;
            self.next_socket = Some(identity.socket.clone());
        }
        ledger.reload_due |= plan.books.reload_due;
        ledger.restarts_due = plan.books.due.clone();
        for path in &plan.books.forget {
            ledger.files.remove(path);
            if ledger.links.remove(path).is_some()
                && let Some(unit) = path.file_name().and_then(|n| n.to_str())
                && let Some(record) = ledger.units.get_mut(unit)
            {
                // True again below where another link of it is left.
                record.enabled = false;
            }
        }
        for (path, record) in &plan.books.adopt {
            ledger.files.insert(path.clone(), record.clone());
        }
        for link in &plan.books.links {
            ledger.links.insert(link.path.clone(), link.target.clone());
        }
        for unit in &plan.books.brought {
            ledger.units.entry(unit.clone()).or_default();
        }
        for link in ledger.links.keys() {
            if let Some(record) = link.file_name().and_then(|n| ledger.units.get_mut(n.to_str()?)) {
                record.enabled = true;
            }
        }
        for step in &plan.steps {
            if let Action::KeepCopy { from, to } = &step.action
                && let Some(content) = copied(plan, from)
            {
                let writing = Some(Sha::of(content));
                ledger.files.insert(to.clone(), FileRecord { written: None, writing, mode: COPY_MODE });
            }
            if let Action::WriteFile { file, before } = &step.action
                && file.role != Role::Roster
            {
                let written = match before {
                    // Not ours until it is overwritten: a run that is cut off before that must leave
                    // it to the next as what it is.
                    _ if matches!(step.reason, Reason::Forced | Reason::TakenOver) => {
                        ledger.files.get(&file.path).and_then(|record| record.written)
                    }
                    Before::File { content, .. } => Some(Sha::of(content)),
                    Before::Nothing | Before::Link(_) => None,
                };
                let writing = Some(Sha::of(file.content.as_bytes()));
                ledger.files.insert(file.path.clone(), FileRecord { written, writing, mode: file.mode });
            }
        }
    }

    /// A file is there as it was intended.
    pub fn wrote(&mut self, file: &File) {
        let record = FileRecord::settled(Sha::of(file.content.as_bytes()), file.mode);
        self.ledger.files.insert(file.path.clone(), record);
    }

    /// A copy was kept; one that nothing was intended about is not ours to name.
    pub fn kept_copy(&mut self, path: &Path, sha: Sha) {
        if let Some(record) = self.ledger.files.get_mut(path) {
            *record = FileRecord::settled(sha, COPY_MODE);
        }
    }

    /// A file or link is there no more.
    pub fn removed(&mut self, path: &Path) {
        self.ledger.files.remove(path);
        self.ledger.links.remove(path);
    }

    /// Lingering was turned on, by us.
    pub fn lingers(&mut self) {
        self.ledger.linger_by_us = true;
    }

    /// These units are pulled in, by these links.
    pub fn enabled(&mut self, units: &[String], links: &[Link]) {
        for unit in units {
            self.ledger.units.entry(unit.clone()).or_default().enabled = true;
        }
        for link in links {
            self.ledger.links.insert(link.path.clone(), link.target.clone());
        }
    }

    /// These units are pulled in no more; these links are gone.
    pub fn disabled(&mut self, units: &[String], links: &[PathBuf]) {
        for unit in units {
            if let Some(record) = self.ledger.units.get_mut(unit) {
                record.enabled = false;
            }
        }
        for link in links {
            self.ledger.links.remove(link);
        }
    }

    /// The manager has read the files as they are.
    pub fn reloaded(&mut self) {
        self.ledger.reload_due = false;
    }

    /// Whether the manager may still have older files.
    pub fn reload_is_due(&self) -> bool {
        self.ledger.reload_due
    }

    /// A job is done: what it started runs with the files of now.
    pub fn ran(&mut self, job: &JobOutcome) {
        self.ledger.restarts_due.remove(&job.unit);
        if job.unit == HOLDER_UNIT && job.verb != JobVerb::Stop {
            // Every agent restarts with its holder.
            self.ledger.restarts_due.clear();
            if let Some(socket) = self.next_socket.take() {
                self.ledger.identity.socket = socket;
            }
        }
    }

    /// These units are not there any more.
    pub fn forget_units(&mut self, units: &[String]) {
        for unit in units {
            self.ledger.units.remove(unit);
        }
    }

    /// All of a plan was carried out, in that boot.
    pub fn applied(&mut self, now: &Applied) {
        self.ledger.applied = Some(now.clone());
    }
}
