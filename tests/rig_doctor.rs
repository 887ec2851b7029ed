//! `fleet doctor` in booted systems: a good one is found good, and what is taken away is named.

#[path = "common/fleet.rs"]
mod fleet;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, TENANT, roster};
use serde_json::Value;

fn ids(fleet: &Fleet, level: &str, code: i32) -> Vec<String> {
    let run = fleet.run(&["fleet", "doctor", "--json"]).exits(code);
    let value: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(value["ok"], code == 0);
    let checks = value["checks"].as_array().expect("checks").iter();
    checks.filter(|c| c["level"] == level).map(|c| c["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_good_machine_is_found_good_and_what_is_taken_away_is_named() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        assert_eq!(ids(&fleet, "bad", 0), Vec::<String>::new(), "{suite:?}: before anything is installed");
        fleet.apply(&roster(["coder"], "sleep 100000"));
        let all = fleet.run(&["fleet", "doctor"]).ok();
        assert!(all.contains("tmux-server"), "{all}");
        assert_eq!(ids(&fleet, "unknown", 0), Vec::<String>::new(), "{suite:?}: {all}");

        fleet.rig.root_ok(&["mv", "/usr/bin/tmux", "/usr/bin/tmux-away"]);
        assert_eq!(ids(&fleet, "bad", 1), ["tmux"], "{suite:?}");
        fleet.rig.root_ok(&["mv", "/usr/bin/tmux-away", "/usr/bin/tmux"]);

        let on_pi = "version: 1\nagents: [{name: a, runtime: pi}]\n";
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), on_pi, TENANT);
        assert_eq!(ids(&fleet, "bad", 1), ["runtime-pi"], "{suite:?}");
        fleet.program(".local/bin/pi", "#!/usr/bin/env node\n");
        assert_eq!(ids(&fleet, "bad", 1), ["node"], "{suite:?}");
        let told = fleet.run(&["fleet", "doctor"]).exits(1);
        assert!(told.stdout.contains("cure:") && told.stdout.contains("nodesource"), "{}", told.report());
        fleet.program(".local/bin/node", "#!/bin/sh\necho v20.6.0\n");
        assert_eq!(ids(&fleet, "bad", 0), Vec::<String>::new(), "{suite:?}");

        // The last mount of many: the kernel hands their table out in pieces.
        let many = "mkdir /run/many; for n in $(seq 60); do mkdir /run/many/$n; mount -t tmpfs none /run/many/$n; done; \
             mount --bind /home/demo /home/demo; mount -o remount,bind,noexec /home/demo";
        fleet.rig.root_ok(&["sh", "-c", many]);
        assert!(ids(&fleet, "bad", 1).contains(&"home-exec".to_owned()), "{suite:?}");
        fleet.rig.root_ok(&["umount", "/home/demo"]);

        fleet.rig.root_ok(&["loginctl", "disable-linger", TENANT]);
        assert!(ids(&fleet, "bad", 1).contains(&"linger".to_owned()), "{suite:?}");
    });
}
