//! The Debian package on a system that has it from nowhere else: installed, run, upgraded under running agents,
//! downgraded, removed; and the tarball below a prefix of a user's own.

#[path = "common/fleet.rs"]
mod fleet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, roster};
use serde_json::Value;
use sha2::{Digest, Sha256};

const AGENTS: [&str; 3] = ["a", "b", "c"];
const UNIT: &str = ".config/systemd/user/mosaic-agent@.service";
const SCRIPT: &str = ".config/mosaic/tools/tmux/send-message.sh";

/// A Debian package and a tarball.
struct Packages {
    deb: Vec<u8>,
    tarball: Vec<u8>,
}

fn build(programs: &Path, version: &str) -> Packages {
    let out = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".package/build");
    let built = Command::new(script)
        .args(["--fast", "--version", version, "--programs"])
        .arg(programs)
        .arg("--out")
        .arg(out.path())
        .output()
        .expect("it runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let told = String::from_utf8(built.stdout).expect("text");
    let [tarball, deb] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
    Packages { deb: fs::read(deb).expect("a package"), tarball: fs::read(tarball).expect("a tarball") }
}

/// The programs under test as the next version would be: where they say theirs they say that one.
fn next_version(programs: &Path, own: &str, next: &str) -> tempfile::TempDir {
    assert_eq!(own.len(), next.len());
    let folder = tempfile::tempdir().expect("a folder");
    for program in ["fleet", "mosaic"] {
        let copy = folder.path().join(program);
        fs::copy(programs.join(program), &copy).expect("copied");
        let stripped = Command::new("strip").arg(&copy).status().expect("strip is there");
        assert!(stripped.success());
        let mut bytes = fs::read(&copy).expect("a program");
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(own.len()).position(|w| w == own.as_bytes()) {
            at += found;
            bytes[at..at + own.len()].copy_from_slice(next.as_bytes());
        }
        fs::write(&copy, bytes).expect("written");
    }
    folder
}

fn install(rig: &Rig, deb: &[u8]) {
    rig.write("/root/mosaic-fleet.deb", deb, "root");
    // Rigs leave out what is only to be read, but not these.
    rig.root_ok(&[
        "dpkg",
        "--path-include=/usr/share/man/*",
        "--path-include=/usr/share/doc/*",
        "--install",
        "/root/mosaic-fleet.deb",
    ]);
}

fn panes(fleet: &Fleet) -> Vec<Option<i32>> {
    AGENTS.iter().map(|agent| fleet.pane(agent)).collect()
}

fn supervisors(fleet: &Fleet) -> Vec<i32> {
    AGENTS.iter().map(|agent| fleet.supervisor(agent)).collect()
}

/// What an older version would have installed in the place of a file of ours, in its ledger, too.
fn as_of_old(fleet: &Fleet, file: &str, line: &str) {
    let path = format!("/home/{TENANT}/{file}");
    let (now, ledger) = (fleet.rig.read(&path), format!("{MOSAIC}/fleet/ledger.json"));
    let old = format!("{now}{line}\n");
    let sum =
        |text: &str| Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let known = fleet.rig.read(&ledger);
    assert!(known.contains(&sum(&now)), "{file} is in the ledger");
    fleet.rig.write(&path, &old, TENANT);
    fleet.rig.write(&ledger, known.replace(&sum(&now), &sum(&old)), TENANT);
}

