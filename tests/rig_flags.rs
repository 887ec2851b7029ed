//! Disagreements made on purpose in real fleets: the flag for each, on its row and on no other.

#[path = "common/fleet.rs"]
mod fleet;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};
use serde_json::Value;

const AGENTS: &str = "  - {name: coder, runtime: dogfood}\n  - {name: coder0, runtime: dogfood}\n  - {name: rev, runtime: dogfood}\n";

fn roster(head: &str, agents: &str) -> String {
    format!("version: 1\n{head}agents:\n{agents}")
}

/// The rows of a look that took no longer than it may.
fn ps(fleet: &Fleet) -> Vec<Value> {
    let asked = Instant::now();
    let report = fleet.run(&["fleet", "ps", "--json"]).ok();
    // Getting into the rig takes a part of that.
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    let report: Value = serde_json::from_str(&report).expect("JSON alone on stdout");
    report["rows"].as_array().expect("rows").clone()
}

/// `name: FLAG FLAG` of every row that has any.
fn flags(fleet: &Fleet) -> Vec<String> {
    let words = |row: &Value| {
        let words = row["flags"].as_array().expect("flags").iter();
        words.map(|w| w.as_str().expect("a word").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let rows = ps(fleet);
    let rows = rows.iter().map(|row| (row["name"].as_str().expect("a name"), words(row)));
    rows.filter(|(_, words)| !words.is_empty()).map(|(name, words)| format!("{name}: {words}")).collect()
}

fn reasons(fleet: &Fleet, agent: &str) -> String {
    let rows = ps(fleet);
    let row = rows.iter().find(|r| r["name"] == agent).expect("its row");
    row["reasons"].to_string()
}

fn has_none(fleet: &Fleet, when: &str) {
    let healthy = || ps(fleet).iter().all(|r| r["heartbeat"]["health"] == "healthy");
    fleet.rig.wait_until(&format!("no flag {when}"), SOON, || flags(fleet).is_empty() && healthy());
}

fn answering(suite: Suite) -> Fleet {
    let fleet = Fleet::with(suite, &roster("", AGENTS));
    has_none(&fleet, "at the beginning");
    fleet
}

#[test]
fn what_was_changed_by_hand_or_waits_for_a_restart_is_flagged_where_it_is() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite);
        let agents = format!("{MOSAIC}/fleet/agents");

        fleet.sh(&format!("cp -p {agents}/coder.env kept && echo '# mine' >> {agents}/coder.env")).ok();
        assert_eq!(flags(&fleet), ["coder: EDITED"], "{suite:?}");
        assert!(reasons(&fleet, "coder").contains("agents/coder.env was changed by hand"));
        fleet.sh(&format!("echo 'X=not-told' >> {agents}/coder.env")).ok();
        assert_eq!(flags(&fleet), ["coder: DRIFT EDITED"], "{suite:?}");
        assert!(!reasons(&fleet, "coder").contains("not-told"));
        fleet.sh(&format!("mv kept {agents}/coder.env")).ok();
        assert_eq!(flags(&fleet), Vec::<String>::new(), "{suite:?}");

        fleet.rig.write(&format!("{agents}/coder0.local.env"), "X=1\n", TENANT);
        assert_eq!(flags(&fleet), ["coder0: DRIFT"], "{suite:?}");
        fleet.run(&["fleet", "restart", "coder0"]).ok();
        has_none(&fleet, "after the restart");

        // What the unit alone has changes no variable.
        let limited = AGENTS.replace("{name: rev,", "{name: rev, limits: {memory_high: 1G},");
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster("", &limited), TENANT);
        fleet.run(&["fleet", "apply", "--no-restart"]).ok();
        assert_eq!(flags(&fleet), ["rev: PENDING"], "{suite:?}");
        let other = limited.replace("{name: rev,", "{name: rev, env: {X: y},");
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster("", &other), TENANT);
        fleet.run(&["fleet", "apply", "--no-restart"]).ok();
        assert_eq!(flags(&fleet), ["rev: DRIFT PENDING"], "{suite:?}");
        fleet.run(&["fleet", "restart", "rev"]).ok();
        has_none(&fleet, "after the pending restart");

        // The holder's own restart is left to a person.
        let head = "tmux: {holder_session: _other}\n";
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster(head, &other), TENANT);
        fleet.run(&["fleet", "apply"]);
        let all = ["coder: PENDING", "coder0: PENDING", "rev: PENDING", "_holder: UNKNOWN"];
        fleet.rig.wait_until("the holder's restart is pending", SOON, || flags(&fleet) == all);
        assert!(reasons(&fleet, "rev").contains("fleet apply --restart-holder"));
        fleet.run(&["fleet", "apply", "--restart-holder"]).ok();
        has_none(&fleet, "after the holder's restart");

        let ledger = format!("{MOSAIC}/fleet/ledger.json");
        fleet.sh(&format!("cp -p {ledger} kept && head -c 700 kept > {ledger}")).ok();
        assert_eq!(flags(&fleet), Vec::<String>::new(), "{suite:?}");
        for agent in ["coder", "coder0", "rev"] {
            assert!(reasons(&fleet, agent).contains("ledger: not known"), "{}", reasons(&fleet, agent));
        }
        fleet.sh(&format!("mv kept {ledger}")).ok();

        fleet.sh(&format!("sed -i s/^supervisor=.*/supervisor=0.0.1/ {MOSAIC}/fleet/run/coder.record")).ok();
        assert_eq!(flags(&fleet), ["coder: SKEW"], "{suite:?}");
    }
}

