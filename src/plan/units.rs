//! Units: what is stopped, restarted and started, and which restarts stay pending.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::files::Changed;
use super::{
    Action, Conflict, ConflictKind, Conflicts, HolderRestart, Options, Pending, Plan, Reach, Reason,
    Resolution, Restarts, Server, Starting, Step, Units,
};
use crate::ledger::{Due, Ledger, Sha};
use crate::names::{AGENT_TEMPLATE, AgentName, HOLDER_UNIT};
use crate::render::{Desired, Role, Unit};
use crate::runfile::started::Started;
use crate::snapshot::{Fact, FileFacts, Snapshot, Tmux, UnitFacts, is_parked};

/// What the plan is made from.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// What should be.
    pub desired: &'a Desired,
    /// What is.
    pub seen: &'a Snapshot,
    /// What we installed.
    pub ledger: &'a Ledger,
    /// What the caller allows.
    pub options: &'a Options,
    /// Units and templates that systemd neither enables nor starts.
    pub masked: &'a BTreeSet<String>,
    /// Whether the units are files that a configuration declares: then systemd is not asked to enable
    /// or disable any of them, which would remove its links or pin what they lead to.
    pub declared: bool,
}

/// Whether a unit runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    Up { main_pid: i32 },
    Down(String),
    Unknown,
}

/// What the roster wants of an agent's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Always on.
    Running,
    /// Started per task by others: left as it is.
    PerTask,
    /// Never.
    Stopped,
}

impl Wanted {
    /// What the roster wants of this unit.
    pub fn of(unit: &Unit) -> Self {
        match (unit.running, unit.enabled) {
            (false, _) => Self::Stopped,
            (true, false) => Self::PerTask,
            (true, true) => Self::Running,
        }
    }
}

/// Whether the plan restarts the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Stays,
    Restarts,
}

/// Plans every job.
pub fn plan(changed: &Changed, given: &Given<'_>, plan: &mut Plan) {
    if let Some(why) = given.seen.units.why().filter(|_| given.jobs()) {
        plan.notes.push(format!("what runs could not be seen: {why}"));
    }
    given.removed(plan);
    given.foreign(plan);
    let holder = given.holder(changed, plan);
    for unit in &given.desired.units {
        if let Some(agent) = &unit.agent {
            given.agent(unit, agent, changed, holder, plan);
        }
    }
    given.strangers(plan);
}

