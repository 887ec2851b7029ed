//! What an apply would do, and what stands in a unit's way.

use super::*;

#[test]
fn what_stands_in_a_units_way_is_named_once_with_what_ends_it() {
    let conflict = |p: &mut Proof, path: &str, kind: ConflictKind| {
        p.plan.conflicts.push(Conflict::kept(path.into(), kind));
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
fn what_an_apply_would_do_is_not_as_it_should_be() {
    let layout = Case::of(&[]).layout;
    let unit = name("b").unit();
    let link = layout.wants_link("default.target", &unit);
    let links = vec![Link { path: link.clone(), target: "../x".into() }];
    fails(&[("enabled", Some("b"), Why::NotEnabled)], |p| {
        let action = Action::Enable { unit: unit.clone(), links };
        p.plan.steps.push(step(action, Reason::NotWantedBy(vec!["default.target".into()])));
    });
    fails(&[("enabled", None, Why::Unknown)], |p| {
        let why = "permission denied".to_owned();
        p.case.seen.wants = Fact::Unknown(why.clone());
        let action = Action::Enable { unit: unit.clone(), links: Vec::new() };
        p.plan.steps.push(step(action, Reason::WantsUnknown(why)));
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
        p.plan.conflicts.push(Conflict::kept(path, ConflictKind::Edited));
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
fn a_reload_that_other_changes_bring_is_no_fault_of_its_own() {
    fails(&[], |p| p.plan.steps.push(step(Action::Reload, Reason::UnitFilesChange)));
}

#[test]
fn a_fleet_made_by_hand_and_one_that_moves_are_one_failure_with_the_cure_that_apply_names() {
    let conflict = |p: &mut Proof, path: std::path::PathBuf, kind: ConflictKind| {
        p.plan.conflicts.push(Conflict::kept(path, kind));
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

#[test]
fn a_folder_that_is_closed_to_its_owner_is_one_failure() {
    let layout = Case::of(&[]).layout;
    let checks = fails(&[("files", None, Why::NotAsRendered)], |p| {
        p.plan
            .steps
            .push(step(Action::SetMode { path: layout.agents(), mode: 0o700 }, Reason::Mode { seen: 0 }));
        for agent in ["a", "b"] {
            let denied = Fact::Unknown("denied".to_owned());
            p.case.seen.files.insert(layout.agent_local_env(&name(agent)), denied);
        }
    });
    assert_eq!(checks[0].seen, "~/.config/mosaic/fleet/agents: mode is 0000");
    assert_eq!(checks[0].cure.as_deref(), Some("fleet apply"));
}
