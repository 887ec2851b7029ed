//! What `ps`, `status` and `verify` say of real fleets when something is wrong with them.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Run, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::{Value, json};

const DOGFOOD: &str = "version: 1\nagents:\n  - {name: coder, runtime: dogfood}\n  \
                       - {name: coder0, runtime: dogfood}\n  - {name: rev, runtime: dogfood, class: canary}\n";

fn parsed(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.report()))
}

/// The rows of `fleet ps`, which could look.
fn ps(fleet: &Fleet) -> Value {
    let run = fleet.run(&["fleet", "ps", "--json"]).exits(0);
    parsed(&run)["rows"].clone()
}

fn row(rows: &Value, name: &str) -> Value {
    let found = rows.as_array().expect("rows").iter().find(|r| r["name"] == name);
    found.unwrap_or_else(|| panic!("no row of {name} in {rows:#}")).clone()
}

/// `name: FLAG FLAG` of every row that has any.
fn flags(rows: &Value) -> Vec<String> {
    let flags = |row: &Value| {
        let words = row["flags"].as_array().expect("flags");
        words.iter().map(|w| w.as_str().expect("a word").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| (row["name"].as_str().expect("a name"), flags(row)))
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(name, flags)| format!("{name}: {flags}"))
        .collect()
}

/// `id agent reason` of every check of `fleet verify` that does not hold; its exit code agrees.
fn failures(fleet: &Fleet) -> Vec<String> {
    let run = fleet.run(&["fleet", "verify", "--json"]);
    let verdict = parsed(&run);
    let checks = verdict["checks"].as_array().expect("checks").iter();
    let failing: Vec<String> = checks
        .filter(|c| c["ok"] == false)
        .map(|c| {
            let word = |key: &str| c[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("id"), word("agent"), word("reason"))
        })
        .collect();
    assert_eq!(verdict["ok"], failing.is_empty(), "{verdict:#}");
    let code = match failing.iter().all(|f| f.ends_with(" unknown")) {
        _ if failing.is_empty() => 0,
        true => 4,
        false => 1,
    };
    assert_eq!(run.code, code, "{}", run.report());
    failing
}

fn healthy(fleet: &Fleet) -> bool {
    let rows = ps(fleet);
    let rows = rows.as_array().expect("rows");
    rows.iter().all(|r| r["heartbeat"]["health"] == "healthy" && r["flags"] == json!([]))
}

/// A fleet in which everybody answers.
fn answering(suite: Suite, roster: &str) -> Fleet {
    let fleet = Fleet::with(suite, roster);
    fleet.rig.wait_until("all have answered", SOON, || healthy(&fleet));
    fleet
}

#[test]
fn a_killed_agent_is_never_shown_undisturbed_and_is_proven_back() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite, DOGFOOD);
        assert_eq!(failures(&fleet), Vec::<String>::new(), "{suite:?}");
        let pid = fleet.pane("coder").expect("a pane");
        fleet.kill("-KILL", pid);
        let now = row(&ps(&fleet), "coder");
        let dead = now["flags"] == json!(["DEAD"]);
        // Its next start may be seen in the pane before it is counted in the record, which was read earlier.
        let counted = now["restarts"] == 1 || now["systemd"]["active"] == "activating";
        let again = counted && now["reasons"].to_string().contains("last end: signal 9");
        assert!(dead || again, "{suite:?}: {now:#}");
        fleet.rig.wait_until("it is back", SOON, || healthy(&fleet));
        let back = row(&ps(&fleet), "coder");
        assert_eq!(back["restarts"], 1, "{suite:?}: {back:#}");
        assert!(back["reasons"].to_string().contains("last end: signal 9"), "{suite:?}: {back:#}");
        assert_eq!(failures(&fleet), Vec::<String>::new(), "{suite:?}");

        // The holder dies under all of them: nobody is shown undisturbed, and nobody's fault it was.
        let holder = fleet.holder();
        fleet.kill("-KILL", holder);
        for row in ps(&fleet).as_array().expect("rows") {
            let undisturbed = row["flags"] == json!([])
                && row["pane"]["state"] == "alive"
                && row["restarts"] == i32::from(row["name"] == "coder")
                && fleet.holder() != holder;
            assert!(!undisturbed, "{suite:?}: {row:#}");
        }
        fleet.rig.wait_until("all are back", SOON, || {
            let rows = ps(&fleet);
            let back = |row: &Value| row["heartbeat"]["health"] == "healthy" && row["restarts"] != 0;
            rows.as_array().expect("rows").iter().all(back)
        });
        let rows = ps(&fleet);
        for agent in ["coder0", "rev"] {
            let row = row(&rows, agent);
            assert_eq!((&row["flags"], &row["restarts"]), (&json!([]), &json!(1)), "{suite:?}: {row:#}");
            assert!(row["reasons"].to_string().contains("last end: not known how"), "{suite:?}: {row:#}");
        }
    }
}

