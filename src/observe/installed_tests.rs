//! What was changed by hand, what waits for a restart, what runs with other variables.

use super::Flag;
use super::case::{BOOT, Case, SERVER, flags_b, name, no_flags, reason};
use crate::ledger::{Due, FileRecord, Sha};
use crate::names::HOLDER_UNIT;
use crate::runfile::environment::Environment;
use crate::runfile::record::State;
use crate::snapshot::{EnvironmentFiles, Fact, FileFacts};

#[test]
fn a_file_of_one_agent_that_was_changed_by_hand_is_edited_on_its_row() {
    // A comment is an edit, and no other environment.
    let case = flags_b(&[Flag::Edited], |case| {
        case.edit_env("b", "# mine\nA=1\nMOSAIC_AGENT_NAME=b\n");
    });
    assert_eq!(
        reason(&case, "b", "EDITED"),
        "EDITED: ~/.config/mosaic/fleet/agents/b.env was changed by hand"
    );
    let drop_in = || Case::of(&["b"]).layout.agent_drop_in(&name("b"));
    flags_b(&[Flag::Edited], |case| {
        let record = FileRecord::settled(Sha::of(b"[Service]\n"), 0o600);
        case.ledger().files.insert(drop_in(), record);
        let content = b"[Service]\nMemoryMax=1G\n".to_vec();
        case.seen.files.insert(drop_in(), Fact::Known(FileFacts::File { content, mode: 0o600 }));
    });
    // One that was removed, or a link now, is not as we left it either.
    for (facts, how) in [(None, "was removed"), (Some(FileFacts::Link("/x".into())), "is a link now")] {
        let case = flags_b(&[Flag::Edited], |case| {
            let record = FileRecord::settled(Sha::of(b"x"), 0o600);
            case.ledger().files.insert(drop_in(), record);
            case.seen.files.extend(facts.clone().map(|f| (drop_in(), Fact::Known(f))));
        });
        assert!(reason(&case, "b", "EDITED").contains(how));
    }
}

#[test]
fn what_all_agents_run_with_is_edited_on_all_rows_and_what_they_only_read_on_none() {
    let edit = |case: &mut Case, path: std::path::PathBuf| {
        case.ledger().files.insert(path.clone(), FileRecord::settled(Sha::of(b"ours"), 0o600));
        let content = b"mine".to_vec();
        case.seen.files.insert(path, Fact::Known(FileFacts::File { content, mode: 0o600 }));
    };
    for path in [|c: &Case| c.layout.agent_template(), |c: &Case| c.layout.tmux_conf()] {
        let mut case = Case::of(&["a", "b"]);
        let path = path(&case);
        edit(&mut case, path);
        let all = ["a", "b"].map(|agent| (agent.to_owned(), vec![Flag::Edited]));
        assert_eq!(case.flags(), all);
    }
    no_flags(|case| edit(case, case.layout.framework().join("roles/a.md")));
}

#[test]
fn a_write_that_was_cut_off_and_a_file_that_cannot_be_read_are_no_edit() {
    no_flags(|case| {
        let path = case.layout.agent_env(&name("b"));
        let record = FileRecord {
            writing: Some(Sha::of(b"A=1\nMOSAIC_AGENT_NAME=b\n")),
            ..case.ledger().files[&path].clone()
        };
        let record = FileRecord { written: Some(Sha::of(b"older")), ..record };
        case.ledger().files.insert(path, record);
    });
    let case = no_flags(|case| {
        let rendered = Some(Fact::Unknown("permission denied".into()));
        case.seen.environments.insert(name("b"), EnvironmentFiles::Seen { rendered, local: None });
    });
    assert_eq!(reason(&case, "b", "environment"), "environment: permission denied");
}

