//! The power goes, in emulated systems: at random moments of applies, messages, hand-outs of what waited, heartbeats
//! and of what root does for tenants, and, by a log of every write, wherever the disk has made something last. Nothing
//! that was said to be done is lost, no file is half, no message arrives twice though each is sent again with its key,
//! and the same again makes the machine what it was to become.

#[path = "../common/fleet.rs"]
mod fleet;
mod kept;
mod lasting;
#[path = "../common/measured.rs"]
mod measured;
mod talk;
mod tenants;
mod work;
#[path = "../common/writes.rs"]
mod writes;

use std::time::{Duration, Instant, SystemTime};

use fleet::rig::{Kernel, Rig, Suite};
use fleet::{Fleet, MOSAIC, TENANT};
use kept::Kept;
use lasting::Depth;
use talk::Sent;
use tenants::{Root, Tenants};
use work::{apply_until_cut, beat_until_cut, other, put_roster, roster};
use writes::Files;

/// Bound for what takes a moment on an emulated processor.
const BOUND: Duration = Duration::from_secs(150);
/// An agent that has on the disk what it hears before it hears more, and beats. It shows what it has there, and
/// nothing before: a message that its screen shows to be taken is not lost.
const EAR: &str = "#!/bin/bash
stty -echo
printf '> '
while mosaic heartbeat; do
    read -r -t 20 line
    case $? in
        0) echo \"$line\" >>~/heard && sync ~/heard && printf 'has %s\\n> ' \"${line##* }\" ;;
        1) exit ;;
    esac
done
";

#[test]
fn wherever_the_disk_has_made_something_last_a_power_cut_finds_whole_files_and_what_was_promised() {
    if !Rig::skipped_with(Kernel::Own) {
        lasting::every_state(Suite::Bookworm, Depth { states: 40, boots: 1 });
    }
}

#[test]
#[ignore = "takes minutes to look at more of what the shorter one looks at"]
fn wherever_the_disk_has_made_something_last_on_both_trees_and_with_writes_out_of_order() {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    for suite in Suite::both() {
        lasting::every_state(suite, Depth { states: usize::MAX, boots: 5 });
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
        for (number, suite) in Suite::both().into_iter().enumerate() {
            scope.spawn(move || cold_cuts(suite, number..number + cuts));
        }
    });
}

/// What the power is cut in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Apply,
    Tenants,
    Send,
    HandOut,
    Beat,
}

impl Work {
    const ALL: [Self; 5] = [Self::Apply, Self::Tenants, Self::Send, Self::HandOut, Self::Beat];

    /// The longest that it has been seen to take, in milliseconds, and then some: a few cuts come after the end.
    fn longest(self) -> u64 {
        match self {
            Self::Tenants => 40_000,
            Self::Apply | Self::Send | Self::HandOut | Self::Beat => 6_000,
        }
    }

    /// By which name docs/reliability.md has it, where it does.
    fn fault(self) -> Option<&'static str> {
        match self {
            Self::Apply => Some("power cut during apply"),
            Self::Tenants => Some("power cut while root makes, changes or removes a tenant"),
            Self::Send | Self::HandOut | Self::Beat => None,
        }
    }
}

/// Cuts the power at random moments of each kind of work in turn, and looks at what comes back.
fn cold_cuts(suite: Suite, cuts: std::ops::Range<usize>) {
    let fleet = machine(suite);
    let mut random = Random::new();
    let (mut sent, mut tenants) = (Sent::default(), Tenants::of(&fleet));
    let mut which = "one";
    for cut in cuts {
        let when = format!("{suite:?}: cut {cut}, {random:?}");
        let work = Work::ALL[cut % Work::ALL.len()];
        let moment = Duration::from_millis(random.below(work.longest()));
        let row = format!("c{cut}");
        match work {
            Work::Apply => work::hear_nothing(&fleet),
            Work::Send => sent.begin(&fleet, cut),
            // The clock runs from where the hand-out does.
            Work::HandOut => sent.park(&fleet, &row).and_then(|_| Sent::start(&fleet)).expect("it starts"),
            Work::Tenants | Work::Beat => {}
        }
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let (fleet, sent, tenants) = (&fleet, &mut sent, &mut tenants);
            let worker = scope.spawn(move || match work {
                Work::Apply => apply_until_cut(fleet, which, cut % 2 == 0),
                Work::Tenants => tenants.work_until_cut(fleet),
                Work::Send => sent.send_until_cut(fleet, cut),
                Work::HandOut => sent.hand_out_until_cut(fleet, row),
                Work::Beat => beat_until_cut(fleet),
            });
            std::thread::sleep(moment.saturating_sub(begun.elapsed()));
            fleet.rig.kill_power();
            worker.join().expect("the worker ends with the power");
        });
        which = other(which);
        let off = Instant::now();
        let found = cold(&fleet);
        Root::of(&found, &when);
        let kept = Kept::of(&found, &when);
        work::has_a_roster(&kept, &when);
        sent.is_kept(&kept, &when);
        let read = off.elapsed();
        let cut_at = Instant::now();
        fleet.rig.start();
        let up = cut_at.elapsed();
        let doing = tenants.converge(&fleet, &when);
        converges(&fleet, which);
        let well = cut_at.elapsed();
        tell(&format!(
            "{when}: {work:?}{doing}, cut after {} ms; its disk read in {:.1} s; up after {:.1} s, applied and well after \
             {:.1} s",
            moment.as_millis(),
            read.as_secs_f64(),
            up.as_secs_f64(),
            well.as_secs_f64()
        ));
        if let Some(fault) = work.fault() {
            measured::note(fault, &format!("{suite:?}, emulated"), None, Some(well));
        }
        work::remove_copies(&fleet);
        sent.is_settled(&fleet, &kept, &when);
        tell(&format!("{when}: all messages settled after {:.1} s", cut_at.elapsed().as_secs_f64()));
        sent.forget();
    }
    assert!(sent.told > 0, "{suite:?}: no message was sent");
}

/// What a boot will find on the disk of a machine that is off; the disk itself stays as the cut left it.
fn cold(fleet: &Fleet) -> Files {
    let scratch = tempfile::tempdir_in(fleet.rig.file("")).expect("a folder");
    let disk = scratch.path().join("disk");
    writes::copy(&fleet.rig.file("disk"), &disk);
    let found = writes::files(&disk, &Root::PLACES, scratch.path());
    found.unwrap_or_else(|broken| panic!("{broken}"))
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

/// A xorshift of the clock: no two runs cut at the same moments, and a failure tells its numbers. `MOSAIC_CUT_SEED` has one of
/// them begin a run, whose first cut is then at the same moment.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let told = std::env::var("MOSAIC_CUT_SEED").ok();
        let told = told.map(|number| number.parse().expect("MOSAIC_CUT_SEED is a number of a cut"));
        Self(told.unwrap_or_else(|| u64::from(now.subsec_nanos()) << 20 | 1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }

    fn index(&mut self, range: std::ops::Range<usize>) -> usize {
        range.start + usize::try_from(self.below(range.len() as u64)).expect("it is in the range")
    }
}

/// Past the test harness, which keeps to itself what a passing test prints.
fn tell(text: &str) {
    use std::io::Write;
    drop(writeln!(std::io::stderr(), "{text}"));
}
