//! Each flag by its condition: on that row, and on no other.

use super::case::{BOOT, Case, NOW, SERVER, UNIX, flags_b, name, no_flags, pane, reason};
use super::{Flag, PaneState};
use crate::names::HOLDER_UNIT;
use crate::runfile::environment::Environment;
use crate::runfile::launched::Launched;
use crate::runfile::receipt::{self, Receipt, Summary};
use crate::runfile::record::{End, State};
use crate::snapshot::{Content, Fact, Tmux};

fn ago(seconds: f64) -> String {
    format!("pid=200\nboot_id={BOOT}\nboottime={}\n", NOW - seconds)
}

#[test]
fn a_healthy_fleet_has_no_flag_and_says_everything_that_is_known() {
    let row = no_flags(|_| ()).row("b");
    assert_eq!((row.pane.state, row.pane.pid, row.restarts), (PaneState::Alive, Some(200), Some(0)));
    assert_eq!((row.idle_seconds, row.heartbeat.age_seconds), (Some(30.0), Some(5.0)));
    assert_eq!((row.heartbeat.health.word(), row.heartbeat.status), ("healthy", Some("ok")));
    assert_eq!((row.systemd.active.as_deref(), row.systemd.enabled), (Some("active"), Some(true)));
    assert_eq!((row.memory_bytes, row.class, row.lifecycle), (Some(4096), None, Some("core")));
    assert_eq!(row.reasons, ["version: it was not noted at its launch"]);
}

#[test]
fn the_version_is_what_was_noted_at_the_launch_of_what_runs_now() {
    let with = |text: Fact<String>| {
        let case = no_flags(|case| drop(case.seen.launched.insert(name("b"), text)));
        let row = case.row("b");
        let why = row.reasons.iter().find_map(|r| r.strip_prefix("version: ").map(str::to_owned));
        row.version.ok_or_else(|| why.unwrap_or_default())
    };
    let note = Launched {
        pid: 200,
        boot_id: BOOT.to_owned(),
        runtime: "claude".to_owned(),
        version: Ok("2.1.0".to_owned()),
    };
    let known = |note: Launched| with(Fact::Known(note.text()));
    assert_eq!(known(note.clone()), Ok("2.1.0".to_owned()));
    let below = Launched { pid: 201, ..note.clone() };
    assert_eq!(known(below), Ok("2.1.0".to_owned()), "a shell of the roster's may stand above it");
    let another = Err("what was noted is of another launch".to_owned());
    for changed in [
        Launched { pid: 100, ..note.clone() },
        Launched { boot_id: "another".to_owned(), ..note.clone() },
        Launched { runtime: "codex".to_owned(), ..note.clone() },
    ] {
        assert_eq!(known(changed), another);
    }
    assert_eq!(
        known(Launched { version: Err("no package".to_owned()), ..note }),
        Err("no package".to_owned())
    );
    assert_eq!(
        with(Fact::Known("x".to_owned())),
        Err("what was noted at its launch can't be read".to_owned())
    );
    assert_eq!(with(Fact::Unknown("a link".to_owned())), Err("a link".to_owned()));
}

#[test]
fn dogfood_has_the_version_of_the_program_that_supervises_it() {
    let mut case = Case::with_roster("version: 1\ntenant_id: usc\nagents: [{name: a, runtime: dogfood}]\n");
    let version = |case: &Case| case.row("a").version;
    case.record(&name("a"), |r| r.supervisor = "0.9.7".to_owned());
    let process = case.seen.processes.get_mut(&100).expect("it runs");
    process.argv = vec!["/usr/bin/mosaic".to_owned(), "yolo".to_owned(), "dogfood".to_owned()];
    process.comm = "mosaic".to_owned();
    assert_eq!(version(&case).as_deref(), Some("0.9.7"), "{:#?}", case.row("a"));
    case.record(&name("a"), |r| r.supervisor = "0.9\u{1b}[31m".to_owned());
    assert_eq!(version(&case), None);
    case.record(&name("a"), |r| (r.supervisor, r.runtime_pid) = ("0.9.7".to_owned(), Some(77)));
    assert_eq!(version(&case), None, "a record of another run");
    case.record(&name("a"), |r| r.runtime_pid = Some(100));
    case.seen.processes.get_mut(&100).expect("it runs").argv = vec!["sleep".to_owned()];
    case.seen.processes.get_mut(&100).expect("it runs").comm = "sleep".to_owned();
    assert_eq!(version(&case), None, "something else runs: {:#?}", case.row("a"));
}

