//! What holds when something dies, in a booted system: one agent's accident is its own.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite, released};
use fleet::{Fleet, SOON, roster, unit};

const QUIET: &str = "sleep 100000";
/// A look at a beat opens and reads a file: it may be interrupted, or wait for its disk.
const WAKES_OF_A_CHECK: u64 = 2;
/// Within which a fault is named, and within which all is well after it, on a machine that is busy.
const SHOWN: Duration = Duration::from_secs(10);
const HEALED: Duration = Duration::from_secs(20);
/// Within which a holder that may not start says so.
const GIVEN_UP: Duration = Duration::from_secs(20);

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("a{n}")).collect()
}

#[test]
fn a_dead_pane_or_supervisor_brings_back_that_agent_and_touches_no_other() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder", "coder0", "coder1"], QUIET));
        let (holder, coder, coder1) = (fleet.holder(), fleet.pane("coder"), fleet.pane("coder1"));

        let pane = fleet.pane("coder0").expect("a pane");
        fleet.kill("-KILL", pane);
        let pane = fleet.comes_back("coder0", pane);
        assert_eq!(fleet.record("coder0", "last_exit"), "signal:9", "{suite:?}");
        assert_eq!(fleet.unit_of(pane), unit("coder0"));

        fleet.kill("-KILL", fleet.supervisor("coder0"));
        let pane = fleet.comes_back("coder0", pane);
        assert_eq!(fleet.unit_of(pane), unit("coder0"));
        assert_eq!(fleet.record("coder0", "starts"), "3");

        assert_eq!((fleet.holder(), fleet.pane("coder"), fleet.pane("coder1")), (holder, coder, coder1));
        assert_eq!(fleet.sessions(), ["_holder", "coder", "coder0", "coder1"]);
    }
}

#[test]
fn all_agents_are_back_within_three_seconds_of_the_servers_death() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(numbered(13), QUIET));
        for _ in 0..3 {
            let begun = Instant::now();
            fleet.kill("-KILL", fleet.holder());
            // Seen from inside, in one process: asking from outside takes longer than coming back.
            let seen = fleet.sh(
                "until [ \"$(tmux -L mosaic-factory list-panes -a -F '#{pane_dead}' 2>/dev/null | grep -c 0)\" = 14 ] && \
                 [ \"$(systemctl --user list-units 'mosaic-agent@*' --state=active --no-legend | wc -l)\" = 13 ]; \
                 do sleep 0.02; done",
            );
            seen.ok();
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(3), "{suite:?}: {took:?}");
        }
        let own =
            numbered(13).iter().filter(|a| fleet.unit_of(fleet.pane(a).expect("a pane")) == unit(a)).count();
        assert_eq!(own, 13);
        assert_eq!(fleet.record("a0", "last_exit"), "unknown", "a lost server is never a clean end");
    }
}

