//! Faults in a running fleet, one after another in one booted system: each is named within a bound and heals, by
//! itself or by what it is told, and whoever has nothing to do with it is not touched. What that took is noted.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, TENANT, unit};
use serde_json::{Value, json};

/// What no fault may take longer to be named, or to heal.
const BOUND: Duration = Duration::from_secs(60);
const HOLDER: &str = "mosaic-tmux-holder.service";
/// Each beats each second. The last runs below a shell, and is restarted when its beats stop.
const AGENTS: [&str; 3] = ["a", "ab", "c"];

#[test]
fn each_fault_is_named_and_heals_and_touches_nobody_else_on_debian_12() {
    faults(Suite::Bookworm);
}

#[test]
fn each_fault_is_named_and_heals_and_touches_nobody_else_on_debian_13() {
    faults(Suite::Trixie);
}

fn faults(suite: Suite) {
    if Rig::skipped() {
        return;
    }
    let bench = Bench::new(suite);
    bench.one_agent_is_hit("pane killed", "a", || bench.fleet.kill("-KILL", bench.pane("a")));
    bench.one_agent_is_hit("supervisor kill -9", "ab", || {
        bench.fleet.kill("-KILL", bench.fleet.supervisor("ab"));
    });
    bench.a_stopped_pane_is_continued_by_tmux();
    bench.one_agent_is_hit("runtime SIGSTOPped", "c", || bench.fleet.kill("-STOP", bench.runtime_of_c()));
    bench.all_are_hit("tmux server kill -9", || bench.fleet.kill("-KILL", bench.fleet.holder()));
    bench.all_are_hit("user manager restarted", || {
        bench.fleet.rig.root_ok(&["systemctl", "restart", &format!("user@{}", bench.fleet.uid)]);
    });
    bench.a_removed_socket_is_told_with_what_brings_it_back();
    bench.a_stopped_holder_is_named_and_comes_back_when_it_is_told_to();
    bench.the_last_session_ends_and_nothing_happens();
    bench.a_clean_reboot_brings_all_back();
    bench.a_holder_that_flaps_ten_times_leaves_nobody_down();
    bench.what_can_not_run_yet_is_told_and_runs_once_it_can();
    bench.a_half_written_roster_changes_nothing();
    bench.an_npm_that_never_answers_holds_nobody_up();
}

#[test]
#[ignore = "two hundred agents take minutes of both processors"]
fn two_hundred_agents_start_and_come_back_when_their_server_is_killed() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let names: Vec<String> = (0..200).map(|number| format!("a{number}")).collect();
        let fleet = Fleet::tenant(suite);
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        fleet.rig.write(&path, fleet::roster(&names, "sleep 100000"), TENANT);
        let begun = Instant::now();
        fleet.run(&["fleet", "apply"]).ok();
        let long = Duration::from_secs(300);
        fleet.rig.wait_until("all are active", long, || fleet.active() == 200);
        let up = begun.elapsed();
        let (killed, before) = (Instant::now(), fleet.holder());
        fleet.kill("-KILL", before);
        fleet.rig.wait_until("all are back", long, || fleet.sessions().len() == 201 && fleet.active() == 200);
        assert_ne!(fleet.holder(), before);
        measured::note("200 agents started", &format!("{suite:?}"), None, Some(up));
        measured::note("200 agents", &format!("{suite:?}"), None, Some(killed.elapsed()));
        let own = names.iter().filter(|a| fleet.unit_of(fleet.pane(a).expect("a pane")) == unit(a)).count();
        assert_eq!(own, 200, "{suite:?}");
    }
}

struct Bench {
    fleet: Fleet,
    suite: Suite,
}

