//! docs/reliability.md: which test proves what of which fault, and what a run has measured. The measured columns come
//! from `target/reliability.tsv`, which the tests write; `UPDATE_RELIABILITY=1 cargo test --test reliability` after
//! them writes the page.

#[path = "common/figures.rs"]
mod figures;
#[path = "common/measured.rs"]
mod measured;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use figures::Figures;

const BEGIN: &str = "<!-- made by tests/reliability.rs -->\n";
const END: &str = "<!-- end -->\n";

/// A fault, what must hold, and the tests that inject it.
const FAULTS: &[(&str, &str, &[&str])] = &[
    (
        "pane killed",
        "that agent is back, no other is touched",
        &[
            "rig_failures::a_killed_pane_is_back_and_no_other_is_touched",
            "rig_supervisor::a_dead_pane_or_supervisor_brings_back_that_agent_and_touches_no_other",
        ],
    ),
    (
        "supervisor kill -9",
        "the same",
        &[
            "rig_failures::a_killed_supervisor_is_back_with_its_agent_and_no_other_is_touched",
            "rig_supervisor::a_dead_pane_or_supervisor_brings_back_that_agent_and_touches_no_other",
        ],
    ),
    (
        "pane SIGSTOPped",
        "tmux lets the process that it started go on: nothing of it shows",
        &["rig_failures::a_stopped_pane_is_continued_by_tmux"],
    ),
    (
        "runtime SIGSTOPped",
        "shown stale though its pane lives; with `on_stale: restart` restarted alone",
        &[
            "rig_failures::a_stopped_runtime_is_shown_stale_and_restarted_alone",
            "rig_observe::a_runtime_that_stopped_answering_is_stale_while_its_pane_lives",
            "rig_stale::who_stops_answering_is_restarted_alone_and_later_each_time",
        ],
    ),
    (
        "tmux server kill -9",
        "all agents are back, each in its own unit",
        &[
            "rig_failures::all_are_back_after_their_server_was_killed",
            "rig_supervisor::all_agents_are_back_within_three_seconds_of_the_servers_death",
        ],
    ),
    (
        "socket file deleted",
        "told with the command that makes it again; nobody restarts",
        &[
            "rig_failures::a_removed_socket_is_told_with_what_brings_it_back_and_nobody_restarts",
            "rig_observe::a_socket_that_was_removed_is_told_with_the_cure",
        ],
    ),
    (
        "holder stopped",
        "named by verify; `fleet start` brings all back",
        &[
            "rig_failures::a_stopped_holder_is_named_and_comes_back_when_it_is_told_to",
            "rig_verify::whatever_keeps_the_fleet_from_running_is_named_once_and_its_cure_works",
        ],
    ),
    (
        "holder's restart fails once",
        "nobody stays down",
        &["rig_supervisor::one_failed_restart_of_the_holder_leaves_nobody_down"],
    ),
    (
        "holder flaps ten times in a minute",
        "all answer after the last",
        &["rig_failures::a_holder_that_flaps_ten_times_in_a_minute_leaves_nobody_down"],
    ),
    (
        "foreign server on the socket",
        "named and left alone; the holder follows its end",
        &[
            "rig_supervisor::a_foreign_server_on_the_socket_is_named_and_left_alone_and_the_holder_follows_its_end",
        ],
    ),
    (
        "user manager restarted",
        "all are back by themselves",
        &[
            "rig_failures::all_are_back_after_their_manager_was_restarted",
            "user_manager::jobs_of_a_manager_that_is_killed_meanwhile_are_unknown_and_not_failed",
        ],
    ),
    (
        "logout of the last session",
        "nothing happens",
        &["rig_failures::the_last_session_ends_and_nothing_happens"],
    ),
    (
        "reboot",
        "all are back with nobody logged in, and verify says so",
        &[
            "rig_failures::a_reboot_brings_all_back_with_nobody_logged_in_and_verify_says_so",
            "rig_fleet::init_starts_three_healthy_agents_and_they_are_back_after_a_reboot_without_a_login",
        ],
    ),
    (
        "power cut during apply",
        "after the boot apply converges, verify is green, no message was lost or came twice",
        &[
            "rig_power::cold_cuts_of_power_in_the_middle_of_work_cost_nothing_that_was_done",
            "rig_power::two_hundred_cold_cuts_cost_nothing_that_was_done",
        ],
    ),
    (
        "power cut while root makes, changes or removes a tenant",
        "the same again converges; what root keeps is whole, no uid is lost or given twice, lingering is remembered as it was",
        &[
            "rig_power::cold_cuts_of_power_in_the_middle_of_work_cost_nothing_that_was_done",
            "rig_power::two_hundred_cold_cuts_cost_nothing_that_was_done",
            "rig_power::wherever_the_disk_has_made_something_last_a_power_cut_finds_whole_files_and_what_was_promised",
        ],
    ),
    (
        "power cut at each flush of the disk",
        "every file is one that was written, the ledger is readable, what was promised is there",
        &[
            "rig_power::wherever_the_disk_has_made_something_last_a_power_cut_finds_whole_files_and_what_was_promised",
            "rig_power::wherever_the_disk_has_made_something_last_on_both_trees_and_with_writes_out_of_order",
        ],
    ),
    (
        "kill -9 of apply at each step",
        "the next apply makes the same of it",
        &[
            "apply_killed::files_are_the_same_whichever_step_of_writing_them_a_kill_met",
            "apply_killed::the_fleet_is_the_same_whichever_step_of_an_apply_a_kill_met",
        ],
    ),
    (
        "disk full",
        "named; the next apply makes the same of it; a message that is refused was not typed, and sent again it comes once",
        &[
            "apply_killed::a_full_home_is_named_and_the_next_apply_makes_the_same_of_it",
            "apply_killed::on_a_full_disk_a_message_is_refused_and_sent_again_it_comes_once",
        ],
    ),
    (
        "disk quota used up",
        "named for that tenant, whose files stand as they did; others are provisioned; the next apply makes all well",
        &["rig_limits::a_used_up_disk_quota_is_named_and_holds_nobody_up"],
    ),
    (
        "read-only home",
        "named; the next apply makes the same of it",
        &["apply_killed::a_read_only_home_is_named_and_the_next_apply_makes_the_same_of_it"],
    ),
    (
        "roster half-written",
        "refused with its place before the first step; the fleet runs on",
        &[
            "rig_failures::a_half_written_roster_is_refused_before_the_first_step",
            "apply_refused::an_unreadable_roster_stops_before_the_first_step",
        ],
    ),
    (
        "ledger corrupt",
        "stops before the first step; the fleet runs on",
        &[
            "rig_failures::a_corrupt_ledger_is_refused_before_the_first_step_and_the_fleet_runs_on",
            "apply_refused::a_ledger_that_can_not_be_read_stops_before_the_first_step",
        ],
    ),
    (
        "clock jump",
        "nobody is stale, nothing is flagged",
        &["rig_limits::whoever_beats_is_neither_stale_nor_restarted_when_the_clock_jumps"],
    ),
    (
        "LC_ALL=C",
        "nothing differs",
        &[
            "rig_fleet::the_plainest_locale_changes_nothing",
            "ps::two_hundred_agents_with_the_longest_names_are_a_row_each_in_any_locale_and_width",
        ],
    ),
    (
        "user's own tmux.conf with base-index 1 and odd prefix",
        "neither read nor touched",
        &["rig_fleet::the_users_own_tmux_is_neither_read_nor_touched"],
    ),
    (
        "another tmux server of the same user",
        "never sees a byte",
        &[
            "rig_talk::a_fleet_talks_and_what_was_queued_outlives_a_stop_and_a_reboot",
            "agent_send::no_other_server_hears_of_it",
        ],
    ),
    (
        "login shell nologin",
        "nothing differs",
        &["rig_fleet::a_login_shell_that_lets_nobody_in_changes_nothing"],
    ),
    (
        "slow npm",
        "waited for five seconds, then told; no start waits for it",
        &[
            "rig_failures::an_npm_that_never_answers_holds_nobody_up",
            "start_by_hand::npms_global_prefix_comes_second_as_it_was_kept_and_npm_is_not_asked_at_a_start",
        ],
    ),
    (
        "network away at boot",
        "tried again and again with a growing delay that is shown; runs once it can",
        &["rig_failures::what_has_no_network_at_boot_is_told_and_tried_again_until_it_runs"],
    ),
    (
        "network away at boot for ten minutes",
        "the same; the wait between two tries is never longer than a minute",
        &["rig_failures::what_has_no_network_for_ten_minutes_after_a_boot_runs_once_it_can"],
    ),
    (
        "stop in the middle of a start, 40 times",
        "no session and no process is left",
        &["rig_supervisor::forty_stops_in_the_middle_of_a_start_leave_no_session_and_no_process"],
    ),
    (
        "40 agents started at once",
        "each in its own unit when start returns",
        &["rig_supervisor::forty_agents_started_at_once_are_each_in_their_own_unit_when_start_returns"],
    ),
    (
        "200 agents started at once",
        "all start",
        &["rig_failures::two_hundred_agents_start_and_come_back_when_their_server_is_killed"],
    ),
    (
        "200 agents",
        "all are back when their server is killed, and are a row each",
        &[
            "rig_failures::two_hundred_agents_start_and_come_back_when_their_server_is_killed",
            "ps::two_hundred_agents_with_the_longest_names_are_a_row_each_in_any_locale_and_width",
        ],
    ),
    (
        "memory hog with a limit",
        "it alone is killed, and shown with OOM",
        &["rig_limits::a_memory_hog_is_killed_alone_and_shown"],
    ),
    (
        "fork bomb under tasks_max",
        "refused by the kernel, and told; everybody else gets processes; it can be stopped",
        &["rig_limits::a_fork_bomb_is_refused_by_the_kernel_and_can_be_stopped"],
    ),
    ("busy loop under cpu_quota", "gets its share", &["rig_limits::a_busy_loop_gets_its_share"]),
    (
        "a tenant over its own limits",
        "hits its own agents, never what carries them, never another tenant",
        &[
            "rig_limits::a_tenant_over_its_limits_hits_its_own_agents_and_no_other_tenant",
            "rig_limits::a_tenants_share_of_the_processor_is_that_of_all_its_agents_together",
        ],
    ),
    (
        "ten concurrent applies",
        "all succeed, one does the work",
        &[
            "apply_refused::ten_applies_at_once_all_succeed_and_leave_one_state",
            "rig_apply_bus::ten_applies_at_once_do_the_work_once_with_one_reload_and_the_rest_say_whom_they_wait_for",
        ],
    ),
    (
        "ten concurrent sends to one agent",
        "each message once, and whole",
        &["agent_send::ten_senders_and_a_hundred_messages_arrive_once_each_and_whole"],
    ),
    (
        "sender killed at any step",
        "never a second paste",
        &["agent_send::a_sender_that_is_killed_at_any_step_never_leads_to_a_second_paste"],
    ),
    (
        "hostile roster values",
        "the runtime sees them byte for byte",
        &[
            "rig_fleet::the_runtime_sees_hostile_values_exactly_as_the_roster_says",
            "rig_render::systemd_reads_back_what_the_writer_wrote_and_our_reader_reads_what_systemd_reads",
        ],
    ),
    (
        "agent names that are prefixes of one another",
        "a name is meant exactly",
        &[
            "tmux_client::a_name_that_is_a_prefix_of_another_never_hits_it",
            "agent_send::a_name_is_exact_and_the_dead_are_an_error_unless_it_is_queued",
        ],
    ),
    (
        "hung tmux server",
        "unknown within two seconds, never dead",
        &["rig_observe::a_hung_server_is_unknown_within_two_seconds"],
    ),
    (
        "hung user manager",
        "unknown within two seconds, never dead",
        &["rig_observe::a_hung_manager_is_unknown_within_two_seconds"],
    ),
];

