//! The power goes, in emulated systems: at random moments of applies, messages and heartbeats, and, by a log of
//! every write, wherever the disk has made something last. Nothing that was said to be done is lost, no file is
//! half, no message arrives twice, and the next apply makes the machine what the roster says.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;
#[path = "common/writes.rs"]
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use fleet::rig::{Kernel, Rig, Suite};
use fleet::{Fleet, MOSAIC, TENANT};
use mosaic_fleet::layout::Layout;
use mosaic_fleet::ledger::Ledger;
use mosaic_fleet::runfile::heartbeat;
use mosaic_fleet::runfile::queued::{Place, Queued};
use mosaic_fleet::runfile::receipt::Receipt;
use writes::Replay;

/// Bound for what takes a moment on an emulated processor.
const BOUND: Duration = Duration::from_secs(150);
const HOME: &str = "/home/demo";
const LEDGER: &str = "fleet/ledger.json";
/// An agent that has on the disk what it hears before it hears more, and beats.
const EAR: &str = "#!/bin/bash
while mosaic heartbeat; do
    read -r -t 20 line
    case $? in
        0) echo \"$line\" >>~/heard && sync ~/heard ;;
        1) exit ;;
    esac
done
";

type Files = BTreeMap<String, Vec<u8>>;

/// A roster whose first agents stay, whose next changes, and whose last comes or goes.
fn roster(which: &str) -> String {
    format!(
        "version: 1\nruntimes: {{ear: {{command: ~/ear}}}}\nagents:\n\
         - {{name: ear, runtime: ear}}\n- {{name: waits, runtime: ear, state: stopped}}\n\
         - {{name: coder, runtime: dogfood, env: {{A: {which}}}}}\n\
         - {{name: {which}, runtime: dogfood, limits: {{tasks_max: 50}}}}\n"
    )
}

#[test]
fn wherever_the_disk_has_made_something_last_a_power_cut_finds_whole_files_and_what_was_promised() {
    if !Rig::skipped_with(Kernel::Own) {
        every_lasting_state(Suite::Bookworm, Depth { states: 40, boots: 1 });
    }
}

#[test]
#[ignore = "takes minutes to look at more of what the shorter one looks at"]
fn wherever_the_disk_has_made_something_last_on_both_trees_and_with_writes_out_of_order() {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    for suite in Suite::both() {
        every_lasting_state(suite, Depth { states: usize::MAX, boots: 5 });
    }
}

#[test]
fn cold_cuts_of_power_in_the_middle_of_work_cost_nothing_that_was_done() {
    cold_cuts_on_both(5);
}

#[test]
#[ignore = "two hundred boots"]
fn two_hundred_cold_cuts_cost_nothing_that_was_done() {
    cold_cuts_on_both(100);
}

/// So many on each tree, at the same time: an emulated processor keeps no more than one real one busy.
fn cold_cuts_on_both(cuts: usize) {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    std::thread::scope(|scope| {
        for suite in Suite::both() {
            scope.spawn(move || cold_cuts(suite, cuts));
        }
    });
}

/// Cuts the power at a random moment of an apply, of messages or of beats, and looks at what comes back.
fn cold_cuts(suite: Suite, cuts: usize) {
    let fleet = machine(suite);
    let mut random = Random::new();
    let mut sent = Sent::default();
    let mut which = "one";
    for cut in 0..cuts {
        let when = format!("{suite:?}: cut {cut}, {random:?}");
        let work = ["apply", "send", "beat"][cut % 3];
        // The longest that an apply has been seen to take, and then some: a few cuts come after the end.
        let moment = Duration::from_millis(random.below(6_000));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let (fleet, sent) = (&fleet, &mut sent);
            let worker = scope.spawn(move || match work {
                "apply" => apply_until_cut(fleet, which),
                "send" => send_until_cut(fleet, cut, sent),
                _ => beat_until_cut(fleet),
            });
            std::thread::sleep(moment.saturating_sub(begun.elapsed()));
            fleet.rig.kill_power();
            worker.join().expect("the worker ends with the power");
        });
        which = other(which);
        let cut_at = Instant::now();
        fleet.rig.start();
        let up = cut_at.elapsed();
        converges(&fleet, which);
        tell(&format!(
            "{when}: {work}, cut after {} ms; up after {:.1} s, applied and well after {:.1} s",
            moment.as_millis(),
            up.as_secs_f64(),
            cut_at.elapsed().as_secs_f64()
        ));
        if work == "apply" {
            measured::note(
                "power cut during apply",
                &format!("{suite:?}, emulated"),
                None,
                Some(cut_at.elapsed()),
            );
        }
        sent.is_heard(&fleet, &when);
    }
}

