//! `fleet tenant apply`: brings tenants to what is declared, in parallel. One tenant's failure neither hides
//! nor blocks another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::outcome::{Outcome, conclude};
use super::prepare::{self, Ready};
use super::{end, named, parallel};
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::tenant::store;
use crate::host::tenant::system::System;
use crate::names::TenantId;
use crate::tenant::wire::Start;
use crate::tenant::{Declared, State};
use crate::yaml::nearest;

/// Arguments of `fleet tenant apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tenants; all that are declared where none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// What became of each, as JSON
    #[arg(long)]
    json: bool,
}

/// Applies them.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let (declared, others) = store::declarations()?;
    for other in others {
        context.out.warn(format_args!("{other} is no declaration: the name of one is TENANT.yaml"));
    }
    let meant = if args.names.is_empty() { declared } else { of_names(&args.names, declared)? };
    let outcomes = all(unique(meant), Start::Now, context)?;
    conclude(&outcomes, args.json, context)
}

/// The declarations of these names.
fn of_names(names: &[String], declared: Vec<store::Entry>) -> Result<Vec<store::Entry>> {
    let mut meant: BTreeMap<TenantId, Result<Declared>> = BTreeMap::new();
    let all: Vec<String> = declared.iter().map(|(name, _)| name.to_string()).collect();
    let mut declared: BTreeMap<_, _> = declared.into_iter().collect();
    for text in names {
        let name = named(text)?;
        if meant.contains_key(&name) {
            continue;
        }
        let Some(found) = declared.remove(&name) else {
            let error = Error::input(format!("there is no declaration of {name}"));
            return Err(match nearest(text, all.iter().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!("fleet tenant add {name}")),
            });
        };
        meant.insert(name, found);
    }
    Ok(meant.into_iter().collect())
}

/// Refuses tenants that share a user: each would undo what the other is.
fn unique(mut entries: Vec<store::Entry>) -> Vec<store::Entry> {
    let mut users: BTreeMap<String, Vec<TenantId>> = BTreeMap::new();
    for (name, declared) in &entries {
        if let Ok(declared) = declared {
            users.entry(declared.user.to_string()).or_default().push(name.clone());
        }
    }
    for (name, declared) in &mut entries {
        let Ok(given) = declared else { continue };
        let user = given.user.to_string();
        let other = users.get(&user).into_iter().flatten().find(|other| *other != name);
        if let Some(other) = other {
            *declared = Err(Error::input(format!("its user {user} is the tenant {other}'s, too")));
        }
    }
    entries
}

/// One tenant, half way.
struct Part {
    outcome: Outcome,
    left: Left,
    seconds: f64,
}

/// What is left to be done for a tenant.
enum Left {
    Nothing,
    Fleet(Box<Declared>, Box<Ready>),
    End(Box<Declared>),
}

/// Carries all of them out.
pub fn all(entries: Vec<store::Entry>, start: Start, context: &Context) -> Result<Vec<Outcome>> {
    prepare::reachable()?;
    let system = System::connect()?;
    let parts = parallel::each(entries, first, |_| {});
    if parts.iter().any(|part| matches!(&part.left, Left::Fleet(_, ready) if ready.reload_due)) {
        system.reload()?;
    }
    let (done, count) = (AtomicUsize::new(0), parts.len());
    let tell = |outcome: &Outcome| {
        context.out.progress(done.fetch_add(1, Ordering::Relaxed) + 1, count, &outcome.tenant);
    };
    Ok(parallel::each(parts, |part| second(part, start, &system), tell))
}

/// What is the system's.
fn first((name, declared): store::Entry) -> Part {
    let began = Instant::now();
    let mut outcome = Outcome::of(name.as_str());
    let left = match declared {
        Err(error) => Err(error),
        Ok(declared) if declared.state == State::Absent => Ok(Left::End(Box::new(declared))),
        Ok(declared) => prepare::system(&declared, &mut outcome)
            .map(|ready| Left::Fleet(Box::new(declared), Box::new(ready))),
    };
    let left = left.unwrap_or_else(|error| {
        outcome.error = Some(error);
        Left::Nothing
    });
    Part { outcome, left, seconds: began.elapsed().as_secs_f64() }
}

/// What is the tenant's.
fn second(part: Part, start: Start, system: &System) -> Outcome {
    let began = Instant::now();
    let Part { mut outcome, left, seconds } = part;
    let result = match left {
        Left::Nothing => Ok(()),
        Left::Fleet(declared, ready) => prepare::tenant(&declared, *ready, start, system, &mut outcome),
        Left::End(declared) => {
            end::end(&declared.name, Some(&declared), end::Reach::Processes, system, &mut outcome)
        }
    };
    outcome.end(result);
    outcome.seconds = seconds + began.elapsed().as_secs_f64();
    outcome
}
