//! Limits of the kernel and of the user, as they are now.

use nix::sys::resource::{Resource, getrlimit};

use super::system::group;
use super::{Ask, manager_pid};
use crate::doctor::Numbers;
use crate::host::kernel;
use crate::snapshot::Fact;

/// Looks at the limits and the memory.
pub fn look(ask: &Ask) -> Numbers {
    let uid = ask.caller.uid;
    Numbers {
        open_files: open_files(uid),
        inotify: number("/proc/sys/fs/inotify/max_user_instances"),
        pids: number("/proc/sys/kernel/pid_max"),
        tasks: tasks(uid),
        memory: memory(),
    }
}

/// The limit of the user's manager, which its units get; without one, ours.
fn open_files(uid: u32) -> Fact<u64> {
    let theirs = manager_pid(uid)
        .and_then(|pid| kernel::text(format!("/proc/{pid}/limits")).ok())
        .and_then(|text| hard_limit(&text));
    match theirs {
        Some(limit) => Fact::Known(limit),
        None => getrlimit(Resource::RLIMIT_NOFILE).map(|(_, hard)| hard).into(),
    }
}

fn hard_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// The smaller limit of the user's slice and of its manager.
fn tasks(uid: u32) -> Fact<Option<u64>> {
    let Some(group) = group(uid) else { return Fact::Unknown("the user's manager does not run".to_owned()) };
    let groups = [Some(group.as_path()), group.parent()];
    let limits = groups.into_iter().flatten().filter_map(|g| kernel::text(g.join("pids.max")).ok());
    Fact::Known(limits.filter_map(|text| text.trim().parse().ok()).min())
}

fn memory() -> Fact<u64> {
    let text = match kernel::text("/proc/meminfo") {
        Ok(text) => text,
        Err(error) => return Fact::Unknown(format!("/proc/meminfo: {error}")),
    };
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilo = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilo.map(|k| k * 1024).ok_or("/proc/meminfo does not say MemTotal").into()
}

fn number(path: &str) -> Fact<u64> {
    match kernel::text(path) {
        Ok(text) => text.trim().parse().map_err(|_| format!("{path} holds no number")).into(),
        Err(error) => Fact::Unknown(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hard_limit_is_the_second_number() {
        let line = |hard: &str| {
            format!("Limit  Soft Hard Units\nMax open files            1024                 {hard}  files\n")
        };
        assert_eq!(hard_limit(&line("524288")), Some(524_288));
        assert_eq!(hard_limit(&line("unlimited")), Some(u64::MAX));
        assert_eq!(hard_limit("Max processes 1 2 x\n"), None);
    }
}
