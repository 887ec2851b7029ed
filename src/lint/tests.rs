use std::path::Path;

use super::*;
use crate::layout::Layout;
use crate::names::{AgentName, HOLDER_UNIT, HostName};
use crate::render::{File, Link, Site, Unit, render};
use crate::roster::{self, Profile};

const HOLDER: &str =
    "[Unit]\nDescription=x\n[Service]\nExecStart=/t -D\n[Install]\nWantedBy=default.target\n";
const AGENT: &str = "[Unit]\nRequires=mosaic-tmux-holder.service\nAfter=mosaic-tmux-holder.service\n\
    [Service]\nEnvironmentFile=%h/e/%i.env\nEnvironmentFile=-%h/e/%i.local.env\n\
    ExecStart=/s '$$@' 100%% %i\n[Install]\nWantedBy=default.target\n";

fn layout() -> Layout {
    Layout::new("/home/u", None)
}

/// Two agents with these unit files.
fn fleet(holder: &str, agent: &str) -> Desired {
    let layout = layout();
    let mut files = vec![
        File::new(layout.holder_unit(), holder.to_owned(), Role::HolderUnit),
        File::new(layout.agent_template(), agent.to_owned(), Role::AgentTemplate),
    ];
    let link = |by: &str, unit: &str| Link { path: layout.wants_link(by, unit), target: "x".into() };
    let mut links = vec![link("default.target", HOLDER_UNIT)];
    let mut units = vec![Unit { name: HOLDER_UNIT.into(), agent: None, enabled: true, running: true }];
    for name in ["a", "b"].map(|n| AgentName::parse(n).expect("a name")) {
        let path = format!("/home/u/e/{name}.env").into();
        files.push(File::new(path, String::new(), Role::AgentEnv(name.clone())));
        links.push(link("default.target", &name.unit()));
        links.push(link(HOLDER_UNIT, &name.unit()));
        units.push(Unit { name: name.unit(), agent: Some(name), enabled: true, running: true });
    }
    Desired { files, links, units }
}

/// What a user manager comes with, and these files besides.
fn machine(files: &[(&str, &str)]) -> Sources {
    let base = [
        ("/usr/lib/systemd/user/default.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n"),
        (
            "/usr/lib/systemd/user/basic.target",
            "[Unit]\nWants=sockets.target timers.target\nAfter=sockets.target timers.target\n",
        ),
        ("/usr/lib/systemd/user/sockets.target", "[Unit]\nDescription=x\n"),
        ("/usr/lib/systemd/user/timers.target", "[Unit]\nDescription=x\n"),
    ];
    let files: Vec<File> = base
        .iter()
        .chain(files)
        .map(|(path, text)| File::new(path.into(), (*text).to_owned(), Role::AgentTemplate))
        .collect();
    Sources::default().with(files.iter())
}

fn found(desired: &Desired, sources: &Sources) -> Vec<Finding> {
    lint(desired, layout().home(), sources, &Links::new())
}

/// What is found with one more file below the user's own units.
fn with_file(path: &str, text: &str) -> Vec<Finding> {
    let path = layout().units().join(path);
    found(&fleet(HOLDER, AGENT), &machine(&[(path.to_str().expect("text"), text)]))
}

fn shown(findings: &[Finding]) -> Vec<(&'static str, &'static str, usize)> {
    findings.iter().map(|f| (f.level.id(), f.rule.id(), f.line)).collect()
}

#[test]
fn good_units_are_found_good() {
    assert_eq!(found(&fleet(HOLDER, AGENT), &machine(&[])), []);
    assert_eq!(found(&fleet(HOLDER, AGENT), &Sources::default()), []);
}

