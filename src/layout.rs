//! Every path the project reads or writes, hung from a user's home and `$MOSAIC_HOME`.
//!
//! Only names of places: nothing here touches the disk, so tests pass a temporary folder.

use std::path::{Path, PathBuf};

use crate::names::{AGENT_TEMPLATE, AgentName, HOLDER_UNIT, SocketName, TenantId};

/// One tenant's places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    home: PathBuf,
    mosaic: PathBuf,
    declared: Option<PathBuf>,
}

/// `$MOSAIC_HOME` relative to the home where nobody says otherwise.
pub const DEFAULT_MOSAIC: &str = ".config/mosaic";
/// Where systemd looks for a user's own units, relative to the home.
pub const UNITS: &str = ".config/systemd/user";
/// Where a declarative host puts units, which every user's manager reads.
pub const MACHINE_UNITS: &str = "/etc/systemd/user";
/// Where a declarative host puts rosters and rendered files, a folder a tenant.
pub const DECLARED: &str = "/etc/mosaic/fleet";

impl Layout {
    /// The places of a user whose home is `home`; `mosaic` is `$MOSAIC_HOME` where it is not the
    /// default.
    pub fn new(home: impl Into<PathBuf>, mosaic: Option<PathBuf>) -> Self {
        let home = plain(&home.into());
        let mosaic = mosaic.map_or_else(|| home.join(DEFAULT_MOSAIC), |mosaic| plain(&mosaic));
        Self { home, mosaic, declared: None }
    }

    /// The places of a tenant whose units and rendered files a declarative host holds in `folder`:
    /// its units are the machine's, and what is rendered stands in the home as links.
    pub fn declared_in(self, folder: PathBuf) -> Self {
        Self { declared: Some(folder), ..self }
    }

    /// The folder in which a declarative host holds this tenant's rendered files, where it does.
    pub fn declared_at(&self) -> Option<&Path> {
        self.declared.as_deref()
    }

