//! The place a roster is rendered for: machine, programs, folders, as they are here and now.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::programs::{self, NotFound};
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

/// The `fleet` program: this one, or the one beside `mosaic`, by the path it was called by. The kernel
/// knows it by where links end, which an upgrade changes; units keep the link.
pub fn program() -> Result<PathBuf> {
    let failed = |why: &dyn std::fmt::Display| Error::machine(format!("find the fleet program: {why}"));
    let own = env::current_exe().map_err(|error| failed(&error))?;
    let fleet = own.with_file_name("fleet");
    programs::check(&fleet).map_err(|flaw| {
        failed(&format!("{}: {flaw}", fleet.display())).hint("install fleet and mosaic into one folder")
    })?;
    let as_called = env::args_os().next().map(PathBuf::from).filter(|called| called.is_absolute());
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|f| f.join("fleet"));
    let mut candidates = as_called.map(|called| called.with_file_name("fleet")).into_iter().chain(on_path);
    Ok(candidates.find(|candidate| same(candidate, &fleet)).unwrap_or(fleet))
}

/// Whether two paths lead to the same file.
pub fn same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|facts| (facts.dev(), facts.ino())).ok();
    file(one).is_some_and(|seen| Some(seen) == file(other))
}

/// The tmux that units call.
pub fn tmux() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    on_path("tmux", &path)
        .map_err(|_| Error::machine("find tmux: it is not on PATH").hint("install it: sudo apt install tmux"))
}

/// A program on a search path, or where distributions have it: cron's path is short. The same file
/// has the same path whoever asks: where `/bin` is a link to `/usr/bin`, or the other way round, a
/// search path in another order must not change what is rendered.
fn on_path(name: &str, path: &OsStr) -> Result<PathBuf, NotFound> {
    let usual = ["/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin"].map(PathBuf::from);
    let folders = env::split_paths(path).filter(|folder| folder.is_absolute());
    let found = programs::find(OsStr::new(name), folders.chain(usual.iter().cloned()))?;
    let Ok(file) = found.canonicalize() else { return Ok(found) };
    let same = |path: &PathBuf| path.canonicalize().is_ok_and(|other| other == file);
    Ok(usual.iter().map(|folder| folder.join(name)).find(same).unwrap_or(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_taken_from_the_path_before_the_usual_places() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let own = folder.path().join("sh");
        std::fs::write(&own, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).expect("set");
        assert_eq!(on_path("sh", folder.path().as_os_str()), Ok(own));
        let usual = on_path("sh", OsStr::new("")).expect("there is one");
        for path in ["/bin:/usr/bin", "/usr/bin:/bin", "/sbin:/bin", "relative:/usr/../bin"] {
            assert_eq!(on_path("sh", OsStr::new(path)), Ok(usual.clone()), "{path}");
        }
        assert!(on_path("no-such-program-here", OsStr::new("")).is_err());
    }
}
