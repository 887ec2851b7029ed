//! systemd and logind as they really are, on both Debians.
//!
//! What runs inside a rig is this very program, copied there: each `inside_` test is the part of
//! another that needs to be there, and has nothing to do elsewhere.

#[path = "common/rig.rs"]
mod rig;

use std::fs;
use std::path::Path;
use std::time::Duration;

use mosaic_fleet::error::Error;
use mosaic_fleet::host::logind::{Linger, Logind, linger};
use mosaic_fleet::host::systemd::{Detail, JobOutcome, JobRequest, JobResult, Route, UserManager};
use mosaic_fleet::host::{journal, users, wants};
use mosaic_fleet::layout::Layout;
use mosaic_fleet::snapshot::Fact;
use rig::{Rig, Run, Suite};

/// Set inside a rig, to what the part shall know.
const INSIDE: &str = "MOSAIC_TEST_INSIDE";
const PROGRAM: &str = "/usr/local/bin/inside";
const BOUND: Duration = Duration::from_secs(30);

/// What the outer part told this one; `None` where this is no rig.
fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

fn install(rig: &Rig) {
    let program = std::env::current_exe().expect("this program");
    rig.write(PROGRAM, fs::read(program).expect("this program can be read"), "root");
    rig.root_ok(&["chmod", "755", PROGRAM]);
}

fn command(part: &str, told: &str) -> [String; 6] {
    ["env", &format!("{INSIDE}={told}"), PROGRAM, "--exact", part, "--nocapture"].map(str::to_owned)
}

fn play(rig: &Rig, user: &str, part: &str, told: &str) -> Run {
    let command = command(part, told);
    let argv = command.each_ref().map(String::as_str);
    let run = if user == "root" { rig.root(&argv) } else { rig.as_user(user, &argv) };
    assert!(run.stdout.contains("running 1 test\n"), "no part is called {part}\n{}", run.report());
    run
}

#[test]
fn an_admin_lingers_a_user_and_waits_for_the_manager_and_a_plain_user_is_told_to_ask() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        install(&rig);
        let uid = rig.add_user("demo");
        play(&rig, "demo", "inside_a_plain_user_may_not_linger", "").ok();
        play(&rig, "root", "inside_an_admin_waits_for_the_manager", &uid.to_string()).ok();
        play(&rig, "demo", "inside_the_manager_answers_at_once", "").ok();
        rig.root_ok(&["systemctl", "stop", &format!("user@{uid}.service")]);
        play(&rig, "root", "inside_an_admin_waits_for_the_manager", &uid.to_string()).ok();
        play(&rig, "demo", "inside_the_manager_answers_at_once", "").ok();
    }
}

#[test]
fn inside_a_plain_user_may_not_linger() {
    if inside().is_none() {
        return;
    }
    let caller = users::caller().expect("a user");
    assert_eq!(linger(&caller.name), Fact::Known(false));
    let error = UserManager::connect(caller.uid).expect_err("there is no manager");
    assert_eq!(Error::from(error).hints, ["sudo loginctl enable-linger demo"]);
    let logind = Logind::connect().expect("the system bus answers");
    let error = logind.set_linger(caller.uid, Linger::On).expect_err("nobody may who is not root");
    assert_eq!(Error::from(error).hints, ["sudo loginctl enable-linger demo"]);
}

#[test]
fn inside_an_admin_waits_for_the_manager() {
    let Some(uid) = inside() else { return };
    let uid = uid.parse().expect("a uid");
    let logind = Logind::connect().expect("the system bus answers");
    logind.set_linger(uid, Linger::On).expect("root may");
    logind.wait_for_manager(uid, BOUND).expect("it comes up");
    logind.wait_for_manager(uid, BOUND).expect("it is up");
    assert_eq!(linger("demo"), Fact::Known(true));
}

#[test]
fn inside_the_manager_answers_at_once() {
    if inside().is_none() {
        return;
    }
    let manager = UserManager::connect(users::caller().expect("a user").uid).expect("it listens");
    assert!(manager.manager().expect("it answers").started > 0.0);
}

