//! A small fleet for tests: what it should be, as `render` would say it.

use std::path::{Path, PathBuf};

use crate::layout::Layout;
use crate::ledger::{Identity, Ledger};
use crate::names::{AgentName, HOLDER_UNIT, HostName, TenantId};
use crate::render::{Desired, File, Link, Role, Unit};

/// The places of the tests' tenant.
pub fn layout() -> Layout {
    Layout::new("/home/u", None)
}

/// A checked agent's name.
pub fn agent(name: &str) -> AgentName {
    AgentName::parse(name).expect("a good name")
}

/// An empty ledger.
pub fn ledger() -> Ledger {
    Ledger::new(identity())
}

/// Whose ledger it is.
pub fn identity() -> Identity {
    Identity {
        tenant: TenantId::parse("u").expect("a tenant"),
        host: HostName::parse("box").expect("a host"),
        socket: "/tmp/tmux-1000/mosaic-factory".into(),
        program: "/usr/bin/fleet".into(),
    }
}

/// A fleet of these agents.
pub fn fleet(agents: &[&str]) -> Desired {
    let layout = layout();
    let file = |path: PathBuf, content: String, role| File { path, mode: 0o600, content, role, link: None };
    let mut files = vec![
        file(layout.holder_unit(), "holder unit".into(), Role::HolderUnit),
        file(layout.agent_template(), "template".into(), Role::AgentTemplate),
        file(layout.tmux_conf(), "tmux".into(), Role::TmuxConf),
        file(layout.start_script(), "script".into(), Role::Script),
    ];
    let link =
        |by: &str, unit: &str| Link { path: layout.wants_link(by, unit), target: Path::new("..").join(unit) };
    let mut links = vec![link("default.target", HOLDER_UNIT)];
    let mut units = vec![Unit { name: HOLDER_UNIT.into(), agent: None, enabled: true, running: true }];
    for name in agents.iter().map(|a| agent(a)) {
        let env = layout.agent_env(&name);
        files.push(file(env, format!("MOSAIC_AGENT_NAME={name}\n"), Role::AgentEnv(name.clone())));
        links.push(link("default.target", &name.unit()));
        links.push(link(HOLDER_UNIT, &name.unit()));
        units.push(Unit { name: name.unit(), agent: Some(name), enabled: true, running: true });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    links.sort_by(|a, b| a.path.cmp(&b.path));
    Desired { files, links, units }
}

/// Changes what stands in the one file of that role.
pub fn change(desired: &mut Desired, role: &Role) -> PathBuf {
    let file = desired.files.iter_mut().find(|f| f.role == *role).expect("such a file");
    file.content.push_str("# changed\n");
    file.path.clone()
}
