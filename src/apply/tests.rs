//! What carrying out a plan does, and that it is completed wherever it was cut off.

use super::fake::{BOOT, Fake};
use super::{Event, Occasion, Report, apply};
use crate::error::Result;
use crate::ledger::{Applied, Ledger};
use crate::names::HOLDER_UNIT;
use crate::plan::case::{agent, change, fleet, identity, layout, ledger};
use crate::plan::{self, Options, Plan};
use crate::render::{Desired, Role};

const A: &str = "mosaic-agent@a.service";

fn occasion() -> Occasion {
    let now = Applied { boot_id: BOOT.into(), time: "2025-01-01T00:00:00Z".into() };
    Occasion { identity: identity(), now: Some(now) }
}

fn known(machine: &Fake) -> Ledger {
    machine.ledger.clone().unwrap_or_else(ledger)
}

fn plan_for(desired: &Desired, machine: &Fake) -> Plan {
    plan::plan(desired, &machine.snapshot(), &known(machine), &Options::default())
}

fn run(desired: &Desired, machine: &mut Fake) -> Result<Report> {
    let plan = plan_for(desired, machine);
    apply(&plan, known(machine), &occasion(), machine, &mut |_| {})
}

fn count(machine: &Fake, verb: &str) -> usize {
    machine.calls.iter().filter(|c| c.split(' ').next() == Some(verb)).count()
}

#[test]
fn units_are_enabled_in_one_call_reloaded_once_and_started_in_one_batch() {
    let mut machine = Fake::default();
    let report = run(&fleet(&["a", "b", "c"]), &mut machine).expect("written");
    assert!(report.complete());
    for verb in ["enable", "reload", "jobs", "linger"] {
        assert_eq!(count(&machine, verb), 1, "{verb}: {:?}", machine.calls);
    }
    let at = |verb: &str| machine.calls.iter().position(|c| c.starts_with(verb)).expect("called");
    assert!(at("write") < at("linger") && at("linger") < at("enable"), "{:?}", machine.calls);
    assert!(at("enable") < at("reload") && at("reload") < at("jobs"), "{:?}", machine.calls);
    let ledger = known(&machine);
    assert!(ledger.linger_by_us && ledger.units[A].enabled && !ledger.reload_due);
    assert_eq!(ledger.applied, occasion().now);
}

#[test]
fn a_second_run_touches_nothing() {
    let desired = fleet(&["a"]);
    let mut machine = Fake::default();
    run(&desired, &mut machine).expect("written");
    machine.calls.clear();
    let plan = plan_for(&desired, &machine);
    assert!(plan.is_empty() && !plan.changes_books(&known(&machine)));
}

#[test]
fn a_run_cut_off_at_any_call_is_completed_by_the_next() {
    let old = fleet(&["a", "b", "gone"]);
    let mut new = fleet(&["a", "b", "fresh"]);
    change(&mut new, &Role::AgentEnv(agent("a")));
    change(&mut new, &Role::AgentTemplate);
    let mut before = Fake::default();
    run(&old, &mut before).expect("written");
    before.calls.clear();
    let mut whole = before.clone();
    run(&new, &mut whole).expect("written");
    let calls = whole.calls.len();
    assert!(calls > 10, "{:?}", whole.calls);
    for after in 0..calls {
        let mut machine = before.clone();
        let b_before = machine.running["mosaic-agent@b.service"];
        machine.cut_off_after = Some(after);
        drop(run(&new, &mut machine));
        machine.cut_off_after = None;
        let report = run(&new, &mut machine).expect("written");
        assert!(report.complete(), "cut off after {after}: {report:?}");
        let next = plan_for(&new, &machine);
        // Who has nothing of its own that changed runs on, and waits for whoever restarts it.
        let waits: Vec<_> = next.pending.iter().map(|pending| pending.unit.as_str()).collect();
        assert_eq!((next.is_empty(), waits), (true, vec!["mosaic-agent@b.service"]), "cut off after {after}");
        assert!(!next.changes_books(&known(&machine)), "cut off after {after}");
        assert_eq!((&machine.files, &machine.wants), (&whole.files, &whole.wants), "cut off after {after}");
        assert_eq!(machine.running.len(), whole.running.len(), "cut off after {after}");
        assert_eq!(machine.running["mosaic-agent@b.service"], b_before, "cut off after {after}");
        assert_ne!(machine.running[A], before.running[A], "its own file changed, cut off after {after}");
        let settled = known(&machine);
        assert_eq!(settled.files, known(&whole).files, "cut off after {after}");
        assert_eq!(settled.units, known(&whole).units, "cut off after {after}");
        assert_eq!(settled.links, known(&whole).links, "cut off after {after}");
    }
}

#[test]
fn a_write_cut_off_and_a_roster_changed_again_is_no_conflict() {
    let old = fleet(&["a"]);
    let mut machine = Fake::default();
    run(&old, &mut machine).expect("written");
    let mut next = old.clone();
    change(&mut next, &Role::AgentEnv(agent("a")));
    // The file is in place, the ledger's second writing is not.
    machine.calls.clear();
    machine.cut_off_after = Some(2);
    drop(run(&next, &mut machine));
    assert_eq!(machine.calls.len(), 2, "{:?}", machine.calls);
    machine.cut_off_after = None;
    let mut third = next.clone();
    change(&mut third, &Role::AgentEnv(agent("a")));
    let plan = plan_for(&third, &machine);
    assert!(plan.conflicts.is_empty(), "{:?}", plan.conflicts);
}

