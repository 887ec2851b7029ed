//! Folders of skills, read.

use std::fs;
use std::path::{Path, PathBuf};

/// A skill's place, and its real path; the place again where that cannot be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it stands.
    pub path: PathBuf,
    /// Where it is, all links followed.
    pub real: PathBuf,
}

/// Every folder below a root, or link to one, that holds SKILL.md; by name. A root that cannot be
/// read has none.
pub fn below(root: &Path) -> Vec<Place> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut places: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    places.sort();
    places.retain(|place| place.join("SKILL.md").is_file());
    let real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    places.into_iter().map(|path| Place { real: real(&path), path }).collect()
}
