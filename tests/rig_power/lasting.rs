//! Every write of a run to its disk, and what a machine would find had the power gone wherever the disk has made
//! something last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::ledger::Ledger;
use mosaic_fleet::runfile::heartbeat;
use mosaic_fleet::runfile::queued::{Place, Queued};
use mosaic_fleet::runfile::receipt::Receipt;

use crate::fleet::Fleet;
use crate::fleet::rig::Suite;
use crate::tenants::{Root, Verb};
use crate::work::{heard_at_most_once, put_roster};
use crate::writes::{self, Files, Replay};
use crate::{Random, converges, is_as_the_roster_says, machine, tell};

const LEDGER: &str = "fleet/ledger.json";
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
    messages: Vec<(String, u64)>,
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
        // A message that waits, a message that is typed, and so on.
        let mut messages = Vec::new();
        for number in 0..3 {
            let id = format!("waits{number}");
            fleet.run(&["mosaic", "agent", "send", "waits", "-m", &id, "--id", &id, "--queue"]).ok();
            messages.push((id, now()));
            let id = format!("ear{number}");
            fleet.run(&["mosaic", "agent", "send", "ear", "-m", &id, "--id", &id]);
        }
        Verb::Add.run(fleet, LATE).ok();
        let added = now();
        Verb::Change.run(fleet, LATE).ok();
        let leaves = now();
        Verb::Purge.run(fleet, LATE).ok();
        Self { begun, applied, messages, added, leaves, gone: now() }
    }

    /// Every moment at which something was promised.
    fn promises(&self) -> impl Iterator<Item = u64> {
        self.messages.iter().map(|message| message.1).chain([self.applied, self.added, self.gone])
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
    let done = Done::work(&fleet, || fs::metadata(&log).expect("a log").len());
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
            let kept = scratch.path().join(format!("boot{number}"));
            writes::copy(&replay.disk(), &kept);
            boots.push(kept);
        }
    }
    tell(&format!(
        "{suite:?}: {} writes, {} lasting states, {looked} looked at, {disordered} more with writes out of order",
        replay.entries.len(),
        states.len(),
    ));
    fs::remove_file(&log).expect("no more of it");
    for disk in boots {
        writes::copy(&disk, &rig.file("disk"));
        rig.start();
        converges(&fleet, "two");
        heard_at_most_once(&fleet);
        rig.root_ok(&["fleet", "tenant", "apply"]);
        rig.kill_power();
    }
}

fn found(files: Result<Files, String>) -> Files {
    files.unwrap_or_else(|broken| panic!("{broken}"))
}

/// What lies below that folder of the user's.
fn below<'f>(files: &'f Files, folder: &str) -> BTreeMap<&'f str, &'f [u8]> {
    let folder = format!("/home/demo/{folder}/");
    files.iter().filter_map(|(path, content)| Some((path.strip_prefix(&folder)?, &content[..]))).collect()
}

/// What apply writes; not the files of a running fleet, nor what it was in the middle of.
fn installed(files: &Files) -> BTreeMap<&str, &[u8]> {
    let mut ours = below(files, ".config");
    ours.retain(|path, _| {
        !path.starts_with("mosaic/fleet/run/") && !path.ends_with(".mosaic-new") && !path.ends_with(LEDGER)
    });
    ours
}

/// Each file is one that was written, the ledger can be read, and what was promised is there.
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
    let mosaic = below(found, ".config/mosaic");
    let ledger = mosaic.get(LEDGER).unwrap_or_else(|| panic!("{when}: no ledger"));
    let ledger = Ledger::from_text(&String::from_utf8_lossy(ledger), &Layout::new("/home/demo", None));
    assert!(ledger.is_ok(), "{when}: {ledger:?}");
    if state.owes(done.applied) {
        assert!(ours == last, "{when}: apply had said that it was done");
    }
    let waiting = waiting(found, when);
    for (message, _) in done.messages.iter().filter(|message| state.owes(message.1)) {
        assert!(waiting.contains(message), "{when}: {message} was queued, and is lost");
    }
}

/// The ids of messages that wait; all that a running fleet writes is whole.
fn waiting(found: &Files, when: &str) -> BTreeSet<String> {
    let mut waiting = BTreeSet::new();
    for (path, content) in below(found, ".config/mosaic/fleet/run") {
        let (name, text) = (path.rsplit('/').next().unwrap_or(path), String::from_utf8_lossy(content));
        if path.starts_with("queue/") && Place::of(name).is_some() {
            let queued = Queued::parse(&text).unwrap_or_else(|| panic!("{when}: {path} is half: {text}"));
            waiting.insert(queued.id);
        } else if path.starts_with("receipts/") && !name.starts_with('.') {
            assert!(Receipt::parse(&text).is_some(), "{when}: {path} is half: {text}");
        } else if path.ends_with(".hb") && !content.is_empty() {
            // A beat is not waited for: after a power cut it is an old one, or none.
            assert!(heartbeat::parse(content).is_ok(), "{when}: {path} is half: {text}");
        }
    }
    waiting
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