impl Bench {
    fn new(suite: Suite) -> Self {
        let fleet = Fleet::tenant(suite);
        let roster = "version: 1\nruntimes: {below: {command: \"sh -c 'mosaic yolo dogfood; exit $?'\"}}\nagents:\n\
                      - {name: a, runtime: dogfood}\n- {name: ab, runtime: dogfood}\n\
                      - {name: c, runtime: below, on_stale: restart}\n";
        for agent in AGENTS {
            let local = format!("{MOSAIC}/fleet/agents/{agent}.local.env");
            fleet.rig.write(&local, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
        }
        fleet.apply(roster);
        let bench = Self { fleet, suite };
        bench.until("all answer", || well(&bench.look()));
        bench
    }

    /// The rows of `fleet ps`; nothing where it could not look.
    fn look(&self) -> Value {
        let run = self.fleet.run(&["fleet", "ps", "--json"]);
        let seen: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
        if run.code == 0 { seen["rows"].clone() } else { Value::Null }
    }

    fn pane(&self, agent: &str) -> i32 {
        self.fleet.pane(agent).unwrap_or_else(|| panic!("{agent} has a pane"))
    }

    fn until(&self, what: &str, done: impl FnMut() -> bool) -> Duration {
        let begun = Instant::now();
        self.fleet.rig.wait_until(&format!("{:?}: {what}", self.suite), BOUND, done);
        begun.elapsed()
    }

    fn note(&self, fault: &str, noticed: Option<Duration>, well: Option<Duration>) {
        measured::note(fault, &format!("{:?}", self.suite), noticed, well);
    }

    /// Until `ps` shows the fault, or what came of it, and until all is well again. The panes of now.
    fn notices_and_heals(&self, fault: &str, inject: impl FnOnce()) {
        let before = self.look();
        let begun = Instant::now();
        inject();
        let mut now = Value::Null;
        self.until(&format!("{fault} shows"), || {
            now = self.look();
            !well(&now) || starts(&now) != starts(&before)
        });
        let noticed = begun.elapsed();
        self.until(&format!("{fault} is over"), || {
            now = self.look();
            well(&now) && panes(&now) != panes(&before)
        });
        self.note(fault, Some(noticed), Some(begun.elapsed()));
    }

    fn one_agent_is_hit(&self, fault: &str, agent: &str, inject: impl FnOnce()) {
        let (holder, before) = (self.fleet.holder(), panes(&self.look()));
        self.notices_and_heals(fault, inject);
        let now = panes(&self.look());
        for (number, other) in AGENTS.iter().enumerate() {
            assert_eq!(now[number] == before[number], *other != agent, "{:?}: {fault}: {other}", self.suite);
        }
        assert_eq!(self.fleet.holder(), holder, "{:?}: {fault}", self.suite);
    }

    fn all_are_hit(&self, fault: &str, inject: impl FnOnce()) {
        let before = panes(&self.look());
        self.notices_and_heals(fault, inject);
        let now = panes(&self.look());
        assert!((0..AGENTS.len()).all(|n| now[n] != before[n]), "{:?}: {fault}: {before} {now}", self.suite);
        assert_eq!(self.fleet.sessions(), ["_holder", "a", "ab", "c"], "{:?}: {fault}", self.suite);
    }

    fn runtime_of_c(&self) -> i32 {
        let below = self.fleet.run(&["pgrep", "-P", &self.pane("c").to_string()]).ok();
        below.trim().parse().unwrap_or_else(|_| panic!("one process below the shell: {below}"))
    }

    /// The process that tmux itself started can't be held: nothing of it is ever seen.
    fn a_stopped_pane_is_continued_by_tmux(&self) {
        let before = panes(&self.look());
        let begun = Instant::now();
        let pane = self.pane("a");
        self.fleet.kill("-STOP", pane);
        let state =
            || self.fleet.rig.read(&format!("/proc/{pane}/stat")).split(' ').nth(2).map(str::to_owned);
        self.until("tmux lets it go on", || state().is_some_and(|state| state != "T"));
        self.note("pane SIGSTOPped", None, Some(begun.elapsed()));
        assert!(well(&self.look()), "{:?}", self.suite);
        assert_eq!(panes(&self.look()), before, "{:?}", self.suite);
    }

    fn a_removed_socket_is_told_with_what_brings_it_back(&self) {
        let fault = "socket file deleted";
        let before = panes(&self.look());
        let begun = Instant::now();
        self.fleet.run(&["rm", &format!("/tmp/tmux-{}/mosaic-factory", self.fleet.uid)]).ok();
        let cure = format!("kill -USR1 {}", self.fleet.holder());
        self.until("it is told with the cure", || self.look().to_string().contains(&cure));
        let noticed = begun.elapsed();
        self.fleet.run(&["sh", "-c", &cure]).ok();
        self.until("all is well", || well(&self.look()));
        self.note(fault, Some(noticed), Some(begun.elapsed()));
        assert_eq!(panes(&self.look()), before, "{:?}: nobody was restarted", self.suite);
    }

    fn a_stopped_holder_is_named_and_comes_back_when_it_is_told_to(&self) {
        let begun = Instant::now();
        self.fleet.sh(&format!("systemctl --user stop {HOLDER}")).ok();
        let named = || self.fleet.run(&["fleet", "verify"]).stdout.contains("holder (not-running)");
        self.until("verify names it", named);
        let noticed = begun.elapsed();
        self.fleet.run(&["fleet", "start"]).ok();
        self.until("all is well", || well(&self.look()));
        self.note("holder stopped", Some(noticed), Some(begun.elapsed()));
    }

    fn the_last_session_ends_and_nothing_happens(&self) {
        let before = panes(&self.look());
        let begun = Instant::now();
        // Its manager has one, too, on Debian 13.
        let sessions =
            || self.fleet.rig.root_ok(&["loginctl", "show-user", "--value", "--property=Sessions", TENANT]);
        let without = sessions();
        let inside = self
            .fleet
            .rig
            .login(TENANT, &["loginctl", "show-user", "--value", "--property=Sessions", TENANT]);
        assert!(inside.ok().trim().len() > without.trim().len(), "{:?}: there was a session", self.suite);
        self.until("nobody is logged in", || sessions() == without);
        assert!(well(&self.look()), "{:?}", self.suite);
        assert_eq!(panes(&self.look()), before, "{:?}", self.suite);
        self.note("logout of the last session", None, Some(begun.elapsed()));
    }

    fn a_clean_reboot_brings_all_back(&self) {
        let begun = Instant::now();
        self.fleet.rig.reboot();
        self.until("all is well", || well(&self.look()));
        self.note("reboot", None, Some(begun.elapsed()));
        self.until("verify says so", || self.fleet.run(&["fleet", "verify"]).code == 0);
    }

    fn a_holder_that_flaps_ten_times_leaves_nobody_down(&self) {
        let begun = Instant::now();
        for _ in 0..10 {
            let holder = self.fleet.holder();
            self.fleet.kill("-KILL", holder);
            self.until("it is started again", || {
                ![holder.to_string().as_str(), "0"].contains(&self.fleet.unit(HOLDER, "MainPID").as_str())
            });
        }
        let last = Instant::now();
        // The flag of it is right, and stays for a while.
        self.until("all answer", || answers(&self.look()));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(60), "ten within a minute: {took:?}");
        self.note("holder flaps ten times in a minute", None, Some(last.elapsed()));
        for agent in AGENTS {
            assert_eq!(self.fleet.unit(&unit(agent), "ActiveState"), "active", "{:?}: {agent}", self.suite);
        }
    }

