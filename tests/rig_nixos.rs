//! Fleets that a declarative host declares, on real systemd: /etc/systemd/user and the rosters as the NixOS module builds
//! them, as links into a store.

#[path = "common/nixos.rs"]
mod nixos;
#[path = "common/rig.rs"]
mod rig;

use std::time::{Duration, Instant};

use nixos::{HOME_SWITCH, SWITCH, Tree};
use rig::{Rig, Run, Suite};

/// Bound for what takes a moment.
const SOON: Duration = Duration::from_secs(20);
const TENANTS: [&str; 2] = ["usc", "lab"];

/// A machine with two tenants, and a user who has no fleet.
struct Host {
    rig: Rig,
}

impl Host {
    fn new(suite: Suite) -> Self {
        let rig = Rig::boot(suite);
        for user in ["usc", "lab", "guest"] {
            rig.add_lingering_user(user);
        }
        rig.write("/var/lib/lab/secrets", "LAB_TOKEN=t0ken\nMOSAIC_AGENT_NAME=other\n", "root");
        rig.root_ok(&["chown", "-R", "lab:", "/var/lib/lab"]);
        Self { rig }
    }

    /// Switches to a tree, and tells user managers as NixOS does.
    fn switch(&self, version: &str, tree: &Tree) {
        self.rig.as_user_with("root", &["sh", "-c", SWITCH, "sh", version], &tree.archive()).ok();
    }

    /// The tree as it is for this machine.
    fn tree(&self) -> Tree {
        Tree::expected(self.rig.root_ok(&["hostname"]).trim())
    }

    /// A shell line as that user, with the variables that `systemctl --user` needs.
    fn sh(&self, user: &str, line: &str) -> Run {
        let line = format!("export XDG_RUNTIME_DIR=/run/user/$(id -u); {line}");
        self.rig.as_user(user, &["bash", "-c", &line])
    }

    /// What all links of the machine lead to, and what the homes have of units.
    fn picture(&self) -> String {
        let look = "find /etc/systemd/user/ /etc/mosaic /nix /etc/static/ /home/*/.config/systemd /home/*/.config/mosaic ! -path '*/run*' ! -name fleet ! -name ledger.json -printf '%p %l %s %T@\\n' 2>/dev/null | sort";
        self.rig.root(&["sh", "-c", look]).stdout
    }

    /// Waits until the tenant's fleet is proven to be as declared.
    fn verified(&self, tenant: &str) -> String {
        let begun = Instant::now();
        loop {
            let run = self.rig.as_user(tenant, &["fleet", "verify"]);
            if run.code == 0 {
                return run.stdout;
            }
            assert!(begun.elapsed() < SOON, "{tenant} is not proven\n{}", run.report());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn pane(&self, tenant: &str, agent: &str) -> Option<String> {
        let target = format!("={agent}:");
        let list = ["tmux", "-L", "mosaic-factory", "list-panes", "-t", &target, "-F", "#{pane_pid}"];
        let run = self.rig.as_user(tenant, &list);
        (run.code == 0).then(|| run.stdout.trim().to_owned())
    }
}

#[test]
fn declared_fleets_come_back_with_the_machine_and_nobody_else_starts_anything() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let host = Host::new(suite);
        host.switch("v1", &host.tree());
        host.rig.reboot();
        for tenant in TENANTS {
            let proof = host.verified(tenant);
            assert!(proof.contains("holder"), "{proof}");
        }

        for user in ["guest", "root"] {
            let units =
                host.sh(user, "systemctl --user list-units --all --no-legend --plain 'mosaic*'").stdout;
            assert!(!units.contains(" active ") && !units.contains("failed"), "{user}: {units}");
        }
        assert_eq!(host.pane("usc", "solo"), None, "an agent of another tenant's");
        assert_eq!((host.pane("lab", "off"), host.pane("lab", "task")), (None, None), "not for boot");
        let pane = host.pane("lab", "coder").expect("it runs");
        let variables = host.rig.root_ok(&["cat", &format!("/proc/{pane}/environ")]);
        assert!(variables.contains("LAB_TOKEN=t0ken"), "from the file of secrets: {variables}");
        assert!(variables.contains("MOSAIC_AGENT_NAME=coder"), "and nobody else for it: {variables}");

        nothing_declared_is_written(&host);
        what_is_gone_from_the_configuration_is_gone(&host);
    }
}