#[test]
fn a_killed_pane_is_dead_and_says_how() {
    let case = flags_b(&[Flag::Dead], |case| case.kill("b"));
    let row = case.row("b");
    assert_eq!((row.pane.state, row.pane.pid, row.pane.command), (PaneState::Dead, None, None));
    assert_eq!(row.heartbeat.health.word(), "stale");
    assert_eq!(
        reason(&case, "b", "DEAD"),
        "DEAD: its process was ended by signal 9; its unit is active (running); its supervisor: running"
    );
}

#[test]
fn a_process_that_is_gone_is_dead_though_its_children_keep_the_terminal_open() {
    flags_b(&[Flag::Dead], |case| {
        case.seen.processes.remove(&200);
    });
}

#[test]
fn a_wanted_agent_without_a_session_is_dead_whatever_its_unit_says() {
    for active in ["inactive", "failed", "activating", "deactivating"] {
        flags_b(&[Flag::Dead], |case| {
            case.panes().retain(|p| p.session != "b");
            case.unit("b").active = active.to_owned();
            case.record(&name("b"), |r| r.state = State::Ended);
        });
    }
}

#[test]
fn an_agent_whose_start_is_under_way_is_not_dead() {
    for state in [State::Waiting, State::Starting] {
        let case = no_flags(|case| {
            case.panes().retain(|p| p.session != "b");
            (case.unit("b").active, case.unit("b").sub) = ("activating".into(), "start".into());
            case.record(&name("b"), |r| (r.state, r.status) = (state, "waiting for a start slot".into()));
        });
        assert_eq!(reason(&case, "b", "starting"), "starting: waiting for a start slot");
    }
    no_flags(|case| {
        case.panes().retain(|p| p.session != "b");
        (case.unit("b").active, case.unit("b").job) = ("inactive".into(), "start".into());
    });
}

#[test]
fn an_agent_that_is_held_back_after_quick_ends_is_dead_and_says_until_when() {
    let case = flags_b(&[Flag::Dead], |case| {
        case.panes().retain(|p| p.session != "b");
        (case.unit("b").active, case.unit("b").sub) = ("activating".into(), "start".into());
        case.record(&name("b"), |r| {
            (r.state, r.status) = (State::Backoff, "ended 3 times too soon; next try in 4 s".into());
            (r.starts, r.last_end) = (3, Some(End::Exit(1)));
        });
    });
    assert!(reason(&case, "b", "DEAD").ends_with("its supervisor: ended 3 times too soon; next try in 4 s"));
    assert_eq!(reason(&case, "b", "last end"), "last end: exit code 1");
    assert_eq!(case.row("b").restarts, Some(2));
}

#[test]
fn active_by_systemd_with_nothing_running_is_exited_active() {
    flags_b(&[Flag::ExitedActive], |case| {
        case.kill("b");
        case.unit("b").sub = "exited".to_owned();
    });
}

#[test]
fn a_beat_decides_between_stale_alive_none_and_bad() {
    let b = name("b");
    flags_b(&[Flag::Stale], |case| case.beat(&b, &ago(46.0)));
    flags_b(&[Flag::Alive], |case| case.beat(&b, &format!("{}source=sidecar\n", ago(5.0))));
    flags_b(&[Flag::BadBeat], |case| case.beat(&b, &ago(5.0).replace("200", "100")));
    flags_b(&[Flag::BadBeat], |case| {
        case.seen.beats.insert(b.clone(), Fact::Known(Content::Link));
    });
    flags_b(&[Flag::NoBeat], |case| drop(case.seen.beats.remove(&b)));
    // The last beat is of the run before this one, and this one is young.
    no_flags(|case| {
        case.beat(&b, &ago(50.0));
        case.seen.processes.get_mut(&200).expect("it runs").started = NOW - 40.0;
    });
    no_flags(|case| case.beat(&b, &ago(5.0).replace("200", "201")));
}

