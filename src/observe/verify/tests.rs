//! Each check by what makes it fail: that one with its reason, and no other.

use std::path::Path;

use super::super::case::{BOOT, Case, NOW, SERVER, UNIX, name, pane};
use super::{Check, Evidence, Past, Probes, Verdict, Why, verify};
use crate::lint::{Finding, Level, Rule};
use crate::names::HOLDER_UNIT;
use crate::plan::{Action, Conflict, ConflictKind, Pending, Plan, Reason, Resolution, Step};
use crate::render::Link;
use crate::runfile::record::State;
use crate::snapshot::boot::BootFacts;
use crate::snapshot::{Fact, FileFacts, Tmux};

struct Proof {
    case: Case,
    plan: Plan,
    probes: Probes,
    boot: BootFacts,
    findings: Vec<Finding>,
    not_linted: Option<&'static str>,
    past: Past,
}

impl Proof {
    fn of(agents: &[&str]) -> Self {
        let probes = Probes {
            exact: Some(("code".to_owned(), Fact::Known(false))),
            mosaic: agents.iter().map(|a| (name(a), Fact::Known(true))).collect(),
        };
        let boot = BootFacts {
            wanted: Fact::Known([HOLDER_UNIT.to_owned()].into()),
            linked: Some(UNIX - NOW),
            tmux: Fact::Known("3.3a".to_owned()),
            ..BootFacts::default()
        };
        let (case, plan) = (Case::of(agents), Plan::default());
        Self { case, plan, probes, boot, findings: Vec::new(), not_linted: None, past: Past::Young }
    }

    fn verdict(&self) -> Verdict {
        let rows = self.case.rows();
        let evidence = Evidence {
            given: self.case.given(),
            rows: &rows,
            plan: &self.plan,
            probes: &self.probes,
            boot: &self.boot,
            findings: &self.findings,
            not_linted: self.not_linted,
            user: "usc",
            uid: 1000,
            programs: Path::new("/opt/fleet/bin"),
            past: self.past,
        };
        verify(&evidence, "now".to_owned())
    }

    fn failures(&self) -> Vec<Check> {
        self.verdict().failures().cloned().collect()
    }
}

/// Spoils a sound fleet of a and b, and expects exactly these failures.
fn fails(expected: &[(&str, Option<&str>, Why)], spoil: impl FnOnce(&mut Proof)) -> Vec<Check> {
    let mut proof = Proof::of(&["a", "b"]);
    spoil(&mut proof);
    let failures = proof.failures();
    let seen: Vec<_> = failures
        .iter()
        .map(|c| (c.id, c.agent.as_ref().map(|a| a.as_str()), c.reason.expect("a failure has a reason")))
        .collect();
    assert_eq!(seen, expected, "{failures:#?}");
    failures
}

fn fails_b(id: &str, why: Why, spoil: impl FnOnce(&mut Proof)) -> Check {
    fails(&[(id, Some("b"), why)], spoil).remove(0)
}

fn step(action: Action, reason: Reason) -> Step {
    Step { action, reason, impact: Vec::new() }
}

#[test]
fn a_sound_fleet_is_proven_by_checks_of_every_kind() {
    let verdict = Proof::of(&["a", "b"]).verdict();
    assert!(verdict.ok, "{:#?}", verdict.failures().collect::<Vec<_>>());
    let ids = |agent: Option<&str>| -> Vec<&str> {
        let of = |c: &&Check| c.agent.as_ref().map(|a| a.as_str()) == agent;
        verdict.checks.iter().filter(of).map(|c| c.id).collect()
    };
    assert_eq!(
        ids(None),
        [
            "linger",
            "manager",
            "holder",
            "server",
            "tmux",
            "sessions",
            "exact-targets",
            "unit-file",
            "files",
            "enabled",
            "reload",
            "restarts"
        ]
    );
    assert_eq!(ids(Some("b")), ["unit-file", "active", "pane", "cgroup", "runtime", "heartbeat", "path"]);
    assert!(verdict.recovery_seconds.is_empty(), "no boot was survived yet");
}

