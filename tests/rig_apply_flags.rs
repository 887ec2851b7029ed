//! The flags of an apply that hold it back or let it go further, in a booted system: `--no-restart`,
//! `--files-only`, `--restart-holder`.

#[path = "common/fleet.rs"]
mod fleet;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};
use serde_json::Value;

const NOTHING: &str = "Nothing to do: ";
const HOLDER: &str = "mosaic-tmux-holder.service";
const AGENTS: [&str; 2] = ["coder", "coder0"];

/// A fleet of two on that socket; what is given stands behind the second's name.
fn roster(socket: &str, coder0: &str) -> String {
    format!(
        "version: 1\ntmux: {{socket_name: {socket}}}\n\
         runtimes: {{quiet: {{command: sleep 100000}}}}\n\
         defaults: {{runtime: quiet}}\nagents:\n  - {{name: coder}}\n  - {{name: coder0{coder0}}}\n"
    )
}

fn write(fleet: &Fleet, text: &str) {
    fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), text, TENANT);
}

/// Who runs: the holder and the agents' panes.
fn running(fleet: &Fleet) -> (i32, [Option<i32>; 2]) {
    (fleet.holder(), AGENTS.map(|agent| fleet.pane(agent)))
}

/// The units whose restart is due and held, by the plan.
fn pending(fleet: &Fleet) -> Vec<String> {
    let plan: Value = serde_json::from_str(&fleet.run(&["fleet", "plan", "--json"]).ok()).expect("JSON");
    let pending = plan["pending"].as_array().expect("a list");
    pending.iter().map(|p| p["unit"].as_str().expect("a unit").to_owned()).collect()
}

/// What systemd was told and did: links, what is loaded, who runs since when, how often it was reloaded.
fn systemd(fleet: &Fleet) -> String {
    fleet
        .sh("find ~/.config/systemd -type l -printf '%p %l %i\\n' | sort; \
             systemctl --user list-units --all --plain --no-legend 'mosaic-*' | sort; \
             systemctl --user show -p Id -p MainPID -p NRestarts -p ActiveEnterTimestampMonotonic 'mosaic-*'; \
             systemctl --user show -p UnitsLoadTimestampMonotonic")
        .ok()
}

#[test]
fn restarts_are_held_or_asked_for_and_files_alone_touch_nothing_of_systemd() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::with(suite, &roster("mosaic-factory", ""));
        held_restarts(&fleet, suite);
        files_only(&fleet, suite);
        holder(&fleet, suite);
        cut_off_move(&fleet, suite);
    });
}

/// `--no-restart`: the change is written, who runs runs on, and what is due is named until it is done.
fn held_restarts(fleet: &Fleet, suite: Suite) {
    let before = running(fleet);
    write(fleet, &roster("mosaic-factory", ", env: {A: b}"));
    let held = fleet.run(&["fleet", "apply", "--no-restart"]).exits(0);
    let said = format!("{}{}", held.stdout, held.stderr);
    let line = said.lines().find(|l| l.contains("PENDING")).unwrap_or_else(|| panic!("{suite:?}: {said}"));
    for part in [&unit("coder0"), "coder0.env changed", "fleet restart coder0"] {
        assert!(line.contains(part), "{suite:?}: {part}: {line}");
    }
    assert_eq!(running(fleet), before, "{suite:?}");
    let env = fleet.rig.read(&format!("{MOSAIC}/fleet/agents/coder0.env"));
    assert!(env.contains("A=b"), "{suite:?}: {env}");
    // Again, it is still held; without the flag it is no longer.
    fleet.run(&["fleet", "apply", "--no-restart"]).ok();
    assert_eq!(running(fleet), before, "{suite:?}");
    let ps = || fleet.run(&["fleet", "ps"]).ok();
    let flagged =
        |agent: &str| ps().lines().any(|l| l.starts_with(&format!("{agent} ")) && l.contains("PENDING"));
    assert!(flagged("coder0") && !flagged("coder"), "{suite:?}: {}", ps());
    // A restart by hand ends it, and so does the next apply.
    fleet.run(&["fleet", "restart", "coder0"]).ok();
    let by_hand = running(fleet);
    assert_ne!(by_hand.1[1], before.1[1], "{suite:?}");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
    assert!(!flagged("coder0"), "{suite:?}: {}", ps());
    write(fleet, &roster("mosaic-factory", ", env: {A: c}"));
    fleet.run(&["fleet", "apply", "--no-restart"]).ok();
    assert_eq!(running(fleet), by_hand, "{suite:?}");
    fleet.run(&["fleet", "apply"]).ok();
    let after = running(fleet);
    assert_eq!((after.0, after.1[0]), (before.0, before.1[0]), "{suite:?}: nobody else");
    assert_ne!(after.1[1], by_hand.1[1], "{suite:?}");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
}

