//! Limits of the kernel and of the user, and what a roster's agents take of them.

use super::Needs;
use super::check::Check;
use super::facts::{Numbers, System};
use super::system::controllers;
use crate::snapshot::Fact;

/// What the holder raises its own limit to.
const OPEN_FILES: u64 = 65_536;
/// Threads and processes that a runtime of node's and its tools take, generously.
const TASKS_EACH: u64 = 60;
/// Watchers that a runtime and its tools take.
const WATCHERS_EACH: u64 = 4;
/// What else of the user's takes some.
const WATCHERS_BESIDE: u64 = 16;

/// The checks.
pub fn checks(numbers: &Numbers, system: &System, needs: Option<&Needs>) -> Vec<Check> {
    let mut checks = vec![open_files(numbers)];
    if let Some(needs) = needs {
        checks.push(controllers(system, &needs.controllers));
        checks.extend([
            inotify(numbers, needs),
            tasks(numbers, system, needs),
            pids(numbers, needs),
            memory(numbers, needs),
        ]);
    }
    checks
}

fn open_files(numbers: &Numbers) -> Check {
    let (id, expected) = ("open-files", "a hard limit of 65536 or more");
    Check::of(id, &numbers.open_files, expected, |limit| match *limit {
        limit if limit >= OPEN_FILES => Check::ok(id, limit.to_string()),
        limit => Check::warn(
            id,
            format!(
                "{limit}: one tmux server holds all agents' terminals, and ends at about {} of them",
                limit / 5
            ),
            expected,
            "sudo systemctl edit user@.service, with [Service] LimitNOFILE=524288; then reboot",
        ),
    })
}

fn inotify(numbers: &Numbers, needs: &Needs) -> Check {
    let wanted = needs.agents * WATCHERS_EACH + WATCHERS_BESIDE;
    let expected = format!("{wanted} or more for {} agents", needs.agents);
    more("inotify", &numbers.inotify, wanted, &expected, || {
        format!(
            "echo fs.inotify.max_user_instances={} | sudo tee /etc/sysctl.d/60-fleet.conf && sudo sysctl --system",
            wanted.next_power_of_two().max(512)
        )
    })
}

fn pids(numbers: &Numbers, needs: &Needs) -> Check {
    let wanted = needs.agents * TASKS_EACH + 1000;
    let expected = format!("{wanted} or more for {} agents", needs.agents);
    more("pid-max", &numbers.pids, wanted, &expected, || "sudo sysctl kernel.pid_max=4194304".to_owned())
}

fn tasks(numbers: &Numbers, system: &System, needs: &Needs) -> Check {
    let id = "tasks-max";
    let wanted = needs.agents * TASKS_EACH + 100;
    let expected = format!("{wanted} or more for {} agents", needs.agents);
    Check::of(id, &numbers.tasks, &expected, |limit| match limit {
        None => Check::ok(id, "no limit on the user's processes"),
        Some(limit) => more(id, &Fact::Known(*limit), wanted, &expected, || {
            format!("sudo systemctl set-property user-{}.slice TasksMax={}", system.uid, wanted * 2)
        }),
    })
}

fn more(id: &str, fact: &Fact<u64>, wanted: u64, expected: &str, cure: impl Fn() -> String) -> Check {
    Check::of(id, fact, expected, |limit| {
        if *limit >= wanted {
            Check::ok(id, limit.to_string())
        } else {
            Check::warn(id, limit.to_string(), expected, cure())
        }
    })
}

fn memory(numbers: &Numbers, needs: &Needs) -> Check {
    let id = "memory";
    let mega = |bytes: u64| bytes / 1_000_000;
    let expected = format!("about {} MB for {} agents, with some left", mega(needs.memory), needs.agents);
    Check::of(id, &numbers.memory, &expected, |total| {
        let seen = format!("{} MB in all", mega(*total));
        if needs.memory > total / 10 * 9 {
            Check::warn(
                id,
                seen,
                &expected,
                "give the machine more memory, or the roster fewer agents at once",
            )
        } else {
            Check::ok(id, seen)
        }
    })
}
