//! The lint of unit files against what systemd really does with them.

#[path = "common/fleet.rs"]
mod fleet;

use std::collections::BTreeSet;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, SOON, TENANT, roster, unit};
use mosaic_fleet::lint::NEWER_KEYS;

const UNITS: &str = "/home/demo/.config/systemd/user";

#[test]
fn a_drop_in_that_keeps_agents_from_starting_at_boot_is_named_before_anything_is_written() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder", "coder0"], "sleep 100000"));
        let holder = format!("{UNITS}/mosaic-tmux-holder.service.d/late.conf");
        // On an agent alone the same line makes no ring, and systemd starts it.
        fleet.rig.write(
            &format!("{UNITS}/mosaic-agent@coder.service.d/late.conf"),
            "[Unit]\nAfter=default.target\n",
            TENANT,
        );
        fleet.run(&["fleet", "apply"]).ok();
        fleet.rig.reboot();
        fleet.rig.wait_until("both agents are up", SOON, || fleet.active() == 2);

        fleet.rig.write(&holder, "[Unit]\n# after everything\nAfter=default.target\n", TENANT);
        fleet.sh("systemctl --user daemon-reload").ok();
        let panes = [fleet.pane("coder"), fleet.pane("coder0")];
        let more = roster(["coder", "coder0", "coder1"], "sleep 100000");
        fleet.rig.write(&format!("{}/fleet/roster.yaml", fleet::MOSAIC), &more, TENANT);
        for verb in ["plan", "apply"] {
            let told = fleet.run(&["fleet", verb]).exits(3);
            assert!(told.stderr.contains(&format!("{holder}:3: an ordering cycle")), "{}", told.report());
            assert!(told.stderr.contains("coder0"), "{}", told.report());
        }
        assert_eq!([fleet.pane("coder"), fleet.pane("coder0")], panes, "{suite:?}: nothing was touched");
        assert_eq!(fleet.run(&["test", "-e", &format!("{}/fleet/agents/coder1.env", fleet::MOSAIC)]).code, 1);

        // And it is true: nobody marks anything as failed, and agents are not there.
        fleet.rig.reboot();
        fleet.rig.wait_until("the boot is done", SOON, || {
            fleet.rig.manager_runs(fleet.uid)
                && fleet.sh("systemctl --user is-active default.target").stdout.trim() == "active"
        });
        let active = |name: &str| fleet.unit(name, "ActiveState") == "active";
        let all = ["mosaic-tmux-holder.service".to_owned(), unit("coder"), unit("coder0")];
        let up = all.iter().filter(|name| active(name)).count();
        assert!(up < all.len(), "{suite:?}: systemd started everything although there is a cycle");
        assert_eq!(fleet.sh("systemctl --user --failed --no-legend").ok(), "");

        fleet.run(&["rm", &holder]).ok();
        fleet.run(&["fleet", "apply"]).ok();
        fleet.rig.reboot();
        fleet.rig.wait_until("all three are up", SOON, || fleet.active() == 3);
    }
}

/// The settings of services and of [Unit] and [Install] that a systemd knows.
fn known(fleet: &Fleet) -> BTreeSet<String> {
    let list = "/lib/systemd/systemd --user --dump-configuration-items";
    let mut section = String::new();
    let mut known = BTreeSet::new();
    for line in fleet.sh(list).ok().lines() {
        if line.starts_with('[') {
            section = line.to_owned();
        } else if let Some((key, _)) = line.split_once('=')
            && ["[Unit]", "[Service]", "[Install]"].contains(&section.as_str())
        {
            known.insert(key.to_owned());
        }
    }
    known
}

#[test]
fn what_systemd_252_lacks_is_what_the_lint_says_it_lacks() {
    if Rig::skipped() {
        return;
    }
    let [old, new] = Suite::both().map(|suite| known(&Fleet::tenant(suite)));
    assert!(old.contains("EnvironmentFile") && old.contains("WantedBy"), "{old:?}");
    let told: BTreeSet<String> = NEWER_KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(told.intersection(&old).collect::<Vec<_>>(), Vec::<&String>::new(), "252 has them");
    let untold: Vec<&String> = new.difference(&old).filter(|key| !told.contains(*key)).collect();
    assert_eq!(untold, Vec::<&String>::new(), "257 has them, and 252 does not");
    let until_257: BTreeSet<String> =
        NEWER_KEYS.iter().filter(|(_, v)| *v <= 257).map(|(k, _)| (*k).to_owned()).collect();
    assert_eq!(until_257.difference(&new).collect::<Vec<_>>(), Vec::<&String>::new(), "257 lacks them");
}
