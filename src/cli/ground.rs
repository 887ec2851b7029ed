//! What plan and apply stand on: the roster as it should be on this machine, and what we installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Context;
use crate::error::{Error, Result};
use crate::host::logind::{self, Logind};
use crate::host::look::{self, Ask};
use crate::host::site::same;
use crate::host::systemd::{SystemdError, UserManager};
use crate::host::tmux::Server;
use crate::host::{clock, declared, runfiles};
use crate::layout::{Layout, MACHINE_UNITS, TMUX_FOLDER, tmux_socket};
use crate::ledger::{Identity, Ledger, LedgerError};
use crate::names::AgentName;
use crate::plan::{ConflictKind, Options, Plan, Server as Moves, Units, plan};
use crate::render::{Desired, File, baked, render};
use crate::roster::{Roster, Transport};
use crate::snapshot::{Fact, FileFacts, Snapshot};

/// No honest ledger is longer: ten thousand files need two of these.
const LONGEST_LEDGER: usize = 1024 * 1024;
/// No unit file of ours is longer.
const LONGEST_UNIT: usize = 64 * 1024;

/// A fleet as it should be on this machine, and what of it we installed.
#[derive(Debug)]
pub struct Ground {
    /// What should be there.
    pub desired: Desired,
    /// For whom, where and with what.
    pub identity: Identity,
    /// What we installed.
    pub ledger: Ledger,
    /// The fleet's tmux server.
    pub server: Server,
    /// Further paths to look at.
    pub also: Vec<PathBuf>,
    /// Where a declarative host holds what is rendered, where it does.
    pub declared: Option<PathBuf>,
}

impl Ground {
    /// Renders `roster` for this machine and reads the ledger. Changes nothing.
    pub fn of(context: &Context, roster: &Roster) -> Result<Self> {
        can_run(roster)?;
        let ledger = ledger(context)?;
        let mut site = context.site()?;
        // By whatever path it was called this time, units keep the one they have.
        if let Some(known) = ledger.as_ref().map(|l| &l.identity.program)
            && same(known, &site.program)
        {
            site.program.clone_from(known);
        }
        if context.layout.declared_at().is_some()
            && let Some(unit) = runfiles::follow_text(&context.layout.holder_unit(), LONGEST_UNIT)
            && let Some((program, tmux)) = baked(&unit)
        {
            (site.program, site.tmux) = (program, tmux);
        }
        let mut desired = render(roster, &site)?;
        for file in &mut desired.files {
            file.link = context.layout.declared_file(&file.path);
        }
        let identity = Identity {
            tenant: roster.tenant.clone(),
            host: site.host.clone(),
            socket: tmux_socket(Path::new(TMUX_FOLDER), context.caller.uid, &roster.socket),
            program: site.program.clone(),
        };
        let ledger = ledger.unwrap_or_else(|| Ledger::new(identity.clone()));
        let declared = context.layout.declared_at().map(Path::to_path_buf);
        let server = Server::new(site.tmux, &roster.socket);
        Ok(Self { desired, identity, ledger, server, also: Vec::new(), declared })
    }

    /// The same of the roster that stands in its file, for what may end agents by it: a list of which
    /// nothing is left, as of a file that was cut off, is no word to end them all.
    pub fn of_file(context: &Context, roster: &Roster) -> Result<Self> {
        let ground = Self::of(context, roster)?;
        let agents: Vec<AgentName> =
            ground.ledger.units.keys().filter_map(|unit| AgentName::from_unit(unit)).collect();
        if roster.agents_listed || agents.is_empty() {
            return Ok(ground);
        }
        let names = agents.iter().map(AgentName::as_str).collect::<Vec<_>>().join(", ");
        let file = context.roster_bytes()?.0;
        Err(Error::input(format!(
            "{}: it lists no agents, and {} of them are installed: {names}",
            file.display(),
            agents.len()
        ))
        .hint("to end them all, say so: agents: []")
        .hint("to keep them, list them below agents: again"))
    }

    /// Folders of ours: those that a file of ours makes below `$MOSAIC_HOME`, itself among them.
    pub fn folders(&self, layout: &Layout) -> BTreeSet<PathBuf> {
        let below = |path: &Path| path.starts_with(layout.mosaic()) && !layout.home().starts_with(path);
        let parents = self.desired.files.iter().filter_map(|file| file.path.parent());
        let run = layout.run();
        let all = parents.chain(std::iter::once(run.as_path())).flat_map(Path::ancestors);
        all.filter(|path| below(path)).map(Path::to_path_buf).collect()
    }

    /// Looks at the machine.
    pub fn look(&self, context: &Context, manager: Result<&UserManager, &SystemdError>) -> Snapshot {
        let mut files: BTreeSet<PathBuf> = self.ledger.files.keys().cloned().collect();
        files.extend(self.desired.files.iter().map(|f| f.path.clone()));
        files.extend(self.also.iter().cloned());
        files.extend(declared::dangling(&context.layout));
        let agents: Vec<AgentName> = self.desired.units.iter().filter_map(|u| u.agent.clone()).collect();
        let known = self.ledger.units.keys().filter_map(|unit| AgentName::from_unit(unit));
        let gone: Vec<AgentName> = known.filter(|agent| !agents.contains(agent)).collect();
        files.extend(gone.iter().map(|agent| context.layout.agent_local_env(agent)));
        let (layout, uid) = (&context.layout, context.caller.uid);
        let folders = self.folders(layout);
        let (agents, gone) = (&agents[..], &gone[..]);
        let ask = Ask { layout, uid, files: &files, agents, gone, folders: &folders, server: &self.server };
        look::for_plan(ask, manager)
    }

