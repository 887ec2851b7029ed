//! The second stage: every default filled in. References are not followed yet, so what can still
//! turn out wrong keeps its place.

use std::path::PathBuf;

use super::builtin::{self, BUILT_IN};
use super::env::{self, Env};
use super::valid::{self, Agent, Lifecycle, OnStale, Persona, Runtime, State, Transport};
use super::written;
use crate::names::{
    AgentName, DEFAULT_HOLDER_SESSION, DEFAULT_SOCKET, NameError, RuntimeName, SessionName, SocketName,
    TenantId,
};
use crate::yaml::{At, Field, Log, Place, Problem};

/// Where an agent starts when nobody says.
pub const WORKING_DIRECTORY: &str = "~/src";
/// What stands before a draft of a runtime of which nobody says more.
const DRAFT_MARK: &str = "> ";

/// A roster with its defaults.
#[derive(Debug)]
pub struct Merged {
    /// Whose fleet it is; nobody's where that was refused.
    pub tenant: Option<TenantId>,
    /// How agents are reached.
    pub transport: Transport,
    /// `tmux -L` name.
    pub socket: SocketName,
    /// The holder's session, and where the roster names it.
    pub holder: (SessionName, Option<Place>),
    /// The built-in runtimes, then the roster's own.
    pub runtimes: Vec<MergedRuntime>,
    /// The agents.
    pub agents: Vec<MergedAgent>,
    /// Whether there is a list of them.
    pub agents_listed: bool,
}

/// A runtime with its defaults.
#[derive(Debug)]
pub struct MergedRuntime {
    /// What it will be.
    pub runtime: Runtime,
    /// Where the roster defines it; nowhere for a built-in one that it does not mention.
    pub place: Option<Place>,
    /// Whether it can be started without a command, or its command was refused already.
    pub startable: bool,
}

/// An agent with its defaults.
#[derive(Debug)]
pub struct MergedAgent {
    /// What it will be; it has a name of no meaning where its own was refused.
    pub agent: Agent,
    /// Where its name stands; nowhere where it has no good one.
    pub name_at: Option<Place>,
    /// Where its runtime is chosen; nowhere where nobody chose.
    pub runtime_at: Option<Place>,
    /// Where its template is named.
    pub template_at: Option<Place>,
}

/// Fills in what was not said. `user` is the owner's name, the default tenant.
pub fn merge(roster: written::Roster, user: &str, log: &mut Log) -> Result<Merged, NameError> {
    let tmux = roster.tmux.value();
    let (socket, holder) = tmux.map_or((None, None), |t| (t.socket_name.value(), t.holder_session.given()));
    let base = Base::new(roster.defaults.value())?;
    let runtimes = runtimes(roster.runtimes.value().map_or_else(Vec::new, |map| map.0))?;
    let agents_listed = matches!(roster.agents, Field::Given(_));
    let agents = roster.agents.value().map_or_else(Vec::new, |list| list.0);
    Ok(Merged {
        tenant: tenant(roster.tenant_id, user, log),
        transport: roster.transport.value().unwrap_or(Transport::Tmux),
        socket: socket.map_or_else(|| SocketName::parse(DEFAULT_SOCKET), Ok)?,
        holder: match holder {
            Some(at) => (at.value, Some(at.place)),
            None => (SessionName::parse(DEFAULT_HOLDER_SESSION)?, None),
        },
        agents: agents.into_iter().map(|at| base.agent(at.value, &runtimes)).collect::<Result<_, _>>()?,
        runtimes,
        agents_listed,
    })
}

fn tenant(said: Field<TenantId>, user: &str, log: &mut Log) -> Option<TenantId> {
    if !matches!(said, Field::Absent) {
        return said.value();
    }
    match TenantId::parse(user) {
        Ok(tenant) => Some(tenant),
        Err(_) => {
            log.add(
                Problem::new(Place::START, format_args!("the user's name {user:?} cannot be the tenant's"))
                    .expected(TenantId::RULE)
                    .note("name the tenant by `tenant_id`"),
            );
            None
        }
    }
}

fn runtimes(said: Vec<(At<RuntimeName>, At<written::Runtime>)>) -> Result<Vec<MergedRuntime>, NameError> {
    let mut runtimes = Vec::with_capacity(BUILT_IN.len());
    for built_in in BUILT_IN {
        let runtime = Runtime {
            name: RuntimeName::parse(built_in.name)?,
            command: None,
            reset_command: Some(built_in.reset_command.to_owned()),
            bin: None,
            env: Vec::new(),
            process_names: built_in.process_names.iter().map(|n| (*n).to_owned()).collect(),
            draft_mark: built_in.draft_mark.to_owned(),
        };
        runtimes.push(MergedRuntime { runtime, place: None, startable: true });
    }
    for (name, said) in said {
        let at = match runtimes.iter().position(|r| r.runtime.name == name.value) {
            Some(at) => at,
            None => {
                runtimes.push(own(name.value));
                runtimes.len() - 1
            }
        };
        if let Some(merged) = runtimes.get_mut(at) {
            merged.place = Some(name.place);
            merged.lay_over(said.value);
        }
    }
    Ok(runtimes)
}

