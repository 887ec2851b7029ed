//! The end of a home and of what is the tenant's elsewhere, for `fleet tenant remove --purge`. Run as the tenant.

use std::path::Path;

use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::removal::{self, Left};
use crate::host::tenant::{rest, subids};
use crate::host::users::Caller;

/// Empties the home. A folder is entered only as what it is: no link is followed. What is the tenant's in
/// folders that are open to all goes, too; what of that can't is told and holds nothing up.
pub fn remove_home(context: &Context) -> Result<Answer> {
    let caller = &context.caller;
    if let Some(left) = rest::sweep(caller.uid) {
        context.out.note(format_args!(
            "{} of its files outside of its home stay, the first {}: {}; to see all that is left of it on this \
             file system: find / -xdev -uid {}",
            left.count,
            left.path.display(),
            left.source,
            caller.uid
        ));
    }
    let numbered = rest::forget_ipc(caller.uid);
    if numbered > 0 {
        context.out.note(format_args!(
            "{numbered} pieces of System V's shared memory, queues or semaphores of uid {} stay: ipcs",
            caller.uid
        ));
    }
    let home = context.layout.home();
    match removal::empty(home) {
        Ok(()) => Ok(Answer::Yes),
        Err(left) => Err(stays(&left, home, caller)),
    }
}

/// The longest path that is shown whole: a tenant may make them as long as it likes.
const LONGEST: usize = 400;

/// That the home is not empty, what keeps it, and how to remove that without being led elsewhere.
fn stays(left: &Left, home: &Path, caller: &Caller) -> Error {
    let owner = left.owner.map_or_else(String::new, |uid| format!(" (of uid {uid})"));
    let more = match left.count {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    let (shown, path, name) = (home.display(), short(&left.path), &caller.name);
    let error = Error::machine(format!(
        "the home {shown} is not empty yet: remove {path}{owner}: {}{more}",
        left.source
    ));
    let all = format!("find {shown} -mindepth 1 -xdev -delete");
    let error = match left.owner {
        Some(uid) if uid == caller.uid => error.hint(format!(
            "see what keeps it, as the tenant: runuser -u {name} -- find {shown} -xdev -ls; lsattr"
        )),
        Some(uid) if is_subordinate(name, caller.uid, uid) => error.hint(format!(
            "these are files of its containers: uid {uid} is one of its subordinate uids. With the tenant's \
            rights and no others: runuser -u {name} -- unshare --map-auto --map-root-user --wd={shown} {all}"
        )),
        Some(uid) => error.hint(format!(
            "it is not the tenant's: to see all such, as root: find {shown} -xdev -uid {uid} -ls"
        )),
        None => error,
    };
    error
        .hint(format!("or as root, in the one way that follows no link and enters no mount: {all}"))
        .hint("then run the same command again")
}

/// Whether the machine's files say so.
fn is_subordinate(name: &str, own: u32, uid: u32) -> bool {
    subids::of_user(name, own).is_ok_and(|spans| spans.uids.iter().any(|span| span.has(uid)))
}

/// A path's beginning and end, where it is long.
fn short(path: &Path) -> String {
    let text = path.display().to_string();
    let count = text.chars().count();
    if count <= LONGEST {
        return text;
    }
    let (half, end) = (LONGEST / 2, count - LONGEST / 2);
    text.chars().take(half).chain(['…']).chain(text.chars().skip(end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(owner: u32, path: &str, count: u64) -> Error {
        let left = Left {
            path: path.into(),
            owner: Some(owner),
            source: std::io::Error::from_raw_os_error(libc::EACCES),
            count,
        };
        let caller = Caller { uid: 1007, name: "p6".to_owned(), home: "/home/p6".into() };
        stays(&left, Path::new("/home/p6"), &caller)
    }

    #[test]
    fn what_keeps_a_home_is_named_with_its_owner_and_a_command_that_no_link_leads_astray() {
        let error = told(4_000_000_000, "/home/p6/ct/root/file", 3);
        assert!(
            error.message.contains("remove /home/p6/ct/root/file (of uid 4000000000): Permission denied"),
            "{}",
            error.message
        );
        assert!(error.message.ends_with(", and 2 more"), "{}", error.message);
        let hints = error.hints.join("\n");
        assert!(hints.contains("find /home/p6 -xdev -uid 4000000000 -ls"), "{hints}");
        assert!(
            hints.contains("find /home/p6 -mindepth 1 -xdev -delete") && !hints.contains("rm -"),
            "{hints}"
        );
    }

    #[test]
    fn a_path_without_an_end_is_shown_by_its_beginning_and_its_end() {
        let path = format!("/home/p6/{}last", "below/".repeat(2000));
        let message = told(1007, &path, 1).message;
        assert!(message.len() < 700 && message.contains("/home/p6/below/"), "{message}");
        assert!(message.contains("below/last (of uid 1007)"), "{message}");
    }
}
