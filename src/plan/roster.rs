//! The roster's own file, which `init` alone writes: never over a different one unasked.

use std::path::{Path, PathBuf};

use super::files::{Verdict, judge};
use super::{Action, Conflict, Conflicts, Plan, Reason, Step};
use crate::render::File;
use crate::snapshot::{Fact, FileFacts};

/// What becomes of the roster's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterFile {
    /// It stands there as it should.
    Same,
    /// It is written.
    Written,
    /// A different one is there, and is kept.
    Refused,
}

/// Plans the roster's own file; one that is overwritten is copied to `backup` first.
pub fn roster_file(
    file: &File,
    seen: Option<&Fact<FileFacts>>,
    conflicts: Conflicts,
    backup: PathBuf,
    plan: &mut Plan,
) -> RosterFile {
    let step = |action, reason| Step { action, reason, impact: Vec::new() };
    match judge(file, seen, None) {
        Verdict::Right { .. } => RosterFile::Same,
        Verdict::Write { before, reason } => {
            plan.prepend(vec![step(Action::WriteFile { file: file.clone(), before }, reason)]);
            RosterFile::Written
        }
        Verdict::Conflict { kind, before } => {
            let path: &Path = &file.path;
            let (Conflicts::Overwrite, Some(before)) = (conflicts, before) else {
                plan.conflicts.insert(0, Conflict::kept(path.to_path_buf(), kind));
                return RosterFile::Refused;
            };
            plan.prepend(vec![
                step(Action::KeepCopy { from: path.to_path_buf(), to: backup }, Reason::Backup),
                step(Action::WriteFile { file: file.clone(), before }, Reason::Forced),
            ]);
            RosterFile::Written
        }
    }
}
