//! Limits of agents and of a whole tenant as the kernel keeps them, disk quotas among them, in emulated systems with
//! all controllers: who goes over his own is stopped there, and nobody else feels it.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::process::Command;
use std::time::{Duration, Instant};

use fleet::rig::{Kernel, Rig, Suite};
use fleet::{Fleet, TENANT, unit};
use serde_json::Value;

/// Bound for what takes a moment on an emulated processor.
const BOUND: Duration = Duration::from_secs(150);
const ROSTER: &str = "version: 1
agents:
- {name: beside, runtime: dogfood}
- {name: hog, runtime: dogfood, limits: {memory_max: 48M}}
- {name: bomb, command: ./bomb, working_directory: ~/, limits: {tasks_max: 24}}
- {name: busy, command: \"sh -c 'while :; do :; done'\", limits: {cpu_quota: 10%}}
";
/// Takes every process that it can get, and each that becomes free.
const FILL: &str = "import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
    except OSError:
        time.sleep(0.01)
";
/// Starts itself twice, again and again, until it is refused.
const BOMB: &str = "#!/bin/sh
# Not before it is asked to, so that all others are up.
until [ -e ~/go ]; do sleep 1; done
bomb() { bomb & bomb & wait; }
bomb 2>>~/bomb.log
exec sleep 100000
";

#[test]
fn who_goes_over_a_limit_is_stopped_there_and_nobody_else_feels_it_on_debian_12() {
    limits(Suite::Bookworm);
}

#[test]
fn who_goes_over_a_limit_is_stopped_there_and_nobody_else_feels_it_on_debian_13() {
    limits(Suite::Trixie);
}

fn limits(suite: Suite) {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    let fleet = Fleet::tenant_on(Rig::boot_with(Kernel::Own, suite));
    fleet.program("bomb", BOMB);
    fleet.apply(ROSTER);
    fleet.rig.wait_until("all answer", BOUND, || {
        ["beside", "hog"].iter().all(|agent| row(&fleet, agent)["heartbeat"]["health"] == "healthy")
    });
    let before = Others::of(&fleet, &["beside", "busy"]);

    let note =
        |fault: &str, noticed, well| measured::note(fault, &format!("{suite:?}, emulated"), noticed, well);
    let begun = Instant::now();
    let noticed = a_memory_hog_is_killed_alone_and_shown(&fleet);
    note("memory hog with a limit", Some(noticed), Some(begun.elapsed()));
    before.are_as_they_were("after the hog");
    note("fork bomb under tasks_max", Some(a_fork_bomb_is_held(&fleet)), None);
    before.are_as_they_were("after the bomb");
    a_busy_one_gets_its_share(&fleet);
    the_clock_jumps_and_nothing_happens(&fleet);
    before.are_as_they_were("after the clock's jumps");
    note("clock jump", None, None);
    the_tenant_as_a_whole_is_held(&fleet);
    let (shown, well) = a_used_up_disk_quota_is_named_and_holds_nobody_up(&fleet.rig);
    note("disk quota used up", Some(shown), Some(well));
}

/// How long until it showed.
fn a_memory_hog_is_killed_alone_and_shown(fleet: &Fleet) -> Duration {
    let begun = Instant::now();
    let first = fleet.pane("hog").expect("a pane");
    fleet.sh("tmux -L mosaic-factory send-keys -t =hog: '/fault memory:200' Enter").ok();
    fleet.rig.wait_until("the kill is shown", BOUND, || {
        row(fleet, "hog")["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "OOM"))
    });
    let noticed = begun.elapsed();
    fleet.rig.wait_until("it is back", BOUND, || fleet.pane("hog").is_some_and(|pane| pane != first));
    let hog = row(fleet, "hog");
    assert!(hog["reasons"].to_string().contains("the OOM killer ended"), "{hog:#}");
    let kernel = fleet.rig.root_ok(&["journalctl", "-k", "-q", "--no-pager", "-o", "cat", "-g", "oom-kill:"]);
    let kills: Vec<&str> = kernel.lines().collect();
    assert!(!kills.is_empty());
    assert!(
        kills.iter().all(|kill| kill.contains("CONSTRAINT_MEMCG") && kill.contains("mosaic-agent@hog")),
        "{kernel}"
    );
    fleet.rig.wait_until("verify tells of it", BOUND, || {
        fleet.run(&["fleet", "verify", "--json"]).stdout.contains("\"oom\"")
    });
    noticed
}

/// How long until the kernel refused it.
fn a_fork_bomb_is_held(fleet: &Fleet) -> Duration {
    let begun = Instant::now();
    let events = |key: &str| unit_number(fleet, "bomb", "pids.events", key);
    fleet.sh("touch ~/go").ok();
    fleet.rig.wait_until("the kernel refuses it", BOUND, || events("max ") > 0);
    let noticed = begun.elapsed();
    // Whoever else wants a process gets one.
    fleet.sh("for n in 1 2 3 4 5 6 7 8; do sleep 0 & done; wait").ok();
    let tasks: u64 = fleet.unit(&unit("bomb"), "TasksCurrent").parse().expect("a number");
    assert!(tasks <= 24, "{tasks}");
    assert_eq!(unit_number(fleet, "beside", "pids.events", "max "), 0);
    // It can be stopped like any other, and nothing of it stays.
    fleet.run(&["fleet", "stop", "bomb"]).ok();
    assert_eq!(fleet.run(&["pgrep", "-f", "bomb"]).stdout, "");
    noticed
}

fn a_busy_one_gets_its_share(fleet: &Fleet) {
    let before = unit_number(fleet, "busy", "cpu.stat", "nr_throttled ");
    fleet.rig.wait_until("it is held back", BOUND, || {
        unit_number(fleet, "busy", "cpu.stat", "nr_throttled ") > before + 5
    });
    // Both numbers at one moment, twice, inside: what it used against the time that went by.
    let measured = fleet.sh(
        "f=/sys/fs/cgroup$(systemctl --user show --value -p ControlGroup 'mosaic-agent@busy')/cpu.stat\n\
         at() { read -r now _ </proc/uptime; read -r _ used <\"$f\"; echo \"$now $used\"; }\n\
         at; sleep 5; at",
    );
    let numbers: Vec<f64> = measured.ok().split_whitespace().map(|n| n.parse().expect("a number")).collect();
    let [t0, u0, t1, u1] = numbers[..] else { panic!("{numbers:?}") };
    let share = (u1 - u0) / 1e6 / (t1 - t0);
    assert!((0.02..0.15).contains(&share), "10 % was allowed, {share:.3} used");
}

/// Days forward and back again, and a bit: beats are judged by a clock that only the kernel moves.
fn the_clock_jumps_and_nothing_happens(fleet: &Fleet) {
    for jump in ["+3 days", "-3 days", "-2 hours", "+2 hours"] {
        fleet.rig.root_ok(&["sh", "-c", &format!("date -s \"$(date -d '{jump}' '+%F %T')\"")]);
        let beside = row(fleet, "beside");
        assert_eq!(beside["heartbeat"]["health"], "healthy", "{jump}: {beside:#}");
        assert_eq!(beside["flags"], serde_json::json!([]), "{jump}: {beside:#}");
        let probed = fleet.run(&["fleet", "ps", "--probe", "--json"]);
        assert!(probed.code == 4 || probed.stdout.contains("\"healthy\""), "{jump}: {}", probed.report());
    }
}

/// What root declares for the tenant holds at once, over all its agents, and over no other tenant's.
fn the_tenant_as_a_whole_is_held(fleet: &Fleet) {
    let uid = fleet.uid;
    let other = fleet.rig.add_lingering_user("other");
    fleet.rig.root_ok(&["systemd-run", "-q", "--uid=other", "--unit=others", "sleep", "100000"]);
    let declare = "umask 077; mkdir -p /etc/mosaic/tenants.d; cat >/etc/mosaic/tenants.d/demo.yaml <<'END'\n\
                   user: demo\nlimits: {memory_max: 160M, tasks_max: 60}\nEND\nfleet tenant apply demo";
    fleet.rig.root_ok(&["sh", "-c", declare]);
    let slice = format!("user-{uid}.slice");
    let held = format!("/sys/fs/cgroup/user.slice/{slice}/pids.max");
    // A file and a reload are not enough: systemd 257 tells the kernel nothing of them while the slice runs.
    assert_eq!(fleet.rig.read(&held).trim(), "60");

    // An agent without limits of its own takes more than the tenant has.
    let carriers = || (manager(fleet), fleet.holder());
    let carried_by = carriers();
    let beside = fleet.pane("beside").expect("a pane");
    let events = format!("/sys/fs/cgroup/user.slice/{slice}/memory.events");
    let kills = || number(&fleet.rig.read(&events), "oom_kill ");
    let before = kills();
    fleet.sh("tmux -L mosaic-factory send-keys -t =beside: '/fault memory:400' Enter").ok();
    fleet.rig.wait_until("the kernel ends something of the tenant", BOUND, || kills() > before);
    fleet.rig.wait_until("its agent is back", BOUND, || {
        fleet.pane("beside").is_some_and(|pane| pane != beside)
            && row(fleet, "beside")["heartbeat"]["health"] == "healthy"
    });
    assert!(row(fleet, "beside")["flags"].to_string().contains("OOM"));
    assert_eq!(carriers(), carried_by, "what carries the fleet is not hit");
    assert_eq!(
        fleet.rig.root_ok(&["systemctl", "is-active", "others.service", &format!("user@{other}.service")]),
        "active\nactive\n"
    );

    // More processes than the tenant may have: refused to it alone.
    let many = ["sh", "-c", "for n in $(seq 80); do sleep 20 & done"];
    let refused = fleet.rig.login(TENANT, &many);
    assert!(refused.code != 0 && refused.stderr.contains("Cannot fork"), "{}", refused.report());
    fleet.rig.login("other", &many).ok();
    one_that_is_at_its_limit_is_named_and_holds_nobody_up(
        fleet,
        &format!("/sys/fs/cgroup/user.slice/{slice}"),
    );
}

/// An apply while all that the tenant may have is taken, and taken again as soon as something ends.
fn one_that_is_at_its_limit_is_named_and_holds_nobody_up(fleet: &Fleet, group: &str) {
    let rig = &fleet.rig;
    let declare = "umask 077; echo 'user: other\nroster: {version: 1, agents: [{name: one, command: sleep 70001}]}' \
                   >/etc/mosaic/tenants.d/other.yaml";
    rig.root_ok(&["sh", "-c", declare]);
    rig.write("/home/demo/fill.py", FILL, TENANT);
    let mut filling = rig.login_command(TENANT, &["python3", "/home/demo/fill.py"]).spawn().expect("started");
    rig.wait_until("all is taken", BOUND, || rig.read(&format!("{group}/pids.current")).trim() == "60");
    let run = rig.root(&["fleet", "tenant", "apply", "other", "demo", "--json"]);
    let told = tenants_of(&run.stdout);
    rig.root_ok(&["pkill", "-KILL", "-f", "fill.p[y]"]);
    // How the session ended does not matter.
    let _ = filling.wait();
    assert_eq!(told["other"]["ok"], true, "{told:#}");
    assert!(!rig.root_ok(&["pgrep", "-u", "other", "-f", "^sleep 70001"]).is_empty());
    let message = told["demo"]["error"]["message"].as_str().expect("an error");
    assert!(message.contains("may start no more processes or threads (tasks_max"), "{told:#}");
    assert!(told["demo"]["error"]["hints"].to_string().contains("raise tasks_max"), "{told:#}");
    assert!(told["demo"]["seconds"].as_f64().expect("a number") < 60.0, "{told:#}");
    rig.root_ok(&["fleet", "tenant", "apply", "demo"]);
}

/// A home whose user may have no more on its disk, before its first apply and at a change. How long until it was
/// told, and until the same command made all well once there was room.
fn a_used_up_disk_quota_is_named_and_holds_nobody_up(rig: &Rig) -> (Duration, Duration) {
    let uid = rig.add_user("full");
    with_quota(rig, "/home/full", uid);
    let declare = |name: &str, agents: &str| {
        let text = format!("user: {name}\nroster: {{version: 1, agents: [{agents}]}}\n");
        let file = format!("/etc/mosaic/tenants.d/{name}.yaml");
        rig.write(&file, text, "root");
        rig.root_ok(&["chmod", "0600", &file]);
    };
    let running = |user: &str| {
        let agents = rig.root(&["pgrep", "-u", user, "-f", "^sleep 7"]).stdout;
        agents.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let as_it_stands = || {
        let files = "find ~ -xdev -type f -not -path '*/fleet/run/*' -exec md5sum {} + | sort";
        (rig.as_user("full", &["sh", "-c", files]).ok(), running("full"))
    };
    let fill = || {
        let filled = rig.as_user("full", &["sh", "-c", "cat /dev/zero >~/fill"]);
        assert!(filled.stderr.contains("Disk quota exceeded"), "{}", filled.report());
    };
    let mut took = (Duration::ZERO, Duration::ZERO);
    let one = "{name: one, command: sleep 70001}";
    let two = "{name: one, command: sleep 70001}, {name: two, command: sleep 70002}";
    for (agents, count) in [(one, 1), (two, 2)] {
        declare("full", agents);
        declare("other", agents);
        fill();
        let before = as_it_stands();
        let begun = Instant::now();
        let told = apply(rig, 4);
        took.0 = begun.elapsed();
        assert_eq!(told["other"]["ok"], true, "{told:#}");
        assert_eq!(running("other").len(), count, "the other one is provisioned");
        let error = &told["full"]["error"];
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(" /home/full/") && message.contains("Disk quota exceeded"), "{told:#}");
        assert!(error["hints"].to_string().contains("disk quota is used up: free some space"), "{told:#}");
        assert!(told["full"]["seconds"].as_f64().expect("a number") < 20.0, "{told:#}");
        assert_eq!(as_it_stands(), before, "nothing is half-written, lost or restarted");

        rig.as_user("full", &["rm", "/home/full/fill"]).ok();
        let begun = Instant::now();
        let told = apply(rig, 0);
        took.1 = begun.elapsed();
        assert_eq!(told["full"]["ok"], true, "{told:#}");
        assert_eq!(running("full").len(), count, "the same command makes all well");
    }
    took
}

/// Puts a file system at that folder on which the user may have half a MiB.
fn with_quota(rig: &Rig, folder: &str, uid: u32) {
    let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let image = made.path().join("image");
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "quota,^has_journal", "-E", &format!("root_owner={uid}:{uid}")]);
    assert!(mke2fs.arg(&image).arg("4M").output().is_ok_and(|made| made.status.success()));
    rig.write("/var/lib/quota", std::fs::read(&image).expect("the image is there"), "root");
    rig.write("/root/quota.py", include_str!("common/quota.py"), "root");
    let uid = uid.to_string();
    rig.root_ok(&["python3", "-I", "-S", "/root/quota.py", "/var/lib/quota", folder, &uid, "512"]);
    rig.root_ok(&["chmod", "0700", folder]);
}

