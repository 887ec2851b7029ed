//! `on_stale: restart`: who stopped answering is restarted, with a growing delay, and nobody is where the
//! reason lies elsewhere.

#[path = "common/fleet.rs"]
mod fleet;

use std::time::Duration;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::Value;

const AGENTS: [&str; 4] = ["a", "b", "c", "flagged"];

/// Four that beat each second; only the last keeps the default.
fn beating(suite: Suite) -> Fleet {
    let fleet = Fleet::tenant(suite);
    let mut roster = "version: 1\nagents:\n".to_owned();
    for agent in AGENTS {
        let on_stale = if agent == "flagged" { "" } else { ", on_stale: restart" };
        roster.push_str(&format!("- {{name: {agent}, runtime: dogfood{on_stale}}}\n"));
        let local = format!("{MOSAIC}/fleet/agents/{agent}.local.env");
        fleet.rig.write(&local, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
    }
    fleet.apply(&roster);
    fleet
        .rig
        .wait_until("all answer", SOON, || AGENTS.iter().all(|agent| health(&fleet, agent) == "healthy"));
    fleet
}

fn row(fleet: &Fleet, agent: &str) -> Value {
    let ps: Value = serde_json::from_str(&fleet.run(&["fleet", "ps", "--json"]).ok()).expect("JSON");
    ps["rows"].as_array().expect("rows").iter().find(|r| r["name"] == agent).expect("a row").clone()
}

fn health(fleet: &Fleet, agent: &str) -> String {
    row(fleet, agent)["heartbeat"]["health"].as_str().unwrap_or_default().to_owned()
}

/// Types a misbehaviour into panes, in one call of tmux.
fn misbehave(fleet: &Fleet, agents: &[&str], fault: &str) {
    let keys: Vec<String> =
        agents.iter().map(|agent| format!("send-keys -t ={agent}: '/fault {fault}' Enter")).collect();
    fleet.sh(&format!("tmux -L mosaic-factory {}", keys.join(" \\; "))).ok();
}

fn panes(fleet: &Fleet) -> Vec<i32> {
    AGENTS.iter().map(|agent| fleet.pane(agent).unwrap_or_else(|| panic!("{agent} has a pane"))).collect()
}

/// What systemd shows of the agent's unit.
fn status(fleet: &Fleet, agent: &str) -> String {
    fleet.unit(&unit(agent), "StatusText")
}

#[test]
fn who_stops_answering_is_restarted_alone_and_later_each_time() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = beating(suite);
        let before = panes(&fleet);
        misbehave(&fleet, &["flagged"], "mute");
        fleet.rig.wait_until("the flag is shown", SOON, || health(&fleet, "flagged") == "stale");

        misbehave(&fleet, &["c"], "mute");
        let second = fleet.comes_back("c", before[2]);
        let told = || status(&fleet, "c").contains("restarted once since its beats stopped");
        fleet.rig.wait_until("its status tells of it", SOON, told);
        let reasons = row(&fleet, "c")["reasons"].to_string();
        assert!(reasons.contains("on_stale: restarted once"), "{suite:?}: {reasons}");
        assert_eq!(fleet.record("c", "stale_restarts"), "1");
        let journal = fleet.sh("journalctl --user -q --no-pager -o cat -u mosaic-agent@c").stdout;
        assert!(journal.contains("restarted, since its beats stopped"), "{suite:?}: {journal}");

        // The second one in a row waits four intervals more, and says for how long.
        // One that hangs ignores the hang-up, too, and is waited for: once is enough.
        misbehave(&fleet, &["c"], if suite == Suite::Trixie { "hang" } else { "mute" });
        fleet.rig.wait_until("it is put off", SOON, || status(&fleet, "c").contains("; restarted in "));
        assert_eq!(fleet.pane("c"), Some(second), "{suite:?}");
        let third = fleet.comes_back("c", second);
        fleet.rig.wait_until("twice in a row", SOON, || {
            status(&fleet, "c").contains("restarted 2 times in a row")
        });

        let after = panes(&fleet);
        assert_eq!(after, [before[0], before[1], third, before[3]], "{suite:?}: nobody else was touched");
        // A person's stop and start begin anew.
        fleet.run(&["fleet", "restart", "c"]).ok();
        assert_eq!(fleet.record("c", "stale_restarts"), "0");
    });
}

#[test]
fn nobody_is_restarted_where_the_reason_lies_elsewhere() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = beating(suite);
        let before = panes(&fleet);
        // Two at one moment, of which each says so.
        misbehave(&fleet, &["a", "b"], "mute");
        for (agent, other) in [("a", "b"), ("b", "a")] {
            let said = format!("not restarted: those of {other} stopped at the same moment");
            fleet.rig.wait_until(&said, SOON, || status(&fleet, agent).contains(&said));
            let reasons = row(&fleet, agent)["reasons"].to_string();
            assert!(reasons.contains(&said), "{suite:?}: {reasons}");
        }
        // Long enough for each to be restarted, if it were: that takes an interval from here.
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(panes(&fleet), before, "{suite:?}");
        misbehave(&fleet, &["a", "b"], "none");
        fleet
            .rig
            .wait_until("both answer", SOON, || ["a", "b"].iter().all(|a| health(&fleet, a) == "healthy"));
        fleet.rig.wait_until("and no more is said", SOON, || !status(&fleet, "a").contains("stopped"));

        // A folder in which nobody can write: all fall silent, and all run on.
        let run = format!("{MOSAIC}/fleet/run");
        fleet.rig.root_ok(&[
            "sh",
            "-c",
            &format!("mount --bind {run} {run} && mount -o remount,bind,ro {run}"),
        ]);
        fleet.rig.wait_until("it is said", SOON, || {
            ["a", "b", "c"].iter().all(|agent| status(&fleet, agent).contains("its folder cannot be written"))
        });
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(panes(&fleet), before, "{suite:?}");
        fleet.rig.root_ok(&["umount", &run]);
        fleet.rig.wait_until("all answer", SOON, || AGENTS.iter().all(|a| health(&fleet, a) == "healthy"));
        fleet.rig.wait_until("and no more is said", SOON, || !status(&fleet, "a").contains("stopped"));
        assert_eq!(panes(&fleet), before, "{suite:?}");

        // A supervisor that itself did not get to run judges nobody by the time that was lost.
        let supervisor = fleet.supervisor("c");
        fleet.kill("-STOP", supervisor);
        misbehave(&fleet, &["c"], "mute");
        fleet.rig.wait_until("it is stale", SOON, || health(&fleet, "c") == "stale");
        std::thread::sleep(Duration::from_secs(3));
        fleet.kill("-CONT", supervisor);
        fleet.rig.wait_until("it is held", SOON, || status(&fleet, "c").contains("stood still a moment ago"));
        fleet.comes_back("c", before[2]);
    });
}
