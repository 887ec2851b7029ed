//! Which agents a person has stopped: each has a folder whose only file is named by the boot in which
//! that was done, as systemd writes a boot's id (`%b`). So a unit's own condition can ask for it, and
//! no start has to run a program for the answer.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::files::{self, FileError};
use super::{clock, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::snapshot::{Fact, FileFacts};

/// No file that names a boot is longer.
const LONGEST: usize = 256;
/// Nobody is parked in more boots than one; what else may stand there is not read without an end.
const MOST_NAMES: usize = 64;

/// Remembers that a person stopped the agent in this boot.
pub fn park(layout: &Layout, agent: &AgentName) -> Result<(), FileError> {
    let folder = layout.parked(agent);
    let failed = |source| FileError { doing: "write", path: folder.clone(), source };
    let boot = name_of(&clock::boot_id());
    if folder.join(&boot).is_file() {
        return Ok(());
    }
    runfiles::make_folder(&layout.run()).map_err(failed)?;
    // Moved into place with its file in it: who looks finds all or nothing, and live views are woken.
    let new = tempfile::Builder::new().prefix(&format!(".{agent}.parked.")).tempdir_in(layout.run());
    let new = new.map_err(failed)?;
    fs::write(new.path().join(&boot), "").map_err(failed)?;
    files::remove_whole(&folder)?;
    fs::rename(new.path(), &folder).map_err(failed)?;
    // It is no longer where it was made.
    let _ = new.keep();
    Ok(())
}

/// Forgets it.
pub fn release(layout: &Layout, agent: &AgentName) -> Result<(), FileError> {
    files::remove_whole(&layout.parked(agent))
}

/// Writes what an earlier version left of who was stopped in this boot as units ask for it. Units that ask so come with an
/// apply that has something to do, so that is when it is called.
pub fn renew(layout: &Layout, agents: &[AgentName]) -> Result<(), FileError> {
    let is_old = |agent: &&AgentName| {
        let path = layout.parked(agent);
        path.is_file() && of(&path, "") == Some(Fact::Known(clock::boot_id()))
    };
    agents.iter().filter(is_old).try_for_each(|agent| park(layout, agent))
}

/// Those of the agents that a person stopped, with the boot in which it was done.
pub fn parked(layout: &Layout, agents: &[AgentName]) -> BTreeMap<AgentName, Fact<String>> {
    let boot = clock::boot_id();
    let look = |agent: &AgentName| Some((agent.clone(), of(&layout.parked(agent), &boot)?));
    agents.iter().filter_map(look).collect()
}

/// The boot that stands at a path; `None` where none does.
fn of(path: &Path, boot: &str) -> Option<Fact<String>> {
    match runfiles::read(path, LONGEST) {
        Ok(None) => None,
        Ok(Some(FileFacts::Other(_))) => in_folder(path, boot),
        // As an earlier version wrote it.
        Ok(Some(FileFacts::File { content, .. })) => {
            Some(Fact::Known(String::from_utf8_lossy(&content).trim().to_owned()))
        }
        Ok(Some(FileFacts::Link(_) | FileFacts::Declared { .. })) => {
            Some(Fact::Unknown("a link stands in its place".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
        Err(error) => Some(Fact::Unknown(error.to_string())),
    }
}

fn in_folder(path: &Path, boot: &str) -> Option<Fact<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Fact::Unknown(error.to_string())),
    };
    let names: Vec<_> = entries.take(MOST_NAMES).filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    let this = name_of(boot);
    match names.iter().any(|name| *name == *this) {
        true => Some(Fact::Known(boot.to_owned())),
        false => names.first().map(|name| Fact::Known(name.to_string_lossy().into_owned())),
    }
}

/// A boot's id as systemd's `%b` has it.
fn name_of(boot: &str) -> String {
    boot.replace('-', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Layout, AgentName) {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(home.path(), None);
        (home, layout, AgentName::parse("a").expect("a name"))
    }

    fn seen(layout: &Layout, agent: &AgentName) -> Option<Fact<String>> {
        parked(layout, std::slice::from_ref(agent)).remove(agent)
    }

    #[test]
    fn who_is_parked_is_so_in_this_boot_until_released() {
        let (_home, layout, agent) = home();
        assert_eq!(seen(&layout, &agent), None);
        for _ in 0..2 {
            park(&layout, &agent).expect("parked");
            assert_eq!(seen(&layout, &agent), Some(Fact::Known(clock::boot_id())));
        }
        let boot = clock::boot_id().replace('-', "");
        assert!(layout.parked(&agent).join(boot).is_file(), "where a unit's %b looks");
        let left = fs::read_dir(layout.run()).expect("a folder").count();
        assert_eq!(left, 1, "nothing is left of its making");
        release(&layout, &agent).expect("released");
        release(&layout, &agent).expect("it was");
        assert_eq!(seen(&layout, &agent), None);
    }

    #[test]
    fn another_boots_word_is_told_and_replaced() {
        let (_home, layout, agent) = home();
        fs::create_dir_all(layout.parked(&agent)).expect("made");
        fs::write(layout.parked(&agent).join("boot0"), "").expect("written");
        assert_eq!(seen(&layout, &agent), Some(Fact::Known("boot0".to_owned())));
        park(&layout, &agent).expect("parked");
        assert_eq!(fs::read_dir(layout.parked(&agent)).expect("a folder").count(), 1);
        assert_eq!(seen(&layout, &agent), Some(Fact::Known(clock::boot_id())));
    }

    #[test]
    fn what_an_earlier_version_wrote_counts_and_a_link_is_not_followed() {
        let (_home, layout, agent) = home();
        fs::create_dir_all(layout.run()).expect("made");
        fs::write(layout.parked(&agent), "boot-1\n").expect("written");
        assert_eq!(seen(&layout, &agent), Some(Fact::Known("boot-1".to_owned())));
        renew(&layout, std::slice::from_ref(&agent)).expect("renewed");
        assert!(layout.parked(&agent).is_file(), "another boot's is not of now");
        fs::write(layout.parked(&agent), clock::boot_id() + "\n").expect("written");
        renew(&layout, std::slice::from_ref(&agent)).expect("renewed");
        let boot = clock::boot_id().replace('-', "");
        assert!(layout.parked(&agent).join(boot).is_file(), "where a unit's %b looks");
        release(&layout, &agent).expect("released");
        std::os::unix::fs::symlink("/", layout.parked(&agent)).expect("linked");
        assert!(matches!(seen(&layout, &agent), Some(Fact::Unknown(_))));
        park(&layout, &agent).expect("parked");
        assert_eq!(seen(&layout, &agent), Some(Fact::Known(clock::boot_id())));
    }
}
