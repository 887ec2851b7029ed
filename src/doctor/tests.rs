use super::*;
use crate::names::RuntimeName;
use crate::snapshot::Fact::{self, Known, Unknown};
use crate::snapshot::boot::{Account, AccountEnd};

fn runtime(name: &str, found: Found) -> Runtime {
    let wanted = Wanted {
        name: RuntimeName::parse(name).expect("a name"),
        bin: None,
        package: Some("@x/y"),
        script: Some("install.cjs"),
    };
    Runtime { wanted, found }
}

fn mount(kind: &str, options: &str) -> Fact<Mount> {
    Known(Mount {
        point: "/home".into(),
        kind: kind.into(),
        options: options.split(',').map(String::from).collect(),
    })
}

/// A machine on which nothing is wrong.
fn healthy() -> Facts {
    Facts {
        system: System {
            user: "usc".into(),
            uid: 1000,
            first: Process { name: Known("systemd".into()), booted: true, wsl: false, container: None },
            version: Known("252.39-1~deb12u2".into()),
            manager: Known(Manager::Up),
            bus: Known(true),
            pam: Known(true),
            account: Unknown("only the user itself and root may ask".into()),
            linger: Known(true),
            polkit: false,
            cgroup: Known(Controllers::Delegated(["cpu", "memory", "pids"].map(String::from).to_vec())),
        },
        programs: Programs {
            own: None,
            tmux: Known(Some("3.3a".into())),
            server: Known(None),
            runtimes: vec![
                runtime("pi", Found::There("/usr/local/bin/pi".into(), Native::Node)),
                runtime("claude", Found::There("/usr/local/bin/claude".into(), Native::Whole)),
            ],
            node: Node::Version(Known("v20.19.2".into())),
            utf8: Known(true),
        },
        places: Places {
            home: "/home/usc".into(),
            home_mount: mount("ext4", "rw"),
            tmp_mount: mount("tmpfs", "rw,nosuid"),
            same_tmp: Known(true),
            free: Known((10 << 30, Some(80))),
        },
        numbers: Numbers {
            open_files: Known(524_288),
            inotify: Known(128),
            pids: Known(4_194_304),
            tasks: Known(Some(10_000)),
            memory: Known(16_000_000_000),
        },
    }
}

fn needs() -> Needs {
    Needs { agents: 13, memory: 2_000_000_000, controllers: vec!["memory", "pids"] }
}

/// What is not ok after that change: id, level, what was seen.
fn wrong(change: impl FnOnce(&mut Facts)) -> Vec<(String, Level, String)> {
    let mut facts = healthy();
    change(&mut facts);
    let checks = diagnose(&facts, Some(&needs()));
    for check in checks.iter().filter(|c| matches!(c.level, Level::Bad | Level::Warn)) {
        assert!(check.cure.as_ref().is_some_and(|cure| !cure.is_empty()), "{check:?}");
        assert_ne!(check.seen, check.expected, "{check:?}");
    }
    checks.into_iter().filter(|c| c.level != Level::Ok).map(|c| (c.id, c.level, c.seen)).collect()
}

/// The one check that such a change spoils.
fn one(change: impl FnOnce(&mut Facts)) -> (String, Level) {
    let mut wrong = wrong(change);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    let (id, level, _) = wrong.remove(0);
    (id, level)
}

fn is(id: &str, level: Level) -> (String, Level) {
    (id.to_owned(), level)
}

#[test]
fn a_healthy_machine_has_nothing_wrong_and_without_a_roster_less_is_asked() {
    assert_eq!(wrong(|_| {}), []);
    let mut ids: Vec<String> = diagnose(&healthy(), Some(&needs())).into_iter().map(|c| c.id).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each check has an id of its own");
    assert_eq!(diagnose(&healthy(), None).len(), all - 5);
}