/// A fleet in which all answer but one, which will not when it is asked and is not due for an hour.
fn with_a_mute_one() -> Fleet {
    let fleet = Fleet::tenant(Suite::Bookworm);
    let file = format!("{MOSAIC}/fleet/agents/rev.local.env");
    fleet.rig.write(&file, "MOSAIC_HEARTBEAT_INTERVAL=3600\n", TENANT);
    fleet.apply(DOGFOOD);
    fleet.rig.wait_until("all have answered", SOON, || healthy(&fleet));
    let mute = ["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=rev:", "/fault mute", "Enter"];
    fleet.run(&mute).ok();
    fleet
}

/// The rows of a look, and how long it took.
fn looked(fleet: &Fleet, what: &str) -> (Value, Duration) {
    let asked = Instant::now();
    let rows = ps(fleet);
    // Getting into the rig takes a part of that.
    let noticed = asked.elapsed();
    assert!(noticed < Duration::from_millis(2500), "{what}: {noticed:?}");
    assert_eq!(flags(&rows), Vec::<String>::new(), "{what}: {rows:#}");
    (rows, noticed)
}

/// Who answers, and who does not, is told whatever else hangs.
fn probed(fleet: &Fleet, what: &str) {
    let asked = Instant::now();
    let rows = parsed(&fleet.run(&["fleet", "ps", "--json", "--probe"]).exits(0))["rows"].clone();
    assert!(asked.elapsed() < Duration::from_millis(2500), "{what}: {:?}", asked.elapsed());
    let silent = |name: &str| row(&rows, name)["reasons"].to_string().contains("probe: not answered within");
    assert_eq!(["coder", "coder0", "rev"].map(silent), [false, false, true], "{what}: {rows:#}");
    // A beat that was asked for after the look began.
    let age = row(&rows, "coder0")["heartbeat"]["age_seconds"].as_f64().expect("an age");
    assert!(age < 2.0, "{what}: {age}");
    assert_eq!(flags(&rows), Vec::<String>::new(), "{what}");
}

#[test]
fn a_hung_server_is_unknown_within_two_seconds() {
    if Rig::skipped() {
        return;
    }
    let fleet = with_a_mute_one();
    let holder = fleet.holder();
    fleet.kill("-STOP", holder);
    let (rows, noticed) = looked(&fleet, "server");
    let coder = row(&rows, "coder");
    assert_eq!(coder["pane"]["state"], "unknown");
    assert_eq!(coder["systemd"]["active"], "active");
    assert!(coder["reasons"].to_string().contains("did not answer"), "{coder:#}");
    assert!(failures(&fleet).contains(&"server - unknown".to_owned()));
    probed(&fleet, "server");
    fleet.kill("-CONT", holder);
    assert!(healthy(&fleet));
    measured::note("hung tmux server", "Bookworm", Some(noticed), None);
}

