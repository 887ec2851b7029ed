//! What has to be done so that a machine is what the roster says: ordered steps, each with its
//! reason. Pure: it reads no disk and asks nobody; `apply` does exactly what stands here.

mod conflict;
mod declared;
mod files;
mod links;
mod options;
mod reason;
mod roster;
mod step;
mod units;

#[cfg(test)]
pub mod case;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ledger::{Due, FileRecord, Ledger, copy_name};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::render::{Desired, Link};
use crate::snapshot::Snapshot;

pub use conflict::{Change, Conflict, ConflictKind, Resolution};
pub use files::agent_of;
pub use options::{Conflicts, HolderRestart, Options, Reach, Restarts, Server, Starting, Units};
pub use reason::Reason;
pub use roster::{RosterFile, roster_file};
pub use step::{Action, Before, Phase, Step};

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// In the order in which they are carried out.
    pub steps: Vec<Step>,
    /// Files that are not as we left them, and what else is in the way.
    pub conflicts: Vec<Conflict>,
    /// Why nothing at all is done, where that is so: then there is no step.
    pub refused: Option<Refusal>,
    /// Restarts that are due and not part of this plan.
    pub pending: Vec<Pending>,
    /// What a person should know besides.
    pub notes: Vec<String>,
    /// What the ledger should know that asks for no step.
    pub books: Books,
}

/// Why nothing at all is done, not even to the books: what is recorded is how the next run sees the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The fleet moves to another server, and the caller has not allowed what ends every pane.
    MovesServer,
    /// The holder's unit is somebody else's: our agents would stand in a server that is not ours,
    /// side by side with its own sessions.
    HandMade,
}

impl Refusal {
    /// The word that stands in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Self::MovesServer => "moves-server",
            Self::HandMade => "hand-made",
        }
    }

    /// Why, in words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::MovesServer => "the fleet moves to another tmux server, which ends every pane",
            Self::HandMade => "the holder's unit was not written by us",
        }
    }

    /// The command that does it nevertheless.
    pub fn cure(self) -> &'static str {
        match self {
            Self::MovesServer => "fleet apply --restart-holder",
            Self::HandMade => "fleet apply --adopt",
        }
    }
}

/// What the ledger should know that asks for no step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Books {
    /// Files that stand as they should and are not in it, or not like this.
    pub adopt: Vec<(PathBuf, FileRecord)>,
    /// Files and links that it names and that are gone, or are not ours any more.
    pub forget: Vec<PathBuf>,
    /// Links that stand as they should and are not in it.
    pub links: Vec<Link>,
    /// Units that the roster has and the ledger does not.
    pub brought: Vec<String>,
    /// Units that the ledger has and the roster does not: forgotten once every step about them is
    /// done.
    pub gone: Vec<String>,
    /// Unit files or links change, or did in a run that was cut off.
    pub reload_due: bool,
    /// Every restart that is due once the files are written, the planned ones among them.
    pub due: BTreeMap<String, Due>,
}

/// A restart that is due and not part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The unit.
    pub unit: String,
    /// Why it is due.
    pub reason: Reason,
    /// Agents whose pane would die by it.
    pub impact: Vec<AgentName>,
}

impl Pending {
    /// The command that does it.
    pub fn cure(&self) -> String {
        if self.unit == HOLDER_UNIT {
            return "fleet apply --restart-holder".to_owned();
        }
        AgentName::from_unit(&self.unit)
            .map_or_else(|| "fleet apply".to_owned(), |agent| format!("fleet restart {agent}"))
    }
}

