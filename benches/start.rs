//! What enabling and starting a hundred agents costs: one `fleet apply` against two `systemctl` an agent,
//! in a booted Debian. `cargo bench --bench start` prints the ratio and fails where it is under its bound. It
//! needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;

use common::{Bound, Figures, INSIDE, inside, measures, median, took};
use fleet::rig::{Rig, Suite};
use fleet::{SOON, unit};

/// Each takes both ways, one after the other; the median of the rounds' ratios counts.
const ROUNDS: usize = 3;
const AGENTS: usize = 100;
const PROGRAM: &str = "/root/start-bench";
const HOLDER: &str = "mosaic-tmux-holder.service";
const USER: &str = "t100";
/// A uid that no test's rig has: all rigs share the kernel, and what it gives each uid to watch files with.
const UID: u32 = 5400;

fn main() {
    match inside() {
        Some(args) => in_the_rig(args[0].parse().expect("how many rounds")),
        None => outside(),
    }
}

fn outside() {
    let mut figures = Figures::new("start");
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
        let [ours, theirs, ratio, reloads] = numbers[..] else { panic!("{told}") };
        let tree = format!("{suite:?}");
        figures.tell(&tree, "fleet apply, 100 agents to enable and start", ours, "ms");
        figures.tell(&tree, "the same by systemctl enable and systemctl start for each", theirs, "ms");
        figures.must(&tree, "enable and start of 100 agents, times faster", ratio, "", Bound::AtLeast(10.0));
        figures.must(&tree, "reloads of the manager by it", reloads, "", Bound::AtMost(1.0));
    }
    figures.finish();
}

fn name(agent: usize) -> String {
    format!("agent{agent}")
}

/// A tenant with a hundred agents: their files stand, the holder runs, none of them is enabled.
fn tenant(rig: &Rig) {
    rig.root_ok(&["useradd", "--create-home", "--uid", &UID.to_string(), "--shell", "/bin/bash", USER]);
    rig.root_ok(&["loginctl", "enable-linger", USER]);
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(UID));
    let lines: String =
        (0..AGENTS).map(|n| format!("  - {{name: {}, runtime: dogfood}}\n", name(n))).collect();
    let roster = format!("version: 1\nagents:\n{lines}");
    rig.write(&format!("/home/{USER}/.config/mosaic/fleet/roster.yaml"), roster, USER);
    rig.as_user(USER, &["fleet", "apply", "--files-only"]).ok();
}

/// In the rig: both ways in turn, from the same beginning.
fn in_the_rig(rounds: usize) {
    let units: Vec<String> = (0..AGENTS).map(|n| unit(&name(n))).collect();
    let systemctl = |words: &[&str]| took(UID, &[&["systemctl", "--user"][..], words].concat());
    let all = |verb: &str| {
        let units: Vec<&str> = units.iter().map(String::as_str).collect();
        systemctl(&[&[verb][..], &units].concat());
    };
    systemctl(&["daemon-reload"]);
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds {
        systemctl(&["enable", "--now", HOLDER]);
        let theirs: f64 = units.iter().map(|u| systemctl(&["enable", u]) + systemctl(&["start", u])).sum();
        all("stop");
        all("disable");
        let before = reloads();
        let ours = took(UID, &["fleet", "apply"]);
        let reloads = reloads() - before;
        systemctl(
            &[&["is-active", "--quiet"][..], &units.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        );
        all("stop");
        all("disable");
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
