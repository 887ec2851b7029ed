//! `mosaic agent attach`: the one verb by which a person types into an agent's terminal. Says so,
//! and leaves a record of who and when.

use std::path::Path;

use jiff::Timestamp;

use super::reach;
use super::watch::{ended, on_a_terminal};
use crate::cli::{Answer, Context};
use crate::error::Result;
use crate::host::tmux::client::Rights;
use crate::host::{clock, process, runfiles, terminal, viewer};
use crate::names::{AgentName, HostName};
use crate::roster::Roster;
use crate::runfile::attached::{Event, LONGEST, Line, VERSION, Who};

/// Arguments of `mosaic agent attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
}

/// Hands the terminal over until the person detaches or the agent ends.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let agent = reach::named(&roster, &args.agent)?;
    on_a_terminal("attach", &agent)?;
    let server = reach::server(&roster)?;
    let stage = reach::stage_for_a_viewer(context, &server, &agent)?;
    let key = server.prefix(&stage).unwrap_or_else(|_| "C-b".to_owned());
    context.out.note(format_args!(
        "attaching to {agent} ({}x{}): what you type reaches the agent; {key} d leaves, and it goes on",
        stage.columns, stage.rows
    ));
    if !stage.in_front
        && let Ok(front) = server.front(agent.as_str())
    {
        context.out.note(format_args!(
            "window {front} of its session is in front, left there by somebody: {key} w shows them all"
        ));
    }
    let host = context.host()?;
    let visit = Visit { context, roster: &roster, host: &host, agent: &agent, who: who(context) };
    visit.note(Event::Attached);
    let left = viewer::show(&server, agent.as_str(), Rights::Type);
    visit.note(Event::Detached);
    ended(context, &server, &agent, left)
}

struct Visit<'a> {
    context: &'a Context,
    roster: &'a Roster,
    host: &'a HostName,
    agent: &'a AgentName,
    who: Who,
}

impl Visit<'_> {
    /// Notes it. Whoever has to look after a machine whose disk is full is not kept from it.
    fn note(&self, event: Event) {
        let line = Line {
            schema_version: VERSION,
            event,
            id: format!("{}-{:.2}", self.who.pid, self.who.started),
            tenant_id: self.roster.tenant.to_string(),
            host: self.host.to_string(),
            agent: self.agent.to_string(),
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            who: self.who.clone(),
        };
        let path = self.context.layout.attached(self.agent);
        let folder = path.parent().unwrap_or(Path::new("."));
        let noted =
            runfiles::make_folder(folder).and_then(|()| runfiles::append(&path, &line.text(), LONGEST));
        if let Err(error) = noted {
            self.context.out.warn(format_args!("not noted in {}: {error}", path.display()));
        }
    }
}

fn who(context: &Context) -> Who {
    let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty() && v.len() < 256);
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    Who {
        user: context.caller.name.clone(),
        sudo_user: variable("SUDO_USER"),
        terminal: terminal::own_names().first().map(|name| name.to_string_lossy().into_owned()),
        from: variable("SSH_CONNECTION").and_then(|c| c.split_whitespace().next().map(str::to_owned)),
        pid,
        started: process::glance(pid).map_or(0.0, |seen| seen.process.started),
        boot_id: clock::boot_id(),
    }
}