/// `--files-only`: files stand as the roster says, and systemd has not heard of it.
fn files_only(fleet: &Fleet, suite: Suite) {
    let before = systemd(fleet);
    let text = roster("mosaic-factory", ", env: {A: d}, limits: {tasks_max: 500}")
        + "  - {name: more, limits: {tasks_max: 400}}\n";
    write(fleet, &text);
    fleet.run(&["fleet", "apply", "--files-only"]).ok();
    assert_eq!(systemd(fleet), before, "{suite:?}");
    let env = fleet.rig.read(&format!("{MOSAIC}/fleet/agents/coder0.env"));
    assert!(env.contains("A=d"), "{suite:?}: {env}");
    let drop_in = "/home/demo/.config/systemd/user/mosaic-agent@more.service.d/mosaic.conf";
    assert!(fleet.rig.read(drop_in).contains("TasksMax=400"), "{suite:?}");
    // What is left is done by the next apply.
    let coder = fleet.pane("coder");
    fleet.run(&["fleet", "apply"]).ok();
    assert!(fleet.pane("more").is_some() && fleet.pane("coder") == coder, "{suite:?}");
    assert_eq!(fleet.unit(&unit("coder0"), "TasksMax"), "500", "{suite:?}");
    let environ = fleet.pane("coder0").expect("a pane");
    let environ = fleet.sh(&format!("tr '\\0' '\\n' < /proc/{environ}/environ")).ok();
    assert!(environ.contains("\nA=d\n"), "{suite:?}: runs with the new file");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
    write(fleet, &roster("mosaic-factory", ""));
    fleet.run(&["fleet", "apply"]).ok();
}

/// A restart of the holder that is cut off before the ledger hears of it: the move is done all the same.
fn cut_off_move(fleet: &Fleet, suite: Suite) {
    let ledger = || fleet.rig.read(&format!("{MOSAIC}/fleet/ledger.json"));
    write(fleet, &roster("third", ""));
    // The first job to end is the holder's; the ledger is written after the batch.
    fleet.sh("MOSAIC_TEST_INTERRUPT=KILL@ended fleet apply --restart-holder").exits(137);
    fleet.rig.wait_until("both are back", SOON, || fleet.active() == 2);
    assert!(ledger().contains("/other\""), "{suite:?}: as it was: {}", ledger());
    let on_third = || {
        fleet.run(&["tmux", "-L", "third", "list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]).stdout
    };
    let panes = on_third();
    assert_eq!(panes.lines().count(), 3, "{suite:?}: {panes}");
    fleet.run(&["fleet", "apply"]).ok();
    assert!(ledger().contains("/third\""), "{suite:?}: {}", ledger());
    assert_eq!(on_third(), panes, "{suite:?}: nobody is restarted for it");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
}

/// `--restart-holder`: a change of the holder's files waits for it, and so does another socket as a whole.
fn holder(fleet: &Fleet, suite: Suite) {
    // What a person made of the configuration, put back as the server was started with, concerns nobody.
    let conf = format!("{MOSAIC}/fleet/tmux.conf");
    fleet.sh(&format!("echo '# mine' >> {conf}")).ok();
    fleet.run(&["fleet", "apply", "--force"]).ok();
    assert_eq!(pending(fleet), Vec::<String>::new(), "{suite:?}");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
    // One that it was started with meanwhile does.
    fleet.sh(&format!("echo '# mine' >> {conf} && systemctl --user restart {HOLDER}")).ok();
    fleet.rig.wait_until("both are back", SOON, || fleet.active() == 2);
    let before = running(fleet);
    let kept = fleet.run(&["fleet", "apply", "--force"]).exits(0);
    let said = format!("{}{}", kept.stdout, kept.stderr);
    let line = said.lines().find(|l| l.contains("PENDING")).unwrap_or_else(|| panic!("{suite:?}: {said}"));
    for part in [HOLDER, "--restart-holder", "coder", "coder0"] {
        assert!(line.contains(part), "{suite:?}: {part}: {line}");
    }
    assert_eq!(running(fleet), before, "{suite:?}: an outage is never done unasked");
    assert_eq!(pending(fleet), [HOLDER], "{suite:?}");
    fleet.run(&["fleet", "apply", "--restart-holder"]).ok();
    fleet.rig.wait_until("both are back", SOON, || fleet.active() == 2);
    let after = running(fleet);
    assert!(after.0 != before.0 && after.1.iter().all(Option::is_some), "{suite:?}: {after:?}");
    assert_eq!(pending(fleet), Vec::<String>::new(), "{suite:?}");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
    // Asked for with nothing due it restarts nobody.
    fleet.run(&["fleet", "apply", "--restart-holder"]).ok();
    assert_eq!(running(fleet), after, "{suite:?}");

    let ledger = || fleet.rig.read(&format!("{MOSAIC}/fleet/ledger.json"));
    let installed = ledger();
    write(fleet, &roster("other", ""));
    for flags in [&[][..], &[], &["--no-restart"], &["--files-only"], &["--force"], &[]] {
        let planned = fleet.run(&["fleet", "plan"]);
        assert!(planned.stdout.contains("another tmux server"), "{}", planned.report());
        let kept = fleet.run(&[&["fleet", "apply"], flags].concat()).exits(1);
        assert!(kept.stderr.contains("--restart-holder"), "{flags:?}: {}", kept.report());
        assert_eq!(running(fleet), after, "{suite:?} {flags:?}: nothing is done by halves");
        assert_eq!(ledger(), installed, "{suite:?} {flags:?}: the next run has to see the same conflict");
    }
    write(fleet, &roster("mosaic-factory", ""));
    assert!(fleet.run(&["fleet", "apply"]).ok().starts_with(NOTHING), "{suite:?}: the roster is as it was");
    write(fleet, &roster("other", ""));
    fleet.run(&["fleet", "apply", "--restart-holder"]).ok();
    let there = fleet.run(&["tmux", "-L", "other", "list-sessions", "-F", "#{session_name}"]).ok();
    assert_eq!(there, "_holder\ncoder\ncoder0\n", "{suite:?}");
    assert_eq!(fleet.sessions(), Vec::<String>::new(), "{suite:?}: nothing is left on the old socket");
    assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING), "{suite:?}");
}