#[test]
fn a_hung_manager_is_unknown_within_two_seconds() {
    if Rig::skipped() {
        return;
    }
    let fleet = with_a_mute_one();
    let manager =
        fleet.rig.root_ok(&["systemctl", "show", "--value", "-p", "MainPID", &format!("user@{}", fleet.uid)]);
    let holder = fleet.holder();
    fleet.rig.root_ok(&["kill", "-STOP", manager.trim()]);
    let (rows, noticed) = looked(&fleet, "manager");
    let coder = row(&rows, "coder");
    assert_eq!(coder["pane"]["state"], "alive");
    assert_eq!(coder["systemd"]["active"], Value::Null);
    assert_eq!(coder["heartbeat"]["health"], "healthy");
    assert!(coder["reasons"].to_string().contains("systemd: "), "{coder:#}");
    probed(&fleet, "manager");
    // No more can be seen than that nothing is known; and what is proven wrong beside it decides.
    fleet.kill("-STOP", holder);
    assert_eq!(failures(&fleet), ["manager - unknown"]);
    let linger = format!("/var/lib/systemd/linger/{TENANT}");
    fleet.rig.root_ok(&["mv", &linger, "/root/linger"]);
    assert_eq!(failures(&fleet), ["linger - linger-off", "manager - unknown"]);
    fleet.rig.root_ok(&["mv", "/root/linger", &linger]);
    fleet.kill("-CONT", holder);
    fleet.rig.root_ok(&["kill", "-CONT", manager.trim()]);
    assert!(healthy(&fleet));
    // Nor is there none where only its sockets are not to be seen, as in a sandbox.
    let inside = format!("mount -t tmpfs none /run && exec runuser -l {TENANT} -c 'fleet ps --json'");
    let rows = parsed(&fleet.rig.root(&["unshare", "--mount", "sh", "-c", &inside]).exits(0))["rows"].clone();
    let coder = row(&rows, "coder");
    assert_eq!(
        (&coder["systemd"]["active"], &coder["pane"]["state"]),
        (&Value::Null, &json!("alive")),
        "{coder:#}"
    );
    measured::note("hung user manager", "Bookworm", Some(noticed), None);
}

#[test]
fn a_runtime_that_stopped_answering_is_stale_while_its_pane_lives() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::tenant(Suite::Bookworm);
    for agent in ["coder", "coder0", "rev"] {
        let file = format!("{MOSAIC}/fleet/agents/{agent}.local.env");
        fleet.rig.write(&file, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
    }
    fleet.apply(DOGFOOD);
    fleet.rig.wait_until("all have answered", SOON, || healthy(&fleet));
    // A signal would not do: tmux lets a stopped child go on at once.
    let say = |what: &str| {
        fleet.run(&["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=coder:", what, "Enter"]).ok();
    };
    say("/fault mute");
    fleet.rig.wait_until("it is stale", SOON, || flags(&ps(&fleet)) == ["coder: STALE"]);
    assert_eq!(row(&ps(&fleet), "coder")["pane"]["state"], "alive");
    assert_eq!(failures(&fleet), ["heartbeat coder stale"]);
    let status = fleet.run(&["fleet", "status"]).exits(1);
    assert!(status.stdout.contains("agents  2 of 3 healthy"), "{}", status.report());
    assert!(status.stdout.contains("wrong   coder: STALE: "), "{}", status.report());
    say("/fault none");
    fleet.rig.wait_until("it answers again", SOON, || healthy(&fleet));
    fleet.run(&["fleet", "status"]).ok();
}

