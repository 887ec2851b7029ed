//! `mosaic yolo`: launches a runtime the way the fleet does, and becomes it.

use std::ffi::OsString;

use clap::Parser;

use super::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::runtime::dogfood::{
    self,
    faults::{self, Armed, KINDS},
};
use crate::runtime::identity::identity;

/// Arguments of `mosaic yolo`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "mosaic yolo [--print] RUNTIME [ARGS]...")]
pub struct Args {
    /// Show the command in place of running it; stands before RUNTIME
    #[arg(long)]
    print: bool,
    /// The runtime, then arguments of its own, which it gets as they are
    #[arg(value_name = "RUNTIME [ARGS]...", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// A small runtime that is part of this program
#[derive(Debug, Parser)]
#[command(name = "mosaic yolo dogfood", disable_version_flag = true)]
struct Dogfood {
    /// Misbehave, at once or after some seconds; can be given several times
    #[arg(long, value_name = "KIND[:ARG][@SECONDS]", long_help = format!("Misbehave: {KINDS}"))]
    fault: Vec<Armed>,
}

/// Launches it.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let mut command = args.command.into_iter();
    let runtime = command.next().unwrap_or_default();
    if runtime != "dogfood" {
        return Err(Error::new(Kind::Usage, format!("{} is no runtime", runtime.display())));
    }
    run_dogfood(command.collect(), context)
}

fn run_dogfood(args: Vec<OsString>, context: &Context) -> Result<Answer> {
    let name = OsString::from("mosaic yolo dogfood");
    let mut faults = match Dogfood::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(parsed) => parsed.fault,
        Err(error) => error.exit(),
    };
    if let Ok(text) = std::env::var("MOSAIC_DOGFOOD_FAULT") {
        let more = faults::list(&text)
            .map_err(|e| Error::new(Kind::Usage, e).while_("read MOSAIC_DOGFOOD_FAULT"))?;
        faults.extend(more);
    }
    let me = identity(None, |name| std::env::var(name).ok()).map_err(|e| Error::new(Kind::Usage, e))?;
    let code = dogfood::run(&context.layout, me.as_ref(), faults)
        .map_err(|e| Error::machine(format!("run dogfood: {e}")))?;
    Ok(Answer::Code(code))
}
