//! A tenant with a fleet in a booted rig, and the questions that tests ask about it.
#![allow(dead_code, reason = "no test file uses all of it")]

#[path = "rig.rs"]
pub mod rig;

use std::path::Path;
use std::time::Duration;

use rig::{Rig, Run, Suite};

/// Bound for what takes a moment.
pub const SOON: Duration = Duration::from_secs(30);
/// The tenant's name.
pub const TENANT: &str = "demo";
/// `$MOSAIC_HOME` of the tenant.
pub const MOSAIC: &str = "/home/demo/.config/mosaic";
const SOCKET: &str = "mosaic-factory";

/// A booted rig with one lingering tenant.
pub struct Fleet {
    pub rig: Rig,
    pub uid: u32,
}

impl Fleet {
    /// A tenant without anything of ours.
    pub fn tenant(suite: Suite) -> Self {
        Self::tenant_seeing(suite, &[])
    }

    /// One whose machine sees these folders of the host.
    pub fn tenant_seeing(suite: Suite, folders: &[&Path]) -> Self {
        Self::tenant_on(Rig::boot_seeing(suite, folders))
    }

    /// One on that machine.
    pub fn tenant_on(rig: Rig) -> Self {
        let uid = rig.add_lingering_user(TENANT);
        Self { rig, uid }
    }

    /// A tenant with this roster applied and everything wanted started.
    pub fn with(suite: Suite, roster: &str) -> Self {
        let fleet = Self::tenant(suite);
        fleet.apply(roster);
        fleet
    }

    /// Writes the roster and applies it.
    pub fn apply(&self, roster: &str) {
        self.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster, TENANT);
        self.run(&["fleet", "apply"]).ok();
    }

    /// As the tenant, from an environment as cron and `sudo -u` have it.
    pub fn run(&self, argv: &[&str]) -> Run {
        self.rig.as_user(TENANT, argv)
    }

    /// A shell line as the tenant, with the variables that `systemctl --user` needs.
    pub fn sh(&self, line: &str) -> Run {
        let line = format!("export XDG_RUNTIME_DIR=/run/user/{}; {line}", self.uid);
        self.run(&["bash", "-c", &line])
    }

    /// Pid of the agent's pane, if its session is there with a live one.
    pub fn pane(&self, agent: &str) -> Option<i32> {
        let target = format!("={agent}:");
        let run =
            self.run(&["tmux", "-L", SOCKET, "list-panes", "-t", &target, "-F", "#{pane_dead} #{pane_pid}"]);
        run.stdout.trim().strip_prefix("0 ")?.parse().ok()
    }

    /// A property of a unit of the tenant's.
    pub fn unit(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl --user show --value -p {property} '{unit}'")).ok().trim().to_owned()
    }

    /// Pid of the holder's tmux server, as systemd has it.
    pub fn holder(&self) -> i32 {
        self.unit("mosaic-tmux-holder.service", "MainPID").parse().expect("a pid")
    }

    /// Pid of the agent's supervisor.
    pub fn supervisor(&self, agent: &str) -> i32 {
        self.unit(&unit(agent), "MainPID").parse().expect("a pid")
    }

    /// The sessions on the fleet's socket.
    pub fn sessions(&self) -> Vec<String> {
        let run = self.run(&["tmux", "-L", SOCKET, "list-sessions", "-F", "#{session_name}"]);
        let mut names: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// How many agents' units are active.
    pub fn active(&self) -> usize {
        let list = "systemctl --user list-units 'mosaic-agent@*' --state=active --no-legend --plain";
        self.sh(list).ok().lines().count()
    }

    /// Last component of the process's cgroup.
    pub fn unit_of(&self, pid: i32) -> String {
        let text = self.run(&["cat", &format!("/proc/{pid}/cgroup")]).ok();
        text.trim().rsplit('/').next().unwrap_or("").to_owned()
    }

    /// Ends a process of the tenant's.
    pub fn kill(&self, signal: &str, pid: i32) {
        self.run(&["kill", signal, &pid.to_string()]).ok();
    }

    /// Waits until the agent runs in another pane than `before`, its unit active.
    pub fn comes_back(&self, agent: &str, before: i32) -> i32 {
        let mut now = before;
        self.rig.wait_until(&format!("{agent} is back"), SOON, || {
            now = self.pane(agent).unwrap_or(before);
            now != before && self.unit(&unit(agent), "ActiveState") == "active"
        });
        now
    }

    /// A value of the agent's record.
    pub fn record(&self, agent: &str, key: &str) -> String {
        let text = self.rig.read(&format!("{MOSAIC}/fleet/run/{agent}.record"));
        let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {key} in\n{text}")).to_owned()
    }

    /// Installs a program of the tenant's own in a folder of its home.
    pub fn program(&self, file: &str, script: &str) {
        let path = format!("/home/{TENANT}/{file}");
        self.rig.write(&path, script, TENANT);
        self.run(&["chmod", "755", &path]).ok();
    }
}

/// The agent's unit.
pub fn unit(agent: &str) -> String {
    format!("mosaic-agent@{agent}.service")
}

/// A roster of agents that each run `command`.
pub fn roster(agents: impl IntoIterator<Item = impl AsRef<str>>, command: &str) -> String {
    let mut text = "version: 1\nagents:\n".to_owned();
    for agent in agents {
        text.push_str(&format!("  - name: {}\n    command: {command}\n", agent.as_ref()));
    }
    text
}
