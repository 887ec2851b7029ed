//! `fleet tenant remove`: ends all that a tenant runs, for good; with `--purge` removes user and home.

use std::time::Instant;

use super::add::set_state;
use super::end::{self, Reach};
use super::named;
use super::outcome::{Outcome, conclude};
use crate::cli::progress::Progress;
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::tenant::store;
use crate::host::tenant::system::System;
use crate::tenant::{State, place};

/// Arguments of `fleet tenant remove`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant
    name: String,
    /// Remove the user and its home, too, where fleet made them; its uid is never given again
    #[arg(long)]
    purge: bool,
    /// What was done, as JSON
    #[arg(long)]
    json: bool,
}

/// Removes one.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let name = named(&args.name)?;
    let began = Instant::now();
    let declared = store::declaration(&name).map_err(|error| {
        let file = place::declaration(&name);
        error.hint(format!(
            "or end it by what was done for it: rm {}; fleet tenant remove {name}",
            file.display()
        ))
    })?;
    if declared.is_none() && store::book(&name)?.is_none() {
        return Err(Error::input(format!("there is no tenant {name}")).hint("fleet tenant list"));
    }
    let mut outcome = Outcome::of(name.as_str());
    let reach = if args.purge { Reach::User } else { Reach::Processes };
    let system = System::connect()?;
    let progress = Progress::of([name.to_string()], &context.out);
    // Once nothing is refused, first what is wanted: a run that is cut off is not undone by the next apply.
    let agreed = || match declared.as_ref().filter(|declared| declared.state == State::Present) {
        Some(there) => set_state(there, State::Absent).map(drop),
        None => Ok(()),
    };
    let result = end::end(&name, declared.as_ref(), reach, agreed, &system, &mut outcome);
    drop(progress);
    outcome.end(result);
    outcome.seconds = began.elapsed().as_secs_f64();
    conclude(&[outcome], args.json, context)
}
