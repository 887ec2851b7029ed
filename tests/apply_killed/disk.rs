//! A home in which nothing more can be written: what an apply and a sender say of it, and that what comes after is
//! as if nothing had been.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::fleet::rig::{Rig, Run, Suite};
use crate::fleet::{Fleet, MOSAIC, SOON, TENANT};
use crate::{NOTHING, STATE, files, measured, other, roster, same_text, unlike};

const HOME: &str = "/home/demo";
/// Within which an apply says that it can't write.
const TOLD: Duration = Duration::from_secs(10);
/// Free space that a full disk has left, in pages: nothing at all, then so little that it ends in the middle.
const LEFT: [u32; 6] = [0, 1, 2, 3, 4, 6];

/// Fills the disk up to that.
fn full(left: u32) -> String {
    format!("cd {HOME}; dd if=/dev/zero of=filler bs=4k 2>&-; truncate -s -{} filler", left * 4096)
}

/// A tenant whose whole home is on a small disk of its own: the fleet's folder, units, and whatever else there is.
fn on_a_small_disk(suite: Suite) -> Fleet {
    let fleet = Fleet::tenant(suite);
    let small = format!(
        "cp -a {HOME} /root/home && mount -t tmpfs -o size=1m,mode=755,uid={uid},gid={uid} home {HOME} && \
         cp -a /root/home/. {HOME}/",
        uid = fleet.uid
    );
    fleet.rig.root_ok(&["sh", "-c", &small]);
    fleet
}

/// Agents that keep writing there while it is full, and a file that takes more room than the ledger.
fn dogfood(which: &str) -> String {
    let long = format!("A: {which}{}", "x".repeat(12_000));
    roster(which).replace("runtime: quiet", "runtime: dogfood").replace(&format!("A: {which}"), &long)
}

/// What keeps an apply from writing, and what it has to say of it.
struct Trouble {
    breaks: String,
    mends: String,
    reason: &'static str,
    /// Whether it can't write at all.
    at_once: bool,
}

/// A fleet, and what applies that nothing disturbs make of it.
struct Small {
    suite: Suite,
    fleet: Fleet,
    coder: Option<i32>,
    undisturbed: BTreeMap<&'static str, String>,
}

impl Small {
    fn new(suite: Suite) -> Self {
        let fleet = on_a_small_disk(suite);
        fleet.apply(&dogfood("one"));
        let coder = fleet.pane("coder");
        let mut undisturbed = BTreeMap::new();
        for which in ["two", "one"] {
            fleet.apply(&dogfood(which));
            answered(&fleet, 3);
            undisturbed.insert(which, fleet.sh(STATE).ok());
        }
        Self { suite, fleet, coder, undisturbed }
    }

    /// An apply of another roster in that trouble, and one after it. The apply in trouble, and how long either took.
    fn holds_in(&self, which: &str, trouble: &Trouble) -> (Run, Duration, Duration) {
        let Self { suite, fleet, .. } = self;
        let changed = fleet.pane("coder0");
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), dogfood(which), TENANT);
        fleet.rig.root_ok(&["sh", "-c", &trouble.breaks]);
        let begun = Instant::now();
        let run = fleet.run(&["fleet", "apply"]);
        let noticed = begun.elapsed();
        let error = format!("{suite:?}: {}\n{}", trouble.breaks, run.report());
        if run.code != 0 {
            assert_eq!(run.code, 4, "{error}");
            assert!(run.stderr.contains(trouble.reason), "{error}");
        }
        if trouble.at_once {
            assert_eq!(run.code, 4, "{error}");
            assert!(noticed < TOLD, "{noticed:?}: {error}");
            // Who left the roster may have been stopped, which comes first; no file is another.
            same_text(&files(&fleet.sh(STATE).ok()), &files(&self.undisturbed[other(which)]), &error);
            assert_eq!(fleet.pane("coder0"), changed, "nobody restarts with half of the files: {error}");
        }
        fleet.rig.root_ok(&["sh", "-c", &trouble.mends]);
        let mended = Instant::now();
        let next = fleet.run(&["fleet", "apply"]);
        assert_eq!(next.code, 0, "{error}\nthen {}", next.report());
        self.settles(which, mended, &error);
        let well = mended.elapsed();
        assert_eq!(fleet.pane("coder"), self.coder, "no change concerned it: {error}");
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{error}");
        (run, noticed, well)
    }

    fn settles(&self, which: &str, mended: Instant, when: &str) {
        let mut seen = self.fleet.sh(STATE).ok();
        while unlike(&seen, &self.undisturbed[which]) != (Vec::new(), Vec::new()) && mended.elapsed() < SOON {
            seen = self.fleet.sh(STATE).ok();
        }
        same_text(&seen, &self.undisturbed[which], when);
    }
}

