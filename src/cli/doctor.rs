//! `fleet doctor`: what of the machine is missing or known to be bad, with the cure. Changes nothing,
//! and needs no roster.

use serde_json::json;

use super::table::{Cell, Column, Table, Tone};
use super::tenant::all;
use super::{Answer, Context};
use crate::doctor::{Check, Level, Needs, Wanted, diagnose};
use crate::error::{Error, Result};
use crate::host::doctor::{Ask, gather};
use crate::names::{DEFAULT_SOCKET, SocketName};
use crate::roster::{Launch, Roster};
use crate::runtime::Kind;

/// Arguments of `fleet doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// For all tenants of this machine; only root may
    #[arg(long)]
    all_tenants: bool,
}

impl Args {
    /// As JSON, for one tenant.
    pub fn json() -> Self {
        Self { json: true, all_tenants: false }
    }
}

/// Looks, judges and tells.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    if args.all_tenants {
        return all::doctor(context, args.json);
    }
    let (roster, of_roster) = match context.roster_if_any() {
        Ok(Some(roster)) => (Some(roster), None),
        Ok(None) => (None, None),
        Err(error) => (None, Some(unreadable(&error))),
    };
    let facts = gather(&ask(context, roster.as_ref())?);
    let needs = roster.as_ref().map(Needs::of);
    let mut checks: Vec<Check> = of_roster.into_iter().collect();
    checks.extend(diagnose(&facts, needs.as_ref()));
    let ok = checks.iter().all(|c| c.level != Level::Bad);
    let tenant = roster.as_ref().map_or(context.caller.name.as_str(), |r| r.tenant.as_str());
    if args.json {
        context.out.json(&json!({
            "schema_version": 1,
            "tenant_id": tenant,
            "host": context.host()?,
            "ok": ok,
            "checks": checks,
        }))?;
    } else {
        print(&checks, context);
        if roster.is_none() {
            context.out.note(
                "without a roster these were left out: runtimes and node, control group controllers, inotify, tasks, \
                 pids, memory",
            );
        }
    }
    if checks.iter().all(|c| c.level == Level::Unknown) {
        return Err(Error::machine("nothing could be looked at"));
    }
    Ok(if ok { Answer::Yes } else { Answer::No })
}

fn ask(context: &Context, roster: Option<&Roster>) -> Result<Ask> {
    let default = || SocketName::parse(DEFAULT_SOCKET).map_err(Error::machine);
    let mut runtimes: Vec<Wanted> = Vec::new();
    for agent in roster.into_iter().flat_map(|r| &r.agents) {
        let Some(Launch::Yolo(name)) = roster.map(|r| r.launch(agent)) else { continue };
        let inside = matches!(Kind::of(name), Kind::Dogfood | Kind::Custom);
        if inside || runtimes.iter().any(|known| known.name == *name) {
            continue;
        }
        let package = Kind::of(name).package();
        runtimes.push(Wanted {
            name: name.clone(),
            bin: roster.and_then(|r| r.runtime(name)).and_then(|r| r.bin.clone()),
            package: package.map(|p| p.name),
            script: package.and_then(|p| p.script),
        });
    }
    Ok(Ask {
        layout: context.layout.clone(),
        caller: context.caller.clone(),
        socket: roster.map_or_else(default, |r| Ok(r.socket.clone()))?,
        runtimes,
    })
}

fn unreadable(error: &Error) -> Check {
    let cure = error.hints.first().cloned().unwrap_or_else(|| "put it right, then: fleet plan".to_owned());
    Check::bad("roster", error.message.clone(), "a roster that can be read, or none", cure)
}

fn print(checks: &[Check], context: &Context) {
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([column("CHECK", 0), column("STATE", 0), column("SEEN", 0)]);
    for check in checks {
        let (word, tone) = match check.level {
            Level::Ok => ("ok", Tone::Good),
            Level::Warn => ("warn", Tone::Warn),
            Level::Bad => ("BAD", Tone::Bad),
            Level::Unknown => ("unknown", Tone::Faint),
        };
        table.row([Cell::from(&check.id), Cell::toned(word, tone), Cell::from(&check.seen)]);
    }
    let out = &context.out;
    for line in table.lines(out.width(), out.colour()) {
        out.line(line);
    }
    for check in checks.iter().filter(|c| matches!(c.level, Level::Bad | Level::Warn)) {
        out.line("");
        out.line(format_args!("{}: {}", check.id, check.seen));
        out.line(format_args!("  expected: {}", check.expected));
        if let Some(cure) = &check.cure {
            out.line(format_args!("  cure:     {cure}"));
        }
    }
}
