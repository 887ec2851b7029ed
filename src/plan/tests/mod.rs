//! What each state of a machine means, one table a rule.

mod conflicts;
mod copies;
mod declared;
mod files;
mod holder;

use std::path::Path;

use super::case::{agent, change, fleet, layout, ledger};
use super::*;
use crate::apply::fake::{BOOT, Fake};
use crate::apply::{self, Occasion};
use crate::ledger::{Applied, UnitRecord};
use crate::names::{AGENT_TEMPLATE, HOLDER_UNIT};
use crate::render::{File, Role};
use crate::snapshot::{Fact, FileFacts, StandIn, StandInKind, UnitDetail, UnitFacts};

/// A machine on which this fleet is installed and runs.
fn installed(desired: &Desired) -> (Fake, Ledger) {
    let mut machine = Fake::default();
    let plan = plan(desired, &machine.snapshot(), &ledger(), &Options::default());
    let occasion = Occasion {
        identity: ledger().identity,
        now: Some(Applied { boot_id: BOOT.into(), time: "2025-01-01T00:00:00Z".into() }),
    };
    let report = apply::apply(&plan, ledger(), &occasion, &mut machine, &mut |_| {}).expect("written");
    assert!(report.complete(), "{report:?}");
    machine.calls.clear();
    let ledger = machine.ledger.clone().expect("a ledger");
    (machine, ledger)
}

/// The steps as words.
fn words(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|s| word(&s.action)).collect()
}

fn word(action: &Action) -> String {
    let name = |p: &Path| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match action {
        Action::Stop { unit } => format!("stop {unit}"),
        Action::SetMode { path, mode } => format!("mode {} {mode:o}", name(path)),
        Action::KeepCopy { to, .. } => format!("keep {}", name(to)),
        Action::WriteFile { file, .. } => format!("write {}", name(&file.path)),
        Action::RemoveFile { path, .. } => format!("remove {}", name(path)),
        Action::Clear { agent, .. } => format!("clear {agent}"),
        Action::EnableLinger => "linger".to_owned(),
        Action::Enable { unit, .. } => format!("enable {unit}"),
        Action::Disable { unit, .. } => format!("disable {unit}"),
        Action::RemoveLink { path } => format!("unlink {}", name(path)),
        Action::Reload => "reload".to_owned(),
        Action::ResetFailed { unit } => format!("forget {unit}"),
        Action::Restart { unit } => format!("restart {unit}"),
        Action::Start { unit } => format!("start {unit}"),
    }
}

const A: &str = "mosaic-agent@a.service";
const B: &str = "mosaic-agent@b.service";

#[test]
fn an_empty_machine_gets_everything_in_systemds_order() {
    let plan = plan(&fleet(&["a"]), &Fake::default().snapshot(), &ledger(), &Options::default());
    assert_eq!(
        words(&plan),
        [
            "write a.env",
            "write tmux.conf",
            "write start-agent-session.sh",
            &format!("write {AGENT_TEMPLATE}"),
            &format!("write {HOLDER_UNIT}"),
            "linger",
            &format!("enable {HOLDER_UNIT}"),
            &format!("enable {A}"),
            "reload",
            &format!("start {HOLDER_UNIT}"),
            &format!("start {A}"),
        ]
    );
    assert!(plan.steps.iter().all(|s| s.impact.is_empty()), "nothing runs, so nothing dies");
}

#[test]
fn a_second_plan_has_nothing_to_do() {
    let desired = fleet(&["a", "b"]);
    let (machine, ledger) = installed(&desired);
    let again = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(again, Plan::default());
    assert!(!again.changes_books(&ledger));
}

#[test]
fn only_what_changed_restarts() {
    let env = |name: &str| Role::AgentEnv(agent(name));
    let cases: [(Role, &[&str], &[&str]); 5] = [
        (env("a"), &[A], &[]),
        (Role::AgentTemplate, &[], &[A, B]),
        (Role::TmuxConf, &[], &[HOLDER_UNIT]),
        (Role::HolderUnit, &[], &[HOLDER_UNIT]),
        (Role::Script, &[], &[]),
    ];
    for (role, restarts, pending) in cases {
        let mut desired = fleet(&["a", "b"]);
        let (machine, ledger) = installed(&desired);
        let path = change(&mut desired, &role);
        let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
        let restarted: Vec<_> = plan
            .steps
            .iter()
            .filter(|s| matches!(s.action, Action::Restart { .. }))
            .map(|s| (s.action.unit().unwrap_or_default(), s.reason.clone(), s.impact.clone()))
            .collect();
        let expected: Vec<_> = restarts
            .iter()
            .map(|u| {
                (
                    *u,
                    Reason::OwnFilesChange(vec![path.clone()]),
                    vec![AgentName::from_unit(u).expect("an agent")],
                )
            })
            .collect();
        assert_eq!(restarted, expected, "{role:?}");
        let waiting: Vec<_> = plan.pending.iter().map(|p| p.unit.as_str()).collect();
        assert_eq!(waiting, pending, "{role:?}");
        let reloads = matches!(role, Role::AgentTemplate | Role::HolderUnit);
        assert_eq!(plan.steps.iter().any(|s| s.action == Action::Reload), reloads, "{role:?}");
    }
}

