//! From what an older commit built to what this one does, under running agents: nobody restarts, what was written is read,
//! what waits is handed out once, who was stopped stays so.

#[path = "common/fleet.rs"]
mod fleet;

use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON};
use serde_json::Value;

/// The first commit that made packages.
const OLDER: &str = "12307d9";
const ROSTER: &str = "version: 1\ndefaults: {runtime: dogfood}\nagents: [{name: a}, {name: b}, {name: c}]\n";
const RUNNING: [&str; 2] = ["a", "b"];

/// The programs of that commit.
fn older() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("of-{OLDER}"));
    let tree = folder.join("tree");
    std::fs::create_dir_all(&tree).expect("a folder");
    let unpack = format!("git archive {OLDER} | tar -xC '{}'", tree.display());
    let unpacked = Command::new("bash")
        .args(["-o", "pipefail", "-c", &unpack])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()), "the history has {OLDER}");
    let target = folder.join("target");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--quiet", "--bins", "--target-dir"]).arg(&target).current_dir(&tree);
    assert!(build.status().is_ok_and(|status| status.success()), "{OLDER} can be built");
    target.join("debug")
}

#[test]
#[ignore = "builds an older commit"]
fn what_an_older_commit_started_goes_on_under_the_programs_of_this_one() {
    if Rig::skipped() {
        return;
    }
    let older = older();
    let programs = PathBuf::from(env!("CARGO_BIN_EXE_fleet")).parent().expect("a folder").to_path_buf();
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        fleet.rig.install(&older);
        fleet.apply(ROSTER);
        for agent in RUNNING {
            let beat = format!("{MOSAIC}/fleet/run/{agent}.hb");
            fleet.rig.wait_until("it beats", SOON, || fleet.run(&["test", "-e", &beat]).code == 0);
        }
        fleet.run(&["fleet", "stop", "c"]).ok();
        // A person's draft keeps a message waiting.
        let keys = |words: &[&str]| {
            fleet.run(&[&["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=b:"], words].concat()).ok()
        };
        let shown = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=b:"];
        keys(&["-l", "mine"]);
        fleet.rig.wait_until("a draft shows", SOON, || fleet.run(&shown).stdout.contains("> mine"));
        let send = ["mosaic", "agent", "send", "b", "--queue", "--id", "q", "--message", "what-waited"];
        fleet.run(&send).exits(0);
        let seen = || {
            let supervisors = RUNNING.map(|agent| fleet.supervisor(agent));
            (RUNNING.map(|agent| fleet.pane(agent)), supervisors, fleet.holder())
        };
        let before = seen();
        assert!(before.0.iter().all(Option::is_some), "{suite:?}: {before:?}");

        fleet.rig.install(&programs);
        let ps = fleet.run(&["fleet", "ps", "--json"]).exits(0);
        let rows: Value = serde_json::from_str(&ps.stdout).expect("JSON");
        for row in rows["rows"].as_array().expect("rows") {
            let is_up = row["heartbeat"]["health"] == "healthy";
            let is_parked = row["reasons"].to_string().contains("parked: a person stopped it");
            assert_eq!((is_up, is_parked), (row["name"] != "c", row["name"] == "c"), "{suite:?}: {row:#}");
        }
        let applied = fleet.run(&["fleet", "apply"]).exits(0);
        assert_eq!(seen(), before, "{suite:?}: nobody restarts: {}", applied.report());
        assert_eq!(fleet.pane("c"), None, "{suite:?}: it stays stopped");

        keys(&["C-u"]);
        let to = ["mosaic", "agent", "send", "b", "--verify", "--message", "what-came-after"];
        fleet.run(&to).exits(0);
        fleet.rig.wait_until("what waited is handed out", SOON, || {
            let receipt = fleet.rig.read(&format!("{MOSAIC}/fleet/run/receipts/b/q.json"));
            ["accepted", "submitted"].iter().any(|state| receipt.contains(&format!("\"state\": \"{state}\"")))
        });
        let screen =
            fleet.run(&["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-S-", "-t", "=b:"]).ok();
        assert_eq!(screen.matches("b] what-waited").count(), 1, "{suite:?}: {screen}");
        assert_eq!(seen(), before, "{suite:?}: messages");

        fleet.run(&["fleet", "restart", "--holder"]).ok();
        assert_ne!(seen().1, before.1, "{suite:?}");
        let plan = fleet.run(&["fleet", "plan"]).exits(0);
        assert!(plan.stdout.contains("Nothing to do: "), "{suite:?}: {}", plan.report());
        assert_eq!(fleet.pane("c"), None, "{suite:?}: it stays stopped");
        fleet.run(&["fleet", "start", "c"]).ok();
        let is_verified = || fleet.run(&["fleet", "verify"]).code == 0;
        fleet.rig.wait_until("verify says that all is well", SOON, is_verified);
        fleet.rig.reboot();
        let is_back = || fleet.rig.manager_runs(fleet.uid) && fleet.active() == 3 && is_verified();
        fleet.rig.wait_until("all are back", SOON, is_back);
    });
}
