//! Each check by what makes it fail: that one with its reason, and no other.

use std::path::Path;

use super::super::case::{BOOT, Case, NOW, SERVER, name, pane};
use super::{Check, Evidence, Probes, Verdict, Why, verify};
use crate::names::HOLDER_UNIT;
use crate::plan::{Action, Conflict, ConflictKind, Pending, Plan, Reason, Resolution, Step};
use crate::render::Link;
use crate::runfile::record::State;
use crate::snapshot::{Fact, FileFacts, Tmux};

struct Proof {
    case: Case,
    plan: Plan,
    probes: Probes,
    survived_boot: bool,
}

impl Proof {
    fn of(agents: &[&str]) -> Self {
        let probes = Probes {
            exact: Some(("code".to_owned(), Fact::Known(false))),
            mosaic: agents.iter().map(|a| (name(a), Fact::Known(true))).collect(),
        };
        Self { case: Case::of(agents), plan: Plan::default(), probes, survived_boot: false }
    }

    fn verdict(&self) -> Verdict {
        let rows = self.case.rows();
        let evidence = Evidence {
            given: self.case.given(),
            rows: &rows,
            plan: &self.plan,
            probes: &self.probes,
            user: "usc",
            uid: 1000,
            programs: Path::new("/opt/fleet/bin"),
            survived_boot: self.survived_boot,
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
            "unit-file",
            "server",
            "sessions",
            "exact-targets",
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
    let unknown = |p: &mut Proof| p.case.seen.manager = Fact::Unknown("no bus".into());
    let checks = fails(&[("manager", None, Why::Unknown)], unknown);
    assert_eq!(checks[0].cure.as_deref(), Some("sudo systemctl start user@1000.service"));
}

#[test]
fn a_manager_that_says_nothing_makes_no_agent_dead() {
    let all = [
        ("holder", None, Why::Unknown),
        ("unit-file", None, Why::Unknown),
        ("server", None, Why::Unknown),
        ("active", Some("a"), Why::Unknown),
        ("active", Some("b"), Why::Unknown),
    ];
    fails(&all, |p| p.case.seen.units = Fact::Unknown("no bus".into()));
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
    let hung = [
        ("server", None, Why::Unknown),
        ("sessions", None, Why::Unknown),
        ("pane", Some("a"), Why::Unknown),
        ("pane", Some("b"), Why::Unknown),
    ];
    fails(&hung, |p| p.case.seen.tmux = Fact::Unknown("did not answer".into()));
    let gone = [
        ("server", None, Why::NoServer),
        ("pane", Some("a"), Why::Unknown),
        ("pane", Some("b"), Why::Unknown),
    ];
    let checks = fails(&gone, |p| p.case.seen.tmux = Fact::Known(Tmux::Absent));
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
fn masked_and_shadowed_units_are_told_apart() {
    fails(&[("unit-file", None, Why::Masked)], |p| {
        p.case.units().get_mut(HOLDER_UNIT).expect("it is loaded").load = "masked".into();
    });
    fails(&[("unit-file", None, Why::Shadowed)], |p| {
        let unit = p.case.units().get_mut(HOLDER_UNIT).expect("it is loaded");
        unit.detail.as_mut().expect("asked for").fragment = "/etc/systemd/user/other".into();
    });
    let check = fails_b("unit-file", Why::Masked, |p| p.case.unit("b").load = "masked".into());
    assert_eq!(check.cure.as_deref(), Some("systemctl --user unmask mosaic-agent@b.service && fleet apply"));
    let check = fails_b("unit-file", Why::Shadowed, |p| {
        p.case.detail("b").fragment = "/x/mosaic-agent@b.service".into()
    });
    assert_eq!(check.seen, "/x/mosaic-agent@b.service");
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
    assert_eq!(check.cure.as_deref(), Some("fleet restart b"));
    let check = fails_b("active", Why::CannotRetry, |p| down(p, "failed", "exit-code", Some(127)));
    assert_eq!(check.seen, "exit code 127: its program is missing");
    assert_eq!(check.cure.as_deref(), Some("mosaic yolo claude --print"));
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
    let with_holder = [("holder", None, Why::Failed), ("active", Some("b"), Why::HolderFailed)];
    fails(&with_holder, |p| {
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
    let dead = [
        ("pane", Some("b"), Why::PaneDead),
        ("cgroup", Some("b"), Why::Unknown),
        ("heartbeat", Some("b"), Why::Stale),
    ];
    fails(&dead, |p| p.case.kill("b"));
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
}

#[test]
fn a_stray_session_is_named_with_the_exact_cure() {
    let checks =
        fails(&[("sessions", None, Why::UnknownSession)], |p| p.case.panes().push(pane("stray", 900)));
    let cure = "tmux -L mosaic-factory kill-session -t '=stray'";
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
    proof.survived_boot = true;
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
    proof.survived_boot = true;
    if let Fact::Known(manager) = &mut proof.case.seen.manager {
        manager.started = 500.0;
    }
    assert_eq!(proof.verdict().recovery[0].since_manager, None);
}

#[test]
fn who_is_down_again_has_not_recovered() {
    let mut proof = Proof::of(&["a", "b"]);
    proof.survived_boot = true;
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
