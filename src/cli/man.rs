//! `fleet man`: the man pages, made from the command line's own definition.

use std::path::PathBuf;

use super::context::own_path;
use super::{Answer, Context, Program, command};
use crate::error::{Error, Result};

/// Arguments of `fleet man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write every page below this folder in place of printing fleet(1)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints fleet(1), or writes every page.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    if let Some(dir) = args.out {
        own_path(&context.caller, &dir)?;
        std::fs::create_dir_all(&dir).map_err(|e| Error::machine(format!("make {}: {e}", dir.display())))?;
        for program in [Program::Fleet, Program::Mosaic] {
            clap_mangen::generate_to(command(program), &dir)
                .map_err(|e| Error::machine(format!("write man pages below {}: {e}", dir.display())))?;
        }
        return Ok(Answer::Yes);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command(Program::Fleet)).render(&mut page)?;
    context.out.raw(&page);
    Ok(Answer::Yes)
}
