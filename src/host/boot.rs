//! What a boot brought: gathered for `verify` alone, since it costs more than a row needs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::systemd::{SystemdError, UserManager};
use super::{account, mounts, tmux};
use crate::layout::Layout;
use crate::names::HOLDER_UNIT;
use crate::snapshot::Fact;
use crate::snapshot::boot::BootFacts;

/// What starts a user's units at boot.
const TARGET: &str = "default.target";

/// Looks at it. What the manager said is read by [`super::journal`], where something is down.
pub fn look(
    layout: &Layout,
    user: &str,
    tmux: Option<&Path>,
    manager: &Result<UserManager, SystemdError>,
) -> BootFacts {
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
        home_mount: home_mount(layout.home()),
        tmux: match tmux {
            Some(program) => Fact::from(tmux::installed(program)),
            None => Fact::Unknown("there is no tmux on PATH".to_owned()),
        },
        account: account::look(user),
        ..BootFacts::default()
    }
}

/// The mount that holds the home, where that is not the root's.
fn home_mount(home: &Path) -> Option<PathBuf> {
    let all = mounts::all().ok()?;
    mounts::holding(&all, home).map(|mount| mount.point.clone()).filter(|point| point != Path::new("/"))
}
