//! What an apply that has nothing to do costs, as a process, with a hundred agents in a booted Debian:
//! `cargo bench --bench apply` prints it beside the bare start of the same program, and fails where it
//! is over its bound. It needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

#[path = "../tests/common/fleet.rs"]
mod fleet;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use fleet::SOON;
use fleet::rig::{Rig, Suite};

const ROUNDS: usize = 31;
const AGENTS: usize = 100;
/// What an apply with nothing to do may take, in milliseconds.
const BOUND: f64 = 50.0;
/// The word by which this program knows that it is inside the rig.
const INSIDE: &str = "inside";
const PROGRAM: &str = "/root/apply-bench";
const USER: &str = "t100";
/// A uid that no test's rig has: all rigs share the kernel, and what it gives each uid to watch files with.
const UID: u32 = 5300;

fn main() {
    if std::env::args().any(|a| a == INSIDE) {
        inside();
    } else {
        outside();
    }
}

fn outside() {
    if let Err(why) = Rig::available() {
        println!("left out, as it needs to boot Debian as root: {why}");
        return;
    }
    // `cargo test --benches` only looks whether it runs.
    let rounds = if std::env::args().any(|a| a == "--bench") { ROUNDS } else { 1 };
    let mut kept = true;
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let own = std::env::current_exe().and_then(std::fs::read).expect("this program");
        rig.write(PROGRAM, own, "root");
        rig.root_ok(&["chmod", "755", PROGRAM]);
        tenant(&rig);
        let told = rig.root_ok(&[PROGRAM, INSIDE, &rounds.to_string()]);
        let numbers: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [apply, bare, ratio] = numbers[..] else { panic!("{told}") };
        let holds = apply < BOUND;
        println!(
            "{suite:?}: fleet apply with nothing to do, {AGENTS} agents, median of {rounds}: {apply:.1} ms; \
             bare start of the same program (fleet --version): {bare:.1} ms"
        );
        println!(
            "{} less than {BOUND} ms: {apply:.1}; times the bare start: {ratio:.1}",
            if holds { "kept  " } else { "MISSED" }
        );
        kept &= holds || rounds == 1;
    }
    std::process::exit(i32::from(!kept));
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
fn inside() {
    let rounds: usize = std::env::args().next_back().and_then(|n| n.parse().ok()).expect("how many rounds");
    let mut all: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        let (apply, bare) = (took(&["fleet", "apply"]), took(&["fleet", "--version"]));
        // The first round is for the caches.
        if round > 0 {
            for (values, value) in all.iter_mut().zip([apply, bare, apply / bare]) {
                values.push(value);
            }
        }
    }
    println!("{}", all.map(|values| median(values).to_string()).join(" "));
}

/// How long a program of that user's takes, in milliseconds.
fn took(argv: &[&str]) -> f64 {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).uid(UID).gid(UID).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("XDG_RUNTIME_DIR", format!("/run/user/{UID}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("it runs");
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    assert!(status.success(), "{argv:?}: {status}");
    took
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