#[test]
fn a_holder_restart_names_every_pane_and_takes_every_agent_along() {
    let mut desired = fleet(&["a", "b"]);
    let (machine, ledger) = installed(&desired);
    change(&mut desired, &Role::TmuxConf);
    let options = Options { holder: HolderRestart::Restart, ..Options::default() };
    let plan = plan(&desired, &machine.snapshot(), &ledger, &options);
    assert_eq!(
        words(&plan),
        [
            "write tmux.conf".to_owned(),
            format!("restart {HOLDER_UNIT}"),
            format!("restart {A}"),
            format!("restart {B}")
        ]
    );
    assert_eq!(plan.steps[1].impact, [agent("a"), agent("b")]);
    assert_eq!(plan.steps[2].reason, Reason::HolderRestarts);
    assert!(plan.pending.is_empty());
}

#[test]
fn a_fleet_that_moves_to_another_server_moves_whole_or_not_at_all() {
    let mut desired = fleet(&["a", "b"]);
    let (mut machine, ledger) = installed(&desired);
    for role in [Role::HolderUnit, Role::AgentTemplate, Role::AgentEnv(agent("a"))] {
        change(&mut desired, &role);
    }
    let moves = Options { server: Server::Moves, ..Options::default() };
    let held = plan(&desired, &machine.snapshot(), &ledger, &moves);
    assert!(held.is_empty() && !held.changes_books(&ledger), "{held:?}");
    assert_eq!(held.kept().map(|c| c.kind.clone()).collect::<Vec<_>>(), [ConflictKind::MovesServer]);
    assert_eq!(held.pending[0].impact, [agent("a"), agent("b")]);
    let allowed = Options { holder: HolderRestart::Restart, ..moves };
    let whole = plan(&desired, &machine.snapshot(), &ledger, &allowed);
    assert!(whole.conflicts.is_empty() && words(&whole).contains(&format!("restart {HOLDER_UNIT}")));
    machine.running.clear();
    let down = plan(&desired, &machine.snapshot(), &ledger, &moves);
    assert!(words(&down).contains(&format!("start {HOLDER_UNIT}")), "nothing runs, so nothing dies");
}

#[test]
fn a_held_restart_stays_pending_until_its_process_is_another() {
    let mut desired = fleet(&["a", "b"]);
    let (mut machine, ledger) = installed(&desired);
    change(&mut desired, &Role::AgentEnv(agent("a")));
    let hold = Options { restarts: Restarts::Hold, ..Options::default() };
    let first = plan(&desired, &machine.snapshot(), &ledger, &hold);
    assert_eq!(words(&first), ["write a.env"]);
    assert_eq!(first.pending.len(), 1);
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    apply::apply(&first, ledger, &occasion, &mut machine, &mut |_| {}).expect("written");
    let ledger = machine.ledger.clone().expect("a ledger");

    let second = plan(&desired, &machine.snapshot(), &ledger, &hold);
    assert!(second.is_empty() && second.pending[0].reason == Reason::RunsWithOldFiles, "{second:?}");
    let carried_out = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&carried_out), [format!("restart {A}")]);

    machine.running.insert(A.into(), 999);
    let after_its_own_restart = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert!(after_its_own_restart.is_empty() && after_its_own_restart.pending.is_empty());
}

