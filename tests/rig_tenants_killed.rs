//! Root's verbs killed without a warning, at each of their steps and in the middle of the child's: the same
//! again converges.

#[path = "common/tenants.rs"]
mod tenants;

use tenants::rig::{Rig, Suite};
use tenants::{SOON, all_green, boot, json, processes, tenant, uid};

/// Runs it with itself killed at that point; whether it was.
fn killed(rig: &Rig, at: u32, argv: &[&str]) -> bool {
    let interrupt = format!("MOSAIC_TEST_INTERRUPT=KILL@{at}");
    let whole: Vec<&str> = ["env", &interrupt].into_iter().chain(argv.iter().copied()).collect();
    let run = rig.root(&whole);
    assert!(run.code == 137 || run.code == 0, "{}", run.report());
    run.code == 137
}

const ADD: &[&str] = &["fleet", "tenant", "add", "usc", "--profile", "minimal"];
const PURGE: &[&str] = &["fleet", "tenant", "remove", "usc", "--purge"];

#[test]
fn add_and_purge_killed_at_every_seventh_step_converge_when_run_again() {
    converge(7);
}

#[test]
#[ignore = "three minutes: the same at each of its steps"]
fn add_and_purge_killed_at_each_step_converge_when_run_again() {
    converge(1);
}

fn converge(step: usize) {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Trixie);
    let clean = || {
        rig.root_ok(&["sh", "-c", "cut -d: -f1 /etc/passwd /etc/group; ls /home /etc/mosaic/tenants.d /var/lib/systemd/linger /etc/systemd/system; true"])
    };
    rig.root_ok(ADD);
    rig.root_ok(PURGE);
    let empty = clean();
    let mut uids = Vec::new();
    let (mut adds, mut purges) = (0, 0);
    for at in (1..).step_by(step) {
        let add = killed(&rig, at, ADD);
        adds += u32::from(add);
        // Again, and once more: it is whole, and there is nothing left to do.
        rig.root_ok(ADD);
        let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
        assert_eq!(tenant(&told, "usc")["ok"], true, "add killed at {at}: {told:#}");
        let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
        assert_eq!(
            tenant(&told, "usc")["did"].as_array().map(Vec::len),
            Some(0),
            "add killed at {at}: {told:#}"
        );
        assert!(
            all_green(&rig),
            "add killed at {at}: {}",
            rig.root(&["fleet", "verify", "--all-tenants"]).report()
        );
        assert_eq!(
            rig.root_ok(&["stat", "-c", "%a %U", "/home/usc"]).trim(),
            "700 usc",
            "add killed at {at}"
        );
        let number = uid(&rig, "usc");
        assert!(!uids.contains(&number), "{number} was given again");
        uids.push(number);

        let purge = killed(&rig, at, PURGE);
        purges += u32::from(purge);
        if purge {
            // The last point is after everything but the books.
            let run = rig.root(PURGE);
            assert!(
                run.code == 0 || run.stderr.contains("there is no tenant usc"),
                "purge killed at {at}: {}",
                run.report()
            );
        }
        assert_eq!(clean(), empty, "purge killed at {at}");
        assert_eq!(processes(&rig, number), "", "purge killed at {at}");
        if !add && !purge {
            break;
        }
    }
    let step = u32::try_from(step).expect("small");
    assert!(adds * step > 15 && purges * step > 8, "too few points were met: {adds} and {purges}");
}

#[test]
fn a_root_that_is_killed_takes_its_child_along_and_the_next_one_finishes() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Bookworm);
    rig.root_ok(&["fleet", "tenant", "add", "usc"]);
    let number = uid(&rig, "usc");
    let profile = "echo 'profile: dogfood' >>/etc/mosaic/tenants.d/usc.yaml";
    rig.root_ok(&["sh", "-c", profile]);
    for step in 0..12 {
        // Cut off a little later each time; whether the child is in the middle of something is chance.
        let late = format!("timeout -s KILL 0.{:02} fleet tenant apply usc", 5 + step * 7);
        rig.root(&["sh", "-c", &late]);
        let child = || rig.root(&["pgrep", "-u", &number.to_string(), "-f", "tenant-child"]).code == 0;
        rig.wait_until("no child is left", SOON, || !child());
    }
    let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "usc", "--json"]));
    assert_eq!(tenant(&told, "usc")["ok"], true, "{told:#}");
    rig.wait_until("all is well", SOON, || all_green(&rig));
}
