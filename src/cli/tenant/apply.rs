//! `fleet tenant apply`: brings tenants to what is declared, in parallel. One tenant's failure neither hides
//! nor blocks another.

use std::collections::BTreeMap;
use std::time::Instant;

use super::outcome::{Outcome, conclude};
use super::prepare::{self, Ready};
use super::{end, named, parallel};
use crate::cli::progress::Progress;
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::tenant::store;
use crate::host::tenant::system::System;
use crate::names::TenantId;
use crate::tenant::wire::Start;
use crate::tenant::{Declared, State, place};
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
    let (mut declared, others) = store::declarations()?;
    for other in others {
        context.out.warn(format_args!("{other} is no declaration: the name of one is TENANT.yaml"));
    }
    // Of all of them, whichever are named.
    let shared: Vec<Result<()>> =
        declared.iter().map(|(_, one)| one.as_ref().map_or(Ok(()), |one| own_user(one, &declared))).collect();
    for ((_, one), shared) in declared.iter_mut().zip(shared) {
        if let Err(error) = shared {
            *one = Err(error);
        }
    }
    let meant = if args.names.is_empty() { declared } else { of_names(&args.names, declared)? };
    let outcomes = all(meant, Start::Now, context)?;
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

/// Refuses a tenant whose user is another one's, too: each would undo what the other is.
pub fn own_user(declared: &Declared, all: &[store::Entry]) -> Result<()> {
    let shares = |(name, other): &&store::Entry| {
        *name != declared.name && other.as_ref().is_ok_and(|other| other.user == declared.user)
    };
    match all.iter().find(shares) {
        None => Ok(()),
        Some((other, _)) => {
            Err(Error::input(format!("its user {} is the tenant {other}'s, too", declared.user))
                .hint(format!("one of them can have it: {} or {}", show(&declared.name), show(other))))
        }
    }
}

fn show(name: &TenantId) -> String {
    place::declaration(name).display().to_string()
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
    /// Another run works on it: the others don't wait for that.
    Whole(Box<Declared>),
    End(Box<Declared>),
}

/// Carries all of them out.
pub fn all(entries: Vec<store::Entry>, start: Start, context: &Context) -> Result<Vec<Outcome>> {
    prepare::reachable()?;
    let system = System::connect()?;
    let progress = Progress::of(entries.iter().map(|(name, _)| name.to_string()), &context.out);
    let parts = parallel::each(entries, first, |_| {});
    if parts.iter().any(|part| matches!(&part.left, Left::Fleet(_, ready) if ready.reload_due)) {
        system.reload()?;
    }
    let work = |part| second(part, start, &system);
    Ok(parallel::each(parts, work, |outcome| progress.done(&outcome.tenant)))
}

/// What is the system's.
fn first((name, declared): store::Entry) -> Part {
    let began = Instant::now();
    let mut outcome = Outcome::of(name.as_str());
    let left = declared.and_then(|declared| begin(declared, &mut outcome));
    let left = left.unwrap_or_else(|error| {
        outcome.error = Some(error);
        Left::Nothing
    });
    Part { outcome, left, seconds: began.elapsed().as_secs_f64() }
}

fn begin(declared: Declared, out: &mut Outcome) -> Result<Left> {
    let declared = Box::new(declared);
    if declared.state == State::Absent {
        return Ok(Left::End(declared));
    }
    let Some(lock) = prepare::alone_now(&declared.name)? else { return Ok(Left::Whole(declared)) };
    let ready = prepare::system(&declared, lock, out)?;
    Ok(Left::Fleet(declared, Box::new(ready)))
}

/// Both, once the other run has ended.
fn whole(declared: &Declared, start: Start, system: &System, out: &mut Outcome) -> Result<()> {
    let ready = prepare::system(declared, prepare::alone(&declared.name)?, out)?;
    if ready.reload_due {
        system.reload()?;
    }
    prepare::tenant(declared, ready, start, system, out)
}

/// What is the tenant's.
fn second(part: Part, start: Start, system: &System) -> Outcome {
    let began = Instant::now();
    let Part { mut outcome, left, seconds } = part;
    let result = match left {
        Left::Nothing => Ok(()),
        Left::Whole(declared) => whole(&declared, start, system, &mut outcome),
        Left::Fleet(declared, ready) => prepare::tenant(&declared, *ready, start, system, &mut outcome),
        Left::End(declared) => {
            let reach = end::Reach::Processes;
            end::end(&declared.name, Some(&declared), reach, || Ok(()), system, &mut outcome)
        }
    };
    outcome.end(result);
    outcome.seconds = seconds + began.elapsed().as_secs_f64();
    outcome
}
