//! A fleet on each tree, on an emulated machine, and what is asked of it when something goes over its limit there.

use std::env;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fleet::rig::{Kernel, Rig, Suite};
use crate::fleet::{Fleet, MOSAIC, TENANT, unit};
use crate::measured;

/// Bound for what takes a moment on an emulated processor.
pub const BOUND: Duration = Duration::from_secs(300);
/// A user beside the tenant, with a manager of its own.
pub const OTHER: &str = "other";
/// Those that beat each second. Nothing is ever done to them.
pub const BEATING: [&str; 2] = ["beside", "watched"];
/// Nothing is done to this one, either. It is as busy as it may be, and no runtime that anybody knows.
pub const BUSY: &str = "busy";
/// Who has something to do begins with it when Enter is pressed.
const ROSTER: &str = "version: 1
agents:
- {name: beside, runtime: dogfood}
- {name: watched, runtime: dogfood, on_stale: restart}
- {name: hog, runtime: dogfood, limits: {memory_max: 48M}}
- {name: greedy, runtime: dogfood}
- {name: bomb, command: ./bomb, working_directory: ~/, limits: {tasks_max: 24}}
- {name: busy, command: \"sh -c 'while :; do :; done'\", limits: {cpu_quota: 10%}}
- {name: hot, command: \"sh -c 'read -r _; while :; do :; done'\"}
- {name: hotter, command: \"sh -c 'read -r _; while :; do :; done'\"}
";
/// Starts itself twice, again and again, until it is refused.
const BOMB: &str = "#!/bin/sh
read -r _
bomb() { bomb & bomb & wait; }
bomb 2>>~/bomb.log
exec sleep 100000
";

/// A fleet that is as it was made whenever it is nobody's turn, but for who has had something to do.
pub struct Bench {
    pub fleet: Fleet,
    pub suite: Suite,
    /// Those that nothing may ever happen to.
    as_made: Others,
    turn: Mutex<()>,
}

/// Tries something on both trees at once. Tests that run at the same time share two machines and take turns there.
pub fn on_both_trees(test: impl Fn(&Bench) + Sync) {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    // To the end of both, so that a machine stands as long as anybody needs one.
    let held = Mutex::new(Vec::new());
    Suite::each(|suite| {
        let bench = in_turn(suite, &test);
        held.lock().unwrap_or_else(PoisonError::into_inner).push(bench);
    });
}

/// The same for what no tree does otherwise, so that one of them tells; the long run (`MOSAIC_LONG=1`) tries both.
pub fn on_one_tree(suite: Suite, test: impl Fn(&Bench) + Sync) {
    if env::var_os("MOSAIC_LONG").is_some_and(|wanted| wanted == "1") {
        return on_both_trees(test);
    }
    if !Rig::skipped_with(Kernel::Own) {
        in_turn(suite, test);
    }
}

/// When it is this test's turn there. Gives the machine back, which stands until nobody holds it.
fn in_turn(suite: Suite, test: impl Fn(&Bench)) -> Arc<Bench> {
    loop {
        let bench = Bench::shared(suite);
        // After one that failed, another machine: what is left of that one proves nothing.
        let Ok(turn) = bench.turn.lock() else { continue };
        test(&bench);
        assert_eq!(bench.others(), bench.as_made, "{suite:?}");
        drop(turn);
        return bench;
    }
}

impl Bench {
    /// The one that stands, else a new one.
    fn shared(suite: Suite) -> Arc<Self> {
        static STANDING: [Mutex<Weak<Bench>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
        let slot = usize::from(suite == Suite::Trixie);
        // One that failed to boot leaves the place as empty as it was.
        let mut standing = STANDING[slot].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bench) = standing.upgrade().filter(|bench| !bench.turn.is_poisoned()) {
            return bench;
        }
        let bench = Arc::new(Self::new(suite));
        *standing = Arc::downgrade(&bench);
        bench
    }

    fn new(suite: Suite) -> Self {
        let fleet = Fleet::tenant_on(Rig::boot_with(Kernel::Own, suite));
        fleet.rig.add_lingering_user(OTHER);
        fleet.program("bomb", BOMB);
        for agent in BEATING {
            let local = format!("{MOSAIC}/fleet/agents/{agent}.local.env");
            fleet.rig.write(&local, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
        }
        fleet.apply(ROSTER);
        let mut bench = Self { fleet, suite, as_made: Others::default(), turn: Mutex::new(()) };
        bench.until("all answer", || {
            let rows = bench.rows();
            ["hog", "greedy"].iter().all(|agent| is_healthy(of(&rows, agent)))
        });
        bench.as_made = bench.others();
        bench
    }

    pub fn until(&self, what: &str, done: impl FnMut() -> bool) {
        self.fleet.rig.wait_until(&format!("{:?}: {what}", self.suite), BOUND, done);
    }

    pub fn note(&self, fault: &str, noticed: Option<Duration>, well: Option<Duration>) {
        measured::note(fault, &format!("{:?}, emulated", self.suite), noticed, well);
    }

    /// The rows of `fleet ps`, once the slow machine has answered in time.
    pub fn rows(&self) -> Value {
        self.rows_by(&["fleet", "ps", "--json"])
    }

    pub fn rows_by(&self, look: &[&str]) -> Value {
        let mut seen = Value::Null;
        self.until("ps could look", || {
            let run = self.fleet.run(look);
            seen = serde_json::from_str(&run.stdout).unwrap_or_default();
            run.code == 0
        });
        seen["rows"].clone()
    }

    pub fn row(&self, agent: &str) -> Value {
        of(&self.rows(), agent).clone()
    }

    pub fn pane(&self, agent: &str) -> i32 {
        self.fleet.pane(agent).unwrap_or_else(|| panic!("{:?}: {agent} has a pane", self.suite))
    }

    /// Types into an agent's pane.
    pub fn keys(&self, agent: &str, keys: &str) {
        self.fleet.sh(&format!("tmux -L mosaic-factory send-keys -t ={agent}: {keys}")).ok();
    }

    /// The number behind a key in a file of a unit's control group.
    pub fn unit_number(&self, agent: &str, file: &str, key: &str) -> u64 {
        let group = self.fleet.unit(&unit(agent), "ControlGroup");
        number(&self.fleet.rig.read(&format!("/sys/fs/cgroup{group}/{file}")), key)
    }

    /// Which part of the machine's one processor each of these control groups uses over a second of its time, ten of the
    /// periods that a quota is given for. An emulator with a busy guest takes ten of ours for one.
    pub fn shares(&self, groups: &[&str]) -> Vec<f64> {
        // All at one moment, twice, inside: what each used against the time that went by.
        let script = "at() { read -r now _ </proc/uptime; echo $now; for group; do
            read -r _ used <\"/sys/fs/cgroup$group/cpu.stat\"; echo $used; done; }
            at \"$@\"; sleep 1; at \"$@\"";
        let measured = self.fleet.rig.root_ok(&[&["sh", "-euc", script, "sh"], groups].concat());
        let numbers: Vec<f64> = measured.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let (first, second) = numbers.split_at(groups.len() + 1);
        let seconds = second[0] - first[0];
        first.iter().zip(second).skip(1).map(|(then, now)| (now - then) / 1e6 / seconds).collect()
    }

    /// Where an agent's unit is in the tree of control groups.
    pub fn group(&self, agent: &str) -> String {
        self.fleet.unit(&unit(agent), "ControlGroup")
    }

    /// Those that nothing may happen to, once they answer, and what carries them.
    fn others(&self) -> Others {
        let mut rows = Value::Null;
        self.until("those beside answer", || {
            rows = self.rows();
            BEATING.iter().all(|agent| is_healthy(of(&rows, agent)))
        });
        let others = BEATING.into_iter().chain([BUSY]);
        let panes = others
            .map(|agent| {
                let row = of(&rows, agent);
                let is_fit = row["flags"] == json!([]) || agent == BUSY;
                assert!(is_fit && row["pane"]["pid"].is_i64(), "{:?}: {row:#}", self.suite);
                (agent, row["pane"]["pid"].clone(), row["restarts"].clone())
            })
            .collect();
        let unit = format!("user@{}.service", self.fleet.uid);
        let manager = self.fleet.rig.root_ok(&["systemctl", "show", "--value", "-p", "MainPID", &unit]);
        Others { manager, holder: self.fleet.holder(), panes }
    }
}

/// The same panes, started as often, below the same server and manager.
#[derive(Debug, Default, PartialEq)]
struct Others {
    manager: String,
    holder: i32,
    panes: Vec<(&'static str, Value, Value)>,
}

pub fn of<'v>(rows: &'v Value, agent: &str) -> &'v Value {
    rows.as_array().expect("rows").iter().find(|row| row["name"] == agent).expect("a row")
}

pub fn is_healthy(row: &Value) -> bool {
    row["heartbeat"]["health"] == "healthy"
}

/// The number behind a key.
pub fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {key} in {text}"))
}