#[test]
fn a_beats_own_interval_decides_how_long_it_is_fresh() {
    no_flags(|case| case.beat(&name("b"), &format!("{}interval=60\n", ago(100.0))));
}

#[test]
fn codex_is_healthy_by_a_sidecar_while_idle() {
    let mut case = Case::with_roster("version: 1\ntenant_id: usc\nagents:\n  - {name: b, runtime: codex}\n");
    let beat =
        format!("pid=100\nboot_id={BOOT}\nboottime={}\nsource=sidecar\nheard=600\nstate=idle\n", NOW - 5.0);
    case.beat(&name("b"), &beat);
    assert_eq!(case.flags(), []);
}

#[test]
fn a_beat_that_cannot_be_read_is_not_known_and_no_flag() {
    let case = no_flags(|case| {
        case.seen.beats.insert(name("b"), Fact::Unknown("permission denied".into()));
    });
    assert!(reason(&case, "b", "heartbeat").contains("permission denied"));
}

#[test]
fn a_runtime_in_another_unit_is_outside() {
    let case = flags_b(&[Flag::Outside], |case| {
        case.seen.processes.get_mut(&200).expect("it runs").unit = "tmux-spawn-1.scope".into();
    });
    assert_eq!(
        reason(&case, "b", "OUTSIDE"),
        "OUTSIDE: its process is in tmux-spawn-1.scope, not in mosaic-agent@b.service"
    );
}

#[test]
fn another_program_than_the_rosters_is_drift_and_only_its_name_is_told() {
    let case = flags_b(&[Flag::Drift], |case| {
        case.runs("b", "vim");
        case.seen.processes.get_mut(&200).expect("it runs").argv.push("secret".into());
    });
    assert_eq!(reason(&case, "b", "DRIFT"), "DRIFT: runs vim, not claude");
    // A shell that was started a moment ago has not become the runtime yet.
    no_flags(|case| {
        case.runs("b", "sh");
        case.seen.processes.get_mut(&200).expect("it runs").started = NOW - 5.0;
        case.beat(&name("b"), &ago(1.0));
    });
}

#[test]
fn what_runs_and_would_not_come_back_has_a_boot_enable_gap() {
    flags_b(&[Flag::BootEnable], |case| {
        case.wants().remove(&("default.target".to_owned(), name("b").unit()));
    });
    flags_b(&[Flag::BootEnable], |case| case.unit("b").load = "masked".to_owned());
    for spoil in
        [(|case: &mut Case| case.seen.linger = Fact::Known(false)) as fn(&mut Case), |case: &mut Case| {
            case.units().get_mut(HOLDER_UNIT).expect("it is loaded").load = "masked".to_owned()
        }]
    {
        let mut off = Case::of(&["a", "b"]);
        spoil(&mut off);
        let gap = || vec![Flag::BootEnable];
        assert_eq!(off.flags(), [("a".to_owned(), gap()), ("b".to_owned(), gap())]);
    }
    no_flags(|case| case.seen.linger = Fact::Unknown("no logind".into()));
    no_flags(|case| case.seen.wants = Fact::Unknown("permission denied".into()));
}

#[test]
fn an_ephemeral_agent_is_neither_missed_at_boot_nor_dead_between_tasks() {
    let text = "version: 1\ntenant_id: usc\nagents:\n  - {name: w, runtime: claude, lifecycle: ephemeral, lane: x}\n";
    let mut case = Case::with_roster(text);
    case.wants().retain(|(_, unit)| unit == HOLDER_UNIT);
    assert_eq!(case.flags(), []);
    case.panes().retain(|p| p.session != "w");
    case.units().remove(&name("w").unit());
    assert_eq!(case.flags(), []);
}

