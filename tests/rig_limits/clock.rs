//! A clock that is set: beats and restarts are judged by one that only the kernel moves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{BEATING, Bench, is_healthy, of, on_one_tree};
use crate::fleet::rig::Suite;
use crate::fleet::{MOSAIC, unit};

/// Days forward and back again, and a bit.
const JUMPS: [&str; 4] = ["+3 days", "-3 days", "-2 hours", "+2 hours"];
/// For whom a message waits longer than the clock jumps, and for whom it does not.
const LONG: &str = "beside";
const SHORT: &str = "greedy";

#[test]
fn whoever_beats_is_neither_stale_nor_restarted_when_the_clock_jumps() {
    on_one_tree(Suite::Trixie, |bench| {
        let send = |agent: &str, arguments: &[&str]| {
            bench.fleet.run(&[&["mosaic", "agent", "send", agent, "--json"], arguments].concat())
        };
        // Both wait for a turn: one of them longer than any of these jumps takes it forward.
        for (agent, ttl) in [(LONG, "4d"), (SHORT, "30m")] {
            send(agent, &["--message", "waits", "--queue", "--ttl", ttl, "--id", "waits"]).exits(0);
            assert_eq!(state(bench, agent), "held", "{:?}", bench.suite);
        }

        let mut slowest = Duration::ZERO;
        for jump in JUMPS {
            let begun = Instant::now();
            jumps(bench, jump);
            three_beats_are_written(bench, jump);
            let rows = bench.rows_by(&["fleet", "ps", "--probe", "--json"]);
            slowest = slowest.max(begun.elapsed());
            for agent in BEATING {
                let row = of(&rows, agent);
                assert!(is_healthy(row), "{:?}: {jump}: {row:#}", bench.suite);
                assert_eq!(row["flags"], json!([]), "{:?}: {jump}: {row:#}", bench.suite);
            }
            // The supervisor says here what it thinks of beats.
            let said = bench.fleet.unit(&unit("watched"), "StatusText");
            assert!(!said.contains("beats"), "{:?}: {jump}: {said}", bench.suite);
            assert_eq!(bench.fleet.record("watched", "stale_restarts"), "0", "{:?}: {jump}", bench.suite);
            // Who asks has done first what the clock says is due.
            bench.fleet.run(&["mosaic", "agent", "status"]);
            assert_eq!(state(bench, LONG), "held", "{:?}: {jump}", bench.suite);
            assert_eq!(state(bench, SHORT), "expired", "{:?}: {jump}", bench.suite);
        }
        bench.note("clock jump", None, Some(slowest));

        // Its turn comes, and after it what has waited.
        send(LONG, &["--message", "a turn", "--verify"]).exits(0);
        bench.until("what waited is handed out", || state(bench, LONG) == "accepted");
    });
}

fn jumps(bench: &Bench, by: &str) {
    bench.fleet.rig.root_ok(&["sh", "-c", &format!("date -s \"$(date -d '{by}' '+%F %T')\"")]);
}

/// Waits, inside, until each that beats has written three beats from now on.
fn three_beats_are_written(bench: &Bench, jump: &str) {
    let script = "read -r since _ </proc/uptime
        for agent; do
            last= count=0
            while [ $count -lt 3 ]; do
                at=$(sed -n 's/^boottime=//p' $agent.hb)
                newer=$(echo \"$at $since\" | awk '{ print ($1 > $2) }')
                if [ \"$newer\" = 1 ] && [ \"$at\" != \"$last\" ]; then last=$at count=$((count + 1)); fi
                sleep 0.2
            done
        done";
    let run = format!(
        "cd {MOSAIC}/fleet/run && timeout 60 sh -c '{script}' sh",
        script = script.replace('\'', "'\\''")
    );
    let run = bench.fleet.sh(&format!("{run} {}", BEATING.join(" ")));
    assert_eq!(run.code, 0, "{:?}: {jump}: no three beats: {}", bench.suite, run.report());
}

/// What is known of the message that waits.
fn state(bench: &Bench, agent: &str) -> String {
    let receipt = bench.fleet.rig.read(&format!("{MOSAIC}/fleet/run/receipts/{agent}/waits.json"));
    let receipt: Value = serde_json::from_str(&receipt).expect("JSON");
    receipt["state"].as_str().expect("a state").to_owned()
}
