//! What the child looks at before it writes into a home: that the folders on the way are the tenant's own
//! and inside the home. Run as the tenant, never as root.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::users::name_of;
use crate::layout::Layout;

/// Refuses a home whose folders lead elsewhere, belong to somebody else or are open to all.
pub fn check(layout: &Layout, uid: u32) -> Result<()> {
    let home = layout.home();
    let real =
        home.canonicalize().map_err(|error| refused(home, &format!("it can't be entered: {error}"), None))?;
    own(home, uid)?;
    let deepest = [layout.agents(), layout.run(), layout.units(), layout.framework(), layout.start_script()];
    let mut seen: Vec<PathBuf> = Vec::new();
    for folder in deepest {
        let Ok(below) = folder.strip_prefix(home) else { continue };
        let mut at = home.to_path_buf();
        for part in below {
            at.push(part);
            if seen.contains(&at) {
                continue;
            }
            seen.push(at.clone());
            match fs::symlink_metadata(&at) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(refused(&at, &format!("it can't be looked at: {error}"), None)),
                Ok(facts) if facts.is_symlink() => inside(&at, &real)?,
                Ok(_) => {}
            }
            own(&at, uid)?;
        }
    }
    Ok(())
}

/// Refuses a link that leads out of the home.
fn inside(link: &Path, home: &Path) -> Result<()> {
    let leads = link.canonicalize().map_err(|error| {
        refused(
            link,
            &format!("it is a link that leads nowhere: {error}"),
            Some(format!("rm {}", link.display())),
        )
    })?;
    if leads.starts_with(home) {
        return Ok(());
    }
    let why = format!("it is a link that leads out of the home, to {}", leads.display());
    Err(refused(link, &why, Some(format!("rm {}", link.display()))))
}

/// Refuses a folder of somebody else's, and one that everybody may write to.
fn own(path: &Path, uid: u32) -> Result<()> {
    let facts = fs::metadata(path)
        .map_err(|error| refused(path, &format!("it can't be looked at: {error}"), None))?;
    let shown = path.display();
    if facts.uid() != uid {
        let why = format!("it belongs to {}", name_of(facts.uid()));
        return Err(refused(path, &why, Some(format!("mv {shown} {shown}.foreign"))));
    }
    if facts.is_dir() && facts.mode() & 0o002 != 0 {
        let why = format!("everybody may write to it (mode {:04o})", facts.mode() & 0o7777);
        return Err(refused(path, &why, Some(format!("chmod o-w {shown}"))));
    }
    Ok(())
}

fn refused(path: &Path, why: &str, cure: Option<String>) -> Error {
    let error = Error::machine(format!("{}: {why}: nothing was written", path.display()));
    match cure {
        Some(cure) => error.hint(format!("as {}: {cure}", name_of(nix::unistd::geteuid().as_raw()))),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn checked(home: &Path) -> Result<()> {
        check(&Layout::new(home, None), nix::unistd::geteuid().as_raw())
    }

    #[test]
    fn links_inside_the_home_are_fine_and_those_that_lead_out_are_refused_with_their_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let (home, out) = (folder.path().join("home"), folder.path().join("out"));
        fs::create_dir_all(home.join("dots/mosaic")).expect("made");
        fs::create_dir(&out).expect("made");
        checked(&home).expect("an empty home is fine");
        symlink("dots", home.join(".config")).expect("linked");
        checked(&home).expect("it stays inside");
        symlink(&out, home.join("dots/systemd")).expect("linked");
        let error = checked(&home).expect_err("it leads out");
        assert!(
            error.message.contains(".config/systemd: it is a link that leads out of the home"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_everybody_may_write_to_is_refused_with_the_cure() {
        let home = tempfile::tempdir().expect("a home");
        let mosaic = home.path().join(".config/mosaic");
        fs::create_dir_all(&mosaic).expect("made");
        fs::set_permissions(&mosaic, fs::Permissions::from_mode(0o777)).expect("set");
        let error = checked(home.path()).expect_err("open to all");
        assert!(error.message.contains("everybody may write to it (mode 0777)"), "{error}");
        assert!(error.hints[0].contains("chmod o-w"), "{error:?}");
    }
}
