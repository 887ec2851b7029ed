//! What an apply asks of the manager, as a monitor of the user's bus sees it: nothing is told that was told
//! already, and whatever the number of agents, they are told in one call.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Instant;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};
use serde_json::Value;

const NOTHING: &str = "Nothing to do: ";
/// Calls of ours before and after what is counted.
const FIRST: &str = "GetUnitByPID";
const LAST: &str = "GetJob";
/// Methods that change nothing.
const READS: [&str; 5] = ["Get", "ListUnitsByPatterns", "LoadUnit", FIRST, LAST];

/// Where the monitor writes what it sees, inside the rig.
const SEEN: &str = "/tmp/calls";

/// Counts method calls to the user's manager.
struct Monitor(Child);

impl Monitor {
    fn of(fleet: &Fleet) -> Self {
        let monitor = format!(
            "rm -f {SEEN}; export XDG_RUNTIME_DIR=/run/user/{}; \
             exec busctl --user --json=short monitor org.freedesktop.systemd1 > {SEEN} 2>&1",
            fleet.uid
        );
        let mut command = fleet.rig.as_user_command(TENANT, &["sh", "-c", &monitor]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        fleet.rig.wait_until("it monitors", SOON, || Self::sees(fleet, FIRST));
        Self(child)
    }

    /// Makes that call, which changes nothing, and says whether the monitor has seen one.
    fn sees(fleet: &Fleet, method: &str) -> bool {
        let object = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";
        fleet.sh(&format!("busctl --user call {object} {method} u 1"));
        fleet.run(&["grep", "-q", &format!("\"member\":\"{method}\""), SEEN]).code == 0
    }

    /// How often each method was called until now.
    fn counted(mut self, fleet: &Fleet) -> BTreeMap<String, u32> {
        fleet.rig.wait_until("it has seen the last call", SOON, || Self::sees(fleet, LAST));
        self.0.kill().expect("it is ours");
        self.0.wait().expect("it ended");
        let mut counted = BTreeMap::new();
        for line in fleet.rig.read(SEEN).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            if message["type"] == "method_call" {
                *counted.entry(message["member"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        counted
    }
}

fn roster(agents: usize, more: &str) -> String {
    let mut text = "version: 1\nagents:\n".to_owned();
    for agent in 0..agents {
        text.push_str(&format!("  - {{name: a{agent}, command: sleep 100000{more}}}\n"));
    }
    text
}

fn write(fleet: &Fleet, text: &str) {
    fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), text, TENANT);
}

#[test]
fn a_second_apply_of_a_hundred_agents_writes_nothing_and_tells_the_manager_nothing() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        write(&fleet, &roster(100, ""));
        let monitor = Monitor::of(&fleet);
        fleet.run(&["fleet", "apply"]).ok();
        let first = monitor.counted(&fleet);
        // The holder and the agents, each enabled in the same call and started once.
        for (method, times) in [("EnableUnitFiles", 1), ("Reload", 1), ("StartUnit", 101)] {
            assert_eq!(first.get(method), Some(&times), "{suite:?}: {first:?}");
        }

        let stands = || fleet.sh("find ~ -printf '%p %i %m %s %T@ %C@\\n' | sort").ok();
        // The first supervisors may still be writing their records down.
        let mut before = stands();
        fleet.rig.wait_until("all is quiet", SOON, || {
            let now = stands();
            std::mem::replace(&mut before, now.clone()) == now
        });
        let monitor = Monitor::of(&fleet);
        let again = fleet.run(&["fleet", "apply"]).ok();
        let second = monitor.counted(&fleet);
        assert!(again.starts_with(NOTHING), "{suite:?}: {again}");
        assert_eq!(stands(), before, "{suite:?}: neither content nor time of any file");
        let written: Vec<&String> = second.keys().filter(|m| !READS.contains(&m.as_str())).collect();
        assert!(written.is_empty(), "{suite:?}: {second:?}");
    }
}

#[test]
fn ten_applies_at_once_do_the_work_once_with_one_reload_and_the_rest_say_whom_they_wait_for() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(3, ""));
        write(&fleet, &roster(4, ", limits: {tasks_max: 500}"));
        let monitor = Monitor::of(&fleet);
        let script = "cd; for n in 1 2 3 4 5 6 7 8 9 10; do fleet apply > out.$n 2> err.$n & pids=\"$pids $!\"; done; \
                      for pid in $pids; do wait $pid || exit 1; done; cat out.*; cat err.* >&2";
        let begun = Instant::now();
        let run = fleet.run(&["sh", "-c", script]).exits(0);
        let done = begun.elapsed();
        let counted = monitor.counted(&fleet);
        for agent in ["a0: restarted", "a1: restarted", "a2: restarted", "a3: started"] {
            assert_eq!(run.stdout.matches(agent).count(), 1, "{suite:?}: {}", run.report());
        }
        let waiting = run.stderr.matches("waiting for another apply (pid ").count();
        let idle = run.stdout.matches(NOTHING).count();
        assert_eq!(idle, 9, "{suite:?}: {}", run.report());
        assert!(waiting > 0 && waiting <= 9, "{suite:?}: {}", run.report());
        let once = [("Reload", 1), ("EnableUnitFiles", 1), ("RestartUnit", 3), ("StartUnit", 1)];
        for (method, times) in once {
            assert_eq!(counted.get(method), Some(&times), "{suite:?}: {counted:?}");
        }
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING));
        measured::note("ten concurrent applies", &format!("{suite:?}"), None, Some(done));
    }
}
