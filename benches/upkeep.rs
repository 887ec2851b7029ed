//! What a fleet of thirteen costs and how fast it is back, in a booted Debian: a beat, the memory behind an
//! agent, a boot against that of thirteen bare sleeps, the tmux server's death. `cargo bench --bench upkeep`
//! prints it and fails where a bound is missed. It needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;

use std::time::{Duration, Instant};

use common::{Bound, Figures, INSIDE, command, inside, measures, median, took};
use fleet::SOON;
use fleet::rig::{Rig, Suite};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

const AGENTS: usize = 13;
const PROGRAM: &str = "/root/upkeep-bench";
/// The tenant with the fleet, and the user with as many units that only sleep.
const TENANT: (&str, u32) = ("t13", 5500);
const SLEEPER: (&str, u32) = ("sleeper", 5501);
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    match inside().as_deref().map(|args| args.iter().map(String::as_str).collect::<Vec<_>>()).as_deref() {
        Some(["beat", rounds]) => beats(rounds.parse().expect("how many rounds")),
        Some(["memory"]) => memory(),
        Some(["kill"]) => death(),
        Some(["answered", zero]) => answered(zero.parse().expect("seconds")),
        Some(["slept", zero]) => slept(zero.parse().expect("seconds")),
        Some(other) => panic!("{other:?}"),
        None => outside(),
    }
}

fn outside() {
    let mut figures = Figures::new("upkeep");
    if let Err(why) = Rig::available() {
        println!("left out, as it needs to boot Debian as root: {why}");
        return;
    }
    let (rounds, few) = if measures() { (201, 5) } else { (3, 1) };
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        rig.take_program(PROGRAM);
        tenant(&rig);
        let tree = format!("{suite:?}");
        let ask = |words: &[&str]| -> Vec<f64> {
            let told = rig.root_ok(&[&[PROGRAM, INSIDE][..], words].concat());
            told.split_whitespace().filter_map(|n| n.parse().ok()).collect()
        };
        let [beat, bare, touch] = ask(&["beat", &rounds.to_string()])[..] else { panic!("three times") };
        figures.tell(&tree, "the bare start of the same program (mosaic --version)", bare, "ms");
        figures.tell(&tree, "a touch of a file in the place of a beat", touch, "ms");
        figures.must(&tree, "mosaic heartbeat, median", beat, "ms", Bound::Below(5.0));
        let [memory, shell] = ask(&["memory"])[..] else { panic!("two sizes") };
        figures.tell(
            &tree,
            "private memory of a bash that starts a program again whenever it ends",
            shell,
            "KiB",
        );
        figures.must(
            &tree,
            "private memory behind an agent, the most of 13",
            memory,
            "KiB",
            Bound::AtMost(512.0),
        );
        let back = median((0..few).map(|_| ask(&["kill"])[0]).collect());
        figures.must(
            &tree,
            "all 13 answer again after kill -9 of the tmux server, median",
            back,
            "s",
            Bound::Below(3.0),
        );
        let (fleet, sleeps): (Vec<f64>, Vec<f64>) =
            (0..few).map(|_| (boot(&rig, TENANT, "answered"), boot(&rig, SLEEPER, "slept"))).unzip();
        let later = median(fleet.iter().zip(&sleeps).map(|(fleet, sleeps)| fleet - sleeps).collect());
        figures.tell(&tree, "from systemd's start until all 13 have answered, median", median(fleet), "s");
        figures.tell(&tree, "until it has started 13 sleeps of another user, median", median(sleeps), "s");
        figures.must(&tree, "13 answered, later than 13 sleeps", later, "s", Bound::AtMost(1.0));
    }
    figures.finish();
}

fn agents() -> impl Iterator<Item = String> {
    (0..AGENTS).map(|n| format!("agent{n}"))
}

/// A tenant with thirteen agents that have all answered, and a user with thirteen units that sleep.
fn tenant(rig: &Rig) {
    for (user, uid) in [TENANT, SLEEPER] {
        rig.root_ok(&["useradd", "--create-home", "--uid", &uid.to_string(), "--shell", "/bin/bash", user]);
    }
    let (user, uid) = TENANT;
    rig.root_ok(&["loginctl", "enable-linger", user]);
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(uid));
    let lines: String = agents().map(|agent| format!("  - {{name: {agent}, runtime: dogfood}}\n")).collect();
    let roster = format!("version: 1\nagents:\n{lines}");
    rig.write(&format!("/home/{user}/.config/mosaic/fleet/roster.yaml"), roster, user);
    rig.as_user(user, &["fleet", "apply"]).ok();
    rig.wait_until("all have answered", SOON * 4, || {
        let rows = rig.as_user(user, &["fleet", "ps", "--json"]).ok();
        rows.matches("\"health\": \"healthy\"").count() == AGENTS
    });
    let (user, _) = SLEEPER;
    let folder = format!("/home/{user}/.config/systemd/user");
    rig.as_user(user, &["mkdir", "-p", &format!("{folder}/default.target.wants")]).ok();
    let unit = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=default.target\n";
    rig.write(&format!("{folder}/sleep@.service"), unit, user);
    for n in 0..AGENTS {
        let link = format!("{folder}/default.target.wants/sleep@{n}.service");
        rig.as_user(user, &["ln", "-s", "../sleep@.service", &link]).ok();
    }
}

