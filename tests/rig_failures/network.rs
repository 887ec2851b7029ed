//! A runtime that can't do without a network, which is away when the machine boots: it ends with 1 at once, again and
//! again, and nothing gives it up.

use std::time::{Duration, Instant};

use crate::bench::{AGENTS, BOUND, Bench, HEALED, answers, has, on_both_trees, panes, row};
use crate::fleet::rig::{Rig, Suite};
use crate::fleet::{MOSAIC, TENANT, unit};

/// Longer than the longest wait between two tries.
const NEXT_TRY: Duration = Duration::from_secs(90);
/// Looking all the time would keep the machine busy for ten minutes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

#[test]
fn what_has_no_network_at_boot_is_told_and_tried_again_until_it_runs() {
    on_both_trees(|bench| {
        // Six times is more than systemd's own limit of starts, which would have ended it for good.
        network_is_away_at_boot(bench, "network away at boot", |tries, _| tries >= 6);
    });
}

#[test]
#[ignore = "ten minutes"]
fn what_has_no_network_for_ten_minutes_after_a_boot_runs_once_it_can() {
    if Rig::skipped() {
        return;
    }
    let tries = std::thread::scope(|scope| {
        let on = |suite| {
            let fault = "network away at boot for ten minutes";
            let ten = Duration::from_secs(600);
            scope.spawn(move || network_is_away_at_boot(&Bench::new(suite), fault, |_, away| away >= ten))
        };
        Suite::both().map(on).map(|run| run.join().expect("it holds on this tree"))
    });
    // A wait of a minute between two, from the seventh on.
    assert!(tries.iter().all(|tries| (10..=25).contains(tries)), "{tries:?}");
}

/// Until it has been away for long enough, by the tries and the time; how often it was tried.
fn network_is_away_at_boot(bench: &Bench, fault: &str, enough: impl Fn(u32, Duration) -> bool) -> u32 {
    let (fleet, suite) = (&bench.fleet, bench.suite);
    let path = format!("{MOSAIC}/fleet/roster.yaml");
    let roster = fleet.rig.read(&path);
    let command = "sh -c 'test -e ~/network || exit 1; exec mosaic yolo dogfood'";
    let net = format!("runtimes: {{net: {{command: \"{command}\"}}, ");
    let more = roster.replacen("runtimes: {", &net, 1) + "- {name: net, runtime: net}\n";
    fleet.rig.write(&path, more, TENANT);
    fleet.run(&["fleet", "apply"]);
    fleet.rig.reboot();

    let begun = Instant::now();
    let told = || {
        let row = row(&bench.look(), "net");
        has(&row["flags"], "DEAD") && row["reasons"].to_string().contains("; next try in ")
    };
    let noticed = bench.within(HEALED, begun, "its row tells of it", told);
    let of_others = || {
        let seen = bench.look();
        let rows = seen.as_array().cloned().unwrap_or_default();
        let others: Vec<_> = rows.into_iter().filter(|row| row["name"] != "net").collect();
        let healthy = others.iter().filter(|row| row["heartbeat"]["health"] == "healthy").count();
        (healthy == AGENTS.len()).then(|| panes(&others.into()))
    };
    let mut before = None;
    bench.until("all others answer", || {
        before = of_others();
        before.is_some()
    });
    let mut tries = 0;
    fleet.rig.wait_until("it was away for long enough", Duration::from_secs(700), || {
        // For a moment of each try it is active; it is never given up.
        assert_ne!(fleet.unit(&unit("net"), "ActiveState"), "failed", "{suite:?}");
        std::thread::sleep(BETWEEN_LOOKS);
        tries = fleet.record("net", "starts").parse().unwrap_or(0);
        enough(tries, begun.elapsed())
    });
    assert_eq!(of_others(), before, "{suite:?}: nobody else was touched");

    let there = Instant::now();
    fleet.run(&["touch", "network"]).ok();
    fleet.rig.wait_until("it answers", NEXT_TRY, || answers(&bench.look()));
    bench.note(fault, Some(noticed), Some(there.elapsed()));
    fleet.apply(&roster);
    fleet.run(&["rm", "network"]).ok();
    bench.until("it is gone", || of_others().is_some() && fleet.pane("net").is_none());
    assert!(there.elapsed() < NEXT_TRY + BOUND, "{suite:?}");
    tries
}
