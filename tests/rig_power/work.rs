//! What a tenant's fleet is in the middle of when the power goes: applies, messages, beats.

use std::collections::{BTreeMap, BTreeSet};

use mosaic_fleet::runfile::queued::Place;

use crate::fleet::{Fleet, MOSAIC, TENANT};

/// A roster whose first agents stay, whose next changes, and whose last comes or goes.
pub fn roster(which: &str) -> String {
    format!(
        "version: 1\nruntimes: {{ear: {{command: ~/ear}}}}\nagents:\n\
         - {{name: ear, runtime: ear}}\n- {{name: waits, runtime: ear, state: stopped}}\n\
         - {{name: coder, runtime: dogfood, env: {{A: {which}}}}}\n\
         - {{name: {which}, runtime: dogfood, limits: {{tasks_max: 50}}}}\n"
    )
}

pub fn other(which: &str) -> &'static str {
    if which == "one" { "two" } else { "one" }
}

/// As a careful editor writes it.
pub fn put_roster(fleet: &Fleet, which: &str) {
    let path = format!("{MOSAIC}/fleet/roster.yaml");
    let line = format!("cat >{path}.new && sync {path}.new && mv {path}.new {path} && sync {MOSAIC}/fleet");
    fleet.rig.as_user_with(TENANT, &["sh", "-c", &line], roster(which).as_bytes()).ok();
}

/// One after another, each with another roster.
pub fn apply_until_cut(fleet: &Fleet, mut which: &'static str) {
    loop {
        which = other(which);
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        let put = fleet.rig.as_user_with(
            TENANT,
            &["sh", "-c", &format!("cat >{path}.new && mv {path}.new {path}")],
            roster(which).as_bytes(),
        );
        let done = fleet.run(&["fleet", "apply"]);
        if put.code != 0 || done.code != 0 {
            assert!(
                fleet.rig.root(&["true"]).code != 0,
                "an apply failed before the power went: {}",
                done.report()
            );
            return;
        }
    }
}

/// Each agent gets messages in its own way, until none is taken any more.
pub fn send_until_cut(fleet: &Fleet, cut: usize, sent: &mut Sent) {
    for number in 0.. {
        let (agent, id) = (["ear", "waits"][number % 2], format!("c{cut}n{number}"));
        let mut argv = vec!["mosaic", "agent", "send", agent, "-m", &id, "--id", &id];
        if agent == "waits" {
            argv.push("--queue");
        }
        let run = fleet.run(&argv);
        sent.begun.insert(id.clone());
        match (run.code, agent) {
            (0, "waits") => drop(sent.queued.insert(id)),
            (0, _) => {}
            _ => return,
        }
    }
}

/// As fast as it goes, from beside the agent, which beats, too.
pub fn beat_until_cut(fleet: &Fleet) {
    let env = format!("{MOSAIC}/fleet/agents/coder.env");
    let beat = format!("set -a; . {env}; while mosaic heartbeat; do :; done; exit 3");
    let run = fleet.run(&["sh", "-c", &beat]);
    assert_ne!(run.code, 3, "a beat failed before the power went: {}", run.report());
}

/// Messages by their ids.
#[derive(Default)]
pub struct Sent {
    begun: BTreeSet<String>,
    /// Those of which it was said that they wait.
    queued: BTreeSet<String>,
}

impl Sent {
    /// Nothing twice, nothing that nobody sent, and what was promised waits still.
    pub fn is_heard(&mut self, fleet: &Fleet, when: &str) {
        let heard = heard_at_most_once(fleet);
        assert!(heard.keys().all(|id| self.begun.contains(id)), "{when}: {heard:?}");
        let waiting = fleet.sh(&format!("ls {MOSAIC}/fleet/run/queue/waits 2>/dev/null || true")).ok();
        for id in &self.queued {
            let there = waiting.lines().filter_map(Place::of).any(|place| place.id == *id);
            assert!(there, "{when}: {id} was queued, and is lost: {waiting}");
        }
        // The queue has a depth, and this has no end.
        fleet.sh(&format!("rm -f {MOSAIC}/fleet/run/queue/waits/*")).ok();
        self.queued.clear();
    }
}

pub fn heard_at_most_once(fleet: &Fleet) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in fleet.sh("cat ~/heard 2>/dev/null || true").ok().lines() {
        if let Some(id) = line.split_whitespace().last() {
            *times.entry(id.to_owned()).or_default() += 1;
        }
    }
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    times
}
