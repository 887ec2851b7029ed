//! `mosaic agent roster`: the agents as the roster defines them. Says nothing of what runs, and
//! never a variable's value.

use serde::Serialize;

use crate::cli::table::{Cell, Column, Table, Tone};
use crate::cli::{Answer, Context};
use crate::error::Result;
use crate::names::HostName;
use crate::roster::{Agent, Lifecycle, Limits, OnStale, Persona, Roster, State};

/// Arguments of `mosaic agent roster`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answered<'a> {
    schema_version: u32,
    tenant_id: &'a str,
    host: &'a str,
    agents: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    tenant_id: &'a str,
    host: &'a str,
    runtime: &'a str,
    class: Option<&'a str>,
    lifecycle: Lifecycle,
    lane: Option<&'a str>,
    state: State,
    model: Option<&'a str>,
    effort: Option<&'a str>,
    model_hint: Option<&'a str>,
    persistent_persona: Persona,
    reset_between_tasks: bool,
    working_directory: &'a str,
    kickstart_template: Option<&'a str>,
    /// Names alone: a value may be a secret.
    env: Vec<&'a str>,
    limits: &'a Limits,
    on_stale: OnStale,
}

/// Prints the roster's agents.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let host = context.host()?;
    if args.json {
        context.out.json(&answered(&roster, &host))?;
    } else if roster.agents.is_empty() {
        context.out.note("the roster has no agent");
    } else {
        for line in table(&roster).lines(context.out.width(), context.out.colour()) {
            context.out.line(line);
        }
    }
    Ok(Answer::Yes)
}

fn answered<'a>(roster: &'a Roster, host: &'a HostName) -> Answered<'a> {
    let (tenant_id, host) = (roster.tenant.as_str(), host.as_str());
    let row = |agent: &'a Agent| Row {
        name: agent.name.as_str(),
        tenant_id,
        host,
        runtime: agent.runtime.as_str(),
        class: agent.class.as_deref(),
        lifecycle: agent.lifecycle,
        lane: agent.lane.as_deref(),
        state: agent.state,
        model: agent.model.as_deref(),
        effort: agent.effort.as_deref(),
        model_hint: agent.model_hint.as_deref(),
        persistent_persona: agent.persistent_persona,
        reset_between_tasks: agent.reset_between_tasks,
        working_directory: &agent.working_directory,
        kickstart_template: agent.kickstart_template.as_deref(),
        env: agent.env.iter().map(|var| var.name.as_str()).collect(),
        limits: &agent.limits,
        on_stale: agent.on_stale,
    };
    Answered { schema_version: 1, tenant_id, host, agents: roster.agents.iter().map(row).collect() }
}

fn table(roster: &Roster) -> Table {
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([
        column("NAME", 0),
        column("RUNTIME", 0),
        column("CLASS", 1),
        column("STATE", 2),
        column("LIFECYCLE", 4),
        column("LANE", 3),
        column("MODEL", 3),
        column("EFFORT", 5),
        column("PERSONA", 6),
        column("DIRECTORY", 7),
    ]);
    for agent in &roster.agents {
        let text = |value: &Option<String>| Cell::from(value.as_deref().unwrap_or_default());
        table.row([
            Cell::from(&agent.name),
            Cell::from(&agent.runtime),
            text(&agent.class),
            match agent.state {
                State::Running => Cell::from(agent.state.as_str()),
                State::Stopped => Cell::toned(agent.state.as_str(), Tone::Faint),
            },
            Cell::from(agent.lifecycle.as_str()),
            text(&agent.lane),
            text(if agent.model.is_some() { &agent.model } else { &agent.model_hint }),
            text(&agent.effort),
            Cell::from(match (agent.persistent_persona, agent.reset_between_tasks) {
                (Persona::Yes, _) => "persistent",
                (Persona::Semi, _) => "semi",
                (Persona::No, true) => "reset",
                (Persona::No, false) => "",
            }),
            Cell::from(&agent.working_directory),
        ]);
    }
    table
}
