//! What `fleet verify` says of everything that can be broken: the cause, once, with a cure that works
//! when it is copied.

#[path = "common/fleet.rs"]
mod fleet;

use std::cell::RefCell;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::Value;

const UNITS: &str = "/home/demo/.config/systemd/user";
const HOLDER: &str = "mosaic-tmux-holder.service";
const ROSTER: &str = "version: 1\nagents:\n  - {name: coder, runtime: dogfood}\n  \
                      - {name: coder0, runtime: dogfood}\n  - {name: rev, runtime: dogfood, class: canary}\n";
/// What stands in for a unit.
const OTHER: &str = "[Service]\nExecStart=/bin/sleep 100000\n";
/// A shell in which each command runs as whoever a person would run it as: `sudo` is root, all else is
/// the tenant.
const AS_TYPED: &str = r#"
sudo() { command "$@"; }
for name in fleet mosaic mv rm systemctl tmux kill sed npm; do
    eval "$name() { runuser -u demo -- env HOME=/home/demo XDG_RUNTIME_DIR=/run/user/$1 $name \"\$@\"; }"
done
cd /; eval "$2"
"#;

/// A fleet that is broken in one place after the other.
struct Bench {
    fleet: Fleet,
    suite: Suite,
    last: RefCell<Vec<String>>,
}

impl Bench {
    fn with(suite: Suite, roster: &str) -> Self {
        let bench = Self { fleet: Fleet::with(suite, roster), suite, last: RefCell::default() };
        bench.is_green("to begin with");
        bench
    }

