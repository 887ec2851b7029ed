//! `fleet ps`: one row an agent, joined from systemd, tmux, processes and heartbeats.

mod view;
pub mod watch;

use std::time::Duration;

use super::observed::{Observed, explain};
use super::probe::Probe;
use super::tenant::{all, live};
use super::{Answer, Context};
use crate::error::Result;
use crate::host::clock;
use crate::host::gather::Depth;
use crate::names::AgentName;
use crate::observe::row::{Report, SCHEMA_VERSION};
use crate::observe::{PaneState, Row};
use view::{is_unknown, table};
pub use view::{size, span};
pub use watch::is_of_interest;

/// Arguments of `fleet ps`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
    /// Ask every runtime for a heartbeat first, and wait for it up to 3 s
    #[arg(long)]
    probe: bool,
    /// The fleets of all tenants of this machine; only root may
    #[arg(long)]
    all_tenants: bool,
    /// Look again and again; on a terminal in place, elsewhere one table or one line of JSON a look
    #[arg(long, conflicts_with = "probe")]
    watch: bool,
    /// Seconds between two looks of --watch; a start or an end of one tenant's agent is shown at once
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = interval, requires = "watch")]
    interval: f64,
}

/// A time between two looks that makes sense.
fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| (0.2..=3600.0).contains(s));
    seconds.ok_or_else(|| "not a number of seconds between 0.2 and 3600".to_owned())
}

impl Args {
    /// As JSON, of one tenant.
    pub fn json(probe: bool) -> Self {
        Self { json: true, probe, all_tenants: false, watch: false, interval: 2.0 }
    }
}

/// Prints the rows; says no only where it could not look.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let every = args.watch.then(|| Duration::from_secs_f64(args.interval));
    match (args.all_tenants, every) {
        (true, Some(every)) => return live::watch(context, args.json, every),
        (true, None) => return all::ps(context, args.probe, args.json),
        (false, Some(every)) => return watch::run(context, args.json, every),
        (false, None) => {}
    }
    let probe = args.probe.then(|| Probe::begin(context)).transpose()?;
    let mut observed = Observed::look(context, Depth::Rows, &[])?;
    let mut rows = observed.rows();
    if let Some(probe) = probe {
        let silent = probe.silent(&alive(&rows), observed.is_partly_blind())?;
        observed = observed.look_again(context, Depth::Rows)?;
        rows = observed.rows();
        for row in &mut rows {
            let why = silent.iter().find(|(agent, _)| agent.as_str() == row.name).map(|(_, why)| why);
            row.reasons.extend(why.map(|why| format!("probe: {why}")));
        }
    }
    if args.json {
        context.out.json(&report(&observed, &rows))?;
    } else {
        show(context, &rows);
    }
    let answer = observed.could_look().map(|()| Answer::Yes);
    // The program ends now: to free some ten thousand small pieces first takes longer than judging them did.
    std::mem::forget((observed, rows));
    answer
}

/// Prints rows for people.
pub fn show(context: &Context, rows: &[Row]) {
    context.out.lines(&table(rows).lines(context.out.width(), context.out.colour()));
    explain(&context.out, rows, context.verbose);
    if rows.is_empty() {
        context.out.note("the roster has no agent");
    }
}

/// All that JSON says.
fn report<'a>(observed: &'a Observed, rows: &'a [Row]) -> Report<'a> {
    Report {
        schema_version: SCHEMA_VERSION,
        tenant_id: &observed.roster.tenant,
        host: &observed.host,
        time: clock::rfc3339(observed.seen.clock.unix),
        rows,
    }
}

/// The agents that can be asked.
fn alive(rows: &[Row]) -> Vec<AgentName> {
    let runs = |row: &&Row| !is_unknown(row) && row.pane.state != PaneState::Dead;
    rows.iter().filter(runs).filter_map(|row| AgentName::parse(&row.name).ok()).collect()
}
