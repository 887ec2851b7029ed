//! What each state of a machine means, one table a rule.

use std::path::Path;

use super::case::{agent, change, fleet, layout, ledger};
use super::*;
use crate::apply::fake::{BOOT, Fake};
use crate::apply::{self, Occasion};
use crate::ledger::{Applied, UnitRecord};
use crate::names::{AGENT_TEMPLATE, HOLDER_UNIT};
use crate::render::{File, Role};
use crate::snapshot::{Fact, FileFacts, StandIn, StandInKind};

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
        (Role::AgentTemplate, &[A, B], &[]),
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
fn what_the_ledger_does_not_name_is_never_removed() {
    let desired = fleet(&["b"]);
    let (mut machine, ledger) = installed(&desired);
    machine.files.insert(layout().agent_env(&agent("a")), (b"by hand".to_vec(), 0o600));
    machine.running.insert(A.into(), 7);
    machine.wants.insert(("default.target".into(), A.into()));
    let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert!(plan.is_empty(), "{plan:?}");
    assert!(plan.notes[0].contains(A), "but it is said: {:?}", plan.notes);
}

#[test]
fn a_leftover_that_was_edited_is_kept_and_forgotten() {
    let (mut machine, ledger) = installed(&fleet(&["a", "b"]));
    let env = layout().agent_env(&agent("a"));
    machine.files.insert(env.clone(), (b"edited".to_vec(), 0o600));
    let plan = plan(&fleet(&["b"]), &machine.snapshot(), &ledger, &Options::default());
    assert!(!words(&plan).contains(&"remove a.env".to_owned()));
    assert_eq!(plan.books.forget[0], env);
    assert!(plan.notes[0].contains("kept"), "{:?}", plan.notes);
}

#[test]
fn a_file_that_is_not_as_we_left_it_is_a_conflict_and_kept() {
    let desired = fleet(&["a"]);
    let (machine, ledger) = installed(&desired);
    let env = layout().agent_env(&agent("a"));
    let file = |text: &str| Some(Fact::Known(FileFacts::File { content: text.into(), mode: 0o600 }));
    let nothing_known = |ledger: &Ledger| {
        let mut ledger = ledger.clone();
        ledger.files.remove(&env);
        ledger
    };
    let link = Some(Fact::Known(FileFacts::Link("/etc/passwd".into())));
    let folder = Some(Fact::Known(FileFacts::Other("folder".into())));
    let cases = [
        (file("edited"), ledger.clone(), ConflictKind::Edited, true),
        (file("foreign"), nothing_known(&ledger), ConflictKind::NotOurs, true),
        (link, ledger.clone(), ConflictKind::Link("/etc/passwd".into()), true),
        (folder, ledger.clone(), ConflictKind::NotAFile("folder".into()), false),
        (
            Some(Fact::Unknown("denied".into())),
            ledger.clone(),
            ConflictKind::Unreadable("denied".into()),
            false,
        ),
    ];
    for (there, ledger, kind, can_be_forced) in cases {
        let mut seen = machine.snapshot();
        seen.files.extend(there.map(|f| (env.clone(), f)));
        let kept = plan(&desired, &seen, &ledger, &Options::default());
        assert!(kept.is_empty(), "{kind:?}: {kept:?}");
        let conflict = Conflict { path: env.clone(), kind, resolution: Resolution::Kept };
        assert_eq!(kept.conflicts, [conflict]);

        let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
        let forced = plan(&desired, &seen, &ledger, &force);
        let expected: &[&str] =
            if can_be_forced { &["write a.env", "restart mosaic-agent@a.service"] } else { &[] };
        assert_eq!(words(&forced), expected, "{:?}", forced.conflicts);
    }
}

#[test]
fn a_file_that_stands_there_already_is_adopted_and_a_wrong_mode_set_right() {
    let desired = fleet(&["a"]);
    let (mut machine, mut ledger) = installed(&desired);
    let env = layout().agent_env(&agent("a"));
    ledger.files.remove(&env);
    let adopting = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert!(adopting.is_empty() && adopting.changes_books(&ledger));
    assert_eq!(adopting.books.adopt[0].0, env);

    machine.files.get_mut(&env).expect("there").1 = 0o644;
    let tightening = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&tightening), ["write a.env"], "its content is the same, so nothing restarts");
    assert_eq!(tightening.steps[0].reason, Reason::Mode { seen: 0o644 });
}

