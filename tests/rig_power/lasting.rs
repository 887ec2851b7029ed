//! Every write of a run to its disk, and what a machine would find had the power gone wherever the disk has made
//! something last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use mosaic_fleet::runfile::receipt::Receipt;

use crate::fleet::Fleet;
use crate::fleet::rig::{Run, Suite};
use crate::kept::{Kept, below};
use crate::talk::{Sent, Way};
use crate::tenants::{Root, Verb};
use crate::work::put_roster;
use crate::writes::{self, Files, Replay};
use crate::{Random, converges, is_as_the_roster_says, machine, tell};

/// As it stands below `.config`; when it was applied is in it.
const LEDGER: &str = "mosaic/fleet/ledger.json";
/// The tenant whom root makes and removes.
const LATE: &str = "late";

/// How much is looked at: states, and boots from states in the middle of an apply. One less is booted of those that
/// come later.
pub struct Depth {
    pub states: usize,
    pub boots: usize,
}

/// What was done, each with the length of the log when it was said to be: by then it has to last.
struct Done {
    begun: u64,
    applied: u64,
    sent: Sent,
    /// What senders were told of their messages: it stays known.
    told: Vec<(Receipt, u64)>,
    /// A tenant was made, its removal begun, and it was gone.
    added: u64,
    leaves: u64,
    gone: u64,
}

impl Done {
    fn work(fleet: &Fleet, now: impl Fn() -> u64) -> Self {
        put_roster(fleet, "two");
        let begun = now();
        fleet.run(&["fleet", "apply"]).ok();
        let applied = now();
        // A message that waits, a message that is typed, and so on; then some that are handed out.
        let (mut sent, mut told) = (Sent::default(), Vec::new());
        let taken = |told: Result<Receipt, Run>| told.unwrap_or_else(|failed| panic!("{}", failed.report()));
        for number in 0..3 {
            for (way, word) in [(Way::Kept, "waits"), (Way::Typed, "ear")] {
                told.push((taken(sent.send(fleet, way, &format!("{word}{number}"))), now()));
            }
        }
        let row = sent.park(fleet, "row").unwrap_or_else(|failed| panic!("{}", failed.report()));
        told.extend(row.into_iter().map(|receipt| (receipt, now())));
        let started = Sent::start(fleet).and_then(|()| Sent::end_of(fleet, "row"));
        told.push((taken(started), now()));
        Verb::Add.run(fleet, LATE).ok();
        let added = now();
        Verb::Change.run(fleet, LATE).ok();
        let leaves = now();
        Verb::Purge.run(fleet, LATE).ok();
        Self { begun, applied, sent, told, added, leaves, gone: now() }
    }

    /// Every moment at which something was promised.
    fn promises(&self) -> impl Iterator<Item = u64> {
        self.told.iter().map(|told| told.1).chain([self.applied, self.added, self.gone])
    }
}

/// A place in the log at which the disk made something last, and the next one.
#[derive(Clone, Copy)]
struct State {
    entry: usize,
    next: usize,
    /// Where in the log they stand.
    at: u64,
    until: u64,
}

impl State {
    fn all(replay: &Replay, since: u64) -> Vec<Self> {
        let lasting: Vec<usize> = (0..replay.entries.len())
            .filter(|entry| replay.entries[*entry].lasting && replay.entries[*entry].at >= since)
            .collect();
        let next = lasting.iter().skip(1).copied().chain([replay.entries.len()]);
        let at = |entry: usize| replay.entries.get(entry).map_or(u64::MAX, |e| e.at);
        let state =
            |(entry, next): (&usize, usize)| Self { entry: *entry, next, at: at(*entry), until: at(next) };
        lasting.iter().zip(next).map(state).collect()
    }

    /// Whether something that was promised at that moment is lost with the power unless this state has it.
    fn owes(&self, moment: u64) -> bool {
        moment <= self.until
    }

    /// Whether it is the first that owes it.
    fn turns(&self, moment: u64) -> bool {
        moment > self.at && moment <= self.until
    }
}

