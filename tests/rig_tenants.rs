//! Root makes tenants, in a booted system: they come up, survive a reboot without a login, can't reach each
//! other, and go away without a rest.

#[path = "common/tenants.rs"]
mod tenants;

use tenants::rig::{Rig, Suite};
use tenants::{SOON, all_green, boot, json, processes, tenant, uid};

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

        rig.reboot();
        rig.wait_until("all tenants are green", SOON, || all_green(&rig));
        let people = rig.root_ok(&["loginctl", "list-sessions", "--no-legend"]);
        assert!(people.lines().all(|l| l.contains(" manager ")), "nobody has logged in: {people}");
        let again = json(&rig.root_ok(&["fleet", "tenant", "apply", "--json"]));
        for name in ["alpha", "beta"] {
            assert_eq!(tenant(&again, name)["did"].as_array().map(Vec::len), Some(0), "{suite:?}: {again:#}");
        }

        // Removed: nothing runs or lingers, and an apply does not bring it back.
        rig.root_ok(&["fleet", "tenant", "remove", "alpha"]);
        assert_eq!(processes(&rig, alpha), "");
        assert!(!rig.root_ok(&["ls", "/var/lib/systemd/linger"]).contains("alpha"));
        rig.root_ok(&["fleet", "tenant", "apply"]);
        assert_eq!(processes(&rig, alpha), "");
        assert_eq!(stat(&rig, "%U", "/home/alpha"), "alpha", "user and home stay");
        rig.root_ok(&["fleet", "tenant", "add", "alpha", "--start"]);
        assert_eq!(uid(&rig, "alpha"), alpha);

        // Purged: user and home are gone, and only they; added again it is another user.
        let before = rig.root_ok(&["sh", "-c", "cut -d: -f1 /etc/passwd; ls /home"]);
        rig.root_ok(&["fleet", "tenant", "remove", "alpha", "--purge"]);
        let after = rig.root_ok(&["sh", "-c", "cut -d: -f1 /etc/passwd; ls /home"]);
        let left: Vec<&str> = before.lines().filter(|l| *l != "alpha").collect();
        assert_eq!(after.lines().collect::<Vec<_>>(), left);
        assert_eq!(processes(&rig, alpha), "");
        let of_it = rig.root_ok(&[
            "find",
            "/",
            "-xdev",
            "(",
            "-uid",
            &alpha.to_string(),
            "-o",
            "-name",
            "*alpha*",
            ")",
            "-not",
            "-path",
            "/proc/*",
            "-not",
            "-path",
            "/sys/*",
            "-not",
            "-path",
            "/var/log/*",
        ]);
        assert!(of_it.lines().all(|l| l.ends_with("alpha.lock") || l.starts_with("/usr/")), "{of_it}");
        let run = rig.root(&["fleet", "tenant", "add", "gamma", "--uid", &alpha.to_string()]).exits(3);
        assert!(run.stderr.contains("was a tenant's that has been removed"), "{}", run.report());
        rig.root_ok(&["fleet", "tenant", "add", "alpha", "--profile", "dogfood", "--start"]);
        assert_ne!(uid(&rig, "alpha"), alpha);
        assert!(all_green(&rig), "{}", rig.root(&["fleet", "verify", "--all-tenants"]).report());
    }
}
