//! Twenty tenants on one machine: up together, back after a reboot without a login, and how much sooner than
//! one after the other.

#[path = "common/tenants.rs"]
mod tenants;

use std::io::Write;
use std::time::{Duration, Instant};

use tenants::rig::{Rig, Suite};
use tenants::{all_green, boot, json};

const COUNT: usize = 20;
/// Three agents.
const DOGFOOD: &str = "profile: dogfood";
const LONG: Duration = Duration::from_secs(300);

/// As many declarations, each that line.
fn declare(rig: &Rig, fleet: &str) -> Vec<String> {
    let names: Vec<String> = (0..COUNT).map(|at| format!("tenant{at:02}")).collect();
    let script = "install -d -m 0755 /etc/mosaic; install -d -m 0700 /etc/mosaic/tenants.d; umask 077; \
        fleet=$1; shift; for name; do echo \"$fleet\" >/etc/mosaic/tenants.d/$name.yaml; done";
    let mut argv = vec!["sh", "-c", script, "sh", fleet];
    argv.extend(names.iter().map(String::as_str));
    rig.root_ok(&argv);
    names
}

/// How long each part took.
struct Took {
    apply: Duration,
    ps: Duration,
    back: Duration,
    again: Duration,
}

/// All of them up, shown, rebooted, back without a login, and nothing left to do.
fn up_and_back(fleet: &str) -> Took {
    let rig = boot(Suite::Trixie);
    declare(&rig, fleet);
    let began = Instant::now();
    let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
    let apply = began.elapsed();
    assert_eq!(told["tenants"].as_array().map(Vec::len), Some(COUNT));
    assert_eq!(told["ok"], true, "{told:#}");
    rig.wait_until("all are green", LONG, || all_green(&rig));
    let began = Instant::now();
    let seen = json(&rig.root_ok(&["fleet", "ps", "--all-tenants", "--json"]));
    let ps = began.elapsed();
    let tenants = seen["tenants"].as_array().expect("tenants");
    assert!(tenants.iter().all(|t| t["rows"][0]["heartbeat"]["health"] == "healthy"), "{seen:#}");
    rig.reboot();
    let began = Instant::now();
    rig.wait_until("all are green without a login", LONG, || all_green(&rig));
    let back = began.elapsed();
    let people = rig.root_ok(&["loginctl", "list-sessions", "--no-legend"]);
    assert!(people.lines().all(|l| l.contains(" manager ")), "nobody has logged in: {people}");
    let began = Instant::now();
    let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
    let again = began.elapsed();
    assert!(told["tenants"].as_array().expect("tenants").iter().all(|t| t["did"] == json("[]")), "{told:#}");
    Took { apply, ps, back, again }
}

#[test]
fn twenty_tenants_come_up_together_and_are_back_after_a_reboot() {
    if Rig::skipped() {
        return;
    }
    up_and_back("roster: {version: 1, agents: [{name: only, runtime: dogfood}]}");
}

#[test]
#[ignore = "several minutes: twenty tenants of three agents, together and then one after the other"]
fn twenty_tenants_are_up_together_in_a_part_of_the_time_that_one_after_the_other_takes() {
    if Rig::skipped() {
        return;
    }
    let Took { apply, ps, back, again } = up_and_back(DOGFOOD);
    let rig = boot(Suite::Trixie);
    let names = declare(&rig, DOGFOOD);
    let began = Instant::now();
    for name in &names {
        rig.root_ok(&["fleet", "tenant", "apply", name, "--json"]);
    }
    let one_by_one = began.elapsed();
    let numbers = format!(
        "{COUNT} tenants of 3 agents: apply {apply:.1?} together, {one_by_one:.1?} one after the other; \
         a second apply {again:.1?}; ps --all-tenants {ps:.1?}; green {back:.1?} after a reboot"
    );
    drop(writeln!(std::io::stderr(), "{numbers}"));
    assert!(apply * 2 < one_by_one, "{numbers}");
}