#[test]
fn refused_lingering_does_not_keep_the_rest_from_being_done() {
    let mut machine = Fake::default();
    machine.refuses.insert("linger".into());
    let report = run(&fleet(&["a"]), &mut machine).expect("written");
    assert_eq!(report.refused.len(), 1);
    assert!(machine.running.contains_key(A) && !machine.wants.is_empty());
    assert!(!known(&machine).linger_by_us && known(&machine).applied.is_none());
}

#[test]
fn a_failed_start_is_told_with_its_last_lines_and_the_others_run() {
    let mut machine = Fake::default();
    machine.refuses.insert(format!("start {A}"));
    let mut told = Vec::new();
    let desired = fleet(&["a", "b"]);
    let plan = plan_for(&desired, &machine);
    let report = apply(&plan, ledger(), &occasion(), &mut machine, &mut |event| {
        if let Event::Job(end) = event {
            told.push((end.outcome.unit.clone(), end.is_good()));
        }
    })
    .expect("written");
    let failed: Vec<_> = report.failed().map(|e| e.outcome.unit.as_str()).collect();
    assert_eq!(failed, [A]);
    assert!(told.contains(&(A.to_owned(), false)) && told.contains(&(HOLDER_UNIT.to_owned(), true)));
    assert!(machine.running.contains_key("mosaic-agent@b.service"));
}

#[test]
fn a_start_that_is_over_at_once_is_no_success_and_no_restart_is_due_for_it() {
    let mut machine = Fake::default();
    let mut desired = fleet(&["a", "b"]);
    run(&desired, &mut machine).expect("written");
    change(&mut desired, &Role::AgentEnv(agent("a")));
    machine.ends.insert(A.to_owned(), 127);
    let report = run(&desired, &mut machine).expect("written");
    let failed: Vec<_> = report.failed().map(|e| e.outcome.unit.as_str()).collect();
    assert_eq!(failed, [A]);
    let after = report.jobs[0].after.as_ref().expect("it has ended");
    assert!(after.words.contains("exit code 127: its program is missing"), "{after:?}");
    assert!(known(&machine).restarts_due.is_empty(), "it was started with the new files");
}

#[test]
fn files_of_an_agent_that_would_not_stop_are_kept() {
    let mut machine = Fake::default();
    run(&fleet(&["a", "b"]), &mut machine).expect("written");
    machine.refuses.insert(format!("stop {A}"));
    let report = run(&fleet(&["b"]), &mut machine).expect("written");
    assert_eq!(report.failed().count(), 1);
    let env = layout().agent_env(&agent("a"));
    assert!(machine.files.contains_key(&env) && known(&machine).files.contains_key(&env));
    assert!(known(&machine).units.contains_key(A), "the next run tries again");
    machine.refuses.clear();
    run(&fleet(&["b"]), &mut machine).expect("written");
    assert!(!machine.files.contains_key(&env) && !known(&machine).units.contains_key(A));
}

#[test]
fn a_reload_that_is_refused_starts_nothing_with_old_files() {
    let mut machine = Fake::default();
    machine.refuses.insert("reload".into());
    let report = run(&fleet(&["a"]), &mut machine).expect("written");
    assert_eq!(report.refused.len(), 1);
    assert!(machine.running.is_empty() && known(&machine).reload_due);
}

#[test]
fn a_file_that_can_not_be_written_stops_before_systemd_and_keeps_what_was_done() {
    let mut machine = Fake::default();
    machine.refuses.insert("write".into());
    assert!(run(&fleet(&["a"]), &mut machine).is_err());
    assert_eq!(count(&machine, "enable") + count(&machine, "jobs") + count(&machine, "linger"), 0);
    assert!(known(&machine).unfinished());
}

#[test]
fn a_restarted_holder_clears_every_pending_restart() {
    let mut desired = fleet(&["a"]);
    let mut machine = Fake::default();
    run(&desired, &mut machine).expect("written");
    change(&mut desired, &Role::TmuxConf);
    run(&desired, &mut machine).expect("written");
    assert!(known(&machine).restarts_due.contains_key(HOLDER_UNIT));
    let restart = Options { holder: plan::HolderRestart::Restart, ..Options::default() };
    let plan = plan::plan(&desired, &machine.snapshot(), &known(&machine), &restart);
    let ledger = known(&machine);
    apply(&plan, ledger, &occasion(), &mut machine, &mut |_| {}).expect("written");
    assert!(known(&machine).restarts_due.is_empty());
    assert!(plan_for(&desired, &machine).pending.is_empty());
}

#[test]
fn the_recorded_socket_is_another_only_once_the_holder_runs_there() {
    let mut desired = fleet(&["a"]);
    let mut machine = Fake::default();
    run(&desired, &mut machine).expect("written");
    let old = known(&machine).identity.socket;
    for role in [Role::HolderUnit, Role::AgentTemplate, Role::AgentEnv(agent("a"))] {
        change(&mut desired, &role);
    }
    let mut moved = occasion();
    moved.identity.socket = "/tmp/tmux-1000/other".into();
    let moves =
        Options { server: plan::Server::Moves, holder: plan::HolderRestart::Restart, ..Options::default() };
    let go = |machine: &mut Fake| {
        let plan = plan::plan(&desired, &machine.snapshot(), &known(machine), &moves);
        apply(&plan, known(machine), &moved, machine, &mut |_| {}).map(|_| plan)
    };
    machine.refuses.insert("reload".into());
    go(&mut machine).expect("written");
    assert_eq!(known(&machine).identity.socket, old, "its holder was not restarted");
    machine.refuses.clear();
    go(&mut machine).expect("written");
    assert_eq!(known(&machine).identity.socket, moved.identity.socket);
}