    /// What has to be done.
    pub fn plan(&self, seen: &Snapshot, options: Options) -> Plan {
        let moves = !self.ledger.units.is_empty() && self.ledger.identity.socket != self.identity.socket;
        let server = if moves { Moves::Moves } else { Moves::Stays };
        let units = if self.declared.is_some() { Units::Declared } else { Units::Ours };
        let mut plan = plan(&self.desired, seen, &self.ledger, &Options { server, units, ..options });
        let linked = |file: &&File| {
            matches!(seen.files.get(&file.path), Some(Fact::Known(FileFacts::Declared { .. })))
        };
        if let Some(unit) = self.desired.files.iter().filter(|f| f.role.is_unit()).find(linked)
            && self.declared.is_none()
        {
            plan.notes.push(format!(
                "{} is a link into a store: units and files are declared by a configuration, \
                 services.mosaic-fleet where it is home-manager's, and are changed there",
                unit.path.display()
            ));
        }
        if let Some(folder) = &self.declared {
            plan.notes.push(format!(
                "units, roster and files are declared by this machine's configuration, \
                 services.mosaic-fleet.tenants.{} where it is NixOS: they come from {} and {MACHINE_UNITS}, and are changed there",
                self.identity.tenant,
                folder.display()
            ));
        }
        for conflict in &mut plan.conflicts {
            if matches!(conflict.kind, ConflictKind::ForeignServer(_)) {
                // Where it was looked for, whatever the ledger says of the one that was.
                conflict.path.clone_from(&self.identity.socket);
            }
        }
        plan.keep_copies(&clock::timestamp().to_string());
        plan
    }

    /// Whether the ledger would be written by a plan that has no steps.
    pub fn books_change(&self, plan: &Plan) -> bool {
        plan.changes_books(&self.ledger) || self.ledger.identity != self.identity
    }
}

/// The ledger; `None` where nothing was installed yet. One that can't be read stops everything:
/// it decides what is ours.
pub fn ledger(context: &Context) -> Result<Option<Ledger>> {
    let path = context.layout.ledger();
    let refuse = |why: &dyn std::fmt::Display| {
        let shown = path.display();
        Error::input(format!("{shown}: {why}"))
            .hint("it says which files are ours, so nothing is changed while it can't be read")
            .hint(format!("put it right, or go on without it: mv {shown} {shown}.unreadable"))
            .hint("without it, files that are as they should be are taken over; the others are kept")
    };
    let text = match runfiles::read(&path, LONGEST_LEDGER) {
        Ok(None) => return Ok(None),
        Ok(Some(FileFacts::File { content, .. })) if content.len() > LONGEST_LEDGER => {
            return Err(refuse(&"it is too long to be a ledger"));
        }
        Ok(Some(FileFacts::File { content, .. })) => {
            String::from_utf8(content).map_err(|_| refuse(&"it is not text"))?
        }
        Ok(Some(FileFacts::Link(_) | FileFacts::Declared { .. })) => {
            return Err(refuse(&"a link stands in its place"));
        }
        Ok(Some(FileFacts::Other(what))) => return Err(refuse(&format!("{what} stands in its place"))),
        Err(error) => return Err(refuse(&error)),
    };
    Ledger::from_text(&text, &context.layout).map(Some).map_err(|error| match error {
        // It is whole: who can read it has to be asked.
        LedgerError::Newer { .. } => Error::input(format!("{}: {error}", path.display()))
            .hint("nothing was changed: run the newer fleet that wrote it, or install that version here"),
        error => refuse(&error),
    })
}

/// Refuses a roster whose agents no supervisor of this version could run.
pub fn can_run(roster: &Roster) -> Result<()> {
    if roster.transport == Transport::None {
        return Err(Error::input(
            "transport: none: the supervisor runs agents in tmux panes only, so nothing was done",
        )
        .hint("leave the key out, or write: transport: tmux"));
    }
    Ok(())
}

/// The user's manager, or why it can't be had.
pub fn manager(context: &Context) -> Result<UserManager, SystemdError> {
    UserManager::connect_for(context.caller.uid, context.layout.home())
}

/// How long a lingering user's manager may take to come up.
const MANAGER_COMES: Duration = Duration::from_secs(30);

/// Waits for the manager of a user who lingers: soon after a boot, or after an admin has turned
/// lingering on, it is only on its way. Where none comes, what follows says so.
pub fn await_manager(context: &Context) {
    let on_its_way =
        matches!(manager(context), Err(SystemdError::NoRuntimeDir { .. } | SystemdError::NoManager { .. }))
            && logind::linger(&context.caller.name) == Fact::Known(true);
    if on_its_way && let Ok(logind) = Logind::connect() {
        let _ = logind.wait_for_manager(context.caller.uid, MANAGER_COMES);
    }
}