#[test]
fn a_batch_of_units_is_enabled_started_and_told_apart_with_and_without_a_bus() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        install(&rig);
        let uid = rig.add_lingering_user("demo");
        let unit = |name: &str, text: &str| {
            rig.write(&format!("/home/demo/.config/systemd/user/{name}.service"), text, "demo");
        };
        unit(
            "agent@",
            "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=default.target hub.service\n",
        );
        unit(
            "hub",
            "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c 'systemd-notify --ready --status=here; sleep infinity'\n",
        );
        unit(
            "failing",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo first; echo last; sleep 0.1; exit 3'\n",
        );
        unit(
            "dependent",
            "[Unit]\nRequires=failing.service\nAfter=failing.service\n[Service]\nExecStart=/bin/true\n",
        );
        unit("late", "[Service]\nType=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep infinity\n");
        unit(
            "behind",
            "[Unit]\nRequires=late.service\nAfter=late.service\n[Service]\nExecStart=/bin/sleep infinity\n",
        );
        unit("unwanted", "[Service]\nExecCondition=/bin/false\nExecStart=/bin/sleep infinity\n");
        unit("slow", "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n");
        play(&rig, "demo", "inside_a_batch_is_told_apart", "bus").ok();
        play(&rig, "demo", "inside_a_batch_is_told_apart", "private").ok();
        let bus = ["systemctl", "--user", "stop", "dbus.socket", "dbus.service"];
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
        rig.as_user("demo", &[&["env", &runtime], &bus[..]].concat()).ok();
        play(&rig, "demo", "inside_a_batch_is_told_apart", "whichever").ok();
    }
}

fn results(outcomes: &[JobOutcome]) -> Vec<(&str, JobResult)> {
    outcomes.iter().map(|o| (o.unit.as_str(), o.result.clone())).collect()
}

