//! What enabling and starting a hundred agents costs: one `fleet apply` against one `systemctl enable --now` an
//! agent, in a booted Debian. `cargo bench --bench start` prints the ratio and fails where it is under its bound. It
//! needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;
#[path = "common/hundred.rs"]
mod hundred;

use common::{Bound, Figures, inside, median, took};
use fleet::unit;
use hundred::{AGENTS, Bench, USER, name};

/// Each takes both ways, and another one first than the round before; the median of the rounds' ratios counts.
const ROUNDS: usize = 3;
const HOLDER: &str = "mosaic-tmux-holder.service";
const UID: u32 = 5400;

fn main() {
    match inside() {
        Some(args) => in_the_rig(args[0].parse().expect("how many rounds")),
        None => outside(),
    }
}

/// With a tenant whose files stand and whose holder runs; none of the agents is enabled.
fn outside() {
    let lines: String =
        (0..AGENTS).map(|n| format!("  - {{name: {}, runtime: dogfood}}\n", name(n))).collect();
    let bench = Bench {
        program: "/root/start-bench",
        uid: UID,
        roster: format!("version: 1\nagents:\n{lines}"),
        ready: |rig| drop(rig.as_user(USER, &["fleet", "apply", "--files-only"]).ok()),
        rounds: ROUNDS,
    };
    bench.run(Figures::new("start"), |figures, tree, [ours, theirs, ratio, reloads]| {
        figures.tell(tree, "fleet apply, 100 agents to enable and start", ours, "ms");
        figures.tell(tree, "the same by systemctl enable --now for each", theirs, "ms");
        figures.must(tree, "enable and start of 100 agents, times faster", ratio, "", Bound::AtLeast(10.0));
        figures.must(tree, "reloads of the manager by it", reloads, "", Bound::Exactly(1.0));
    });
}

/// In the rig: both ways in turn, from the same beginning.
fn in_the_rig(rounds: usize) {
    let units: Vec<String> = (0..AGENTS).map(|n| unit(&name(n))).collect();
    let systemctl = |words: &[&str]| took(UID, &[&["systemctl", "--user"][..], words].concat());
    let all: Vec<&str> = units.iter().map(String::as_str).collect();
    systemctl(&["daemon-reload"]);
    let mut times: [Vec<f64>; 4] = Default::default();
    let end = || {
        systemctl(&[&["is-active", "--quiet"][..], &all].concat());
        systemctl(&[&["stop"][..], &all].concat());
        systemctl(&[&["disable"][..], &all].concat());
    };
    let by_systemctl = || {
        let took: f64 = units.iter().map(|unit| systemctl(&["enable", "--now", unit])).sum();
        end();
        took
    };
    let by_apply = || {
        let before = reloads();
        let took = took(UID, &["fleet", "apply"]);
        let reloads = reloads() - before;
        end();
        (took, reloads)
    };
    for round in 0..rounds {
        systemctl(&["enable", "--now", HOLDER]);
        let first = (round % 2 == 0).then(by_systemctl);
        let (ours, reloads) = by_apply();
        let theirs = first.unwrap_or_else(by_systemctl);
        for (values, value) in times.iter_mut().zip([ours, theirs, theirs / ours, reloads]) {
            values.push(value);
        }
    }
    println!("{}", times.map(|values| median(values).to_string()).join(" "));
}

/// How often the user's manager has been told to read its files again.
fn reloads() -> f64 {
    let mut command = common::command(UID, &["journalctl", "--user", "--output=cat", "--identifier=systemd"]);
    let said = command.stdout(std::process::Stdio::piped()).output().expect("it runs").stdout;
    // 252 says "Reloading.", 257 "Reloading..." and then how long it took.
    let begun = |line: &&str| line.trim_end_matches('.') == "Reloading";
    String::from_utf8_lossy(&said).lines().filter(begun).count() as f64
}
