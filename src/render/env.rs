//! One agent's variables: the rendered EnvironmentFile. Values may be secrets; they go nowhere else.

use std::path::Path;

use minijinja::context;

use super::site::Places;
use super::templates::Template;
use super::{File, RenderError, Role, Site};
use crate::envfile;
use crate::names::EnvName;
use crate::roster::{Agent, Launch, Lifecycle, Limits, OnStale, Roster, Transport};

/// Seconds between two heartbeats.
const HEARTBEAT_INTERVAL: u32 = 15;

/// Variables that tmux gives to its panes: set here, they would lie to every program there.
const OF_TMUX: [&str; 2] = ["TMUX", "TMUX_PANE"];

/// The EnvironmentFile of one agent: what the fleet says of it, its own variables, its limits.
pub fn file(agent: &Agent, roster: &Roster, site: &Site, places: &Places<'_>) -> Result<File, RenderError> {
    let mut vars = ours(agent, roster, site, places);
    for var in &agent.env {
        if OF_TMUX.contains(&var.name.as_str()) {
            return Err(RenderError::OfTmux { agent: agent.name.clone(), name: var.name.clone() });
        }
        vars.push((var.name.clone(), var.value.clone()));
    }
    vars.extend(limits(&agent.limits));
    let borrowed: Vec<(EnvName, &str)> =
        vars.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
    let variables = envfile::write(&borrowed)
        .map_err(|refused| RenderError::Variable { agent: agent.name.clone(), refused })?;
    let text = Template::Env.render(context! { agent => agent.name.as_str(), variables })?;
    Ok(File::new(site.layout.agent_env(&agent.name), text, Role::AgentEnv(agent.name.clone())))
}

type Vars = Vec<(EnvName, String)>;

/// What the fleet says of the agent: documented, in the documented order.
fn ours(agent: &Agent, roster: &Roster, site: &Site, places: &Places<'_>) -> Vars {
    let mut vars = Vars::new();
    let mut set = |name, value: &str| vars.push((ours_name(name), value.to_owned()));
    set("MOSAIC_HOME", places.mosaic);
    match roster.transport {
        Transport::Tmux => {
            set("MOSAIC_TMUX_SOCKET", roster.socket.as_str());
            set("MOSAIC_TMUX_HOLDER", roster.holder_session.as_str());
        }
        // There is no server to name.
        Transport::None => set("MOSAIC_TRANSPORT", "none"),
    }
    set("MOSAIC_AGENT_NAME", agent.name.as_str());
    set("MOSAIC_AGENT_RUNTIME", agent.runtime.as_str());
    set("MOSAIC_AGENT_WORKDIR", &places.expand(&agent.working_directory));
    if let Launch::Command(line) = roster.launch(agent) {
        set("MOSAIC_AGENT_COMMAND", line);
    }
    set("MOSAIC_TENANT_ID", roster.tenant.as_str());
    set("MOSAIC_HOST", site.host.as_str());
    set("MOSAIC_AGENT_CLASS", agent.class.as_deref().unwrap_or_default());
    set("MOSAIC_HEARTBEAT_INTERVAL", &HEARTBEAT_INTERVAL.to_string());
    // An agent per task is never started again, so its supervisor has nothing to watch for.
    if agent.on_stale == OnStale::Restart && agent.lifecycle == Lifecycle::Core {
        set("MOSAIC_AGENT_ON_STALE", agent.on_stale.as_str());
    }
    let bin = roster.runtime(&agent.runtime).and_then(|r| r.bin.as_deref()).and_then(Path::to_str);
    let bin = bin.map(|bin| places.expand(bin));
    if let Some(folder) = bin.as_deref().map(Path::new).and_then(Path::parent).and_then(Path::to_str) {
        set("MOSAIC_RUNTIME_BIN", folder);
    }
    vars
}

/// Limits of the process, which the pane's first step sets: a unit's own settings of that kind do
/// not reach a pane.
fn limits(limits: &Limits) -> Vars {
    let vars = [
        ("MOSAIC_LIMIT_UMASK", limits.umask.map(|umask| format!("{umask:04o}"))),
        ("MOSAIC_LIMIT_NOFILE", limits.nofile.map(|files| files.to_string())),
        ("MOSAIC_LIMIT_NICE", limits.nice.map(|nice| nice.to_string())),
        ("MOSAIC_LIMIT_NO_NEW_PRIVS", limits.no_new_privs.filter(|on| *on).map(|_| "1".to_owned())),
    ];
    vars.into_iter().filter_map(|(name, value)| Some((ours_name(name), value?))).collect()
}

fn ours_name(name: &'static str) -> EnvName {
    EnvName::parse(name).expect("a name written in this file keeps to the rule")
}