#[test]
fn a_ledger_that_cannot_be_read_is_told_and_calls_nothing_edited() {
    let case = no_flags(|case| {
        case.edit_env("b", "# mine\nA=1\nMOSAIC_AGENT_NAME=b\n");
        case.installed = Fact::Unknown("ledger.json: line 3, column 1: expected a value".into());
    });
    for agent in ["a", "b", "c"] {
        assert!(reason(&case, agent, "ledger").contains("line 3, column 1"));
    }
    // A fleet that nobody installed has none.
    let case = no_flags(|case| case.installed = Fact::Known(None));
    assert!(case.row("b").reasons.iter().all(|r| !r.starts_with("ledger")));
}

#[test]
fn other_variables_than_the_files_hold_are_drift_and_no_value_is_told() {
    for local in ["B=secret\n", "A=secret\n"] {
        let case = flags_b(&[Flag::Drift], |case| {
            case.local_env("b", local);
        });
        assert!(reason(&case, "b", "DRIFT").contains("other variables"));
        assert!(!format!("{:?}", case.row("b")).contains("secret"));
    }
    flags_b(&[Flag::Drift, Flag::Edited], |case| case.edit_env("b", "A=2\nMOSAIC_AGENT_NAME=b\n"));
    // Nothing runs, so nothing runs with other variables.
    flags_b(&[Flag::Dead, Flag::Edited], |case| {
        case.edit_env("b", "A=2\nMOSAIC_AGENT_NAME=b\n");
        case.kill("b");
        case.record(&name("b"), |r| (r.state, r.runtime_pid) = (State::Ended, None));
    });
    // One that was started by hand, or by an older supervisor: not known.
    no_flags(|case| {
        case.record(&name("b"), |r| r.environment = None);
        case.local_env("b", "B=1\n");
    });
}

#[test]
fn a_restart_that_is_due_is_pending_until_the_supervisor_is_another() {
    let due = |main_pid| Due { boot_id: BOOT.to_owned(), main_pid, shared: false };
    let waits = |case: &mut Case, due: Due| drop(case.ledger().restarts_due.insert(name("b").unit(), due));
    for pid in [50, 0] {
        let case = flags_b(&[Flag::Pending], |case| waits(case, due(pid)));
        assert!(reason(&case, "b", "PENDING").ends_with("fleet apply, or fleet restart b"));
    }
    let shared = flags_b(&[Flag::Pending], |case| waits(case, Due { shared: true, ..due(50) }));
    assert!(reason(&shared, "b", "PENDING").ends_with("apply: fleet restart b"), "an apply would not");
    no_flags(|case| waits(case, due(49)));
    no_flags(|case| waits(case, Due { boot_id: "earlier".to_owned(), ..due(50) }));
    // What is down starts with the new files.
    flags_b(&[Flag::Dead], |case| {
        waits(case, due(50));
        case.kill("b");
        case.unit("b").active = "failed".to_owned();
    });
}

#[test]
fn a_holder_that_waits_for_a_restart_is_pending_on_all_rows() {
    let of = |main_pid| {
        let mut case = Case::of(&["a", "b"]);
        let due = Due { boot_id: BOOT.to_owned(), main_pid, shared: false };
        case.ledger().restarts_due.insert(HOLDER_UNIT.to_owned(), due);
        case
    };
    let case = of(SERVER);
    assert_eq!(case.flags(), ["a", "b"].map(|agent| (agent.to_owned(), vec![Flag::Pending])));
    assert!(reason(&case, "a", "PENDING").contains("fleet apply --restart-holder"));
    assert_eq!(of(SERVER + 1).flags(), [], "it was restarted since");
}

#[test]
fn files_that_are_untouched_since_the_start_are_judged_by_what_the_supervisor_noted() {
    no_flags(|case| drop(case.seen.environments.insert(name("b"), EnvironmentFiles::AsStarted)));
    // It was started with what somebody had edited before.
    flags_b(&[Flag::Edited], |case| {
        case.record(&name("b"), |r| {
            r.environment = Some(Environment::of(b"A=2\n", b"", "1.2 -".into()));
        });
        case.seen.environments.insert(name("b"), EnvironmentFiles::AsStarted);
    });
}