#[test]
fn every_fault_of_the_page_has_a_test_that_is_there() {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    for (fault, _, proofs) in FAULTS {
        assert!(!proofs.is_empty(), "{fault}");
        for proof in *proofs {
            let (program, name) = proof.split_once("::").expect("a test's program and its name");
            let there = sources(&tests, program).iter().any(|s| s.contains(&format!("\nfn {name}() {{\n")));
            assert!(there, "{fault}: {proof} is no test");
        }
    }
}

/// What proves more than one fault, and why no test of its own is needed for each.
const SHARED: &[&str] = &[
    // Both die in it, one after the other, beside a test of each.
    "rig_supervisor::a_dead_pane_or_supervisor_brings_back_that_agent_and_touches_no_other",
    // Two hundred of them, in each locale.
    "ps::two_hundred_agents_with_the_longest_names_are_a_row_each_in_any_locale_and_width",
    // A killed server needs two hundred that were started.
    "rig_failures::two_hundred_agents_start_and_come_back_when_their_server_is_killed",
    // A cut meets whatever is being done.
    "rig_power::",
    "rig_limits::",
];

#[test]
fn a_test_proves_one_fault() {
    let proofs: Vec<&str> = FAULTS.iter().flat_map(|(_, _, proofs)| proofs.iter().copied()).collect();
    for proof in &proofs {
        let times = proofs.iter().filter(|other| *other == proof).count();
        assert!(
            times == 1 || SHARED.iter().any(|shared| proof.starts_with(shared)),
            "{proof}: {times} faults"
        );
    }
}