#[test]
fn the_units_own_exit_is_the_runtimes() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let text = "version: 1\nagents:\n  \
             - {name: three, lifecycle: ephemeral, command: \"sh -c 'echo last words; exit 3'\"}\n  \
             - {name: nine, lifecycle: ephemeral, command: \"sh -c 'kill -9 $$'\"}\n  \
             - {name: fine, lifecycle: ephemeral, command: \"sh -c 'exit 0'\"}\n  \
             - {name: core, command: \"sh -c 'exit 0'\"}\n  \
             - {name: missing, command: nonesuch}\n";
        let fleet = Fleet::tenant(suite);
        fleet.rig.write(&format!("{}/fleet/roster.yaml", fleet::MOSAIC), text, fleet::TENANT);
        // Some of these end before they are up, which apply may call a failure; the units decide.
        let _ = fleet.run(&["fleet", "apply"]);
        let _ = fleet.run(&["fleet", "start", "three", "nine", "fine"]);
        let ended = |agent: &str| {
            fleet.rig.wait_until(&format!("{agent} has ended"), SOON, || {
                let state = fleet.unit(&unit(agent), "ActiveState");
                state == "failed" || state == "inactive"
            });
            let shown = |property| fleet.unit(&unit(agent), property);
            (shown("ExecMainCode"), shown("ExecMainStatus"), shown("ActiveState"))
        };
        let like =
            |code: &str, status: &str, state: &str| (code.to_owned(), status.to_owned(), state.to_owned());
        assert_eq!(ended("three"), like("1", "3", "failed"), "{suite:?}");
        assert_eq!(ended("nine"), like("2", "9", "failed"), "{suite:?}");
        // systemd forgets a unit that has ended well at once; the record does not.
        assert_eq!(ended("fine").2, "inactive", "{suite:?}");
        assert_eq!(fleet.record("fine", "last_exit"), "exit:0");
        assert_eq!(ended("missing"), like("1", "127", "failed"), "not retried, since a retry can't cure it");
        assert!(fleet.unit(&unit("missing"), "StatusText").contains("not found"));
        assert!(fleet.rig.read(&format!("{}/fleet/run/three.last", fleet::MOSAIC)).contains("last words"));
        // A core agent's clean exit is an end like any other: it is started again, with a growing delay.
        fleet.rig.wait_until("core is held back", SOON, || fleet.record("core", "state") == "backoff");
        let status = fleet.unit(&unit("core"), "StatusText");
        assert!(status.contains("next try in"), "{status}");
        let sessions = fleet.sessions();
        assert!(
            !sessions.iter().any(|s| ["three", "nine", "fine", "missing"].contains(&s.as_str())),
            "{sessions:?}"
        );
    }
}

#[test]
fn one_failed_restart_of_the_holder_leaves_nobody_down() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(numbered(5), QUIET));
        let drop_in = "/home/demo/.config/systemd/user/mosaic-tmux-holder.service.d/fail.conf";
        let fail_once =
            "[Service]\nExecStartPre=/bin/sh -c 'if [ -e /tmp/fail ]; then rm /tmp/fail; exit 1; fi'\n";
        fleet.rig.write(drop_in, fail_once, fleet::TENANT);
        fleet.sh("systemctl --user daemon-reload && touch /tmp/fail").ok();
        let before = fleet.pane("a0").expect("a pane");
        let begun = Instant::now();
        fleet.kill("-KILL", fleet.holder());
        fleet.comes_back("a0", before);
        fleet.rig.wait_until("all agents are back", SOON, || fleet.active() == 5);
        let healed = begun.elapsed();
        assert!(healed < HEALED, "{suite:?}: {healed:?}");
        assert!(fleet.run(&["ls", "/tmp/fail"]).code != 0, "{suite:?}: the failure was made");
        let failed =
            fleet.sh("journalctl --user -u mosaic-tmux-holder.service -o cat | grep -c 'Failed with result'");
        assert!(failed.ok().trim().parse::<u32>().expect("a count") >= 2, "the kill and the failed restart");
        measured::note("holder's restart fails once", &format!("{suite:?}"), None, Some(healed));
    }
}

#[test]
fn forty_stops_in_the_middle_of_a_start_leave_no_session_and_no_process() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder", "coder0"], QUIET));
        let (holder, other) = (fleet.holder(), fleet.pane("coder"));
        let line = "for n in $(seq 40); do systemctl --user stop mosaic-agent@coder0; \
             systemctl --user start --no-block mosaic-agent@coder0; \
             python3 -c \"import random, time; time.sleep(random.random() * 0.12)\"; \
             systemctl --user stop mosaic-agent@coder0; \
             tmux -L mosaic-factory has-session -t =coder0 2>/dev/null && echo \"session left by stop $n\"; \
             pgrep -f 'session (pane|start).* coder0$' && echo \"process left by stop $n\"; done; \
             pgrep -fc 'sleep 100000'";
        let begun = Instant::now();
        assert_eq!(fleet.sh(line).stdout.trim(), "1", "{suite:?}: only the other agent's runtime");
        let stopped = begun.elapsed();
        assert_eq!((fleet.holder(), fleet.pane("coder")), (holder, other), "{suite:?}");
        let place = format!("{suite:?}");
        measured::note("stop in the middle of a start, 40 times", &place, None, Some(stopped));
    }
}

