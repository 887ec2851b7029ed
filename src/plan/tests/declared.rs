//! Fleets that a configuration declares: nothing of it is written, and whose it is can be told.

use std::collections::BTreeSet;

use super::*;
use crate::ledger::{FileRecord, Sha};
use crate::snapshot::UnitFacts;

const STORE: &str = "/nix/store/abc-units/x";

/// A declarative host's fleet of these agents, which runs as declared.
fn declared(agents: &[&str]) -> (Desired, Snapshot) {
    let layout = layout().declared_in("/etc/mosaic/fleet/u".into());
    let mut desired = fleet(agents);
    for file in &mut desired.files {
        file.link = layout.declared_file(&file.path);
    }
    let mut seen = installed(&fleet(agents)).0.snapshot();
    for file in &desired.files {
        seen.files.insert(file.path.clone(), stands(file, &file.content));
    }
    (desired, seen)
}

fn stands(file: &File, content: &str) -> Fact<FileFacts> {
    let link = file.link.clone().unwrap_or_else(|| STORE.into());
    Fact::Known(FileFacts::Declared { content: content.into(), link })
}

fn options() -> Options {
    Options { units: Units::Declared, ..Options::default() }
}

#[test]
fn a_fleet_that_is_as_declared_has_nothing_to_do_and_no_unit_is_taken_over() {
    let (desired, seen) = declared(&["a", "b"]);
    let told = plan(&desired, &seen, &ledger(), &options());
    assert_eq!((told.steps, told.conflicts), (vec![], vec![]));
    assert_eq!(told.books.links, []);
    let units = told.books.adopt.iter().filter(|(path, _)| path.ends_with(HOLDER_UNIT));
    assert_eq!(units.count(), 0, "a unit that we did not write is not in the ledger");
}

#[test]
fn a_declared_file_that_differs_is_kept_also_by_force() {
    let (desired, mut seen) = declared(&["a"]);
    for file in &desired.files {
        seen.files.insert(file.path.clone(), stands(file, "something else"));
    }
    let options = Options { conflicts: Conflicts::Overwrite, ..options() };
    let told = plan(&desired, &seen, &ledger(), &options);
    assert_eq!(told.steps, []);
    assert_eq!(told.conflicts.len(), desired.files.len());
    assert!(told.conflicts.iter().all(|c| c.kind == ConflictKind::Declared), "{:?}", told.conflicts);
}

#[test]
fn a_link_of_the_home_that_is_missing_is_made_and_no_file_in_its_place() {
    let (desired, mut seen) = declared(&["a"]);
    let env = layout().agent_env(&agent("a"));
    seen.files.remove(&env);
    let told = plan(&desired, &seen, &ledger(), &options());
    let made: Vec<_> = told.steps.iter().filter(|s| s.action.path() == Some(&env)).collect();
    let [Step { action: Action::WriteFile { file, .. }, .. }] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(file.link, Some("/etc/mosaic/fleet/u/agents/a.env".into()));
}

#[test]
fn who_runs_with_what_was_declared_before_is_restarted() {
    let (desired, seen) = declared(&["a", "b"]);
    let mut ledger = ledger();
    for file in desired.files.iter().filter(|f| f.link.is_some()) {
        let old = if file.role == Role::AgentEnv(agent("a")) { "before" } else { &file.content };
        ledger.files.insert(file.path.clone(), FileRecord::settled(Sha::of(old.as_bytes()), file.mode));
    }
    let told = plan(&desired, &seen, &ledger, &options());
    let restarts: Vec<_> = told.steps.iter().filter(|s| s.action.phase() == Phase::AfterReload).collect();
    assert_eq!(restarts.len(), 1, "{:?}", told.steps);
    assert_eq!(restarts[0].action, Action::Restart { unit: agent("a").unit() });
}

#[test]
fn links_and_lingering_are_the_configurations_to_change() {
    let (desired, mut seen) = declared(&["a"]);
    seen.wants = Fact::Known(BTreeSet::new());
    seen.linger = Fact::Known(false);
    let told = plan(&desired, &seen, &ledger(), &options());
    assert_eq!(told.steps, []);
    assert!(!told.conflicts.is_empty());
    let missing = |c: &Conflict| matches!(&c.kind, ConflictKind::NotDeclared(_));
    assert!(told.conflicts.iter().all(missing), "{:?}", told.conflicts);
    assert!(told.notes.iter().any(|note| note.contains("linger")), "{:?}", told.notes);
}

#[test]
fn units_that_are_links_into_a_store_are_not_enabled_in_a_home_either() {
    let (mut desired, mut seen) = declared(&["a"]);
    for file in &mut desired.files {
        file.link = None;
        seen.files.insert(file.path.clone(), stands(file, &file.content));
    }
    seen.wants = Fact::Known(BTreeSet::new());
    let told = plan(&desired, &seen, &ledger(), &Options::default());
    assert!(told.steps.iter().all(|s| !matches!(s.action, Action::Enable { .. })), "{:?}", told.steps);
    assert!(told.conflicts.iter().any(|c| matches!(&c.kind, ConflictKind::NotDeclared(_))));
}

#[test]
fn an_agent_that_is_declared_no_more_is_stopped_and_its_link_goes() {
    let (desired, mut seen) = declared(&["a"]);
    let (gone, env) = (agent("gone"), layout().agent_env(&agent("gone")));
    let facts = UnitFacts { active: "active".into(), ..UnitFacts::default() };
    if let Fact::Known(units) = &mut seen.units {
        units.insert(gone.unit(), facts);
    }
    seen.files
        .insert(env.clone(), Fact::Known(FileFacts::Link("/etc/mosaic/fleet/u/agents/gone.env".into())));
    let told = plan(&desired, &seen, &ledger(), &options());
    let actions: Vec<_> = told.steps.iter().map(|s| s.action.clone()).collect();
    let expected =
        vec![Action::Stop { unit: gone.unit() }, Action::RemoveFile { path: env, agent: Some(gone) }];
    assert_eq!(actions, expected);
}