#[test]
fn a_file_that_systemd_has_not_read_asks_for_a_reload() {
    flags_b(&[Flag::Reload], |case| case.detail("b").needs_reload = true);
}

#[test]
fn another_file_that_wins_shadows_and_is_a_gap() {
    let other = "/home/usc/.config/systemd/user/mosaic-agent@b.service";
    let case =
        flags_b(&[Flag::BootEnable, Flag::Shadowed], |case| case.detail("b").fragment = other.to_owned());
    assert!(reason(&case, "b", "SHADOWED").contains(other));
}

#[test]
fn a_clock_that_was_set_changes_no_verdict_where_a_beat_tells_the_boots_own_time() {
    for step in [-1e7, 1e7] {
        let case = no_flags(|case| case.seen.clock.unix += step);
        assert_eq!(case.row("b").heartbeat.age_seconds, Some(5.0));
    }
    // A beat of the three plain lines has the wall clock alone.
    let plain = |case: &mut Case, ts: &str| {
        let content = format!("ts={ts}\npid=200\nstatus=ok\n").into_bytes();
        case.seen.beats.insert(name("b"), Fact::Known(Content::File(content)));
    };
    flags_b(&[Flag::BadBeat], |case| plain(case, "2027-01-01T00:00:00Z"));
    no_flags(|case| plain(case, "2026-11-20T09:59:55Z"));
}

#[test]
fn three_starts_within_ten_minutes_are_flapping_and_older_ones_are_not() {
    flags_b(&[Flag::Flapping], |case| {
        case.record(&name("b"), |r| (r.starts, r.start_times) = (3, vec![401.0, 500.0, 600.0]));
    });
    no_flags(|case| case.record(&name("b"), |r| r.start_times = vec![399.0, 500.0, 600.0]));
}

#[test]
fn a_kill_by_the_oom_killer_is_shown_for_an_hour() {
    flags_b(&[Flag::Oom], |case| case.record(&name("b"), |r| r.last_oom = Some(NOW - 10.0)));
    flags_b(&[Flag::Oom], |case| {
        case.seen.oom_kills.insert(name("b").unit(), 1);
    });
    let long_run = |case: &mut Case, noted: Option<u64>, counted: u64, at: f64| {
        case.seen.clock.boottime = 5000.0;
        case.seen.clock.unix = UNIX + 4000.0;
        for agent in ["a", "b", "c"] {
            let pid = case.pane(agent).pid;
            case.beat(&name(agent), &format!("pid={pid}\nboot_id={BOOT}\nboottime=4995\n"));
        }
        case.record(&name("b"), |r| (r.last_oom, r.run_oom_kills) = (Some(at), noted));
        case.seen.oom_kills.insert(name("b").unit(), counted);
    };
    no_flags(|case| long_run(case, None, 1, 1000.0));
    no_flags(|case| long_run(case, Some(1), 1, 1000.0));
    // Late in a long run: noted when it happened, or so new that it is not noted yet.
    flags_b(&[Flag::Oom], |case| long_run(case, Some(1), 1, 4000.0));
    flags_b(&[Flag::Oom], |case| long_run(case, Some(1), 2, 1000.0));
}

#[test]
fn what_the_runtime_says_of_itself_is_shown_while_the_word_is_fresh() {
    for (state, flag) in [
        ("rate-limited", Flag::RateLimited),
        ("needs-input", Flag::NeedsInput),
        ("auth-expired", Flag::AuthExpired),
        ("context-full", Flag::ContextFull),
    ] {
        let lines = |age| format!("{}state={state}\nresume_at=2026-11-20T11:00:00Z\n", ago(age));
        let case = flags_b(&[flag], |case| case.beat(&name("b"), &lines(5.0)));
        assert_eq!(case.row("b").heartbeat.resume_at.as_deref(), Some("2026-11-20T11:00:00Z"));
        flags_b(&[Flag::Stale], |case| case.beat(&name("b"), &lines(60.0)));
    }
}