#[test]
fn inside_a_batch_is_told_apart() {
    let Some(route) = inside() else { return };
    let caller = users::caller().expect("a user");
    let manager = match route.as_str() {
        "bus" => UserManager::connect_by(caller.uid, Route::Bus),
        "private" => UserManager::connect_by(caller.uid, Route::Private),
        _ => UserManager::connect(caller.uid),
    };
    let manager = manager.expect("it listens");
    let agents: Vec<String> = (0..20).map(|n| format!("agent@a-{n}.service")).collect();
    let agents: Vec<&str> = agents.iter().map(String::as_str).collect();

    // Two links each, by one call, and the wants folders tell of them.
    manager.reload().expect("reloaded");
    let enabled = manager.enable(&agents).expect("enabled");
    assert!(enabled.has_install);
    assert_eq!(enabled.changes.len(), 40);
    let folders = wants::unit_folders(&Layout::new(&caller.home, None), caller.uid);
    let wanted = wants::wants(&folders);
    let pairs = wanted.known().expect("read");
    for by in ["default.target", "hub.service"] {
        assert!(agents.iter().all(|agent| pairs.contains(&(by.to_owned(), (*agent).to_owned()))), "{by}");
    }
    manager.reload().expect("reloaded");
    assert!(manager.enable(&agents).expect("once more").changes.is_empty());

    // One batch, every result its own.
    let requests: Vec<JobRequest> = agents.iter().copied().map(JobRequest::start).collect();
    let outcomes = manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    assert!(outcomes.iter().all(|o| o.result == JobResult::Done), "{outcomes:?}");
    let others = ["hub", "failing", "dependent", "unwanted", "absent"].map(|n| format!("{n}.service"));
    let requests: Vec<JobRequest> = others.iter().map(JobRequest::start).collect();
    let outcomes = manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    let expected = [
        ("hub.service", JobResult::Done),
        ("failing.service", JobResult::Failed),
        ("dependent.service", JobResult::Dependency),
        // Done, and yet not active: systemd has no result of its own for it.
        ("unwanted.service", JobResult::Done),
        ("absent.service", JobResult::Refused("Unit absent.service not found.".to_owned())),
    ];
    assert_eq!(results(&outcomes), expected);
    // One that brings nothing along fails all the same with what it requires and has a job of its own.
    let requests = [JobRequest::start("late.service"), JobRequest::start("behind.service").alone()];
    let outcomes = manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    let expected = [("late.service", JobResult::Failed), ("behind.service", JobResult::Dependency)];
    assert_eq!(results(&outcomes), expected);
    let request = [JobRequest::start("slow.service")];
    let outcomes = manager.jobs(&request, Duration::from_millis(300), |_| {}).expect("queued");
    assert_eq!(results(&outcomes), [("slow.service", JobResult::Never)]);
    let queued = manager.queued().expect("listed");
    let slow = queued.iter().find(|job| job.unit == "slow.service").expect("it is still at it");
    assert_eq!((slow.kind.as_str(), slow.state.as_str()), ("start", "running"));
    manager.cancel(slow).expect("canceled");

    // Facts of all of them.
    let units =
        manager.units_with(&["agent@*", "hub.service", "failing.service"], Detail::ALL).expect("listed");
    assert_eq!(units.len(), 22);
    for agent in &agents {
        let facts = &units[*agent];
        let detail = facts.detail.as_ref().expect("details");
        assert_eq!(
            (facts.active.as_str(), facts.sub.as_str(), facts.job.as_str()),
            ("active", "running", "")
        );
        assert!(Path::new("/proc").join(detail.main_pid.to_string()).exists());
        assert!(detail.cgroup.ends_with(&format!("/{agent}")), "{}", detail.cgroup);
        assert!(detail.fragment.ends_with("/agent@.service"), "{}", detail.fragment);
        assert!(detail.active_since > 0.0);
        assert!(!detail.needs_reload);
    }
    let hub = units["hub.service"].detail.as_ref().expect("details");
    assert_eq!(hub.status_text, "here");
    let failing = units["failing.service"].detail.as_ref().expect("details");
    assert_eq!((failing.result.as_str(), failing.exit_code, failing.exit_status), ("exit-code", 1, 3));
    manager.reset_failed("failing.service").expect("reset");
    let lines = journal::last_lines("failing.service", 10, 0.0);
    assert!(lines.known().is_some_and(|l| l.iter().any(|line| line == "last")), "{lines:?}");

    // And back.
    let requests: Vec<JobRequest> =
        agents.iter().copied().chain(["hub.service", "slow.service"]).map(JobRequest::stop).collect();
    let outcomes = manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    assert!(outcomes.iter().all(|o| o.result == JobResult::Done), "{outcomes:?}");
    assert_eq!(manager.disable(&agents).expect("disabled").len(), 40);
    manager.reload().expect("reloaded");
}

#[test]
fn jobs_of_a_manager_that_is_killed_meanwhile_are_unknown_and_not_failed() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        install(&rig);
        let uid = rig.add_lingering_user("demo");
        let slow = "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n";
        rig.write("/home/demo/.config/systemd/user/slow.service", slow, "demo");
        rig.write(
            "/home/demo/.config/systemd/user/quick.service",
            "[Service]\nExecStart=/bin/sleep 600\n",
            "demo",
        );
        let command = command("inside_the_manager_goes_away", "/home/demo/started");
        let mut part = rig.as_user_command("demo", &command.each_ref().map(String::as_str));
        let part = std::thread::spawn(move || part.output().expect("it runs"));
        rig.wait_until("a unit was started", BOUND, || {
            rig.root(&["test", "-e", "/home/demo/started"]).code == 0
        });
        rig.root_ok(&["systemctl", "kill", "--signal=KILL", &format!("user@{uid}.service")]);
        let output = part.join().expect("no panic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn inside_the_manager_goes_away() {
    let Some(started) = inside() else { return };
    let manager = UserManager::connect(users::caller().expect("a user").uid).expect("it listens");
    let requests = ["slow.service", "quick.service"].map(JobRequest::start);
    let tell = |outcome: &JobOutcome| {
        if outcome.unit == "quick.service" {
            fs::write(&started, "").expect("the outer part is told");
        }
    };
    let outcomes = manager.jobs(&requests, BOUND, tell).expect("queued");
    let [slow, quick] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(quick.result, JobResult::Done);
    assert!(matches!(slow.result, JobResult::Unknown(_)), "{slow:?}");
}
