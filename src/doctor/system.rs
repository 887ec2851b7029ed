//! systemd, logind, the user's manager and control groups.

use super::check::Check;
use super::facts::{Controllers, Manager, Process, System};
use super::version;
use crate::snapshot::Fact;
use crate::snapshot::boot::Account;

/// The oldest systemd that the fleet is tested with.
const OLDEST: u32 = 252;

/// The checks; those of what only systemd brings are not known where it does not run.
pub fn checks(system: &System) -> Vec<Check> {
    let first = first(&system.first);
    if !first.ok {
        let of_systemd = ["systemd", "user-manager", "user-bus", "linger"];
        let mut checks = vec![first];
        checks.extend(of_systemd.map(|id| Check::unknown(id, "systemd does not run here", "systemd runs")));
        return checks;
    }
    let mut checks = vec![
        first,
        Check::of("systemd", &system.version, "252 or later", |version| self::version(version)),
        manager(system),
        bus(system),
        pam(system),
        linger(system),
    ];
    checks.extend(system.account.known().map(|seen| account(seen, &system.user)));
    checks
}

/// Whether the user's account is good for a fleet that runs for long.
pub fn account(seen: &Account, user: &str) -> Check {
    let (id, expected) = ("account", "it has no end");
    match &seen.end {
        None => Check::ok(id, expected),
        Some(end) if seen.has_ended() => Check::bad(id, end.words(), expected, end.cure(user)),
        Some(end) => {
            let seen = format!("{}: from then on no boot starts the fleet", end.words());
            Check::warn(id, seen, expected, end.cure(user))
        }
    }
}

/// Which controllers of control groups a user has, for limits.
pub fn controllers(system: &System, wanted: &[&str]) -> Check {
    let id = "controllers";
    let needed = if wanted.is_empty() {
        "control groups version 2".to_owned()
    } else {
        format!("control groups version 2 with {}, which the roster's limits need", wanted.join(", "))
    };
    let unit = format!("user@{}.service", system.uid);
    Check::of(id, &system.cgroup, &needed, |seen| match seen {
        Controllers::Legacy => {
            let cure = "boot with systemd.unified_cgroup_hierarchy=1";
            let seen = "control groups are the old hierarchy";
            if wanted.is_empty() {
                Check::warn(id, seen, &needed, cure)
            } else {
                Check::bad(id, seen, &needed, cure)
            }
        }
        Controllers::NoManager => Check::unknown(id, format!("{unit} does not run yet"), &needed),
        Controllers::Delegated(all) => {
            let missing: Vec<&str> = wanted.iter().copied().filter(|w| !all.iter().any(|a| a == w)).collect();
            let seen = if all.is_empty() { "none delegated".to_owned() } else { all.join(" ") };
            if missing.is_empty() {
                return Check::ok(id, format!("version 2: {seen}"));
            }
            Check::bad(
                id,
                format!("version 2: {seen}; without {} the limits have no effect", missing.join(" and ")),
                &needed,
                format!("sudo systemctl edit {unit}, with [Service] Delegate=cpu memory pids; then reboot"),
            )
        }
    })
}

fn first(process: &Process) -> Check {
    let (id, expected) = ("init", "systemd is process 1");
    let name = match &process.name {
        Fact::Known(name) => name.as_str(),
        Fact::Unknown(why) if !process.booted => return Check::unknown(id, why, expected),
        Fact::Unknown(_) => "systemd",
    };
    if process.booted && name == "systemd" {
        return Check::ok(id, expected);
    }
    let cure = if process.wsl {
        "put [boot] and systemd=true into /etc/wsl.conf, then run wsl.exe --shutdown".to_owned()
    } else if let Some(kind) = &process.container {
        format!(
            "this is a container ({kind}): start one whose process 1 is systemd, for instance with systemd-nspawn --boot or podman run --systemd=always … /sbin/init"
        )
    } else {
        "boot a system with systemd; the fleet's agents are units of the user's manager".to_owned()
    };
    Check::bad(id, format!("process 1 is {name}"), expected, cure)
}

fn version(text: &str) -> Check {
    let id = "systemd";
    let expected = "252 or later, and none with a known fault";
    let Some((major, minor)) = version::of(text) else {
        return Check::unknown(id, format!("its version is {text:?}"), expected);
    };
    let candidate = text.contains("rc");
    match (major, minor) {
        (..OLDEST, _) => Check::bad(
            id,
            text,
            expected,
            "upgrade to Debian 12, Ubuntu 24.10 or another system with 252 or later",
        ),
        (255, _) => Check::bad(
            id,
            format!(
                "{text}: it ends the user's manager, agents and all, when the last ssh session ends, although the user lingers"
            ),
            expected,
            "upgrade systemd to 256 or later; until then use sudo -u or machinectl shell in place of ssh for this user",
        ),
        (256, 0) if candidate => Check::bad(
            id,
            format!("{text}: this candidate does not start lingering users at boot"),
            expected,
            "upgrade systemd to a release",
        ),
        (260, 1) => Check::warn(
            id,
            format!("{text}: it does not start lingering users after a soft-reboot"),
            expected,
            "use systemctl reboot in place of soft-reboot, or upgrade systemd",
        ),
        _ => Check::ok(id, text),
    }
}

fn manager(system: &System) -> Check {
    let (id, expected) = ("user-manager", "the user's own service manager answers");
    Check::of(id, &system.manager, expected, |manager| match manager {
        Manager::Up => Check::ok(id, "it answers"),
        Manager::Down(seen, cure) => {
            let usual = format!("sudo loginctl enable-linger {}", system.user);
            Check::bad(id, seen, expected, cure.clone().unwrap_or(usual))
        }
    })
}

fn bus(system: &System) -> Check {
    let (id, expected) = ("user-bus", "the user's D-Bus listens");
    Check::of(id, &system.bus, expected, |there| match there {
        true => Check::ok(id, "it listens"),
        false if system.manager != Fact::Known(Manager::Up) => {
            Check::unknown(id, "without the user's manager there is no bus", expected)
        }
        false => Check::warn(
            id,
            format!("nothing at /run/user/{}/bus", system.uid),
            expected,
            "sudo apt install dbus-user-session, then log in again or reboot",
        ),
    })
}

fn pam(system: &System) -> Check {
    let (id, expected) = ("pam-systemd", "logins are told to logind");
    Check::of(id, &system.pam, expected, |there| match there {
        true => Check::ok(id, "pam_systemd is configured"),
        false => Check::warn(
            id,
            "no file of /etc/pam.d names pam_systemd.so",
            expected,
            "sudo apt install libpam-systemd",
        ),
    })
}

fn linger(system: &System) -> Check {
    let (id, expected) = ("linger", "on, or something that may turn it on");
    let command = format!("sudo loginctl enable-linger {}", system.user);
    Check::of(id, &system.linger, expected, |on| match on {
        true => Check::ok(id, "on: the fleet starts at boot without a login"),
        false if system.uid == 0 => Check::ok(id, "off, and root may turn it on"),
        false if system.polkit => {
            Check::warn(id, "off: apply asks logind for it, and polkit decides", "on", command)
        }
        false => Check::bad(
            id,
            "off, and without polkit a plain user can't turn it on: nothing would start at boot",
            "on",
            command,
        ),
    })
}