#[test]
fn what_is_planted_at_a_heartbeat_is_named_and_waited_for_by_nobody() {
    if Rig::skipped() {
        return;
    }
    let fleet = answering(Suite::Bookworm);
    let socket = ["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=coder:"];
    fleet.run(&[&socket[..], &["/fault mute", "Enter"]].concat()).ok();
    let beat = format!("{MOSAIC}/fleet/run/coder.hb");
    let pid = fleet.pane("coder").expect("a pane");
    let now = "$(date -u +%Y-%m-%dT%H:%M:%SZ)";
    for (plant, flagged, why) in [
        ("mkfifo BEAT".to_owned(), "BAD-BEAT", "a FIFO in place of a file"),
        ("truncate -s 9G BEAT".to_owned(), "BAD-BEAT", "oversized"),
        ("mkdir BEAT".to_owned(), "BAD-BEAT", "a folder in place of a file"),
        ("ln -s /dev/zero BEAT".to_owned(), "BAD-BEAT", "a symbolic link"),
        (
            format!("printf 'ts=2099-01-01T00:00:00Z\\npid={pid}\\nstatus=ok\\n' > BEAT"),
            "BAD-BEAT",
            "in the future",
        ),
        (
            format!("printf 'ts=%s\\npid=1\\nstatus=ok\\n' {now} > BEAT"),
            "BAD-BEAT",
            "none of this agent's processes",
        ),
        ("install -m 0 /dev/null BEAT".to_owned(), "", "ermission denied"),
    ] {
        let plant = plant.replace("BEAT", &beat);
        fleet.sh(&format!("rm -rf {beat}; {plant}")).ok();
        let expected = if flagged.is_empty() { Vec::new() } else { vec![format!("coder: {flagged}")] };
        assert_eq!(flags(&fleet), expected, "{plant}");
        assert!(reasons(&fleet, "coder").contains(why), "{plant}: {}", reasons(&fleet, "coder"));
    }
    // A clock that was set: the boot's own time decides, whatever the wall clock says.
    let told = "printf 'ts=2099-01-01T00:00:00Z\\npid=PID\\nstatus=ok\\nboot_id=%s\\nboottime=%s\\n' \
                $(cat /proc/sys/kernel/random/boot_id) $(cut -d ' ' -f 1 /proc/uptime) > BEAT";
    let told = told.replace("PID", &pid.to_string()).replace("BEAT", &beat);
    // In a container /proc/uptime may be its own; then this is a beat of another time.
    fleet.sh(&format!("rm -rf {beat}; {told}")).ok();
    assert_eq!(flags(&fleet), Vec::<String>::new(), "{}", reasons(&fleet, "coder"));

    // The record and the environment files are of the same folder's kind.
    for file in ["agents/rev.local.env", "run/rev.record"] {
        let path = format!("{MOSAIC}/fleet/{file}");
        fleet.sh(&format!("rm -f {path}; mkfifo {path}")).ok();
        assert!(reasons(&fleet, "rev").contains("a FIFO in place of a file"), "{}", reasons(&fleet, "rev"));
        fleet.sh(&format!("rm {path}")).ok();
    }
}

