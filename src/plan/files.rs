//! The files: what is written, removed, adopted or in conflict, and what each change means for
//! which unit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    Action, Before, Change, Conflict, ConflictKind, Conflicts, Options, Plan, Reason, Resolution, Step,
    Units, declared,
};
use crate::ledger::{FileRecord, Ledger, Sha, copied_from};
use crate::names::{AGENT_TEMPLATE, AgentName, HOLDER_UNIT};
use crate::render::{Desired, File, Role};
use crate::snapshot::{Fact, FileFacts, Snapshot, StandInKind};

/// What the change of files asks of units.
#[derive(Debug, Default)]
pub struct Changed {
    /// A unit's file, or a drop-in, is written or removed.
    pub unit_files: bool,
    /// What the holder runs with.
    pub holder: Vec<PathBuf>,
    /// What every agent runs with.
    pub all_agents: Vec<PathBuf>,
    /// What one agent runs with.
    pub agents: BTreeMap<AgentName, Vec<PathBuf>>,
}

impl Changed {
    fn note(&mut self, role: &Role, path: &Path) {
        let path = path.to_path_buf();
        match role {
            Role::HolderUnit => {
                self.unit_files = true;
                self.holder.push(path);
            }
            Role::TmuxConf => self.holder.push(path),
            Role::AgentTemplate => {
                self.unit_files = true;
                self.all_agents.push(path);
            }
            Role::AgentDropIn(agent) => {
                self.unit_files = true;
                self.agents.entry(agent.clone()).or_default().push(path);
            }
            Role::AgentEnv(agent) => self.agents.entry(agent.clone()).or_default().push(path),
            Role::Roster | Role::Script | Role::Framework => {}
        }
    }

    /// The changed files that this agent alone runs with.
    pub fn own(&self, agent: &AgentName) -> &[PathBuf] {
        self.agents.get(agent).map_or(&[], Vec::as_slice)
    }
}

/// Plans the files.
pub fn plan(
    desired: &Desired,
    seen: &Snapshot,
    ledger: &Ledger,
    options: &Options,
    plan: &mut Plan,
) -> Changed {
    let mut changed = Changed::default();
    let closed = folders(seen, plan);
    for file in &desired.files {
        let record = ledger.files.get(&file.path);
        let stands = seen.files.get(&file.path);
        let verdict = match options.units {
            Units::Declared if file.role.is_unit() => declared::provided(file, stands),
            _ => judge(file, stands, record),
        };
        if file.link.is_some()
            && let (Verdict::Right { record: Some(new) }, Some(old)) = (&verdict, record)
            && new.written != old.written
        {
            // The configuration was built again, and what runs was started before that.
            changed.note(&file.role, &file.path);
        }
        if matches!(&verdict, Verdict::Conflict { kind: ConflictKind::Unreadable(_), .. })
            && closed.iter().any(|folder| file.path.starts_with(folder))
        {
            continue;
        }
        // What is put back as it was changes nothing for who runs with it.
        let same = record.and_then(|r| r.written) == Some(Sha::of(file.content.as_bytes()));
        let restored = same
            && match &verdict {
                Verdict::Write { before, .. } => *before == Before::Nothing,
                Verdict::Conflict { kind, .. } => {
                    *kind == ConflictKind::Edited && is_unread(&file.role, seen)
                }
                Verdict::Right { .. } => false,
            };
        let mut unused = Changed::default();
        carry(verdict, file, options, plan, if restored { &mut unused } else { &mut changed });
        changed.unit_files |= unused.unit_files;
    }
    let wanted = |path: &Path| desired.files.iter().any(|f| f.path == path);
    for (path, record) in ledger.files.iter().filter(|(path, _)| !wanted(path)) {
        let seen = seen.files.get(path);
        match copied_from(path) {
            // It goes with the file that it is a copy of.
            Some(original) if wanted(&original) => copy(path, record, seen, plan),
            _ => leftover(path, record, seen, plan, &mut changed),
        }
    }
    if options.units == Units::Declared {
        declared::dangling(desired, seen, ledger, plan);
    }
    changed
}

/// Folders of ours: for their owner alone.
const FOLDER_MODE: u32 = 0o700;

