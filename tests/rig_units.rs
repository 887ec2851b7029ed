//! The rendered units under a real user manager: what the server and its panes run in, and starts
//! that can't succeed.

#[path = "common/fleet.rs"]
mod fleet;

use std::collections::BTreeMap;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, roster, unit};

const QUIET: &str = "sleep 100000";

/// The variables of a process as they were when it was executed.
fn environment(fleet: &Fleet, pid: i32) -> BTreeMap<String, String> {
    let text = fleet.rig.read(&format!("/proc/{pid}/environ"));
    text.split_terminator('\0')
        .filter_map(|var| var.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What systemd tells one process about itself, or tmux its panes.
fn is_about_one_process(name: &str) -> bool {
    let names = [
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "SYSTEMD_EXEC_PID",
        "NOTIFY_SOCKET",
        "MAINPID",
        "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
        "TMUX",
        "TMUX_PANE",
        "TMUX_TMPDIR",
        "LC_ALL",
    ];
    let families = ["MANAGERPID", "WATCHDOG_", "LISTEN_", "MEMORY_PRESSURE_"];
    names.contains(&name) || families.iter().any(|family| name.starts_with(family))
}

#[test]
fn the_server_runs_in_what_the_unit_says_whatever_the_user_has_told_the_manager() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        fleet.sh("systemctl --user set-environment LC_ALL=C TMUX_TMPDIR=/tmp/elsewhere EDITOR=vi SHELL=/bin/false").ok();
        fleet.apply(&roster(["a"], QUIET));

        let server = environment(&fleet, fleet.holder());
        let strange: Vec<&String> = server.keys().filter(|name| is_about_one_process(name)).collect();
        assert_eq!(strange, Vec::<&String>::new(), "{suite:?}");
        assert_eq!(server["LANG"], "C.UTF-8");
        assert_eq!(server["LC_CTYPE"], "C.UTF-8");
        let limits = fleet.rig.read(&format!("/proc/{}/limits", fleet.holder()));
        let files = limits.lines().find(|l| l.starts_with("Max open files")).expect("a limit");
        let numbers: Vec<u64> = files.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [soft, hard] = numbers[..] else { panic!("{files}") };
        // As many as asked for, or what the machine allows at most.
        assert_eq!(soft, hard.min(65536), "{suite:?}: {files}");
        let status = fleet.rig.read(&format!("/proc/{}/status", fleet.holder()));
        assert!(status.lines().any(|l| l == "Umask:\t0022"), "{suite:?}: {status}");

        let pane = environment(&fleet, fleet.pane("a").expect("a pane"));
        assert_eq!(pane["MOSAIC_AGENT_NAME"], "a");
        assert_eq!(pane["XDG_RUNTIME_DIR"], format!("/run/user/{}", fleet.uid));
        for name in ["LC_ALL", "INVOCATION_ID", "NOTIFY_SOCKET", "JOURNAL_STREAM", "TMUX_TMPDIR"] {
            assert_eq!(pane.get(name), None, "{suite:?}: {name}");
        }
        assert_eq!(fleet.sh("tmux -L mosaic-factory ls -F '#{session_name}'").ok(), "_holder\na\n");
    }
}

#[test]
fn a_start_that_lacks_its_variables_or_its_program_fails_at_once_and_is_not_tried_again() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["a", "b"], QUIET));
        let before = fleet.pane("b");
        for missing in
            [format!("{MOSAIC}/fleet/agents/a.env"), format!("{MOSAIC}/tools/fleet/start-agent-session.sh")]
        {
            fleet.sh("systemctl --user stop mosaic-agent@a.service").ok();
            fleet.run(&["mv", &missing, "/home/demo/away"]).ok();
            let start = fleet.sh("systemctl --user start mosaic-agent@a.service");
            assert_ne!(start.code, 0, "{suite:?}: without {missing}");
            assert!(start.stderr.contains("Assertion failed"), "{suite:?}: {}", start.stderr);
            assert_eq!(fleet.unit(&unit("a"), "ActiveState"), "inactive", "{suite:?}");
            assert_eq!(fleet.unit(&unit("a"), "NRestarts"), "0", "{suite:?}");
            fleet.run(&["mv", "/home/demo/away", &missing]).ok();
            fleet.sh("systemctl --user start mosaic-agent@a.service").ok();
        }
        assert_eq!(fleet.pane("b"), before, "the neighbour is as it was");
    }
}

#[test]
fn a_start_that_is_passed_over_leaves_a_session_that_a_person_started() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["a"], QUIET));
        fleet.run(&["fleet", "stop", "a"]).ok();
        fleet.run(&[&format!("{MOSAIC}/tools/fleet/start-agent-session.sh"), "a"]).ok();
        let pane = fleet.pane("a");
        assert!(pane.is_some(), "{suite:?}");
        fleet.sh("systemctl --user start mosaic-agent@a.service").ok();
        assert_eq!(fleet.unit(&unit("a"), "ConditionResult"), "no", "{suite:?}");
        assert_eq!(fleet.pane("a"), pane, "{suite:?}");
    }
}
