//! The holder, judged by what its server was started with.

use super::*;
use crate::names::HOLDER_UNIT;
use crate::runfile::started::Started;
use crate::snapshot::{Pane, Process, Tmux};

/// Notes what the holder runs with, as its start does.
fn started_with(machine: &mut Fake, conf: &str, unit: &str) {
    let pid = machine.running[HOLDER_UNIT];
    machine.holder = Some(Started::of(BOOT.to_owned(), pid, conf.as_bytes(), unit.as_bytes()).text());
}

fn content(desired: &Desired, role: &Role) -> String {
    desired.files.iter().find(|f| f.role == *role).expect("such a file").content.clone()
}

fn carry(plan: &Plan, machine: &mut Fake) -> Ledger {
    let ledger = machine.ledger.clone().expect("a ledger");
    let occasion = Occasion { identity: ledger.identity.clone(), now: None };
    apply::apply(plan, ledger, &occasion, machine, &mut |_| {}).expect("written");
    machine.ledger.clone().expect("a ledger")
}

#[test]
fn what_is_put_back_as_the_server_was_started_with_makes_no_restart_due() {
    let desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    let (conf, unit) = (content(&desired, &Role::TmuxConf), content(&desired, &Role::HolderUnit));
    started_with(&mut machine, &conf, &unit);
    machine.files.insert(layout().tmux_conf(), (b"set -g mouse on".to_vec(), 0o600));
    let kept = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!((kept.kept().count(), kept.pending.len()), (1, 0), "kept, and no restart would end it");
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let put_back = plan(&desired, &machine.snapshot(), &ledger, &force);
    assert_eq!((words(&put_back), put_back.pending.len()), (vec!["write tmux.conf".to_owned()], 0));
    carry(&put_back, &mut machine);
    // One that was started with the edit has to be restarted, until it is another.
    started_with(&mut machine, "set -g mouse on", &unit);
    let known = machine.ledger.clone().expect("a ledger");
    let due = plan(&desired, &machine.snapshot(), &known, &Options::default());
    assert_eq!(due.pending[0].reason, Reason::RunsWithOldFiles);
    started_with(&mut machine, &conf, &unit);
    let again = plan(&desired, &machine.snapshot(), &known, &Options::default());
    assert!(again.pending.is_empty() && !again.changes_books(&known), "{again:?}");
}

#[test]
fn a_change_that_is_taken_back_is_no_longer_due() {
    let desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    started_with(&mut machine, &content(&desired, &Role::TmuxConf), &content(&desired, &Role::HolderUnit));
    let mut changed = desired.clone();
    let path = change(&mut changed, &Role::TmuxConf);
    let first = plan(&changed, &machine.snapshot(), &ledger, &Options::default());
    assert_eq!(first.pending[0].reason, Reason::OwnFilesChange(vec![path]));
    let known = carry(&first, &mut machine);
    assert!(known.restarts_due.contains_key(HOLDER_UNIT), "ps tells it from there");
    let back = plan(&desired, &machine.snapshot(), &known, &Options::default());
    assert_eq!((words(&back), back.pending.len()), (vec!["write tmux.conf".to_owned()], 0));
    assert!(!carry(&back, &mut machine).restarts_due.contains_key(HOLDER_UNIT));
}

#[test]
fn a_note_of_another_run_or_boot_is_not_believed() {
    let desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    started_with(&mut machine, "something else", "something else");
    assert_eq!(plan(&desired, &machine.snapshot(), &ledger, &Options::default()).pending.len(), 1);
    let note = machine.holder.clone().expect("a note");
    for other in [note.replace("pid=1", "pid=9"), note.replace(BOOT, "boot-0"), "half".to_owned()] {
        machine.holder = Some(other);
        let plan = plan(&desired, &machine.snapshot(), &ledger, &Options::default());
        assert!(plan.pending.is_empty(), "{:?}", machine.holder);
    }
}

