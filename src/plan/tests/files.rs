//! What becomes of files: written, kept, adopted, removed.

use super::*;

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
        let [conflict] = kept.conflicts.as_slice() else { panic!("{:?}", kept.conflicts) };
        assert_eq!((&conflict.path, &conflict.kind), (&env, &kind));
        assert_eq!(conflict.resolution, Resolution::Kept);
        let shown = conflict.change.as_ref().map(|change| change.file.path.clone());
        assert_eq!(shown, can_be_forced.then(|| env.clone()), "what --force would change");

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
        let file = File {
            path: layout().roster(),
            mode: 0o600,
            content: "version: 1\n".into(),
            role: Role::Roster,
            link: None,
        };
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
    let waits: Vec<_> = read.pending.iter().map(|pending| pending.unit.as_str()).collect();
    assert_eq!(waits, [HOLDER_UNIT, A], "they may run with it");
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
fn a_folder_of_ours_that_others_may_look_into_gets_its_mode_and_others_are_left_alone() {
    let desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    let (open, closed) = (layout().fleet(), layout().agents());
    machine.folders.extend([(open.clone(), 0o755), (closed, 0o700)]);
    let tightening = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(words(&tightening), ["mode fleet 700"]);
    assert_eq!(tightening.steps[0].reason.to_string(), "mode is 0755");
    let only = Options { reach: Reach::FilesOnly, ..Options::default() };
    assert_eq!(words(&plan(&desired, &machine.snapshot(), &ledger, &only)), ["mode fleet 700"]);
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    apply::apply(&tightening, ledger.clone(), &occasion, &mut machine, &mut |_| {}).expect("done");
    assert_eq!(machine.folders[&open], 0o700);
    // Of what a closed one holds nothing is said until it is open.
    let mut seen = machine.snapshot();
    seen.folders.insert(layout().agents(), 0);
    seen.files.insert(layout().agent_env(&agent("a")), Fact::Unknown("denied".into()));
    let opening = plan(&desired, &seen, &ledger, &Options::default());
    assert_eq!((words(&opening), opening.conflicts.len()), (vec!["mode agents 700".to_owned()], 0));
    assert!(opening.notes[0].ends_with("then apply again"), "{:?}", opening.notes);
    assert!(plan(&desired, &machine.snapshot(), &ledger, &Options::default()).is_empty());
}
