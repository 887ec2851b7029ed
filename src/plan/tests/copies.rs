//! Copies of what is overwritten: named by the ledger, gone with what they are copies of.

use super::*;
use crate::ledger::copied_from;

const TIME: &str = "2026-11-28T22:00:00Z";

/// A fleet of a and b in which a file of a was edited by hand and put back by force.
fn forced() -> (Fake, PathBuf) {
    let desired = fleet(&["a", "b"]);
    let (mut machine, ledger) = installed(&desired);
    machine.files.insert(layout().agent_env(&agent("a")), (b"TOKEN=old".to_vec(), 0o600));
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let mut plan = plan(&desired, &machine.snapshot(), &ledger, &force);
    plan.keep_copies(TIME);
    assert_eq!(
        words(&plan),
        ["keep a.env.bak-20261128T220000Z", "write a.env", "restart mosaic-agent@a.service"]
    );
    carry(&plan, &mut machine);
    let copy = machine.files.keys().find(|path| copied_from(path).is_some()).expect("a copy").clone();
    (machine, copy)
}

fn carry(plan: &Plan, machine: &mut Fake) {
    let ledger = machine.ledger.clone().expect("a ledger");
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    let report = apply::apply(plan, ledger, &occasion, machine, &mut |_| {}).expect("written");
    assert!(report.complete(), "{report:?}");
}

fn next(desired: &Desired, machine: &Fake) -> Plan {
    let ledger = machine.ledger.clone().expect("a ledger");
    plan(desired, &machine.snapshot(), &ledger, &Options::default())
}

#[test]
fn a_copy_is_for_its_owner_alone_named_by_the_ledger_and_stays_with_its_file() {
    let (machine, copy) = forced();
    assert_eq!(machine.files[&copy], (b"TOKEN=old".to_vec(), 0o600));
    let ledger = machine.ledger.clone().expect("a ledger");
    assert!(ledger.files.contains_key(&copy) && !ledger.unfinished());
    let again = next(&fleet(&["a", "b"]), &machine);
    assert!(again.is_empty() && !again.changes_books(&ledger), "{again:?}");
}

#[test]
fn a_copy_goes_with_its_agent_unless_somebody_has_changed_it() {
    let (mut machine, copy) = forced();
    let plan = next(&fleet(&["b"]), &machine);
    let name = copy.file_name().and_then(|n| n.to_str()).expect("a name");
    assert!(words(&plan).contains(&format!("remove {name}")), "{:?}", words(&plan));
    let removed = plan.steps.iter().find(|s| s.action.path() == Some(&copy)).expect("there");
    let Action::RemoveFile { agent: of, .. } = &removed.action else { panic!("{removed:?}") };
    assert_eq!(of, &Some(agent("a")), "only once its unit is down");
    let mut edited = machine.clone();
    edited.files.insert(copy.clone(), (b"mine".to_vec(), 0o600));
    let kept = next(&fleet(&["b"]), &edited);
    assert!(kept.books.forget.contains(&copy) && kept.notes.iter().any(|n| n.contains("kept")), "{kept:?}");

    carry(&plan, &mut machine);
    assert!(!machine.files.contains_key(&copy));
    assert!(!machine.ledger.expect("a ledger").files.contains_key(&copy));
}

#[test]
fn a_copy_that_was_cut_off_is_named_or_forgotten_by_the_next_run() {
    let desired = fleet(&["a"]);
    let (mut before, ledger) = installed(&desired);
    before.files.insert(layout().agent_env(&agent("a")), (b"TOKEN=old".to_vec(), 0o600));
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let mut forcing = plan(&desired, &before.snapshot(), &ledger, &force);
    forcing.keep_copies(TIME);
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    for after in 0..5 {
        let mut machine = before.clone();
        machine.cut_off_after = Some(after);
        drop(apply::apply(&forcing, ledger.clone(), &occasion, &mut machine, &mut |_| {}));
        machine.cut_off_after = None;
        let known = machine.ledger.clone().expect("a ledger");
        let mut again = plan(&desired, &machine.snapshot(), &known, &force);
        again.keep_copies("2026-11-28T23:00:00Z");
        drop(apply::apply(&again, known, &occasion, &mut machine, &mut |_| {}).expect("written"));
        let known = machine.ledger.clone().expect("a ledger");
        let copies = |paths: Vec<&PathBuf>| paths.into_iter().filter(|p| copied_from(p).is_some()).count();
        let there = copies(machine.files.keys().collect());
        assert!(there >= 1 && there == copies(known.files.keys().collect()), "cut off after {after}");
        assert!(!known.unfinished(), "cut off after {after}");
    }
}
