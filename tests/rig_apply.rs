//! Plan and apply in a booted system: only what changed restarts. Runs that are cut off are met in
//! `apply_killed`, flags in `rig_apply_flags.rs`.

#[path = "common/fleet.rs"]
mod fleet;

use std::collections::BTreeMap;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::Value;

const QUIET: &str = "sleep 100000";
const NOTHING: &str = "Nothing to do: ";

/// A roster of agents that sleep, each with what stands behind its name.
fn roster(agents: &[(&str, &str)]) -> String {
    let mut text = format!(
        "version: 1\nruntimes: {{quiet: {{command: {QUIET}}}}}\ndefaults: {{runtime: quiet}}\nagents:\n"
    );
    for (name, more) in agents {
        text.push_str(&format!("  - {{name: {name}{more}}}\n"));
    }
    text
}

fn write(fleet: &Fleet, roster: &str) {
    fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster, TENANT);
}

fn pids(fleet: &Fleet, agents: &[&str]) -> Vec<Option<i32>> {
    agents.iter().map(|agent| fleet.pane(agent)).collect()
}

#[test]
fn only_what_changed_restarts_and_a_second_apply_has_nothing_to_do() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let all = ["coder", "coder0", "coder1"];
        let fleet = Fleet::with(suite, &roster(&[("coder", ""), ("coder0", ""), ("coder1", "")]));
        let (before, holder) = (pids(&fleet, &all), fleet.holder());
        let changed = roster(&[
            ("coder", ""),
            ("coder0", ", env: {EXTRA: x}"),
            ("coder1", ", limits: {tasks_max: 500}"),
        ]);
        write(&fleet, &changed);
        let plan = fleet.run(&["fleet", "plan"]).ok();
        let line = "restart   mosaic-agent@coder0.service: coder0.env changed (ends the pane of coder0)";
        assert!(plan.contains(line), "{plan}");
        assert!(plan.contains("restart   mosaic-agent@coder1.service: mosaic.conf changed"), "{plan}");

        fleet.run(&["fleet", "apply", "--no-restart"]).ok();
        assert_eq!(pids(&fleet, &all), before, "{suite:?}: restarts are held");
        assert!(
            fleet.run(&["fleet", "plan"]).ok().contains("restart   mosaic-agent@coder0"),
            "and still due"
        );
        fleet.run(&["fleet", "apply"]).ok();
        let after = pids(&fleet, &all);
        assert_eq!(
            (after[0], fleet.holder()),
            (before[0], holder),
            "{suite:?}: its neighbours are left alone"
        );
        assert!(after[1] != before[1] && after[2] != before[2] && after[1].is_some() && after[2].is_some());
        assert_eq!(fleet.unit(&unit("coder1"), "TasksMax"), "500");
        assert_eq!(fleet.unit(&unit("coder1"), "NeedDaemonReload"), "no");

        let again = fleet.run(&["fleet", "apply"]).ok();
        assert!(again.starts_with(NOTHING), "{suite:?}: {again}");
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING));
    }
}

/// Every agent's pane with its pid, by one call.
fn panes(fleet: &Fleet) -> BTreeMap<String, i32> {
    let list = ["tmux", "-L", "mosaic-factory", "list-panes", "-a", "-F", "#{session_name} #{pane_pid}"];
    let text = fleet.run(&list).ok();
    let pane = |line: &str| line.split_once(' ').map(|(n, pid)| (n.to_owned(), pid.parse().expect("a pid")));
    text.lines().filter_map(pane).collect()
}

