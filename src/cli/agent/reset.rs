//! `mosaic agent reset`: a new conversation in an agent's slot, and its first prompt. Typed where
//! the runtime has a command and reacts to it; else its unit is restarted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::{reach, send};
use crate::apply;
use crate::cli::{Answer, Context, ground};
use crate::error::{Error, Kind, Result};
use crate::host::input;
use crate::host::systemd::{JobRequest, SystemdError};
use crate::message::{self, Desk, Message, Preamble, Reset, VERIFY, When, body};
use crate::roster::roles::{self, Subject};
use crate::roster::{Agent, Roster};
use crate::runfile::receipt::{Receipt, State};
use crate::transport::Transport;

/// No template of a first prompt is longer.
const LONGEST_TEMPLATE: usize = 256 << 10;

/// Arguments of `mosaic agent reset`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
    /// Type /clear, whatever the roster says
    #[arg(long, conflicts_with = "new")]
    clear: bool,
    /// Type /new, whatever the roster says
    #[arg(long)]
    new: bool,
    /// First prompt of the new conversation, in place of the roster's: a file or a role
    #[arg(long, value_name = "FILE|ROLE")]
    kickstart: Option<String>,
    /// How long the runtime's reaction is waited for, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = VERIFY.as_millis() as u64,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    verify_timeout: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answered<'a> {
    schema_version: u32,
    tenant_id: &'a str,
    host: &'a str,
    agent: &'a str,
    /// `accepted`, `submitted`, or `restarted`.
    reset: &'a str,
    /// Why it was restarted.
    reason: Option<&'a str>,
    kickstart: Option<&'a Receipt>,
}

/// Resets it.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let name = reach::named(&roster, &args.agent)?;
    let agent = roster.agent(&name).ok_or_else(|| Error::input("the roster changed"))?;
    let host = context.host()?;
    // Before anything is done: a reset agent without its first prompt is worse than an old one.
    let kickstart = args.kickstart.as_deref().or(agent.kickstart_template.as_deref());
    let kickstart = kickstart.map(|what| prompt(context, &roster, agent, what)).transpose()?;
    if let Some(Err(refusal)) = kickstart.as_ref().map(|text| body::check(text.as_bytes())) {
        return Err(Error::input(format_args!("the first prompt cannot be sent: {refusal}"))
            .hint(format_args!("nothing was done to {name}")));
    }
    let transport = send::transport(&roster);
    let desk = Desk {
        layout: &context.layout,
        roster: &roster,
        host: &host,
        transport: transport.as_ref().map(|t| t as &dyn Transport),
    };
    let verify = Duration::from_millis(args.verify_timeout);
    let own = roster.runtime(&agent.runtime).and_then(|r| r.reset_command.as_deref());
    let command = match (args.clear, args.new) {
        (true, _) => Some("/clear"),
        (_, true) => Some("/new"),
        _ => own,
    };
    let typed = match command {
        Some(command) => message::reset(&desk, agent, command, verify)?,
        None => Reset::NoReaction(format!("the runtime {} has no reset command", agent.runtime)),
    };
    let (word, reason) = match typed {
        Reset::Done(State::Accepted) => ("accepted", None),
        Reset::Done(_) => ("submitted", None),
        Reset::Refused(why) => {
            return Err(Error::no(format!("{name} is not reset: {why}"))
                .hint(format!("to end what it does all the same: fleet restart {name}")));
        }
        Reset::NoReaction(why) => {
            restart(context, agent, &why)?;
            ("restarted", Some(why))
        }
    };
    if !args.json {
        match &reason {
            None => context.out.line(format_args!("{name}: reset ({word})")),
            Some(why) => context.out.line(format_args!("{name}: restarted: {why}")),
        }
    }
    let receipt = match kickstart {
        None => None,
        Some(body) => {
            let first = Message {
                id: None,
                source: send::source(context, host.as_str()),
                body: body.into_bytes(),
                preamble: Preamble::Left,
                verify: Some(verify),
                when: When::Now,
            };
            Some(desk.send(agent, &first)?)
        }
    };
    if args.json {
        context.out.json(&Answered {
            schema_version: 1,
            tenant_id: roster.tenant.as_str(),
            host: host.as_str(),
            agent: name.as_str(),
            reset: word,
            reason: reason.as_deref(),
            kickstart: receipt.as_ref(),
        })?;
    }
    match &receipt {
        Some(receipt) if !receipt.state.is_delivered() => {
            context.out.error(&send::failure(receipt).while_("send the first prompt"));
            Ok(Answer::No)
        }
        Some(receipt) if !args.json => {
            context.out.line(format_args!("{name}: first prompt {}", receipt.state.word()));
            Ok(Answer::Yes)
        }
        _ => Ok(Answer::Yes),
    }
}

fn restart(context: &Context, agent: &Agent, why: &str) -> Result<()> {
    let asked =
        |error: SystemdError| Error::from(error).while_(format_args!("restart {} ({why})", agent.name));
    let manager = ground::manager(context).map_err(asked)?;
    let jobs = [JobRequest::restart(agent.name.unit())];
    let ends = apply::batch(&manager, &context.layout, &jobs, None, &mut |_| {}).map_err(asked)?;
    match ends.iter().find(|end| !end.is_good()) {
        None => Ok(()),
        Some(_) => Err(Error::no(format!("{} did not come up again ({why})", agent.name))
            .hint(format!("mosaic agent status {}", agent.name))),
    }
}

/// The first prompt of one agent: a role of the library, or a file with or without a role's head.
fn prompt(context: &Context, roster: &Roster, agent: &Agent, what: &str) -> Result<String> {
    let template = match roles::by_name(what) {
        Some(role) => role.persona,
        None => {
            let file = PathBuf::from(context.site()?.expand(what)?);
            let text = template(&file, what)?;
            match text.starts_with("---\n") {
                true => roles::read(&text, &file).map_err(Error::from)?.persona,
                false => text,
            }
        }
    };
    let host = context.host()?;
    let directory = context.site()?.expand(&agent.working_directory)?;
    let subject = Subject {
        name: agent.name.as_str(),
        tenant_id: roster.tenant.as_str(),
        host: host.as_str(),
        class: agent.class.as_deref().unwrap_or_default(),
        runtime: agent.runtime.as_str(),
        working_directory: &directory,
        lane: agent.lane.as_deref().unwrap_or_default(),
    };
    roles::prompt(&template, &subject)
        .map_err(|error| Error::input(format!("the first prompt {what}: {error:#}")))
}

fn template(file: &Path, what: &str) -> Result<String> {
    let refused = |why: String| {
        Error::new(Kind::Input, format!("the first prompt {what}: {why}"))
            .hint(format!("a file, or a role: {}", roles::NAMES.join(", ")))
    };
    match input::read(file, LONGEST_TEMPLATE) {
        Ok(Some(bytes)) if bytes.len() > LONGEST_TEMPLATE => Err(refused("it is too long".to_owned())),
        Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned())),
        Ok(None) => Err(refused("there is no such file and no such role".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}