#[test]
fn lingering_and_the_manager_come_first() {
    let checks = fails(&[("linger", None, Why::LingerOff)], |p| p.case.seen.linger = Fact::Known(false));
    assert_eq!(checks[0].cure.as_deref(), Some("sudo loginctl enable-linger usc"));
    let none = |p: &mut Proof| {
        p.case.seen.manager = Fact::Unknown("no runtime folder".into());
        p.case.units().clear();
        p.case.seen.processes.clear();
        p.case.seen.tmux = Fact::Known(Tmux::Absent);
    };
    let checks = fails(&[("manager", None, Why::NoManager)], none);
    assert_eq!(checks[0].cure.as_deref(), Some("sudo systemctl start user@1000.service"));
    fails(&[("linger", None, Why::LingerOff)], |p| {
        none(p);
        p.case.seen.linger = Fact::Known(false);
    });
    let hung = fails(&[("manager", None, Why::Unknown)], |p| {
        p.case.seen.manager = Fact::Unknown("did not answer".into());
        p.case.seen.units = Fact::Unknown("did not answer".into());
    });
    assert!(hung[0].cure.as_ref().is_some_and(|c| c.starts_with("sudo systemctl restart user@1000.service")));
}

#[test]
fn what_can_not_be_judged_names_the_check_that_has_to_hold_first() {
    let mut proof = Proof::of(&["a"]);
    proof.case.seen.units = Fact::Unknown("no bus".into());
    proof.case.seen.manager = Fact::Unknown("no bus".into());
    let verdict = proof.verdict();
    let text = serde_json::to_value(&verdict).expect("JSON");
    let first = &text["not_judged"][0];
    assert_eq!(
        *first,
        serde_json::json!({"id": "holder", "agent": null, "because_of": {"id": "manager", "agent": null}})
    );
    let ids: Vec<_> = verdict.not_judged.iter().map(|f| f.id).collect();
    assert_eq!(ids, ["holder", "server", "active", "pane", "cgroup", "runtime", "heartbeat", "path"]);
    assert!(!verdict.ok);
}

#[test]
fn the_server_has_to_be_the_holders_own() {
    let move_pid = |p: &mut Proof| {
        p.case.units().get_mut(HOLDER_UNIT).and_then(|u| u.detail.as_mut()).expect("it is up").main_pid = 99;
    };
    let checks = fails(&[("server", None, Why::ForeignServer)], move_pid);
    assert!(checks[0].seen.contains(&format!("pid {SERVER}")) && checks[0].seen.contains("99"), "{checks:?}");
    fails(&[("server", None, Why::ForeignServer)], |p| {
        p.case.seen.processes.get_mut(&SERVER).expect("it runs").unit = "session-1.scope".into();
    });
    fails(&[("server", None, Why::Unknown)], |p| p.case.seen.tmux = Fact::Unknown("did not answer".into()));
    let checks = fails(&[("server", None, Why::NoServer)], |p| p.case.seen.tmux = Fact::Known(Tmux::Absent));
    assert_eq!(checks[0].cure, Some(format!("kill -USR1 {SERVER}")));
}

#[test]
fn a_holder_that_is_down_says_how() {
    for (active, result, why) in [
        ("failed", "exit-code", Why::Failed),
        ("failed", "start-limit-hit", Why::StartLimit),
        ("activating", "success", Why::Starting),
        ("inactive", "success", Why::NotRunning),
    ] {
        fails(&[("holder", None, why)], |p| {
            let unit = p.case.units().get_mut(HOLDER_UNIT).expect("it is loaded");
            unit.active = active.to_owned();
            unit.detail.as_mut().expect("asked for").result = result.to_owned();
        });
    }
}