#[test]
fn everything_that_is_rendered_lints_clean() {
    let mut rosters: Vec<(String, String)> =
        Profile::ALL.iter().map(|p| (p.file_name().to_owned(), p.roster_text())).collect();
    for case in std::fs::read_dir("tests/render").expect("the cases").flatten() {
        let path = case.path().join("roster.yaml");
        if let Ok(text) = std::fs::read_to_string(&path) {
            rosters.push((path.display().to_string(), text));
        }
    }
    assert!(rosters.len() > 8, "{}", rosters.len());
    for (home, mosaic, program) in
        [("/home/u", None, "/usr/bin/fleet"), ("/srv/100% %i/u", Some("/m %h/x"), "/opt/a %n;#/fleet")]
    {
        let site = Site {
            layout: Layout::new(home, mosaic.map(Into::into)),
            host: HostName::parse("box").expect("a host"),
            program: program.into(),
            tmux: "/usr/bin/tmux".into(),
        };
        for (file, text) in &rosters {
            let roster = roster::read(text, Path::new(file), "u").expect("a good roster");
            let desired = render(&roster, &site).expect("rendered");
            let findings = lint(&desired, site.layout.home(), &machine(&[]), &Links::new());
            assert_eq!(findings, [], "{file} in {home}");
        }
    }
}

#[test]
fn what_we_must_not_write_is_an_error_with_its_line() {
    let agent = |line: &str| AGENT.replace("ExecStart=/s '$$@' 100%% %i", line);
    for (unit, expected) in [
        (agent("ExecStart=/s 100%"), ("error", "unescaped-percent", 7)),
        (agent("ExecStart=/s %u"), ("error", "unescaped-percent", 7)),
        (agent("ExecStart=/s $HOME"), ("error", "unescaped-dollar", 7)),
        (agent("ExecStart=/s\nRestartSteps=5"), ("error", "newer-key", 8)),
        (agent("ExecStart=/s\nEnvironmentFile=\"/x\""), ("error", "environment-file", 8)),
        (agent("ExecStart=/s\nEnvironmentFile=x.env"), ("error", "environment-file", 8)),
        (agent("ExecStart=/s\nEnvironmentFile=/x/%i.env"), ("error", "environment-file", 8)),
        (
            AGENT.replace("[Unit]", "[Unit]\nAfter=network-online.target"),
            ("error", "system-only-dependency", 2),
        ),
        (AGENT.replace("[Install]\nWantedBy=default.target\n", ""), ("error", "no-install", 0)),
    ] {
        let findings = found(&fleet(HOLDER, &unit), &machine(&[]));
        assert!(shown(&findings).contains(&expected), "{unit}\n{findings:#?}");
        assert_eq!(findings[0].path, layout().agent_template());
    }
}

#[test]
fn a_drop_in_of_somebody_elses_is_told_of_what_has_no_effect() {
    let drop_in = "mosaic-agent@.service.d/mine.conf";
    for (text, expected) in [
        ("[Service]\nRestartSteps=5\n", vec![("warning", "newer-key", 2)]),
        ("[Unit]\nAfter=network-online.target\n", vec![("warning", "system-only-dependency", 2)]),
        ("[Unit]\nRequires=network-online.target\n", vec![("error", "system-only-dependency", 2)]),
        ("[Service]\nEnvironmentFile='/x y'\n", vec![("warning", "environment-file", 2)]),
        ("[Service]\nExecStartPre=/bin/date +%Y%k\n", vec![("warning", "unescaped-percent", 2)]),
        ("[Service]\nExecStartPre=/bin/echo ${HOME} %h %u\nEnvironmentFile=-%h/x\n", vec![]),
        ("[Unit]\nAfter=mosaic-tmux-holder.service\n[Service]\nEnvironmentFile=\n", vec![]),
        (
            "[Service]\nExecStart=\nExecStart=/bin/sleep 1\n",
            vec![("warning", "takes-over", 2), ("warning", "takes-over", 3)],
        ),
        ("[Service]\nExecCondition=\n", vec![("warning", "takes-over", 2)]),
        ("[Service]\nExecCondition=/bin/true\nMemoryMax=1G\n[Unit]\nType=x\n", vec![]),
    ] {
        assert_eq!(shown(&with_file(drop_in, text)), expected, "{text}");
    }
}