#[test]
fn a_person_who_can_type_is_shown() {
    flags_b(&[Flag::Attached], |case| case.pane("b").attached = 1);
}

/// An agent's receipts: the last one's state, and how many messages expired.
fn receipts(case: &mut Case, state: receipt::State, expired: u32, next_expiry: Option<&str>) {
    let latest = Receipt {
        schema_version: receipt::VERSION,
        id: "m1".into(),
        tenant_id: "usc".into(),
        host: "box".into(),
        agent: "b".into(),
        source: "planner".into(),
        state,
        reason: None,
        created_at: "2026-11-20T09:00:00Z".into(),
        steps: Vec::new(),
        body_sha256: String::new(),
        body_bytes: 1,
        prompt_sha256: String::new(),
        draft_sha256: None,
        typed_again: Vec::new(),
        via: None,
        enters: 1,
    };
    let summary = Summary {
        latest: Some(latest),
        expired,
        waiting: u32::from(next_expiry.is_some()),
        next_expiry: next_expiry.map(str::to_owned),
        ..Summary::empty("usc", "box", "b")
    };
    case.seen.receipts.insert(name("b"), Fact::Known(summary.text()));
}

#[test]
fn a_message_that_stands_in_the_composer_is_a_draft_and_one_that_was_taken_is_not() {
    let case = flags_b(&[Flag::Draft], |case| receipts(case, receipt::State::Draft, 0, None));
    assert!(reason(&case, "b", "DRAFT").contains("from planner"));
    for state in [receipt::State::Accepted, receipt::State::Submitted, receipt::State::Held] {
        no_flags(|case| receipts(case, state, 0, None));
    }
    // What stood in a composer went with it.
    flags_b(&[Flag::Dead], |case| {
        receipts(case, receipt::State::Draft, 0, None);
        case.kill("b");
    });
}

#[test]
fn messages_that_expired_in_the_queue_are_undelivered_whoever_looked_since() {
    use receipt::State::Accepted;
    let case = flags_b(&[Flag::Undelivered], |case| receipts(case, Accepted, 2, None));
    assert_eq!(reason(&case, "b", "UNDELIVERED"), "UNDELIVERED: 2 messages expired in its queue");
    flags_b(&[Flag::Undelivered], |case| receipts(case, Accepted, 0, Some("2026-11-20T09:59:59Z")));
    no_flags(|case| receipts(case, Accepted, 0, Some("2026-11-20T10:00:01Z")));
    let case = no_flags(|case| drop(case.seen.receipts.insert(name("b"), Fact::Known("{".into()))));
    assert!(reason(&case, "b", "receipt").contains("no summary"));
}

#[test]
fn a_session_that_the_roster_lacks_has_a_row_of_its_own() {
    let case = {
        let mut case = Case::of(&["a"]);
        case.panes().push(pane("a0", 900));
        case.panes().push(pane("odd name=x", 901));
        case
    };
    let flags = case.flags();
    assert_eq!(flags, [("a0".into(), vec![Flag::Unknown]), ("odd name=x".into(), vec![Flag::Unknown])]);
    let row = case.row("a0");
    assert_eq!((row.runtime, row.systemd.active, row.pane.pid), (None, None, Some(900)));
    assert_eq!(case.rows().len(), 3, "and the holder's session has none");
}