/// What has to be done so that `seen` becomes `desired`.
pub fn plan(desired: &Desired, seen: &Snapshot, ledger: &Ledger, options: &Options) -> Plan {
    let mut plan = Plan::default();
    let changed = files::plan(desired, seen, ledger, options, &mut plan);
    files::stand_ins(seen, &mut plan);
    let masked = plan.kept().filter_map(|c| match &c.kind {
        ConflictKind::Mask(unit) => Some(unit.clone()),
        _ => None,
    });
    let masked = masked.collect();
    let declared = options.units == Units::Declared || declared::are_declared(desired, seen);
    let given = units::Given { desired, seen, ledger, options, masked: &masked, declared };
    if let Some((path, pending)) = given.holder_in_the_way() {
        let mut conflicts = vec![Conflict::kept(path, ConflictKind::MovesServer)];
        // What keeps the holder from being restarted, too, has to go first.
        conflicts.extend(plan.conflicts.into_iter().filter(|c| c.kind.unit() == Some(HOLDER_UNIT)));
        return Plan { pending: vec![pending], ..Plan::refuse(Refusal::MovesServer, conflicts, ledger) };
    }
    if given.is_hand_made(&plan.conflicts) {
        let kept = |c: Conflict| Conflict { resolution: Resolution::Kept, ..c };
        let conflicts = plan.conflicts.into_iter().map(kept).collect();
        return Plan::refuse(Refusal::HandMade, conflicts, ledger);
    }
    links::plan(&changed, &given, &mut plan);
    units::plan(&changed, &given, &mut plan);
    if options.reach == Reach::FilesOnly {
        plan.stop_before_systemd(seen);
    }
    plan.steps.sort_by_key(|s| s.action.phase());
    plan
}

impl Plan {
    /// Whether the machine is as it should be.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// One that does nothing.
    fn refuse(refusal: Refusal, conflicts: Vec<Conflict>, ledger: &Ledger) -> Self {
        let books = Books { due: ledger.restarts_due.clone(), ..Books::default() };
        Self { conflicts, refused: Some(refusal), books, ..Self::default() }
    }

    /// Whether something is kept that should be otherwise.
    pub fn kept(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.iter().filter(|c| c.resolution == Resolution::Kept)
    }

    /// Whether the ledger has to be written although no step asks for it.
    pub fn changes_books(&self, ledger: &Ledger) -> bool {
        let books = &self.books;
        !books.adopt.is_empty()
            || !books.forget.is_empty()
            || !books.links.is_empty()
            || !books.brought.is_empty()
            || !books.gone.is_empty()
            || books.due != ledger.restarts_due
            || ledger.unfinished()
    }

    /// Leaves out what is not about files, and files of a unit that is still up or enabled.
    fn stop_before_systemd(&mut self, seen: &Snapshot) {
        let in_use = |agent: &AgentName| {
            let unit = agent.unit();
            let up = seen.units.known().is_none_or(|units| {
                units.get(&unit).is_some_and(|u| !matches!(u.active.as_str(), "inactive" | "failed"))
            });
            up || seen.wants.known().is_none_or(|wants| wants.iter().any(|(_, name)| *name == unit))
        };
        self.steps.retain(|step| match &step.action {
            Action::RemoveFile { agent: Some(agent), .. } | Action::Clear { agent, .. } => !in_use(agent),
            action => action.phase() == Phase::Files,
        });
        // What the ledger says of units stays true: nothing was done about them.
        self.books.gone.clear();
    }

    /// Keeps a copy of each file that is overwritten although it is not as we left it, named by the
    /// `time`, RFC 3339.
    pub fn keep_copies(&mut self, time: &str) {
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in std::mem::take(&mut self.steps) {
            if let Action::WriteFile { file, before: Before::File { .. } } = &step.action
                && step.reason == Reason::Forced
            {
                let (from, to) = (file.path.clone(), copy_name(&file.path, time));
                let action = Action::KeepCopy { from, to };
                steps.push(Step { action, reason: Reason::Backup, impact: Vec::new() });
            }
            steps.push(step);
        }
        self.steps = steps;
    }

    /// Puts steps in front of those of the same phase.
    pub fn prepend(&mut self, steps: Vec<Step>) {
        self.steps.splice(0..0, steps);
        self.steps.sort_by_key(|s| s.action.phase());
    }
}