#[test]
fn each_boot_gap_is_flagged_and_verify_names_it_with_a_cure_that_works() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite, DOGFOOD);
        let coder = unit("coder");

        fleet.sh(&format!("systemctl --user disable {coder}")).ok();
        assert!(flags(&ps(&fleet)).iter().any(|f| f.starts_with("coder: BOOT-ENABLE")), "{suite:?}");
        assert!(failures(&fleet).contains(&"enabled coder not-enabled".to_owned()), "{suite:?}");
        fleet.run(&["fleet", "apply"]).ok();
        assert_eq!(failures(&fleet), Vec::<String>::new(), "{suite:?}");

        fleet.rig.root_ok(&["loginctl", "disable-linger", TENANT]);
        let all = ["coder: BOOT-ENABLE", "coder0: BOOT-ENABLE", "rev: BOOT-ENABLE"];
        // Lingering keeps the manager; a login does meanwhile.
        if fleet.rig.manager_runs(fleet.uid) {
            assert_eq!(flags(&ps(&fleet)), all, "{suite:?}");
        }
        assert!(failures(&fleet).contains(&"linger - linger-off".to_owned()), "{suite:?}");
        fleet.rig.root_ok(&["loginctl", "enable-linger", TENANT]);
        fleet.rig.wait_until("all are back", SOON, || fleet.rig.manager_runs(fleet.uid) && healthy(&fleet));

        // A file of the instance's own comes before the template from whichever folder it is in.
        for folder in [".config/systemd/user", ".local/share/systemd/user"] {
            let mine = format!("/home/{TENANT}/{folder}/{coder}");
            fleet.rig.write(&mine, "[Service]\nExecStart=/bin/sleep 90000\n", TENANT);
            fleet.sh("systemctl --user daemon-reload").ok();
            assert_eq!(flags(&ps(&fleet)), ["coder: BOOT-ENABLE SHADOWED"], "{suite:?}: {folder}");
            assert!(failures(&fleet).contains(&"unit-file coder shadowed".to_owned()), "{suite:?}: {folder}");
            fleet.sh(&format!("mv {mine} {mine}.aside && systemctl --user daemon-reload")).ok();
            assert!(healthy(&fleet), "{suite:?}: {:#}", ps(&fleet));
        }

        fleet.sh(&format!("systemctl --user mask {coder}")).ok();
        assert!(flags(&ps(&fleet)).iter().any(|f| f.contains("coder: BOOT-ENABLE")), "{suite:?}");
        assert!(failures(&fleet).contains(&"unit-file coder masked".to_owned()), "{suite:?}");
        fleet.sh(&format!("systemctl --user unmask {coder}")).ok();
        fleet.run(&["fleet", "apply"]).ok();
        assert_eq!(failures(&fleet), Vec::<String>::new(), "{suite:?}");

        let template = format!("/home/{TENANT}/.config/systemd/user/mosaic-agent@.service");
        fleet.run(&["sh", "-c", &format!("echo '# mine' >> {template}")]).ok();
        assert_eq!(
            flags(&ps(&fleet)),
            ["coder: RELOAD EDITED", "coder0: RELOAD EDITED", "rev: RELOAD EDITED"],
            "{suite:?}"
        );
        let failing = failures(&fleet);
        assert!(failing.contains(&"files - edited".to_owned()), "{suite:?}: {failing:?}");
    }
}

/// The kernel cuts a name after fifteen bytes, be it in the middle of a character; and where `/proc` is mounted with hidepid,
/// it leaves out who may not be traced, as one that runs a program with rights of its own.
#[test]
fn an_agent_whose_process_can_not_be_read_as_others_is_not_called_dead() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::tenant(Suite::Trixie);
    let odd = "#!/bin/sh\nprintf 'fifteen bytes \\303' >/proc/$$/comm\nread -r _\n";
    fleet.rig.write("/home/demo/odd", odd, TENANT);
    let shy =
        "#!/usr/bin/python3\nimport ctypes, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\ntime.sleep(1e6)\n";
    fleet.rig.write("/home/demo/shy", shy, TENANT);
    fleet.sh("chmod +x odd shy").ok();
    fleet.apply(
        "version: 1\nruntimes: {own: {command: ~/odd}, other: {command: ~/shy}}\nagents:\n  \
         - {name: odd, runtime: own}\n  - {name: shy, runtime: other}\n",
    );
    fleet.rig.wait_until("it has its name", SOON, || {
        let pid = fleet.pane("odd").unwrap_or(0);
        fleet.rig.root(&["grep", "-q", "^fifteen", &format!("/proc/{pid}/comm")]).code == 0
    });
    let odd = row(&ps(&fleet), "odd");
    assert_eq!((&odd["pane"]["state"], &odd["flags"]), (&json!("alive"), &json!([])), "{odd:#}");
    // What is below the unit's cgroup is the unit's own to make.
    let pid = fleet.pane("odd").expect("a pane");
    let below = format!(
        "group=/sys/fs/cgroup$(sed -n s/^0:://p /proc/{pid}/cgroup) && mkdir $group/own && echo {pid} >$group/own/cgroup.procs"
    );
    fleet.sh(&below).ok();
    assert_eq!(flags(&ps(&fleet)), Vec::<String>::new());
    fleet.rig.root_ok(&["mount", "-o", "remount,hidepid=2", "/proc"]);
    fleet.rig.wait_until("the other hides", SOON, || row(&ps(&fleet), "shy")["pane"]["state"] == "unknown");
    let rows = ps(&fleet);
    assert_eq!(flags(&rows), Vec::<String>::new(), "{rows:#}");
    assert!(row(&rows, "shy")["reasons"].to_string().contains("hidepid"), "{rows:#}");
    let status = fleet.run(&["fleet", "status"]).exits(1);
    assert!(status.stdout.contains("wrong   shy: not known: pane: "), "{}", status.report());
}

