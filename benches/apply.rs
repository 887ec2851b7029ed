//! What an apply that has nothing to do costs, as a process, with a hundred agents in a booted Debian:
//! `cargo bench --bench apply` prints it beside the bare start of the same program and one `systemctl enable --now` of
//! all, which changes nothing either, and fails where it is over its bound. It needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;
#[path = "common/hundred.rs"]
mod hundred;

use common::{Bound, Figures, inside, median, took};
use fleet::unit;
use hundred::{AGENTS, Bench, USER, name};

const ROUNDS: usize = 31;
/// What an apply with nothing to do may take, in milliseconds.
const BOUND: f64 = 50.0;
const UID: u32 = 5300;

fn main() {
    match inside() {
        Some(args) => in_the_rig(args[0].parse().expect("how many rounds")),
        None => outside(),
    }
}

/// With a tenant whose agents are all up.
fn outside() {
    let lines: String = (0..AGENTS).map(|n| format!("  - {{name: {}}}\n", name(n))).collect();
    let head =
        "version: 1\nruntimes: {quiet: {command: sleep 100000}}\ndefaults: {runtime: quiet}\nagents:\n";
    let bench = Bench {
        program: "/root/apply-bench",
        uid: UID,
        roster: format!("{head}{lines}"),
        ready: |rig| {
            rig.as_user(USER, &["fleet", "apply"]).ok();
            let again = rig.as_user(USER, &["fleet", "apply"]).ok();
            assert!(again.starts_with("Nothing to do: "), "{again}");
        },
        rounds: ROUNDS,
    };
    bench.run(Figures::new("apply"), |figures, tree, [apply, bare, enabled]| {
        figures.tell(tree, "the bare start of the same program (fleet --version)", bare, "ms");
        let peer = "one systemctl enable --now of the same 100, all enabled and up";
        figures.tell(tree, peer, enabled, "ms");
        let what = "fleet apply with nothing to do, 100 agents";
        figures.must(tree, what, apply, "ms", Bound::Below(BOUND));
    });
}

/// In the rig: what each costs, in turn.
fn in_the_rig(rounds: usize) {
    let mut all: [Vec<f64>; 3] = Default::default();
    let units: Vec<String> = (0..AGENTS).map(|n| unit(&name(n))).collect();
    let enable: Vec<&str> = ["systemctl", "--user", "enable", "--now"]
        .into_iter()
        .chain(units.iter().map(String::as_str))
        .collect();
    for round in 0..=rounds {
        let looks = [took(UID, &["fleet", "apply"]), took(UID, &["fleet", "--version"]), took(UID, &enable)];
        // The first round is for the caches.
        if round > 0 {
            all.iter_mut().zip(looks).for_each(|(values, value)| values.push(value));
        }
    }
    println!("{}", all.map(|values| median(values).to_string()).join(" "));
}