#[test]
fn what_stands_in_a_units_way_is_named_once_with_what_ends_it() {
    let conflict = |p: &mut Proof, path: &str, kind: ConflictKind| {
        p.plan.conflicts.push(Conflict { path: path.into(), kind, resolution: Resolution::Kept });
    };
    let b = name("b").unit();
    let checks = fails(&[("unit-file", None, Why::Masked)], |p| {
        conflict(p, "/run/user/1000/systemd/user.control/x", ConflictKind::Mask(HOLDER_UNIT.to_owned()));
        p.case.units().get_mut(HOLDER_UNIT).expect("loaded").active = "inactive".to_owned();
        p.case.seen.tmux = Fact::Known(Tmux::Absent);
    });
    assert_eq!(checks[0].cure.as_deref(), Some("rm /run/user/1000/systemd/user.control/x && fleet apply"));
    fails(&[("unit-file", None, Why::Shadowed)], |p| {
        let template = "mosaic-agent@.service".to_owned();
        conflict(p, "/home/usc/.config/systemd/user.control/x", ConflictKind::StandsIn(template));
        // It is what every agent was started from, and nothing lives of them.
        p.case.kill("a");
        p.case.kill("b");
    });
    fails_b("unit-file", Why::Masked, |p| {
        conflict(p, "/etc/systemd/user/x", ConflictKind::Mask(b.clone()));
        down(p, "inactive", "success", None);
    });
    let check = fails_b("unit-file", Why::Shadowed, |p| {
        conflict(p, "/usr/lib/systemd/user/x", ConflictKind::StandsIn(b.clone()));
        p.case.kill("b");
    });
    assert!(check.cure.is_some_and(|cure| cure.ends_with(" && fleet apply && fleet restart b")));
}

#[test]
fn what_the_lint_finds_in_files_that_are_there_is_named_with_what_ends_it() {
    let finding = |unit: &str, rule, level| Finding {
        level,
        rule,
        path: format!("/home/usc/.config/systemd/user/{unit}.d/own.conf").into(),
        line: 2,
        seen: "odd".to_owned(),
        cure: "take it out".to_owned(),
    };
    let checks = fails(&[("unit-file", None, Why::OrderingCycle)], |p| {
        p.findings.push(finding(HOLDER_UNIT, Rule::OrderingCycle, Level::Error));
    });
    let path = format!("/home/usc/.config/systemd/user/{HOLDER_UNIT}.d/own.conf");
    assert_eq!(checks[0].cure, Some(format!("mv {path} {path}.aside && fleet apply")));
    assert_eq!(checks[0].seen, format!("{path}:2: odd"));
    let b = name("b").unit();
    fails_b("unit-file", Why::Shadowed, |p| p.findings.push(finding(&b, Rule::TakesOver, Level::Warning)));
    fails_b("unit-file", Why::BadUnit, |p| p.findings.push(finding(&b, Rule::SystemOnly, Level::Error)));
    fails(&[], |p| p.findings.push(finding(&b, Rule::NewerKey, Level::Warning)));
    fails(&[("unit-file", None, Why::Unknown)], |p| p.not_linted = Some("permission denied"));
}

#[test]
fn agents_that_one_reason_kept_down_are_one_failure() {
    let dropped =
        |unit: &str| format!("x: Job {unit}/start deleted to break ordering cycle starting with x/start");
    let checks = fails(&[("active", None, Why::OrderingCycle)], |p| {
        p.boot.said = Fact::Known(["a", "b"].map(|a| dropped(&name(a).unit())).into());
        for agent in ["a", "b"] {
            p.case.unit(agent).active = "inactive".to_owned();
            p.case.seen.records.remove(&name(agent));
        }
        p.case.panes().clear();
    });
    assert_eq!(checks[0].cure.as_deref(), Some("fleet start a b"));
    let check = fails_b("active", Why::HolderFailed, |p| {
        down(p, "inactive", "success", None);
        let unit = name("b").unit();
        p.boot.said = Fact::Known(vec![format!("Dependency failed for {unit} - Agent b.")]);
    });
    assert_eq!(check.cure.as_deref(), Some("fleet start b"));
}