#[test]
fn a_full_home_is_named_and_the_next_apply_makes_the_same_of_it() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let small = Small::new(suite);
        let (mut which, mut refused, mut times) = ("two", BTreeSet::new(), None);
        for left in LEFT {
            let trouble = Trouble {
                breaks: full(left),
                mends: format!("rm {HOME}/filler"),
                reason: "the disk is full",
                at_once: left == 0,
            };
            let (run, noticed, well) = small.holds_in(which, &trouble);
            if run.code != 0 {
                let rest = run.stderr.split_once(&format!(" {HOME}/")).map(|(_, rest)| rest);
                let path = rest.and_then(|rest| rest.split_once(": ")).expect("a path").0;
                refused.insert(path.rsplit_once('/').expect("a folder").1.to_owned());
            }
            times.get_or_insert((noticed, well));
            which = other(which);
        }
        for file in ["ledger.json", "coder0.env"] {
            assert!(refused.contains(file), "{suite:?}: {refused:?}");
        }
        let (noticed, well) = times.expect("measured");
        measured::note("disk full", &format!("{suite:?}"), Some(noticed), Some(well));
    });
}

#[test]
fn a_read_only_home_is_named_and_the_next_apply_makes_the_same_of_it() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let small = Small::new(suite);
        let trouble = Trouble {
            breaks: format!("mount --bind {HOME} {HOME} && mount -o remount,bind,ro {HOME}"),
            mends: format!("umount --lazy {HOME}"),
            reason: "the file system is read-only",
            at_once: true,
        };
        let (run, noticed, well) = small.holds_in("two", &trouble);
        assert!(run.stderr.contains("/apply.lock: "), "what it could not write: {}", run.report());
        measured::note("read-only home", &format!("{suite:?}"), Some(noticed), Some(well));
    });
}

#[test]
fn on_a_full_disk_a_message_is_refused_and_sent_again_it_comes_once() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = on_a_small_disk(suite);
        // What the runtime was given, on another disk.
        let local = format!("{MOSAIC}/fleet/agents/coder.local.env");
        fleet.rig.write(&local, "MOSAIC_DOGFOOD_RECORD=/tmp/received\n", TENANT);
        fleet.apply("version: 1\nagents: [{name: coder, runtime: dogfood}]\n");
        answered(&fleet, 1);
        let send =
            |key: &str, more: &str| format!("mosaic agent send coder --message {key} --id {key} {more}");
        let times = |key: &str| {
            let received = fleet.run(&["cat", "/tmp/received"]).stdout;
            received.lines().filter(|line| line.ends_with(&format!("] {key}\""))).count()
        };
        fleet.sh(&send("waits", "--queue")).ok();
        let mut keys = vec!["waits".to_owned()];
        for (left, more) in LEFT.iter().take(4).flat_map(|left| [(*left, ""), (*left, "--queue")]) {
            let key = format!("k{}", keys.len());
            let run =
                fleet.sh(&format!("{}; {}; code=$?; rm filler; exit $code", full(left), send(&key, more)));
            let error = format!("{suite:?}: {left} pages left: {}", run.report());
            let untouched = left == 0 || run.stderr.contains("nothing of it was typed");
            if untouched || run.code != 0 {
                assert_eq!(run.code, 4, "{error}");
                let told = run.stderr.contains("No space left on device") && run.stderr.contains("\nhint: ");
                assert!(told, "{error}");
            }
            assert!(!untouched || times(&key) == 0, "{error}");
            let again = fleet.sh(&send(&key, more));
            // Of one that was typed, and for whose receipt there was no room, it may be said that it is not known.
            let unknown = !untouched && run.code != 0 && again.code == 1;
            assert!(again.code == 0 || unknown, "{error}\nthen {}", again.report());
            keys.push(key);
        }
        fleet.sh(&send("end", "--verify")).ok();
        fleet.rig.wait_until("all have come", SOON, || keys.iter().all(|key| times(key) > 0));
        assert!(keys.iter().all(|key| times(key) == 1), "{suite:?}: {}", fleet.rig.read("/tmp/received"));
    });
}

/// Waits until so many of the fleet's agents have answered.
fn answered(fleet: &Fleet, count: usize) {
    fleet.rig.wait_until("all have answered", SOON, || {
        fleet.run(&["fleet", "ps", "--json"]).stdout.matches("\"health\": \"healthy\"").count() == count
    });
}
