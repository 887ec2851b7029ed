//! Faults in a running fleet, in a booted system: each is named within a bound and heals, by itself or by what it is
//! told, and whoever has nothing to do with it is not touched. What that took is noted.

mod bench;
#[path = "../common/fleet.rs"]
mod fleet;
mod many;
#[path = "../common/measured.rs"]
mod measured;
mod network;

use std::time::{Duration, Instant};

use bench::{AGENTS, answers, on_both_trees, panes, well};
use fleet::{MOSAIC, TENANT, unit};

const HOLDER: &str = "mosaic-tmux-holder.service";

#[test]
fn a_killed_pane_is_back_and_no_other_is_touched() {
    on_both_trees(|bench| {
        bench.one_agent_is_hit("pane killed", "a", || bench.fleet.kill("-KILL", bench.pane("a")));
    });
}

#[test]
fn a_killed_supervisor_is_back_with_its_agent_and_no_other_is_touched() {
    on_both_trees(|bench| {
        bench.one_agent_is_hit("supervisor kill -9", "ab", || {
            bench.fleet.kill("-KILL", bench.fleet.supervisor("ab"));
        });
    });
}

/// The process that tmux itself started can't be held: nothing of it is ever seen.
#[test]
fn a_stopped_pane_is_continued_by_tmux() {
    on_both_trees(|bench| {
        let before = panes(&bench.look());
        let begun = Instant::now();
        let pane = bench.pane("a");
        bench.fleet.kill("-STOP", pane);
        let stat = || bench.fleet.rig.read(&format!("/proc/{pane}/stat"));
        bench.until("tmux lets it go on", || stat().split(' ').nth(2).is_some_and(|state| state != "T"));
        bench.note("pane SIGSTOPped", None, Some(begun.elapsed()));
        assert!(well(&bench.look()), "{:?}", bench.suite);
        assert_eq!(panes(&bench.look()), before, "{:?}", bench.suite);
    });
}

#[test]
fn a_stopped_runtime_is_shown_stale_and_restarted_alone() {
    on_both_trees(|bench| {
        let below = bench.fleet.run(&["pgrep", "-P", &bench.pane("c").to_string()]).ok();
        let runtime = below.trim().parse().unwrap_or_else(|_| panic!("one process below the shell: {below}"));
        bench.one_agent_is_hit("runtime SIGSTOPped", "c", || bench.fleet.kill("-STOP", runtime));
    });
}

#[test]
fn all_are_back_after_their_server_was_killed() {
    on_both_trees(|bench| {
        bench.all_are_hit("tmux server kill -9", || bench.fleet.kill("-KILL", bench.fleet.holder()));
    });
}

#[test]
fn all_are_back_after_their_manager_was_restarted() {
    on_both_trees(|bench| {
        bench.all_are_hit("user manager restarted", || {
            bench.fleet.rig.root_ok(&["systemctl", "restart", &format!("user@{}", bench.fleet.uid)]);
        });
    });
}

#[test]
fn a_removed_socket_is_told_with_what_brings_it_back_and_nobody_restarts() {
    on_both_trees(|bench| {
        let before = panes(&bench.look());
        let begun = Instant::now();
        bench.fleet.run(&["rm", &format!("/tmp/tmux-{}/mosaic-factory", bench.fleet.uid)]).ok();
        let cure = format!("kill -USR1 {}", bench.fleet.holder());
        bench.until("it is told with the cure", || bench.look().to_string().contains(&cure));
        let noticed = begun.elapsed();
        bench.fleet.run(&["sh", "-c", &cure]).ok();
        bench.until("all is well", || well(&bench.look()));
        bench.note("socket file deleted", Some(noticed), Some(begun.elapsed()));
        assert_eq!(panes(&bench.look()), before, "{:?}: nobody was restarted", bench.suite);
    });
}

#[test]
fn a_stopped_holder_is_named_and_comes_back_when_it_is_told_to() {
    on_both_trees(|bench| {
        let begun = Instant::now();
        bench.fleet.sh(&format!("systemctl --user stop {HOLDER}")).ok();
        let named = || bench.fleet.run(&["fleet", "verify"]).stdout.contains("holder (not-running)");
        bench.until("verify names it", named);
        let noticed = begun.elapsed();
        bench.fleet.run(&["fleet", "start"]).ok();
        bench.until("all is well", || well(&bench.look()));
        bench.note("holder stopped", Some(noticed), Some(begun.elapsed()));
    });
}

