//! The units: the holder's, the agents' template, an agent's drop-in, the links that pull them in,
//! and which of them are wanted.

use std::path::PathBuf;

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

/// The programs that a rendered holder unit calls, fleet's and tmux: a declarative host chose them when it
/// rendered the unit. None where a unit says it in words that are not plain.
pub fn baked(holder: &str) -> Option<(PathBuf, PathBuf)> {
    let program = |key: &str| {
        let line = holder.lines().find_map(|line| line.strip_prefix(key))?;
        let word = line.split_whitespace().next()?;
        let plain = word.starts_with('/') && !word.contains(['"', '%', '$']);
        plain.then(|| PathBuf::from(word))
    };
    Some((program("ExecStartPre=")?, program("ExecStart=")?))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout::Layout;
    use crate::names::HostName;
    use crate::roster::{self, Profile};

    #[test]
    fn the_programs_of_a_holder_unit_are_read_back_from_its_text() {
        let site = Site {
            layout: Layout::new("/home/u", None),
            host: HostName::parse("h").expect("a name"),
            program: "/nix/store/abc-mosaic-fleet/bin/fleet".into(),
            tmux: "/nix/store/def-tmux/bin/tmux".into(),
        };
        let text = Profile::Minimal.roster_text();
        let roster = roster::read_bytes(text.as_bytes(), Path::new("r.yaml"), "u").expect("a roster");
        let places = Places::of(&site).expect("good places");
        let files = files(&roster, &site, &places).expect("rendered");
        let holder = files.iter().find(|f| f.role == Role::HolderUnit).expect("there is one");
        assert_eq!(baked(&holder.content), Some((site.program.clone(), site.tmux.clone())));
        assert_eq!(baked("ExecStart=tmux\n"), None);
    }
}