#[test]
fn without_systemd_the_message_says_how_to_get_it() {
    let cure = |change: &dyn Fn(&mut Process)| {
        let mut facts = healthy();
        facts.system.first.name = Known("init".into());
        facts.system.first.booted = false;
        change(&mut facts.system.first);
        let checks = diagnose(&facts, None);
        assert_eq!((checks[0].id.as_str(), checks[0].level), ("init", Level::Bad));
        assert!(checks[1..5].iter().all(|c| c.level == Level::Unknown), "{checks:?}");
        checks[0].cure.clone().expect("a cure")
    };
    assert!(cure(&|p| p.wsl = true).contains("/etc/wsl.conf"));
    assert!(cure(&|p| p.container = Some("docker".into())).contains("docker"));
    assert!(cure(&|_| {}).contains("boot a system with systemd"));
}

#[test]
fn versions_of_systemd_with_a_known_fault_are_told() {
    for (version, expected) in [
        ("247.3-7+deb11u4", Some(Level::Bad)),
        ("255.4-1ubuntu8.4", Some(Level::Bad)),
        ("256~rc3-1", Some(Level::Bad)),
        ("256.7-1", None),
        ("257.8-1~deb13u2", None),
        ("260.1", Some(Level::Warn)),
        ("260.2", None),
        ("odd", Some(Level::Unknown)),
    ] {
        let found = wrong(|f| f.system.version = Known(version.into()));
        assert_eq!(found.first().map(|(_, level, _)| *level), expected, "{version}: {found:?}");
    }
}

#[test]
fn what_logind_and_the_manager_lack_is_told() {
    let down = || Known(Manager::Down("no /run/user/1000".into(), None));
    assert_eq!(one(|f| f.system.manager = down()), is("user-manager", Level::Bad));
    assert_eq!(one(|f| f.system.bus = Known(false)), is("user-bus", Level::Warn));
    assert_eq!(one(|f| f.system.pam = Known(false)), is("pam-systemd", Level::Warn));
    assert_eq!(one(|f| f.system.linger = Known(false)), is("linger", Level::Bad));
    let ends = |day: &str| Account { end: Some(AccountEnd::Account(day.into())), today: "2026-11-29".into() };
    assert_eq!(one(|f| f.system.account = Known(ends("2026-11-29"))), is("account", Level::Bad));
    assert_eq!(one(|f| f.system.account = Known(ends("2027-11-29"))), is("account", Level::Warn));
    let with_polkit = |f: &mut Facts| {
        f.system.linger = Known(false);
        f.system.polkit = true;
    };
    assert_eq!(one(with_polkit), is("linger", Level::Warn));
    assert_eq!(one(|f| f.system.linger = Unknown("x".into())), is("linger", Level::Unknown));
}

#[test]
fn limits_need_their_controllers() {
    let given = |list: &[&str]| Known(Controllers::Delegated(list.iter().map(|c| (*c).to_owned()).collect()));
    assert_eq!(one(|f| f.system.cgroup = given(&["pids"])), is("controllers", Level::Bad));
    assert_eq!(one(|f| f.system.cgroup = Known(Controllers::Legacy)), is("controllers", Level::Bad));
    assert_eq!(one(|f| f.system.cgroup = Known(Controllers::NoManager)), is("controllers", Level::Unknown));
    let mut facts = healthy();
    facts.system.cgroup = given(&[]);
    let without_limits = Needs { controllers: Vec::new(), ..needs() };
    assert!(diagnose(&facts, Some(&without_limits)).iter().all(|c| c.level == Level::Ok));
}

