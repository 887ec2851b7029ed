//! Files that a configuration declares: what of them is right, and which links of a home lead to them. A
//! declared file is never written and never removed.

use std::path::Path;

use super::files::{Verdict, agent_of};
use super::{Action, Before, ConflictKind, Plan, Reason, Step};
use crate::layout::DECLARED;
use crate::ledger::{FileRecord, Ledger, Sha};
use crate::render::{Desired, File};
use crate::snapshot::{Fact, FileFacts, Snapshot};

/// Whether a configuration declares the units: they are links into a store.
pub fn are_declared(desired: &Desired, seen: &Snapshot) -> bool {
    let units = desired.files.iter().filter(|f| f.role.is_unit());
    units
        .filter_map(|f| seen.files.get(&f.path))
        .any(|f| matches!(f, Fact::Known(FileFacts::Declared { .. })))
}

/// Compares a file that only the machine's configuration writes with what stands there.
pub fn provided(file: &File, seen: Option<&Fact<FileFacts>>) -> Verdict {
    match seen {
        Some(Fact::Known(FileFacts::Declared { content, .. } | FileFacts::File { content, .. }))
            if content == file.content.as_bytes() =>
        {
            Verdict::Right { record: None }
        }
        Some(Fact::Unknown(why)) => {
            Verdict::Conflict { kind: ConflictKind::Unreadable(why.clone()), before: None }
        }
        _ => Verdict::Conflict { kind: ConflictKind::Declared, before: None },
    }
}

/// Compares a file that is to be a link, to what a declarative host has rendered, with what stands there.
pub fn linked(
    file: &File,
    target: &Path,
    seen: Option<&Fact<FileFacts>>,
    record: Option<&FileRecord>,
) -> Verdict {
    let write = |before, reason| Verdict::Write { before, reason };
    match seen {
        None => write(Before::Nothing, if record.is_some() { Reason::Gone } else { Reason::New }),
        Some(Fact::Known(FileFacts::Declared { content, link })) if link == target => {
            if content != file.content.as_bytes() {
                return Verdict::Conflict { kind: ConflictKind::Declared, before: None };
            }
            let settled = FileRecord::settled(Sha::of(content), file.mode);
            Verdict::Right { record: (record != Some(&settled)).then_some(settled) }
        }
        Some(Fact::Known(FileFacts::Declared { link, .. })) => {
            write(Before::Link(link.clone()), Reason::Changed)
        }
        Some(Fact::Known(FileFacts::Link(link))) if link.starts_with(DECLARED) => {
            write(Before::Link(link.clone()), Reason::Changed)
        }
        Some(Fact::Known(FileFacts::File { content, mode })) => {
            let before = Before::File { content: content.clone(), mode: *mode };
            let sha = Sha::of(content);
            if content == file.content.as_bytes() || record.is_some_and(|r| r.owns(sha)) {
                return write(before, Reason::Changed);
            }
            let kind = if record.is_some() { ConflictKind::Edited } else { ConflictKind::NotOurs };
            Verdict::Conflict { kind, before: Some(before) }
        }
        Some(Fact::Known(FileFacts::Link(link))) => {
            let kind = ConflictKind::Link(link.clone());
            Verdict::Conflict { kind, before: Some(Before::Link(link.clone())) }
        }
        Some(Fact::Known(FileFacts::Other(what))) => {
            Verdict::Conflict { kind: ConflictKind::NotAFile(what.clone()), before: None }
        }
        Some(Fact::Unknown(why)) => {
            Verdict::Conflict { kind: ConflictKind::Unreadable(why.clone()), before: None }
        }
    }
}

/// Links to what a declarative host no longer has, whoever made them.
pub fn dangling(desired: &Desired, seen: &Snapshot, ledger: &Ledger, plan: &mut Plan) {
    for (path, facts) in &seen.files {
        let Fact::Known(FileFacts::Link(link)) = facts else { continue };
        let known = ledger.files.contains_key(path) || desired.files.iter().any(|f| f.path == *path);
        if link.starts_with(DECLARED) && !known {
            let action = Action::RemoveFile { path: path.clone(), agent: agent_of(path) };
            plan.steps.push(Step { action, reason: Reason::NotInRoster, impact: Vec::new() });
        }
    }
}

/// Whether it stands as we left it: the file that we wrote, or a link to what a declarative host had
/// rendered.
pub fn is_left(facts: &FileFacts, record: &FileRecord) -> bool {
    match facts {
        FileFacts::File { content, .. } => record.owns(Sha::of(content)),
        FileFacts::Link(link) | FileFacts::Declared { link, .. } => link.starts_with(DECLARED),
        FileFacts::Other(_) => false,
    }
}