/// The sources of a program of tests: a file, or all in a folder.
fn sources(tests: &Path, program: &str) -> Vec<String> {
    let files = fs::read_dir(tests.join(program)).into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .chain([tests.join(format!("{program}.rs"))])
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

#[test]
fn the_page_has_every_fault_with_its_tests() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let page = fs::read_to_string(&file).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("its table begins");
    let (made, after) = rest.split_once(END).expect("its table ends");
    let (line, table) = made.split_once("\n\n").expect("a line and the table");
    if std::env::var_os("UPDATE_RELIABILITY").is_some() {
        let made = update(table);
        return fs::write(&file, format!("{before}{BEGIN}{made}{END}{after}")).expect("the page is written");
    }
    assert!(line.starts_with("Measured ") && line.lines().count() == 1, "from what it was made: {line}");
    let stands = rows(table);
    for (fault, row) in rows(&render(&Figures::default(), "")) {
        let seen = stands.get(fault).unwrap_or_else(|| panic!("missing in docs/reliability.md: {fault}"));
        assert_eq!((seen[1], seen[4]), (row[1], row[4]), "other in docs/reliability.md: {fault}");
        let dashes = seen[2..4] == row[2..4];
        assert!(dashes || figures::measured().any(|m| m == fault), "nothing measures it: {fault}: {seen:?}");
    }
    assert_eq!(stands.len(), FAULTS.len(), "docs/reliability.md has more faults than the tests");
    let names: Vec<&str> = FAULTS.iter().map(|(fault, ..)| *fault).collect();
    assert!(figures::measured().all(|fault| names.contains(&fault)), "measured, and no fault");
}

