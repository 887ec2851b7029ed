//! Where home and /tmp are, and what room is left.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{Ask, manager_pid, within};
use crate::doctor::Places;
use crate::host::mounts;
use crate::snapshot::Fact;

/// Looks at the mounts and the room.
pub fn look(ask: &Ask) -> Places {
    let home = ask.layout.home().to_path_buf();
    let all = mounts::all();
    let holding = |path: &Path| match &all {
        Ok(all) => mounts::holding(all, path).cloned().ok_or("no mount holds it").into(),
        Err(error) => Fact::Unknown(format!("{}: {error}", mounts::TABLE)),
    };
    Places {
        home_mount: holding(&home.canonicalize().unwrap_or_else(|_| home.clone())),
        tmp_mount: holding(Path::new("/tmp")),
        same_tmp: same_tmp(ask.caller.uid),
        free: free(&home),
        home,
    }
}

/// Whether the user's manager, which starts everything, sees the /tmp that the caller sees.
fn same_tmp(uid: u32) -> Fact<bool> {
    let Some(pid) = manager_pid(uid) else {
        return Fact::Unknown("the user's manager does not run".to_owned());
    };
    let facts = |path: &str| std::fs::metadata(path).map(|f| (f.dev(), f.ino()));
    match (facts("/tmp"), facts(&format!("/proc/{pid}/root/tmp"))) {
        (Ok(own), Ok(theirs)) => Fact::Known(own == theirs),
        (Err(error), _) | (_, Err(error)) => Fact::Unknown(error.to_string()),
    }
}

/// Free bytes, and free files in percent where the file system counts them. A home on a server that
/// is away would keep us waiting.
fn free(home: &Path) -> Fact<(u64, Option<u64>)> {
    let path = home.to_path_buf();
    match within("ask for the room left in the home", move || statvfs(&path)) {
        Fact::Known(Ok(facts)) => {
            let files = (facts.files() > 0).then(|| facts.files_available() * 100 / facts.files());
            Fact::Known((facts.blocks_available() * facts.fragment_size(), files))
        }
        Fact::Known(Err(error)) => Fact::Unknown(format!("{}: {error}", home.display())),
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}