    /// What a link at `path` of the home leads to on a declarative host.
    pub fn declared_file(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.mosaic).ok()?;
        Some(self.declared.as_ref()?.join(below.strip_prefix("fleet").unwrap_or(below)))
    }

    /// The user's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `$MOSAIC_HOME`.
    pub fn mosaic(&self) -> &Path {
        &self.mosaic
    }

    /// `$MOSAIC_HOME` as a unit file writes it: below `%h` where it is below the home, so that the
    /// unit reads the same for every tenant. A `%` of the path itself is doubled.
    pub fn mosaic_in_unit(&self) -> String {
        let escaped = |p: &Path| p.display().to_string().replace('%', "%%");
        match self.mosaic.strip_prefix(&self.home) {
            Ok(rest) if rest.as_os_str().is_empty() => "%h".to_owned(),
            Ok(rest) => format!("%h/{}", escaped(rest)),
            Err(_) => escaped(&self.mosaic),
        }
    }

    /// The definition.
    pub fn roster(&self) -> PathBuf {
        self.fleet().join("roster.yaml")
    }

    /// `$MOSAIC_HOME/fleet`.
    pub fn fleet(&self) -> PathBuf {
        self.mosaic.join("fleet")
    }

    /// The folder of the agents' environment files.
    pub fn agents(&self) -> PathBuf {
        self.fleet().join("agents")
    }

    /// The rendered EnvironmentFile of one agent.
    pub fn agent_env(&self, agent: &AgentName) -> PathBuf {
        self.agents().join(within::agent_env(agent))
    }

    /// The operator's own overrides for one agent; never written by us.
    pub fn agent_local_env(&self, agent: &AgentName) -> PathBuf {
        self.agents().join(within::agent_local_env(agent))
    }

    /// Names further environment files, which all agents get: a path a line. A declarative host
    /// writes it.
    pub fn environment_files(&self) -> PathBuf {
        self.fleet().join("environment-files")
    }

    /// The folder of everything that changes while the fleet runs.
    pub fn run(&self) -> PathBuf {
        self.fleet().join("run")
    }

    /// One agent's heartbeat.
    pub fn heartbeat(&self, agent: &AgentName) -> PathBuf {
        self.run().join(within::heartbeat(agent))
    }

    /// The lock under which a heartbeat is read and written by one program after another.
    pub fn heartbeat_lock(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.hb.lock"))
    }

    /// What asks an agent's runtime for a beat at once.
    pub fn probe(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.probe"))
    }

    /// The prompts that an agent's runtime has acknowledged, a JSON line each.
    pub fn ack(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.ack"))
    }

    /// What is known of each message to an agent, a file each.
    pub fn receipts(&self, agent: &AgentName) -> PathBuf {
        self.run().join("receipts").join(agent.as_str())
    }

    /// The same of all of them in one small file.
    pub fn receipt_summary(&self, agent: &AgentName) -> PathBuf {
        self.run().join(within::receipt_summary(agent))
    }

    /// The lock under which that file is read and written by one program after another.
    pub fn receipt_lock(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.receipt.lock"))
    }

    /// Messages that wait for an agent, a file each.
    pub fn queue(&self, agent: &AgentName) -> PathBuf {
        self.run().join("queue").join(agent.as_str())
    }

    /// The lock that one sender to an agent holds.
    pub fn send_lock(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.send.lock"))
    }

    /// What wakes its supervisor for its queue.
    pub fn bell(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.bell"))
    }

    /// The lock that one program holds while it hands an agent's queue out.
    pub fn deliver_lock(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.deliver.lock"))
    }

    /// The supervisor's record of one agent: starts, the last end, the first beat.
    pub fn record(&self, agent: &AgentName) -> PathBuf {
        self.run().join(within::record(agent))
    }

    /// The last lines of an agent's pane, kept when its process ended.
    pub fn last_lines(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.last"))
    }

    /// Who attached to the agent's terminal, a JSON line when they came and one when they left.
    pub fn attached(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.attached"))
    }

    /// A folder that says that a person stopped the agent; its file is named by the boot in which.
    pub fn parked(&self, agent: &AgentName) -> PathBuf {
        self.run().join(within::parked(agent))
    }

    /// What a start by hand leaves for the pane's first step; removed once read.
    pub fn launch(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.launch"))
    }

    /// Where a pane's first step waits for its supervisor; a supervisor that was killed leaves it.
    pub fn gate(&self, agent: &AgentName) -> PathBuf {
        self.run().join(format!("{agent}.gate"))
    }

    /// What `mosaic yolo` noted of the runtime that it became.
    pub fn launched(&self, agent: &AgentName) -> PathBuf {
        self.run().join(within::launched(agent))
    }

    /// Everything that running an agent leaves below [`Self::run`]: no name is made up from a pattern,
    /// so that nothing of an agent whose name begins alike is among it.
    pub fn run_files(&self, agent: &AgentName) -> [PathBuf; 18] {
        [
            self.heartbeat(agent),
            self.heartbeat_lock(agent),
            self.probe(agent),
            self.ack(agent),
            self.record(agent),
            self.last_lines(agent),
            self.parked(agent),
            self.launch(agent),
            self.launched(agent),
            self.attached(agent),
            self.gate(agent),
            self.receipt_summary(agent),
            self.receipt_lock(agent),
            self.send_lock(agent),
            self.bell(agent),
            self.deliver_lock(agent),
            self.receipts(agent),
            self.queue(agent),
        ]
    }

    /// Locks that bound how many agents start at once.
    pub fn slots(&self) -> PathBuf {
        self.run().join("slots")
    }

    /// What `apply --adopt` saved of a fleet that was made by hand.
    pub fn adopted(&self) -> PathBuf {
        self.fleet().join("adopted")
    }

    /// The lock that one `apply` of this tenant holds.
    pub fn apply_lock(&self) -> PathBuf {
        self.run().join("apply.lock")
    }

    /// What the holder's server was started with. No agent's file has such a name.
    pub fn holder_started(&self) -> PathBuf {
        self.run().join("holder.started")
    }

    /// npm's global prefix, asked once at `init` and kept.
    pub fn npm_prefix(&self) -> PathBuf {
        self.run().join("npm-prefix")
    }

    /// The boot in which the fleet was last applied.
    pub fn boot_record(&self) -> PathBuf {
        self.run().join("boot.json")
    }

    /// The result of the last `verify`.
    pub fn verify_record(&self) -> PathBuf {
        self.run().join("verify.json")
    }

    /// Our tmux server's configuration.
    pub fn tmux_conf(&self) -> PathBuf {
        self.fleet().join("tmux.conf")
    }

    /// What we installed, with content hashes.
    pub fn ledger(&self) -> PathBuf {
        self.fleet().join("ledger.json")
    }

    /// Adapters, roles and profiles as installed.
    pub fn framework(&self) -> PathBuf {
        self.mosaic.join("framework")
    }

    /// The documented entry point that starts or reuses one session.
    pub fn start_script(&self) -> PathBuf {
        self.mosaic.join("tools/fleet/start-agent-session.sh")
    }

    /// The documented entry point that sends a message to one pane.
    pub fn send_script(&self) -> PathBuf {
        self.mosaic.join("tools/tmux/send-message.sh")
    }

    /// The documented entry point that sends one to an agent, here or on another host.
    pub fn agent_send_script(&self) -> PathBuf {
        self.mosaic.join("tools/tmux/agent-send.sh")
    }

    /// Where the fleet's units are: with the user's own, but for a declarative host.
    pub fn units(&self) -> PathBuf {
        if self.declared.is_some() { PathBuf::from(MACHINE_UNITS) } else { self.own_units() }
    }

    /// Where the user's own units are.
    pub fn own_units(&self) -> PathBuf {
        self.home.join(UNITS)
    }

    /// The holder's unit file.
    pub fn holder_unit(&self) -> PathBuf {
        self.units().join(HOLDER_UNIT)
    }

    /// The agents' template unit file.
    pub fn agent_template(&self) -> PathBuf {
        self.units().join(AGENT_TEMPLATE)
    }

    /// The drop-in that carries one agent's own unit settings.
    pub fn agent_drop_in(&self, agent: &AgentName) -> PathBuf {
        self.units().join(format!("{}.d/mosaic.conf", agent.unit()))
    }

    /// The link by which `wanted_by` pulls `unit` in.
    pub fn wants_link(&self, wanted_by: &str, unit: &str) -> PathBuf {
        self.units().join(format!("{wanted_by}.wants")).join(unit)
    }

    /// Where a declarative host puts a tenant's roster and rendered files.
    pub fn declared(tenant: &TenantId) -> PathBuf {
        Path::new(DECLARED).join(tenant.as_str())
    }
}

