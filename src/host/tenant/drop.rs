//! The child's side: from root to a tenant, before anything of the tenant's is looked at, and without
//! a way back.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Pid, Uid, close, geteuid, getppid, getresgid, getresuid, setgroups, setresgid, setresuid, setsid,
};

use crate::tenant::wire::Who;

/// Closes every file that whoever called root's program left open, but for the three standard ones.
pub fn close_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) {
            open.push(number);
        }
    }
    for number in open.into_iter().filter(|number| *number > 2) {
        // That of the folder itself is closed already.
        let _ = close(number);
    }
    Ok(())
}

/// Becomes the tenant for good: session, groups, group, user, umask; no privileges to be gained, no
/// core files, and an end with its parent. Called before there is a second thread.
pub fn become_tenant(who: &Who, parent: u32) -> io::Result<()> {
    if who.uid == 0 || who.gid == 0 {
        return Err(io::Error::other(format!("{} is root, or in its group", who.name)));
    }
    // Without a terminal, nothing can be typed into root's.
    setsid()?;
    let groups: Vec<Gid> =
        who.groups.iter().filter(|gid| **gid != 0).map(|gid| Gid::from_raw(*gid)).collect();
    let (uid, gid) = (Uid::from_raw(who.uid), Gid::from_raw(who.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let (users, of_groups) = (getresuid()?, getresgid()?);
    let stays_root = [users.real, users.effective, users.saved].iter().any(|now| *now != uid)
        || [of_groups.real, of_groups.effective, of_groups.saved].iter().any(|now| *now != gid)
        || setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok();
    if stays_root {
        return Err(io::Error::other("root's rights could not be given up"));
    }
    umask(Mode::from_bits_truncate(0o077));
    prctl::set_no_new_privs()?;
    // A change of user does that where fs.suid_dumpable is as it is by default; so that no other process of the
    // tenant's may look into this one, which was root's.
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // The change of user took this back, so it is asked for after it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        return Err(io::Error::other("whoever asked is gone"));
    }
    std::env::set_current_dir(Path::new("/"))
}

/// Kills everything that runs as the tenant, but for this process, which has become it.
pub fn end_all() -> io::Result<()> {
    if geteuid().is_root() {
        return Err(io::Error::other("root is no tenant"));
    }
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        // There is nobody else.
        Err(Errno::ESRCH) => Ok(()),
        killed => Ok(killed?),
    }
}

/// This process, as a child tells its own.
pub fn own_pid() -> u32 {
    u32::try_from(Pid::this().as_raw()).unwrap_or(0)
}
