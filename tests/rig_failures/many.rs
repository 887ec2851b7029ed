//! Two hundred agents.

use std::time::{Duration, Instant};

use crate::fleet::rig::{Rig, Suite};
use crate::fleet::{self, Fleet, MOSAIC, TENANT, unit};
use crate::measured;

const LONG: Duration = Duration::from_secs(300);

#[test]
#[ignore = "two hundred agents take minutes of both processors"]
fn two_hundred_agents_start_and_come_back_when_their_server_is_killed() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let names: Vec<String> = (0..200).map(|number| format!("a{number}")).collect();
        let fleet = Fleet::tenant(suite);
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        fleet.rig.write(&path, fleet::roster(&names, "sleep 100000"), TENANT);
        let begun = Instant::now();
        fleet.run(&["fleet", "apply"]).ok();
        fleet.rig.wait_until("all are active", LONG, || fleet.active() == 200);
        let started = begun.elapsed();
        let (killed, before) = (Instant::now(), fleet.holder());
        fleet.kill("-KILL", before);
        fleet.rig.wait_until("all are back", LONG, || fleet.sessions().len() == 201 && fleet.active() == 200);
        assert_ne!(fleet.holder(), before);
        let back = killed.elapsed();
        let own = names.iter().filter(|a| fleet.unit_of(fleet.pane(a).expect("a pane")) == unit(a)).count();
        assert_eq!(own, 200, "{suite:?}");
        for (fault, took) in [("200 agents started at once", started), ("200 agents", back)] {
            measured::note(fault, &format!("{suite:?}"), None, Some(took));
        }
    }
}
