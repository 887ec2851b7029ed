//! What a tenant leaves outside of its home where everybody may leave something. Looked for and removed by the
//! tenant itself: what it could make it can take away, and no more than that.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::command::Command;
use crate::host::removal::{self, Left};

/// Where files of everybody are: in memory, in files, and of message queues.
const PUBLIC: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock"];
/// Kinds of memory, queues and semaphores that have numbers in place of names, with the options by which
/// `ipcrm` removes one.
const NUMBERED: [(&str, &str); 3] = [("shm", "-m"), ("msg", "-q"), ("sem", "-s")];

/// Removes what is directly the user's in folders that are open to all; what of it stays.
pub fn sweep(uid: u32) -> Option<Left> {
    let mut left = None;
    for path in PUBLIC.iter().flat_map(|folder| of_user(Path::new(folder), uid)) {
        if let Err(more) = removal::remove(&path) {
            left = Some(match left {
                None => more,
                Some(left) => Left::and(left, more),
            });
        }
    }
    left
}

/// What is the user's in such a folder, and in those of root's in it that are open to all.
fn of_user(folder: &Path, uid: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        if facts.uid() == uid {
            found.push(path);
        } else if facts.is_dir() && facts.uid() == 0 && facts.mode() & 0o1002 == 0o1002 {
            found.extend(of_user(&path, uid));
        }
    }
    found
}

/// Removes System V's shared memory, queues and semaphores of the user's; how many stay.
pub fn forget_ipc(uid: u32) -> usize {
    let mut words = Vec::new();
    for (kind, option) in NUMBERED {
        for id in numbered(kind, uid) {
            words.extend([option.to_owned(), id]);
        }
    }
    if !words.is_empty() {
        // Whether it worked is seen below.
        let _ = Command::new("ipcrm").args(&words).run();
    }
    NUMBERED.iter().map(|(kind, _)| numbered(kind, uid).len()).sum()
}

fn numbered(kind: &str, uid: u32) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
    ids(&table, uid)
}

/// The numbers of those that are the user's, by the table's own heading.
fn ids(table: &str, uid: u32) -> Vec<String> {
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let heading = lines.next().unwrap_or_default();
    let column = |name: &str| heading.iter().position(|word| *word == name);
    let (Some(id), Some(owner)) = (heading.iter().position(|word| word.ends_with("id")), column("uid"))
    else {
        return Vec::new();
    };
    let own = lines.filter(|line| line.get(owner).is_some_and(|number| number.parse() == Ok(uid)));
    own.filter_map(|line| line.get(id).map(|id| (*id).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read_by_their_headings() {
        let shm = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid\n\
                            0         32769  1600   524288  1  2  2  1001  1001  1001\n\
                            0         7  1600   524288  1  2  2  0  0  1001\n";
        assert_eq!(ids(shm, 1001), ["32769"]);
        let msg = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid\n 5 3 666 0 0 0 0 1001 0\n";
        assert_eq!(ids(msg, 1001), ["3"]);
        assert!(ids("", 1001).is_empty());
    }
}
