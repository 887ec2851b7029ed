//! The main job, in a booted system: from a roster to a fleet that survives a reboot.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/measured.rs"]
mod measured;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// The value of each row's `path`.
fn column<'a>(ps: &'a Value, path: &str) -> Vec<&'a Value> {
    ps["rows"].as_array().expect("rows").iter().map(|row| row.pointer(path).unwrap_or(&Value::Null)).collect()
}

#[test]
fn init_starts_three_healthy_agents_and_they_are_back_after_a_reboot_without_a_login() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        let plan = fleet.run(&["fleet", "init", "--profile", "dogfood"]).ok();
        assert!(plan.contains("mosaic-agent@orchestrator.service"), "{plan}");
        assert!(fleet.run(&["ls", MOSAIC]).code != 0, "without --write nothing is written");

        fleet.run(&["fleet", "init", "--profile", "dogfood", "--write", "--start"]).ok();
        let ps = json(&fleet.run(&["fleet", "ps", "--json"]).ok());
        assert_eq!(ps["schema_version"], 1);
        assert_eq!(ps["tenant_id"], TENANT);
        assert_eq!(column(&ps, "/name"), ["orchestrator", "coder", "reviewer"]);
        assert_eq!(column(&ps, "/heartbeat/health"), ["healthy"; 3], "{suite:?}: {ps:#}");
        assert!(column(&ps, "/flags").iter().all(|f| **f == Value::Array(vec![])), "{suite:?}: {ps:#}");
        fleet.run(&["fleet", "verify"]).ok();

        fleet.rig.reboot();
        fleet.rig.wait_until("verify says yes", SOON, || fleet.run(&["fleet", "verify"]).code == 0);
        let sessions = fleet.rig.root_ok(&["loginctl", "list-sessions", "--no-legend"]);
        // From 256 on a manager has a session of its own, of that class.
        let people = sessions.lines().filter(|l| l.contains(TENANT) && !l.contains(" manager "));
        assert_eq!(people.count(), 0, "nobody has logged in: {sessions}");
        let told = fleet.run(&["fleet", "verify"]).ok();
        for agent in ["orchestrator", "coder", "reviewer"] {
            let line = told.lines().find(|l| l.contains(agent) && l.contains(" s after"));
            assert!(line.is_some(), "{suite:?}: no recovery time of {agent} in\n{told}");
        }
        let verify = json(&fleet.run(&["fleet", "verify", "--json"]).ok());
        assert_eq!(verify["ok"], true);
        let seconds = verify["recovery_seconds"].as_object().expect("a map");
        assert_eq!(seconds.len(), 3);
        assert!(seconds.values().all(|s| s.as_f64().is_some_and(|s| s > 0.0 && s < 60.0)), "{verify:#}");
        fleet.run(&["fleet", "verify", "--deep"]).ok();
    }
}

#[test]
fn without_leave_to_linger_everything_else_is_done_and_an_admin_is_told_what_to_run() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Bookworm);
    rig.add_user(TENANT);
    let run = rig.as_user(TENANT, &["fleet", "init", "--profile", "dogfood", "--write"]);
    assert_eq!(run.code, 4, "{}", run.report());
    assert!(run.stderr.contains("loginctl enable-linger demo"), "{}", run.report());
    assert!(rig.path().join("home/demo/.config/systemd/user/mosaic-agent@.service").exists());

    rig.root_ok(&["loginctl", "enable-linger", TENANT]);
    rig.as_user(TENANT, &["fleet", "init", "--profile", "dogfood", "--write", "--start"]).ok();
    rig.as_user(TENANT, &["fleet", "verify"]).ok();
}

/// A stand-in for a runtime: notes how it was called, and stays.
const STAND_IN: &str = "#!/bin/bash\nmkdir -p ~/seen\nf=~/seen/$MOSAIC_AGENT_NAME\n\
     printf '%s\\n' \"$0\" \"$@\" > $f.args\ncat /proc/$$/environ > $f.env\n\
     mosaic heartbeat --source runtime --pid $$\nwhile :; do sleep 3600; done\n";

