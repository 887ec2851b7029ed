//! The password and group databases, as root asks them about tenants.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::error::{Error, Result};
use crate::names::HOLDER_UNIT;
use crate::tenant::wire::Who;

/// Where cgroups are, on unified hierarchies and on those that are half so.
const CGROUPS: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/// The user of that name, as a child becomes it; `None` where there is none.
pub fn by_name(name: &str) -> Result<Option<Who>> {
    let failed = |error| Error::machine(format!("look up the user {name}: {error}"));
    User::from_name(name).map_err(failed)?.map(who).transpose()
}

/// The user of that number.
pub fn by_uid(uid: u32) -> Result<Option<Who>> {
    let failed = |error| Error::machine(format!("look up the user with uid {uid}: {error}"));
    User::from_uid(Uid::from_raw(uid)).map_err(failed)?.map(who).transpose()
}

/// The group of that name: its number, and who is in it besides those whose own it is.
pub fn group(name: &str) -> Result<Option<(u32, Vec<String>)>> {
    let failed = |error| Error::machine(format!("look up the group {name}: {error}"));
    Ok(Group::from_name(name).map_err(failed)?.map(|group| (group.gid.as_raw(), group.mem)))
}

fn who(user: User) -> Result<Who> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::machine(format!("look up the groups of {}: {error}", user.name))
    };
    let name = CString::new(user.name.as_str()).map_err(|error| failed(&error))?;
    let groups = getgrouplist(&name, user.gid).map_err(|error| failed(&error))?;
    Ok(Who {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(|gid| gid.as_raw()).collect(),
        home: user.dir,
        shell: user.shell,
        name: user.name,
    })
}

/// Groups by which a user reaches others' files, devices or root itself, on distributions that have them.
const POWERFUL: [&str; 17] = [
    "adm",
    "admin",
    "disk",
    "docker",
    "incus-admin",
    "input",
    "kmem",
    "libvirt",
    "lxd",
    "podman",
    "root",
    "shadow",
    "staff",
    "sudo",
    "systemd-journal",
    "tty",
    "wheel",
];

/// Those of these groups that are more than a tenant's.
pub fn powerful(groups: &[u32]) -> Vec<String> {
    let names = groups.iter().filter_map(|gid| Group::from_gid(Gid::from_raw(*gid)).ok().flatten());
    names.map(|group| group.name).filter(|name| POWERFUL.contains(&name.as_str())).collect()
}

/// The users, but for root, in whose service manager a holder of ours is: seen in the kernel's cgroups, which no
/// tenant can make lead anywhere else.
pub fn with_a_holder() -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for root in CGROUPS.map(Path::new) {
        for slice in names(&root.join("user.slice")) {
            let Some(uid) = slice.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice")) else {
                continue;
            };
            let Some(uid) = uid.parse::<u32>().ok().filter(|uid| *uid != 0) else { continue };
            let manager = root.join("user.slice").join(&slice).join(format!("user@{uid}.service"));
            let below = [manager.join("app.slice"), manager];
            if below.iter().any(|folder| folder.join(HOLDER_UNIT).is_dir()) {
                found.insert(uid);
            }
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