pub fn every_state(suite: Suite, depth: Depth) {
    let fleet = machine(suite);
    let rig = &fleet.rig;
    rig.kill_power();
    rig.record();
    rig.start();
    is_as_the_roster_says(&fleet);
    let log = rig.file("writes");
    let mut done = Done::work(&fleet, || fs::metadata(&log).expect("a log").len());
    rig.kill_power();

    let scratch = tempfile::tempdir_in(rig.file("")).expect("a folder");
    let mut random = Random::new();
    let mut replay = Replay::new(&rig.file("disk.before"), &log, scratch.path());
    let first = found(replay.files(&Root::PLACES));
    // What the last one finds is what was there at last; everything between is one or the other.
    let last = {
        let end = tempfile::tempdir_in(rig.file("")).expect("a folder");
        let mut replay = Replay::new(&rig.file("disk.before"), &log, end.path());
        replay.go_to(replay.entries.len() - 1);
        found(replay.files(&Root::PLACES))
    };
    assert_ne!(installed(&first), installed(&last), "there was something to change");

    let states = State::all(&replay, done.begun);
    let step = states.len().div_ceil(depth.states).max(1);
    let applies = states.partition_point(|state| state.at < done.applied);
    let mut booted: BTreeSet<usize> = (0..depth.boots).map(|_| random.index(0..applies)).collect();
    booted.extend((1..depth.boots).map(|_| random.index(applies..states.len())));
    let (mut looked, mut disordered) = (0, 0);
    let mut boots = Vec::new();
    for (number, state) in states.iter().enumerate() {
        replay.go_to(state.entry);
        // Those that are the first to hold a promise are looked at in any case.
        if number % step == 0 || done.promises().any(|moment| state.turns(moment)) {
            let when = format!("state {number} of {}, {random:?}", states.len());
            let whole = |found: Files, when: &str| {
                of_the_fleet(&found, &first, &last, &done, state, when);
                Root::of(&found, when)
            };
            of_root(&whole(found(replay.files(&Root::PLACES)), &when), &done, state, &when);
            looked += 1;
            let later: Vec<usize> = (state.entry + 1..state.next).filter(|_| random.below(2) == 0).collect();
            if !later.is_empty() && disordered < depth.states / 4 {
                let when = format!("{when}, and {later:?}");
                whole(found(replay.files_with(&Root::PLACES, &later)), &when);
                disordered += 1;
            }
        }
        if booted.contains(&number) {
            let disk = scratch.path().join(format!("boot{number}"));
            writes::copy(&replay.disk(), &disk);
            let when = format!("booted from state {number} of {}, {random:?}", states.len());
            boots.push((disk, Kept::of(&found(replay.files(&Root::PLACES)), &when), when));
        }
    }
    tell(&format!(
        "{suite:?}: {} writes, {} lasting states, {looked} looked at, {disordered} more with writes out of order",
        replay.entries.len(),
        states.len(),
    ));
    fs::remove_file(&log).expect("no more of it");
    for (disk, kept, when) in boots {
        writes::copy(&disk, &rig.file("disk"));
        rig.start();
        converges(&fleet, "two");
        done.sent.is_settled(&fleet, &kept, &when);
        rig.root_ok(&["fleet", "tenant", "apply"]);
        rig.kill_power();
    }
}

fn found(files: Result<Files, String>) -> Files {
    files.unwrap_or_else(|broken| panic!("{broken}"))
}

/// What apply writes; not the files of a running fleet, nor what it was in the middle of.
fn installed(files: &Files) -> BTreeMap<&str, &[u8]> {
    let mut ours = below(files, ".config");
    ours.retain(|path, _| {
        !path.starts_with("mosaic/fleet/run/") && !path.ends_with(".mosaic-new") && *path != LEDGER
    });
    ours
}

/// Each file is one that was written, and what was promised is there.
fn of_the_fleet(found: &Files, first: &Files, last: &Files, done: &Done, state: &State, when: &str) {
    let (ours, first, last) = (installed(found), installed(first), installed(last));
    for (path, content) in &ours {
        let known = [first.get(path), last.get(path)];
        let shown = String::from_utf8_lossy(content);
        assert!(known.contains(&Some(content)), "{when}: {path} is half: {shown}");
    }
    for path in first.keys().filter(|path| last.contains_key(*path)) {
        assert!(ours.contains_key(path), "{when}: {path} is gone");
    }
    if state.owes(done.applied) {
        assert!(ours == last, "{when}: apply had said that it was done");
    }
    let kept = Kept::of(found, when);
    for (receipt, _) in done.told.iter().filter(|told| state.owes(told.1)) {
        kept.has(receipt, when);
    }
}

/// Root knows what it did, and what it said to be done is.
fn of_root(root: &Root, done: &Done, state: &State, when: &str) {
    if state.owes(done.added) && state.at < done.leaves {
        root.is_up(LATE, when);
    }
    if state.owes(done.gone) {
        let left =
            root.users.contains_key(LATE) || root.books.contains_key(LATE) || root.lingering.contains(LATE);
        assert!(
            !left && root.retired.len() == 1,
            "{when}: {LATE} is gone, and its number is never given again"
        );
    }
}
