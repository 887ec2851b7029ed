//! Finds what the user manager reads in the place of our unit files: by names alone, in the folders of its
//! search path, so that it is seen where no manager runs and before a reload. What to do about it is
//! decided elsewhere.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::unit_files::{names, search_path};
use crate::layout::Layout;
use crate::names::{AGENT_TEMPLATE, AgentName, HOLDER_UNIT};
use crate::snapshot::{Fact, StandIn, StandInKind};

/// Everything in the search path that stands in for files of ours, of these agents and of the holder.
pub fn find(layout: &Layout, uid: u32, agents: &BTreeSet<AgentName>) -> Fact<Vec<StandIn>> {
    in_folders(&search_path(layout, uid), layout, agents)
}

/// Agents' units that have a file or drop-ins of their own, whatever they share with other instances.
#[derive(Debug)]
pub struct OwnFiles(Option<BTreeSet<String>>);

impl OwnFiles {
    /// Those in the search path of that user's manager.
    pub fn of(layout: &Layout, uid: u32) -> Self {
        Self::in_folders(&search_path(layout, uid))
    }

    fn in_folders(folders: &[PathBuf]) -> Self {
        let listed: io::Result<Vec<Vec<String>>> = folders.iter().map(|folder| names(folder)).collect();
        let unit = |name: String| {
            let unit = name.strip_suffix(".d").unwrap_or(&name);
            AgentName::from_unit(unit).map(|_| unit.to_owned())
        };
        Self(listed.ok().map(|listed| listed.into_iter().flatten().filter_map(unit).collect()))
    }

    /// Whether the unit has any. Where a folder can't be read each unit may, and is looked at by itself.
    pub fn has(&self, unit: &str) -> bool {
        self.0.as_ref().is_none_or(|own| own.contains(unit))
    }
}

fn in_folders(folders: &[PathBuf], layout: &Layout, agents: &BTreeSet<AgentName>) -> Fact<Vec<StandIn>> {
    let mut found = Vec::new();
    let mut rank = Rank::BeforeOurs;
    let mut seen = BTreeSet::new();
    let units = layout.units();
    for path in folders {
        // Debian's /etc/xdg/systemd/user is a link to /etc/systemd/user, and NixOS's that to its store.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let at = real(path);
        let folder = if at == real(&units) { units.as_path() } else { at.as_path() };
        if !seen.insert(folder.to_path_buf()) {
            continue;
        }
        if folder == units {
            rank = Rank::Ours;
        }
        let listed = match names(folder) {
            Ok(listed) => listed,
            Err(error) => return Fact::Unknown(error.to_string()),
        };
        for name in listed {
            found.extend(in_place(folder, &name, rank, layout, agents));
        }
        if rank == Rank::Ours {
            rank = Rank::AfterOurs;
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Fact::Known(found)
}

/// Where a folder stands in the search path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    BeforeOurs,
    Ours,
    AfterOurs,
}

/// What one entry of a folder stands in for.
fn in_place(
    folder: &Path,
    name: &str,
    rank: Rank,
    layout: &Layout,
    agents: &BTreeSet<AgentName>,
) -> Option<StandIn> {
    let path = folder.join(name);
    if let Some(unit) = name.strip_suffix(".d") {
        // A drop-in of ours counts unless one of its name comes before it.
        let agent = AgentName::from_unit(unit).filter(|agent| agents.contains(agent))?;
        let ours = layout.agent_drop_in(&agent);
        let path = path.join(ours.file_name()?);
        let there = rank == Rank::BeforeOurs && path.symlink_metadata().is_ok();
        return there.then(|| StandIn { unit: unit.to_owned(), path, kind: StandInKind::DropIn });
    }
    let of_all = name == HOLDER_UNIT || name == AGENT_TEMPLATE;
    let of_one = AgentName::from_unit(name).is_some_and(|agent| agents.contains(&agent));
    // A file of the instance's own name comes before the template, wherever either stands.
    let counts = (of_all && rank == Rank::BeforeOurs) || of_one;
    if !counts {
        return None;
    }
    let kind = match path.canonicalize() {
        Ok(target) if Ok(&target) == layout.agent_template().canonicalize().as_ref().map_err(drop) => {
            return None;
        }
        Ok(target) if target == Path::new("/dev/null") => StandInKind::Mask,
        Ok(target) if target.metadata().is_ok_and(|m| m.is_file() && m.len() == 0) => StandInKind::Mask,
        _ => StandInKind::File,
    };
    Some(StandIn { unit: name.to_owned(), path, kind })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn masks_other_files_and_other_drop_ins_are_found_where_they_count() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(home.path().canonicalize().expect("a folder"), None);
        let (before, after) = (layout.home().join("before"), layout.home().join("after"));
        let ours = layout.units();
        let put = |path: PathBuf| {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, "[Unit]\n").expect("written");
            path
        };
        let mask = |path: PathBuf| {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            symlink("/dev/null", &path).expect("linked");
            path
        };
        put(ours.join(HOLDER_UNIT));
        put(ours.join(AGENT_TEMPLATE));
        put(ours.join("mosaic-agent@a.service.d/mosaic.conf"));
        put(ours.join("mosaic-agent@a.service.d/own.conf"));
        symlink("mosaic-agent@.service", ours.join("mosaic-agent@d.service")).expect("linked");
        put(before.join("mosaic-agent@stranger.service"));
        put(after.join(HOLDER_UNIT));
        put(after.join("mosaic-agent@a.service.d/mosaic.conf"));
        let found = [
            (HOLDER_UNIT, put(before.join(HOLDER_UNIT)), StandInKind::File),
            (
                "mosaic-agent@a.service",
                put(before.join("mosaic-agent@a.service.d/mosaic.conf")),
                StandInKind::DropIn,
            ),
            ("mosaic-agent@b.service", mask(ours.join("mosaic-agent@b.service")), StandInKind::Mask),
            ("mosaic-agent@c.service", put(after.join("mosaic-agent@c.service")), StandInKind::File),
        ];
        let mut expected =
            found.map(|(unit, path, kind)| StandIn { unit: unit.to_owned(), path, kind }).to_vec();
        expected.sort_by(|a, b| a.path.cmp(&b.path));
        let agents = ["a", "b", "c", "d"].map(|n| AgentName::parse(n).expect("a name"));
        let seen = in_folders(&[before, ours, after], &layout, &BTreeSet::from(agents));
        assert_eq!(seen, Fact::Known(expected));
    }

    #[test]
    fn files_of_one_agent_are_its_own_and_where_that_is_not_known_each_may_have_some() {
        let folder = tempfile::tempdir().expect("a folder");
        let entries = ["@.service", "@a.service", "@b.service.d", "@.service.d"];
        for name in entries {
            fs::create_dir(folder.path().join(format!("mosaic-agent{name}"))).expect("an entry");
        }
        let own = |folders: &[PathBuf]| {
            let own = OwnFiles::in_folders(folders);
            ["a", "b", "c"].map(|agent| own.has(&format!("mosaic-agent@{agent}.service")))
        };
        assert_eq!(own(&[folder.path().to_owned(), "/no/such/folder".into()]), [true, true, false]);
        // A name too long is an error, as a folder that can't be opened is.
        assert_eq!(own(&[folder.path().join("x".repeat(300))]), [true, true, true]);
    }
}
