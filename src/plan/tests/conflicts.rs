//! What is in the way, and what follows from it.

use super::*;

#[test]
fn a_masked_unit_is_shown_with_its_cure_and_keeps_nobody_else_from_being_brought() {
    let mut seen = Fake::default().snapshot();
    let path: PathBuf = layout().units().join(A);
    let mask = StandIn { unit: A.into(), path: path.clone(), kind: StandInKind::Mask };
    seen.stand_ins = Fact::Known(vec![mask]);
    let plan = plan(&fleet(&["a", "b"]), &seen, &ledger(), &Options::default());
    let masked = Conflict::kept(path, ConflictKind::Mask(A.into()));
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