#[test]
fn of_thirteen_agents_only_the_one_that_changed_restarts_and_only_the_one_removed_goes() {
    if Rig::skipped() {
        return;
    }
    const NAMES: [&str; 13] = [
        "mos-claude",
        "coder0",
        "coder1",
        "coder2",
        "coder3",
        "coder4",
        "coder5",
        "enhance",
        "rev0",
        "rev1",
        "secrev0",
        "secrev1",
        "ultron",
    ];
    let text = |names: &[&str], coder3: &str| {
        let mut text = "version: 1\ndefaults: {runtime: dogfood}\nagents:\n".to_owned();
        for name in names {
            let more = if *name == "coder3" { coder3 } else { "" };
            text.push_str(&format!("  - {{name: {name}, class: implementer{more}}}\n"));
        }
        text
    };
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &text(&NAMES, ""));
        let before = panes(&fleet);
        assert_eq!(before.len(), 14, "{suite:?}");
        fleet.apply(&text(&NAMES, ", env: {EXTRA: x}"));
        let changed = panes(&fleet);
        let others = |panes: &BTreeMap<String, i32>, but: &[&str]| -> BTreeMap<String, i32> {
            panes.iter().filter(|(n, _)| !but.contains(&n.as_str())).map(|(n, p)| (n.clone(), *p)).collect()
        };
        assert_ne!(before["coder3"], changed["coder3"], "{suite:?}");
        assert_eq!(others(&before, &["coder3"]), others(&changed, &["coder3"]), "{suite:?}");

        let stay: Vec<&str> = NAMES.into_iter().filter(|n| *n != "rev1").collect();
        write(&fleet, &text(&stay, ", env: {EXTRA: x}"));
        let plan = fleet.run(&["fleet", "plan"]).ok();
        assert!(
            plan.contains("mosaic-agent@rev1.service: no longer in the roster (ends the pane of rev1)"),
            "{plan}"
        );
        assert!(plan.contains("1 panes end"), "{plan}");
        fleet.run(&["fleet", "apply"]).ok();
        assert_eq!(panes(&fleet), others(&changed, &["rev1"]), "{suite:?}");
        assert_eq!(fleet.sh("find ~/.config -name '*rev1*' ! -name '*secrev1*'").ok(), "", "{suite:?}");
    }
}

#[test]
fn an_agent_that_leaves_the_roster_leaves_the_machine() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        // One whose name begins alike, and one that has failed for good.
        let stay = ("gone0", "");
        let fleet = Fleet::tenant(suite);
        let failing = ("broken", ", command: 'exit 78'");
        write(&fleet, &roster(&[("coder", ""), stay, failing, ("gone", ", limits: {tasks_max: 500}")]));
        fleet.run(&["fleet", "apply"]);
        let failed = || fleet.sh("systemctl --user list-units --failed --plain --no-legend").ok();
        fleet.rig.wait_until("it has failed", SOON, || failed().contains("mosaic-agent@broken.service"));
        let pids_before = pids(&fleet, &["coder", "gone0"]);
        // Everything that a life leaves behind, and what the ledger does not name.
        let run = format!("{MOSAIC}/fleet/run");
        for agent in ["gone", "gone0"] {
            for file in [
                "hb",
                "hb.lock",
                "probe",
                "ack",
                "last",
                "launch",
                "receipt",
                "receipt.lock",
                "send.lock",
                "attached",
                "gate",
            ] {
                fleet.rig.write(&format!("{run}/{agent}.{file}"), "x", TENANT);
            }
            fleet.rig.write(&format!("{run}/receipts/{agent}/1.json"), "x", TENANT);
            fleet.rig.write(&format!("{run}/queue/{agent}/1.json"), "x", TENANT);
        }
        let of = |agent: &str| {
            fleet.sh(&format!("find {run} -path '*/{agent}' -o -path '*/{agent}.*' | sort")).ok()
        };
        assert!(
            of("gone").contains("gone.record") && of("broken").contains("broken.record"),
            "{}",
            of("gone")
        );
        let neighbour = of("gone0");
        let own = format!("{MOSAIC}/fleet/agents/gone.local.env");
        fleet.rig.write(&own, "MINE=1\n", TENANT);

        write(&fleet, &roster(&[("coder", ""), stay]));
        let plan = fleet.run(&["fleet", "plan"]).ok();
        for line in [
            "clear     the run files of gone: ",
            "forget    mosaic-agent@broken.service: ",
            "gone.local.env is yours",
        ] {
            assert!(plan.contains(line), "{suite:?}: {plan}");
        }
        fleet.run(&["fleet", "apply"]).ok();
        assert_eq!(fleet.sessions(), ["_holder", "coder", "gone0"], "{suite:?}");
        assert_eq!(pids(&fleet, &["coder", "gone0"]), pids_before, "{suite:?}");
        let left = "find ~/.config ~/.local /tmp -name '*gone.*' -o -name gone -o -name '*@gone*' -o -name '*broken*'";
        let left = fleet.sh(&format!("{{ {left}; }} 2>/dev/null | grep -v gone0")).stdout;
        assert_eq!(left.trim(), own, "{suite:?}");
        assert_eq!(of("gone0"), neighbour, "{suite:?}");
        let units = fleet.sh("systemctl --user list-units --all --plain --no-legend").ok();
        assert!(!units.contains("@gone.") && !units.contains("@broken"), "{suite:?}: {units}");
        let ledger = fleet.rig.read(&format!("{MOSAIC}/fleet/ledger.json"));
        assert!(
            !ledger.contains("@gone.") && !ledger.contains("gone.env") && !ledger.contains("broken"),
            "{ledger}"
        );
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING));
        assert_eq!(fleet.rig.read(&own), "MINE=1\n");
    }
}