#[test]
fn a_bus_that_hangs_is_not_known_in_time_and_nobody_is_dead() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite);
        let bus = fleet.unit("dbus.service", "MainPID").parse().expect("a pid");
        fleet.kill("-STOP", bus);
        let rows = ps(&fleet);
        fleet.kill("-CONT", bus);
        for row in rows {
            assert_eq!(row["flags"], serde_json::json!([]), "{suite:?}: {row:#}");
            assert_eq!((&row["systemd"]["active"], &row["pane"]["state"]), (&Value::Null, &"alive".into()));
            assert!(row["reasons"].to_string().contains("systemd: "), "{suite:?}: {row:#}");
        }
    }
}

/// Looks at a hundred healthy agents for so long, while the machine has more to do than it can.
fn no_false_flag(suite: Suite, time: Duration) {
    const CROWD: &str = "crowd";
    let rig = Rig::boot(suite);
    // With a uid that no other rig's tenant has: they share the kernel, and what it gives each uid of
    // ways to watch files is little more than this crowd takes.
    rig.root_ok(&["useradd", "--create-home", "--uid", "5100", "--shell", "/bin/bash", CROWD]);
    rig.root_ok(&["loginctl", "enable-linger", CROWD]);
    rig.wait_until("the user manager runs", SOON, || rig.manager_runs(5100));
    let agents: String = (0..100).map(|n| format!("  - {{name: a{n}, runtime: dogfood}}\n")).collect();
    rig.write(&format!("/home/{CROWD}/.config/mosaic/fleet/roster.yaml"), roster("", &agents), CROWD);
    rig.as_user(CROWD, &["fleet", "apply"]).ok();
    let look = || rig.as_user(CROWD, &["fleet", "ps", "--json"]).ok();
    rig.wait_until("all have answered", SOON * 3, || {
        look().matches("\"health\": \"healthy\"").count() == 100
    });
    let busy = format!("timeout {} sh -c 'while :; do :; done' &", time.as_secs() + 5);
    rig.as_user(CROWD, &["sh", "-c", &format!("({busy} {busy}) >/dev/null 2>&1")]).ok();
    let until = Instant::now() + time;
    let mut looks = 0;
    while Instant::now() < until {
        let report: Value = serde_json::from_str(&look()).expect("JSON");
        for row in report["rows"].as_array().expect("rows") {
            assert_eq!(row["flags"], serde_json::json!([]), "{suite:?}, look {looks}: {row:#}");
        }
        looks += 1;
    }
    assert!(looks > 10, "{looks} looks");
}

#[test]
fn a_hundred_healthy_agents_on_a_busy_machine_have_no_flag() {
    if Rig::skipped() {
        return;
    }
    no_false_flag(Suite::Bookworm, Duration::from_secs(60));
}

#[test]
#[ignore = "ten minutes"]
fn a_hundred_healthy_agents_of_debian_12_have_no_flag_for_ten_minutes() {
    if Rig::skipped() {
        return;
    }
    no_false_flag(Suite::Bookworm, Duration::from_secs(600));
}

#[test]
#[ignore = "ten minutes"]
fn a_hundred_healthy_agents_of_debian_13_have_no_flag_for_ten_minutes() {
    if Rig::skipped() {
        return;
    }
    no_false_flag(Suite::Trixie, Duration::from_secs(600));
}
