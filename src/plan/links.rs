//! Links and lingering: what is pulled in at boot, and the one reload that makes it known.

use std::path::{Path, PathBuf};

use super::files::Changed;
use super::units::{Given, Wanted};
use super::{Action, Conflict, ConflictKind, Plan, Reason, Units};
use crate::names::AgentName;
use crate::render::{Link, Unit};
use crate::snapshot::Fact;

/// Plans lingering, links and the reload.
pub fn plan(changed: &Changed, given: &Given<'_>, plan: &mut Plan) {
    given.linger(plan);
    given.bring(plan);
    for unit in &given.desired.units {
        if unit.enabled { given.enable(unit, plan) } else { given.disable_unwanted(unit, plan) }
    }
    given.disable_removed(plan);
    given.stale_links(plan);
    given.reload(changed, plan);
}

impl Given<'_> {
    fn linger(&self, plan: &mut Plan) {
        match &self.seen.linger {
            Fact::Known(true) => {}
            _ if self.options.units == Units::Declared => {
                plan.notes
                    .push("lingering is not on, and is this machine's configuration's to turn on".into());
            }
            Fact::Known(false) => plan.push(Action::EnableLinger, Reason::LingerOff, Vec::new()),
            Fact::Unknown(why) => {
                plan.push(Action::EnableLinger, Reason::LingerUnknown(why.clone()), Vec::new());
            }
        }
    }

    /// Units that the ledger does not know yet.
    fn bring(&self, plan: &mut Plan) {
        let new = self.desired.units.iter().filter(|u| !self.ledger.units.contains_key(&u.name));
        plan.books.brought = new.map(|u| u.name.clone()).collect();
    }

    fn enable(&self, unit: &Unit, plan: &mut Plan) {
        let mut missing = Vec::new();
        for link in self.desired.links.iter().filter(|l| l.path.file_name() == Some(unit.name.as_ref())) {
            if !self.pulled_in(link) {
                missing.push(link.clone());
            } else if self.declared {
                // Not ours to remove later.
            } else if self.ledger.links.get(&link.path) != Some(&link.target) {
                plan.books.links.push(link.clone());
            }
        }
        // One that is masked would have the whole batch refused.
        if missing.is_empty() || self.is_masked(&unit.name) {
            return;
        }
        let reason = match &self.seen.wants {
            Fact::Unknown(_) if self.declared => return self.not_known(&unit.name, plan),
            // To enable it once more changes nothing.
            Fact::Unknown(why) => Reason::WantsUnknown(why.clone()),
            Fact::Known(_) if self.declared => {
                let kind = || ConflictKind::NotDeclared(unit.name.clone());
                let conflict = |link: Link| Conflict::kept(link.path, kind());
                plan.conflicts.extend(missing.into_iter().map(conflict));
                return;
            }
            Fact::Known(_) => {
                Reason::NotWantedBy(missing.iter().filter_map(|l| wanted_by(&l.path)).collect())
            }
        };
        plan.push(Action::Enable { unit: unit.name.clone(), links: missing }, reason, Vec::new());
    }

    fn not_known(&self, unit: &str, plan: &mut Plan) {
        let why = self.seen.wants.why().unwrap_or_default();
        plan.notes.push(format!("not known whether {unit} is enabled: {why}"));
    }

    /// A unit of the roster that must not come at boot: one that we enabled, or one that the
    /// roster stops for good. A person's own link to a unit that is started per task is theirs.
    fn disable_unwanted(&self, unit: &Unit, plan: &mut Plan) {
        let ours = self.ledger.units.get(&unit.name).is_some_and(|r| r.enabled);
        let reason = match Wanted::of(unit) {
            Wanted::Stopped => Reason::StoppedInRoster,
            Wanted::Running | Wanted::PerTask if ours => Reason::NotForBoot,
            Wanted::Running | Wanted::PerTask => return,
        };
        self.disable(&unit.name, reason, plan);
    }

    fn disable_removed(&self, plan: &mut Plan) {
        if self.options.units == Units::Declared {
            // The links are for every user of the machine; who has the agent is in its unit's conditions.
            return;
        }
        let removed = |name: &String| self.desired.units.iter().all(|u| u.name != *name);
        for unit in self.ledger.units.keys().filter(|name| removed(name)) {
            self.disable(unit, Reason::NotInRoster, plan);
        }
    }

    fn disable(&self, unit: &str, reason: Reason, plan: &mut Plan) {
        let Some(wants) = self.seen.wants.known() else { return self.not_known(unit, plan) };
        let ours = self.desired.links.iter().map(|l| &l.path).chain(self.ledger.links.keys());
        let Some(folder) = ours.filter_map(|path| path.parent()?.parent()).next() else { return };
        let links: Vec<PathBuf> = wants
            .iter()
            .filter(|(_, name)| name == unit)
            .map(|(by, name)| folder.join(format!("{by}.wants")).join(name))
            .collect();
        if self.declared {
            let conflict = |path: PathBuf| Conflict::kept(path, ConflictKind::StillDeclared(unit.to_owned()));
            plan.conflicts.extend(links.into_iter().map(conflict));
        } else if !links.is_empty() {
            plan.push(Action::Disable { unit: unit.to_owned(), links }, reason, Vec::new());
        }
    }

    /// Links of ours that a unit which stays no longer asks for.
    fn stale_links(&self, plan: &mut Plan) {
        if self.seen.wants.known().is_none() {
            // Not one that is not seen is known to be gone.
            return;
        }
        for path in self.ledger.links.keys() {
            let wanted = self.desired.links.iter().any(|l| l.path == *path);
            let disabled = plan.steps.iter().any(|s| match &s.action {
                Action::Disable { links, .. } => links.contains(path),
                _ => false,
            });
            if wanted || disabled {
                continue;
            }
            let target = self.ledger.links[path].clone();
            if self.pulled_in(&Link { path: path.clone(), target }) {
                plan.push(Action::RemoveLink { path: path.clone() }, Reason::Changed, Vec::new());
            } else {
                plan.books.forget.push(path.clone());
            }
        }
    }

    fn reload(&self, changed: &Changed, plan: &mut Plan) {
        let links = plan.steps.iter().any(|s| {
            matches!(s.action, Action::Enable { .. } | Action::Disable { .. } | Action::RemoveLink { .. })
        });
        let ours = |name: &str| AgentName::from_unit(name).is_some() || self.knows(name);
        let behind = self.seen.units.known().is_some_and(|units| {
            units.iter().any(|(name, u)| ours(name) && u.detail.as_ref().is_some_and(|d| d.needs_reload))
        });
        let reason = if changed.unit_files || links {
            Reason::UnitFilesChange
        } else if self.ledger.reload_due {
            Reason::ReloadWasDue
        } else if behind {
            Reason::ManagerIsBehind
        } else if let Some((unit, word)) = self.not_loaded() {
            Reason::NotLoaded(unit, word)
        } else {
            return;
        };
        plan.books.reload_due = true;
        plan.push(Action::Reload, reason, Vec::new());
    }

    /// A unit of the roster that the manager has, and not as we wrote it.
    fn not_loaded(&self) -> Option<(String, String)> {
        let units = self.seen.units.known()?;
        self.desired.units.iter().filter(|u| !self.is_masked(&u.name)).find_map(|unit| {
            let word = units.get(&unit.name)?.load.as_str();
            (word != "loaded").then(|| (unit.name.clone(), word.to_owned()))
        })
    }

    fn knows(&self, unit: &str) -> bool {
        self.desired.units.iter().any(|u| u.name == unit)
    }

    fn pulled_in(&self, link: &Link) -> bool {
        let (Some(by), Some(unit)) = (wanted_by(&link.path), link.path.file_name()) else { return false };
        let key = (by, unit.to_string_lossy().into_owned());
        self.seen.wants.known().is_some_and(|wants| wants.contains(&key))
    }
}

/// The unit whose wants folder holds this link.
fn wanted_by(link: &Path) -> Option<String> {
    Some(link.parent()?.file_name()?.to_str()?.strip_suffix(".wants")?.to_owned())
}
