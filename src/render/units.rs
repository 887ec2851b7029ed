//! The units: the holder's, the agents' template, an agent's drop-in, the links that pull them in,
//! and which of them are wanted.

use minijinja::context;

use super::site::Places;
use super::templates::Template;
use super::{File, Link, RenderError, Role, Site, Unit};
use crate::names::{AGENT_TEMPLATE, HOLDER_UNIT};
use crate::roster::{Agent, Lifecycle, Roster, State, Transport};

/// What pulls units in at boot.
const BOOT: &str = "default.target";

/// The unit files.
pub fn files(roster: &Roster, site: &Site, places: &Places<'_>) -> Result<Vec<File>, RenderError> {
    let values = context! {
        mosaic => places.mosaic_in_unit.as_str(),
        program => places.program,
        tmux => places.tmux,
        socket => roster.socket.as_str(),
        holder_session => roster.holder_session.as_str(),
        on_tmux => on_tmux(roster),
    };
    let mut files = Vec::new();
    if on_tmux(roster) {
        let text = Template::Holder.render(values.clone())?;
        files.push(File::new(site.layout.holder_unit(), text, Role::HolderUnit));
    }
    let text = Template::Agent.render(values)?;
    files.push(File::new(site.layout.agent_template(), text, Role::AgentTemplate));
    // What is one agent's own stands in a file of its own: a change of it restarts that agent alone.
    for agent in roster.agents.iter().filter(|a| a.limits.in_unit() || ephemeral(a)) {
        let path = site.layout.agent_drop_in(&agent.name);
        files.push(File::new(path, drop_in(agent)?, Role::AgentDropIn(agent.name.clone())));
    }
    Ok(files)
}

/// How units are pulled in at boot and, the agents, by each start of the holder.
pub fn links(roster: &Roster, site: &Site) -> Vec<Link> {
    let link = |wanted_by: &str, unit: &str, file: &str| Link {
        path: site.layout.wants_link(wanted_by, unit),
        // Relative, so that the tree means the same wherever it is built.
        target: format!("../{file}").into(),
    };
    let mut links = Vec::new();
    if on_tmux(roster) {
        links.push(link(BOOT, HOLDER_UNIT, HOLDER_UNIT));
    }
    for unit in roster.agents.iter().filter(|a| a.enabled()).map(|a| a.name.unit()) {
        links.push(link(BOOT, &unit, AGENT_TEMPLATE));
        if on_tmux(roster) {
            links.push(link(HOLDER_UNIT, &unit, AGENT_TEMPLATE));
        }
    }
    links
}

/// What is wanted of each unit.
pub fn wanted(roster: &Roster) -> Vec<Unit> {
    let holder = on_tmux(roster).then(|| Unit {
        name: HOLDER_UNIT.to_owned(),
        agent: None,
        enabled: true,
        running: true,
    });
    let agents = roster.agents.iter().map(|agent| Unit {
        name: agent.name.unit(),
        agent: Some(agent.name.clone()),
        enabled: agent.enabled(),
        running: agent.state == State::Running,
    });
    holder.into_iter().chain(agents).collect()
}

fn on_tmux(roster: &Roster) -> bool {
    roster.transport == Transport::Tmux
}

fn ephemeral(agent: &Agent) -> bool {
    agent.lifecycle == Lifecycle::Ephemeral
}

fn drop_in(agent: &Agent) -> Result<String, RenderError> {
    let limits = &agent.limits;
    Template::DropIn.render(context! {
        agent => agent.name.as_str(),
        memory_high => limits.memory_high.as_deref(),
        memory_max => limits.memory_max.as_deref(),
        cpu_quota => limits.cpu_quota.as_deref(),
        tasks_max => limits.tasks_max,
        ephemeral => ephemeral(agent),
    })
}
