//! The child's side of root's verbs: becomes the tenant and answers with a verb of the tenant's own.
//!
//! Until it has become the tenant it reads nothing but its call.

use std::io::{Read, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::provision;
use crate::cli::ground::{self, Ground};
use crate::cli::{Answer, Context, Globals, Output, doctor, ps, status, verify};
use crate::error::{Error, Kind, Result};
use crate::host::tenant::drop;
use crate::plan::Options;
use crate::tenant::wire::{Call, ENTRY, LONGEST_CALL, Reply, Request, Told, VERSION};

/// Answers root's call, where this program was started for that; `None` where it was not.
pub fn entry() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != ENTRY {
        return None;
    }
    let reply = answer().unwrap_or_else(|error| of_error(&error));
    let written = serde_json::to_vec(&reply)
        .map_err(std::io::Error::from)
        .and_then(|bytes| std::io::stdout().lock().write_all(&bytes));
    Some(if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(4) })
}

fn answer() -> Result<Reply> {
    drop::close_inherited()?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(LONGEST_CALL as u64).read_to_end(&mut bytes)?;
    let call = Call::read(&bytes).map_err(|error| {
        Error::new(Kind::Usage, format!("{ENTRY} is called by root's fleet alone: {error}"))
    })?;
    drop::become_tenant(&call.who, call.parent)
        .map_err(|error| Error::machine(format!("become {}: {error}", call.who.name)))?;
    let out = Output::keeping();
    let globals = Globals { mosaic_home: None, roster: None, no_color: true, verbose: 0 };
    let done = Context::new(&globals, &out).and_then(|context| carry_out(call.request, &context));
    Ok(reply(done, &out))
}

fn carry_out(request: Request, context: &Context) -> Result<Answer> {
    match request {
        Request::Ps { probe } => ps::run(ps::Args::json(probe), context),
        Request::Facts => facts(context),
        Request::Verify => verify::run(verify::Args::json(), context),
        Request::Doctor => doctor::run(doctor::Args::json(), context),
        Request::Apply { roster, start } => provision::apply(roster, start, context),
        Request::Retire => provision::retire(context),
        Request::RemoveHome => provision::remove_home(context),
    }
}

/// The short state, with what an apply would do counted. A tenant without a roster has no fleet.
fn facts(context: &Context) -> Result<Answer> {
    let Some(roster) = context.roster_if_any()? else {
        context.out.json(&json!({ "fleet": false }))?;
        return Ok(Answer::Yes);
    };
    let inner = Context { out: Output::keeping(), ..context.clone() };
    let answer = status::run(status::Args::json(), &inner);
    let mut value: Value = serde_json::from_slice(&inner.out.kept().result).unwrap_or_default();
    let ground = Ground::of(context, &roster)?;
    let manager = ground::manager(context);
    let seen = ground.look(context, manager.as_ref());
    let plan = ground.plan(&seen, Options::default());
    value["fleet"] = json!(true);
    value["drift"] =
        json!(manager.is_ok().then(|| plan.steps.len() + plan.kept().count() + plan.pending.len()));
    context.out.json(&value)?;
    answer
}

fn reply(done: Result<Answer>, out: &Output) -> Reply {
    let kept = out.kept();
    let reply = match done {
        Ok(Answer::Yes) => Reply { version: VERSION, code: 0, value: None, said: Vec::new(), error: None },
        Ok(Answer::No) => Reply { version: VERSION, code: 1, value: None, said: Vec::new(), error: None },
        Ok(Answer::Code(code)) => {
            Reply { version: VERSION, code, value: None, said: Vec::new(), error: None }
        }
        Err(error) => of_error(&error),
    };
    Reply { value: serde_json::from_slice(&kept.result).ok(), said: kept.said, ..reply }
}

fn of_error(error: &Error) -> Reply {
    Reply {
        version: VERSION,
        code: u8::try_from(error.kind.code()).unwrap_or(4),
        value: None,
        said: Vec::new(),
        error: Some(Told { message: error.message.clone(), hints: error.hints.clone() }),
    }
}
