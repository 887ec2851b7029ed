//! Roster to files: what a tenant's home should hold, as data. Starts no program, writes nothing.

mod env;
mod error;
pub mod escape;
mod framework;
pub mod pane;
mod scripts;
mod site;
mod templates;
mod units;

use std::path::PathBuf;

use crate::layout::Layout;
use crate::names::{AgentName, HostName};
use crate::roster::Roster;

pub use error::RenderError;
pub use units::baked;

/// Everything that a roster means for one tenant. The roster's own file is not part of it: `init`
/// alone writes that.
pub fn render(roster: &Roster, site: &Site) -> Result<Desired, RenderError> {
    let places = site::Places::of(site)?;
    let mut files = units::files(roster, site, &places)?;
    files.extend(scripts::files(roster, site, &places)?);
    for agent in &roster.agents {
        files.push(env::file(agent, roster, site, &places)?);
    }
    files.extend(framework::files(site));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut links = units::links(roster, site);
    links.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Desired { files, links, units: units::wanted(roster) })
}

/// What a render needs to know of the place it renders for; plain facts, found by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The tenant's places.
    pub layout: Layout,
    /// The machine's name.
    pub host: HostName,
    /// The `fleet` program that units and scripts call, absolute.
    pub program: PathBuf,
    /// The tmux that units call, absolute.
    pub tmux: PathBuf,
}

/// Everything a roster means for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Files by absolute path, sorted by path.
    pub files: Vec<File>,
    /// Links by absolute path, sorted by path: how units are pulled in at boot and by the holder.
    pub links: Vec<Link>,
    /// The units, the holder's first, then the agents' in the roster's order.
    pub units: Vec<Unit>,
}

/// One file as it should stand.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Where, absolute.
    pub path: PathBuf,
    /// Permission bits, 0600 or 0700.
    pub mode: u32,
    /// Its bytes; UTF-8.
    pub content: String,
    /// What the file is for, which tells what a change of it asks for.
    pub role: Role,
    /// Where it leads, where it is a link to what a declarative host has rendered.
    pub link: Option<PathBuf>,
}

impl File {
    /// A file that its owner alone reads and writes; a script is run, too.
    pub fn new(path: PathBuf, content: String, role: Role) -> Self {
        let mode = if role == Role::Script { 0o700 } else { 0o600 };
        Self { path, mode, content, role, link: None }
    }
}

impl std::fmt::Debug for File {
    /// Leaves the content out: it may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "File({}, {:o}, {:?}, {} bytes)",
            self.path.display(),
            self.mode,
            self.role,
            self.content.len()
        )
    }
}

impl Role {
    /// Whether systemd reads the file.
    pub fn is_unit(&self) -> bool {
        matches!(self, Self::HolderUnit | Self::AgentTemplate | Self::AgentDropIn(_))
    }
}

/// What a file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The definition itself, written by `init` alone.
    Roster,
    /// The holder's unit: a change asks for a reload and, to take effect, for a restart of the
    /// holder, which is a tenant's outage.
    HolderUnit,
    /// The agents' template unit: a change asks for a reload and restarts of all agents.
    AgentTemplate,
    /// One agent's drop-in: a change asks for a reload and a restart of that agent.
    AgentDropIn(AgentName),
    /// One agent's variables: a change asks for a restart of that agent; values are never shown.
    AgentEnv(AgentName),
    /// The server's configuration: read when the holder starts.
    TmuxConf,
    /// A script entry point: read at each call.
    Script,
    /// What agents and operators receive to read: roles, profiles, notes.
    Framework,
}

/// One symbolic link as it should stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where, absolute.
    pub path: PathBuf,
    /// What it says, relative to its folder.
    pub target: PathBuf,
}

/// One unit and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its full name.
    pub name: String,
    /// The agent it runs; the holder's has none.
    pub agent: Option<AgentName>,
    /// Whether it is pulled in at boot.
    pub enabled: bool,
    /// Whether it is wanted running now.
    pub running: bool,
}
