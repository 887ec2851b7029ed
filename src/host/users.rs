//! Who calls, by the password database; the environment is only trusted for HOME.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use users::os::unix::UserExt;

use crate::error::{Error, Result};

/// The calling user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Effective uid.
    pub uid: u32,
    /// Name in the password database, or the uid where it has none.
    pub name: String,
    /// HOME where it is set and absolute, else the password database's.
    pub home: PathBuf,
}

/// Who calls. Works from cron, `sudo -u` and scrubbed environments.
pub fn caller() -> Result<Caller> {
    let uid = users::get_effective_uid();
    let entry = users::get_user_by_uid(uid);
    let name = name_of(uid);
    let from_environment = std::env::var_os("HOME").map(PathBuf::from).filter(|h| h.is_absolute());
    let home = from_environment.or_else(|| entry.map(|u| u.home_dir().to_path_buf())).ok_or_else(|| {
        Error::machine(format!(
            "find the home of uid {uid}: HOME is not set and the password database has no such user"
        ))
        .hint("set HOME to the folder whose fleet is meant")
    })?;
    Ok(Caller { uid, name, home })
}

impl Caller {
    /// Root, whoever called.
    pub fn root() -> Self {
        Self { uid: 0, name: "root".to_owned(), home: "/".into() }
    }
}

/// For root: whose path this is, where a user other than root controls any part of it. Root never
/// follows such a path, since a link or a file there would be carried out with root's rights.
pub fn foreign_path(caller: &Caller, path: &Path) -> Option<String> {
    if caller.uid != 0 {
        return None;
    }
    let owners = path.ancestors().filter_map(|part| {
        let link = std::fs::symlink_metadata(part).ok()?.uid();
        let behind = std::fs::metadata(part).map_or(link, |facts| facts.uid());
        Some(if link == 0 { behind } else { link })
    });
    // The one nearest to the root decides the others.
    owners.collect::<Vec<_>>().into_iter().rev().find(|owner| *owner != 0).map(name_of)
}

/// For a user other than root: whose home HOME names, where it is another user's. So it is after a
/// `sudo -u` that kept it.
pub fn anothers_home(caller: &Caller) -> Option<String> {
    if caller.uid == 0 || home_of(caller.uid).is_some_and(|own| own == caller.home) {
        return None;
    }
    let owner = std::fs::metadata(&caller.home).ok()?.uid();
    let theirs = home_of(owner).filter(|home| home.parent().is_some())?;
    (owner != caller.uid && caller.home.starts_with(theirs)).then(|| name_of(owner))
}

/// Who called sudo, for root with a home of its own. Nothing but a word in a message rests on it.
pub fn behind_sudo(caller: &Caller) -> Option<String> {
    let name = std::env::var("SUDO_USER").ok().filter(|_| caller.uid == 0)?;
    let user = users::get_user_by_name(&name).filter(|user| user.uid() != 0)?;
    Some(user.name().to_string_lossy().into_owned())
}

/// The user's name in the password database, or the uid where it has none.
pub fn name_of(uid: u32) -> String {
    users::get_user_by_uid(uid)
        .map_or_else(|| uid.to_string(), |user| user.name().to_string_lossy().into_owned())
}

/// Whether it is the number that stands for a user whom the password database has no name for.
pub fn is_nameless(name: &str) -> bool {
    name.parse::<u32>().is_ok() && users::get_user_by_name(name).is_none()
}

/// The user's home in the password database.
pub fn home_of(uid: u32) -> Option<PathBuf> {
    users::get_user_by_uid(uid).map(|user| user.home_dir().to_path_buf())
}

/// The tenant where nobody says otherwise: the caller's name.
pub fn tenant() -> Option<String> {
    users::get_current_username().map(|name| name.to_string_lossy().into_owned())
}

/// The machine's name, as the kernel has it.
pub fn host_name() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

/// The folder of the user's runtime files, by uid: the environment of cron and `sudo -u` lacks it.
pub fn runtime_dir(uid: u32) -> PathBuf {
    PathBuf::from(format!("/run/user/{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_warned_of_a_path_that_another_user_controls_and_of_a_link_to_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let theirs = dir.path().join("theirs");
        std::fs::create_dir(&theirs).expect("made");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&theirs, &link).expect("linked");
        let caller = |uid| Caller { uid, name: uid.to_string(), home: dir.path().to_path_buf() };
        let own = users::get_effective_uid();
        if own == 0 {
            std::os::unix::fs::chown(&theirs, Some(12_345), None).expect("root may");
            for path in [theirs.join("below/it"), link.join("x")] {
                assert_eq!(foreign_path(&caller(0), &path).as_deref(), Some("12345"), "{}", path.display());
            }
            assert_eq!(foreign_path(&caller(0), &dir.path().join("own")), None);
        } else {
            assert!(foreign_path(&caller(0), &theirs).is_some(), "it is not root's");
        }
        assert_eq!(foreign_path(&caller(own.max(1)), &theirs), None, "only root is in danger");
    }
}
