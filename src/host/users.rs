//! Who calls, by the password database; the environment is only trusted for HOME.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

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

/// Root with another user's HOME, as `sudo` without `-H` leaves it: the owner of that home.
pub fn foreign_home(caller: &Caller) -> Option<String> {
    if caller.uid != 0 {
        return None;
    }
    let owner = std::fs::metadata(&caller.home).ok()?.uid();
    (owner != 0).then(|| name_of(owner))
}

/// The user's name in the password database, or the uid where it has none.
pub fn name_of(uid: u32) -> String {
    users::get_user_by_uid(uid)
        .map_or_else(|| uid.to_string(), |user| user.name().to_string_lossy().into_owned())
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