    /// `id agent reason` of every check that fails, with the checks, and the exit code.
    fn failures(&self) -> (Vec<String>, Vec<Value>, i32) {
        let run = self.fleet.run(&["fleet", "verify", "--json"]);
        let verdict: Value =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.report()));
        let checks = verdict["checks"].as_array().expect("checks").iter();
        let failing: Vec<Value> = checks.filter(|c| c["ok"] != true).cloned().collect();
        let word = |check: &Value, key: &str| check[key].as_str().unwrap_or("-").to_owned();
        let told = |c: &Value| format!("{} {} {}", word(c, "id"), word(c, "agent"), word(c, "reason"));
        let words: Vec<String> = failing.iter().map(told).collect();
        assert_eq!(verdict["ok"], failing.is_empty(), "{verdict:#}");
        assert!(failing.iter().all(|c| c["cure"].is_string()), "each has a cure: {failing:#?}");
        self.last.replace(failing.iter().map(|c| format!("{c:#}")).collect());
        (words, failing, run.code)
    }

    /// Waits, then fails with what was seen last.
    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + SOON;
        while !done() {
            let last = self.last.borrow().join("\n");
            assert!(
                std::time::Instant::now() < deadline,
                "{:?}: not in time: {what}; last: {last}",
                self.suite
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    fn is_green(&self, when: &str) {
        self.wait(&format!("green {when}"), || self.failures() == (Vec::new(), Vec::new(), 0));
    }

    /// Expects that exactly this fails, told once to people too; its cure.
    fn names(&self, expected: &str) -> String {
        self.names_with(expected, 1)
    }

    fn names_with(&self, expected: &str, code: i32) -> String {
        let mut cure = String::new();
        self.wait(expected, || {
            let (words, checks, exit) = self.failures();
            let found = words == [expected] && exit == code;
            if found {
                cure = checks[0]["cure"].as_str().expect("a cure").to_owned();
            }
            found
        });
        let shown = self.fleet.run(&["fleet", "verify"]).exits(code).stdout;
        assert_eq!(shown.matches("FAILED").count(), 1, "{:?}: {shown}", self.suite);
        assert!(shown.contains(&format!("cure:     {cure}\n")), "{:?}: {shown}", self.suite);
        cure
    }

    /// Does what the cure says, as a person would, and expects that all is well.
    fn cure(&self, cure: &str) {
        let run = self.fleet.rig.root(&["bash", "-c", AS_TYPED, "bash", &self.fleet.uid.to_string(), cure]);
        assert_eq!(run.code, 0, "{:?}: {}", self.suite, run.report());
        self.is_green(&format!("after: {cure}"));
    }

    /// Breaks something, expects exactly that failure, does what it says.
    fn broken(&self, expected: &str, by: &str) {
        self.fleet.sh(by).ok();
        self.cure(&self.names(expected));
    }

    /// The same by root.
    fn broken_by_root(&self, expected: &str, by: &str) {
        self.fleet.rig.root_ok(&["bash", "-c", by]);
        self.cure(&self.names(expected));
    }

    /// Puts a file there, and sees to it that it is cured.
    fn in_the_way(&self, expected: &str, path: &str, text: &str, then: &str) {
        let owner = if path.starts_with("/etc") { "root" } else { TENANT };
        self.fleet.rig.write(path, text, owner);
        if !then.is_empty() {
            self.fleet.sh(then).ok();
        }
        self.cure(&self.names(expected));
    }
}

#[test]
fn whatever_keeps_a_unit_from_being_ours_is_named_once_and_its_cure_works() {
    if Rig::skipped() {
        return;
    }
    const RELOAD: &str = "systemctl --user daemon-reload";
    for suite in Suite::both() {
        let bench = Bench::with(suite, ROSTER);
        let coder = unit("coder");
        let run = format!("/run/user/{}/systemd", bench.fleet.uid);
        bench.broken("enabled coder not-enabled", &format!("systemctl --user disable {coder}"));
        bench.broken("enabled coder0 not-enabled", &format!("rm {UNITS}/{HOLDER}.wants/{}", unit("coder0")));
        bench.broken("unit-file coder masked", &format!("systemctl --user mask {coder}"));
        bench.broken("unit-file coder masked", &format!("systemctl --user mask --runtime {coder}"));
        bench.broken_by_root("unit-file coder masked", &format!("systemctl --global mask {coder}"));
        bench.broken("unit-file - masked", &format!("ln -sf /dev/null {UNITS}/{HOLDER}"));
        // Each folder that comes before ours, and one that does not, for an agent's own name.
        let control = "/home/demo/.config/systemd/user.control";
        bench.in_the_way("unit-file - shadowed", &format!("{control}/{HOLDER}"), OTHER, RELOAD);
        bench.in_the_way(
            "unit-file - shadowed",
            &format!("{run}/user.control/mosaic-agent@.service"),
            OTHER,
            "",
        );
        bench.in_the_way("unit-file coder shadowed", &format!("{run}/transient/{coder}"), OTHER, RELOAD);
        bench.in_the_way("unit-file - shadowed", &format!("{run}/generator.early/{HOLDER}"), OTHER, "");
        let restarted = format!("{RELOAD} && systemctl --user restart {coder}");
        bench.in_the_way(
            "unit-file coder shadowed",
            &format!("/etc/systemd/user/{coder}"),
            OTHER,
            &restarted,
        );
        // Drop-ins: one that takes over, one that closes a circle; not one that only sets something.
        let text = "[Service]\nExecStart=\nExecStart=/bin/sleep 100000\nType=exec\n";
        let drop_in = format!("{UNITS}/{coder}.d/own.conf");
        bench.in_the_way("unit-file coder shadowed", &drop_in, text, &restarted);
        let circle = "[Unit]\nAfter=default.target\n";
        bench.in_the_way("unit-file - ordering-cycle", &format!("{UNITS}/{HOLDER}.d/late.conf"), circle, "");
        bench.fleet.rig.write(&drop_in, "[Service]\nNice=3\n", TENANT);
        bench.fleet.sh(RELOAD).ok();
        bench.is_green("with a drop-in that takes nothing over");
        // Files of ours.
        let env = format!("{MOSAIC}/fleet/agents/coder.env");
        bench.broken("files - edited", &format!("echo X=1 >> {env}"));
        bench.broken("files - not-as-rendered", &format!("rm {env}"));
        bench.broken("files - edited", &format!("echo '# mine' >> {UNITS}/{HOLDER}"));
        bench.broken("files - not-as-rendered", &format!("rm {UNITS}/mosaic-agent@.service"));
        // The roster, changed and not applied, or applied by half.
        let roster = format!("{MOSAIC}/fleet/roster.yaml");
        let changed = ROSTER.replace("{name: coder,", "{name: coder, env: {A: b},")
            + "  - {name: new, runtime: dogfood}\n";
        bench.in_the_way("files - not-as-rendered", &roster, &changed, "");
        bench.in_the_way("files - not-as-rendered", &roster, ROSTER, "");
        bench.fleet.rig.write(&roster, ROSTER.replace("{name: rev,", "{name: rev, env: {A: b},"), TENANT);
        bench.broken("restarts rev restart-pending", "fleet apply --no-restart");
        bench.broken(
            "overrides coder override",
            &format!("echo MOSAIC_AGENT_NAME=other > {MOSAIC}/fleet/agents/coder.local.env"),
        );
    }
}

#[test]
fn whatever_keeps_the_fleet_from_running_is_named_once_and_its_cure_works() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let roster = format!("{ROSTER}  - {{name: gone, runtime: claude}}\n");
        let fleet = Fleet::tenant(suite);
        let install = "#!/bin/sh\nmkdir -p ~/.local/bin\ncat >~/.local/bin/claude <<'END'\n#!/bin/sh\n\
                       while :; do mosaic heartbeat; sleep 5; done\nEND\nchmod 755 ~/.local/bin/claude\n";
        fleet.rig.write("/usr/local/bin/npm", install, "root");
        fleet.rig.root_ok(&["chmod", "755", "/usr/local/bin/npm"]);
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster, TENANT);
        fleet.run(&["fleet", "apply"]);
        let bench = Bench { fleet, suite, last: RefCell::default() };
        let fleet = &bench.fleet;
        bench.cure(&bench.names("active gone cannot-retry"));

        bench.broken("holder - not-running", &format!("systemctl --user stop {HOLDER}"));
        bench.broken("active coder not-running", &format!("systemctl --user stop {}", unit("coder")));
        bench.broken("server - no-server", &format!("rm /tmp/tmux-{}/mosaic-factory", fleet.uid));
        let foreign = format!(
            "systemctl --user stop {HOLDER}; tmux -L mosaic-factory new -d -s mine 'sleep 100000'; \
             systemctl --user start --no-block {HOLDER}"
        );
        bench.broken("server - foreign-server", &foreign);
        foreign_and_stopped(&bench);
        bench.broken("sessions - unknown-session", "tmux -L mosaic-factory new -d -s mine 'sleep 100000'");
        // One that does not answer is looked at again before anybody ends it, and only then ended.
        for last in ["kill -CONT", "kill -KILL"] {
            fleet.kill("-STOP", fleet.holder());
            let cure = bench.names_with("server - unknown", 4);
            assert!(cure.starts_with("fleet verify  # again: "), "{suite:?}: {cure}");
            let line = format!("{last} {}", fleet.holder());
            assert!(cure.contains(&line), "{suite:?}: {cure}");
            bench.cure(&line);
        }
        // A holder that dies comes back by itself, and until then nobody is told of eight failures.
        fleet.kill("-KILL", fleet.holder());
        bench.wait("back by itself", || {
            let (words, _, _) = bench.failures();
            let underway = |w: &String| w.ends_with(" starting") || w.ends_with(" waiting");
            assert!(words.iter().all(underway), "{suite:?}: {words:?}");
            words.is_empty()
        });

        let limit = format!("{UNITS}/{}.d/limit.conf", unit("coder"));
        fleet.rig.write(&limit, "[Unit]\nStartLimitBurst=1\n", TENANT);
        fleet.sh("systemctl --user daemon-reload").ok();
        // The limit stands while it is cured: `fleet apply` can what `fleet start` can.
        for cure in ["fleet start coder", "fleet apply"] {
            bench.wait("it is given up", || {
                fleet.sh(&format!("systemctl --user kill --signal=KILL --kill-whom=main {}", unit("coder")));
                fleet.unit(&unit("coder"), "ActiveState") == "failed"
            });
            assert_eq!(bench.names("active coder start-limit"), "fleet start coder");
            let plan = fleet.run(&["fleet", "plan"]).ok();
            assert!(plan.contains(&format!("forget    {}: failed", unit("coder"))), "{suite:?}: {plan}");
            bench.cure(cure);
        }
        fleet.sh(&format!("rm {limit} && systemctl --user daemon-reload")).ok();
        lost_from_the_books(&bench);

        bench.broken_by_root("manager - no-manager", &format!("systemctl stop user@{}", fleet.uid));
        bench.broken_by_root("linger - linger-off", "loginctl disable-linger demo");
    }
}