fn other(which: &str) -> &'static str {
    if which == "one" { "two" } else { "one" }
}

/// One after another, each with another roster.
fn apply_until_cut(fleet: &Fleet, mut which: &'static str) {
    loop {
        which = other(which);
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        let put = fleet.rig.as_user_with(
            TENANT,
            &["sh", "-c", &format!("cat >{path}.new && mv {path}.new {path}")],
            roster(which).as_bytes(),
        );
        let done = fleet.run(&["fleet", "apply"]);
        if put.code != 0 || done.code != 0 {
            assert!(
                fleet.rig.root(&["true"]).code != 0,
                "an apply failed before the power went: {}",
                done.report()
            );
            return;
        }
    }
}

/// Each agent gets messages in its own way, until none is taken any more.
fn send_until_cut(fleet: &Fleet, cut: usize, sent: &mut Sent) {
    for number in 0.. {
        let (agent, id) = (["ear", "waits"][number % 2], format!("c{cut}n{number}"));
        let mut argv = vec!["mosaic", "agent", "send", agent, "-m", &id, "--id", &id];
        if agent == "waits" {
            argv.push("--queue");
        }
        let run = fleet.run(&argv);
        sent.begun.insert(id.clone());
        match (run.code, agent) {
            (0, "waits") => drop(sent.queued.insert(id)),
            (0, _) => {}
            _ => return,
        }
    }
}

/// As fast as it goes, from beside the agent, which beats, too.
fn beat_until_cut(fleet: &Fleet) {
    let env = format!("{MOSAIC}/fleet/agents/coder.env");
    let beat = format!("set -a; . {env}; while mosaic heartbeat; do :; done; exit 3");
    let run = fleet.run(&["sh", "-c", &beat]);
    assert_ne!(run.code, 3, "a beat failed before the power went: {}", run.report());
}

/// Messages by their ids.
#[derive(Default)]
struct Sent {
    begun: BTreeSet<String>,
    /// Those of which it was said that they wait.
    queued: BTreeSet<String>,
}

impl Sent {
    /// Nothing twice, nothing that nobody sent, and what was promised waits still.
    fn is_heard(&mut self, fleet: &Fleet, when: &str) {
        let heard = heard_at_most_once(fleet);
        assert!(heard.keys().all(|id| self.begun.contains(id)), "{when}: {heard:?}");
        let waiting = fleet.sh(&format!("ls {MOSAIC}/fleet/run/queue/waits 2>/dev/null || true")).ok();
        for id in &self.queued {
            let there = waiting.lines().filter_map(Place::of).any(|place| place.id == *id);
            assert!(there, "{when}: {id} was queued, and is lost: {waiting}");
        }
        // The queue has a depth, and this has no end.
        fleet.sh(&format!("rm -f {MOSAIC}/fleet/run/queue/waits/*")).ok();
        self.queued.clear();
    }
}

/// How much is looked at.
struct Depth {
    states: usize,
    boots: usize,
}