#[test]
fn parked_lasts_until_the_next_boot_and_stopped_in_the_roster_for_good() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet =
            Fleet::with(suite, &roster(&[("coder", ""), ("coder0", ""), ("out", ", state: stopped")]));
        fleet.run(&["fleet", "stop", "coder"]).ok();
        let again = fleet.run(&["fleet", "apply"]).ok();
        assert!(again.starts_with(NOTHING), "{suite:?}: neither drift nor failure: {again}");
        assert!(fleet.run(&["fleet", "restart"]).ok().contains("coder: is parked"), "{suite:?}");
        for (verb, verbs, agents) in [("restart", "restart", 1), ("start", "start", 0), ("stop", "stop", 0)] {
            let run = fleet.run(&["fleet", verb, "--json", "coder0"]).exits(0);
            let said: Value = serde_json::from_str(&run.stdout).expect("JSON alone");
            assert_eq!(
                (&said["schema_version"], &said["tenant_id"], &said["ok"]),
                (&1.into(), &TENANT.into(), &true.into())
            );
            let jobs = said["jobs"].as_array().expect("jobs");
            let stops = usize::from(verb == "stop");
            assert_eq!(jobs.len(), agents + stops, "{suite:?}: {said}");
            assert!(
                jobs.iter().all(|j| j["verb"] == verbs && j["agent"] == "coder0" && j["ok"] == true),
                "{said}"
            );
        }
        fleet.run(&["fleet", "start", "coder0"]).ok();
        let refused = fleet.run(&["fleet", "start", "out"]).exits(1);
        assert!(refused.stderr.contains("state: stopped"), "{}", refused.report());
        assert_eq!(fleet.sessions(), ["_holder", "coder0"]);

        fleet.rig.reboot();
        fleet.rig.wait_until("both are back", SOON, || fleet.active() == 2);
        assert_eq!(fleet.sessions(), ["_holder", "coder", "coder0"], "{suite:?}");
        assert!(fleet.run(&["fleet", "apply"]).ok().starts_with(NOTHING));
        let boot: Value =
            serde_json::from_str(&fleet.rig.read(&format!("{MOSAIC}/fleet/run/boot.json"))).expect("JSON");
        assert_eq!(
            boot["boot_id"],
            fleet.rig.boot_id().trim(),
            "{suite:?}: an apply says in which boot it looked"
        );
    }
}