/// A server of somebody else's, and a holder that is stopped: the plan shows what apply does not do.
fn foreign_and_stopped(bench: &Bench) {
    let fleet = &bench.fleet;
    let line =
        format!("systemctl --user stop {HOLDER}; tmux -L mosaic-factory new -d -s mine 'sleep 100000'");
    fleet.sh(&line).ok();
    let cure = bench.names("server - foreign-server");
    let server = fleet.run(&["tmux", "-L", "mosaic-factory", "display-message", "-p", "#{pid}"]).ok();
    let plan = fleet.run(&["fleet", "plan"]).ok();
    for part in [
        "CONFLICT  /tmp/tmux-",
        &format!("pid {}, of ", server.trim()),
        "with its sessions mine",
        "fleet apply --adopt",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(!plan.contains("start     "), "{plan}");
    let begun = std::time::Instant::now();
    let refused = fleet.run(&["fleet", "apply"]).exits(1);
    assert!(begun.elapsed().as_secs() < 5, "nothing is waited for: {}", refused.report());
    assert!(refused.stderr.contains("another tmux server listens there: pid "), "{}", refused.report());
    assert_eq!(fleet.sessions(), ["mine"]);
    let taken = fleet.run(&["fleet", "plan", "--adopt"]).ok();
    assert!(taken.contains("end       session mine: its scrollback is saved; it ends for good"), "{taken}");
    assert!(taken.contains(&format!("start     {HOLDER}")), "{taken}");
    assert_eq!(fleet.sessions(), ["mine"], "a plan ends nothing");
    bench.cure(&cure);
}

/// An agent that the ledger has lost and the roster has no more: whatever it left is named once.
fn lost_from_the_books(bench: &Bench) {
    let fleet = &bench.fleet;
    let ledger = format!("{MOSAIC}/fleet/ledger.json");
    let roster = format!("{MOSAIC}/fleet/roster.yaml");
    let before = fleet.rig.read(&roster);
    fleet.rig.write(&roster, format!("{before}  - {{name: lost, runtime: dogfood}}\n"), TENANT);
    fleet.run(&["fleet", "apply"]).ok();
    let forget = |runs: bool| {
        let mut books: Value = serde_json::from_str(&fleet.rig.read(&ledger)).expect("JSON");
        for part in ["units", "links", "files"] {
            let part = books[part].as_object_mut().expect("a map");
            part.retain(|name, _| !name.contains("@lost.") && !name.contains("lost.env"));
        }
        fleet.rig.write(&ledger, format!("{books:#}\n"), TENANT);
        fleet.rig.write(&roster, &before, TENANT);
        if !runs {
            fleet.sh("systemctl --user stop mosaic-agent@lost.service").ok();
        }
        let plan = fleet.run(&["fleet", "plan"]);
        assert_eq!(plan.code, 0, "{}", plan.report());
        assert_eq!(plan.stdout.contains("lost.service runs, and neither roster"), runs, "{}", plan.report());
        let cure = bench.names("agents lost unknown-agent");
        assert!(cure.starts_with("systemctl --user disable --now mosaic-agent@lost.service"), "{cure}");
        bench.cure(&cure);
        assert!(!fleet.sessions().contains(&"lost".to_owned()), "it is gone for good");
    };
    forget(true);
    fleet.sh("systemctl --user enable mosaic-agent@lost.service").ok();
    forget(false);
    fleet.sh(&format!("rm -f {MOSAIC}/fleet/agents/lost.env")).ok();
}

#[test]
fn what_a_boot_left_out_is_told_with_what_did_it() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let bench = Bench::with(suite, ROSTER);
        let fleet = &bench.fleet;
        let up = || fleet.rig.wait_until("the manager is back", SOON, || fleet.rig.manager_runs(fleet.uid));
        let survived = "survived the boot of ";
        assert!(!fleet.run(&["fleet", "verify"]).ok().contains(survived));

        fleet.sh(&format!("systemctl --user disable {}", unit("coder"))).ok();
        fleet.rig.reboot();
        up();
        bench.cure(&bench.names("enabled coder never-wanted"));
        let told = fleet.run(&["fleet", "verify"]).ok();
        assert!(!told.contains(survived), "{suite:?}: it was helped: {told}");

        let late = format!("{UNITS}/{HOLDER}.d/late.conf");
        fleet.rig.write(&late, "[Unit]\nAfter=default.target\n", TENANT);
        fleet.rig.reboot();
        up();
        let cure = bench.names("unit-file - ordering-cycle");
        // Gone from the disk by now, and what it did is still to be seen.
        fleet.sh(&format!("rm {late} && systemctl --user daemon-reload")).ok();
        let (words, checks, _) = bench.failures();
        let dropped = ["active - ordering-cycle", "active coder ordering-cycle", "holder - ordering-cycle"];
        assert!(words.len() == 1 && words[0].ends_with("ordering-cycle"), "{suite:?}: {words:?} {dropped:?}");
        assert!(cure.starts_with(&format!("mv {late}")), "{cure}");
        bench.cure(checks[0]["cure"].as_str().expect("a cure"));

        // The home is a mount that comes late.
        let unit_file = format!(
            "[Unit]\nAfter=user@{0}.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until systemctl is-active user@{0}; do sleep 0.05; done; systemctl start home-demo.mount'\n\
             [Install]\nWantedBy=multi-user.target\n",
            fleet.uid
        );
        fleet.rig.write("/etc/systemd/system/late-home.service", unit_file, "root");
        let mount = "mkdir /srv/demo && cp -a /home/demo/. /srv/demo/ && chown demo: /srv/demo && \
                     echo '/srv/demo /home/demo none bind,noauto 0 0' >>/etc/fstab && rm -rf /home/demo/.config && \
                     systemctl daemon-reload && systemctl enable late-home.service";
        fleet.rig.root_ok(&["bash", "-c", &format!("systemctl stop user@{} && {mount}", fleet.uid)]);
        fleet.rig.reboot();
        up();
        fleet.rig.wait_until("the home is there", SOON, || fleet.run(&["test", "-d", MOSAIC]).code == 0);
        bench.cure(&bench.names("home - home-late"));
        fleet.rig.reboot();
        up();
        bench.is_green("after a boot with its home");
        let told = fleet.run(&["fleet", "verify"]).ok();
        assert!(told.contains(survived) && told.contains("recovered coder"), "{suite:?}: {told}");
        let kept = fleet.rig.read(&format!("{MOSAIC}/fleet/run/verify.json"));
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        for agent in ["coder", "coder0", "rev"] {
            let seconds = kept["recovery_seconds"][agent].as_f64().expect("it has recovered");
            assert!((0.0..30.0).contains(&seconds), "{suite:?}: {seconds}");
        }
        fleet.kill("-KILL", fleet.holder());
        bench.is_green("after the holder died");
        assert!(
            fleet.run(&["fleet", "verify"]).ok().contains(survived),
            "{suite:?}: it did, whatever came after"
        );
    }
}

