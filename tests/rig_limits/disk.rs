//! A disk quota as a kernel keeps it: whose home may have no more is told so, and nobody else is held up.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{OTHER, on_both_trees};
use crate::fleet::rig::Rig;

/// A home whose user may have no more on its disk, before its first apply and at a change.
#[test]
fn a_used_up_disk_quota_is_named_and_holds_nobody_up() {
    on_both_trees(|bench| {
        let rig = &bench.fleet.rig;
        let uid = rig.add_user("full");
        with_quota(rig, "/home/full", uid);
        let mut took = (Duration::ZERO, Duration::ZERO);
        for count in [1, 2] {
            let agents = ["{name: one, command: sleep 70001}", "{name: two, command: sleep 70002}"];
            let roster = format!("roster: {{version: 1, agents: [{}]}}", agents[..count].join(", "));
            declare(rig, "full", &roster);
            declare(rig, OTHER, &roster);
            let filled = rig.as_user("full", &["sh", "-c", "cat /dev/zero >~/fill"]);
            assert!(filled.stderr.contains("Disk quota exceeded"), "{}", filled.report());
            let before = as_it_stands(rig);
            let begun = Instant::now();
            let told = apply(rig, 4);
            took.0 = begun.elapsed();
            assert_eq!(told[OTHER]["ok"], true, "{told:#}");
            assert_eq!(running(rig, OTHER).len(), count, "the other one is provisioned");
            let error = &told["full"]["error"];
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains(" /home/full/") && message.contains("Disk quota exceeded"), "{told:#}");
            assert!(
                error["hints"].to_string().contains("disk quota is used up: free some space"),
                "{told:#}"
            );
            assert!(told["full"]["seconds"].as_f64().expect("a number") < 20.0, "{told:#}");
            assert_eq!(as_it_stands(rig), before, "nothing is half-written, lost or restarted");

            rig.as_user("full", &["rm", "/home/full/fill"]).ok();
            let begun = Instant::now();
            let told = apply(rig, 0);
            took.1 = begun.elapsed();
            assert_eq!(told["full"]["ok"], true, "{told:#}");
            assert_eq!(running(rig, "full").len(), count, "the same command makes all well");
        }
        bench.note("disk quota used up", Some(took.0), Some(took.1));
    });
}

/// The agents of these rosters that run, by their processes.
fn running(rig: &Rig, user: &str) -> Vec<String> {
    let agents = rig.root(&["pgrep", "-u", user, "-f", "^sleep 7"]).stdout;
    agents.lines().map(str::to_owned).collect()
}

/// What stands in the home, and what runs.
fn as_it_stands(rig: &Rig) -> (String, Vec<String>) {
    let files = "find ~ -xdev -type f -not -path '*/fleet/run/*' -exec md5sum {} + | sort";
    (rig.as_user("full", &["sh", "-c", files]).ok(), running(rig, "full"))
}

/// Puts a file system at that folder on which the user may have half a MiB.
fn with_quota(rig: &Rig, folder: &str, uid: u32) {
    let made = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let image = made.path().join("image");
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-O", "quota,^has_journal", "-E", &format!("root_owner={uid}:{uid}")]);
    assert!(mke2fs.arg(&image).arg("4M").output().is_ok_and(|made| made.status.success()));
    rig.write("/var/lib/quota", std::fs::read(&image).expect("the image is there"), "root");
    rig.write("/root/quota.py", include_str!("../common/quota.py"), "root");
    let uid = uid.to_string();
    rig.root_ok(&["python3", "-I", "-S", "/root/quota.py", "/var/lib/quota", folder, &uid, "512"]);
    rig.root_ok(&["chmod", "0700", folder]);
}

/// Declares a tenant of that name and user.
pub fn declare(rig: &Rig, name: &str, rest: &str) {
    let folder =
        "install -d -m 0700 /etc/mosaic /etc/mosaic/tenants.d; umask 077; cat >/etc/mosaic/tenants.d/$1.yaml";
    let text = format!("user: {name}\n{rest}\n");
    rig.as_user_with("root", &["sh", "-c", folder, "sh", name], text.as_bytes()).ok();
}

/// What an apply of these two, with that exit code, tells of each.
fn apply(rig: &Rig, code: i32) -> Value {
    let run = rig.root(&["fleet", "tenant", "apply", "full", OTHER, "--json"]).exits(code);
    tenants_of(&run.stdout)
}

/// What is told of each tenant, by its name.
pub fn tenants_of(told: &str) -> Value {
    let told: Value = serde_json::from_str(told).unwrap_or_else(|_| panic!("{told}"));
    let tenants = told["tenants"].as_array().expect("tenants").iter();
    tenants.map(|one| (one["tenant_id"].as_str().expect("a name").to_owned(), one.clone())).collect()
}
