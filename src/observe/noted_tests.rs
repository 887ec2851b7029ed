//! What supervisors note, what runtimes say of themselves, and who else is on the socket: told as it is.

use super::case::{BOOT, Case, NOW, flags_b, name, no_flags, pane, reason};
use super::{Flag, PaneState};
use crate::runfile::record::{Record, State};
use crate::snapshot::{Fact, Pane};

fn has_reason(case: &Case, agent: &str, what: &str) -> bool {
    case.row(agent).reasons.iter().any(|r| r.starts_with(what))
}

#[test]
fn a_state_ends_when_its_own_time_is_up_and_a_newer_word_renews_it() {
    let said = |case: &mut Case, state: &str, until: &str| {
        let until = if until.is_empty() { String::new() } else { format!("resume_at={until}\n") };
        let beat = format!("pid=200\nboot_id={BOOT}\nboottime={}\nstate={state}\n{until}", NOW - 1.0);
        case.beat(&name("b"), &beat);
    };
    for (state, flag) in [("rate-limited", Flag::RateLimited), ("auth-expired", Flag::AuthExpired)] {
        let case = no_flags(|case| said(case, state, "2026-11-20T09:59:59Z"));
        assert_eq!(
            reason(&case, "b", "state"),
            format!("state: it said {state} until 2026-11-20T09:59:59Z, which is over, and nothing since")
        );
        assert_eq!(case.row("b").heartbeat.state, Some(state), "its word stands in the JSON as it was said");
        flags_b(&[flag], |case| said(case, state, "2026-11-20T10:00:01Z"));
        flags_b(&[flag], |case| said(case, state, ""));
    }
}

#[test]
fn a_record_that_can_not_be_read_is_never_called_absent() {
    for (stands, why) in [
        (Fact::Known("garbage".to_owned()), "what stands there is no supervisor's record"),
        (Fact::Known(String::new()), "the file is empty"),
        (Fact::Known("version=9\n".to_owned()), "it is of version 9, and this program reads 1"),
        (Fact::Unknown("Permission denied (os error 13)".to_owned()), "Permission denied (os error 13)"),
    ] {
        let planted = |case: &mut Case| drop(case.seen.records.insert(name("b"), stands.clone()));
        let case = no_flags(planted);
        assert_eq!(reason(&case, "b", "record"), format!("record: {why}"));
        assert_eq!(
            reason(&case, "b", "restarts"),
            "restarts: its supervisor's record could not be read",
            "{why}"
        );
        // Nor are no restarts claimed of one that does not run.
        let case = flags_b(&[Flag::Dead], |case| {
            planted(case);
            case.kill("b");
            case.unit("b").active = "failed".to_owned();
        });
        assert_eq!(case.row("b").restarts, None, "{why}");
    }
    let case = no_flags(|case| drop(case.seen.records.remove(&name("b"))));
    assert_eq!(reason(&case, "b", "restarts"), "restarts: its supervisor left no record");
    assert!(!has_reason(&case, "b", "record"));
    let case = no_flags(|case| case.record(&name("b"), |r| r.boot_id = "earlier".to_owned()));
    assert_eq!(reason(&case, "b", "restarts"), "restarts: its supervisor left no record in this boot");
}

#[test]
fn a_stop_that_was_asked_for_makes_no_crash_undone() {
    let after = |stopped: bool, starts: &[f64]| {
        let mut case = Case::of(&["b"]);
        case.record(&name("b"), |record| {
            let pid = record.runtime_pid;
            record.start_times = starts.to_vec();
            for at in [NOW - 20.0, NOW - 10.0] {
                record.stopped = stopped;
                *record = Record::next(Some(record.clone()), BOOT, at);
            }
            (record.state, record.runtime_pid) = (State::Running, pid);
        });
        case.row("b").flags
    };
    assert_eq!(
        after(true, &[500.0, 600.0, 700.0]),
        [Flag::Flapping],
        "two crashes, then two restarts by hand"
    );
    assert_eq!(after(true, &[500.0]), [], "two restarts by hand");
    assert_eq!(after(false, &[500.0]), [Flag::Flapping], "two crashes");
    assert_eq!(after(false, &[399.0]), [], "the first of three starts is long over");
}