/// Boots with only that user lingering: seconds from the system manager's start to what is asked for.
fn boot(rig: &Rig, (user, uid): (&str, u32), what: &str) -> f64 {
    for (name, _) in [TENANT, SLEEPER] {
        let verb = if name == user { "enable-linger" } else { "disable-linger" };
        rig.root_ok(&["loginctl", verb, name]);
    }
    rig.reboot();
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(uid));
    let property = "--property=UserspaceTimestampMonotonic";
    let zero: f64 = rig.root_ok(&["systemctl", "show", "--value", property]).trim().parse().expect("a time");
    rig.root_ok(&[PROGRAM, INSIDE, what, &(zero / 1e6).to_string()]).trim().parse().expect("seconds")
}

/// In the rig: what a beat costs as a process, the program's bare start, and a file's new time by `touch`.
fn beats(rounds: usize) {
    let home = format!("/home/{}", TENANT.0);
    let beat = || {
        let mut command = command(TENANT.1, &["mosaic", "heartbeat", "--status", "ok"]);
        command.env("HOME", &home).env("MOSAIC_AGENT_NAME", "agent0");
        let begun = Instant::now();
        assert!(command.status().expect("it runs").success());
        begun.elapsed().as_secs_f64() * 1000.0
    };
    let touched = format!("{home}/touched");
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..=rounds {
        let each = [beat(), took(TENANT.1, &["mosaic", "--version"]), took(TENANT.1, &["touch", &touched])];
        if round > 0 {
            times.iter_mut().zip(each).for_each(|(values, value)| values.push(value));
        }
    }
    println!("{}", times.map(|values| median(values).to_string()).join(" "));
}

/// In the rig: the most private memory that a supervisor has, and that of a shell in its place, in KiB.
fn memory() {
    // What a program's file has in the page cache counts as private and dirty to its only user until it is on the
    // disk, and this one has just been installed.
    nix::unistd::sync();
    let most = of_units("MainPID").into_iter().map(|pid| private(pid as u32)).fold(0.0, f64::max);
    let mut shell = command(TENANT.1, &["bash", "-c", "while :; do sleep 100000; sleep 1; done"]);
    let mut shell = shell.spawn().expect("it runs");
    let children = format!("/proc/{0}/task/{0}/children", shell.id());
    let until = Instant::now() + PATIENCE;
    // A child that is not yet the program shares what is the shell's, and none of that would count.
    let sleep = loop {
        let child = std::fs::read_to_string(&children).expect("readable").trim().to_owned();
        let runs = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        if runs.trim() == "sleep" {
            break child.parse().expect("a pid");
        }
        assert!(Instant::now() < until, "the shell started nothing");
    };
    println!("{most} {}", private(shell.id()));
    shell.kill().expect("it lived");
    kill(Pid::from_raw(sleep), Signal::SIGKILL).expect("it lived");
    shell.wait().expect("it ended");
}

/// The private memory of a process, in KiB.
fn private(pid: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("readable");
    let line = rollup.lines().find_map(|l| l.strip_prefix("Private_Dirty:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// In the rig: seconds from the tmux server's death until the last agent's first beat after it.
fn death() {
    let mut show = command(
        TENANT.1,
        &["systemctl", "--user", "show", "--value", "--property=MainPID", "mosaic-tmux-holder.service"],
    );
    let pid = show.stdout(std::process::Stdio::piped()).output().expect("it runs").stdout;
    let pid: i32 = String::from_utf8_lossy(&pid).trim().parse().expect("a pid");
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    let now = Duration::from(now).as_secs_f64();
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lived");
    println!("{}", last_first_beat(now) - now);
}

/// In the rig: when the last of the agents answered for the first time.
fn answered(zero: f64) {
    println!("{}", last_first_beat(0.0) - zero);
}

/// When the last agent's process beat for the first time, all of them after `since` and in this boot.
fn last_first_beat(since: f64) -> f64 {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot");
    let until = Instant::now() + PATIENCE;
    loop {
        let first = |agent: String| {
            let file = format!("/home/{}/.config/mosaic/fleet/run/{agent}.hb", TENANT.0);
            let beat = std::fs::read_to_string(file).ok()?;
            let value = |key: &str| beat.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
            let first: f64 = value("first")?.parse().ok()?;
            (value("boot_id") == Some(boot_id.trim()) && first > since).then_some(first)
        };
        let all: Vec<f64> = agents().filter_map(first).collect();
        if all.len() == AGENTS {
            return all.into_iter().fold(0.0, f64::max);
        }
        assert!(Instant::now() < until, "{} of {AGENTS} answered", all.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// In the rig: when the last of the sleeps was started.
fn slept(zero: f64) {
    let units: Vec<String> = (0..AGENTS).map(|n| format!("sleep@{n}.service")).collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let started = show(SLEEPER.1, "ExecMainStartTimestampMonotonic", &units);
        if started.len() == AGENTS && started.iter().all(|time| *time > 0.0) {
            println!("{}", started.into_iter().fold(0.0, f64::max) / 1e6 - zero);
            return;
        }
        assert!(Instant::now() < until, "{started:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn of_units(property: &str) -> Vec<f64> {
    show(TENANT.1, property, &agents().map(|agent| fleet::unit(&agent)).collect::<Vec<_>>())
}

/// A number of each unit.
fn show(uid: u32, property: &str, units: &[String]) -> Vec<f64> {
    let property = format!("--property={property}");
    let words = ["systemctl", "--user", "show", "--value", &property];
    let argv: Vec<&str> = words.into_iter().chain(units.iter().map(String::as_str)).collect();
    let said = command(uid, &argv).stdout(std::process::Stdio::piped()).output().expect("it runs").stdout;
    String::from_utf8_lossy(&said).split_whitespace().filter_map(|n| n.parse().ok()).collect()
}