/// A path in the one spelling that all of its kind have: no slash twice or at the end.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// What of a path is below a folder; both from one [`Layout`], so that their bytes tell it.
pub fn below<'p>(path: &'p Path, folder: &Path) -> Option<&'p str> {
    let rest = path.as_os_str().as_encoded_bytes().strip_prefix(folder.as_os_str().as_encoded_bytes())?;
    std::str::from_utf8(rest.strip_prefix(b"/")?).ok()
}

/// Names of an agent's files within their folder: who holds that open walks no path.
pub mod within {
    use crate::names::AgentName;

    /// Of [`super::Layout::agent_env`].
    pub fn agent_env(agent: &AgentName) -> String {
        named(agent, ".env")
    }

    /// Of [`super::Layout::agent_local_env`].
    pub fn agent_local_env(agent: &AgentName) -> String {
        named(agent, ".local.env")
    }

    /// Of [`super::Layout::heartbeat`].
    pub fn heartbeat(agent: &AgentName) -> String {
        named(agent, ".hb")
    }

    /// Of [`super::Layout::receipt_summary`].
    pub fn receipt_summary(agent: &AgentName) -> String {
        named(agent, ".receipt")
    }

    /// Of [`super::Layout::record`].
    pub fn record(agent: &AgentName) -> String {
        named(agent, ".record")
    }

    /// Of [`super::Layout::parked`].
    pub fn parked(agent: &AgentName) -> String {
        named(agent, ".parked")
    }

    /// Of [`super::Layout::launched`].
    pub fn launched(agent: &AgentName) -> String {
        named(agent, ".launched")
    }

    fn named(agent: &AgentName, ending: &str) -> String {
        [agent.as_str(), ending].concat()
    }
}

/// The folder below which tmux keeps a user's sockets when nothing else is said: a plain login
/// shell finds the fleet's socket there with `tmux -L NAME`.
pub const TMUX_FOLDER: &str = "/tmp";

/// The socket that `tmux -L name` uses for `uid` below `folder`.
pub fn tmux_socket(folder: &Path, uid: u32, name: &SocketName) -> PathBuf {
    folder.join(format!("tmux-{uid}")).join(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_a_folder_by_whole_names_however_the_home_was_spelt() {
        let layout = Layout::new("/home//u/./", Some("/srv//m/".into()));
        let agent = AgentName::parse("a").expect("a name");
        assert_eq!(below(&layout.agent_env(&agent), &layout.agents()), Some("a.env"));
        assert_eq!(below(&layout.agents(), &layout.agents()), None);
        assert_eq!(below(Path::new("/srv/m/fleet/agents2/a.env"), &layout.agents()), None);
        assert_eq!(below(&layout.holder_unit(), &Layout::new("/home/u", None).units()), Some(HOLDER_UNIT));
    }

    #[test]
    fn units_name_the_home_by_specifier_only_where_it_is_below_it() {
        let below = Layout::new("/home/u", None);
        assert_eq!(below.mosaic_in_unit(), "%h/.config/mosaic");
        let same = Layout::new("/home/u", Some("/home/u".into()));
        assert_eq!(same.mosaic_in_unit(), "%h");
        let outside = Layout::new("/home/u", Some("/srv/100%/m".into()));
        assert_eq!(outside.mosaic_in_unit(), "/srv/100%%/m");
    }

    #[test]
    fn on_a_declarative_host_units_are_the_machines_and_files_lead_to_the_tenants_folder() {
        let layout = Layout::new("/home/u", None).declared_in("/etc/mosaic/fleet/u".into());
        assert_eq!(layout.holder_unit(), Path::new("/etc/systemd/user/mosaic-tmux-holder.service"));
        assert_eq!(layout.tmux_conf(), Path::new("/home/u/.config/mosaic/fleet/tmux.conf"));
        let leads = |path: PathBuf| layout.declared_file(&path);
        assert_eq!(leads(layout.tmux_conf()), Some("/etc/mosaic/fleet/u/tmux.conf".into()));
        let script = "/etc/mosaic/fleet/u/tools/fleet/start-agent-session.sh";
        assert_eq!(leads(layout.start_script()), Some(script.into()));
        assert_eq!(leads(layout.holder_unit()), None);
        assert_eq!(Layout::new("/home/u", None).declared_file(&layout.tmux_conf()), None);
    }
}