#[test]
fn the_last_session_ends_and_nothing_happens() {
    on_both_trees(|bench| {
        let rig = &bench.fleet.rig;
        let ask = ["loginctl", "show-user", "--value", "--property=Sessions", TENANT];
        let before = panes(&bench.look());
        let begun = Instant::now();
        // Its manager has one, too, on Debian 13.
        let without = rig.root_ok(&ask);
        let inside = rig.login(TENANT, &ask).ok();
        assert!(inside.trim().len() > without.trim().len(), "{:?}: there was a session", bench.suite);
        bench.until("nobody is logged in", || rig.root_ok(&ask) == without);
        assert!(well(&bench.look()), "{:?}", bench.suite);
        assert_eq!(panes(&bench.look()), before, "{:?}", bench.suite);
        bench.note("logout of the last session", None, Some(begun.elapsed()));
    });
}

#[test]
fn a_reboot_brings_all_back_with_nobody_logged_in_and_verify_says_so() {
    on_both_trees(|bench| {
        let begun = Instant::now();
        bench.fleet.rig.reboot();
        bench.until("all is well", || well(&bench.look()));
        bench.note("reboot", None, Some(begun.elapsed()));
        bench.until("verify says so", || bench.fleet.run(&["fleet", "verify"]).code == 0);
    });
}

#[test]
fn a_holder_that_flaps_ten_times_in_a_minute_leaves_nobody_down() {
    on_both_trees(|bench| {
        let begun = Instant::now();
        for _ in 0..10 {
            let holder = bench.fleet.holder();
            bench.fleet.kill("-KILL", holder);
            let old = [holder.to_string(), "0".to_owned()];
            bench.until("it is started again", || !old.contains(&bench.fleet.unit(HOLDER, "MainPID")));
        }
        let last = Instant::now();
        // The flag of it is right, and stays for a while.
        bench.until("all answer", || answers(&bench.look()));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(60), "ten within a minute: {took:?}");
        bench.note("holder flaps ten times in a minute", None, Some(last.elapsed()));
        for agent in AGENTS {
            assert_eq!(bench.fleet.unit(&unit(agent), "ActiveState"), "active", "{:?}: {agent}", bench.suite);
        }
    });
}

#[test]
fn a_half_written_roster_is_refused_before_the_first_step() {
    on_both_trees(|bench| {
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        let roster = bench.fleet.rig.read(&path);
        let before = bench.fleet.sessions();
        let begun = Instant::now();
        bench.fleet.rig.write(&path, &roster[..roster.len() / 2 + 5], TENANT);
        let refused = bench.fleet.run(&["fleet", "apply"]).exits(3);
        let noticed = begun.elapsed();
        assert!(refused.stderr.contains("roster.yaml:"), "with its place: {}", refused.report());
        assert_eq!(bench.fleet.sessions(), before, "{:?}", bench.suite);
        bench.fleet.apply(&roster);
        bench.note("roster half-written", Some(noticed), Some(begun.elapsed()));
    });
}

#[test]
fn an_npm_that_never_answers_holds_nobody_up() {
    on_both_trees(|bench| {
        bench.fleet.rig.write("/usr/local/bin/npm", "#!/bin/sh\nexec sleep 600\n", "root");
        bench.fleet.rig.root_ok(&["chmod", "755", "/usr/local/bin/npm"]);
        let begun = Instant::now();
        let told = bench.fleet.run(&["fleet", "apply", "--refresh-npm"]).exits(0);
        let noticed = begun.elapsed();
        assert!(told.stderr.contains("npm"), "{:?}: {}", bench.suite, told.report());
        assert!(noticed < Duration::from_secs(20), "{:?}: {noticed:?}", bench.suite);
        let before = bench.pane("a");
        bench.fleet.run(&["fleet", "restart", "a"]).ok();
        bench.until("it answers", || well(&bench.look()) && bench.pane("a") != before);
        bench.note("slow npm", Some(noticed), Some(begun.elapsed()));
        bench.fleet.rig.root_ok(&["rm", "/usr/local/bin/npm"]);
    });
}