#[test]
fn a_home_that_came_after_the_manager_is_one_failure_with_what_orders_them() {
    let late = |p: &mut Proof| {
        p.boot.wanted = Fact::Known(Default::default());
        p.case.units().clear();
        p.case.seen.tmux = Fact::Known(Tmux::Absent);
        p.case.seen.records.clear();
    };
    let checks = fails(&[("home", None, Why::HomeLate)], late);
    assert_eq!(checks[0].cure.as_deref(), Some("fleet apply"));
    let checks = fails(&[("home", None, Why::HomeLate)], |p| {
        late(p);
        p.boot.home_mount = Some("/home".into());
    });
    let cure = checks[0].cure.as_deref().expect("a cure");
    assert_eq!(
        cure,
        r#"sudo sh -c "mkdir -p /etc/systemd/system/user@1000.service.d && printf '[Unit]\nRequiresMountsFor=/home\n' > /etc/systemd/system/user@1000.service.d/home.conf && systemctl daemon-reload" && fleet apply"#
    );
    // A link that was made since tells nothing of the home.
    let mut proof = Proof::of(&["a"]);
    late(&mut proof);
    proof.boot.linked = Some(UNIX - 5.0);
    assert!(proof.failures().iter().all(|c| c.id != "home"));
}

#[test]
fn a_server_of_another_version_than_the_program_is_named_with_who_would_end() {
    let checks = fails(&[("tmux", None, Why::TmuxVersion)], |p| p.boot.tmux = Fact::Known("3.5a".to_owned()));
    assert_eq!(checks[0].cure.as_deref(), Some("fleet restart --holder  # ends the panes of a, b"));
}

#[test]
fn what_is_told_and_is_no_failure_holds_with_its_reason() {
    let mut proof = Proof::of(&["a", "b"]);
    proof.case.record(&name("b"), |r| {
        (r.starts, r.start_times) = (3, vec![700.0, 800.0, 900.0]);
        (r.last_oom, r.supervisor) = (Some(NOW - 5.0), "0.0.1".to_owned());
    });
    let verdict = proof.verdict();
    assert!(verdict.ok, "{:#?}", verdict.failures().collect::<Vec<_>>());
    let told: Vec<_> = verdict.checks.iter().filter_map(|c| c.reason).collect();
    assert_eq!(told, [Why::Flapping, Why::Oom, Why::Skew]);
}

/// Takes b down with these words of systemd's.
fn down(p: &mut Proof, active: &str, result: &str, exit: Option<i32>) {
    p.case.panes().retain(|pane| pane.session != "b");
    p.case.unit("b").active = active.to_owned();
    let detail = p.case.detail("b");
    detail.result = result.to_owned();
    if let Some(code) = exit {
        (detail.exit_code, detail.exit_status) = (1, code);
    }
}

