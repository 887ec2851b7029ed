//! What a boot brought: gathered for `verify` alone, since it costs more than a row needs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::systemd::{SystemdError, UserManager};
use super::tmux;
use crate::layout::Layout;
use crate::names::HOLDER_UNIT;
use crate::snapshot::Fact;
use crate::snapshot::boot::BootFacts;

/// What starts a user's units at boot.
const TARGET: &str = "default.target";

/// Looks at it. What the manager said is read by [`super::journal`], where something is down.
pub fn look(layout: &Layout, tmux: Option<&Path>, manager: &Result<UserManager, SystemdError>) -> BootFacts {
    let asked = manager.as_ref();
    let why = || asked.err().map_or_else(String::new, ToString::to_string);
    let link = fs::symlink_metadata(layout.wants_link(TARGET, HOLDER_UNIT));
    let made = |link: fs::Metadata| {
        let nanoseconds = f64::from(u32::try_from(link.ctime_nsec()).unwrap_or_default());
        Some(f64::from(u32::try_from(link.ctime()).ok()?) + nanoseconds / 1e9)
    };
    BootFacts {
        wanted: asked
            .map_or_else(|_| Fact::Unknown(why()), |manager| Fact::from(manager.pulled_in_by(TARGET))),
        linked: link.ok().and_then(made),
        home_mount: fs::read_to_string("/proc/self/mountinfo")
            .ok()
            .and_then(|table| mount_of(&table, layout.home())),
        tmux: match tmux {
            Some(program) => Fact::from(tmux::installed(program)),
            None => Fact::Unknown("there is no tmux on PATH".to_owned()),
        },
        ..BootFacts::default()
    }
}

/// The mount that holds `path`, where that is not the root's.
fn mount_of(table: &str, path: &Path) -> Option<PathBuf> {
    let points = table.lines().filter_map(|line| Some(PathBuf::from(unescaped(line.split(' ').nth(4)?))));
    let holding = points.filter(|point| path.starts_with(point));
    holding.max_by_key(|point| point.as_os_str().len()).filter(|point| point != Path::new("/"))
}

/// Blanks and the like are three octal digits behind a backslash.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_of_a_home_is_the_nearest_and_the_root_is_none() {
        let table = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     30 22 8:2 / /home rw - ext4 /dev/sda2 rw\n\
                     31 30 0:40 / /home/a\\040b rw - tmpfs none rw\n";
        let mount = |home: &str| mount_of(table, Path::new(home));
        assert_eq!(mount("/home/u"), Some("/home".into()));
        assert_eq!(mount("/home/a b/x"), Some("/home/a b".into()));
        assert_eq!(mount("/srv/u"), None);
        assert_eq!(mount("/homes/u"), None, "not by the beginning of a name");
    }
}
