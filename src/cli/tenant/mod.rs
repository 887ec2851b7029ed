//! `fleet tenant`: what root does for tenants, one user each; and what the child does that has become one.

mod add;
pub mod all;
mod apply;
mod decide;
mod end;
pub mod inside;
mod list;
pub mod live;
mod made;
mod outcome;
mod parallel;
mod prepare;
mod provision;
mod purge;
mod remove;
mod seen;
mod whom;

use super::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::names::TenantId;

/// The verbs about tenants.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Declare a tenant and bring it up: user, home, lingering, limits, fleet
    Add(add::Args),
    /// Bring all tenants, or those that are named, to what is declared
    Apply(apply::Args),
    /// Show every tenant in short, and users who run a fleet without being declared
    List(list::Args),
    /// Show everything about one tenant
    Show(list::ShowArgs),
    /// End all that a tenant runs, for good; with --purge remove its user and home
    Remove(remove::Args),
}

/// Runs one of them.
pub fn run(verb: Verb, context: &Context) -> Result<Answer> {
    seen::as_root(context)?;
    match verb {
        Verb::Add(args) => add::run(args, context),
        Verb::Apply(args) => apply::run(args, context),
        Verb::List(args) => list::run(args, context),
        Verb::Show(args) => list::show(args, context),
        Verb::Remove(args) => remove::run(args, context),
    }
}

/// A tenant's name as it is given on the command line.
fn named(text: &str) -> Result<TenantId> {
    TenantId::parse(text).map_err(|error| Error::new(Kind::Usage, error))
}