#[test]
fn lingering_that_apply_turned_on_is_remembered_as_its_own() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        // Root may allow itself to linger; nobody has logged in, so no manager runs yet.
        rig.root_ok(&[
            "env",
            "-i",
            "PATH=/usr/bin",
            "fleet",
            "init",
            "--profile",
            "dogfood",
            "--write",
            "--start",
        ]);
        rig.root_ok(&["test", "-e", "/var/lib/systemd/linger/root"]);
        let ledger: Value =
            serde_json::from_str(&rig.read("/root/.config/mosaic/fleet/ledger.json")).expect("JSON");
        assert_eq!(ledger["linger"]["turned_on_by_us"], true, "{suite:?}");
        assert_eq!(ledger["socket"], "/tmp/tmux-0/mosaic-factory");
    }
}

#[test]
fn a_plain_user_who_may_not_linger_gets_everything_else_and_the_admins_command() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let uid = rig.add_user(TENANT);
        let fleet = Fleet { rig, uid };
        write(&fleet, &roster(&[("coder", ""), ("coder0", "")]));
        let refused = fleet.run(&["fleet", "apply"]).exits(4);
        let cure = "hint: sudo loginctl enable-linger demo";
        assert_eq!(refused.stderr.matches(cure).count(), 1, "{suite:?}: {}", refused.report());
        let wants = fleet.run(&["ls", "/home/demo/.config/systemd/user/default.target.wants"]).ok();
        assert_eq!(wants.lines().count(), 3, "{suite:?}: {wants}");
        let linger = || {
            let ledger = fleet.rig.read(&format!("{MOSAIC}/fleet/ledger.json"));
            serde_json::from_str::<Value>(&ledger).expect("JSON")["linger"]["turned_on_by_us"].clone()
        };
        assert_eq!(linger(), false, "{suite:?}");
        // The admin does that and nothing more: what was left enabled comes up by itself.
        fleet.rig.root_ok(&["loginctl", "enable-linger", TENANT]);
        fleet.rig.wait_until("both are up", SOON, || {
            fleet.rig.root(&["test", "-S", &format!("/run/user/{}/bus", fleet.uid)]).code == 0
                && fleet.active() == 2
        });
        fleet.run(&["fleet", "apply"]).ok();
        assert_eq!(linger(), false, "{suite:?}: it was not us");
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
    }
}

#[test]
fn a_new_version_of_the_program_restarts_nothing() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Bookworm);
    // Installed as versions are: a folder for each, and a link that an upgrade moves.
    let version = |n: u32| {
        let folder = format!("/opt/mosaic-{n}/bin");
        format!(
            "mkdir -p {folder} && cp /usr/bin/fleet /usr/bin/mosaic {folder} && echo {n} >> {folder}/fleet && \
             ln -sfn {folder}/fleet /usr/local/bin/fleet && ln -sfn {folder}/mosaic /usr/local/bin/mosaic"
        )
    };
    rig.root_ok(&["sh", "-c", &version(1)]);
    let uid = rig.add_lingering_user(TENANT);
    let fleet = Fleet { rig, uid };
    write(&fleet, &roster(&[("coder", ""), ("coder0", "")]));
    fleet.run(&["/usr/local/bin/fleet", "apply"]).ok();
    let (before, holder) = (pids(&fleet, &["coder", "coder0"]), fleet.holder());
    let units = "grep -r mosaic-1 ~/.config/systemd ~/.config/mosaic";
    assert_eq!(fleet.sh(units).stdout, "", "no version in unit text or paths");
    fleet.rig.root_ok(&["sh", "-c", &version(2)]);
    // By either name: it is the same program.
    for program in ["/usr/local/bin/fleet", "/opt/mosaic-2/bin/fleet"] {
        let again = fleet.run(&[program, "apply"]).ok();
        assert!(again.starts_with(NOTHING), "{again}");
    }
    assert_eq!((pids(&fleet, &["coder", "coder0"]), fleet.holder()), (before, holder));
}