#[test]
fn forty_agents_started_at_once_are_each_in_their_own_unit_when_start_returns() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(numbered(40), QUIET));
        fleet.run(&["fleet", "stop"]).ok();
        assert_eq!(fleet.active(), 0);
        let begun = Instant::now();
        fleet.run(&["fleet", "start"]).ok();
        let started = begun.elapsed();
        let cgroups = fleet.sh(
            "tmux -L mosaic-factory list-panes -a -F '#{session_name} #{pane_pid}' | while read s p; do \
             echo \"$s $(sed -n 's/^0:://p' /proc/$p/cgroup)\"; done",
        );
        let cgroups = cgroups.ok();
        let own = cgroups.lines().filter(|line| {
            let (session, cgroup) = line.split_once(' ').expect("two words");
            cgroup.ends_with(&unit(session))
        });
        assert_eq!(own.count(), 40, "{suite:?}:\n{cgroups}");
        measured::note("40 agents started at once", &format!("{suite:?}"), None, Some(started));
    }
}

#[test]
fn a_stop_lets_the_runtime_save_itself_and_kills_it_when_it_does_not_end() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::tenant(Suite::Bookworm);
    let saves =
        "#!/bin/bash\ntrap 'sleep 1; echo saved > ~/saved; exit 0' HUP\nwhile :; do sleep 0.1; done\n";
    fleet.program(".local/bin/saves", saves);
    fleet.program(".local/bin/stays", "#!/bin/bash\ntrap '' HUP TERM\nwhile :; do sleep 0.1; done\n");
    fleet
        .apply("version: 1\nagents:\n  - {name: saves, command: saves}\n  - {name: stays, command: stays}\n");
    let stays = fleet.pane("stays").expect("a pane");
    fleet.run(&["fleet", "stop", "saves"]).ok();
    assert_eq!(fleet.rig.read("/home/demo/saved").trim(), "saved");
    let begun = Instant::now();
    let _ = fleet.run(&["fleet", "stop", "stays"]);
    assert!(begun.elapsed() < Duration::from_secs(25), "bounded");
    assert!(fleet.run(&["kill", "-0", &stays.to_string()]).code != 0, "it is gone");
    assert_eq!(fleet.sessions(), ["_holder"]);
}

#[test]
fn a_supervisor_as_it_is_shipped_is_small_and_sleeps() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        // What a debug build has in memory says nothing of the program that people run.
        fleet.rig.install(released());
        fleet.apply(
            "version: 1\nagents:\n  - {name: coder, runtime: dogfood}\n  \
             - {name: watched, runtime: dogfood, on_stale: restart}\n",
        );
        let both = ["coder", "watched"].map(|agent| fleet.supervisor(agent));
        // What they look at after a start is over within seconds of the first heartbeat.
        fleet.rig.wait_until("the supervisors sleep", SOON, || {
            let before = both.map(|pid| wakes(&fleet, pid));
            std::thread::sleep(Duration::from_secs(3));
            both.map(|pid| wakes(&fleet, pid)) == before
        });
        // An interval of beats is fifteen seconds: who watches them wakes once in one, and the other never.
        let before = both.map(|pid| wakes(&fleet, pid));
        std::thread::sleep(Duration::from_secs(20));
        let [coder, watched] = both.map(|pid| wakes(&fleet, pid));
        assert_eq!(coder, before[0], "{suite:?}: woken for nothing");
        let checks = watched - before[1];
        assert!(checks <= 2 * WAKES_OF_A_CHECK, "{suite:?}: {checks} times in 20 s");
        for pid in both {
            is_small(&fleet, pid, suite);
        }
    });
}

