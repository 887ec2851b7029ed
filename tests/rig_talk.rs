//! Messages in a real fleet: under units, at starts, and where a runtime does not react.

#[path = "common/fleet.rs"]
mod fleet;

use fleet::rig::{Rig, Run, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};
use serde_json::Value;

const ROSTER: &str = "version: 1
runtimes:
  mute: {command: 'mosaic yolo dogfood --fault draft', reset_command: /new}
  bare: {command: 'mosaic yolo dogfood'}
  plain: {command: 'cat'}
  reader: {command: \"sh -c 'printf \\\"> \\\"; while read -r l; do echo got $l; printf \\\"> \\\"; done'\"}
agents:
  - {name: coder, runtime: dogfood}
  - {name: coder0, runtime: dogfood}
  - {name: mute, runtime: mute}
  - {name: bare, runtime: bare}
  - {name: plain, runtime: plain}
  - {name: reader, runtime: reader}
";

fn send(fleet: &Fleet, args: &[&str]) -> Run {
    fleet.run(&[&["mosaic", "agent", "send"], args].concat())
}

fn state(run: &Run) -> String {
    let receipt: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.report()));
    receipt["state"].as_str().expect("a state").to_owned()
}

fn acks(fleet: &Fleet, agent: &str) -> usize {
    let text = fleet.run(&["cat", &format!("{MOSAIC}/fleet/run/{agent}.ack")]).stdout;
    text.lines().filter(|line| line.contains("\"prompt\"")).count()
}

#[test]
fn a_fleet_talks_and_what_was_queued_outlives_a_stop_and_a_reboot() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::with(suite, ROSTER);
        // The user's own server, and one more, with a session of the same name.
        for socket in ["default", "other"] {
            fleet.run(&["tmux", "-L", socket, "new-session", "-d", "-s", "coder", "cat"]).ok();
        }
        let sent = send(&fleet, &["coder", "--message", "hello", "--verify", "--json"]).exits(0);
        assert_eq!(state(&sent), "accepted", "{suite:?}: {}", sent.report());
        assert_eq!((acks(&fleet, "coder"), acks(&fleet, "coder0")), (1, 0), "{suite:?}");

        fleet.run(&["fleet", "stop", "coder", "plain"]).ok();
        let dead = send(&fleet, &["coder", "--message", "x"]).exits(1);
        assert!(dead.stderr.contains("agent coder is not running"), "{suite:?}: {}", dead.report());
        // One takes it by itself; to the other, which knows of no queue, it is typed.
        for agent in ["coder", "plain"] {
            send(&fleet, &[agent, "--message", "at your start", "--queue", "--id", "k"]).exits(0);
        }
        fleet.run(&["fleet", "start", "coder", "plain"]).ok();
        fleet.rig.wait_until("it takes it at its start", SOON, || acks(&fleet, "coder") == 2);
        fleet.rig.wait_until("it is typed at its start", SOON, || {
            let receipt = fleet.rig.read(&format!("{MOSAIC}/fleet/run/receipts/plain/k.json"));
            receipt.contains("\"state\": \"submitted\"")
        });
        let shown = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=plain:"];
        let shown = fleet.run(&shown).ok();
        assert!(shown.contains(":plain] at your start"), "{suite:?}: {shown}");

        // Somebody's draft is in the way; the sender is gone when it is not any more, and the supervisor, which
        // it has rung, sees to it.
        let keys = |keys: &[&str]| {
            let to = ["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=reader:"];
            fleet.run(&[&to, keys].concat()).ok();
        };
        keys(&["-l", "mine"]);
        let shown = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=reader:"];
        fleet.rig.wait_until("a draft shows", SOON, || fleet.run(&shown).stdout.contains("> mine"));
        let wakes = ["reader", "--message", "wake up", "--queue", "--wake", "--id", "w", "--json"];
        let held = send(&fleet, &wakes).exits(0);
        assert_eq!(state(&held), "held", "{suite:?}: {}", held.report());
        let inside = "for p in /proc/[0-9]*; do \
            tr '\\0' ' ' <$p/cmdline | grep -q 'deliver --[s]tay reader' && cat $p/cgroup; done 2>/dev/null";
        fleet.rig.wait_until("the supervisor sees to it, within its unit", SOON, || {
            fleet.run(&["sh", "-c", inside]).stdout.contains("mosaic-agent@reader.service")
        });
        keys(&["C-u"]);
        fleet.rig.wait_until("it is typed once the composer is free", SOON, || {
            let receipt = fleet.rig.read(&format!("{MOSAIC}/fleet/run/receipts/reader/w.json"));
            receipt.contains("\"state\": \"submitted\"")
        });

        for script in ["agent-send.sh -s", "send-message.sh -t"] {
            let line = format!("{MOSAIC}/tools/tmux/{script} plain -m 'from a script'");
            fleet.run(&["sh", "-c", &line]).ok();
        }
        for socket in ["default", "other"] {
            let seen = fleet.run(&["tmux", "-L", socket, "capture-pane", "-p", "-t", "=coder:"]).ok();
            assert_eq!(seen.trim(), "", "{suite:?}: nothing of it is for the server {socket}");
            let buffers = fleet.run(&["tmux", "-L", socket, "list-buffers"]).ok();
            assert_eq!(buffers, "", "{suite:?}: {socket}");
        }

        fleet.run(&["fleet", "stop", "coder"]).ok();
        let later = send(&fleet, &["coder", "--message", "after the boot", "--queue", "--json"]).exits(0);
        let id = serde_json::from_str::<Value>(&later.stdout).expect("JSON")["id"].clone();
        fleet.rig.reboot();
        fleet.rig.wait_until("it takes it after the boot", SOON, || acks(&fleet, "coder") == 3);
        let file = format!("{MOSAIC}/fleet/run/receipts/coder/{}.json", id.as_str().expect("an id"));
        fleet.rig.wait_until("its receipt says so", SOON, || {
            fleet.rig.read(&file).contains("\"state\": \"accepted\"")
        });
    });
}

#[test]
fn a_runtime_that_does_not_take_its_reset_is_restarted() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::with(suite, ROSTER);
        fleet.rig.wait_until("it shows a prompt", SOON, || {
            let shown = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=mute:"];
            fleet.run(&shown).stdout.trim_end().ends_with("\n>")
        });
        let before = fleet.pane("mute").expect("a pane");
        let reset = ["mosaic", "agent", "reset", "mute", "--verify-timeout", "500"];
        let done = fleet.run(&reset).exits(0);
        assert!(done.stdout.contains("mute: restarted: "), "{suite:?}: {}", done.report());
        assert_ne!(fleet.pane("mute"), Some(before), "{suite:?}");

        // Without a command, too, and the first prompt comes after the new start.
        let before = fleet.pane("bare").expect("a pane");
        fleet.rig.write("/home/demo/first.md", "You are {{ name }}", TENANT);
        let reset = ["mosaic", "agent", "reset", "bare", "--kickstart", "~/first.md", "--json"];
        let done = fleet.run(&reset).exits(0);
        let told: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(told["reset"], "restarted", "{suite:?}: {}", done.report());
        assert_ne!(fleet.pane("bare"), Some(before), "{suite:?}");
        let state = told["kickstart"]["state"].as_str().expect("a state").to_owned();
        assert!(["accepted", "submitted"].contains(&state.as_str()), "{suite:?}: {}", done.report());
        assert_eq!(acks(&fleet, "bare"), 1, "{suite:?}");
    });
}
