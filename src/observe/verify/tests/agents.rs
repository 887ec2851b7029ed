//! One agent: its unit, its pane, its heartbeat.

use super::*;

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
    let check = fails_b("overrides", Why::Unknown, |p| {
        let theirs = p.case.layout.agent_local_env(&name("b"));
        p.case.seen.files.insert(theirs, Fact::Unknown("Permission denied".to_owned()));
    });
    assert!(check.seen.ends_with("b.local.env: Permission denied"), "{}", check.seen);
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