#[test]
fn another_template_waits_for_whoever_restarts_and_an_agents_own_file_does_not() {
    let mut desired = fleet(&["a", "b"]);
    let (mut machine, mut ledger) = installed(&desired);
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    let mut next = |desired: &Desired, options: &Options| {
        let plan = plan(desired, &machine.snapshot(), &ledger, options);
        apply::apply(&plan, ledger.clone(), &occasion, &mut machine, &mut |_| {}).expect("done");
        ledger = machine.ledger.clone().expect("a ledger");
        let waits: Vec<_> = plan.pending.iter().map(|p| p.unit.clone()).collect();
        (words(&plan), waits)
    };
    change(&mut desired, &Role::AgentTemplate);
    let (did, waits) = next(&desired, &Options::default());
    assert!(!did.iter().any(|step| step.starts_with("restart")), "{did:?}");
    assert_eq!(waits, [A, B]);
    // Another apply still leaves it alone, and so does one that has to restart the other.
    change(&mut desired, &Role::AgentEnv(agent("a")));
    let (did, waits) = next(&desired, &Options::default());
    assert!(did.contains(&format!("restart {A}")) && waits == [B], "{did:?} {waits:?}");
    // An own change that was held back is no less one for the template's.
    change(&mut desired, &Role::AgentEnv(agent("b")));
    next(&desired, &Options { restarts: Restarts::Hold, ..Options::default() });
    change(&mut desired, &Role::AgentTemplate);
    let (did, waits) = next(&desired, &Options::default());
    assert!(did.contains(&format!("restart {B}")) && waits == [A], "{did:?} {waits:?}");
}

#[test]
fn a_parked_agent_stays_down_in_its_boot_and_comes_back_in_the_next() {
    let desired = fleet(&["a", "b"]);
    let (mut machine, ledger) = installed(&desired);
    machine.running.remove(A);
    for (parked_in, steps) in [(BOOT, Vec::new()), ("boot-0", vec![format!("start {A}")])] {
        machine.parked.insert(agent("a"), parked_in.into());
        let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
        assert_eq!(words(&plan), steps, "parked in {parked_in}");
    }
    let mut unreadable = machine.snapshot();
    unreadable.parked.insert(agent("a"), Fact::Unknown("not readable".into()));
    let plan = plan(&desired, &unreadable, &ledger, &Options::default());
    assert!(plan.is_empty() && plan.notes[0].contains("not readable"), "{plan:?}");
}

#[test]
fn starting_can_be_left_to_the_next_boot() {
    let later = Options { starting: Starting::Later, ..Options::default() };
    let plan = plan(&fleet(&["a"]), &Fake::default().snapshot(), &ledger(), &later);
    assert_eq!(words(&plan).last().map(String::as_str), Some("reload"));
}

#[test]
fn a_removed_agent_is_stopped_disabled_and_cleaned() {
    let (mut machine, ledger) = installed(&fleet(&["a", "b"]));
    machine.left.insert(agent("a"), vec![layout().heartbeat(&agent("a"))]);
    let local = layout().agent_local_env(&agent("a"));
    machine.files.insert(local, (b"MINE=1".to_vec(), 0o600));
    let plan = plan(&fleet(&["b"]), &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(
        words(&plan),
        [
            format!("stop {A}"),
            "remove a.env".into(),
            "clear a".into(),
            format!("disable {A}"),
            "reload".into(),
            format!("forget {A}")
        ]
    );
    assert!(plan.notes[0].ends_with("a.local.env is yours, so it stays"), "{:?}", plan.notes);
    assert_eq!(plan.steps[0].impact, [agent("a")]);
    assert_eq!(plan.books.gone, [A]);
}

#[test]
fn an_agent_the_roster_stops_is_stopped_and_disabled_and_keeps_its_files() {
    let mut desired = fleet(&["a", "b"]);
    let (machine, ledger) = installed(&desired);
    stop(&mut desired, A);
    let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&plan), [format!("stop {A}"), format!("disable {A}"), "reload".into()]);
    assert_eq!(plan.steps[0].reason, Reason::StoppedInRoster);
}

fn stop(desired: &mut Desired, unit: &str) {
    desired.links.retain(|l| !l.path.ends_with(unit));
    let unit = desired.units.iter_mut().find(|u| u.name == unit).expect("such a unit");
    (unit.enabled, unit.running) = (false, false);
}

#[test]
fn an_agent_per_task_is_neither_started_nor_stopped_nor_disabled_for_others() {
    let mut desired = fleet(&["a"]);
    desired.links.retain(|l| !l.path.ends_with(A));
    desired.units[1].enabled = false;
    let (mut machine, ledger) = installed(&desired);
    assert!(!machine.running.contains_key(A), "apply leaves it alone");
    machine.running.insert(A.into(), 7);
    machine.wants.insert(("default.target".into(), A.into()));
    assert!(plan(&desired, &machine.snapshot(), &ledger, &Options::default()).is_empty());
    let by_us = UnitRecord { enabled: true };
    let mut ledger = ledger;
    ledger.units.insert(A.into(), by_us);
    let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&plan), [format!("disable {A}"), "reload".into()]);
}