#[test]
fn who_can_not_start_is_named_with_the_reason_at_once() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::tenant(Suite::Bookworm);
    fleet.program(".local/bin/claude", "#!/bin/sh\nexec mosaic-nonesuch\n");
    // Who was stopped before a reboot is started with the others, and waited for.
    fleet.sh(&format!("install -D /dev/null {MOSAIC}/fleet/run/ultron.parked/earlier")).ok();
    let begun = std::time::Instant::now();
    let run = fleet.run(&["fleet", "init", "--profile", "usc", "--write", "--start"]).exits(1);
    assert!(begun.elapsed() < SOON, "what can't be cured is not waited for: {:?}", begun.elapsed());
    for agent in ["mos-claude", "ultron"] {
        let line = run.stderr.lines().find(|l| l.starts_with(&format!("{agent}: has not answered: ")));
        assert!(line.is_some_and(|l| l.contains("127")), "{}", run.report());
    }
    assert!(run.stdout.contains("0 of 13 agents have answered"), "{}", run.report());
}

#[test]
fn a_start_that_is_over_at_once_is_told_with_what_this_run_of_it_said() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let gone = "version: 1\nruntimes: {gone: {command: \"~/bin/gone\"}}\nagents:\n  - {name: gone, runtime: gone}\n  - {name: rev, runtime: dogfood}\n";
        let fleet = Fleet::tenant(suite);
        fleet.program("bin/gone", "#!/bin/sh\necho said by the first run\nexec sleep 100000\n");
        write(&fleet, gone);
        fleet.run(&["fleet", "apply"]).ok();
        fleet.run(&["rm", "/home/demo/bin/gone"]).ok();
        write(&fleet, &gone.replace("runtime: gone}", "runtime: gone, env: {A: b}}"));
        let run = fleet.run(&["fleet", "apply"]).exits(1);
        let said = "gone: ended at once with exit code 127: its program is missing";
        assert!(run.stderr.contains(said), "{suite:?}: {}", run.report());
        assert!(!run.stderr.contains("rev: ended"), "{suite:?}: {}", run.report());
        assert!(run.stderr.contains("not found"), "{suite:?}: its pane says which: {}", run.report());
        assert!(!run.stderr.contains("the first run"), "{suite:?}: {}", run.report());
        for verb in [vec!["fleet", "start", "gone"], vec!["fleet", "restart", "gone", "--json"]] {
            let run = fleet.run(&verb).exits(1);
            assert!(
                format!("{}{}", run.stderr, run.stdout).contains(said.trim_start_matches("gone: ")),
                "{}",
                run.report()
            );
        }
        // Once it is there, an apply is enough.
        fleet.program("bin/gone", "#!/bin/sh\nexec sleep 100000\n");
        fleet.run(&["fleet", "apply"]).ok();
        assert!(fleet.pane("gone").is_some(), "{suite:?}");
        // What fails in the start itself says what it said now, and nothing of before.
        fleet.run(&["rm", &format!("{MOSAIC}/tools/fleet/start-agent-session.sh")]).ok();
        let failed = fleet.run(&["fleet", "restart", "gone"]).exits(1);
        let lines = failed.stderr.lines().filter(|line| line.starts_with("    ")).count();
        assert!(lines > 0, "{suite:?}: {}", failed.report());
        assert!(!failed.stderr.contains("127"), "{suite:?}: of an earlier run: {}", failed.report());
    }
}