fn every_lasting_state(suite: Suite, depth: Depth) {
    let fleet = machine(suite);
    let rig = &fleet.rig;
    rig.kill_power();
    rig.record();
    rig.start();
    is_as_the_roster_says(&fleet);

    let log = rig.file("writes");
    let now = || fs::metadata(&log).expect("a log").len();
    put_roster(&fleet, "two");
    let begun = now();
    fleet.run(&["fleet", "apply"]).ok();
    let applied = now();
    // A message that waits, a message that is typed, and so on; the moment when each was promised.
    let mut promised = Vec::new();
    for number in 0..3 {
        let id = format!("waits{number}");
        fleet.run(&["mosaic", "agent", "send", "waits", "-m", &id, "--id", &id, "--queue"]).ok();
        promised.push((id, now()));
        let id = format!("ear{number}");
        fleet.run(&["mosaic", "agent", "send", "ear", "-m", &id, "--id", &id]);
    }
    rig.kill_power();

    let scratch = tempfile::tempdir_in(rig.file("")).expect("a folder");
    let mut random = Random::new();
    let mut replay = Replay::new(&rig.file("disk.before"), &log, scratch.path());
    let first = files(replay.files(HOME));
    let lasting: Vec<usize> = (0..replay.entries.len())
        .filter(|i| replay.entries[*i].lasting && replay.entries[*i].at >= begun)
        .collect();
    let at = |replay: &Replay, entry: usize| replay.entries.get(entry).map_or(u64::MAX, |e| e.at);
    // What the last one finds is what was there at last; everything between is one or the other.
    let last = {
        let end = tempfile::tempdir_in(rig.file("")).expect("a folder");
        let mut replay = Replay::new(&rig.file("disk.before"), &log, end.path());
        replay.go_to(replay.entries.len() - 1);
        files(replay.files(HOME))
    };
    assert_ne!(only_ours(&first), only_ours(&last), "there was something to change");

    let step = lasting.len().div_ceil(depth.states).max(1);
    let mut looked = (0, 0);
    let mut boots = Vec::new();
    for (number, entry) in lasting.iter().enumerate() {
        replay.go_to(*entry);
        let next = lasting.get(number + 1).copied().unwrap_or(replay.entries.len());
        // Whatever was promised before the next state lasts is lost with the power unless it is in this one.
        let due = |moment: u64| moment <= at(&replay, next);
        let owed = Owed {
            applied: due(applied),
            messages: promised.iter().filter(|p| due(p.1)).map(|p| &p.0[..]).collect(),
        };
        // The promised ones are looked at in any case.
        let turns = lasting.get(number + 1).is_some_and(|next| {
            let since = |moment: u64| moment > at(&replay, *entry) && moment <= at(&replay, *next);
            since(applied) || promised.iter().any(|p| since(p.1))
        });
        if number % step == 0 || turns {
            let when = format!("state {number} of {}, {random:?}", lasting.len());
            whole(&files(replay.files(HOME)), &first, &last, &owed, &when);
            looked.0 += 1;
            let later: Vec<usize> = (*entry + 1..next).filter(|_| random.below(2) == 0).collect();
            if !later.is_empty() && looked.1 < depth.states / 4 {
                whole(
                    &files(replay.files_with(HOME, &later)),
                    &first,
                    &last,
                    &owed,
                    &format!("{when}, and {later:?}"),
                );
                looked.1 += 1;
            }
        }
        if at(&replay, *entry) < applied
            && boots.len() < depth.boots
            && random.below(lasting.len() as u64 / 2) == 0
        {
            let kept = scratch.path().join(format!("boot{}", boots.len()));
            writes::copy(&replay.disk(), &kept);
            boots.push(kept);
        }
    }
    tell(&format!(
        "{suite:?}: {} writes, {} lasting states, {} looked at, {} more with writes out of order",
        replay.entries.len(),
        lasting.len(),
        looked.0,
        looked.1
    ));
    fs::remove_file(&log).expect("no more of it");
    for disk in boots {
        writes::copy(&disk, &rig.file("disk"));
        rig.start();
        converges(&fleet, "two");
        heard_at_most_once(&fleet);
        rig.kill_power();
    }
}

/// What was promised by the time that a state has to hold for.
struct Owed<'a> {
    applied: bool,
    messages: BTreeSet<&'a str>,
}

fn files(found: Result<Files, String>) -> Files {
    let all = found.unwrap_or_else(|broken| panic!("{broken}"));
    all.into_iter().map(|(path, content)| (path.trim_start_matches("demo/").to_owned(), content)).collect()
}

/// What apply writes; not the files of a running fleet, nor what it was in the middle of.
fn only_ours(files: &Files) -> BTreeMap<&str, &[u8]> {
    let ours = |path: &str| {
        path.starts_with(".config/")
            && !path.starts_with(".config/mosaic/fleet/run/")
            && !path.ends_with(".mosaic-new")
            && !path.ends_with(LEDGER)
    };
    files.iter().filter(|(path, _)| ours(path)).map(|(path, content)| (&path[..], &content[..])).collect()
}

