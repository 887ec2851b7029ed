//! Root makes tenants, in a booted system: they come up, survive a reboot without a login, can't reach each
//! other, and go away without a rest.

#[path = "common/tenants.rs"]
mod tenants;

use tenants::rig::{Rig, Suite};
use tenants::{SOON, all_green, boot, declare, json, processes, tenant, uid};

/// Tries everything that one tenant could want of another.
const TRESPASS: &[u8] = include_bytes!("common/trespass.py");

/// What only a tenant's agents know.
fn secret(tenant: &str) -> String {
    format!("planted-in-{tenant}")
}

/// What `one` could do of all that it tried at `other`'s; as `own`, what it could not.
fn trespass(rig: &Rig, one: &str, other: &str, whose: &str) -> String {
    let theirs = uid(rig, other).to_string();
    rig.as_user_with(one, &["python3", "-", other, &theirs, &secret(other), whose], TRESPASS).ok()
}

fn stat(rig: &Rig, format: &str, path: &str) -> String {
    rig.root_ok(&["stat", "-c", format, path]).trim().to_owned()
}

#[test]
fn two_tenants_come_up_survive_a_reboot_reach_nothing_of_each_other_and_go_without_a_rest() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = boot(suite);
        rig.add_user("plain");
        let run = rig.as_user("plain", &["fleet", "tenant", "list"]).exits(4);
        assert!(run.stderr.contains("sudo fleet tenant list"), "{}", run.report());

        let added = json(&rig.root_ok(&[
            "fleet",
            "tenant",
            "add",
            "alpha",
            "--profile",
            "dogfood",
            "--start",
            "--json",
        ]));
        assert_eq!(added["ok"], true, "{added:#}");
        rig.root_ok(&["fleet", "tenant", "add", "beta", "--profile", "dogfood"]);
        let alpha = uid(&rig, "alpha");
        assert_eq!(stat(&rig, "%a %U", "/home/alpha"), "700 alpha");
        assert_eq!(stat(&rig, "%a %U", "/etc/mosaic/tenants.d"), "700 root");
        assert_eq!(stat(&rig, "%a %U", "/etc/mosaic/tenants.d/alpha.yaml"), "600 root");
        let slice = format!("user-{alpha}.slice");
        assert_eq!(rig.root_ok(&["systemctl", "show", "--value", "-p", "TasksMax", &slice]).trim(), "4096");
        let mounts = rig.root_ok(&[
            "systemctl",
            "show",
            "--value",
            "-p",
            "RequiresMountsFor",
            &format!("user@{alpha}.service"),
        ]);
        assert!(mounts.contains("/home/alpha"), "{suite:?}: {mounts}");
        assert!(rig.read("/etc/subuid").contains("alpha:"), "an ordinary user has subuids");
        let listed = json(&rig.root_ok(&["fleet", "tenant", "list", "--json"]));
        assert_eq!(tenant(&listed, "alpha")["agents"]["healthy"], 3, "{listed:#}");
        assert_eq!(tenant(&listed, "alpha")["drift"], 0, "{listed:#}");
        assert_eq!(tenant(&listed, "beta")["agents"]["healthy"], 0, "not before the next boot: {listed:#}");

        for name in ["alpha", "beta"] {
            let plant = format!("echo TOKEN={} >~/.config/mosaic/fleet/agents/coder.local.env", secret(name));
            rig.as_user(name, &["sh", "-c", &plant]).ok();
        }
        rig.reboot();
        rig.wait_until("all tenants are green", SOON, || all_green(&rig));
        let people = rig.root_ok(&["loginctl", "list-sessions", "--no-legend"]);
        assert!(people.lines().all(|l| l.contains(" manager ")), "nobody has logged in: {people}");
        let again = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
        for name in ["alpha", "beta"] {
            assert_eq!(tenant(&again, name)["did"].as_array().map(Vec::len), Some(0), "{suite:?}: {again:#}");
        }

        for (one, other) in [("alpha", "beta"), ("beta", "alpha")] {
            // What the owner, or root, can do there is what is tried in vain.
            rig.as_user(other, &["mosaic", "agent", "send", "coder", "--message", "x"]).ok();
            let (owner, root) = (trespass(&rig, other, other, "own"), trespass(&rig, "root", other, "own"));
            let nobody: Vec<&str> =
                owner.lines().filter(|line| root.lines().any(|also| also == *line)).collect();
            assert_eq!(nobody, Vec::<&str>::new(), "{suite:?}: a way that leads nowhere");
            assert_eq!(trespass(&rig, one, other, "others"), "", "{suite:?}: {one} reaches into {other}");
        }
        assert!(all_green(&rig), "{suite:?}: nothing came of it");
        // What is open is found.
        rig.root_ok(&["chmod", "0755", "/home/alpha"]);
        let told = trespass(&rig, "beta", "alpha", "others");
        assert!(told.starts_with("could list /home/alpha: ") && told.lines().count() == 1, "{told}");
        rig.root_ok(&["chmod", "0700", "/home/alpha"]);

        // Removed: nothing runs or lingers, and an apply does not bring it back.
        rig.root_ok(&["fleet", "tenant", "remove", "alpha"]);
        assert_eq!(processes(&rig, alpha), "");
        assert!(!rig.root_ok(&["ls", "/var/lib/systemd/linger"]).contains("alpha"));
        rig.root_ok(&["fleet", "tenant", "apply"]);
        assert_eq!(processes(&rig, alpha), "");
        assert_eq!(stat(&rig, "%U", "/home/alpha"), "alpha", "user and home stay");
        rig.root_ok(&["fleet", "tenant", "add", "alpha", "--start"]);
        assert_eq!(uid(&rig, "alpha"), alpha);

        // Purged: user and home are gone, and only they, and what it left where everybody may leave something; added
        // again it is another user.
        let litter =
            "for folder in /tmp /var/tmp /dev/shm /run/lock; do echo x >$folder/mine; done; ipcmk -M 4096";
        rig.as_user("alpha", &["sh", "-c", litter]).ok();
        let before = rig.root_ok(&["sh", "-c", "cut -d: -f1 /etc/passwd; ls /home"]);
        rig.root_ok(&["fleet", "tenant", "remove", "alpha", "--purge"]);
        let after = rig.root_ok(&["sh", "-c", "cut -d: -f1 /etc/passwd; ls /home"]);
        let left: Vec<&str> = before.lines().filter(|l| *l != "alpha").collect();
        assert_eq!(after.lines().collect::<Vec<_>>(), left);
        assert_eq!(processes(&rig, alpha), "");
        // Of each mount by itself: find does not go from one to the other.
        let find = format!(
            "awk '$3 !~ /^(proc|sysfs|cgroup2?)$/ {{print $2}}' /proc/mounts | sort -u | while read -r mount; do \
             find \"$mount\" -xdev '(' -uid {alpha} -o -name '*alpha*' ')' -not -path '/var/log/*'; done; \
             awk '$8 == {alpha}' /proc/sysvipc/shm"
        );
        let of_it = rig.root_ok(&["sh", "-c", &find]);
        assert!(of_it.lines().all(|l| l.ends_with("alpha.lock") || l.starts_with("/usr/")), "{of_it}");
        let run = rig.root(&["fleet", "tenant", "add", "gamma", "--uid", &alpha.to_string()]).exits(3);
        assert!(run.stderr.contains("was a tenant's that has been removed"), "{}", run.report());
        rig.root_ok(&["fleet", "tenant", "add", "alpha", "--profile", "dogfood", "--start"]);
        assert_ne!(uid(&rig, "alpha"), alpha);
        assert!(all_green(&rig), "{}", rig.root(&["fleet", "verify", "--all-tenants"]).report());
    }
}