#[test]
fn a_home_whose_units_are_links_into_a_store_comes_back_and_is_not_written() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let host = Host::new(suite);
        let name = host.rig.root_ok(&["hostname"]);
        host.rig
            .as_user_with("root", &["sh", "-c", HOME_SWITCH, "sh", "usc"], &Tree::home(name.trim()).archive())
            .ok();
        host.rig.reboot();
        host.verified("usc");

        let before = host.picture();
        for verb in ["plan", "apply"] {
            let run = host.rig.as_user("usc", &["fleet", verb]).exits(0);
            assert!(run.stdout.contains("Nothing to do"), "{}", run.report());
            assert!(run.report().contains("services.mosaic-fleet"), "{}", run.report());
        }
        host.rig.as_user("usc", &["fleet", "init", "--profile", "minimal", "--write", "--force"]).exits(1);
        host.rig.as_user("usc", &["fleet", "apply", "--force"]).ok();
        assert_eq!(host.picture(), before);
    }
}

/// Plan, apply, init and the verbs about units leave what is declared as it is, and say whose it is.
fn nothing_declared_is_written(host: &Host) {
    let before = host.picture();
    let plan = host.rig.as_user("usc", &["fleet", "plan"]).ok();
    assert!(plan.contains("Nothing to do"), "{plan}");
    let apply = host.rig.as_user("usc", &["fleet", "apply"]).exits(0);
    for said in [plan, apply.report()] {
        assert!(said.contains("services.mosaic-fleet.tenants.usc"), "{said}");
        assert!(said.contains("/etc/systemd/user"), "{said}");
    }
    let init =
        host.rig.as_user("usc", &["fleet", "init", "--profile", "minimal", "--write", "--force"]).exits(1);
    assert!(init.stderr.contains("services.mosaic-fleet.tenants.usc"), "{}", init.report());
    host.rig.as_user("usc", &["fleet", "apply", "--adopt", "--yes"]).exits(1);
    host.rig.as_user("usc", &["fleet", "ps"]).ok();
    host.rig.as_user("usc", &["fleet", "stop", "coder"]).ok();
    assert_eq!(host.pane("usc", "coder"), None);
    host.rig.as_user("usc", &["fleet", "start", "coder"]).ok();
    host.rig.as_user("lab", &["fleet", "start", "task"]).ok();
    host.rig.as_user("lab", &["fleet", "stop", "task"]).ok();
    assert!(host.pane("usc", "coder").is_some());
    host.verified("usc");
    assert_eq!(host.picture(), before);
}

/// An agent that a new tree does not have ends with the next apply, and does not come back.
fn what_is_gone_from_the_configuration_is_gone(host: &Host) {
    let kept = host.pane("usc", "coder").expect("it runs");
    host.switch("v2", &host.tree().without("lab", "coder").without("lab", "solo"));
    for user in ["usc", "lab", "guest"] {
        host.sh(user, "systemctl --user daemon-reload").ok();
    }
    let verify = host.rig.as_user("lab", &["fleet", "verify"]).exits(1);
    assert!(verify.stdout.contains("coder"), "{}", verify.report());
    host.rig.as_user("lab", &["fleet", "apply"]).ok();
    assert_eq!((host.pane("lab", "coder"), host.pane("lab", "solo")), (None, None));
    let left = host.rig.root(&["ls", "-A", "/home/lab/.config/mosaic/fleet/agents"]).stdout;
    assert!(!left.contains("coder") && !left.contains("solo"), "{left}");
    assert_eq!(host.pane("usc", "coder"), Some(kept), "another tenant's agent of that name runs on");
    host.verified("lab");

    host.rig.reboot();
    for tenant in TENANTS {
        host.verified(tenant);
    }
    assert_eq!((host.pane("lab", "coder"), host.pane("lab", "solo")), (None, None));
    assert!(host.pane("usc", "coder").is_some());
}