#[test]
fn a_drop_in_that_is_for_no_unit_of_ours_is_not_looked_at() {
    assert_eq!(with_file("other.service.d/x.conf", "[Service]\nRestartSteps=5\n"), []);
    assert_eq!(with_file("mosaic-agent@gone.service.d/x.conf", "[Service]\nRestartSteps=5\n"), []);
}

#[test]
fn an_ordering_that_closes_a_ring_is_an_error_at_its_line_and_names_whom_it_hits() {
    let findings =
        with_file("mosaic-tmux-holder.service.d/late.conf", "[Unit]\n# why\nAfter=default.target\n");
    assert_eq!(shown(&findings), [("error", "ordering-cycle", 3)]);
    assert!(findings[0].path.ends_with("mosaic-tmux-holder.service.d/late.conf"), "{:?}", findings[0]);
    assert_eq!(
        findings[0].seen,
        "an ordering cycle: mosaic-tmux-holder.service waits for default.target (this line), default.target waits \
         for mosaic-agent@a.service (a target waits for what it wants), mosaic-agent@a.service waits for \
         mosaic-tmux-holder.service (/home/u/.config/systemd/user/mosaic-agent@.service:3). At boot systemd \
         breaks it by leaving units out, and nothing is marked as failed; these are in it: a, b, \
         mosaic-tmux-holder.service"
    );
}

#[test]
fn rings_through_other_units_are_found_and_orderings_without_a_ring_are_fine() {
    let own = |path: &str, text: &str| shown(&with_file(path, text));
    // systemd itself leaves the target's waiting out for a unit that says it comes later.
    assert_eq!(own("mosaic-agent@a.service.d/x.conf", "[Unit]\nAfter=default.target\n"), []);
    assert_eq!(own("mosaic-agent@a.service.d/x.conf", "[Unit]\nAfter=mosaic-agent@b.service\n"), []);
    let ring = ("error", "ordering-cycle", 2);
    assert_eq!(own("mosaic-agent@a.service.d/x.conf", "[Unit]\nBefore=basic.target\n"), [ring]);
    assert_eq!(own("mosaic-agent@a.service.d/x.conf", "[Unit]\nBefore=mosaic-tmux-holder.service\n"), [ring]);
    assert_eq!(own("mosaic-agent@.service.d/x.conf", "[Unit]\nAfter=mosaic-agent@a.service\n"), [ring]);
    assert_eq!(own("service.d/x.conf", "[Unit]\nBefore=timers.target\n"), [ring]);
}

#[test]
fn a_unit_of_the_users_own_can_close_a_ring_and_one_that_is_not_started_can_not() {
    let unit =
        "[Unit]\nAfter=mosaic-agent@a.service\nBefore=mosaic-tmux-holder.service\n[Service]\nExecStart=/x\n";
    let path = layout().units().join("mine.service");
    let sources = machine(&[(path.to_str().expect("text"), unit)]);
    let desired = fleet(HOLDER, AGENT);
    assert_eq!(found(&desired, &sources), []);
    let links = Links::from([("default.target".to_owned(), "mine.service".to_owned())]);
    let findings = lint(&desired, Path::new("/home/u"), &sources, &links);
    assert_eq!(shown(&findings).len(), 1, "{findings:#?}");
    assert_eq!((findings[0].rule, &findings[0].path), (Rule::OrderingCycle, &path));
}

#[test]
fn an_alias_of_the_boots_target_and_a_masked_unit_are_what_they_are() {
    let mut sources = machine(&[
        ("/own/my.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n"),
        ("/own/mosaic-tmux-holder.service.d/x.conf", "[Unit]\nAfter=my.target\n"),
    ]);
    let own = sources.folders.iter_mut().find(|f| f.path == Path::new("/own")).expect("there");
    own.units.insert("default.target".to_owned(), Text::Alias("my.target".to_owned()));
    let desired = fleet(HOLDER, AGENT);
    assert_eq!(shown(&found(&desired, &sources)), [("error", "ordering-cycle", 2)]);
    let own = sources.folders.iter_mut().find(|f| f.path == Path::new("/own")).expect("there");
    own.units.insert("default.target".to_owned(), Text::Masked);
    assert_eq!(found(&desired, &sources), []);
}