#[test]
fn a_start_that_is_young_is_waited_for_and_neither_healthy_nor_failed() {
    if Rig::skipped() {
        return;
    }
    let command =
        "sh -c 'while [ ! -e ~/go ]; do sleep 0.1; done; while :; do mosaic heartbeat; sleep 5; done'";
    let roster = format!(
        "version: 1\nruntimes: {{bot: {{command: \"{command}\"}}}}\nagents:\n  - {{name: late, runtime: bot}}\n"
    );
    let fleet = Fleet::with(Suite::Trixie, &roster);
    let bench = Bench { fleet, suite: Suite::Trixie, last: RefCell::default() };
    bench.wait("it waits", || bench.failures().0 == ["heartbeat late waiting"]);
    let shown = bench.fleet.run(&["fleet", "verify"]).exits(1).stdout;
    assert!(shown.contains("WAITING   late: heartbeat (waiting): ") && !shown.contains("FAILED"), "{shown}");
    bench.fleet.run(&["touch", "/home/demo/go"]).ok();
    bench.is_green("once it has beaten");
}

#[test]
fn a_server_of_another_version_than_the_program_is_named_and_its_restart_cures_it() {
    if Rig::skipped() {
        return;
    }
    let [old, new] = Rig::boot_all(Suite::both());
    let uid = new.add_lingering_user(TENANT);
    let fleet = Fleet { rig: new, uid };
    let here = fleet.rig.path();
    let installed = here.join("usr/bin/tmux");
    let kept = here.join("usr/bin/tmux.new");
    std::fs::rename(&installed, &kept).expect("moved");
    std::fs::copy(old.path().join("usr/bin/tmux"), &installed).expect("copied");
    // What the newer one does without.
    for folder in std::fs::read_dir(old.path().join("usr/lib")).expect("libraries").flatten() {
        let library = folder.path().join("libutempter.so.0");
        if library.exists() {
            let there = here.join("usr/lib").join(folder.file_name()).join("libutempter.so.0");
            std::fs::copy(library, there).expect("copied");
        }
    }
    drop(old);
    fleet.apply(ROSTER);
    let bench = Bench { fleet, suite: Suite::Trixie, last: RefCell::default() };
    bench.is_green("with the old one");
    // An upgrade, as a package manager does it.
    std::fs::rename(&kept, &installed).expect("moved");
    let cure = bench.names("tmux - tmux-version");
    assert!(cure.ends_with("# ends the panes of coder, coder0, rev"), "{cure}");
    bench.cure(&cure);
}
