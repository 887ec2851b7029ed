//! The other side of root's verbs: a child that becomes the tenant and answers with a verb of the tenant's own, and
//! one that looks at a home's name and may hang there.
//!
//! Until the first has become the tenant it reads nothing but its call.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use super::{provision, purge};
use crate::cli::ground::{self, Ground};
use crate::cli::{Answer, Context, Globals, Output, crowded, doctor, ps, status, verify};
use crate::error::{Error, Kind, Result};
use crate::host::tenant::{drop, home};
use crate::plan::Options;
use crate::tenant::wire::{Call, ENTRY, GREETING, LONGEST_CALL, LOOK, Reply, Request, Told, VERSION};

/// Answers root's call, where this program was started for that; `None` where it was not.
pub fn entry() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let entry = words.next()?;
    if entry == LOOK {
        let home = words.next().map(PathBuf::from).unwrap_or_default();
        return Some(say(&home::seen(&home)));
    }
    (entry == ENTRY).then(|| {
        crowded::tell_by(|error| say(&of_error(error)));
        say(&answer().unwrap_or_else(|error| of_error(&error)))
    })
}

fn say(answer: &impl Serialize) -> ExitCode {
    let written = serde_json::to_vec(answer)
        .map_err(std::io::Error::from)
        .and_then(|bytes| std::io::stdout().lock().write_all(&bytes));
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(4) }
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
    if call.request == Request::End {
        // Before the home is looked at, which may hang.
        return Ok(reply(end(), &out));
    }
    enter(&call.who.home)?;
    let globals = Globals { mosaic_home: None, roster: None, no_color: true, verbose: 0 };
    let done = Context::new(&globals, &out).and_then(|context| carry_out(call.request, &context));
    Ok(reply(done, &out))
}

/// Looks into the home, where it may hang, and says that it did not. What is wrong with the home is for the verb
/// to say.
fn enter(home: &Path) -> Result<()> {
    let _ = std::fs::read_dir(home).map(|mut entries| entries.next());
    let _ = std::fs::symlink_metadata(home.join(".config/mosaic"));
    let mut out = std::io::stdout().lock();
    out.write_all(GREETING)?;
    Ok(out.flush()?)
}

fn end() -> Result<Answer> {
    drop::end_all().map(|()| Answer::Yes).map_err(Error::machine)
}

fn carry_out(request: Request, context: &Context) -> Result<Answer> {
    match request {
        Request::Ps { .. } | Request::Verify { .. } if !has_fleet(context)? => none(context),
        Request::Ps { probe } => ps::run(ps::Args::json(probe), context),
        Request::Facts => facts(context),
        Request::Verify { deep } => verify::run(verify::Args::json(deep), context),
        Request::Doctor => doctor::run(doctor::Args::json(), context),
        Request::Apply { roster, start } => provision::apply(roster, start, context),
        Request::Retire => provision::retire(context),
        Request::End => end(),
        Request::RemoveHome => purge::remove_home(context),
    }
}

/// Whether there is a fleet, or was one: where a roster is missing of what was installed, the verb itself says so.
fn has_fleet(context: &Context) -> Result<bool> {
    let installed = std::fs::symlink_metadata(context.layout.ledger()).is_ok();
    Ok(installed || context.roster_bytes_if_any()?.is_some())
}

/// The answer of a tenant that has not begun a fleet yet.
fn none(context: &Context) -> Result<Answer> {
    context
        .out
        .json(&json!({ "schema_version": 1, "fleet": false, "ok": true, "rows": [], "checks": [] }))?;
    Ok(Answer::Yes)
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
