//! A fleet of three agents on each tree, and what is looked for when something is broken in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::rig::{Rig, Suite};
use crate::fleet::{Fleet, MOSAIC, TENANT};
use crate::measured;

/// What nothing that is waited for may take longer than.
pub const BOUND: Duration = Duration::from_secs(60);
/// Within which a fault is told. It takes a tenth of that; a machine may be slow and have more to do.
pub const TOLD: Duration = Duration::from_secs(10);
/// The same of beats that stopped, of which three have to be missing.
pub const STALE: Duration = Duration::from_secs(15);
/// Within which all is well again after a fault that heals by itself.
pub const HEALED: Duration = Duration::from_secs(20);
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

    /// How long it took since `begun`. One look that takes too long is too late.
    pub fn within(
        &self,
        bound: Duration,
        begun: Instant,
        what: &str,
        done: impl FnMut() -> bool,
    ) -> Duration {
        let left = bound.saturating_sub(begun.elapsed());
        self.fleet.rig.wait_until(&format!("{:?}: {what}", self.suite), left, done);
        let took = begun.elapsed();
        assert!(took < bound, "{:?}: {what}: after {took:?}, and not within {bound:?}", self.suite);
        took
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

/// The agent's row; null where there is none.
pub fn row(seen: &Value, agent: &str) -> Value {
    rows(seen).find(|row| row["name"] == agent).cloned().unwrap_or_default()
}

pub fn has(words: &Value, word: &str) -> bool {
    words.as_array().is_some_and(|words| words.iter().any(|w| w == word))
}

pub fn panes(seen: &Value) -> Value {
    rows(seen).map(|row| row["pane"]["pid"].clone()).collect()
}