#[test]
fn a_lost_file_is_put_back_and_restarts_nobody() {
    let desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    machine.files.remove(&layout().agent_env(&agent("a")));
    machine.files.remove(&layout().agent_template());
    let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&plan), ["write a.env".to_owned(), format!("write {AGENT_TEMPLATE}"), "reload".into()]);
    assert_eq!(plan.steps[0].reason, Reason::Gone);
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
}

#[test]
fn files_only_stops_before_systemd_and_leaves_files_in_use() {
    let only = Options { reach: Reach::FilesOnly, ..Options::default() };
    let fresh = plan(&fleet(&["a"]), &Fake::default().snapshot(), &ledger(), &only);
    assert!(fresh.steps.iter().all(|s| matches!(s.action, Action::WriteFile { .. })), "{:?}", words(&fresh));
    assert!(fresh.books.reload_due, "the next apply has to reload");
    let (machine, ledger) = installed(&fleet(&["a", "b"]));
    let removed = plan(&fleet(&["b"]), &machine.snapshot(), &ledger, &only);
    assert!(removed.is_empty(), "a runs and is enabled: {:?}", words(&removed));
}

#[test]
fn a_masked_unit_is_shown_with_its_cure_and_keeps_nobody_else_from_being_brought() {
    let mut seen = Fake::default().snapshot();
    let path: PathBuf = layout().units().join(A);
    let mask = StandIn { unit: A.into(), path: path.clone(), kind: StandInKind::Mask };
    seen.stand_ins = Fact::Known(vec![mask]);
    let plan = plan(&fleet(&["a", "b"]), &seen, &ledger(), &Options::default());
    let masked = Conflict { path, kind: ConflictKind::Mask(A.into()), resolution: Resolution::Kept };
    assert_eq!(plan.conflicts, [masked]);
    assert_eq!(plan.conflicts[0].cure(&layout()), format!("systemctl --user unmask {A} && fleet apply"));
    let words = words(&plan);
    assert!(!words.contains(&format!("enable {A}")) && !words.contains(&format!("start {A}")), "{words:?}");
    assert!(words.contains(&format!("enable {B}")) && words.contains(&format!("start {B}")), "{words:?}");
}

#[test]
fn nobody_is_started_or_restarted_below_a_holder_that_is_masked() {
    let mut desired = fleet(&["a"]);
    let (machine, ledger) = installed(&desired);
    change(&mut desired, &Role::AgentEnv(agent("a")));
    let mut seen = machine.snapshot();
    let link = FileFacts::Link("/dev/null".into());
    seen.files.insert(layout().holder_unit(), Fact::Known(link));
    let held = plan(&desired, &seen, &ledger, &Options::default());
    assert_eq!(held.conflicts[0].kind, ConflictKind::Mask(HOLDER_UNIT.into()));
    assert_eq!((words(&held), held.pending.len()), (vec!["write a.env".to_owned()], 1));
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let forced = words(&plan(&desired, &seen, &ledger, &force));
    assert!(forced.contains(&format!("write {HOLDER_UNIT}")), "{forced:?}");
}