#[test]
fn sessions_processes_and_programs_that_do_not_belong_are_named() {
    if Rig::skipped() {
        return;
    }
    let roster = format!(
        "{DOGFOOD}  - {{name: drifts, runtime: claude, command: sleep 90000}}\n  \
         - {{name: task, runtime: dogfood, lifecycle: ephemeral}}\n"
    );
    let fleet = Fleet::with(Suite::Bookworm, &roster);
    fleet.run(&["tmux", "-L", "mosaic-factory", "new-session", "-d", "-s", "code", "sleep 90000"]).ok();
    let pid = fleet.pane("coder0").expect("a pane");
    let groups = format!(
        "/sys/fs/cgroup/user.slice/user-{0}.slice/user@{0}.service/init.scope/cgroup.procs",
        fleet.uid
    );
    fleet.rig.wait_until("the others have answered", SOON, || {
        let rows = ps(&fleet);
        ["coder", "coder0", "rev"].iter().all(|a| row(&rows, a)["heartbeat"]["health"] == "healthy")
    });
    // Its supervisor looks once more a while after the start, and puts it back.
    fleet.rig.wait_until("coder0 stays outside", SOON, || {
        fleet.run(&["sh", "-c", &format!("echo {pid} > {groups}")]).ok();
        flags(&ps(&fleet)) == ["coder0: OUTSIDE", "drifts: DRIFT", "code: UNKNOWN"]
            && failures(&fleet)
                == ["sessions - unknown-session", "cgroup coder0 outside", "runtime drifts drift"]
    });
    // Its own session answers to the exact name alone.
    fleet.run(&["tmux", "-L", "mosaic-factory", "kill-session", "-t", "=code"]).ok();
    assert!(fleet.sessions().contains(&"coder".to_owned()));

    // A session that somebody ends: how its runtime ended is untold, and no server is called gone.
    fleet.run(&["fleet", "start", "task"]).ok();
    fleet.run(&["tmux", "-L", "mosaic-factory", "kill-session", "-t", "=task"]).ok();
    fleet.rig.wait_until("its end is noted", SOON, || fleet.record("task", "state") == "ended");
    let told = fleet.record("task", "status");
    assert_eq!(told, "the runtime ended, not known how: its session was removed");
    // And so it is where the server is: whoever takes its place is another.
    fleet.run(&["fleet", "start", "task"]).ok();
    fleet.kill("-KILL", fleet.holder());
    fleet.rig.wait_until("its end is noted", SOON, || fleet.record("task", "state") == "ended");
    let told = fleet.record("task", "status");
    assert!(
        told == "the runtime ended, not known how: the tmux server is gone" || told == "stopped",
        "{told}"
    );
}

#[test]
fn a_socket_that_was_removed_is_told_with_the_cure() {
    if Rig::skipped() {
        return;
    }
    let fleet = answering(Suite::Bookworm, DOGFOOD);
    fleet.run(&["rm", &format!("/tmp/tmux-{}/mosaic-factory", fleet.uid)]).ok();
    let rows = ps(&fleet);
    assert_eq!(flags(&rows), Vec::<String>::new(), "{rows:#}");
    assert_eq!(row(&rows, "coder")["pane"]["state"], "unknown");
    let holder = fleet.holder().to_string();
    assert!(row(&rows, "coder")["reasons"].to_string().contains(&format!("kill -USR1 {holder}")), "{rows:#}");
    assert!(failures(&fleet).contains(&"server - no-server".to_owned()));
    let status = fleet.run(&["fleet", "status"]).exits(1);
    assert!(status.stdout.contains(&format!("kill -USR1 {holder}")), "{}", status.report());
    fleet.kill("-USR1", fleet.holder());
    fleet.rig.wait_until("the socket is back", SOON, || healthy(&fleet));
}

