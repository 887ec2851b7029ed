//! `mosaic agent status`: everything that is known of one agent, or each agent in short.

mod text;

use super::reach;
use crate::cli::observed::Observed;
use crate::cli::{Answer, Context, ps};
use crate::error::{Error, Result};
use crate::host::gather::Depth;
use crate::host::queue::Queue;
use crate::host::receipts::Receipts;
use crate::host::{cgroup, clock, journal, process, runfiles};
use crate::message::{self, Known};
use crate::names::AgentName;
use crate::observe::detail::{self, Detail, EnvironmentFile, Extra, SCHEMA_VERSION, Short, Usage};
use crate::observe::{Flag, Row};
use crate::runfile::attached::{self, Visit, Who};

/// Lines of the journal that are shown.
const JOURNAL_LINES: usize = 20;

/// Arguments of `mosaic agent status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent; all of the roster in short where none is named
    #[arg(value_name = "AGENT")]
    agent: Option<String>,
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
}

/// Prints what is known; answers no where something is wrong.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    sweep(context, args.agent.as_deref())?;
    let observed = Observed::look(context, Depth::Everything, &[])?;
    let rows = observed.rows();
    let ok = match &args.agent {
        Some(name) => {
            let agent = reach::named(&observed.roster, name)?;
            let detail = detail_of(context, &observed, &agent, rows)?;
            if args.json {
                context.out.json(&detail)?;
            } else {
                for line in text::lines(&detail) {
                    context.out.line(line);
                }
            }
            !detail.row.is_faulty()
        }
        None => {
            let agents: Vec<Row> = rows.into_iter().filter(|r| !r.flags.contains(&Flag::Unknown)).collect();
            if args.json {
                context.out.json(&Short {
                    schema_version: SCHEMA_VERSION,
                    tenant_id: &observed.roster.tenant,
                    host: &observed.host,
                    time: clock::rfc3339(observed.seen.clock.unix),
                    agents: &agents,
                })?;
            } else {
                ps::show(context, &agents);
            }
            !agents.iter().any(Row::is_faulty)
        }
    };
    observed.could_look()?;
    Ok(if ok { Answer::Yes } else { Answer::No })
}

/// What waited too long is shown as expired, what the runtime has said since as it says. What cannot be
/// swept is shown as it stands.
fn sweep(context: &Context, only: Option<&str>) -> Result<()> {
    let roster = context.roster()?;
    for agent in roster.agents.iter().filter(|a| only.is_none_or(|name| a.name.as_str() == name)) {
        let receipts = Receipts::of(&context.layout, &agent.name);
        let swept = Queue::of(&context.layout, &agent.name).sweep();
        if let Err(error) = swept.and_then(|()| message::bring_up_to_date(&receipts).map(drop)) {
            tracing::warn!("the queue of {}: {error}", agent.name);
        }
    }
    Ok(())
}

fn detail_of(context: &Context, observed: &Observed, name: &AgentName, rows: Vec<Row>) -> Result<Detail> {
    let lost = || Error::machine(format_args!("{name} has no row"));
    let row = rows.into_iter().find(|r| r.name == name.as_str()).ok_or_else(lost)?;
    let agent = observed.roster.agent(name).ok_or_else(lost)?;
    let receipts = Receipts::of(&context.layout, name);
    let known = message::bring_up_to_date(&receipts).unwrap_or_else(|_| Known {
        // As it was written, where nothing more can be entered.
        latest: receipts.summary().and_then(|s| s.latest),
        open: Vec::new(),
    });
    let extra = Extra {
        usage: usage(observed, name, &row),
        queued: receipts.summary().map(|s| s.waiting),
        receipt: known.latest,
        open_receipts: known.open,
        visits: visits(context, name),
        journal: journal::last_dated_lines(&name.unit(), JOURNAL_LINES),
        environment_files: [context.layout.agent_env(name), context.layout.agent_local_env(name)]
            .map(|path| EnvironmentFile {
                exists: path.symlink_metadata().is_ok(),
                path: path.display().to_string(),
            })
            .to_vec(),
    };
    Ok(detail::detail(&observed.given(), agent, row, extra, clock::rfc3339))
}

/// Of the control group that systemd has for the unit, else of that of its runtime.
fn usage(observed: &Observed, name: &AgentName, row: &Row) -> Usage {
    let units = observed.seen.units.known();
    let told = units.and_then(|u| u.get(&name.unit())?.detail.as_ref()).map(|d| d.cgroup.clone());
    let own = || {
        let path = cgroup::of(row.pane.pid?).ok()?;
        (cgroup::unit_of(&path) == name.unit()).then(|| cgroup::of_unit(&path).to_owned())
    };
    let Some(path) = told.filter(|path| !path.is_empty()).or_else(own) else { return Usage::default() };
    let used = cgroup::used(&path);
    Usage {
        memory_bytes: used.memory,
        memory_peak_bytes: used.memory_peak,
        cpu_seconds: used.cpu,
        tasks: used.tasks,
        tasks_refused: used.tasks_refused,
    }
}

/// Who attached. A pid alone proves nothing: it may be somebody else's by now.
fn visits(context: &Context, name: &AgentName) -> Vec<Visit> {
    let text = runfiles::read_text(&context.layout.attached(name), attached::LONGEST).unwrap_or_default();
    let boot = clock::boot_id();
    attached::visits(&text, |who: &Who| {
        let same = |seen: process::Seen| (seen.process.started - who.started).abs() < 0.05;
        who.boot_id == boot && process::glance(who.pid).is_some_and(same)
    })
}