/// How often a process has waited for something, all its threads.
fn wakes(fleet: &Fleet, pid: i32) -> u64 {
    let statuses = fleet.sh(&format!("cat /proc/{pid}/task/*/status")).ok();
    let lines = statuses.lines().filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let counts: Vec<u64> = lines.map(|count| count.trim().parse().expect("a number")).collect();
    assert!(!counts.is_empty(), "{statuses}");
    counts.iter().sum()
}

/// Clean pages are the page cache's copy of the program, shared by all supervisors.
fn is_small(fleet: &Fleet, pid: i32, suite: Suite) {
    let rollup = fleet.run(&["cat", &format!("/proc/{pid}/smaps_rollup")]).ok();
    let private: u64 = rollup
        .lines()
        .find_map(|l| l.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_else(|| panic!("no Private_Dirty in\n{rollup}"));
    assert!(private <= 512, "{suite:?}: {private} kB of private memory");
}

#[test]
fn a_session_started_by_hand_is_in_the_holders_server_and_a_start_takes_it_over_alive() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder", "coder0"], QUIET));
        fleet.run(&["fleet", "stop"]).ok();
        fleet.run(&["fleet", "stop", "--holder"]).ok();
        let script = format!("{}/tools/fleet/start-agent-session.sh", fleet::MOSAIC);

        // A manager that is there and busy: a server founded now would keep the holder out for ever.
        let bus = fleet.unit("dbus.service", "MainPID").parse().expect("a pid");
        fleet.kill("-STOP", bus);
        let run = fleet.run(&[&script, "coder0"]);
        fleet.kill("-CONT", bus);
        assert_eq!(run.code, 75, "{suite:?}: {}", run.report());
        assert!(run.stderr.contains("could not be started: reach the user manager"), "{}", run.report());
        assert_eq!(fleet.sessions(), Vec::<String>::new(), "{suite:?}");

        fleet.run(&[&script, "coder0"]).ok();
        let pane = fleet.pane("coder0").expect("a pane");
        assert_eq!(
            fleet.unit_of(pane),
            "mosaic-tmux-holder.service",
            "{suite:?}: the holder was started for it"
        );
        assert_eq!(fleet.sessions(), ["_holder", "coder0"]);

        // A person's shell beside it is none of the agent's, though tmux lists it first.
        let beside = "tmux -L mosaic-factory split-window -b -d -P -F '#{pane_id}' -t =coder0: 'sleep 70000'";
        let beside = fleet.sh(beside).ok().trim().to_owned();
        fleet.run(&["fleet", "start", "coder0"]).ok();
        assert_eq!(fleet.record("coder0", "runtime_pid"), pane.to_string(), "{suite:?}");
        fleet.run(&["tmux", "-L", "mosaic-factory", "kill-pane", "-t", &beside]).ok();
        assert_eq!(fleet.pane("coder0"), Some(pane), "{suite:?}: the same process");
        assert_eq!(fleet.unit_of(pane), unit("coder0"));

        // Where the socket is gone and the server lives, no other is founded in its place.
        let (holder, socket) = (fleet.holder(), format!("/tmp/tmux-{}/mosaic-factory", fleet.uid));
        fleet.run(&["rm", &socket]).ok();
        let refused = fleet.run(&[&script, "coder"]).exits(75);
        assert!(refused.stderr.contains(&format!("kill -USR1 {holder}")), "{}", refused.report());
        fleet.run(&["test", "-e", &socket]).exits(1);
        fleet.kill("-USR1", holder);
        fleet.rig.wait_until("the socket is back", SOON, || fleet.pane("coder0") == Some(pane));
    }
}

