//! What an apply that has nothing to do costs, as a process, with a hundred agents in a booted Debian:
//! `cargo bench --bench apply` prints it beside the bare start of the same program, and fails where it
//! is over its bound. It needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;

use common::{Bound, Figures, INSIDE, inside, measures, median, took};
use fleet::SOON;
use fleet::rig::{Rig, Suite};

const ROUNDS: usize = 31;
const AGENTS: usize = 100;
/// What an apply with nothing to do may take, in milliseconds.
const BOUND: f64 = 50.0;
const PROGRAM: &str = "/root/apply-bench";
const USER: &str = "t100";
/// A uid that no test's rig has: all rigs share the kernel, and what it gives each uid to watch files with.
const UID: u32 = 5300;

fn main() {
    match inside() {
        Some(args) => in_the_rig(args[0].parse().expect("how many rounds")),
        None => outside(),
    }
}

fn outside() {
    let mut figures = Figures::new("apply");
    if let Err(why) = Rig::available() {
        println!("left out, as it needs to boot Debian as root: {why}");
        return;
    }
    let rounds = if measures() { ROUNDS } else { 1 };
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        rig.take_program(PROGRAM);
        tenant(&rig);
        let told = rig.root_ok(&[PROGRAM, INSIDE, &rounds.to_string()]);
        let numbers: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [apply, bare] = numbers[..] else { panic!("{told}") };
        let tree = format!("{suite:?}");
        figures.tell(&tree, "the bare start of the same program (fleet --version)", bare, "ms");
        let what = "fleet apply with nothing to do, 100 agents";
        figures.must(&tree, what, apply, "ms", Bound::Below(BOUND));
    }
    figures.finish();
}

/// A tenant with a hundred agents, all up.
fn tenant(rig: &Rig) {
    rig.root_ok(&["useradd", "--create-home", "--uid", &UID.to_string(), "--shell", "/bin/bash", USER]);
    rig.root_ok(&["loginctl", "enable-linger", USER]);
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(UID));
    let lines: String = (0..AGENTS).map(|n| format!("  - {{name: agent{n}}}\n")).collect();
    let roster = format!(
        "version: 1\nruntimes: {{quiet: {{command: sleep 100000}}}}\ndefaults: {{runtime: quiet}}\nagents:\n{lines}"
    );
    rig.write(&format!("/home/{USER}/.config/mosaic/fleet/roster.yaml"), roster, USER);
    rig.as_user(USER, &["fleet", "apply"]).ok();
    let again = rig.as_user(USER, &["fleet", "apply"]).ok();
    assert!(again.starts_with("Nothing to do: "), "{again}");
}

/// In the rig: what each costs, in turn.
fn in_the_rig(rounds: usize) {
    let mut all: [Vec<f64>; 2] = Default::default();
    for round in 0..=rounds {
        let looks = [took(UID, &["fleet", "apply"]), took(UID, &["fleet", "--version"])];
        // The first round is for the caches.
        if round > 0 {
            all.iter_mut().zip(looks).for_each(|(values, value)| values.push(value));
        }
    }
    println!("{}", all.map(|values| median(values).to_string()).join(" "));
}