#[test]
fn a_move_that_was_cut_off_after_the_restart_is_done() {
    let mut desired = fleet(&["a"]);
    let (mut machine, ledger) = installed(&desired);
    for role in [Role::HolderUnit, Role::AgentTemplate, Role::AgentEnv(agent("a"))] {
        change(&mut desired, &role);
    }
    let moves = Options { server: Server::Moves, ..Options::default() };
    let allowed = Options { holder: HolderRestart::Restart, ..moves };
    let whole = plan(&desired, &machine.snapshot(), &ledger, &allowed);
    let mut occasion = Occasion { identity: ledger.identity.clone(), now: None };
    occasion.identity.socket = "/tmp/tmux-1000/other".into();
    apply::apply(&whole, ledger, &occasion, &mut machine, &mut |_| {}).expect("written");
    // The ledger as it stood before the restart was written down.
    let mut known = machine.ledger.clone().expect("a ledger");
    known.identity.socket = "/tmp/tmux-1000/mosaic-factory".into();
    let refused = plan(&desired, &machine.snapshot(), &known, &moves);
    assert_eq!(refused.refused, Some(Refusal::MovesServer), "without a note nobody knows");
    started_with(&mut machine, &content(&desired, &Role::TmuxConf), &content(&desired, &Role::HolderUnit));
    let after = plan(&desired, &machine.snapshot(), &known, &moves);
    assert!(after.is_empty() && after.refused.is_none() && after.conflicts.is_empty(), "{after:?}");
}

/// Has a server of somebody else's listen on the socket, with these sessions.
fn foreign(seen: &mut Snapshot, sessions: &[&str]) {
    let pane = |session: &&str| Pane {
        session: (*session).to_owned(),
        id: "%0".to_owned(),
        pid: 901,
        dead: false,
        dead_status: None,
        dead_signal: None,
        command: "sleep".to_owned(),
        activity: 0.0,
        attached: 0,
    };
    let panes = sessions.iter().map(pane).collect();
    seen.tmux = Fact::Known(Tmux::Running { pid: 900, version: "3.3a".to_owned(), panes });
    seen.processes.insert(900, Process { unit: "session-1.scope".to_owned(), ..Process::default() });
}

#[test]
fn nothing_is_started_beside_a_foreign_server_and_it_is_named_before_anybody_tries() {
    let desired = fleet(&["a"]);
    let mut seen = Fake::default().snapshot();
    foreign(&mut seen, &["mine", "yours"]);
    let held = plan(&desired, &seen, &ledger(), &Options::default());
    assert!(!words(&held).iter().any(|word| word.starts_with("start")), "{:?}", words(&held));
    assert!(words(&held).contains(&format!("enable {A}")), "the rest is done: {:?}", words(&held));
    let conflict = held.kept().next().expect("a conflict");
    assert_eq!(conflict.kind.id(), "foreign-server");
    assert!(
        conflict.kind.to_string().ends_with("pid 900, of session-1.scope, with its sessions mine, yours")
    );
    assert_eq!(conflict.cure(&layout()), "fleet apply --adopt");
    let later = Options { starting: Starting::Later, ..Options::default() };
    assert!(plan(&desired, &seen, &ledger(), &later).conflicts.is_empty(), "nobody wants to start now");
    // Its own server, and one that is not known to be another's, are no conflict.
    let (machine, ledger) = installed(&desired);
    let mut own = machine.snapshot();
    foreign(&mut own, &["_holder"]);
    assert_eq!(plan(&desired, &own, &ledger, &Options::default()), Plan::default());
}

#[test]
fn a_holder_that_somebody_else_made_refuses_the_whole_plan_and_shows_what_stands_there() {
    let desired = fleet(&["a"]);
    let mut machine = Fake::default();
    machine.files.insert(layout().holder_unit(), (b"[Service]\n".to_vec(), 0o644));
    machine.files.insert(layout().tmux_conf(), (b"mine".to_vec(), 0o644));
    let refused = plan(&desired, &machine.snapshot(), &ledger(), &Options::default());
    assert_eq!((refused.refused, refused.steps.len()), (Some(Refusal::HandMade), 0));
    assert!(!refused.changes_books(&ledger()));
    assert_eq!(refused.kept().count(), 2);
    assert!(refused.conflicts.iter().all(|c| c.change.is_some()), "each with what would change");
    let force = Options { conflicts: Conflicts::Overwrite, ..Options::default() };
    let overwritten = plan(&desired, &machine.snapshot(), &ledger(), &force);
    assert!(overwritten.refused.is_none() && words(&overwritten).contains(&format!("write {HOLDER_UNIT}")));
    let mut seen = machine.snapshot();
    foreign(&mut seen, &["a"]);
    let forced = plan(&desired, &seen, &ledger(), &force);
    assert_eq!(forced.refused, Some(Refusal::HandMade), "a file that is overwritten ends no server");
    assert!(forced.conflicts.iter().all(|c| c.resolution == Resolution::Kept), "{:?}", forced.conflicts);
    let only = Options { reach: Reach::FilesOnly, conflicts: Conflicts::TakeOver, ..Options::default() };
    let taken = plan(&desired, &seen, &ledger(), &only);
    assert!(taken.steps.iter().any(|s| s.reason == Reason::TakenOver), "{:?}", words(&taken));
}
