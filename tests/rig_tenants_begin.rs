//! What a tenant begins with: an account that lasts, and a fleet or none yet.

#[path = "common/rig.rs"]
mod rig;

use rig::{Rig, Run, Suite};
use serde_json::Value;

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.report()))
}

/// A check of the only tenant's.
fn check<'v>(value: &'v Value, id: &str) -> &'v Value {
    let checks = value.pointer("/tenants/0/checks").unwrap_or(&value["checks"]);
    let found = checks.as_array().into_iter().flatten().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no check {id}: {value:#}"))
}

#[test]
fn an_account_that_has_ended_is_told_before_a_boot_shows_it_and_ours_never_end() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let rig = Rig::boot(suite);
        let aging = "sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 90/' /etc/login.defs; echo EXPIRE=2027-01-01 >>/etc/default/useradd";
        rig.root_ok(&["sh", "-c", aging]);
        rig.root_ok(&["fleet", "tenant", "add", "usc", "--profile", "minimal", "--start"]);
        let verify = || rig.root(&["fleet", "verify", "--all-tenants", "--json"]);
        let own = || rig.as_user("usc", &["fleet", "verify", "--json"]);
        let apply = || rig.root(&["fleet", "tenant", "apply", "--json"]);
        let chage = rig.root_ok(&["chage", "--list", "usc"]);
        assert_eq!(chage.matches(": never").count(), 3, "{suite:?}: {chage}");
        rig.root_ok(&["fleet", "verify", "--all-tenants"]);

        rig.root_ok(&["chage", "--expiredate", "2099-01-01", "usc"]);
        for looked in [verify(), own()] {
            let value = json(&looked.exits(0));
            let seen = check(&value, "account")["seen"].as_str().expect("seen").to_owned();
            assert!(seen.contains("it expires on 2099-01-01"), "{suite:?}: {seen}");
        }
        let doctor = json(&rig.root(&["fleet", "doctor", "--all-tenants", "--json"]));
        assert_eq!(check(&doctor, "account")["level"], "warn", "{doctor:#}");
        let notes = json(&apply().exits(0))["tenants"][0]["notes"].to_string();
        assert!(notes.contains("2099-01-01") && notes.contains("sudo chage --expiredate -1 usc"), "{notes}");

        let ends = [
            (&["chage", "--expiredate", "2020-01-01", "usc"][..], "chage --expiredate -1 usc"),
            (&["chage", "--maxdays", "90", "--lastday", "2020-01-01", "usc"], "chage --maxdays -1 usc"),
            (&["chage", "--lastday", "0", "usc"], "chage --lastday -1 usc"),
        ];
        for (end, cure) in ends {
            rig.root_ok(end);
            for looked in [verify(), own()] {
                let value = json(&looked.exits(1));
                let account = check(&value, "account");
                assert_eq!(account["reason"], "account-ended", "{suite:?}: {value:#}");
                assert_eq!(account["cure"], format!("sudo {cure}"), "{suite:?}");
            }
            let refused = json(&apply().exits(4))["tenants"][0]["error"].to_string();
            assert!(refused.contains("the account of usc has ended") && refused.contains(cure), "{refused}");
            rig.root_ok(&["sh", "-c", cure]);
            apply().exits(0);
        }
    });
}

