//! The place a roster is rendered for: machine, programs, folders, as they are here and now.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::users;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::names::HostName;
use crate::render::Site;

/// The site of this machine for a tenant's places.
pub fn site(layout: &Layout) -> Result<Site> {
    Ok(Site { layout: layout.clone(), host: host()?, program: program()?, tmux: tmux()? })
}

/// The machine's name.
pub fn host() -> Result<HostName> {
    let name = users::host_name().unwrap_or_default();
    HostName::parse(&name).map_err(|error| {
        Error::machine(format!("name this machine: {error}")).hint("set it: sudo hostnamectl hostname NAME")
    })
}

/// The `fleet` program: this one, or the one beside `mosaic`. Not followed through links, so that an
/// upgrade that moves a link moves units along.
fn program() -> Result<PathBuf> {
    let failed = |why: &dyn std::fmt::Display| Error::machine(format!("find the fleet program: {why}"));
    let own = env::current_exe().map_err(|error| failed(&error))?;
    let fleet = own.with_file_name("fleet");
    if is_program(&fleet) {
        return Ok(fleet);
    }
    Err(failed(&format!("{} is not there", fleet.display())).hint("install fleet and mosaic into one folder"))
}

fn tmux() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    on_path("tmux", &path).ok_or_else(|| {
        Error::machine("find tmux: it is not on PATH").hint("install it: sudo apt install tmux")
    })
}

/// A program on a search path, or where distributions have it.
fn on_path(name: &str, path: &OsStr) -> Option<PathBuf> {
    let usual = ["/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin"];
    env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .chain(usual.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_from_the_path_before_the_usual_places() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("sh");
        std::fs::write(&own, "").expect("written");
        assert_ne!(on_path("sh", folder.path().as_os_str()), Some(own.clone()), "not executable");
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o755)).expect("set");
        assert_eq!(on_path("sh", folder.path().as_os_str()), Some(own));
        assert!(on_path("sh", OsStr::new("")).is_some());
    }
}
