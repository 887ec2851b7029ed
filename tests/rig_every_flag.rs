//! Every flag on purpose, all at once in one fleet: each on its own row within one interval, and none on
//! the row of an agent that is well. (Those of files and units are in `rig_flags` and `rig_observe`.)

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, SOON, TENANT, unit};
use pty::Pty;
use serde_json::Value;

/// Seconds between beats, unless somebody says otherwise: what a flag may take.
const INTERVAL: Duration = Duration::from_secs(15);
/// After so long an agent that never beat is missed.
const GRACE: Duration = Duration::from_secs(45);

/// Who is there, and the command of those that are no dogfood.
const AGENTS: [(&str, &str); 16] = [
    ("calm", ""),
    ("silent", "sleep 90000"),
    ("sidecar", "/home/demo/beside"),
    ("limited", "/home/demo/says"),
    ("asks", "/home/demo/says"),
    ("expired", "/home/demo/says"),
    ("full", "/home/demo/says"),
    ("over", "/home/demo/says"),
    ("flaps", ""),
    ("drafts", ""),
    ("misses", ""),
    ("visited", ""),
    ("oom", ""),
    ("exits", "/home/demo/leaves"),
    ("twice", ""),
    ("dies", "/home/demo/says"),
];

struct Case {
    fleet: Fleet,
    suite: Suite,
    /// What is flagged by now.
    flagged: BTreeMap<&'static str, &'static str>,
}

impl Case {
    fn new(suite: Suite) -> Self {
        let fleet = Fleet::tenant(suite);
        // One that says what it is told to say, and one beside which only a sidecar speaks.
        fleet.program("says", "#!/bin/sh\nwhile mosaic heartbeat --source runtime; do sleep 1; done\n");
        fleet.program("beside", "#!/bin/sh\nwhile mosaic heartbeat --source sidecar; do sleep 1; done\n");
        fleet.program("leaves", "#!/bin/sh\nsleep 1\n");
        let line = |(name, command): &(&str, &str)| match *command {
            "" => format!("  - {{name: {name}, runtime: dogfood}}\n"),
            command => format!("  - {{name: {name}, runtime: own, command: {command}}}\n"),
        };
        let agents: String = AGENTS.iter().map(line).collect();
        fleet.rig.write(
            &format!("/home/{TENANT}/.config/systemd/user/{}.d/stays.conf", unit("exits")),
            "[Service]\nRemainAfterExit=yes\n",
            TENANT,
        );
        fleet.apply(&format!("version: 1\nruntimes: {{own: {{command: sleep 90000}}}}\nagents:\n{agents}"));
        Self { fleet, suite, flagged: BTreeMap::new() }
    }

    fn rows(&self) -> Vec<Value> {
        let report: Value =
            serde_json::from_str(&self.fleet.run(&["fleet", "ps", "--json"]).ok()).expect("JSON");
        report["rows"].as_array().expect("rows").clone()
    }

    fn reasons(&self, agent: &str) -> String {
        let rows = self.rows();
        rows.iter().find(|r| r["name"] == agent).expect("its row")["reasons"].to_string()
    }

    /// Waits until exactly that flag is on exactly that row, beside those that were made before.
    fn flags(&mut self, agent: &'static str, flag: &'static str, within: Duration) {
        self.flagged.insert(agent, flag);
        let begun = Instant::now();
        loop {
            let rows = self.rows();
            // Who never beat is missed when its grace is over, wherever the others are then.
            let missed = |name: &str, flags: &str| {
                name == "silent" && flags == "NO-BEAT" && !self.flagged.contains_key("silent")
            };
            let flagged: BTreeMap<&str, String> = rows
                .iter()
                .filter_map(|row| {
                    let flags = row["flags"].as_array().expect("flags").iter();
                    let flags: Vec<&str> = flags.filter_map(Value::as_str).collect();
                    let (name, flags) = (row["name"].as_str().expect("a name"), flags.join(" "));
                    (!flags.is_empty() && !missed(name, &flags)).then_some((name, flags))
                })
                .collect();
            let as_expected = flagged.len() == self.flagged.len()
                && self.flagged.iter().all(|(agent, flag)| flagged.get(agent).is_some_and(|f| f == flag));
            if as_expected {
                return;
            }
            assert!(
                begun.elapsed() < within,
                "{:?}: {agent}: {flag}: not within {within:?}: {flagged:?}\nexpected {:?}\n{rows:#?}",
                self.suite,
                self.flagged
            );
        }
    }

    /// As somebody who looks after the fleet says it.
    fn say(&self, agent: &str, args: &[&str]) {
        self.fleet.run(&[&["mosaic", "heartbeat", "--agent", agent, "--source", "hook"], args].concat()).ok();
    }

    fn send(&self, args: &[&str]) -> i32 {
        self.fleet.run(&[&["mosaic", "agent", "send"], args].concat()).code
    }
}