#[test]
fn what_cannot_be_a_tenant_is_refused_before_the_first_step_and_no_secret_is_told() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Trixie);
    let plain = rig.add_user("plain");
    let before = rig.root_ok(&[
        "sh",
        "-c",
        "md5sum /etc/passwd /etc/group /etc/subuid; ls -a /home /etc/mosaic 2>&1; true",
    ]);
    rig.root_ok(&[
        "sh",
        "-c",
        "install -d -o plain /home/taken; mkdir -p /mnt/ro /mnt/noexec; \
        mount -t tmpfs -o ro,mode=0755 none /mnt/ro; mount -t tmpfs -o noexec,mode=0755 none /mnt/noexec",
    ]);
    let plain = plain.to_string();
    for (words, code, said) in [
        (vec!["daemon2", "--uid", "998"], 3, "uid cannot be the number 998"),
        (vec!["daemon"], 3, "is a system uid"),
        (vec!["root"], 3, "root cannot be a tenant"),
        (vec!["new", "--uid", &plain], 3, "is in use: it is plain's"),
        (vec!["new", "--uid", "65534"], 3, "systemd gives away itself"),
        (vec!["new", "--uid", "3000000"], 3, "is beyond"),
        (vec!["plain", "--uid", "54321"], 3, "the user plain has uid"),
        (vec!["a b"], 2, "is not allowed"),
        (vec!["Usc"], 2, "fleet tenant add Usc --user USER"),
        (vec!["../etc"], 2, "is not allowed"),
        (vec!["taken"], 4, "/home/taken is there already and belongs to plain"),
        (vec!["new", "--home", "/home/plain/new"], 4, "is below a folder of plain's"),
        (vec!["new", "--home", "/mnt/ro/new"], 4, "is read-only"),
        (vec!["new", "--home", "/mnt/noexec/new"], 4, "runs no programs (noexec)"),
        (vec!["new", "--home", "/"], 3, "home cannot be"),
    ] {
        let argv: Vec<&str> = ["fleet", "tenant", "add"].into_iter().chain(words).collect();
        let run = rig.root(&argv).exits(code);
        assert!(run.stderr.contains(said), "{said:?} in {}", run.report());
    }
    rig.root_ok(&["rmdir", "/home/taken"]);
    let after = rig.root_ok(&[
        "sh",
        "-c",
        "md5sum /etc/passwd /etc/group /etc/subuid; ls -a /home /etc/mosaic 2>&1; true",
    ]);
    assert_eq!(after, before, "nothing was done");

    // On NixOS users are not made, and those that exist are provisioned.
    rig.root_ok(&["touch", "/etc/NIXOS"]);
    let run = rig.root(&["fleet", "tenant", "add", "new"]).exits(4);
    assert!(
        run.stderr.contains("users.users.new = { isNormalUser = true; linger = true; };"),
        "{}",
        run.report()
    );
    rig.root_ok(&["fleet", "tenant", "add", "plain"]);
    rig.root_ok(&["rm", "/etc/NIXOS"]);

    // A user who was there is adopted as it is, its home's mode told and not changed; it is not removed.
    rig.root_ok(&["chmod", "0755", "/home/plain"]);
    let run = rig.root(&["fleet", "tenant", "apply", "plain"]).exits(0);
    assert!(run.stderr.contains("chmod 0700 /home/plain"), "{}", run.report());
    assert_eq!(stat(&rig, "%a", "/home/plain"), "755");
    let run = rig.root(&["fleet", "tenant", "remove", "plain", "--purge"]).exits(1);
    assert!(run.stderr.contains("was there before it became a tenant"), "{}", run.report());
    assert!(
        !rig.read("/etc/mosaic/tenants.d/plain.yaml").contains("absent"),
        "nor does it take effect later"
    );

    // Lingering that was on before stays on.
    let keeper = rig.add_lingering_user("keeper");
    rig.root_ok(&["fleet", "tenant", "add", "keeper"]);
    let run = rig.root(&["fleet", "tenant", "remove", "keeper"]).exits(0);
    assert!(run.stderr.contains("stays on: loginctl disable-linger keeper"), "{}", run.report());
    assert!(rig.root_ok(&["ls", "/var/lib/systemd/linger"]).contains("keeper"));
    assert_eq!(processes(&rig, keeper), "");

    // Declarations that others could have written are not read, and wrong ones hide no right one.
    let secret = "hunter2-never-told";
    declare(
        &rig,
        "good",
        &format!(
            "roster:\n  version: 1\n  agents:\n    - {{name: coder, command: sleep 100000, env: {{TOKEN: {secret}}}}}\n"
        ),
    );
    declare(
        &rig,
        "wrong",
        &format!(
            "user: wrong\nroster: {{version: 1, agents: [{{name: a, env: {{T: [{secret}]}}}}]}}\nstat: x\n"
        ),
    );
    declare(&rig, "open", "state: present\n");
    declare(&rig, "twin", "user: good2\n");
    declare(&rig, "other-twin", "user: good2\n");
    rig.root_ok(&["chmod", "0644", "/etc/mosaic/tenants.d/open.yaml"]);
    let run = rig.root(&["fleet", "tenant", "apply"]).exits(1);
    for said in [
        "/etc/mosaic/tenants.d/wrong.yaml:3:1: unknown key \"stat\"",
        "did you mean \"state\"?",
        "chmod 0600 /etc/mosaic/tenants.d/open.yaml",
        "its user good2 is the tenant",
    ] {
        assert!(run.stderr.contains(said), "{said} in {}", run.report());
    }
    assert!(run.stdout.lines().any(|l| l.starts_with("good ") && l.contains(" ok ")), "{}", run.report());
    let mut told = run.report();
    rig.wait_until("good's agent runs", SOON, || {
        json(&rig.root(&["fleet", "ps", "--all-tenants", "--json"]).stdout)["tenants"]
            .to_string()
            .contains("\"alive\"")
    });
    // Root decides a roster that stands in the declaration; a copy of the tenant's is kept.
    rig.as_user("good", &["sh", "-c", "echo 'version: 1' >~/.config/mosaic/fleet/roster.yaml"]).ok();
    told += &rig.root(&["fleet", "-v", "tenant", "apply", "good"]).exits(0).report();
    let copies =
        rig.as_user("good", &["sh", "-c", "ls ~/.config/mosaic/fleet/ | grep -c roster.yaml.bak"]).ok();
    assert_eq!(copies.trim(), "1");
    for argv in [
        &["fleet", "tenant", "apply", "--json"][..],
        &["fleet", "tenant", "list"],
        &["fleet", "tenant", "list", "--json"],
        &["fleet", "tenant", "show", "good"],
        &["fleet", "tenant", "show", "good", "--json"],
        &["fleet", "ps", "--all-tenants", "--json"],
        &["fleet", "verify", "--all-tenants"],
        &["fleet", "verify", "--all-tenants", "--json"],
        &["fleet", "doctor", "--all-tenants", "--json"],
        &["fleet", "tenant", "remove", "good"],
        &[
            "sh",
            "-c",
            "cat /var/lib/mosaic/tenants/* /var/lib/mosaic/*.json; journalctl --no-pager -o export",
        ],
    ] {
        told += &rig.root(argv).report();
    }
    assert!(told.contains("good") && !told.contains(secret), "the secret is in what was told");
}