#[test]
fn thirteen_agents_run_programs_that_only_the_baked_path_finds() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        // As npm lays it out.
        let package = ".npm-global/lib/node_modules/@anthropic-ai/claude-code";
        fleet.program(&format!("{package}/cli.js"), STAND_IN);
        let manifest = r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.7"}"#;
        fleet.rig.write(&format!("/home/demo/{package}/package.json"), manifest, TENANT);
        let link = format!("mkdir -p ~/.npm-global/bin && ln -s ~/{package}/cli.js ~/.npm-global/bin/claude");
        fleet.run(&["sh", "-c", &link]).ok();
        fleet.program(".local/bin/pi", STAND_IN);
        fleet.run(&["fleet", "init", "--profile", "usc", "--write"]).ok();
        fleet.run(&["fleet", "start"]).ok();
        let listed = json(&fleet.run(&["mosaic", "agent", "roster", "--json"]).ok());
        let agents = listed["agents"].as_array().expect("agents");
        assert_eq!(agents.len(), 13);
        assert_eq!(fleet.sessions().len(), 14, "{suite:?}: thirteen and the holder's");
        for agent in agents {
            let name = agent["name"].as_str().expect("a name");
            let pid = fleet.pane(name).unwrap_or_else(|| panic!("{suite:?}: {name} has no live pane"));
            assert_eq!(fleet.unit_of(pid), unit(name), "{suite:?}: when start returns");
        }
        for agent in agents {
            let (name, runtime) = (agent["name"].as_str().expect("a name"), agent["runtime"].as_str());
            let env = format!("/home/demo/seen/{name}.env");
            let there = || fleet.rig.path().join(env.trim_start_matches('/')).exists();
            fleet.rig.wait_until(&format!("{name}'s program has noted its call"), SOON, there);
            let env = fleet.rig.read(&env);
            assert!(env.split('\0').any(|v| v == format!("MOSAIC_AGENT_NAME={name}")), "{suite:?}: {name}");
            let args = fleet.rig.read(&format!("/home/demo/seen/{name}.args"));
            match runtime {
                Some("pi") => {
                    assert!(args.starts_with("/home/demo/.local/bin/pi\n"), "{args}");
                    assert!(args.contains("--model\nopenai-codex/gpt-5.5:high\n"), "{args}");
                }
                _ => assert!(args.starts_with("/home/demo/.npm-global/bin/claude\n"), "{args}"),
            }
        }
        let report = json(&fleet.run(&["fleet", "ps", "--json"]).ok());
        for row in report["rows"].as_array().expect("rows") {
            match row["runtime"].as_str() {
                Some("claude") => assert_eq!(row["version"], "2.1.7", "{suite:?}: {row:#}"),
                _ => {
                    let why = row["reasons"].to_string();
                    assert!(row["version"].is_null() && why.contains("no package.json of @"), "{row:#}");
                }
            }
        }
    }
}

#[test]
fn a_restart_of_one_agent_leaves_the_holder_and_its_neighbours() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let names = ["coder", "coder0", "coder1"];
        let roster = "version: 1\ndefaults: {runtime: dogfood}\nagents: [{name: coder}, {name: coder0}, {name: coder1}]\n";
        let fleet = Fleet::with(suite, roster);
        let before: Vec<_> = names.iter().map(|n| fleet.pane(n).expect("a pane")).collect();
        let holder = fleet.holder();
        fleet.run(&["fleet", "restart", "coder0"]).ok();
        let after: Vec<_> = names.iter().map(|n| fleet.pane(n).expect("a pane")).collect();
        assert_eq!((after[0], after[2], fleet.holder()), (before[0], before[2], holder), "{suite:?}");
        assert_ne!(after[1], before[1]);

        fleet.run(&["fleet", "stop", "coder"]).ok();
        assert_eq!(fleet.sessions(), ["_holder", "coder0", "coder1"], "{suite:?}: a name is never a prefix");
        // A person stopped it: neither an apply nor the holder's restart wakes it, a start does.
        fleet.run(&["fleet", "apply"]).ok();
        let holder = fleet.holder();
        fleet.kill("-KILL", holder);
        fleet.rig.wait_until("the others are back", SOON, || fleet.active() == 2 && fleet.holder() != holder);
        assert!(!fleet.sessions().contains(&"coder".to_owned()), "{suite:?}");
        fleet.run(&["fleet", "start", "coder"]).ok();
        assert!(fleet.pane("coder").is_some());
    }
}