#[test]
fn why_an_agent_is_down_is_told_apart() {
    let check = fails_b("active", Why::Failed, |p| down(p, "failed", "exit-code", Some(3)));
    assert_eq!(check.cure.as_deref(), Some("fleet start b"));
    let check = fails_b("active", Why::CannotRetry, |p| down(p, "failed", "exit-code", Some(127)));
    assert_eq!(check.seen, "exit code 127: its program is missing");
    assert_eq!(check.cure.as_deref(), Some("npm install -g @anthropic-ai/claude-code && fleet start b"));
    fails_b("active", Why::CannotRetry, |p| down(p, "failed", "exit-code", Some(78)));
    fails_b("active", Why::StartLimit, |p| down(p, "failed", "start-limit-hit", Some(1)));
    fails_b("active", Why::Failed, |p| {
        down(p, "activating", "exit-code", Some(1));
        p.case.record(&name("b"), |r| r.state = State::Backoff);
    });
    for state in [State::Waiting, State::Starting, State::Ended] {
        fails_b("active", Why::Starting, |p| {
            down(p, "activating", "success", None);
            p.case.record(&name("b"), |r| r.state = state);
        });
    }
    fails_b("active", Why::NotRunning, |p| down(p, "inactive", "success", None));
    fails_b("active", Why::NotStarted, |p| {
        down(p, "inactive", "success", None);
        p.case.seen.records.remove(&name("b"));
    });
    fails_b("active", Why::NeverWanted, |p| {
        p.case.panes().retain(|pane| pane.session != "b");
        p.case.units().remove(&name("b").unit());
        p.case.seen.records.remove(&name("b"));
        p.case.wants().retain(|(_, unit)| *unit != name("b").unit());
    });
    fails_b("active", Why::ExitedActive, |p| {
        p.case.kill("b");
        p.case.unit("b").sub = "exited".into();
    });
    fails(&[("holder", None, Why::Failed)], |p| {
        down(p, "inactive", "success", None);
        p.case.units().get_mut(HOLDER_UNIT).expect("it is loaded").active = "failed".into();
    });
}

#[test]
fn a_parked_agent_holds_and_says_so() {
    let mut proof = Proof::of(&["a", "b"]);
    down(&mut proof, "inactive", "success", None);
    proof.case.seen.parked.insert(name("b"), Fact::Known(BOOT.to_owned()));
    let verdict = proof.verdict();
    assert!(verdict.ok, "{:#?}", verdict.failures().collect::<Vec<_>>());
    let active =
        verdict.checks.iter().find(|c| c.id == "active" && c.agent == Some(name("b"))).expect("there");
    assert_eq!(active.reason, Some(Why::Parked));
}

#[test]
fn a_pane_a_cgroup_and_a_heartbeat_are_checks_of_their_own() {
    fails_b("pane", Why::PaneDead, |p| p.case.kill("b"));
    fails_b("cgroup", Why::Outside, |p| {
        p.case.seen.processes.get_mut(&200).expect("it runs").unit = "tmux-spawn-1.scope".into();
    });
    let check = fails_b("runtime", Why::Drift, |p| p.case.runs("b", "vim"));
    assert_eq!(
        (check.seen.as_str(), check.expected.as_str()),
        ("runs vim, not claude", "its pane runs claude")
    );
    let b = name("b");
    let beat = |age: f64, more: &str| format!("pid=200\nboot_id={BOOT}\nboottime={}\n{more}", NOW - age);
    let check = fails_b("heartbeat", Why::Stale, |p| p.case.beat(&b, &beat(60.0, "")));
    assert_eq!(check.seen, "the last beat is 60 s old, more than 3 x 15 s");
    fails_b("heartbeat", Why::Alive, |p| p.case.beat(&b, &beat(5.0, "source=sidecar\n")));
    fails_b("heartbeat", Why::BadBeat, |p| p.case.beat(&b, "pid=100\n"));
    fails_b("heartbeat", Why::NoBeat, |p| drop(p.case.seen.beats.remove(&b)));
    let check = fails_b("heartbeat", Why::Waiting, |p| {
        p.case.seen.beats.remove(&b);
        p.case.seen.processes.get_mut(&200).expect("it runs").started = NOW - 5.0;
    });
    assert_eq!(check.cure.as_deref(), Some("fleet verify  # again: its first beat is due within 40 s"));
    fails_b("heartbeat", Why::Unknown, |p| {
        p.case.seen.beats.insert(b.clone(), Fact::Unknown("permission denied".into()));
    });
}