#[test]
fn what_masks_or_shadows_a_unit_is_shown_kept_and_ended_by_the_cure_that_is_named() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::with(suite, &roster(&[("coder", ""), ("coder0", ", limits: {tasks_max: 500}")]));
        let runtime = format!("/run/user/{}/systemd", fleet.uid);
        let units = "/home/demo/.config/systemd/user";
        let text = "[Service]\nExecStart=/bin/sleep 100000\n";
        let put = |path: &str, owner: &str| fleet.rig.write(path, text, owner);
        let cases: [(&str, &dyn Fn(), String, &str); 6] = [
            (
                "masked",
                &|| drop(fleet.sh("systemctl --user mask mosaic-agent@more.service").ok()),
                format!("{units}/mosaic-agent@more.service"),
                "systemctl --user unmask mosaic-agent@more.service",
            ),
            (
                "masked",
                &|| drop(fleet.sh("systemctl --user mask --runtime mosaic-agent@more.service").ok()),
                format!("{runtime}/user/mosaic-agent@more.service"),
                "rm ",
            ),
            (
                "masked",
                &|| drop(fleet.rig.root_ok(&["systemctl", "--global", "mask", "mosaic-agent@more.service"])),
                "/etc/systemd/user/mosaic-agent@more.service".to_owned(),
                "sudo rm ",
            ),
            (
                "shadowed",
                &|| put("/etc/systemd/user/mosaic-agent@coder.service", "root"),
                "/etc/systemd/user/mosaic-agent@coder.service".to_owned(),
                "sudo mv ",
            ),
            (
                "shadowed",
                &|| put(&format!("{runtime}/user.control/mosaic-tmux-holder.service"), TENANT),
                format!("{runtime}/user.control/mosaic-tmux-holder.service"),
                "mv ",
            ),
            (
                "shadowed",
                &|| put(&format!("{runtime}/user.control/mosaic-agent@coder0.service.d/mosaic.conf"), TENANT),
                format!("{runtime}/user.control/mosaic-agent@coder0.service.d/mosaic.conf"),
                "mv ",
            ),
        ];
        for (id, breaks, path, cure) in cases {
            // Whoever is masked is new: a roster that brings others along brings them all the same.
            write(&fleet, &roster(&[("coder", ""), ("coder0", ", limits: {tasks_max: 500}")]));
            fleet.run(&["fleet", "apply"]).ok();
            breaks();
            let two = [("coder", ""), ("coder0", ", limits: {tasks_max: 500}"), ("beside", ""), ("more", "")];
            write(&fleet, &roster(&two));
            let plan = fleet.run(&["fleet", "plan", "--json"]).ok();
            let plan: Value = serde_json::from_str(&plan).expect("JSON");
            let conflict = &plan["conflicts"][0];
            assert_eq!((&conflict["reason_id"], &conflict["path"]), (&id.into(), &path.clone().into()));
            let ends = conflict["cure"].as_str().expect("a cure");
            assert!(ends.starts_with(cure), "{suite:?}: {path}: {ends}");
            let run = fleet.run(&["fleet", "apply", "--force"]).exits(1);
            assert!(run.stderr.contains(ends), "{suite:?}: {}", run.report());
            assert!(fleet.pane("beside").is_some(), "{suite:?}: {}", run.report());
            assert_eq!(fleet.pane("more").is_some(), id != "masked", "{suite:?}: {path}");
            let again = fleet.run(&["fleet", "apply"]).exits(1);
            assert!(!again.stdout.contains(NOTHING), "{suite:?}: {}", again.report());
            let kept = fleet.rig.root(&["test", "-e", &path]).code == 0 || id == "masked";
            assert!(kept, "{suite:?}: {path} is not ours to touch");
            // The cure as it stands, but that root takes the place of sudo.
            let cured = match ends.strip_prefix("sudo ").and_then(|c| c.strip_suffix(" && fleet apply")) {
                Some(admins) => {
                    fleet.rig.root_ok(&["sh", "-c", admins]);
                    fleet.run(&["fleet", "apply"])
                }
                None => fleet.sh(ends),
            };
            assert_eq!(cured.code, 0, "{suite:?}: {}", cured.report());
            assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}: {path}");
            let ours =
                fleet.unit(&unit("more"), "FragmentPath") + &fleet.unit(&unit("coder"), "FragmentPath");
            assert_eq!(ours, format!("{units}/mosaic-agent@.service").repeat(2), "{suite:?}: {path}");
            assert_eq!(fleet.unit(&unit("coder0"), "TasksMax"), "500", "{suite:?}: {path}");
            assert!(fleet.pane("more").is_some(), "{suite:?}: {path}");
        }
    }
}
