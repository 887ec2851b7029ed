//! Faults in a running fleet, in a booted system: each is named within a bound and heals, by itself or by what it is
//! told, and whoever has nothing to do with it is not touched. What that took is noted.

mod bench;
#[path = "../common/fleet.rs"]
mod fleet;
mod inputs;
mod many;
#[path = "../common/measured.rs"]
mod measured;
mod network;
mod told;

use std::time::{Duration, Instant};

use bench::{AGENTS, BOUND, HEALED, STALE, TOLD, answers, has, on_both_trees, panes, row, well};
use fleet::{TENANT, unit};
use told::{Restart, Why};

/// For a moment nothing runs; then the row says how the run before ended.
fn restarted(why: Why<'_>) -> Restart<'_> {
    Restart { flag: "DEAD", why, within: TOLD }
}

const HOLDER: &str = "mosaic-tmux-holder.service";

#[test]
fn a_killed_pane_is_back_and_no_other_is_touched() {
    on_both_trees(|bench| {
        let told = restarted(Why::Reason("last end: signal 9"));
        bench.one_agent_is_hit("pane killed", "a", &told, || bench.fleet.kill("-KILL", bench.pane("a")));
    });
}

#[test]
fn a_killed_supervisor_is_back_with_its_agent_and_no_other_is_touched() {
    on_both_trees(|bench| {
        // Nobody was left to note how the runtime ended.
        let told = restarted(Why::Journal("Main process exited, code=killed, status=9/KILL"));
        bench.one_agent_is_hit("supervisor kill -9", "ab", &told, || {
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
        let goes_on = || stat().split(' ').nth(2).is_some_and(|state| state != "T");
        let continued = bench.within(TOLD, begun, "tmux lets it go on", goes_on);
        assert!(well(&bench.look()), "{:?}", bench.suite);
        assert_eq!(panes(&bench.look()), before, "{:?}", bench.suite);
        bench.note("pane SIGSTOPped", None, Some(continued));
    });
}

#[test]
fn a_stopped_runtime_is_shown_stale_and_restarted_alone() {
    on_both_trees(|bench| {
        let below = bench.fleet.run(&["pgrep", "-P", &bench.pane("c").to_string()]).ok();
        let runtime = below.trim().parse().unwrap_or_else(|_| panic!("one process below the shell: {below}"));
        let why = Why::Reason("on_stale: restarted once since its beats stopped");
        let told = Restart { flag: "STALE", why, within: STALE };
        bench.one_agent_is_hit("runtime SIGSTOPped", "c", &told, || bench.fleet.kill("-STOP", runtime));
    });
}

#[test]
fn all_are_back_after_their_server_was_killed() {
    on_both_trees(|bench| {
        let told = restarted(Why::Reason("last end: not known how"));
        bench.all_are_hit("tmux server kill -9", &told, || bench.fleet.kill("-KILL", bench.fleet.holder()));
    });
}

#[test]
fn all_are_back_after_their_manager_was_restarted() {
    on_both_trees(|bench| {
        let told = restarted(Why::Journal("Stopping mosaic-agent@"));
        bench.all_are_hit("user manager restarted", &told, || {
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
        let told = || bench.look().to_string().contains(&cure);
        let noticed = bench.within(TOLD, begun, "it is told with the cure", told);
        bench.fleet.run(&["sh", "-c", &cure]).ok();
        let healed = bench.within(HEALED, begun, "all is well", || well(&bench.look()));
        assert_eq!(panes(&bench.look()), before, "{:?}: nobody was restarted", bench.suite);
        bench.note("socket file deleted", Some(noticed), Some(healed));
    });
}

#[test]
fn a_stopped_holder_is_named_and_comes_back_when_it_is_told_to() {
    on_both_trees(|bench| {
        let begun = Instant::now();
        bench.fleet.sh(&format!("systemctl --user stop {HOLDER}")).ok();
        let named = || bench.fleet.run(&["fleet", "verify"]).stdout.contains("holder (not-running)");
        let noticed = bench.within(TOLD, begun, "verify names it", named);
        bench.fleet.run(&["fleet", "start"]).ok();
        let healed = bench.within(HEALED, begun, "all is well", || well(&bench.look()));
        bench.note("holder stopped", Some(noticed), Some(healed));
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
        let gone = bench.within(HEALED, begun, "nobody is logged in", || rig.root_ok(&ask) == without);
        assert!(well(&bench.look()), "{:?}", bench.suite);
        assert_eq!(panes(&bench.look()), before, "{:?}", bench.suite);
        bench.note("logout of the last session", None, Some(gone));
    });
}

#[test]
fn a_reboot_brings_all_back_with_nobody_logged_in_and_verify_says_so() {
    on_both_trees(|bench| {
        let begun = Instant::now();
        bench.fleet.rig.reboot();
        let healed = bench.within(BOUND, begun, "all is well", || well(&bench.look()));
        bench.until("verify says so", || bench.fleet.run(&["fleet", "verify"]).code == 0);
        bench.note("reboot", None, Some(healed));
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
        let healed = bench.within(HEALED, last, "all answer", || answers(&bench.look()));
        // It is right, and stays for a while.
        let seen = bench.look();
        assert!(
            AGENTS.iter().all(|a| has(&row(&seen, a)["flags"], "FLAPPING")),
            "{:?}: {seen:#}",
            bench.suite
        );
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(60), "ten within a minute: {took:?}");
        for agent in AGENTS {
            assert_eq!(bench.fleet.unit(&unit(agent), "ActiveState"), "active", "{:?}: {agent}", bench.suite);
        }
        bench.note("holder flaps ten times in a minute", None, Some(healed));
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
        // Five of them are its own.
        assert!(noticed < STALE, "{:?}: {noticed:?}", bench.suite);
        let (restart, before) = (Instant::now(), bench.pane("a"));
        bench.fleet.run(&["fleet", "restart", "a"]).ok();
        let answers = || well(&bench.look()) && bench.pane("a") != before;
        bench.within(HEALED, restart, "it answers", answers);
        bench.note("slow npm", Some(noticed), Some(begun.elapsed()));
        bench.fleet.rig.root_ok(&["rm", "/usr/local/bin/npm"]);
    });
}