fn own(name: RuntimeName) -> MergedRuntime {
    let runtime = Runtime {
        name,
        command: None,
        reset_command: None,
        bin: None,
        env: Vec::new(),
        process_names: Vec::new(),
        draft_mark: DRAFT_MARK.to_owned(),
    };
    MergedRuntime { runtime, place: None, startable: false }
}

impl MergedRuntime {
    fn lay_over(&mut self, said: written::Runtime) {
        self.startable |= !matches!(said.command, Field::Absent);
        let runtime = &mut self.runtime;
        runtime.command = said.command.value().map(|text| text.0);
        runtime.bin = said.bin.value().map(|place| PathBuf::from(place.0));
        runtime.env = said.env.value().unwrap_or_default().0;
        if let Some(reset) = said.reset_command.value() {
            runtime.reset_command = Some(reset.0);
        }
        if let Some(names) = said.process_names.value() {
            runtime.process_names = names.0.into_iter().map(|at| at.value.0).collect();
        }
        if let Some(mark) = said.draft_mark.value() {
            runtime.draft_mark = mark.0;
        }
    }
}

/// What holds for an agent that does not say otherwise.
struct Base {
    working_directory: String,
    runtime: (RuntimeName, Option<Place>),
    lifecycle: Lifecycle,
    limits: valid::Limits,
    env: Env,
}

impl Base {
    fn new(said: Option<written::Defaults>) -> Result<Self, NameError> {
        let mut base = Self {
            working_directory: WORKING_DIRECTORY.to_owned(),
            runtime: (RuntimeName::parse(builtin::DEFAULT)?, None),
            lifecycle: Lifecycle::Core,
            limits: valid::Limits::default(),
            env: Env::default(),
        };
        let Some(said) = said else { return Ok(base) };
        if let Some(place) = said.working_directory.value() {
            base.working_directory = place.0;
        }
        if let Some(at) = said.runtime.given() {
            base.runtime = (at.value, Some(at.place));
        }
        if let Some(lifecycle) = said.lifecycle.value() {
            base.lifecycle = lifecycle;
        }
        base.limits = limits(said.limits.value(), &valid::Limits::default());
        base.env = said.env.value().unwrap_or_default();
        Ok(base)
    }

    fn agent(&self, said: written::Agent, runtimes: &[MergedRuntime]) -> Result<MergedAgent, NameError> {
        let name_at = said.name.place();
        let (runtime, runtime_at) = match said.runtime.given() {
            Some(at) => (at.value, Some(at.place)),
            None => self.runtime.clone(),
        };
        let of_runtime = runtimes.iter().find(|r| r.runtime.name == runtime).map(|r| &r.runtime.env);
        let own = said.env.value().unwrap_or_default();
        let template = said.kickstart_template.given();
        Ok(MergedAgent {
            name_at,
            runtime_at,
            template_at: template.as_ref().map(|at| at.place),
            agent: Agent {
                name: said.name.value().map_or_else(|| AgentName::parse("_"), Ok)?,
                env: env::merge([&self.env.0, of_runtime.unwrap_or(&Vec::new()), &own.0]),
                runtime,
                class: said.class.value().map(|line| line.0),
                model_hint: said.model_hint.value().map(|line| line.0),
                model: said.model.value().map(|line| line.0),
                effort: said.effort.value().map(|line| line.0),
                persistent_persona: said.persistent_persona.value().unwrap_or(Persona::No),
                reset_between_tasks: said.reset_between_tasks.value().unwrap_or(false),
                working_directory: match said.working_directory.value() {
                    Some(place) => place.0,
                    None => self.working_directory.clone(),
                },
                command: said.command.value().map(|text| text.0),
                kickstart_template: template.map(|at| at.value.0),
                lifecycle: said.lifecycle.value().unwrap_or(self.lifecycle),
                lane: said.lane.value().map(|line| line.0),
                state: said.state.value().unwrap_or(State::Running),
                limits: limits(said.limits.value(), &self.limits),
                on_stale: said.on_stale.value().unwrap_or(OnStale::Flag),
            },
        })
    }
}

fn limits(said: Option<written::Limits>, base: &valid::Limits) -> valid::Limits {
    let Some(said) = said else { return base.clone() };
    let count = |n: i64| u64::try_from(n).ok();
    valid::Limits {
        memory_max: said.memory_max.value().map(|m| m.0).or_else(|| base.memory_max.clone()),
        memory_high: said.memory_high.value().map(|m| m.0).or_else(|| base.memory_high.clone()),
        cpu_quota: said.cpu_quota.value().map(|q| q.0).or_else(|| base.cpu_quota.clone()),
        tasks_max: said.tasks_max.value().and_then(|n| count(n.0)).or(base.tasks_max),
        nofile: said.nofile.value().and_then(|n| count(n.0)).or(base.nofile),
        nice: said.nice.value().and_then(|n| i32::try_from(n.0).ok()).or(base.nice),
        umask: said.umask.value().map(|u| u.0).or(base.umask),
        no_new_privs: said.no_new_privs.value().or(base.no_new_privs),
    }
}