/// Starts a fleet, with these variables, and looks whether all is well; how long it took until all answered.
fn starts_and_answers(fleet: &Fleet, variables: &str) -> Duration {
    let begun = Instant::now();
    fleet.sh(&format!("{variables} fleet init --profile dogfood --write --start")).ok();
    let health = || {
        let ps = json(&fleet.sh(&format!("{variables} fleet ps --json")).ok());
        column(&ps, "/heartbeat/health").iter().filter(|health| **health == "healthy").count()
    };
    fleet.rig.wait_until("all answer", SOON, || health() == 3);
    let took = begun.elapsed();
    fleet.sh(&format!("{variables} fleet verify")).ok();
    fleet.sh(&format!("{variables} fleet restart coder")).ok();
    let pane = fleet.pane("coder").expect("a pane");
    let env = fleet.run(&["cat", &format!("/proc/{pane}/environ")]).ok();
    assert!(env.contains("MOSAIC_AGENT_NAME=coder\0"), "{env}");
    took
}

/// The tenant's manager as it is after what was changed for it.
fn manager_anew(fleet: &Fleet) {
    fleet.rig.root_ok(&["systemctl", "restart", &format!("user@{}.service", fleet.uid)]);
}

#[test]
fn a_login_shell_that_lets_nobody_in_changes_nothing() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        fleet.rig.root_ok(&["usermod", "--shell", "/usr/sbin/nologin", TENANT]);
        manager_anew(&fleet);
        let well = starts_and_answers(&fleet, "");
        measured::note("login shell nologin", &format!("{suite:?}"), None, Some(well));
    });
}

#[test]
fn the_plainest_locale_changes_nothing() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        fleet.rig.write("/home/demo/.config/environment.d/locale.conf", "LC_ALL=C\n", TENANT);
        manager_anew(&fleet);
        let well = starts_and_answers(&fleet, "LC_ALL=C");
        fleet.sh("LC_ALL=C mosaic agent send coder --message 'é ☃' --verify").ok();
        let screen =
            fleet.run(&["tmux", "-u", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=coder:"]);
        assert!(screen.stdout.contains("é ☃"), "{suite:?}: {}", screen.report());
        measured::note("LC_ALL=C", &format!("{suite:?}"), None, Some(well));
    });
}

#[test]
fn the_users_own_tmux_is_neither_read_nor_touched() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        let own = "set -g base-index 1\nset -g pane-base-index 1\nset -g prefix C-q\nthis is no command\n";
        fleet.rig.write("/home/demo/.tmux.conf", own, TENANT);
        fleet.sh("tmux new-session -d -s coder 'sleep 90000'").ok();
        let theirs =
            || fleet.run(&["tmux", "list-panes", "-a", "-F", "#{pid} #{session_name} #{pane_pid}"]).ok();
        let before = theirs();

        let well = starts_and_answers(&fleet, "");
        let place = "#{window_index}.#{pane_index} #{prefix}";
        let seen = fleet.sh(&format!("tmux -L mosaic-factory display -p -t =coder: '{place}'")).ok();
        assert_eq!(seen.trim(), "0.0 C-b", "{suite:?}");
        fleet.run(&["fleet", "stop", "--holder"]).ok();
        assert_eq!(theirs(), before, "{suite:?}");
        assert_eq!(fleet.rig.read("/home/demo/.tmux.conf"), own);
        let fault = "user's own tmux.conf with base-index 1 and odd prefix";
        measured::note(fault, &format!("{suite:?}"), None, Some(well));
    });
}