#[test]
fn what_is_parked_holds_and_what_can_not_be_retried_is_named() {
    if Rig::skipped() {
        return;
    }
    let roster = format!("{DOGFOOD}  - {{name: gone, command: no-such-program}}\n");
    let fleet = Fleet::tenant(Suite::Bookworm);
    fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster, TENANT);
    fleet.run(&["fleet", "apply"]);
    fleet
        .rig
        .wait_until("it has been given up", SOON, || fleet.unit(&unit("gone"), "ActiveState") == "failed");
    fleet.rig.wait_until("the others answer", SOON, || flags(&ps(&fleet)) == ["gone: DEAD"]);
    fleet.rig.wait_until("nothing else fails", SOON, || failures(&fleet) == ["active gone cannot-retry"]);
    fleet.run(&["fleet", "stop", "gone", "coder"]);
    let rows = ps(&fleet);
    assert_eq!(flags(&rows), Vec::<String>::new(), "{rows:#}");
    assert_eq!(failures(&fleet), Vec::<String>::new());
    let told = fleet.run(&["fleet", "verify"]).ok();
    assert!(told.contains("coder: not running on purpose"), "{told}");

    // Where that can't be read it may be so: it is named, and nobody is woken but by name.
    let parked = format!("{MOSAIC}/fleet/run/coder.parked");
    fleet.sh(&format!("rm -r {parked} && ln -s nowhere {parked}")).ok();
    let status = fleet.run(&["fleet", "status"]).exits(1);
    assert!(status.stdout.contains("wrong   coder: not known: parking: "), "{}", status.report());
    let restart = fleet.run(&["fleet", "restart", "coder"]).exits(1);
    assert!(restart.stdout.contains("may be parked, so it is left as it is"), "{}", restart.report());
    assert_eq!(fleet.unit(&unit("coder"), "ActiveState"), "inactive");
    fleet.run(&["fleet", "start", "coder"]).ok();
    assert_eq!(fleet.unit(&unit("coder"), "ActiveState"), "active");
}

#[test]
fn a_deep_proof_restarts_the_canary_and_nothing_else() {
    if Rig::skipped() {
        return;
    }
    // The canary stands where nobody would be taken for another reason.
    let (head, canary) = DOGFOOD.rsplit_once("  - ").expect("an agent");
    let fleet = answering(Suite::Trixie, &head.replace("agents:\n", &format!("agents:\n  - {canary}")));
    let pids = || ["coder", "coder0", "rev"].map(|a| fleet.pane(a).expect("a pane"));
    let (before, holder) = (pids(), fleet.holder());
    let run = fleet.run(&["fleet", "verify", "--deep", "--json"]).exits(0);
    assert!(run.stderr.contains("restarting rev"), "{}", run.report());
    let verdict = parsed(&run);
    let deep: Vec<&str> = verdict["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .filter_map(|c| c["id"].as_str().filter(|id| id.starts_with("deep-")))
        .collect();
    assert_eq!(deep, ["deep-restart", "deep-others", "deep-others", "deep-holder"]);
    let after = pids();
    assert_eq!((after[0], after[1], fleet.holder()), (before[0], before[1], holder));
    assert_ne!(after[2], before[2]);
    let kept: Value =
        serde_json::from_str(&fleet.rig.read(&format!("{MOSAIC}/fleet/run/verify.json"))).expect("JSON");
    assert_eq!(kept["checks"], verdict["checks"]);
    // Where something is wrong already, nobody is restarted, and the cause alone fails.
    fleet.sh(&format!("systemctl --user disable {}", unit("coder"))).ok();
    let verdict = parsed(&fleet.run(&["fleet", "verify", "--deep", "--json"]).exits(1));
    let failing = verdict["checks"].as_array().expect("checks").iter().filter(|c| c["ok"] == false);
    assert_eq!(failing.map(|c| &c["id"]).collect::<Vec<_>>(), ["enabled"]);
    assert_eq!(verdict["not_judged"][0]["id"], "deep-restart");
    assert_eq!(pids(), after);
}
