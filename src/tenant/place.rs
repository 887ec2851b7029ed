//! Root's own places, and the text of what it puts there for a tenant.

use std::path::{Component, Path, PathBuf};

use super::valid::{Declared, State};
use crate::names::TenantId;

/// Where tenants are declared; 0700.
pub const DECLARATIONS: &str = "/etc/mosaic/tenants.d";
/// Where root keeps what it did; 0700.
pub const BOOKS: &str = "/var/lib/mosaic/tenants";
/// The uids that no tenant gets again.
pub const RETIRED: &str = "/var/lib/mosaic/retired-uids.json";
/// Held while users are made or removed.
pub const USERS_LOCK: &str = "/var/lib/mosaic/users.lock";
/// Where an admin's units are.
const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// What a drop-in of ours is called.
const DROP_IN: &str = "mosaic.conf";

/// The file that declares a tenant.
pub fn declaration(tenant: &TenantId) -> PathBuf {
    Path::new(DECLARATIONS).join(format!("{tenant}.yaml"))
}

/// What root did for a tenant.
pub fn book(tenant: &TenantId) -> PathBuf {
    Path::new(BOOKS).join(format!("{tenant}.json"))
}

/// Held while something is done for a tenant.
pub fn lock(tenant: &TenantId) -> PathBuf {
    Path::new(BOOKS).join(format!("{tenant}.lock"))
}

/// The system's files of a tenant: the limits of all that it runs, and that its manager waits for its
/// home.
pub fn files(declared: &Declared, uid: u32, home: &Path) -> [(PathBuf, String); 2] {
    let limits = &declared.limits;
    let head =
        format!("# Written by fleet for the tenant {}; fleet tenant apply writes it again.\n", declared.name);
    let mut slice = format!("{head}[Slice]\nTasksMax={}\n", limits.tasks_max);
    if let Some(memory) = &limits.memory_max {
        slice.push_str(&format!("MemoryMax={memory}\n"));
    }
    if let Some(quota) = &limits.cpu_quota {
        slice.push_str(&format!("CPUQuota={quota}\n"));
    }
    let home = quoted(&home.display().to_string());
    let manager = format!("{head}[Unit]\nRequiresMountsFor={home}\n");
    let drop_in = |unit: String| Path::new(SYSTEM_UNITS).join(format!("{unit}.d")).join(DROP_IN);
    [(drop_in(format!("user-{uid}.slice")), slice), (drop_in(format!("user@{uid}.service")), manager)]
}

/// Whether this is where such a file stands.
pub fn is_file(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| folder.extension().is_some_and(|end| end == "d"));
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    is_plain
        && path.file_name().is_some_and(|name| name == DROP_IN)
        && folder.and_then(Path::parent) == Some(Path::new(SYSTEM_UNITS))
}

/// A path as a list of paths in a unit file has it.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// The text of a declaration with another state, everything else as it stands. The caller reads it again,
/// and is told so where that is not what came of it.
pub fn with_state(text: &str, state: State) -> String {
    let line = format!("state: {}", state.as_str());
    let is_state = |line: &&str| line.starts_with("state:");
    if text.lines().any(|line| is_state(&line)) {
        let lines: Vec<&str> = text.lines().map(|old| if is_state(&old) { &*line } else { old }).collect();
        return format!("{}\n", lines.join("\n"));
    }
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{line}\n")
}

/// The text of a new declaration.
pub fn text(declared: &Declared) -> String {
    let mut text =
        String::from("# A tenant of this machine; fleet tenant apply carries it out.\nversion: 1\n");
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("{key}: {value}\n"));
        }
    };
    let user = declared.user.as_str();
    add("user", (user != declared.name.as_str()).then(|| serde_json::Value::from(user).to_string()));
    add("uid", declared.uid.map(|uid| uid.to_string()));
    let path = |path: &PathBuf| serde_json::Value::from(path.display().to_string()).to_string();
    add("home", declared.home.as_ref().map(path));
    add("shell", declared.shell.as_ref().map(path));
    if let super::Fleet::Profile(profile) = &declared.fleet {
        add("profile", Some(profile.name().to_owned()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::UserName;
    use crate::roster::Profile;
    use crate::tenant::{Fleet, read};

    fn declared() -> Declared {
        let bare =
            Declared::bare(TenantId::parse("usc").expect("a name"), UserName::parse("usc").expect("a name"));
        Declared { uid: Some(1234), fleet: Fleet::Profile(Profile::Usc), home: Some("/h/a b".into()), ..bare }
    }

    #[test]
    fn a_written_declaration_reads_back_and_its_state_changes_alone() {
        let name = TenantId::parse("usc").expect("a name");
        let written = text(&declared());
        let file = declaration(&name);
        assert_eq!(read(written.as_bytes(), &file, &name), Ok(declared()));
        for state in [State::Absent, State::Present, State::Absent] {
            let changed = with_state(&written, state);
            assert_eq!(
                read(changed.as_bytes(), &file, &name),
                Ok(Declared { state, ..declared() }),
                "{changed}"
            );
        }
        assert_eq!(
            with_state("# x\nstate: absent # y\nuid: 1000", State::Present),
            "# x\nstate: present\nuid: 1000\n"
        );
    }

    #[test]
    fn limits_stand_as_systemd_reads_them_and_a_home_may_have_odd_characters() {
        let [(slice, limits), (manager, mount)] = files(&declared(), 1234, Path::new("/h/a b%\""));
        assert_eq!(slice, Path::new("/etc/systemd/system/user-1234.slice.d/mosaic.conf"));
        assert!(is_file(&slice) && is_file(&manager));
        assert!(limits.ends_with("[Slice]\nTasksMax=4096\n"), "{limits}");
        assert_eq!(manager, Path::new("/etc/systemd/system/user@1234.service.d/mosaic.conf"));
        assert!(mount.ends_with("RequiresMountsFor=\"/h/a b%%\\\"\"\n"), "{mount}");
    }
}