#[test]
fn programs_that_are_missing_old_or_half_there_are_told_with_their_cure() {
    assert_eq!(one(|f| f.programs.tmux = Known(None)), is("tmux", Level::Bad));
    assert_eq!(one(|f| f.programs.tmux = Known(Some("3.2a".into()))), is("tmux", Level::Bad));
    assert_eq!(one(|f| f.programs.server = Known(Some("3.1c".into()))), is("tmux-server", Level::Bad));
    assert_eq!(wrong(|f| f.programs.server = Known(Some("3.5a".into()))), []);
    assert_eq!(one(|f| f.programs.node = Node::Version(Known("v18.20.4".into()))), is("node", Level::Bad));
    assert_eq!(one(|f| f.programs.node = Node::Missing), is("node", Level::Bad));
    assert_eq!(one(|f| f.programs.utf8 = Known(false)), is("locale", Level::Warn));
    assert_eq!(one(|f| f.programs.own = Some("no mosaic".into())), is("programs", Level::Bad));
    let cure = |found: Found| {
        let mut facts = healthy();
        facts.programs.runtimes = vec![runtime("claude", found)];
        let checks = diagnose(&facts, None);
        let check = checks.into_iter().find(|c| c.id == "runtime-claude").expect("there");
        assert_eq!(check.level, Level::Bad);
        check.cure.expect("a cure")
    };
    assert_eq!(cure(Found::Missing), "npm install -g @x/y");
    let broken = Found::Broken(vec![("/b/claude".into(), "not a program".into())]);
    assert_eq!(cure(broken), "cd \"$(npm root -g)/@x/y\" && node install.cjs");
    assert!(cure(Found::There("/b/claude".into(), Native::Halved)).contains("--include=optional"));
    assert!(cure(Found::OnlyHere("/o/claude".into())).contains("runtimes.claude.bin"));
}

#[test]
fn places_that_come_late_or_run_nothing_are_told() {
    assert_eq!(one(|f| f.places.home_mount = mount("nfs4", "rw")), is("home-mount", Level::Warn));
    assert_eq!(one(|f| f.places.home_mount = mount("fuse.sshfs", "rw")), is("home-mount", Level::Warn));
    assert_eq!(one(|f| f.places.home_mount = mount("ecryptfs", "rw")), is("home-mount", Level::Bad));
    assert_eq!(one(|f| f.places.home_mount = mount("ext4", "rw,noexec")), is("home-exec", Level::Bad));
    assert_eq!(one(|f| f.places.tmp_mount = mount("tmpfs", "rw,noexec")), is("tmp", Level::Warn));
    assert_eq!(one(|f| f.places.same_tmp = Known(false)), is("tmp", Level::Bad));
    assert_eq!(wrong(|f| f.places.same_tmp = Unknown("no manager".into())), []);
    assert_eq!(one(|f| f.places.free = Known((500 << 20, None))), is("disk", Level::Warn));
    assert_eq!(one(|f| f.places.free = Known((50 << 20, None))), is("disk", Level::Bad));
    assert_eq!(one(|f| f.places.free = Known((10 << 30, Some(0)))), is("disk", Level::Bad));
}

#[test]
fn limits_too_small_for_the_roster_are_told() {
    assert_eq!(one(|f| f.numbers.open_files = Known(1024)), is("open-files", Level::Warn));
    assert_eq!(one(|f| f.numbers.inotify = Known(32)), is("inotify", Level::Warn));
    assert_eq!(one(|f| f.numbers.pids = Known(1024)), is("pid-max", Level::Warn));
    assert_eq!(one(|f| f.numbers.tasks = Known(Some(100))), is("tasks-max", Level::Warn));
    assert_eq!(wrong(|f| f.numbers.tasks = Known(None)), []);
    assert_eq!(one(|f| f.numbers.memory = Known(1_500_000_000)), is("memory", Level::Warn));
    assert_eq!(one(|f| f.numbers.memory = Unknown("x".into())), is("memory", Level::Unknown));
}

#[test]
fn a_rosters_needs_are_those_of_the_agents_that_are_always_on() {
    let text = "version: 1\nagents:\n  - {name: a, runtime: pi}\n  - {name: b, runtime: claude, limits: {tasks_max: 9}}\n  \
                - {name: c, runtime: pi, state: stopped, limits: {memory_max: 1G}}\n";
    let roster = crate::roster::read(text, std::path::Path::new("r"), "u").expect("a roster");
    let needs = Needs::of(&roster);
    assert_eq!((needs.agents, needs.memory), (2, 430_000_000));
    assert_eq!(needs.controllers, ["memory", "pids"]);
}
