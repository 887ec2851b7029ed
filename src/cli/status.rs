//! `fleet status`: the short state, with what is wrong in a line each.

use super::observed::Observed;
use super::{Answer, Context};
use crate::error::Result;
use crate::host::clock;
use crate::host::gather::Depth;
use crate::observe::status::{self, Status};
use crate::transcript::plain;

/// Arguments of `fleet status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
}

impl Args {
    /// As JSON.
    pub fn json() -> Self {
        Self { json: true }
    }
}

/// Prints the state; answers no where something is wrong.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let observed = Observed::look(context, Depth::Rows, &[])?;
    let time = clock::rfc3339(observed.seen.clock.unix);
    let status = status::status(&observed.given(), &observed.rows(), time);
    if args.json {
        context.out.json(&status)?;
    } else {
        for line in lines(&status) {
            context.out.line(line);
        }
    }
    observed.could_look()?;
    Ok(if status.ok { Answer::Yes } else { Answer::No })
}

fn lines(status: &Status) -> Vec<String> {
    let agents = &status.agents;
    let parked = if agents.parked > 0 { format!(", {} parked", agents.parked) } else { String::new() };
    let mut lines = vec![
        format!("tenant  {} on {}", status.tenant_id, status.host),
        format!("agents  {} of {} healthy{parked}", agents.healthy, agents.total),
    ];
    if let Some(holder) = &status.holder {
        let pid = holder.pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
        lines.push(format!("holder  {}{pid}", holder.active.as_deref().unwrap_or("not known")));
    }
    lines.push(format!(
        "linger  {}",
        match status.linger {
            Some(true) => "on",
            Some(false) => "off",
            None => "not known",
        }
    ));
    for problem in &status.problems {
        let agent = problem.agent.as_ref().map_or_else(String::new, |agent| format!("{agent}: "));
        lines.push(plain(&format!("wrong   {agent}{}", problem.reason)));
    }
    lines
}
