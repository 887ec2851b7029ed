//! Home and /tmp: whether they are there when the fleet starts, and may hold what it runs.

use super::check::Check;
use super::facts::{Mount, Places, System};

/// File systems that come over the network or from a program, and so late at boot.
const LATE: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "autofs", "ceph", "glusterfs", "9p"];
/// File systems that only a login opens.
const LOCKED: [&str; 2] = ["ecryptfs", "fscrypt"];
/// Less than this is no room for logs and records.
const LITTLE: u64 = 64 * 1024 * 1024;
/// Less than this does not last.
const SCARCE: u64 = 1024 * 1024 * 1024;

/// The checks.
pub fn checks(places: &Places, system: &System) -> Vec<Check> {
    vec![home(places, system), home_exec(places), tmp(places), disk(places)]
}

fn home(places: &Places, system: &System) -> Check {
    let (id, expected) = ("home-mount", "there before the user's manager starts at boot");
    let home = places.home.display();
    Check::of(id, &places.home_mount, expected, |mount| {
        let Mount { point, kind, .. } = mount;
        let at = format!("{home} is on {kind} at {}", point.display());
        let waits =
            format!("sudo systemctl edit user@{}.service, with [Unit] RequiresMountsFor={home}", system.uid);
        if LOCKED.contains(&kind.as_str()) {
            let cure = "give the tenant a home that is not encrypted by its password";
            Check::bad(id, format!("{at}: only a login opens it"), expected, cure)
        } else if LATE.contains(&kind.as_str()) || kind.starts_with("fuse") {
            Check::warn(id, format!("{at}: it may come after the user's manager"), expected, waits)
        } else {
            Check::ok(id, at)
        }
    })
}

fn home_exec(places: &Places) -> Check {
    let (id, expected) = ("home-exec", "programs in the home may run");
    Check::of(id, &places.home_mount, expected, |mount| {
        let point = mount.point.display();
        if mount.has("noexec") {
            let cure = format!("sudo mount -o remount,exec {point}, and the same in /etc/fstab");
            Check::bad(
                id,
                format!("{point} is mounted noexec: no unit can run its start script"),
                expected,
                cure,
            )
        } else {
            Check::ok(id, expected)
        }
    })
}

fn tmp(places: &Places) -> Check {
    let (id, expected) =
        ("tmp", "/tmp is the same for you and the user's manager, and programs may run there");
    if let Some(false) = places.same_tmp.known() {
        return Check::bad(
            id,
            "your /tmp is not that of the user's manager: the fleet's socket is not where you look for it",
            expected,
            "take pam_namespace or PrivateTmp for /tmp away from this user",
        );
    }
    Check::of(id, &places.tmp_mount, expected, |mount| {
        if mount.has("noexec") {
            let seen =
                "/tmp is mounted noexec: node's native modules and some tools of agents don't run there";
            Check::warn(
                id,
                seen,
                expected,
                "sudo mount -o remount,exec /tmp, or set TMPDIR in the roster's env",
            )
        } else {
            Check::ok(id, "one for all, programs may run")
        }
    })
}

fn disk(places: &Places) -> Check {
    let (id, expected) = ("disk", "1 GiB free and files to spare where the home is");
    let cure = "free some space";
    Check::of(id, &places.free, expected, |(bytes, files)| {
        let seen = match files {
            Some(files) => format!("{} MiB free, {files}% of files", bytes >> 20),
            None => format!("{} MiB free", bytes >> 20),
        };
        if *bytes < LITTLE || *files == Some(0) {
            Check::bad(id, seen, expected, cure)
        } else if *bytes < SCARCE || files.is_some_and(|f| f < 5) {
            Check::warn(id, seen, expected, cure)
        } else {
            Check::ok(id, seen)
        }
    })
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}