#[test]
fn a_command_that_never_beats_is_not_told_to_restart() {
    let text = "version: 1\ntenant_id: usc\nruntimes: {bot: {command: sleep 9}}\nagents:\n  - {name: w, runtime: bot}\n";
    let mut proof = Proof::of(&[]);
    proof.case = Case::with_roster(text);
    proof.case.runs("w", "sleep");
    proof.case.seen.beats.clear();
    let failures = proof.failures();
    let cure = failures[0].cure.as_deref().expect("a cure");
    assert!(cure.contains("mosaic heartbeat") && !cure.contains("restart"), "{cure}");
}

#[test]
fn a_stray_session_is_named_with_the_exact_cure() {
    let checks =
        fails(&[("sessions", None, Why::UnknownSession)], |p| p.case.panes().push(pane("stray", 900)));
    let cure = "tmux -L mosaic-factory kill-session -t '=stray'  # or have the roster name them";
    assert_eq!((checks[0].seen.as_str(), checks[0].cure.as_deref()), ("stray", Some(cure)));
}

#[test]
fn what_was_tried_out_can_fail_too() {
    fails(&[("exact-targets", None, Why::PrefixHit)], |p| {
        p.probes.exact = Some(("code".into(), Fact::Known(true)));
    });
    let check =
        fails_b("path", Why::NotOnPath, |p| drop(p.probes.mosaic.insert(name("b"), Fact::Known(false))));
    assert_eq!(check.cure.as_deref(), Some("sudo ln -s /opt/fleet/bin/mosaic /usr/local/bin/mosaic"));
}

#[test]
fn a_local_override_of_who_the_agent_is_is_named_and_its_value_is_not() {
    let env = |text: &str| Fact::Known(FileFacts::File { content: text.as_bytes().to_vec(), mode: 0o600 });
    let write = |p: &mut Proof, local: &str| {
        let (ours, theirs) = (p.case.layout.agent_env(&name("b")), p.case.layout.agent_local_env(&name("b")));
        p.case.seen.files.insert(ours, env("MOSAIC_AGENT_NAME=b\nMOSAIC_TENANT_ID=usc\n"));
        p.case.seen.files.insert(theirs, env(local));
    };
    let check = fails_b("overrides", Why::Override, |p| write(p, "MOSAIC_AGENT_NAME=secret\nX=1\n"));
    assert!(check.seen.contains("sets MOSAIC_AGENT_NAME") && !format!("{check:?}").contains("secret"));
    // The same value again, as files from before us have it, changes nothing.
    fails(&[], |p| write(p, "MOSAIC_TENANT_ID=usc\nX=1\n"));
}

#[test]
fn what_an_apply_would_do_is_not_as_it_should_be() {
    let layout = Case::of(&[]).layout;
    let unit = name("b").unit();
    let link = layout.wants_link("default.target", &unit);
    let links = vec![Link { path: link.clone(), target: "../x".into() }];
    fails(&[("enabled", Some("b"), Why::NotEnabled)], |p| {
        let action = Action::Enable { unit: unit.clone(), links };
        p.plan.steps.push(step(action, Reason::NotWantedBy(vec!["default.target".into()])));
    });
    fails(&[("enabled", Some("b"), Why::NotForBoot)], |p| {
        let action = Action::Disable { unit: unit.clone(), links: vec![link.clone()] };
        p.plan.steps.push(step(action, Reason::StoppedInRoster));
    });
    fails(&[("reload", None, Why::ReloadPending)], |p| {
        p.plan.steps.push(step(Action::Reload, Reason::ManagerIsBehind));
    });
    let gone = Action::RemoveFile { path: layout.agent_env(&name("x")), agent: Some(name("x")) };
    let checks = fails(&[("files", None, Why::NotAsRendered)], |p| {
        p.plan.steps.push(step(gone, Reason::NotInRoster));
    });
    assert_eq!(checks[0].seen, "~/.config/mosaic/fleet/agents/x.env: no longer in the roster");
    fails(&[("files", None, Why::Edited)], |p| {
        let path = layout.tmux_conf();
        p.plan.conflicts.push(Conflict { path, kind: ConflictKind::Edited, resolution: Resolution::Kept });
    });
    let pending =
        |unit: &str| Pending { unit: unit.to_owned(), reason: Reason::RunsWithOldFiles, impact: Vec::new() };
    let checks = fails(
        &[("restarts", Some("b"), Why::RestartPending), ("restarts", None, Why::RestartPending)],
        |p| p.plan.pending.extend([pending(&unit), pending(HOLDER_UNIT)]),
    );
    assert_eq!(checks[1].cure.as_deref(), Some("fleet apply --restart-holder"));
    // Lingering and starts have checks of their own.
    fails(&[], |p| p.plan.steps.push(step(Action::EnableLinger, Reason::LingerOff)));
}

