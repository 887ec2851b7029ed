//! systemd, logind, the user's manager and control groups.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::{Ask, LIMIT, within};
use crate::doctor::{Controllers, Manager, Process, System};
use crate::host::command::Command;
use crate::host::kernel;
use crate::host::systemd::UserManager;
use crate::host::users::runtime_dir;
use crate::host::{account, input, logind};
use crate::snapshot::Fact;

/// No honest file of PAM's is longer.
const LONGEST: usize = 64 * 1024;
/// Where the control groups are, the pure form first.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What polkit is started by.
const POLKIT: [&str; 3] = [
    "/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service",
    "/run/current-system/sw/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service",
    "/etc/dbus-1/system-services/org.freedesktop.PolicyKit1.service",
];

/// Looks at systemd, lingering and the system's settings.
pub fn look(ask: &Ask) -> System {
    let uid = ask.caller.uid;
    let (manager, version) = manager(ask);
    System {
        user: ask.caller.name.clone(),
        uid,
        first: first(),
        version: version.map_or_else(installed, Fact::Known),
        manager,
        bus: bus(&runtime_dir(uid).join("bus")),
        pam: pam(Path::new("/etc/pam.d")),
        linger: logind::linger(&ask.caller.name),
        account: account::look(&ask.caller.name),
        polkit: POLKIT.iter().any(|path| Path::new(path).exists()),
        cgroup: controllers(uid),
    }
}

fn first() -> Process {
    let text = |path: &str| kernel::text(path).map(|text| text.trim().to_owned());
    let container = text("/run/systemd/container").ok().filter(|kind| !kind.is_empty());
    let docker = || Path::new("/.dockerenv").exists().then(|| "docker".to_owned());
    Process {
        name: text("/proc/1/comm").into(),
        booted: Path::new("/run/systemd/system").is_dir(),
        wsl: text("/proc/version").is_ok_and(|v| v.to_ascii_lowercase().contains("microsoft")),
        container: container.or_else(docker),
    }
}

/// Whether the user's manager answers, and its version.
fn manager(ask: &Ask) -> (Fact<Manager>, Option<String>) {
    let (uid, home) = (ask.caller.uid, ask.layout.home().to_path_buf());
    let connect = move || UserManager::connect_for(uid, &home).and_then(|manager| manager.manager());
    match within("ask the user's manager", connect) {
        Fact::Known(Ok(manager)) => (Fact::Known(Manager::Up), Some(manager.version)),
        Fact::Known(Err(error)) => {
            let fact = match error.says_none_runs() {
                true => Fact::Known(Manager::Down(error.to_string(), error.cure())),
                false => Fact::Unknown(error.to_string()),
            };
            (fact, None)
        }
        Fact::Unknown(why) => (Fact::Unknown(why), None),
    }
}

/// The version of the installed systemd, where no manager tells its own.
fn installed() -> Fact<String> {
    let text = Command::new("systemctl").arg("--version").within(LIMIT).text();
    match text.map(|text| version_in(&text)) {
        Ok(Some(version)) => Fact::Known(version),
        Ok(None) => Fact::Unknown("systemctl --version says nothing that is a version".to_owned()),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

/// The version in brackets, `systemd 252 (252.39-1~deb12u2)`, else the number before them.
fn version_in(text: &str) -> Option<String> {
    let rest = text.lines().next()?.strip_prefix("systemd ")?;
    let bracketed = rest.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    bracketed.or_else(|| rest.split_whitespace().next()).map(str::to_owned)
}

fn bus(path: &Path) -> Fact<bool> {
    match fs::symlink_metadata(path) {
        Ok(facts) => Fact::Known(facts.file_type().is_socket()),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => Fact::Known(false),
        Err(error) => Fact::Unknown(format!("{}: {error}", path.display())),
    }
}

/// Whether a login is told to logind: some service of PAM's names the module.
fn pam(folder: &Path) -> Fact<bool> {
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) => return Fact::Unknown(format!("{}: {error}", folder.display())),
    };
    let names_it = |path: PathBuf| {
        let bytes = input::read(&path, LONGEST).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("pam_systemd.so"))
    };
    Fact::Known(list.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).any(names_it))
}

/// Where the kernel shows version 2 of control groups.
fn root() -> Option<&'static Path> {
    let is_two = |path: &&&str| statfs(**path).is_ok_and(|s| s.filesystem_type() == CGROUP2_SUPER_MAGIC);
    GROUPS.iter().find(is_two).map(Path::new)
}

/// The group of the user's manager, where it has one.
pub fn group(uid: u32) -> Option<PathBuf> {
    let group = root()?.join(format!("user.slice/user-{uid}.slice/user@{uid}.service"));
    group.is_dir().then_some(group)
}

fn controllers(uid: u32) -> Fact<Controllers> {
    if root() != Some(Path::new(GROUPS[0])) && group(uid).is_none() {
        return Fact::Known(Controllers::Legacy);
    }
    let Some(group) = group(uid) else { return Fact::Known(Controllers::NoManager) };
    let path = group.join("cgroup.controllers");
    match kernel::text(&path) {
        Ok(text) => Fact::Known(Controllers::Delegated(text.split_whitespace().map(str::to_owned).collect())),
        Err(error) => Fact::Unknown(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_packages_where_it_is_told() {
        assert_eq!(version_in("systemd 252 (252.39-1~deb12u2)\n+PAM").as_deref(), Some("252.39-1~deb12u2"));
        assert_eq!(version_in("systemd 219\n+PAM").as_deref(), Some("219"));
        assert_eq!(version_in("huh"), None);
    }

    #[test]
    fn a_login_is_told_to_logind_where_some_service_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(pam(folder.path()), Fact::Known(false));
        fs::write(folder.path().join("a"), "# session optional pam_systemd.so\n").expect("written");
        assert_eq!(pam(folder.path()), Fact::Known(false));
        fs::write(folder.path().join("b"), "session\toptional\tpam_systemd.so\n").expect("written");
        assert_eq!(pam(folder.path()), Fact::Known(true));
        assert!(pam(&folder.path().join("none")).why().is_some());
    }

    #[test]
    fn what_is_no_socket_is_no_bus() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bus");
        assert_eq!(bus(&path), Fact::Known(false));
        let listens = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        assert_eq!(bus(&path), Fact::Known(true));
        drop(listens);
    }
}