impl Given<'_> {
    /// Units of agents that the roster no longer has.
    fn removed(&self, plan: &mut Plan) {
        // What may still be pulled in at boot is remembered until that can be seen, and ended.
        let forgotten = self.seen.wants.known().is_some() || self.options.units == Units::Declared;
        for unit in self.ledger.units.keys().filter(|u| self.wanted(u).is_none()) {
            if forgotten {
                plan.books.gone.push(unit.clone());
            }
            let impact = match AgentName::from_unit(unit) {
                Some(agent) => vec![agent],
                // The holder takes every agent along.
                None => self.running_agents(),
            };
            match self.run(unit) {
                Run::Down(state) if state.starts_with("failed") => self.reset_failed(unit, plan),
                Run::Down(_) => {}
                Run::Up { .. } => {
                    plan.push(Action::Stop { unit: unit.clone() }, Reason::NotInRoster, impact);
                    // A stop can end in failure, too.
                    self.reset_failed(unit, plan);
                }
                Run::Unknown => {
                    plan.push(Action::Stop { unit: unit.clone() }, Reason::RunUnknown, impact);
                }
            }
            if let Some(agent) = AgentName::from_unit(unit) {
                self.clear(agent, plan);
            }
        }
    }

    fn reset_failed(&self, unit: &str, plan: &mut Plan) {
        if self.jobs() {
            plan.push(Action::ResetFailed { unit: unit.to_owned() }, Reason::NotInRoster, Vec::new());
        }
    }

    /// What running left of an agent that the roster no longer has.
    fn clear(&self, agent: AgentName, plan: &mut Plan) {
        let local = format!("{agent}.local.env");
        if let Some(path) = self.seen.files.keys().find(|path| path.ends_with(&local)) {
            plan.notes.push(format!("{} is yours, so it stays", path.display()));
        }
        let paths = self.seen.left.get(&agent).cloned().unwrap_or_default();
        if !paths.is_empty() {
            plan.push(Action::Clear { agent, paths }, Reason::NotInRoster, Vec::new());
        }
    }

    /// Agents that run below our template and that neither the roster nor the ledger knows.
    fn strangers(&self, plan: &mut Plan) {
        let Some(units) = self.seen.units.known() else { return };
        for unit in units.keys() {
            let ours = self.wanted(unit).is_some() || self.ledger.units.contains_key(unit);
            let Some(agent) = AgentName::from_unit(unit).filter(|_| !ours) else { continue };
            if !matches!(self.run(unit), Run::Up { .. }) {
                continue;
            }
            if self.options.units == Units::Declared {
                // Only what this machine declares, or declared once, starts below its template.
                plan.push(Action::Stop { unit: unit.clone() }, Reason::NotInRoster, vec![agent]);
            } else {
                plan.notes.push(format!(
                    "{unit} runs, and neither roster nor ledger knows it: left alone; to end that: \
                     systemctl --user disable --now {unit}"
                ));
            }
        }
    }

    /// Another server on the fleet's socket, where the holder would have to start: it is never taken
    /// over or filled with our sessions, so nothing is started beside it.
    fn foreign(&self, plan: &mut Plan) {
        let starts = self.options.starting == Starting::Now && self.jobs();
        let Some(server) = self.foreign_server().filter(|_| starts) else { return };
        let place = self.ledger.identity.socket.clone();
        plan.conflicts.push(Conflict::kept(place, ConflictKind::ForeignServer(server)));
    }

    /// Whose server it is that listens where the holder's should.
    fn foreign_server(&self) -> Option<String> {
        let Fact::Known(Tmux::Running { pid, panes, .. }) = &self.seen.tmux else { return None };
        let holder = self.seen.units.known()?.get(HOLDER_UNIT);
        let main_pid = holder.and_then(|unit| unit.detail.as_ref()).map_or(0, |detail| detail.main_pid);
        if main_pid == *pid || (main_pid > 0 && holder.is_some_and(|unit| unit.active == "active")) {
            return None;
        }
        let unit = self.seen.processes.get(pid).map_or("", |process| process.unit.as_str());
        let unit = if unit.is_empty() { "an unknown unit" } else { unit };
        let sessions: BTreeSet<&str> = panes.iter().map(|pane| pane.session.as_str()).collect();
        let sessions: Vec<&str> = sessions.into_iter().collect();
        Some(format!("pid {pid}, of {unit}, with its sessions {}", sessions.join(", ")))
    }

    /// Whether the holder's unit is one that somebody else made, and stays that, or has a server that
    /// overwriting the file would not end.
    pub fn is_hand_made(&self, conflicts: &[Conflict]) -> bool {
        let Some(file) = self.desired.files.iter().find(|f| f.role == Role::HolderUnit) else { return false };
        let not_ours = |c: &&Conflict| {
            c.path == file.path && matches!(c.kind, ConflictKind::NotOurs | ConflictKind::Link(_))
        };
        let stays = |c: &Conflict| c.resolution == Resolution::Kept || self.foreign_server().is_some();
        self.jobs()
            && self.options.starting == Starting::Now
            && conflicts.iter().find(not_ours).is_some_and(stays)
    }

    /// The holder's file, and its restart, where the fleet moves to another server and the caller
    /// has not allowed that restart: agents on the new files would look for a server that is not
    /// there.
    pub fn holder_in_the_way(&self) -> Option<(PathBuf, Pending)> {
        let allowed = self.options.holder == HolderRestart::Restart && self.jobs();
        let moves = match self.run(HOLDER_UNIT) {
            Run::Down(_) => true,
            // The run that was to move it was cut off once it had.
            Run::Up { main_pid } if self.runs_as_desired(main_pid) => true,
            Run::Up { .. } => allowed && !self.can_not_start(HOLDER_UNIT),
            Run::Unknown => false,
        };
        if self.options.server == Server::Stays || moves {
            return None;
        }
        let impact = self.running_agents();
        let pending = Pending { unit: HOLDER_UNIT.to_owned(), reason: Reason::ServerMoves, impact };
        let file = self.desired.files.iter().find(|f| f.role == Role::HolderUnit)?;
        Some((file.path.clone(), pending))
    }

    fn holder(&self, changed: &Changed, plan: &mut Plan) -> Holder {
        if self.wanted(HOLDER_UNIT).is_none() {
            return Holder::Stays;
        }
        match self.run(HOLDER_UNIT) {
            Run::Up { main_pid } => {
                let due = match self.started(main_pid) {
                    Some(started) => self.holder_due(&started, &changed.holder, plan),
                    None => {
                        self.due(HOLDER_UNIT, main_pid, &changed.holder, &[], plan).map(|(reason, _)| reason)
                    }
                };
                let Some(reason) = due else { return Holder::Stays };
                let impact = self.running_agents();
                let allowed = self.options.holder == HolderRestart::Restart && self.jobs();
                if allowed && !self.can_not_start(HOLDER_UNIT) {
                    plan.push(Action::Restart { unit: HOLDER_UNIT.to_owned() }, reason, impact);
                    return Holder::Restarts;
                }
                plan.pending.push(Pending { unit: HOLDER_UNIT.to_owned(), reason, impact });
            }
            Run::Down(state) => self.start(HOLDER_UNIT, Reason::NotRunning(state), plan),
            Run::Unknown => {
                self.due(HOLDER_UNIT, 0, &changed.holder, &[], plan);
                self.start(HOLDER_UNIT, Reason::RunUnknown, plan);
            }
        }
        Holder::Stays
    }

    fn agent(&self, unit: &Unit, agent: &AgentName, changed: &Changed, holder: Holder, plan: &mut Plan) {
        let name = &unit.name;
        let due = |pid, plan: &mut Plan| self.due(name, pid, changed.own(agent), &changed.all_agents, plan);
        match (Wanted::of(unit), self.run(name)) {
            (Wanted::Stopped, Run::Up { .. }) => {
                if self.jobs() {
                    let action = Action::Stop { unit: name.clone() };
                    plan.push(action, Reason::StoppedInRoster, vec![agent.clone()]);
                }
            }
            (Wanted::Running | Wanted::PerTask, Run::Up { main_pid }) => {
                let impact = vec![agent.clone()];
                match due(main_pid, plan) {
                    None if holder == Holder::Stays => {}
                    None => plan.push(Action::Restart { unit: name.clone() }, Reason::HolderRestarts, impact),
                    Some((reason, shared)) => {
                        // Another version's template ends no conversation. A fleet that is taken over is to run
                        // under our units, and its owner was told what ends.
                        let held = shared && self.options.conflicts != Conflicts::TakeOver
                            || self.options.restarts == Restarts::Hold;
                        let now = !held || holder == Holder::Restarts;
                        if now && self.jobs() && !self.can_not_start(name) {
                            plan.push(Action::Restart { unit: name.clone() }, reason, impact);
                        } else {
                            plan.pending.push(Pending { unit: name.clone(), reason, impact });
                        }
                    }
                }
            }
            (Wanted::Running, run) => {
                if matches!(run, Run::Unknown) {
                    due(0, plan);
                }
                match (is_parked(self.seen.parked.get(agent), &self.seen.clock.boot_id), run) {
                    (Fact::Known(true), _) => plan.notes.push(format!(
                        "{agent} is parked: somebody stopped it in this boot; `fleet start {agent}` ends that"
                    )),
                    (Fact::Unknown(why), _) => {
                        plan.notes.push(format!("{agent} may be parked, so it is not started: {why}"))
                    }
                    (Fact::Known(false), Run::Down(state)) => {
                        self.start(name, Reason::NotRunning(state), plan)
                    }
                    (Fact::Known(false), Run::Unknown) => self.start(name, Reason::RunUnknown, plan),
                    (Fact::Known(false), Run::Up { .. }) => {}
                }
            }
            // Whether it runs with old files is remembered as open.
            (Wanted::PerTask, Run::Unknown) => drop(due(0, plan)),
            (Wanted::Stopped | Wanted::PerTask, Run::Down(_) | Run::Unknown) => {}
        }
    }

    fn start(&self, unit: &str, reason: Reason, plan: &mut Plan) {
        if self.options.starting == Starting::Now && self.jobs() && !self.can_not_start(unit) {
            if let Reason::NotRunning(state) = &reason
                && state.starts_with("failed")
            {
                // A limit of starts would refuse this one, too.
                let action = Action::ResetFailed { unit: unit.to_owned() };
                plan.push(action, Reason::GivenUp(state.clone()), Vec::new());
            }
            plan.push(Action::Start { unit: unit.to_owned() }, reason, Vec::new());
        }
    }

    /// What this run of the holder's server was started with, where that is known.
    fn started(&self, main_pid: i32) -> Option<Started> {
        let started = Started::parse(self.seen.holder.as_ref()?.known()?)?;
        (main_pid > 0 && started.pid == main_pid && started.boot_id == self.seen.clock.boot_id)
            .then_some(started)
    }

    /// Whether the holder runs as its unit should be.
    fn runs_as_desired(&self, main_pid: i32) -> bool {
        let unit = self.desired.files.iter().find(|f| f.role == Role::HolderUnit);
        let runs = self.started(main_pid).map(|started| started.unit);
        unit.is_some_and(|file| runs == Some(Sha::of(file.content.as_bytes()).to_string()))
    }

    /// Whether the holder has to be restarted, by what its server was started with and what it would
    /// be started with now; remembers that it is due.
    fn holder_due(&self, started: &Started, written: &[PathBuf], plan: &mut Plan) -> Option<Reason> {
        let others: Vec<PathBuf> = self
            .desired
            .files
            .iter()
            .filter_map(|file| {
                let runs_with = match file.role {
                    Role::TmuxConf => &started.conf,
                    Role::HolderUnit => &started.unit,
                    _ => return None,
                };
                let writes = |step: &Step| match &step.action {
                    Action::WriteFile { file: other, .. } => other.path == file.path,
                    _ => false,
                };
                // What is kept as a person left it is told as that, and a restart would not end it.
                if plan.kept().any(|conflict| conflict.path == file.path) {
                    return None;
                }
                let next = match self.seen.files.get(&file.path) {
                    _ if plan.steps.iter().any(writes) => Sha::of(file.content.as_bytes()),
                    Some(Fact::Known(
                        FileFacts::File { content, .. } | FileFacts::Declared { content, .. },
                    )) => Sha::of(content),
                    // What it would be started with is not known.
                    _ => return None,
                };
                (next.to_string() != *runs_with).then(|| file.path.clone())
            })
            .collect();
        if others.is_empty() {
            return None;
        }
        let due = Due { boot_id: started.boot_id.clone(), main_pid: started.pid, shared: false };
        plan.books.due.insert(HOLDER_UNIT.to_owned(), due);
        let written: Vec<PathBuf> = others.into_iter().filter(|path| written.contains(path)).collect();
        Some(if written.is_empty() { Reason::RunsWithOldFiles } else { Reason::OwnFilesChange(written) })
    }

    /// Whether a running unit has to be restarted, why, and whether only by what all agents share; remembers that
    /// it is due.
    fn due(
        &self,
        unit: &str,
        main_pid: i32,
        own: &[PathBuf],
        shared: &[PathBuf],
        plan: &mut Plan,
    ) -> Option<(Reason, bool)> {
        let boot_id = &self.seen.clock.boot_id;
        let before = self.ledger.restarts_due.get(unit).filter(|due| {
            due.boot_id == *boot_id && (main_pid == 0 || due.main_pid == 0 || due.main_pid == main_pid)
        });
        let files: Vec<PathBuf> = shared.iter().chain(own).cloned().collect();
        let reason = match before {
            _ if !files.is_empty() => Reason::OwnFilesChange(files),
            Some(_) => Reason::RunsWithOldFiles,
            None => return None,
        };
        let shared = own.is_empty() && before.is_none_or(|due| due.shared);
        let main_pid = if main_pid == 0 { before.map_or(0, |b| b.main_pid) } else { main_pid };
        plan.books.due.insert(unit.to_owned(), Due { boot_id: boot_id.clone(), main_pid, shared });
        Some((reason, shared))
    }

    /// Whether a unit, or its template, is masked.
    pub fn is_masked(&self, unit: &str) -> bool {
        let template = AgentName::from_unit(unit).is_some() && self.masked.contains(AGENT_TEMPLATE);
        template || self.masked.contains(unit)
    }

    /// Whether it could not start: one that is masked, and an agent is not started without its holder.
    fn can_not_start(&self, unit: &str) -> bool {
        self.is_masked(unit) || self.masked.contains(HOLDER_UNIT) || self.foreign_server().is_some()
    }

    /// Whether the caller wants more than files.
    fn jobs(&self) -> bool {
        self.options.reach == Reach::Everything
    }

    fn wanted(&self, unit: &str) -> Option<&Unit> {
        self.desired.units.iter().find(|u| u.name == unit)
    }

    fn running_agents(&self) -> Vec<AgentName> {
        let Some(units) = self.seen.units.known() else { return Vec::new() };
        let up = units.keys().filter(|unit| matches!(self.run(unit), Run::Up { .. }));
        up.filter_map(|unit| AgentName::from_unit(unit)).collect()
    }

    fn run(&self, unit: &str) -> Run {
        let units = match &self.seen.units {
            Fact::Known(units) => units,
            Fact::Unknown(_) => return Run::Unknown,
        };
        let Some(facts) = units.get(unit) else { return Run::Down("not running".to_owned()) };
        match facts.active.as_str() {
            "active" | "activating" | "reloading" => {
                Run::Up { main_pid: facts.detail.as_ref().map_or(0, |d| d.main_pid) }
            }
            "deactivating" => Run::Down("stopping".to_owned()),
            "failed" => Run::Down(failed(facts)),
            _ => Run::Down("not running".to_owned()),
        }
    }
}

fn failed(facts: &UnitFacts) -> String {
    match facts.detail.as_ref().filter(|d| !d.result.is_empty() && d.result != "success") {
        Some(detail) => format!("failed ({})", detail.result),
        None => "failed".to_owned(),
    }
}

impl Plan {
    /// Adds a step.
    pub(super) fn push(&mut self, action: Action, reason: Reason, impact: Vec<AgentName>) {
        self.steps.push(Step { action, reason, impact });
    }
}