/// Folders that others may look into or write to, or that we may not: those that are closed to us, so
/// that nothing is known of what is below them until they are open.
fn folders<'a>(seen: &'a Snapshot, plan: &mut Plan) -> Vec<&'a Path> {
    for (path, mode) in seen.folders.iter().filter(|(_, mode)| *mode & 0o777 != FOLDER_MODE) {
        let action = Action::SetMode { path: path.clone(), mode: FOLDER_MODE };
        plan.steps.push(Step { action, reason: Reason::Mode { seen: *mode }, impact: Vec::new() });
    }
    let closed = seen.folders.iter().filter(|(_, mode)| *mode & 0o100 == 0);
    let closed: Vec<&Path> = closed.map(|(path, _)| path.as_path()).collect();
    for folder in &closed {
        plan.notes.push(format!(
            "what is below {} is seen once its mode is right: then apply again",
            folder.display()
        ));
    }
    closed
}

/// A copy that was kept of a file which stays: what of it the ledger should know.
fn copy(path: &Path, record: &FileRecord, seen: Option<&Fact<FileFacts>>, plan: &mut Plan) {
    match seen {
        None => plan.books.forget.push(path.to_path_buf()),
        Some(Fact::Known(FileFacts::File { content, mode })) if record.writing.is_some() => {
            let settled = FileRecord::settled(Sha::of(content), *mode);
            plan.books.adopt.push((path.to_path_buf(), settled));
        }
        Some(_) => {}
    }
}

/// Whether systemd has not read a unit's file again since it was changed: then nothing runs with the
/// change.
fn is_unread(role: &Role, seen: &Snapshot) -> bool {
    let Some(units) = seen.units.known() else { return false };
    let behind = |unit: &str| {
        units.get(unit).and_then(|u| u.detail.as_ref()).is_some_and(|detail| detail.needs_reload)
    };
    match role {
        Role::HolderUnit => behind(HOLDER_UNIT),
        Role::AgentTemplate => units.keys().any(|unit| AgentName::from_unit(unit).is_some() && behind(unit)),
        Role::AgentDropIn(agent) => behind(&agent.unit()),
        _ => false,
    }
}

/// What is to be done about one desired file.
pub enum Verdict {
    /// It stands as it should; the record is what the ledger lacks.
    Right { record: Option<FileRecord> },
    /// It has to be written.
    Write { before: Before, reason: Reason },
    /// Somebody else's hand is in it.
    Conflict { kind: ConflictKind, before: Option<Before> },
}

/// Compares one desired file with what stands there and what we remember.
pub fn judge(file: &File, seen: Option<&Fact<FileFacts>>, record: Option<&FileRecord>) -> Verdict {
    if let Some(target) = &file.link {
        return declared::linked(file, target, seen, record);
    }
    let (content, mode) = match seen {
        None => {
            let reason = if record.is_some() { Reason::Gone } else { Reason::New };
            return Verdict::Write { before: Before::Nothing, reason };
        }
        Some(Fact::Known(FileFacts::File { content, mode })) => (content, *mode),
        Some(Fact::Known(FileFacts::Link(target))) => {
            let kind = match &file.role {
                Role::HolderUnit | Role::AgentTemplate if target == Path::new("/dev/null") => {
                    let unit = file.path.file_name().unwrap_or_default();
                    ConflictKind::Mask(unit.to_string_lossy().into_owned())
                }
                _ => ConflictKind::Link(target.clone()),
            };
            return Verdict::Conflict { kind, before: Some(Before::Link(target.clone())) };
        }
        // A configuration's, not ours: neither written nor remembered.
        Some(Fact::Known(FileFacts::Declared { content, .. })) => {
            return if content == file.content.as_bytes() {
                Verdict::Right { record: None }
            } else {
                Verdict::Conflict { kind: ConflictKind::Declared, before: None }
            };
        }
        Some(Fact::Known(FileFacts::Other(what))) => {
            return Verdict::Conflict { kind: ConflictKind::NotAFile(what.clone()), before: None };
        }
        Some(Fact::Unknown(why)) => {
            return Verdict::Conflict { kind: ConflictKind::Unreadable(why.clone()), before: None };
        }
    };
    let before = Before::File { content: content.clone(), mode };
    let sha = Sha::of(content);
    if content == file.content.as_bytes() {
        if mode != file.mode {
            return Verdict::Write { before, reason: Reason::Mode { seen: mode } };
        }
        let settled = FileRecord::settled(sha, mode);
        return Verdict::Right { record: (record != Some(&settled)).then_some(settled) };
    }
    match record {
        Some(record) if record.owns(sha) => Verdict::Write { before, reason: Reason::Changed },
        Some(record) if record.written.is_some() => {
            Verdict::Conflict { kind: ConflictKind::Edited, before: Some(before) }
        }
        // Nothing, or a first write that was cut off before it reached the file.
        _ => Verdict::Conflict { kind: ConflictKind::NotOurs, before: Some(before) },
    }
}

