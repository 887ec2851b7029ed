//! What a tenant's fleet is in the middle of when the power goes: applies, a shipped roster that replaces the tenant's
//! own, beats. Messages are in `talk.rs`.

use mosaic_fleet::roster::profiles::Profile;

use crate::fleet::rig::Run;
use crate::fleet::{Fleet, MOSAIC, TENANT};
use crate::kept::Kept;

/// The profile that takes the place of the tenant's own roster: the holder alone.
const SHIPPED: Profile = Profile::Minimal;

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

/// Before applies are cut: the shipped roster has no agents, and those that go take along what was sent to them.
pub fn hear_nothing(fleet: &Fleet) {
    fleet.sh("rm -f ~/heard && sync ~").ok();
}

/// One after another, each with another roster; the shipped one is written by the program itself.
pub fn apply_until_cut(fleet: &Fleet, mut which: &'static str, mut shipped: bool) {
    let path = format!("{MOSAIC}/fleet/roster.yaml");
    let put = format!("cat >{path}.new && mv {path}.new {path}");
    loop {
        let done = if shipped {
            fleet.run(&["fleet", "init", "--profile", SHIPPED.name(), "--write", "--force"])
        } else {
            which = other(which);
            let put = fleet.rig.as_user_with(TENANT, &["sh", "-c", &put], roster(which).as_bytes());
            if put.code == 0 { fleet.run(&["fleet", "apply"]) } else { put }
        };
        if done.code != 0 {
            return power_is_off(fleet, &done);
        }
        shipped = !shipped;
    }
}

/// The roster that a disk has is one that somebody wrote, and so are the copies of those that were overwritten: where
/// the shipped one stands, there is one of the tenant's own.
pub fn has_a_roster(kept: &Kept, when: &str) {
    let own = ["one", "two"].map(roster);
    let shipped = SHIPPED.roster_text();
    for text in [&kept.roster].into_iter().chain(&kept.copies) {
        assert!(own.contains(text) || *text == shipped, "{when}: nobody wrote this roster: {text}");
    }
    let copied = kept.copies.iter().any(|copy| own.contains(copy));
    assert!(kept.roster != shipped || copied, "{when}: the tenant's own roster is lost");
}

/// Once those are read.
pub fn remove_copies(fleet: &Fleet) {
    fleet.sh(&format!("rm -f {MOSAIC}/fleet/roster.yaml.bak-*")).ok();
}

/// As fast as it goes, from beside the agent, which beats, too.
pub fn beat_until_cut(fleet: &Fleet) {
    let env = format!("{MOSAIC}/fleet/agents/coder.env");
    let beat = format!("set -a; . {env}; while mosaic heartbeat; do :; done; exit 3");
    let run = fleet.run(&["sh", "-c", &beat]);
    assert_ne!(run.code, 3, "a beat failed before the power went: {}", run.report());
}

/// Nothing but that may end what is to be cut.
pub fn power_is_off(fleet: &Fleet, failed: &Run) {
    let off = fleet.rig.root(&["true"]).code != 0;
    assert!(off, "this failed before the power went: {}", failed.report());
}