/// Each file is one that was written, the ledger can be read, and what was promised is there.
fn whole(found: &Files, first: &Files, last: &Files, owed: &Owed, when: &str) {
    let (ours, first, last) = (only_ours(found), only_ours(first), only_ours(last));
    for (path, content) in &ours {
        let known = [first.get(path), last.get(path)];
        let shown = String::from_utf8_lossy(content);
        assert!(known.contains(&Some(content)), "{when}: {path} is half: {shown}");
    }
    for path in first.keys().filter(|path| last.contains_key(*path)) {
        assert!(ours.contains_key(path), "{when}: {path} is gone");
    }
    let ledger =
        found.get(&format!(".config/mosaic/{LEDGER}")).unwrap_or_else(|| panic!("{when}: no ledger"));
    let ledger = Ledger::from_text(&String::from_utf8_lossy(ledger), &Layout::new(HOME, None));
    assert!(ledger.is_ok(), "{when}: {ledger:?}");
    if owed.applied {
        assert!(ours == last, "{when}: apply had said that it was done");
    }
    let mut waiting = BTreeSet::new();
    for (path, content) in found {
        let Some(below) = path.strip_prefix(".config/mosaic/fleet/run/") else { continue };
        let (name, text) = (below.rsplit('/').next().unwrap_or(below), String::from_utf8_lossy(content));
        if below.starts_with("queue/") && Place::of(name).is_some() {
            let queued = Queued::parse(&text).unwrap_or_else(|| panic!("{when}: {path} is half: {text}"));
            waiting.insert(queued.id);
        } else if below.starts_with("receipts/") && !name.starts_with('.') {
            assert!(Receipt::parse(&text).is_some(), "{when}: {path} is half: {text}");
        } else if below.ends_with(".hb") && !content.is_empty() {
            // A beat is not waited for: after a power cut it is an old one, or none.
            assert!(heartbeat::parse(content).is_ok(), "{when}: {path} is half: {text}");
        }
    }
    for message in &owed.messages {
        assert!(waiting.contains(*message), "{when}: {message} was queued, and is lost");
    }
}

/// A machine with the first roster applied.
fn machine(suite: Suite) -> Fleet {
    let fleet = Fleet::tenant_on(Rig::boot_with(Kernel::Own, suite));
    fleet.program("ear", EAR);
    let local = format!("{MOSAIC}/fleet/agents/coder.local.env");
    fleet.rig.write(&local, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
    fleet.apply(&roster("one"));
    is_as_the_roster_says(&fleet);
    // The programs under test have just been copied there, and nobody promised that they last.
    fleet.rig.root_ok(&["sync"]);
    fleet
}

/// As a careful editor writes it.
fn put_roster(fleet: &Fleet, which: &str) {
    let path = format!("{MOSAIC}/fleet/roster.yaml");
    let line = format!("cat >{path}.new && sync {path}.new && mv {path}.new {path} && sync {MOSAIC}/fleet");
    fleet.rig.as_user_with(TENANT, &["sh", "-c", &line], roster(which).as_bytes()).ok();
}

fn is_as_the_roster_says(fleet: &Fleet) {
    let mut said = String::new();
    let deadline = Instant::now() + BOUND;
    while Instant::now() < deadline {
        let verify = fleet.run(&["fleet", "verify"]);
        if verify.code == 0 {
            return;
        }
        said = verify.report();
    }
    panic!("not within {BOUND:?}: {said}");
}

/// The next apply carries the roster out, the one after it has nothing to do, and the fleet is well.
fn converges(fleet: &Fleet, which: &str) {
    fleet.rig.wait_until("the user manager is back", BOUND, || fleet.rig.manager_runs(fleet.uid));
    put_roster(fleet, which);
    fleet.run(&["fleet", "apply"]).ok();
    let again = fleet.run(&["fleet", "apply"]).ok();
    assert!(again.starts_with("Nothing to do"), "{again}");
    is_as_the_roster_says(fleet);
}

fn heard_at_most_once(fleet: &Fleet) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in fleet.sh("cat ~/heard 2>/dev/null || true").ok().lines() {
        if let Some(id) = line.split_whitespace().last() {
            *times.entry(id.to_owned()).or_default() += 1;
        }
    }
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    times
}

/// A xorshift of the clock: no two runs cut at the same moments, and a failure tells its numbers.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Self(u64::from(now.subsec_nanos()) << 20 | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// Past the test harness, which keeps to itself what a passing test prints.
fn tell(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{text}"));
}
