//! Limits of one agent: who goes over them is stopped there.

use std::time::Instant;

use serde_json::Value;

use crate::bench::{BUSY, Bench, on_both_trees, on_one_tree};
use crate::fleet::rig::Suite;
use crate::fleet::unit;

#[test]
fn a_memory_hog_is_killed_alone_and_shown() {
    on_both_trees(|bench| {
        let before = kills(bench).len();
        let first = bench.pane("hog");
        let begun = Instant::now();
        bench.keys("hog", "'/fault memory:200' Enter");
        bench.until("the kill is shown", || bench.row("hog")["flags"].to_string().contains("OOM"));
        let noticed = begun.elapsed();
        bench.until("it is back", || bench.fleet.pane("hog").is_some_and(|pane| pane != first));
        bench.note("memory hog with a limit", Some(noticed), Some(begun.elapsed()));

        let hog = bench.row("hog");
        assert!(hog["reasons"].to_string().contains("the OOM killer ended"), "{hog:#}");
        let kills = kills(bench).split_off(before);
        let own = |kill: &String| kill.contains("CONSTRAINT_MEMCG") && kill.contains("mosaic-agent@hog");
        assert!(!kills.is_empty() && kills.iter().all(own), "{kills:#?}");
        bench.until("verify tells of it", || {
            bench.fleet.run(&["fleet", "verify", "--json"]).stdout.contains("\"oom\"")
        });
    });
}

/// Every kill that the kernel's log tells of.
fn kills(bench: &Bench) -> Vec<String> {
    let log = bench.fleet.rig.root(&["journalctl", "-k", "-q", "--no-pager", "-o", "cat", "-g", "oom-kill:"]);
    log.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_fork_bomb_is_refused_by_the_kernel_and_can_be_stopped() {
    on_both_trees(|bench| {
        let fleet = &bench.fleet;
        let begun = Instant::now();
        bench.keys("bomb", "Enter");
        bench.until("it is told", || {
            let told = fleet.run(&["mosaic", "agent", "status", "bomb", "--json"]).stdout;
            let told: Value = serde_json::from_str(&told).unwrap_or_default();
            told["reasons"].to_string().contains("it was refused processes or threads")
        });
        let noticed = begun.elapsed();
        assert!(bench.unit_number("bomb", "pids.events", "max ") > 0);
        // Whoever else wants a process gets one.
        fleet.sh("for n in 1 2 3 4 5 6 7 8; do sleep 0 & done; wait").ok();
        let tasks: u64 = fleet.unit(&unit("bomb"), "TasksCurrent").parse().expect("a number");
        assert!(tasks <= 24, "{tasks}");
        assert_eq!(bench.unit_number("beside", "pids.events", "max "), 0);
        // It can be stopped like any other, and nothing of it stays.
        let group = bench.group("bomb");
        let stopping = Instant::now();
        fleet.run(&["fleet", "stop", "bomb"]).ok();
        assert_ne!(fleet.rig.root(&["test", "-e", &format!("/sys/fs/cgroup{group}")]).code, 0, "{group}");
        bench.note("fork bomb under tasks_max", Some(noticed), Some(stopping.elapsed()));
    });
}

#[test]
fn a_busy_loop_gets_its_share() {
    on_one_tree(Suite::Bookworm, |bench| {
        let throttled = || bench.unit_number(BUSY, "cpu.stat", "nr_throttled ");
        let before = throttled();
        bench.until("it is held back", || throttled() > before + 5);
        let share = bench.shares(&[&bench.group(BUSY)])[0];
        assert!((0.02..0.15).contains(&share), "10 % was allowed, {share:.3} used");
    });
}