#[test]
fn the_runtime_sees_hostile_values_exactly_as_the_roster_says() {
    if Rig::skipped() {
        return;
    }
    let pieces = "quote \" apostrophe ' newline \n tab \t dollar $HOME ${x} $(id) percent %h %% backtick `id` backslash \\ \\n é ☃ 🦀 end ";
    let big = pieces.repeat(64 * 1024 / pieces.len() + 1);
    for suite in Suite::both() {
        let fleet = Fleet::tenant(suite);
        let script = "#!/bin/sh\ncat /proc/$$/environ > ~/$MOSAIC_AGENT_NAME.env.tmp\n\
             mv ~/$MOSAIC_AGENT_NAME.env.tmp ~/$MOSAIC_AGENT_NAME.env\nexec sleep 90000\n";
        fleet.program(".local/bin/notes", script);
        let quoted = serde_json::to_string(&big).expect("JSON is YAML");
        let agent = |name| {
            format!(
                "  - name: {name}\n    command: notes\n    env: {{BIG: {quoted}, TRAILING: \"x \", EMPTY: \"\"}}\n"
            )
        };
        fleet.apply(&format!("version: 1\nagents:\n{}{}", agent("one"), agent("two")));
        for name in ["one", "two"] {
            let file = format!("/home/demo/{name}.env");
            fleet.rig.wait_until("it has noted", SOON, || fleet.rig.path().join(&file[1..]).exists());
            let env = fleet.rig.read(&file);
            let value = |key: &str| {
                env.split('\0').find_map(|v| v.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
            };
            assert!(value("BIG").is_some_and(|seen| seen == big), "{suite:?}: {name}");
            assert_eq!(value("TRAILING").as_deref(), Some("x "));
            assert_eq!(value("EMPTY").as_deref(), Some(""));
            assert_eq!(
                value("XDG_RUNTIME_DIR"),
                Some(format!("/run/user/{}", fleet.uid)),
                "the way to the user's bus"
            );
            assert_eq!(value("NOTIFY_SOCKET"), None);
        }
    }
}

#[test]
fn root_never_works_on_what_a_tenant_controls() {
    if Rig::skipped() {
        return;
    }
    let fleet = Fleet::with(Suite::Bookworm, "version: 1\nagents:\n  - {name: coder, runtime: dogfood}\n");
    let home = format!("MOSAIC_HOME={MOSAIC}");
    let roster = format!("{MOSAIC}/fleet/roster.yaml");
    let before = fleet.rig.root_ok(&["find", "/home/demo", "/root", "-printf", "%p %u %T@ %s\n"]);
    for argv in [
        &["env", &home, "fleet", "apply"][..],
        &["fleet", "--mosaic-home", MOSAIC, "ps"],
        &["fleet", "--roster", &roster, "apply"],
        &["env", "HOME=/home/demo", "fleet", "start"],
        &["fleet", "render", "--profile", "dogfood", "--out", "/home/demo/tree"],
        &["fleet", "man", "--out", "/home/demo/man"],
        &["env", &home, "fleet", "session", "start", "coder"],
    ] {
        let run = fleet.rig.root(argv);
        assert!(run.code != 0, "{}", run.report());
        assert!(run.stderr.contains("under the control of demo"), "{}", run.report());
    }
    let wrong_owner = fleet.rig.root_ok(&["find", "/home/demo", "-user", "root"]);
    assert_eq!(wrong_owner, "");
    let changed = |text: &str| {
        text.lines().filter(|l| !l.contains("/fleet/run")).map(str::to_owned).collect::<Vec<_>>()
    };
    let after = fleet.rig.root_ok(&["find", "/home/demo", "/root", "-printf", "%p %u %T@ %s\n"]);
    assert_eq!(changed(&after), changed(&before));
}
