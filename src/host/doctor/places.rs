//! Where home and /tmp are, and what room is left.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::{Ask, manager_pid, within};
use crate::doctor::{Mount, Places};
use crate::host::kernel;
use crate::snapshot::Fact;

pub fn look(ask: &Ask) -> Places {
    let home = ask.layout.home().to_path_buf();
    let mounts = kernel::text("/proc/self/mountinfo").map(|text| mounts(&text));
    let holding = |path: &Path| match &mounts {
        Ok(all) => holding(all, path).ok_or("no mount holds it").into(),
        Err(error) => Fact::Unknown(format!("/proc/self/mountinfo: {error}")),
    };
    Places {
        home_mount: holding(&home.canonicalize().unwrap_or_else(|_| home.clone())),
        tmp_mount: holding(Path::new("/tmp")),
        same_tmp: same_tmp(ask.caller.uid),
        free: free(&home),
        home,
    }
}

/// The mounts, in the order in which they were made.
fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (own, rest) = line.split_once(" - ")?;
        let mut own = own.split(' ').skip(4);
        let (point, options) = (own.next()?, own.next()?);
        Some(Mount {
            point: PathBuf::from(unescape(point)),
            kind: rest.split(' ').next()?.to_owned(),
            options: options.split(',').map(str::to_owned).collect(),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// The last mount of the deepest point that a path is below.
fn holding(mounts: &[Mount], path: &Path) -> Option<Mount> {
    let above = mounts.iter().filter(|m| path.starts_with(&m.point));
    above.max_by_key(|m| m.point.components().count()).cloned()
}

/// The kernel writes blanks and the like as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_holds_a_path_is_the_deepest_and_of_those_the_last() {
        let text = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 21 0:30 / /home rw - autofs systemd-1 rw\n\
            31 30 0:31 / /home rw,noexec - nfs4 s:/home rw\n\
            32 21 8:2 / /mnt/a\\040b rw - xfs /dev/sdb rw\nodd\n";
        let all = mounts(text);
        let kind = |path: &str| holding(&all, Path::new(path)).map(|m| m.kind);
        assert_eq!(kind("/home/u").as_deref(), Some("nfs4"));
        assert_eq!(kind("/homes/u").as_deref(), Some("ext4"));
        assert_eq!(kind("/mnt/a b/x").as_deref(), Some("xfs"));
        assert_eq!(
            holding(&all, Path::new("/home/u")).map(|m| m.options),
            Some(vec!["rw".into(), "noexec".into()])
        );
    }
}