#[test]
fn a_foreign_server_on_the_socket_is_named_and_left_alone_and_the_holder_follows_its_end() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder"], QUIET));
        fleet.sh("systemctl --user stop mosaic-tmux-holder.service").ok();
        fleet.sh("tmux -f /dev/null -L mosaic-factory new-session -d -s theirs 'sleep 80000'").ok();
        let theirs = fleet.sh("tmux -L mosaic-factory display -p '#{pid}'").ok().trim().to_owned();
        let begun = Instant::now();
        let named = || fleet.run(&["fleet", "verify"]).stdout.contains("server (foreign-server)");
        fleet.rig.wait_until("verify names it", SHOWN, named);
        let noticed = begun.elapsed();
        assert!(noticed < SHOWN, "{suite:?}: {noticed:?}");
        // The holder waits for its end for ten seconds, and then says whose it is.
        let begun = Instant::now();
        let start = fleet.sh("systemctl --user start mosaic-tmux-holder.service");
        assert!(start.code != 0, "{suite:?}: {}", start.report());
        assert!(begun.elapsed() < GIVEN_UP, "{suite:?}: {:?}", begun.elapsed());
        let said = fleet.sh("journalctl --user -u mosaic-tmux-holder.service -o cat -n 20").ok();
        assert!(said.contains(&format!("pid {theirs}")) && said.contains("kill-server"), "{said}");
        assert_eq!(fleet.sessions(), ["theirs"], "nothing of ours is put into it");
        let ended = Instant::now();
        fleet.sh("tmux -L mosaic-factory kill-server").ok();
        fleet.rig.wait_until("the holder is up", SOON, || fleet.sessions().contains(&"_holder".to_owned()));
        fleet.rig.wait_until("and brings its agents", SOON, || fleet.pane("coder").is_some());
        let healed = ended.elapsed();
        assert!(healed < HEALED, "{suite:?}: {healed:?}");
        measured::note("foreign server on the socket", &format!("{suite:?}"), Some(noticed), Some(healed));
    }
}

#[test]
fn what_an_agents_own_files_say_neither_moves_it_nor_ends_it_for_good() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        let root = |line: &str| fleet.rig.root_ok(&["sh", "-c", line]);
        let local = |agent: &str| format!("{}/fleet/agents/{agent}.local.env", fleet::MOSAIC);
        fleet.rig.write(&local("moved"), "MOSAIC_HOME=/home/demo/else\nX=1\n", fleet::TENANT);
        let local = local("shut");
        // A plain user may not put itself before others.
        let text = "version: 1\nagents:\n  - {name: moved, command: sleep 70}\n  \
             - {name: shut, command: sleep 71}\n  - {name: wrong, command: sleep 72, limits: {nice: -20}}\n";
        fleet.rig.write(&format!("{}/fleet/roster.yaml", fleet::MOSAIC), text, fleet::TENANT);
        // The third fails, which apply says.
        let _ = fleet.run(&["fleet", "apply"]);

        // Another home: the fleet's own stays where it is, and so does what a person asked for.
        let seen = |agent: &str, key: &str| fleet.record(agent, key);
        fleet.rig.wait_until("it runs", SOON, || seen("moved", "state") == "running");
        fleet.run(&["fleet", "stop", "moved"]).ok();
        let started = fleet.sh("systemctl --user start mosaic-agent@moved");
        assert_eq!(fleet.unit(&unit("moved"), "ActiveState"), "inactive", "{suite:?}: {}", started.report());
        fleet.run(&["fleet", "start", "moved"]).ok();
        assert!(fleet.run(&["ls", "/home/demo/else"]).code != 0, "{suite:?}");

        // A refusal that a retry can't cure is not retried, and its reason is kept.
        let state =
            || (fleet.unit(&unit("wrong"), "ActiveState"), fleet.unit(&unit("wrong"), "ExecMainStatus"));
        fleet.rig.wait_until("it has failed", SOON, || state().0 == "failed");
        assert_eq!(state().1, "78", "{suite:?}");
        let told = fleet.unit(&unit("wrong"), "StatusText");
        assert!(told.contains("NICE=-20 can't be set") && told.contains("not retried"), "{suite:?}: {told}");
        assert_eq!((seen("wrong", "starts"), seen("wrong", "last_exit")), ("1".into(), "exit:78".into()));

        // A file that the tenant can't read: retried at our pace, the reason told, and well once it is mended.
        let pane = fleet.pane("shut").expect("a pane");
        root(&format!("echo Y=1 > {local}; chmod 600 {local}"));
        fleet.kill("-KILL", pane);
        let status = || fleet.unit(&unit("shut"), "StatusText");
        fleet.rig.wait_until("it is held back", SOON, || status().contains("; next try in "));
        assert!(status().contains("shut.local.env: Permission denied"), "{suite:?}: {}", status());
        let restarts = || fleet.unit(&unit("shut"), "NRestarts").parse::<u32>().expect("a number");
        assert!(restarts() < 10, "{suite:?}: {} restarts", restarts());
        let verify = fleet.run(&["fleet", "verify"]).stdout;
        assert!(verify.contains("shut.local.env"), "{suite:?}: {verify}");
        root(&format!("rm {local}"));
        fleet.comes_back("shut", pane);
    }
}

