//! Each check by what makes it fail: that one with its reason, and no other.

mod agents;
mod planned;

use std::path::Path;

use super::{Check, Evidence, Past, Probes, Verdict, Why, verify};
use crate::lint::{Finding, Level, Rule};
use crate::names::HOLDER_UNIT;
use crate::observe::case::{BOOT, Case, NOW, SERVER, UNIX, name, pane};
use crate::plan::{Action, Conflict, ConflictKind, Pending, Plan, Reason, Step};
use crate::render::Link;
use crate::runfile::record::State;
use crate::snapshot::boot::{Account, AccountEnd, BootFacts};
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
            "agents",
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
    let ended = |end, today: &str| Fact::Known(Account { end: Some(end), today: today.to_owned() });
    let checks = fails(&[("account", None, Why::AccountEnded)], |p| {
        none(p);
        p.boot.account = ended(AccountEnd::Password("2026-11-01".to_owned()), "2026-11-29");
    });
    assert_eq!(checks[0].cure.as_deref(), Some("sudo chage --maxdays -1 usc"));
    let mut later = Proof::of(&["a"]);
    later.boot.account = ended(AccountEnd::Account("2027-01-01".to_owned()), "2026-11-29");
    let said = later.verdict().checks.into_iter().find(|check| check.id == "account").expect("it ends");
    assert!(said.ok && said.seen.contains("2027-01-01"), "{said:?}");
    let hung = fails(&[("manager", None, Why::Unknown)], |p| {
        p.case.seen.manager = Fact::Unknown("did not answer".into());
        p.case.seen.units = Fact::Unknown("did not answer".into());
    });
    let cure = hung[0].cure.as_deref().expect("a cure");
    assert!(cure.starts_with("fleet verify  # again: "), "nothing is ended before a second look: {cure}");
    assert!(cure.contains("sudo systemctl restart user@1000.service"), "{cure}");
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
    let own = ["holder", "server", "agents", "reload", "restarts"];
    assert_eq!(ids, [&own[..], &["active", "pane", "cgroup", "runtime", "heartbeat", "path"]].concat());
    assert!(!verdict.ok);
    // The manager answered, and not what it was asked of units.
    fails(
        &[
            ("holder", None, Why::Unknown),
            ("agents", None, Why::Unknown),
            ("reload", None, Why::Unknown),
            ("restarts", None, Why::Unknown),
        ],
        |p| p.case.seen.units = Fact::Unknown("no answer".into()),
    );
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
    let checks = fails(&[("server", None, Why::Unknown)], |p| {
        p.case.seen.tmux = Fact::Unknown("did not answer".into());
    });
    let cure = checks[0].cure.as_deref().expect("a cure");
    let (first, rest) = cure.split_once("  # ").expect("a command, and what to do else");
    assert_eq!(first, "fleet verify", "nothing is ended before a second look");
    let steps =
        ["again: ", "ps -o ", &format!("kill -CONT {SERVER}"), &format!("kill -KILL {SERVER}"), "a, b"];
    let places: Vec<Option<usize>> = steps.iter().map(|step| rest.find(step)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "in this order: {rest}");
    let checks = fails(&[("server", None, Why::NoServer)], |p| p.case.seen.tmux = Fact::Known(Tmux::Absent));
    assert_eq!(checks[0].cure, Some(format!("kill -USR1 {SERVER}")));
}

#[test]
fn a_server_that_proc_does_not_show_is_not_told_to_be_ended() {
    let check = fails(&[("server", None, Why::Unknown)], |p| {
        p.case.seen.processes.remove(&SERVER);
    });
    assert!(check[0].cure.as_deref().is_some_and(|cure| !cure.contains("kill")), "{check:#?}");
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
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Why::ALL.iter().map(|w| w.word()).collect();
    assert_eq!(words.len(), Why::ALL.len());
}

#[test]
fn an_agent_that_nobody_knows_is_named_once_with_what_ends_it_for_good() {
    let unit = name("x").unit();
    let run = |p: &mut Proof| {
        let up = p.case.unit("a").clone();
        p.case.units().insert(unit.clone(), up);
        p.case.panes().push(pane("x", 900));
    };
    let want = |p: &mut Proof| {
        p.case.wants().insert(("default.target".to_owned(), unit.clone()));
        p.case.wants().insert((HOLDER_UNIT.to_owned(), unit.clone()));
    };
    let expected = [("agents", Some("x"), Why::UnknownAgent)];
    let checks = fails(&expected, |p| {
        run(p);
        want(p);
    });
    let cure = format!("systemctl --user disable --now {unit}  # or have the roster name it");
    assert_eq!(checks[0].cure.as_ref(), Some(&cure), "its session alone would come back");
    assert!(
        checks[0].seen.contains("runs and is pulled in by default.target and mosaic-tmux-holder.service")
    );
    fails(&expected, run);
    let checks = fails(&expected, want);
    assert_eq!(checks[0].cure.as_ref(), Some(&cure));
    // A plain session beside it is another matter.
    fails(&[("sessions", None, Why::UnknownSession), expected[0]], |p| {
        run(p);
        p.case.panes().push(pane("stray", 901));
    });
    // One that we installed is the plan's.
    fails(&[], |p| {
        want(p);
        p.case.ledger().units.insert(unit.clone(), Default::default());
    });
}
