//! `fleet completions SHELL`: completions of both programs.

use clap_complete::Shell;

use super::{Answer, Output, Program, command};
use crate::error::Result;

/// Arguments of `fleet completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Shell to complete for
    shell: Shell,
    /// Program to complete
    #[arg(long, value_name = "PROGRAM", value_parser = ["fleet", "mosaic"], default_value = "fleet")]
    program: String,
}

/// Prints the completions.
pub fn run(args: Args, out: &Output) -> Result<Answer> {
    let program = if args.program == "mosaic" { Program::Mosaic } else { Program::Fleet };
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(program), args.program, &mut text);
    out.raw(&text);
    Ok(Answer::Yes)
}