#[test]
fn an_upgrade_or_a_missing_program_in_the_middle_of_a_start_is_no_wait_of_twenty_seconds() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::with(Suite::Bookworm, &roster(["coder"], "sleep 90000"));
    let root = |line: &str| fleet.rig.root_ok(&["sh", "-c", line]);
    let held_back = |at_least: u64| {
        fleet.rig.wait_until("it is held back", SOON, || {
            if let Some(pane) = fleet.pane("coder") {
                let _ = fleet.run(&["kill", "-KILL", &pane.to_string()]);
            }
            let status = fleet.unit(&unit("coder"), "StatusText");
            let left = status.split("next try in ").nth(1).and_then(|t| t.split(' ').next()?.parse().ok());
            left.is_some_and(|left: u64| left >= at_least)
        });
    };
    // The file that the supervisor was started from is gone, another stands in its place.
    held_back(2);
    root("cp /usr/bin/fleet /usr/bin/fleet.new && mv /usr/bin/fleet.new /usr/bin/fleet");
    fleet.rig.wait_until("it runs the new one", Duration::from_secs(15), || fleet.pane("coder").is_some());

    // Nothing stands in its place: the pane ends at once, and the start with it.
    held_back(4);
    root("mv /usr/bin/fleet /usr/bin/fleet.away");
    let told = || fleet.record("coder", "status");
    let early = "the pane's first step, /usr/bin/fleet, ended before it came to the gate, exit code 1";
    fleet.rig.wait_until("it is said", Duration::from_secs(15), || told().contains(early));
    root("mv /usr/bin/fleet.away /usr/bin/fleet");
    fleet.run(&["fleet", "start", "coder"]).ok();
}

#[test]
fn what_keeps_the_server_from_standing_is_named_and_neither_spins_nor_outlasts_its_cure() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(["coder"], QUIET));
        let root = |line: &str| fleet.rig.root_ok(&["sh", "-c", line]);
        let folder = format!("/tmp/tmux-{}", fleet.uid);
        let another = format!("mv {folder} {folder}.away; mkdir -m 700 {folder}");
        let back = format!("rmdir {folder}; mv {folder}.away {folder}");
        for (trouble, said, cure) in [
            (
                another.as_str(),
                format!("{folder} belongs to root, and tmux takes none but your own"),
                back.as_str(),
            ),
            ("chmod -x /usr/bin/tmux", "/usr/bin/tmux is no program".to_owned(), "chmod +x /usr/bin/tmux"),
        ] {
            let journal = || fleet.sh("journalctl --user -u mosaic-tmux-holder.service -o cat").stdout;
            let starts = || journal().matches("Starting ").count();
            let before = starts();
            root(trouble);
            fleet.kill("-KILL", fleet.holder());
            fleet.rig.wait_until(&said, SOON, || journal().contains(&said));
            // Long enough for twenty retries, if each failed at once.
            std::thread::sleep(Duration::from_secs(3));
            let tries = starts() - before;
            root(cure);
            assert!((1..=2).contains(&tries), "{suite:?}: {tries} tries");
            fleet.rig.wait_until("all is back", SOON, || {
                fleet.pane("coder").is_some() && fleet.unit(&unit("coder"), "ActiveState") == "active"
            });
        }
    }
}