/// What an apply of these two, with that exit code, tells of each.
fn apply(rig: &Rig, code: i32) -> Value {
    let run = rig.root(&["fleet", "tenant", "apply", "full", "other", "--json"]).exits(code);
    tenants_of(&run.stdout)
}

/// What is told of each tenant, by its name.
fn tenants_of(told: &str) -> Value {
    let told: Value = serde_json::from_str(told).unwrap_or_else(|_| panic!("{told}"));
    let tenants = told["tenants"].as_array().expect("tenants").iter();
    tenants.map(|one| (one["tenant_id"].as_str().expect("a name").to_owned(), one.clone())).collect()
}

/// Agents that nothing happens to, and what carries them.
struct Others<'a> {
    fleet: &'a Fleet,
    holder: i32,
    panes: Vec<(&'a str, Option<i32>)>,
}

impl<'a> Others<'a> {
    fn of(fleet: &'a Fleet, agents: &[&'a str]) -> Self {
        let panes = agents.iter().map(|agent| (*agent, fleet.pane(agent))).collect();
        Self { fleet, holder: fleet.holder(), panes }
    }

    fn are_as_they_were(&self, when: &str) {
        assert_eq!(self.fleet.holder(), self.holder, "{when}");
        for (agent, pane) in &self.panes {
            assert!(pane.is_some());
            assert_eq!(self.fleet.pane(agent), *pane, "{when}: {agent}");
        }
        assert_eq!(row(self.fleet, "beside")["flags"], serde_json::json!([]), "{when}");
    }
}

/// The agent's row, once the slow machine has answered in time.
fn row(fleet: &Fleet, agent: &str) -> Value {
    let mut rows = Value::Null;
    fleet.rig.wait_until("ps could look", BOUND, || {
        let run = fleet.run(&["fleet", "ps", "--json"]);
        rows = serde_json::from_str(&run.stdout).unwrap_or_default();
        run.code == 0
    });
    rows["rows"].as_array().expect("rows").iter().find(|r| r["name"] == agent).expect("a row").clone()
}

/// The tenant's own service manager.
fn manager(fleet: &Fleet) -> String {
    let unit = format!("user@{}.service", fleet.uid);
    fleet.rig.root_ok(&["systemctl", "show", "--value", "-p", "MainPID", &unit])
}

/// The number behind a key in a file of a unit's control group.
fn unit_number(fleet: &Fleet, agent: &str, file: &str, key: &str) -> u64 {
    let group = fleet.unit(&unit(agent), "ControlGroup");
    number(&fleet.rig.read(&format!("/sys/fs/cgroup{group}/{file}")), key)
}

fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {key} in {text}"))
}
