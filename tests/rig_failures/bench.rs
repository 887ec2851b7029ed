//! A fleet of three agents on each tree, and what is looked for when something is broken in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::rig::{Rig, Suite};
use crate::fleet::{Fleet, MOSAIC, TENANT};
use crate::measured;

/// What no fault may take longer to be named, or to heal.
pub const BOUND: Duration = Duration::from_secs(60);
/// Each beats each second. The last runs below a shell, and is restarted when its beats stop.
pub const AGENTS: [&str; 3] = ["a", "ab", "c"];

/// A fleet that is well whenever it is nobody's turn.
pub struct Bench {
    pub fleet: Fleet,
    pub suite: Suite,
    turn: Mutex<()>,
}

/// Tries a fault on each tree. Tests that run at the same time share two booted systems and take turns there.
pub fn on_both_trees(test: impl Fn(&Bench)) {
    if Rig::skipped() {
        return;
    }
    // Both are held to the end, so that they stand as long as anybody needs one.
    let mut benches = Suite::both().map(Bench::shared);
    for bench in &mut benches {
        while bench.turn.is_poisoned() {
            *bench = Bench::shared(bench.suite);
        }
        let Ok(_turn) = bench.turn.lock() else {
            panic!("{:?}: another fault, which had its turn before, was not over", bench.suite);
        };
        bench.until("all is well before", || well(&bench.look()));
        test(bench);
    }
}

impl Bench {
    /// The one that stands, else a new one.
    fn shared(suite: Suite) -> Arc<Self> {
        static STANDING: [Mutex<Weak<Bench>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
        let slot = usize::from(suite == Suite::Trixie);
        // One that failed to boot leaves the place as empty as it was.
        let mut standing: MutexGuard<'_, Weak<Self>> =
            STANDING[slot].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bench) = standing.upgrade().filter(|bench| !bench.turn.is_poisoned()) {
            return bench;
        }
        let bench = Arc::new(Self::new(suite));
        *standing = Arc::downgrade(&bench);
        bench
    }

    /// One of its own.
    pub fn new(suite: Suite) -> Self {
        let fleet = Fleet::tenant(suite);
        let roster = "version: 1\nruntimes: {below: {command: \"sh -c 'mosaic yolo dogfood; exit $?'\"}}\nagents:\n\
                      - {name: a, runtime: dogfood}\n- {name: ab, runtime: dogfood}\n\
                      - {name: c, runtime: below, on_stale: restart}\n";
        for agent in AGENTS {
            let local = format!("{MOSAIC}/fleet/agents/{agent}.local.env");
            fleet.rig.write(&local, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
        }
        fleet.apply(roster);
        let bench = Self { fleet, suite, turn: Mutex::new(()) };
        bench.until("all answer", || well(&bench.look()));
        bench
    }

    /// The rows of `fleet ps`; nothing where it could not look.
    pub fn look(&self) -> Value {
        let run = self.fleet.run(&["fleet", "ps", "--json"]);
        let seen: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
        if run.code == 0 { seen["rows"].clone() } else { Value::Null }
    }

    pub fn pane(&self, agent: &str) -> i32 {
        self.fleet.pane(agent).unwrap_or_else(|| panic!("{agent} has a pane"))
    }

    pub fn until(&self, what: &str, done: impl FnMut() -> bool) -> Duration {
        let begun = Instant::now();
        self.fleet.rig.wait_until(&format!("{:?}: {what}", self.suite), BOUND, done);
        begun.elapsed()
    }

    pub fn note(&self, fault: &str, noticed: Option<Duration>, well: Option<Duration>) {
        measured::note(fault, &format!("{:?}", self.suite), noticed, well);
    }

    /// Until `ps` shows the fault, or what came of it, and until all is well again. The panes of now.
    fn notices_and_heals(&self, fault: &str, inject: impl FnOnce()) {
        let before = self.look();
        let begun = Instant::now();
        inject();
        let mut now = Value::Null;
        self.until(&format!("{fault} shows"), || {
            now = self.look();
            !well(&now) || starts(&now) != starts(&before)
        });
        let noticed = begun.elapsed();
        self.until(&format!("{fault} is over"), || {
            now = self.look();
            well(&now) && panes(&now) != panes(&before)
        });
        self.note(fault, Some(noticed), Some(begun.elapsed()));
    }

    /// A fault of one agent's: it is back, and nobody else is touched.
    pub fn one_agent_is_hit(&self, fault: &str, agent: &str, inject: impl FnOnce()) {
        let (holder, before) = (self.fleet.holder(), panes(&self.look()));
        self.notices_and_heals(fault, inject);
        let now = panes(&self.look());
        for (number, other) in AGENTS.iter().enumerate() {
            assert_eq!(now[number] == before[number], *other != agent, "{:?}: {fault}: {other}", self.suite);
        }
        assert_eq!(self.fleet.holder(), holder, "{:?}: {fault}", self.suite);
    }

    /// A fault of what carries them: all are back.
    pub fn all_are_hit(&self, fault: &str, inject: impl FnOnce()) {
        let before = panes(&self.look());
        self.notices_and_heals(fault, inject);
        let now = panes(&self.look());
        assert!((0..AGENTS.len()).all(|n| now[n] != before[n]), "{:?}: {fault}: {before} {now}", self.suite);
        assert_eq!(self.fleet.sessions(), ["_holder", "a", "ab", "c"], "{:?}: {fault}", self.suite);
    }
}

fn rows(seen: &Value) -> impl Iterator<Item = &Value> {
    seen.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// All answer, and nothing is flagged but how often they were started.
pub fn well(seen: &Value) -> bool {
    answers(seen) && rows(seen).all(|row| row["flags"] == json!([]) || row["flags"] == json!(["FLAPPING"]))
}

pub fn answers(seen: &Value) -> bool {
    rows(seen).count() >= AGENTS.len() && rows(seen).all(|row| row["heartbeat"]["health"] == "healthy")
}

fn starts(seen: &Value) -> Vec<Value> {
    rows(seen).map(|row| row["restarts"].clone()).collect()
}

pub fn panes(seen: &Value) -> Value {
    rows(seen).map(|row| row["pane"]["pid"].clone()).collect()
}