#[test]
fn what_is_read_in_the_place_of_ours_is_named_with_the_command_that_ends_it() {
    let desired = fleet(&["a"]);
    let (machine, ledger) = installed(&desired);
    let mut seen = machine.snapshot();
    let stand_in = |path: &str, kind| StandIn { unit: A.into(), path: path.into(), kind };
    seen.stand_ins = Fact::Known(vec![
        stand_in("/etc/systemd/user/x", StandInKind::File),
        stand_in("/run/user/7/systemd/user.control/x", StandInKind::DropIn),
        stand_in("/run/user/7/systemd/user/x", StandInKind::Mask),
    ]);
    let plan = plan(&desired, &seen, &ledger, &Options::default());
    let cures: Vec<String> = plan.kept().map(|c| c.cure(&layout())).collect();
    assert_eq!(
        cures,
        [
            "sudo mv /etc/systemd/user/x /etc/systemd/user/x.aside && fleet apply",
            "mv /run/user/7/systemd/user.control/x /run/user/7/systemd/user.control/x.aside && fleet apply",
            "rm /run/user/7/systemd/user/x && fleet apply",
        ]
    );
    seen.stand_ins = Fact::Unknown("not readable".into());
    let blind = super::plan(&desired, &seen, &ledger, &Options::default());
    assert!(blind.notes[0].contains("not readable"), "{:?}", blind.notes);
}

#[test]
fn debug_output_never_holds_a_files_content() {
    let mut desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    machine.files.insert(layout().agent_env(&agent("a")), (b"TOKEN=planted-secret".to_vec(), 0o600));
    change(&mut desired, &Role::AgentEnv(agent("a")));
    desired.files.iter_mut().for_each(|f| f.content.push_str("planted-secret"));
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let plan = plan(&desired, &machine.snapshot(), &ledger, &force);
    assert!(!format!("{plan:?}").contains("planted-secret"));
}

mod the_rosters_own_file {
    use super::*;

    fn run(there: Option<&str>, conflicts: Conflicts) -> (RosterFile, Plan) {
        let file =
            File { path: layout().roster(), mode: 0o600, content: "version: 1\n".into(), role: Role::Roster };
        let there = there.map(|t| Fact::Known(FileFacts::File { content: t.into(), mode: 0o600 }));
        let mut plan = Plan::default();
        let backup = layout().fleet().join("roster.yaml.bak-1");
        (roster_file(&file, there.as_ref(), conflicts, backup, &mut plan), plan)
    }

    #[test]
    fn is_written_where_there_is_none_and_left_where_it_is_the_same() {
        let (what, plan) = run(None, Conflicts::Keep);
        assert_eq!((what, words(&plan)), (RosterFile::Written, vec!["write roster.yaml".to_owned()]));
        let (what, plan) = run(Some("version: 1\n"), Conflicts::Keep);
        assert_eq!((what, plan), (RosterFile::Same, Plan::default()));
    }

    #[test]
    fn is_never_written_over_a_different_one_unasked_and_then_keeps_a_copy() {
        let (what, plan) = run(Some("version: 1\nagents: []\n"), Conflicts::Keep);
        assert_eq!((what, plan.is_empty(), plan.conflicts.len()), (RosterFile::Refused, true, 1));
        let (what, plan) = run(Some("version: 1\nagents: []\n"), Conflicts::Overwrite);
        assert_eq!(what, RosterFile::Written);
        assert_eq!(words(&plan), ["keep roster.yaml.bak-1", "write roster.yaml"]);
    }
}

#[test]
fn an_edit_that_systemd_never_read_is_put_back_without_a_restart() {
    let desired = fleet(&["a"]);
    let (machine, ledger) = installed(&desired);
    let mut seen = machine.snapshot();
    let edited = FileFacts::File { content: b"edited".to_vec(), mode: 0o600 };
    seen.files.insert(layout().holder_unit(), Fact::Known(edited.clone()));
    seen.files.insert(layout().agent_template(), Fact::Known(edited));
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let read = plan(&desired, &seen, &ledger, &force);
    assert_eq!(read.pending.len(), 1, "the holder may run with it");
    assert!(words(&read).contains(&format!("restart {A}")), "{:?}", words(&read));
    let Fact::Known(units) = &mut seen.units else { panic!("known") };
    for unit in units.values_mut() {
        unit.detail.get_or_insert_default().needs_reload = true;
    }
    let unread = plan(&desired, &seen, &ledger, &force);
    let template = AGENT_TEMPLATE;
    assert_eq!(
        words(&unread),
        [format!("write {template}"), format!("write {HOLDER_UNIT}"), "reload".into()]
    );
    assert!(unread.pending.is_empty(), "{:?}", unread.pending);
}