#[test]
fn a_package_is_installed_upgraded_under_running_agents_and_never_downgraded_unseen() {
    if Rig::skipped() {
        return;
    }
    let (own, next) = (env!("CARGO_PKG_VERSION"), "9.9.9");
    let programs = PathBuf::from(env!("CARGO_BIN_EXE_fleet")).parent().expect("a folder").to_path_buf();
    let newer = next_version(&programs, own, next);
    let (first, second) = (build(&programs, own), build(newer.path(), next));
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        fleet.rig.root_ok(&["rm", "/usr/bin/fleet", "/usr/bin/mosaic"]);
        install(&fleet.rig, &first.deb);
        assert_eq!(fleet.rig.root_ok(&["dpkg", "--verify", "mosaic-fleet"]).trim(), "", "{suite:?}");
        let files = fleet.rig.root_ok(&["dpkg", "--listfiles", "mosaic-fleet"]);
        for file in [
            "/usr/bin/fleet",
            "/usr/bin/mosaic",
            "/usr/share/man/man1/fleet-apply.1.gz",
            "/usr/share/man/man1/mosaic-agent-send.1.gz",
            "/usr/share/bash-completion/completions/mosaic",
            "/usr/share/zsh/vendor-completions/_fleet",
            "/usr/share/fish/vendor_completions.d/fleet.fish",
            "/usr/share/doc/mosaic-fleet/usage/talk.md",
        ] {
            assert!(files.lines().any(|line| line == file), "{suite:?}: {file} is not in\n{files}");
        }
        assert!(
            !files.contains("tmpfiles") && !files.contains("sysusers") && !files.contains("/etc"),
            "{files}"
        );
        let page = fleet.rig.root_ok(&["sh", "-c", "zcat /usr/share/man/man1/fleet-apply.1.gz"]);
        assert!(page.contains(".TH"), "{suite:?}: {page}");

        fleet.apply(&roster(AGENTS, "mosaic yolo dogfood"));
        let before = (panes(&fleet), supervisors(&fleet), fleet.holder());
        assert!(before.0.iter().all(Option::is_some), "{suite:?}: {before:?}");

        // The version before rendered a unit and a script otherwise.
        as_of_old(&fleet, UNIT, "# as it was");
        as_of_old(&fleet, SCRIPT, "# as it was");
        install(&fleet.rig, &second.deb);
        assert_eq!(fleet.run(&["fleet", "--version"]).ok().trim(), format!("fleet {next}"), "{suite:?}");
        let unchanged = |step: &str| {
            assert_eq!((panes(&fleet), supervisors(&fleet), fleet.holder()), before, "{suite:?}: {step}");
        };
        unchanged("the upgrade alone");
        let ps: Value = serde_json::from_str(&fleet.run(&["fleet", "ps", "--json"]).ok()).expect("JSON");
        for row in ps["rows"].as_array().expect("rows") {
            let flags = row["flags"].as_array().expect("flags");
            assert!(
                flags.contains(&"SKEW".into()),
                "{suite:?}: a supervisor of another version is told: {row}"
            );
        }
        let plan = fleet.run(&["fleet", "plan"]);
        assert!(plan.stdout.contains("mosaic-agent@.service"), "{suite:?}: {}", plan.report());
        let applied = fleet.run(&["fleet", "apply"]).exits(0);
        unchanged("an apply");
        for agent in AGENTS {
            let waits = format!("when you want it: fleet restart {agent}");
            assert!(applied.stderr.contains(&waits), "{suite:?}: {}", applied.report());
        }
        for file in [UNIT, SCRIPT] {
            let text = fleet.rig.read(&format!("/home/{TENANT}/{file}"));
            assert!(!text.contains("as it was"), "{suite:?}: {file} is as this version renders it");
        }
        // What supervisors of the version before start is the program that is installed now.
        let to = ["mosaic", "agent", "send", "a", "--verify", "--message"];
        fleet.run(&[&to[..], &["hello"]].concat()).exits(0);
        fleet.run(&["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=b:", "-l", "mine"]).ok();
        let shown = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=b:"];
        fleet.rig.wait_until("a draft shows", SOON, || fleet.run(&shown).stdout.contains("> mine"));
        let wakes = ["mosaic", "agent", "send", "b", "--message", "wake", "--queue", "--wake", "--id", "w"];
        fleet.run(&wakes).exits(0);
        fleet.run(&["tmux", "-L", "mosaic-factory", "send-keys", "-t", "=b:", "C-u"]).ok();
        fleet.rig.wait_until("the message wakes it", SOON, || {
            let receipt = fleet.rig.read(&format!("{MOSAIC}/fleet/run/receipts/b/w.json"));
            ["accepted", "submitted"].iter().any(|state| receipt.contains(&format!("\"state\": \"{state}\"")))
        });
        unchanged("messages");

        // The next version has another ledger; the one before must not touch it.
        let ledger = format!("{MOSAIC}/fleet/ledger.json");
        let kept = fleet.rig.read(&ledger);
        fleet.rig.write(&ledger, kept.replacen("\"version\": 1", "\"version\": 2", 1), TENANT);
        install(&fleet.rig, &first.deb);
        assert_eq!(fleet.run(&["fleet", "--version"]).ok().trim(), format!("fleet {own}"), "{suite:?}");
        for verb in
            [&["plan"][..], &["apply"], &["verify"], &["init", "--profile", "dogfood", "--write", "--force"]]
        {
            let refused = fleet.run(&[&["fleet"], verb].concat()).exits(3);
            assert!(
                refused.stderr.contains("written by a newer fleet")
                    && refused.stderr.contains("nothing was changed"),
                "{suite:?}: {}",
                refused.report()
            );
        }
        // What does not go by it works, and says what it does not know.
        let ps = fleet.run(&["fleet", "ps"]).exits(0);
        assert!(ps.stderr.contains("not known what was changed by hand"), "{suite:?}: {}", ps.report());
        unchanged("a downgrade");
        fleet.rig.write(&ledger, &kept, TENANT);

        // Removed, it leaves the agents and what is the tenant's; installed again, it finds them.
        fleet.rig.root_ok(&["dpkg", "--purge", "mosaic-fleet"]);
        assert!(fleet.rig.root(&["test", "-e", "/usr/bin/fleet"]).code != 0);
        unchanged("a removal");
        install(&fleet.rig, &second.deb);
        fleet.run(&["fleet", "restart"]).ok();
        assert!(panes(&fleet).iter().all(Option::is_some), "{suite:?}");
        assert_ne!(supervisors(&fleet), before.1, "{suite:?}");

        // The tarball is a tree below a prefix, for instance a user's own.
        fleet.rig.root_ok(&["dpkg", "--purge", "mosaic-fleet"]);
        fleet.rig.write(&format!("/home/{TENANT}/fleet.tar.gz"), &first.tarball, TENANT);
        fleet
            .run(&[
                "sh",
                "-c",
                "mkdir -p ~/.local && tar -xzf ~/fleet.tar.gz -C ~/.local --strip-components=1",
            ])
            .ok();
        let own_fleet = format!("/home/{TENANT}/.local/bin/fleet");
        assert_eq!(fleet.run(&[&own_fleet, "--version"]).ok().trim(), format!("fleet {own}"), "{suite:?}");
        let plan = fleet.run(&[&own_fleet, "plan"]);
        assert!(
            plan.stdout.contains("/.local/bin/fleet"),
            "{suite:?}: units would call it: {}",
            plan.report()
        );
    });
}