fn every_flag(suite: Suite) {
    let mut case = Case::new(suite);
    case.flagged.insert("sidecar", "ALIVE");
    case.flags("exits", "EXITED-ACTIVE", SOON);
    assert!(case.reasons("exits").contains("systemd says active, and"), "{}", case.reasons("exits"));

    for (agent, state, flag) in [
        ("limited", "rate-limited", "RATE-LIMITED"),
        ("asks", "needs-input", "NEEDS-INPUT"),
        ("expired", "auth-expired", "AUTH-EXPIRED"),
        ("full", "context-full", "CONTEXT-FULL"),
    ] {
        case.say(agent, &["--state", state]);
        case.flags(agent, flag, INTERVAL);
    }
    // A state whose own time is up is none any more.
    let until = case.fleet.sh("date -u -d '+6 seconds' +%FT%TZ").ok();
    case.say("over", &["--state", "rate-limited", "--resume-at", until.trim()]);
    case.flags("over", "RATE-LIMITED", INTERVAL);
    case.flagged.remove("over");
    case.flags("limited", "RATE-LIMITED", INTERVAL);
    assert!(case.reasons("over").contains("which is over, and nothing since"), "{}", case.reasons("over"));

    // Two crashes: three starts. Two restarts that somebody asked for: none.
    for _ in 0..2 {
        let before = case.fleet.pane("flaps").expect("a pane");
        case.fleet.kill("-KILL", before);
        case.fleet.comes_back("flaps", before);
        case.fleet.run(&["fleet", "restart", "twice"]).ok();
    }
    case.flags("flaps", "FLAPPING", INTERVAL);
    case.fleet.run(&["fleet", "restart", "flaps"]).ok();
    case.flags("flaps", "FLAPPING", INTERVAL);

    let typed = |agent: &str, text: &str| {
        let pane = format!("={agent}:");
        case.fleet.run(&["tmux", "-L", "mosaic-factory", "send-keys", "-t", &pane, text, "Enter"]).ok();
    };
    typed("drafts", "/fault draft");
    typed("misses", "work 600");
    case.fleet.rig.wait_until("the fault is armed", SOON, || {
        case.fleet.run(&["mosaic", "agent", "tail", "drafts"]).stdout.contains("fault: draft")
    });
    assert_eq!(case.send(&["drafts", "-m", "hello", "--verify", "--verify-timeout", "1500"]), 1);
    case.flags("drafts", "DRAFT", INTERVAL);
    // Who works takes nothing from its queue.
    assert_eq!(case.send(&["misses", "-m", "too late", "--queue", "--ttl", "2s"]), 0);
    case.flags("misses", "UNDELIVERED", INTERVAL);

    let person = attached(&case.fleet, "visited");
    case.flags("visited", "ATTACHED", INTERVAL);

    // What the kernel would count in the unit's cgroup, where rigs have no controller of memory.
    let pid = case.fleet.pane("oom").expect("a pane");
    let group = case.fleet.run(&["cat", &format!("/proc/{pid}/cgroup")]).ok();
    let group = format!("/sys/fs/cgroup{}", group.trim().rsplit("::").next().expect("a path"));
    let (parent, _) = group.rsplit_once('/').expect("a cgroup above it");
    let (root, above) = ("/sys/fs/cgroup/cgroup.controllers", format!("{parent}/cgroup.subtree_control"));
    let fake = format!(
        "echo 'cpu memory pids' > /run/controllers && mount --bind /run/controllers {root} \
         && mount --bind /run/controllers '{above}' && mount -t tmpfs none '{group}' && cd '{group}' \
         && echo 4096 > memory.current && echo 'oom_kill 1' > memory.events"
    );
    case.fleet.rig.root_ok(&["sh", "-c", &fake]);
    case.flags("oom", "OOM", INTERVAL);
    assert!(
        case.reasons("oom").contains("the OOM killer ended 1 of its processes"),
        "{}",
        case.reasons("oom")
    );
    case.fleet.rig.root_ok(&["umount", &group, &above, root]);
    case.flagged.remove("oom");

    // Its supervisor is stopped, so nobody starts it again: dead, whatever systemd says.
    let (supervisor, runtime) = (case.fleet.supervisor("dies"), case.fleet.pane("dies").expect("a pane"));
    case.fleet.kill("-STOP", supervisor);
    case.fleet.kill("-KILL", runtime);
    case.flags("dies", "DEAD", INTERVAL);
    case.fleet.kill("-CONT", supervisor);
    case.flagged.remove("dies");
    case.flags("flaps", "FLAPPING", INTERVAL);

    case.fleet.run(&["tmux", "-L", "mosaic-factory", "new-session", "-d", "-s", "stray", "sleep 90000"]).ok();
    case.flags("stray", "UNKNOWN", INTERVAL);
    beside_their_own(&case.fleet);
    case.flags("_holder", "UNKNOWN", INTERVAL);
    assert!(case.reasons("calm").contains("its session has another pane"), "{}", case.reasons("calm"));

    case.flags("silent", "NO-BEAT", GRACE + INTERVAL);
    drop(person);
}

/// A person on a terminal who takes the agent over.
fn attached(fleet: &Fleet, agent: &str) -> Pty {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder").to_str().expect("text");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rig");
    let rig = fleet.rig.name();
    let line = format!(
        "export CARGO_TARGET_DIR={target}; exec {script} as {rig} {TENANT} mosaic agent attach {agent}"
    );
    let mut person = Pty::start(Path::new("/bin/bash"), &["-c", &line], &[]);
    person.sees("attaching to visited");
    person
}

/// Panes that somebody opened beside an agent's and beside the holder's.
fn beside_their_own(fleet: &Fleet) {
    for session in ["=calm:", "=_holder:"] {
        fleet.run(&["tmux", "-L", "mosaic-factory", "new-window", "-d", "-t", session, "sleep 90000"]).ok();
    }
}

#[test]
fn every_flag_is_on_its_row_alone_with_debian_12() {
    if !Rig::skipped() {
        every_flag(Suite::Bookworm);
    }
}

#[test]
fn every_flag_is_on_its_row_alone_with_debian_13() {
    if !Rig::skipped() {
        every_flag(Suite::Trixie);
    }
}
