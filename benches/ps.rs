//! What a look costs, as processes, in a booted Debian: against asking per agent, against the barest
//! questions there are, and as the fleet grows. `cargo bench --bench ps` prints the ratios and fails
//! where one is over its bound. It needs what the rig needs: root and systemd-nspawn.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that tells")]

mod common;
#[path = "../tests/common/fleet.rs"]
mod fleet;

use common::{Bound, Figures, INSIDE, inside, median, took};
use fleet::SOON;
use fleet::rig::{Rig, Suite};

/// How often each is run. What is compared runs in the same round, and the median of the rounds'
/// ratios counts: a machine that is busy for a while then says nothing about a fleet's size.
const ROUNDS: usize = 31;
/// In every so manyth of them the agents are asked one by one, which takes seconds.
const EACH: usize = 10;
const PROGRAM: &str = "/root/ps-bench";
/// How many agents each tenant has.
const FLEETS: [usize; 3] = [10, 100, 200];

fn main() {
    match inside() {
        Some(uids) => in_the_rig(&uids),
        None => outside(),
    }
}

fn outside() {
    let mut figures = Figures::new("ps");
    if let Err(why) = Rig::available() {
        println!("left out, as it needs to boot Debian as root: {why}");
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        rig.take_program(PROGRAM);
        let uids = FLEETS.map(|agents| tenant(&rig, agents).to_string());
        let command = [&[PROGRAM, INSIDE][..], &uids.each_ref().map(String::as_str)].concat();
        let told = rig.root_ok(&command);
        let numbers: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let [ten, hundred, two_hundred, bare, faster, dearer, growth, tmux] = numbers[..] else {
            panic!("{told}")
        };
        let tree = format!("{suite:?}");
        for (agents, took) in FLEETS.iter().zip([ten, hundred, two_hundred]) {
            figures.tell(&tree, &format!("fleet ps, {agents} agents"), took, "ms");
        }
        figures.tell(&tree, "a bare tmux list-panes -a and one busctl property", bare, "ms");
        figures.tell(&tree, "a bare tmux list-panes -a, from 10 to 200 agents, times", tmux, "");
        let faster_by = "fleet ps, 100 agents, times faster than asking for each";
        figures.must(&tree, faster_by, faster, "", Bound::AtLeast(60.0));
        let dearer_by = "fleet ps, 100 agents, times the barest two questions";
        figures.must(&tree, dearer_by, dearer, "", Bound::AtMost(2.0));
        figures.must(&tree, "fleet ps, from 10 to 200 agents, times", growth, "", Bound::Below(2.0));
    }
    figures.finish();
}

fn name(agent: usize) -> String {
    format!("agent{agent}")
}

/// A tenant with that many agents, all up and answering; its uid.
fn tenant(rig: &Rig, agents: usize) -> u32 {
    let user = format!("t{agents}");
    // A uid that no test's rig has: all rigs share the kernel, and what it gives each uid of ways to
    // watch files is little more than a hundred agents take.
    let uid = 5000 + u32::try_from(agents).expect("few");
    rig.root_ok(&["useradd", "--create-home", "--uid", &uid.to_string(), "--shell", "/bin/bash", &user]);
    rig.root_ok(&["loginctl", "enable-linger", &user]);
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(uid));
    let lines: String =
        (0..agents).map(|n| format!("  - {{name: {}, runtime: dogfood}}\n", name(n))).collect();
    let roster = format!("version: 1\nagents:\n{lines}");
    rig.write(&format!("/home/{user}/.config/mosaic/fleet/roster.yaml"), roster, &user);
    rig.as_user(&user, &["fleet", "apply"]).ok();
    rig.wait_until("all have answered", SOON * 4, || {
        let rows = rig.as_user(&user, &["fleet", "ps", "--json"]).ok();
        rows.matches("\"health\": \"healthy\"").count() == agents
    });
    uid
}

/// In the rig: what each costs, in turn.
fn in_the_rig(uids: &[String]) {
    let uids: Vec<u32> = uids.iter().map(|uid| uid.parse().expect("a uid")).collect();
    let [ten, hundred, two_hundred] = uids[..] else { panic!("three tenants") };
    let tmux = ["tmux", "-L", "mosaic-factory", "list-panes"];
    let version = [
        "busctl",
        "--user",
        "get-property",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "Version",
    ];
    let ps = |uid| took(uid, &["fleet", "ps"]);
    let panes = |uid| took(uid, &[&tmux[..], &["-a"]].concat());
    let mut all: [Vec<f64>; 8] = Default::default();
    for round in 0..=ROUNDS {
        let looks = [ps(ten), ps(hundred), ps(two_hundred)];
        let bare = panes(hundred) + took(hundred, &version);
        let tmux_growth = panes(two_hundred) / panes(ten);
        // The first round is for the caches.
        if round == 0 {
            continue;
        }
        let [ten, hundred_look, two_hundred] = looks;
        for (at, value) in [
            (0, ten),
            (1, hundred_look),
            (2, two_hundred),
            (3, bare),
            (5, hundred_look / bare),
            (6, two_hundred / ten),
            (7, tmux_growth),
        ] {
            all[at].push(value);
        }
        if round % EACH == 0 {
            let of_one = |n: usize| {
                let (unit, target) = (fleet::unit(&name(n)), format!("={}:", name(n)));
                took(hundred, &["systemctl", "--user", "show", &unit])
                    + took(hundred, &[&tmux[..], &["-t", &target]].concat())
            };
            let asked: f64 = (0..100).map(of_one).sum();
            all[4].push(asked / hundred_look);
        }
    }
    println!("{}", all.map(|values| median(values).to_string()).join(" "));
}