#[test]
fn after_a_boot_each_agents_recovery_is_told() {
    let mut proof = Proof::of(&["a", "b"]);
    proof.past = Past::Untouched;
    proof.case.record(&name("b"), |r| r.first_beat_of_boot = None);
    let verdict = proof.verdict();
    assert_eq!(
        verdict.recovery_seconds.iter().map(|(a, s)| (a.as_str(), *s)).collect::<Vec<_>>(),
        [("a", 3.25)]
    );
    assert_eq!(verdict.recovery[0].since_manager, Some(1.75));
}

#[test]
fn a_manager_that_was_started_again_since_says_nothing_of_the_boot() {
    let mut proof = Proof::of(&["a"]);
    proof.past = Past::Untouched;
    if let Fact::Known(manager) = &mut proof.case.seen.manager {
        manager.started = 500.0;
    }
    assert_eq!(proof.verdict().recovery[0].since_manager, None);
}

#[test]
fn who_is_down_again_has_not_recovered() {
    let mut proof = Proof::of(&["a", "b"]);
    proof.past = Past::Untouched;
    proof.case.unit("a").active = "failed".to_owned();
    proof.case.kill("a");
    let verdict = proof.verdict();
    assert_eq!(verdict.recovery.iter().map(|r| r.agent.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_reload_that_other_changes_bring_is_no_fault_of_its_own() {
    fails(&[], |p| p.plan.steps.push(step(Action::Reload, Reason::UnitFilesChange)));
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Why::ALL.iter().map(|w| w.word()).collect();
    assert_eq!(words.len(), Why::ALL.len());
}

#[test]
fn a_fleet_made_by_hand_and_one_that_moves_are_one_failure_with_the_cure_that_apply_names() {
    let conflict = |p: &mut Proof, path: std::path::PathBuf, kind: ConflictKind| {
        p.plan.conflicts.push(Conflict { path, kind, resolution: Resolution::Kept });
    };
    let pending = Pending { unit: HOLDER_UNIT.to_owned(), reason: Reason::ServerMoves, impact: Vec::new() };
    let layout = Case::of(&["a"]).layout;
    let unit = layout.holder_unit();
    let checks = fails(&[("files", None, Why::HandMade)], |p| {
        conflict(p, unit.clone(), ConflictKind::NotOurs);
        conflict(p, layout.agent_template(), ConflictKind::NotOurs);
        conflict(p, layout.tmux_conf(), ConflictKind::NotOurs);
        p.plan.steps.push(step(Action::Reload, Reason::ManagerIsBehind));
        p.case.units().remove(HOLDER_UNIT);
        p.case.unit("a").active = "inactive".to_owned();
        p.case.kill("b");
    });
    assert_eq!(checks[0].cure.as_deref(), Some("fleet apply --adopt"));
    assert!(checks[0].seen.ends_with("; and 2 more"), "{}", checks[0].seen);
    let checks = fails(&[("files", None, Why::RestartPending)], |p| {
        conflict(p, unit, ConflictKind::MovesServer);
        p.plan.pending.push(pending);
        p.case.seen.tmux = Fact::Known(Tmux::Absent);
    });
    assert_eq!(checks[0].cure.as_deref(), Some("fleet apply --restart-holder"));
}
