//! Root's view over all tenants, in a booted system: each tenant is looked at by a child that became it.

#[path = "common/fleet.rs"]
mod fleet;

use std::time::{Duration, Instant};

use fleet::rig::{Rig, Suite};
use fleet::{SOON, roster};
use serde_json::Value;

/// `fleet top --all-tenants` on a terminal of its own, left with q once it has shown both.
const TOP: &[u8] = br#"
import fcntl, os, pty, select, struct, sys, termios, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("fleet", ["fleet", "top", "--all-tenants"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
shown, end = b"", time.time() + 60
while time.time() < end and not (b"alpha" in shown and b"b0" in shown):
    if select.select([terminal], [], [], 1)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
os.write(terminal, b"q")
_, status = os.waitpid(pid, 0)
print(shown.decode(errors="replace"))
print("left with", os.waitstatus_to_exitcode(status))
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// A user with a fleet of agents that sleep.
fn tenant(rig: &Rig, name: &str, agents: &[&str]) -> u32 {
    let uid = rig.add_lingering_user(name);
    let mosaic = format!("/home/{name}/.config/mosaic");
    rig.write(&format!("{mosaic}/fleet/roster.yaml"), roster(agents, "sleep 100000"), name);
    rig.as_user(name, &["fleet", "apply"]).ok();
    uid
}

fn names(value: &Value) -> Vec<&str> {
    value["tenants"].as_array().expect("tenants").iter().filter_map(|t| t["tenant_id"].as_str()).collect()
}

#[test]
fn root_sees_every_tenant_and_one_that_hangs_or_lies_hides_no_other() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let rig = Rig::boot(suite);
        let alpha = tenant(&rig, "alpha", &["a0", "a1"]);
        tenant(&rig, "beta", &["b0"]);
        let ps = json(&rig.root_ok(&["fleet", "ps", "--all-tenants", "--json"]));
        assert_eq!(ps["schema_version"], 1);
        assert_eq!(names(&ps), ["alpha", "beta"], "{suite:?}: {ps:#}");
        let own = json(&rig.as_user("alpha", &["fleet", "ps", "--json"]).ok());
        let (mut seen, tenants) = (ps["tenants"][0].clone(), ps["tenants"].as_array().expect("tenants"));
        for key in ["uid", "known", "reasons"] {
            seen.as_object_mut().expect("an object").remove(key);
        }
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&seen), keys(&own), "what one tenant's ps says");
        assert_eq!(seen["rows"][1]["name"], "a1");
        assert_eq!(seen["rows"][1]["pane"], own["rows"][1]["pane"]);
        assert!(tenants.iter().all(|t| t["known"] == true), "{ps:#}");
        let table = rig.root_ok(&["fleet", "ps", "--all-tenants"]);
        assert!(table.lines().any(|l| l.starts_with("beta") && l.contains("b0")), "{table}");
        rig.root(&["fleet", "verify", "--all-tenants"]).exits(1);
        json(&rig.root(&["fleet", "doctor", "--all-tenants", "--json"]).stdout);
        let run = rig.as_user("beta", &["fleet", "ps", "--all-tenants"]).exits(4);
        assert!(run.stderr.contains("sudo fleet ps --all-tenants"), "{}", run.report());

        let seen = rig.as_user_with("root", &["python3", "-"], TOP).ok();
        assert!(
            seen.contains("alpha") && seen.contains("b0") && seen.trim_end().ends_with("left with 0"),
            "{seen}"
        );

        // The roster of one says that it is another, and its agent's name is no row's.
        let liar = "version: 1\ntenant_id: beta\nagents: [{name: a0, command: sleep 100000}]\n";
        rig.write("/home/alpha/.config/mosaic/fleet/roster.yaml", liar, "alpha");
        let ps = json(&rig.root_ok(&["fleet", "ps", "--all-tenants", "--json"]));
        assert_eq!(names(&ps), ["alpha", "beta"]);
        assert!(ps["tenants"][0]["rows"].as_array().expect("rows").iter().all(|r| r["tenant_id"] == "alpha"));

        // Its manager, its bus and all else of it is stopped: no answer, and nobody waits for it for long.
        let freeze = format!("pkill -STOP -u {alpha}");
        rig.root_ok(&["sh", "-c", &freeze]);
        let began = Instant::now();
        let run = rig.root(&["fleet", "ps", "--all-tenants", "--json"]);
        let took = began.elapsed();
        let ps = json(&run.stdout);
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert_eq!(names(&ps), ["alpha", "beta"]);
        assert_eq!(ps["tenants"][1]["rows"][0]["pane"]["state"], "alive", "{suite:?}: {ps:#}");
        let alpha_now = ps["tenants"][0].to_string();
        assert!(!alpha_now.contains("\"dead\""), "what hangs is not dead: {alpha_now}");
        rig.root_ok(&["sh", "-c", &format!("pkill -CONT -u {alpha}")]);

        // One whose home is gone can't be looked at at all.
        rig.root_ok(&["mv", "/home/alpha/.config", "/home/alpha/.gone"]);
        let run = rig.root(&["fleet", "ps", "--all-tenants", "--json"]).exits(1);
        let ps = json(&run.stdout);
        assert_eq!(ps["tenants"][0]["known"], false, "{ps:#}");
        assert_eq!(ps["tenants"][0]["rows"], Value::Null);
        assert!(
            ps["tenants"][0]["reasons"][0].as_str().is_some_and(|why| why.contains("there is no roster"))
        );

        // No child of root's is left among anybody's processes.
        let left = || rig.root_ok(&["systemctl", "list-units", "--plain", "--no-legend", "mosaic-tenant-*"]);
        rig.wait_until("no scope is left", SOON, || left().trim().is_empty());
    });
}