fn carry(verdict: Verdict, file: &File, options: &Options, plan: &mut Plan, changed: &mut Changed) {
    let mut write = |before: Before, reason: Reason, plan: &mut Plan| {
        if !matches!(reason, Reason::Mode { .. }) {
            changed.note(&file.role, &file.path);
        }
        let action = Action::WriteFile { file: file.clone(), before };
        plan.steps.push(Step { action, reason, impact: Vec::new() });
    };
    match verdict {
        Verdict::Right { record: None } => {}
        Verdict::Right { record: Some(record) } => plan.books.adopt.push((file.path.clone(), record)),
        Verdict::Write { before, reason } => write(before, reason, plan),
        Verdict::Conflict { kind, before } => {
            let path = file.path.clone();
            let (resolution, change) = match (options.conflicts, before) {
                (Conflicts::Overwrite, Some(before)) => {
                    write(before, Reason::Forced, plan);
                    (Resolution::Overwritten, None)
                }
                (Conflicts::TakeOver, Some(before)) => {
                    write(before, Reason::TakenOver, plan);
                    (Resolution::Overwritten, None)
                }
                (Conflicts::Keep, Some(before)) => {
                    (Resolution::Kept, Some(Box::new(Change { file: file.clone(), before })))
                }
                (_, None) => (Resolution::Kept, None),
            };
            plan.conflicts.push(Conflict { path, kind, resolution, change });
        }
    }
}

/// What systemd reads in the place of our files, wherever it stands: shown and never touched, since
/// it is not at a path of ours.
pub fn stand_ins(seen: &Snapshot, plan: &mut Plan) {
    let found = match &seen.stand_ins {
        Fact::Known(found) => found,
        Fact::Unknown(why) => {
            plan.notes.push(format!("not known whether units are masked or shadowed: {why}"));
            return;
        }
    };
    for stand_in in found {
        let unit = stand_in.unit.clone();
        let kind = match stand_in.kind {
            StandInKind::Mask => ConflictKind::Mask(unit),
            StandInKind::File | StandInKind::DropIn => ConflictKind::StandsIn(unit),
        };
        plan.conflicts.push(Conflict::kept(stand_in.path.clone(), kind));
    }
}

/// A file of ours that is not desired any more: removed where it is as we wrote it.
fn leftover(
    path: &Path,
    record: &FileRecord,
    seen: Option<&Fact<FileFacts>>,
    plan: &mut Plan,
    changed: &mut Changed,
) {
    match seen {
        None => plan.books.forget.push(path.to_path_buf()),
        Some(Fact::Known(facts)) if declared::is_left(facts, record) => {
            let original = copied_from(path);
            let agent = agent_of(original.as_deref().unwrap_or(path));
            changed.unit_files |= original.is_none() && is_unit_file(path);
            if let Some(agent) = agent.as_ref().filter(|_| original.is_none()) {
                changed.agents.entry(agent.clone()).or_default().push(path.to_path_buf());
            }
            let action = Action::RemoveFile { path: path.to_path_buf(), agent };
            plan.steps.push(Step { action, reason: Reason::NotInRoster, impact: Vec::new() });
        }
        Some(Fact::Known(_)) => {
            plan.books.forget.push(path.to_path_buf());
            plan.notes.push(format!(
                "{} is no longer needed, but is not as we wrote it: kept, and from now on yours",
                path.display()
            ));
        }
        Some(Fact::Unknown(why)) => {
            plan.notes.push(format!("{} is no longer needed and could not be read: {why}", path.display()));
        }
    }
}

fn is_unit_file(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == HOLDER_UNIT || n == AGENT_TEMPLATE) || drop_in_of(path).is_some()
}

/// The agent that this file is for, by the shape of its path.
pub fn agent_of(path: &Path) -> Option<AgentName> {
    let environment = || {
        let folder = path.parent()?.file_name()?;
        let name = path.file_name()?.to_str()?.strip_suffix(".env")?;
        (folder == "agents").then(|| AgentName::parse(name).ok())?
    };
    drop_in_of(path).or_else(environment)
}

/// The agent whose drop-in this is.
fn drop_in_of(path: &Path) -> Option<AgentName> {
    let folder = path.parent()?.file_name()?.to_str()?;
    AgentName::from_unit(folder.strip_suffix(".d")?)
}