#[test]
fn a_lost_link_is_made_again_and_a_stale_one_of_ours_goes() {
    let mut desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    machine.wants.remove(&(HOLDER_UNIT.into(), A.into()));
    let again = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&again), [format!("enable {A}"), "reload".into()]);
    assert_eq!(again.steps[0].reason, Reason::NotWantedBy(vec![HOLDER_UNIT.into()]));

    let (machine, ledger) = installed(&desired);
    let stale = layout().wants_link(HOLDER_UNIT, A);
    desired.links.retain(|l| l.path != stale);
    let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(plan.steps[0].action, Action::RemoveLink { path: stale });
}

#[test]
fn links_that_cannot_be_seen_are_neither_missing_nor_gone() {
    let both = fleet(&["a", "b"]);
    let (machine, ledger) = installed(&both);
    let mut seen = machine.snapshot();
    seen.wants = Fact::Unknown("permission denied".into());
    let blind = plan(&both, &seen, &ledger, &Options::default());
    assert_eq!(blind.steps[0].reason.to_string(), "not known whether it is pulled in: permission denied");
    assert_eq!(blind.books.forget, Vec::<PathBuf>::new());

    // An agent that goes is stopped, and known until its links are seen and taken away.
    let one = fleet(&["b"]);
    let blind = plan(&one, &seen, &ledger, &Options::default());
    assert_eq!(words(&blind)[0], format!("stop {A}"));
    assert_eq!((blind.books.gone, blind.books.forget), (Vec::<String>::new(), Vec::<PathBuf>::new()));
    assert!(blind.notes.contains(&format!("not known whether {A} is enabled: permission denied")));
}

#[test]
fn a_manager_that_is_behind_is_reloaded_once() {
    let desired = fleet(&["a", "b"]);
    let (mut machine, mut ledger) = installed(&desired);
    machine.behind = true;
    let behind = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&behind), ["reload"]);
    machine.behind = false;
    ledger.reload_due = true;
    let cut_off = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(cut_off.steps[0].reason, Reason::ReloadWasDue);
}

#[test]
fn a_unit_that_the_manager_could_not_load_is_read_again_unless_it_is_masked() {
    let desired = fleet(&["a", "b"]);
    let (machine, ledger) = installed(&desired);
    let mut seen = machine.snapshot();
    let Fact::Known(units) = &mut seen.units else { panic!("known") };
    units.get_mut(A).expect("it runs").load = "bad-setting".into();
    let again = plan(&desired, &seen, &ledger, &Options::default());
    assert_eq!(words(&again), ["reload"]);
    assert_eq!(again.steps[0].reason.to_string(), format!("the manager has {A} as bad-setting"));
    let path = layout().units().join(A);
    seen.stand_ins = Fact::Known(vec![StandIn { unit: A.into(), path, kind: StandInKind::Mask }]);
    assert!(plan(&desired, &seen, &ledger, &Options::default()).is_empty());
}

#[test]
fn what_could_not_be_seen_is_started_but_never_restarted() {
    let mut desired = fleet(&["a"]);
    let (machine, ledger) = installed(&desired);
    change(&mut desired, &Role::AgentEnv(agent("a")));
    let mut seen = machine.snapshot();
    seen.units = Fact::Unknown("no user manager".into());
    let blind = plan(&desired, &seen, &ledger, &Options::default());
    assert_eq!(
        words(&blind),
        ["write a.env".to_owned(), format!("start {HOLDER_UNIT}"), format!("start {A}")]
    );
    assert_eq!(blind.books.due[A].main_pid, 0, "whether it runs with old files is remembered as open");
    desired.units[1].enabled = false;
    desired.links.retain(|link| !link.path.ends_with(A));
    let per_task = plan(&desired, &seen, &ledger, &Options::default());
    assert!(per_task.books.due.contains_key(A), "also of one that others start: {:?}", per_task.books.due);
}

#[test]
fn a_unit_that_systemd_has_given_up_is_forgotten_as_failed_before_its_start() {
    let desired = fleet(&["a", "b"]);
    let (mut machine, ledger) = installed(&desired);
    machine.running.remove(A);
    let mut seen = machine.snapshot();
    let Fact::Known(units) = &mut seen.units else { panic!("known") };
    let detail = UnitDetail { result: "start-limit-hit".into(), ..UnitDetail::default() };
    let failed = UnitFacts {
        load: "loaded".into(),
        active: "failed".into(),
        detail: Some(detail),
        ..UnitFacts::default()
    };
    units.insert(A.into(), failed);
    let start = plan(&desired, &seen, &ledger, &Options::default());
    assert_eq!(words(&start), [format!("forget {A}"), format!("start {A}")]);
    assert_eq!(start.steps[0].reason, Reason::GivenUp("failed (start-limit-hit)".into()));
}
