//! Twenty tenants on one machine: up together, back after a reboot without a login, and how much sooner than
//! one after the other.

#[path = "common/tenants.rs"]
mod tenants;

use std::io::Write;
use std::time::{Duration, Instant};

use tenants::rig::{Rig, Suite};
use tenants::{all_green, boot, json};

const COUNT: usize = 20;
const LONG: Duration = Duration::from_secs(300);

fn declare(rig: &Rig) -> Vec<String> {
    let names: Vec<String> = (0..COUNT).map(|at| format!("tenant{at:02}")).collect();
    let script = "install -d -m 0755 /etc/mosaic; install -d -m 0700 /etc/mosaic/tenants.d; umask 077; \
        for name; do echo 'profile: dogfood' >/etc/mosaic/tenants.d/$name.yaml; done";
    let mut argv = vec!["sh", "-c", script, "sh"];
    argv.extend(names.iter().map(String::as_str));
    rig.root_ok(&argv);
    names
}

#[test]
#[ignore = "several minutes: twenty tenants, twice"]
fn twenty_tenants_come_up_together_and_are_back_after_a_reboot() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Trixie);
    declare(&rig);
    let began = Instant::now();
    let told = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
    let together = began.elapsed();
    assert_eq!(told["tenants"].as_array().map(Vec::len), Some(COUNT));
    assert_eq!(told["ok"], true, "{told:#}");
    rig.wait_until("all are green", LONG, || all_green(&rig));
    let began = Instant::now();
    rig.root_ok(&["fleet", "ps", "--all-tenants", "--json"]);
    let ps = began.elapsed();
    rig.reboot();
    let began = Instant::now();
    rig.wait_until("all are green without a login", LONG, || all_green(&rig));
    let back = began.elapsed();
    let began = Instant::now();
    let again = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
    let second = began.elapsed();
    assert!(
        again["tenants"].as_array().expect("tenants").iter().all(|t| t["did"] == json("[]")),
        "{again:#}"
    );
    drop(rig);

    let rig = boot(Suite::Trixie);
    let names = declare(&rig);
    let began = Instant::now();
    for name in &names {
        rig.root_ok(&["fleet", "tenant", "apply", name, "--json"]);
    }
    let one_by_one = began.elapsed();
    let numbers = format!(
        "{COUNT} tenants of 3 agents: apply {together:.1?} together, {one_by_one:.1?} one after the other; \
         a second apply {second:.1?}; ps --all-tenants {ps:.1?}; green {back:.1?} after a reboot"
    );
    drop(writeln!(std::io::stderr(), "{numbers}"));
}