fn of_session(session: &str, pid: i32, command: &str) -> Pane {
    Pane { command: command.to_owned(), ..pane(session, pid) }
}

#[test]
fn further_panes_of_an_agents_session_are_told_and_change_no_verdict() {
    let case = no_flags(|case| case.panes().push(of_session("b", 950, "vim\u{1b}[31m")));
    assert_eq!(
        reason(&case, "b", "panes"),
        "panes: its session has another pane: %950 runs vim[31m (pid 950)"
    );
    assert_eq!((case.row("b").pane.pid, case.row("b").pane.state), (Some(200), PaneState::Alive));
    let many = no_flags(|case| {
        for pid in 950..956 {
            case.panes().push(Pane { dead: pid == 951, ..of_session("b", pid, "sh") });
        }
    });
    let told = reason(&many, "b", "panes");
    assert!(
        told.starts_with("panes: its session has 6 other panes: %950 runs sh (pid 950), %951 has ended,")
    );
    assert!(told.ends_with(" and 2 more"), "{told}");
    // Its own has ended, and somebody's shell beside it lives on: dead all the same.
    let case = flags_b(&[Flag::Dead], |case| {
        case.kill("b");
        case.panes().push(of_session("b", 950, "bash"));
    });
    assert!(has_reason(&case, "b", "panes"), "{:#?}", case.row("b").reasons);
}

#[test]
fn what_somebody_runs_in_the_holders_session_has_a_row_and_the_holders_own_pane_has_none() {
    let mut case = Case::of(&["a"]);
    assert_eq!(case.rows().len(), 1);
    case.panes().push(of_session("_holder", 960, "bash"));
    assert_eq!(case.flags(), [("_holder".to_owned(), vec![Flag::Unknown])]);
    let row = case.row("_holder");
    assert_eq!(row.pane.pid, Some(960));
    assert_eq!(row.reasons, ["UNKNOWN: the holder's session has another pane: %960 runs bash (pid 960)"]);
    let mut stray = Case::of(&["a"]);
    stray.panes().extend([of_session("x", 970, "top"), of_session("x", 971, "vim")]);
    assert_eq!(stray.rows().len(), 2);
    let told = reason(&stray, "x", "UNKNOWN");
    assert_eq!(told, "UNKNOWN: the roster has no agent x; it has another pane: %971 runs vim (pid 971)");
}

#[test]
fn active_with_nothing_running_is_told_apart_from_a_runtime_that_was_just_killed() {
    // `active (exited)`: systemd is content, and no process of the unit is left. Whatever is wanted of it.
    let exited = |case: &mut Case| {
        case.kill("b");
        case.unit("b").sub = "exited".to_owned();
    };
    flags_b(&[Flag::ExitedActive], exited);
    flags_b(&[Flag::ExitedActive], |case| {
        exited(case);
        case.panes().retain(|p| p.session != "b");
        case.seen.parked.insert(name("b"), Fact::Known(BOOT.to_owned()));
    });
    // Its supervisor still runs, and is about to pass the end on.
    flags_b(&[Flag::Dead], |case| case.kill("b"));
    // Where tmux could not be asked, nobody knows.
    no_flags(|case| {
        case.unit("b").sub = "exited".to_owned();
        case.seen.tmux = Fact::Unknown("tmux did not answer".to_owned());
    });
}

#[test]
fn a_supervisor_of_another_version_is_a_skew_while_its_agent_runs() {
    let old = |case: &mut Case| {
        case.record(&name("b"), |r| r.supervisor = "0.0.1".into());
    };
    flags_b(&[Flag::Skew], old);
    // One of an earlier boot tells of another supervisor: this one could not write its own.
    no_flags(|case| {
        case.record(&name("b"), |r| (r.supervisor, r.boot_id) = ("0.0.1".into(), "earlier".into()));
    });
    // Even one whose record means something else.
    flags_b(&[Flag::Skew], |case| {
        let text = "version=9\nsupervisor=9.0.0\n".to_owned();
        case.seen.records.insert(name("b"), Fact::Known(text));
    });
}
