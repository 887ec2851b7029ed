//! Which unit pulls which in, read from the wants folders: the truth about enablement, which systemd's
//! own words (`indirect`, `linked`, `static`) don't tell.
//!
//! Links are read only; making and removing them is systemd's work.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::readlinkat;

use crate::host::users::runtime_dir;
use crate::layout::{Layout, MACHINE_UNITS};
use crate::lint::template_of;
use crate::snapshot::Fact;

/// One entry of a wants folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The folder's name, `default.target.wants`.
    folder: String,
    /// The entry's name, a unit's.
    name: String,
    /// Whether it is a link that ends at a file. One that ends nowhere or at /dev/null does not.
    leads: bool,
}

/// The folders in which links of a user's units are made, the ones that count first first.
pub fn unit_folders(layout: &Layout, uid: u32) -> Vec<PathBuf> {
    vec![
        layout.own_units(),
        PathBuf::from(MACHINE_UNITS),
        runtime_dir(uid).join("systemd/user"),
        PathBuf::from("/run/systemd/user"),
    ]
}

/// What pulls units in at boot.
pub const BOOT: &str = "default.target";

/// The pairs `(wanted_by, unit)` of all `folders`; one that is absent holds none.
pub fn wants(folders: &[PathBuf]) -> Fact<BTreeSet<(String, String)>> {
    told(folders.iter().map(|folder| entries(folder)))
}

/// The same of what one unit pulls in.
pub fn wants_of(folders: &[PathBuf], wanted_by: &str) -> Fact<BTreeSet<(String, String)>> {
    let wants = format!("{wanted_by}.wants");
    told(folders.iter().map(|folder| {
        let mut found = Vec::new();
        entries_of(folder, &wants, &mut BTreeMap::new(), &mut found)?;
        Ok(found)
    }))
}

fn told(entries: impl Iterator<Item = io::Result<Vec<Entry>>>) -> Fact<BTreeSet<(String, String)>> {
    let read: io::Result<Vec<Vec<Entry>>> = entries.collect();
    match read {
        Ok(read) => Fact::Known(pairs(read.into_iter().flatten())),
        Err(error) => Fact::Unknown(format!("read the wants folders: {error}")),
    }
}

/// Of entries with the same folder and name the first counts, even where it leads nowhere.
fn pairs(entries: impl IntoIterator<Item = Entry>) -> BTreeSet<(String, String)> {
    let mut seen = BTreeMap::new();
    for entry in entries {
        if let Some(wanted_by) = entry.folder.strip_suffix(".wants") {
            seen.entry((wanted_by.to_owned(), entry.name)).or_insert(entry.leads);
        }
    }
    seen.into_iter().filter_map(|(pair, leads)| leads.then_some(pair)).collect()
}

fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut targets = BTreeMap::new();
    for wants in names(folder)? {
        if !wants.ends_with(".wants") {
            continue;
        }
        entries_of(folder, &wants, &mut targets, &mut found)?;
    }
    Ok(found)
}

/// The entries of one wants folder.
fn entries_of(
    folder: &Path,
    wants: &str,
    targets: &mut BTreeMap<PathBuf, bool>,
    found: &mut Vec<Entry>,
) -> io::Result<()> {
    let below = folder.join(wants);
    let listed = listed(&below)?;
    // Opened once: a path is walked from its beginning for each link.
    let dir = match File::open(&below) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", below.display()))),
    };
    for (name, is_link) in listed {
        let leads = is_link && leads(&dir, &below, &name, targets);
        found.push(Entry { folder: wants.to_owned(), name, leads });
    }
    Ok(())
}

/// Whether a link ends at a file. Hundreds say the same, so each place is looked at once.
fn leads(dir: &File, folder: &Path, name: &str, targets: &mut BTreeMap<PathBuf, bool>) -> bool {
    let Ok(says) = readlinkat(dir, name) else { return false };
    let target = folder.join(says);
    match targets.get(&target) {
        Some(leads) => *leads,
        None => {
            // NixOS makes links to the instance's own name, which has no file: systemd takes the template.
            let template = || {
                let name = template_of(target.file_name()?.to_str()?)?;
                Some(target.with_file_name(name).is_file())
            };
            let leads = target.is_file() || template() == Some(true);
            targets.insert(target, leads);
            leads
        }
    }
}

/// The names in a folder; none where there is no such folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    Ok(listed(folder)?.into_iter().map(|(name, _)| name).collect())
}

/// The names in a folder, each with whether it is a link; none where there is no such folder.
fn listed(folder: &Path) -> io::Result<Vec<(String, bool)>> {
    let shown = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let list = match std::fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(shown(error)),
    };
    let mut found = Vec::new();
    for entry in list {
        let entry = entry.map_err(shown)?;
        // No unit has a name that is not text.
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.file_type().map_err(shown)?.is_symlink()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn pair(wanted_by: &str, unit: &str) -> (String, String) {
        (wanted_by.to_owned(), unit.to_owned())
    }

    #[test]
    fn only_links_that_lead_to_a_file_enable_a_unit() {
        let root = tempfile::tempdir().expect("a folder");
        let wants_folder = root.path().join("default.target.wants");
        std::fs::create_dir(&wants_folder).expect("a folder");
        std::fs::write(root.path().join("a@.service"), "").expect("a unit");
        symlink("../a@.service", wants_folder.join("a@x.service")).expect("a link");
        symlink("../gone.service", wants_folder.join("gone.service")).expect("a link");
        symlink("../a@z.service", wants_folder.join("a@z.service")).expect("a link");
        symlink("/dev/null", wants_folder.join("masked.service")).expect("a link");
        std::fs::write(wants_folder.join("file.service"), "").expect("no link");
        std::fs::create_dir(root.path().join("default.target.requires")).expect("a folder");
        symlink("../a@.service", root.path().join("default.target.requires/a@y.service")).expect("a link");
        std::fs::write(root.path().join("odd.wants"), "").expect("no folder");

        let folders = [root.path().to_owned(), root.path().join("none")];
        let two = ["a@x.service", "a@z.service"].map(|unit| pair("default.target", unit));
        let expected = BTreeSet::from(two);
        assert_eq!(wants(&folders), Fact::Known(expected.clone()));
        assert_eq!(wants_of(&folders, BOOT), Fact::Known(expected));
        assert_eq!(wants_of(&folders, "odd"), Fact::Known(BTreeSet::new()));
    }

    #[test]
    fn a_folder_that_counts_first_hides_the_same_link_of_a_later_one() {
        let entry = |name: &str, leads| Entry { folder: "h.wants".to_owned(), name: name.to_owned(), leads };
        let first = [entry("masked", false), entry("mine", true)];
        let second = [entry("masked", true), entry("mine", false), entry("theirs", true)];
        let expected = BTreeSet::from([pair("h", "mine"), pair("h", "theirs")]);
        assert_eq!(pairs(first.into_iter().chain(second)), expected);
    }

    #[test]
    fn the_users_own_folder_counts_before_the_machines() {
        let layout = Layout::new("/home/u", None);
        let folders = unit_folders(&layout, 1000);
        let expected = [
            "/home/u/.config/systemd/user",
            "/etc/systemd/user",
            "/run/user/1000/systemd/user",
            "/run/systemd/user",
        ];
        assert_eq!(folders, expected.map(PathBuf::from));
    }
}