#[test]
fn a_parked_agent_is_neither_drift_nor_failure() {
    let stop = |case: &mut Case| {
        case.panes().retain(|p| p.session != "b");
        case.units().remove(&name("b").unit());
    };
    let case = no_flags(|case| {
        stop(case);
        case.seen.parked.insert(name("b"), Fact::Known(BOOT.to_owned()));
    });
    let row = case.row("b");
    assert!(row.parked && row.pane.state == PaneState::Dead && row.heartbeat.ts.is_none());
    assert_eq!(reason(&case, "b", "parked"), "parked: a person stopped it in this boot");
    // What it ran with says nothing of what it will run with.
    no_flags(|case| {
        stop(case);
        case.seen.processes.retain(|pid, _| !(200..300).contains(pid));
        case.seen.parked.insert(name("b"), Fact::Known(BOOT.to_owned()));
        let ran_with = Environment::of(b"A=1", b"", "1.2 -".into());
        case.record(&name("b"), |record| {
            (record.state, record.environment) = (State::Ended, Some(ran_with));
        });
        case.local_env("b", "B=2\n");
    });
    // Parked in an earlier boot is not parked.
    flags_b(&[Flag::Dead], |case| {
        stop(case);
        case.seen.parked.insert(name("b"), Fact::Known("earlier".to_owned()));
    });
    let text = "version: 1\ntenant_id: usc\nagents:\n  - {name: b, runtime: claude, state: stopped}\n";
    let mut stopped = Case::with_roster(text);
    stop(&mut stopped);
    stopped.wants().retain(|(_, unit)| unit == HOLDER_UNIT);
    assert_eq!((stopped.flags(), stopped.row("b").parked), (vec![], true));
}

#[test]
fn a_tmux_that_does_not_answer_is_never_shown_as_dead() {
    let case = no_flags(|case| case.seen.tmux = Fact::Unknown("tmux did not answer within 1.5 s".into()));
    let row = case.row("b");
    assert_eq!((row.pane.state, row.pane.command, row.idle_seconds), (PaneState::Unknown, None, None));
    // What the supervisor recorded still tells the process, and so the beat's owner.
    assert_eq!((row.pane.pid, row.heartbeat.health.word()), (Some(200), "healthy"));
    assert!(reason(&case, "b", "pane").contains("did not answer within 1.5 s"));
}

#[test]
fn a_socket_that_was_removed_is_not_a_dead_server() {
    let case = no_flags(|case| case.seen.tmux = Fact::Known(Tmux::Absent));
    assert!(reason(&case, "b", "pane").contains(&format!("kill -USR1 {SERVER}")));
    let mut gone = Case::of(&["b"]);
    gone.seen.tmux = Fact::Known(Tmux::Absent);
    gone.seen.processes.clear();
    gone.units().clear();
    assert_eq!(gone.flags(), [("b".to_owned(), vec![Flag::Dead])]);
}

#[test]
fn a_bus_that_does_not_answer_leaves_nulls_and_a_reason_and_what_lives_alive() {
    let case = no_flags(|case| case.seen.units = Fact::Unknown("the user manager did not answer".into()));
    let row = case.row("b");
    assert_eq!((row.systemd.active, row.systemd.sub, row.systemd.enabled), (None, None, Some(true)));
    assert_eq!(row.pane.state, PaneState::Alive);
    assert_eq!(reason(&case, "b", "systemd"), "systemd: the user manager did not answer");
    flags_b(&[Flag::Dead], |case| {
        case.seen.units = Fact::Unknown("the user manager did not answer".into());
        case.kill("b");
    });
}

#[test]
fn restarts_are_counted_by_our_own_record_of_this_boot() {
    let case = no_flags(|case| case.record(&name("b"), |r| (r.boot_id, r.starts) = ("earlier".into(), 9)));
    assert_eq!(case.row("b").restarts, None, "active without a record of this boot");
    let case = no_flags(|case| {
        case.record(&name("b"), |r| {
            (r.starts, r.last_end, r.last_end_at) =
                (2, Some(End::Signal(9)), Some("2026-11-20T09:00:00Z".into()));
        });
    });
    assert_eq!(case.row("b").restarts, Some(1));
    assert_eq!(reason(&case, "b", "last end"), "last end: signal 9, 2026-11-20T09:00:00Z");
}

#[test]
fn a_session_split_by_hand_is_judged_by_the_process_that_was_started() {
    no_flags(|case| {
        let at = case.panes().iter().position(|p| p.session == "b").expect("it has one");
        let mut other = pane("b", 950);
        other.dead = true;
        case.panes().insert(at, other);
    });
}

#[test]
fn every_flag_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Flag::ALL.iter().map(|f| f.word()).collect();
    assert_eq!(words.len(), Flag::ALL.len());
}
