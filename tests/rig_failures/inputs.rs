//! A fleet that runs, and what it was made from is damaged: nothing is done, and nobody notices.

use std::time::Instant;

use crate::bench::{AGENTS, BOUND, HEALED, TOLD, on_both_trees, panes, well};
use crate::fleet::{MOSAIC, TENANT};

#[test]
fn a_half_written_roster_is_refused_before_the_first_step() {
    on_both_trees(|bench| {
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        let roster = bench.fleet.rig.read(&path);
        // Asked of tmux: ps has no roster to go by.
        let running = || AGENTS.map(|agent| bench.pane(agent));
        let (before, mut noticed) = (running(), None);
        // In the middle of the runtimes, and of each agent: what stands before it is as it should be.
        for (at, _) in roster.match_indices('{').filter(|(at, _)| !roster[..*at].ends_with("below: ")) {
            bench.fleet.rig.write(&path, &roster[..at + 12], TENANT);
            let written = Instant::now();
            let refused = bench.fleet.run(&["fleet", "apply"]).exits(3);
            noticed.get_or_insert(written.elapsed());
            assert!(written.elapsed() < TOLD, "{:?}: {:?}", bench.suite, written.elapsed());
            assert!(refused.stderr.contains("roster.yaml:"), "with its place: {}", refused.report());
            assert_eq!(running(), before, "{:?}: nobody was restarted", bench.suite);
        }
        let mended = Instant::now();
        bench.fleet.apply(&roster);
        let well = mended.elapsed();
        assert_eq!(running(), before, "{:?}", bench.suite);
        bench.note("roster half-written", noticed, Some(well));
    });
}

#[test]
fn a_corrupt_ledger_is_refused_before_the_first_step_and_the_fleet_runs_on() {
    on_both_trees(|bench| {
        let path = format!("{MOSAIC}/fleet/ledger.json");
        let ledger = bench.fleet.rig.read(&path);
        let (before, begun) = (panes(&bench.look()), Instant::now());
        bench.fleet.rig.write(&path, &ledger[..ledger.len() / 2], TENANT);
        let refused = bench.fleet.run(&["fleet", "apply"]).exits(3);
        let noticed = begun.elapsed();
        assert!(noticed < TOLD, "{:?}: {noticed:?}", bench.suite);
        assert!(refused.stderr.contains("ledger.json"), "by its name: {}", refused.report());
        let cure = refused.stderr.lines().find_map(|line| line.split_once(": mv ")).map(|(_, files)| files);
        let cure = format!("mv {}", cure.expect("what lets an apply go on"));
        // Meanwhile it can be looked at, and who dies comes back.
        assert!(well(&bench.look()), "{:?}", bench.suite);
        assert_eq!(panes(&bench.look()), before, "{:?}: nobody was restarted", bench.suite);
        bench.fleet.kill("-KILL", bench.pane("a"));
        bench.within(HEALED, begun, "it is back", || well(&bench.look()) && panes(&bench.look()) != before);
        let before = panes(&bench.look());
        bench.fleet.run(&["sh", "-c", &cure]).ok();
        let again = bench.fleet.run(&["fleet", "apply"]);
        assert_eq!(again.code, 0, "{:?}: {}", bench.suite, again.report());
        bench.within(BOUND, begun, "all is well", || well(&bench.look()));
        assert_eq!(panes(&bench.look()), before, "{:?}: nobody was restarted", bench.suite);
        bench.note("ledger corrupt", Some(noticed), Some(begun.elapsed()));
    });
}