    /// Its network, say, is not there when it is started: it ends with 1 at once, again and again.
    fn what_can_not_run_yet_is_told_and_runs_once_it_can(&self) {
        let roster = self.fleet.rig.read(&format!("{MOSAIC}/fleet/roster.yaml"));
        let command = "sh -c 'test -e ~/network || exit 1; exec mosaic yolo dogfood'";
        let net = format!("runtimes: {{net: {{command: \"{command}\"}}, ");
        let more = roster.replacen("runtimes: {", &net, 1) + "- {name: net, runtime: net}\n";
        self.fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), more, TENANT);
        let before = panes(&self.look());
        let begun = Instant::now();
        self.fleet.run(&["fleet", "apply"]);
        let waits = || self.fleet.unit(&unit("net"), "StatusText").contains("next try in");
        self.until("its unit tells of it", waits);
        let noticed = begun.elapsed();
        // Some starts later, which systemd's own limit would have ended for good.
        self.until("it was tried six times", || {
            self.fleet.record("net", "starts").parse::<u32>().is_ok_and(|n| n >= 6)
        });
        let now = panes(&self.look());
        for (number, agent) in AGENTS.iter().enumerate() {
            assert_eq!(now[number], before[number], "{:?}: {agent}", self.suite);
        }
        let there = Instant::now();
        self.fleet.run(&["touch", "network"]).ok();
        self.until("it runs", || self.fleet.unit(&unit("net"), "ActiveState") == "active");
        self.note("network away at boot", Some(noticed), Some(there.elapsed()));
        self.fleet.apply(&roster);
    }

    fn a_half_written_roster_changes_nothing(&self) {
        let path = format!("{MOSAIC}/fleet/roster.yaml");
        let roster = self.fleet.rig.read(&path);
        let before = self.fleet.sessions();
        let begun = Instant::now();
        self.fleet.rig.write(&path, &roster[..roster.len() / 2 + 5], TENANT);
        let refused = self.fleet.run(&["fleet", "apply"]);
        assert!([0, 3].contains(&refused.code), "{}", refused.report());
        let noticed = begun.elapsed();
        assert_eq!(refused.code, 3, "{}", refused.report());
        assert_eq!(self.fleet.sessions(), before, "{:?}", self.suite);
        self.fleet.apply(&roster);
        self.note("roster half-written", Some(noticed), Some(begun.elapsed()));
    }

    fn an_npm_that_never_answers_holds_nobody_up(&self) {
        self.fleet.rig.write("/usr/local/bin/npm", "#!/bin/sh\nexec sleep 600\n", "root");
        self.fleet.rig.root_ok(&["chmod", "755", "/usr/local/bin/npm"]);
        let begun = Instant::now();
        let told = self.fleet.run(&["fleet", "apply", "--refresh-npm"]).exits(0);
        let noticed = begun.elapsed();
        assert!(told.stderr.contains("npm"), "{:?}: {}", self.suite, told.report());
        assert!(noticed < Duration::from_secs(20), "{:?}: {noticed:?}", self.suite);
        let before = self.pane("a");
        self.fleet.run(&["fleet", "restart", "a"]).ok();
        self.until("it answers", || well(&self.look()) && self.pane("a") != before);
        self.note("slow npm", Some(noticed), Some(begun.elapsed()));
    }
}

fn rows(seen: &Value) -> impl Iterator<Item = &Value> {
    seen.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// All answer, and nothing is flagged but how often they were started.
fn well(seen: &Value) -> bool {
    answers(seen) && rows(seen).all(|row| row["flags"] == json!([]) || row["flags"] == json!(["FLAPPING"]))
}

fn answers(seen: &Value) -> bool {
    rows(seen).count() >= AGENTS.len() && rows(seen).all(|row| row["heartbeat"]["health"] == "healthy")
}

fn starts(seen: &Value) -> Vec<Value> {
    rows(seen).map(|row| row["restarts"].clone()).collect()
}

fn panes(seen: &Value) -> Value {
    rows(seen).map(|row| row["pane"]["pid"].clone()).collect()
}