/// The page's figures of this build, all of them or none.
fn update(stands: &str) -> String {
    let build = measured::build::name();
    assert!(!build.ends_with(measured::build::CHANGED), "commit first: figures are of a commit");
    let noted = fs::read_to_string(measured::file()).expect("a run of the other tests wrote its figures");
    let figures = Figures::of(build, &noted);
    let names: Vec<&str> = FAULTS.iter().map(|(fault, ..)| *fault).collect();
    let gaps = figures.gaps(&names);
    assert!(gaps.is_empty(), "the page stays as it is; of {build}:\n{}", gaps.join("\n"));
    let (days, table) = (figures.days(), render(&figures, stands));
    format!(
        "Measured at {build}, {days}, by these tests; what only the long run measures may be older.\n\n{table}"
    )
}

/// The cells of each fault's row.
fn rows(table: &str) -> BTreeMap<&str, Vec<&str>> {
    let cells = |line| -> Vec<&str> { str::trim_matches(line, ['|', ' ']).split(" | ").collect() };
    table.lines().skip(2).map(cells).map(|cells| (cells[0], cells)).collect()
}

fn render(figures: &Figures, stands: &str) -> String {
    let mut table =
        "| fault | what holds | shown after | well after | tests |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    let stands = rows(stands);
    for (fault, holds, proofs) in FAULTS {
        let cells = stands.get(fault).map(|row| [row[2].to_owned(), row[3].to_owned()]);
        let [shown, well] = figures.cells(fault, cells);
        let tests: Vec<String> = proofs.iter().map(|proof| format!("`{proof}`")).collect();
        table.push_str(&format!("| {fault} | {holds} | {shown} | {well} | {} |\n", tests.join(", ")));
    }
    table
}

#[test]
fn figures_are_of_one_build_and_whatever_lacks_or_has_no_row_is_named() {
    let line = |build: &str, fault: &str, shown: &str| {
        format!("{build}\t2026-01-02\t{fault}\tBookworm\t{shown}\t1.00\n")
    };
    let of = |lines: &[String]| Figures::of("new", &lines.concat());
    let figures =
        of(&[line("new", "pane killed", "2.00"), line("old", "pane killed", "9.00"), line("new", "x", "-")]);
    assert_eq!(figures.cells("pane killed", None), ["2.0 s (Bookworm)", "1.0 s (Bookworm)"]);
    assert_eq!(figures.days(), "2026-01-02");
    let gaps = figures.gaps(&["pane killed"]);
    assert!(gaps.contains(&"pane killed: shown after, Trixie: not measured".to_owned()), "{gaps:?}");
    assert!(!gaps.contains(&"pane killed: shown after, Bookworm: not measured".to_owned()), "{gaps:?}");
    assert!(gaps.contains(&"x: measured, and in no row".to_owned()), "{gaps:?}");
    let gaps = figures.gaps(&["pane killed", "x"]);
    assert!(gaps.contains(&"x: measured, and nothing asks for it".to_owned()), "{gaps:?}");
    // What only a long run measures stays as it was.
    let stands = ["–".to_owned(), "7.0 s (Trixie)".to_owned()];
    assert_eq!(figures.cells("200 agents", Some(stands.clone())), stands);
    assert_eq!(figures.cells("reboot", Some(stands)), ["–", "–"]);
}