#[test]
fn a_tenant_without_a_fleet_is_no_trouble_and_what_to_do_is_said() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Trixie);
    let added = rig.root(&["fleet", "tenant", "add", "bare"]).exits(0);
    assert!(added.stderr.contains("runuser -u bare -- fleet init"), "{}", added.report());
    let seen = rig.root(&["fleet", "ps", "--all-tenants"]).exits(0);
    assert!(seen.stderr.contains("bare: it has no fleet yet"), "{}", seen.report());
    let verify = rig.root(&["fleet", "verify", "--all-tenants"]).exits(0);
    assert!(verify.stdout.contains("no fleet"), "{}", verify.report());
    let other = rig.root(&["fleet", "tenant", "add", "bare", "--profile", "minimal"]).exits(1);
    assert!(other.stderr.contains("the line profile: minimal"), "{}", other.report());

    rig.root_ok(&[
        "runuser",
        "-u",
        "bare",
        "--",
        "fleet",
        "init",
        "--profile",
        "minimal",
        "--write",
        "--start",
    ]);
    let verify = rig.root(&["fleet", "verify", "--all-tenants", "--deep"]).exits(0);
    assert!(verify.stdout.contains("checks hold"), "of a roster without agents: {}", verify.report());
    let shown = json(&rig.root(&["fleet", "tenant", "show", "bare", "--json"]));
    let uid: u64 = rig.root_ok(&["id", "-u", "bare"]).trim().parse().expect("a number");
    for (key, value) in [
        ("user", "bare".into()),
        ("uid", uid.into()),
        ("home", "/home/bare".into()),
        ("declared", true.into()),
        ("state", "present".into()),
        ("linger", true.into()),
        ("manager", "active".into()),
        ("holder", "active".into()),
        ("drift", 0.into()),
    ] {
        let value: Value = value;
        assert_eq!(shown[key], value, "{key} of {shown:#}");
    }
    let limited = "user: bare\nlimits: {memory_max: 3G, tasks_max: 777, cpu_quota: 150%}\n";
    rig.write("/etc/mosaic/tenants.d/bare.yaml", limited, "root");
    rig.root_ok(&["fleet", "tenant", "apply"]);
    let slice = format!("user-{uid}.slice");
    let limits = ["MemoryMax", "TasksMax", "CPUQuotaPerSecUSec"].map(|limit| format!("--property={limit}"));
    let show = ["systemctl", "show", &slice, &limits[0], &limits[1], &limits[2]];
    let held = rig.root_ok(&show);
    for limit in ["MemoryMax=3221225472", "TasksMax=777", "CPUQuotaPerSecUSec=1.5"] {
        assert!(held.lines().any(|line| line.starts_with(limit)), "{limit}: {held}");
    }
    // A file that goes ends nothing.
    rig.root_ok(&["mv", "/etc/mosaic/tenants.d/bare.yaml", "/root"]);
    rig.root_ok(&["fleet", "tenant", "apply"]);
    let list = json(&rig.root(&["fleet", "tenant", "list", "--json"]));
    let one = &list["tenants"][0];
    assert_eq!(
        (&one["user"], &one["declared"], &one["holder"]),
        (&shown["user"], &false.into(), &shown["holder"])
    );
    rig.root_ok(&["mv", "/root/bare.yaml", "/etc/mosaic/tenants.d"]);

    // One that had a fleet and lost its roster is another matter.
    rig.as_user("bare", &["sh", "-c", "rm ~/.config/mosaic/fleet/roster.yaml"]).ok();
    let lost = rig.root(&["fleet", "verify", "--all-tenants"]);
    assert!(lost.code != 0 && lost.report().contains("no roster"), "{}", lost.report());
}

#[test]
fn a_wrong_value_of_the_command_line_is_told_without_a_place_and_a_shell_has_to_be_there() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Trixie);
    let add = |option: &str, value: &str| rig.root(&["fleet", "tenant", "add", "ada", option, value]);
    for (option, value, said) in [
        ("--home", "ada", "home cannot be \"ada\"\n    expected a path that begins with /"),
        ("--shell", "/bin/../sh", "shell cannot be \"/bin/../sh\""),
        ("--user", "root", "root cannot be a tenant"),
    ] {
        let wrong = add(option, value).exits(3);
        assert!(wrong.stderr.contains(said), "{}", wrong.report());
        assert!(!wrong.stderr.contains("tenants.d"), "no file is there: {}", wrong.report());
    }
    rig.root_ok(&["sh", "-c", "echo plain >/etc/plain; install -d -o nobody /srv/theirs"]);
    for (shell, why) in [("/bin/zap", "not there"), ("/etc/plain", "not executable"), ("/etc", "not a file")]
    {
        let wrong = add("--shell", shell).exits(3);
        assert!(wrong.stderr.contains(&format!("the shell {shell}: {why}")), "{}", wrong.report());
    }
    let nothing = "! getent passwd ada && ! test -e /etc/mosaic/tenants.d/ada.yaml";
    rig.root_ok(&["sh", "-c", nothing]);

    // Links are followed, and one in somebody else's place is not looked at.
    add("--shell", "/bin/bash").exits(0);
    rig.root_ok(&["fleet", "tenant", "add", "eve", "--shell", "/srv/theirs/sh"]);
    let edited = "sed -i s:/bin/bash:/bin/zap: /etc/mosaic/tenants.d/ada.yaml; fleet tenant apply ada";
    let wrong = rig.root(&["sh", "-c", edited]).exits(3);
    assert!(wrong.report().contains("the shell /bin/zap: not there"), "{}", wrong.report());
    let shell = rig.root_ok(&["sh", "-c", "getent passwd ada | cut -d: -f7"]);
    assert_eq!(shell.trim(), "/bin/bash");
}
