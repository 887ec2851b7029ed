//! What every verb starts from: who calls, which places are theirs, how to print.

use std::path::PathBuf;

use super::{Globals, Output};
use crate::error::{Error, Kind, Result};
use crate::host::users::{self, Caller};
use crate::layout::Layout;

/// What every verb starts from.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who calls.
    pub caller: Caller,
    /// The caller's places.
    pub layout: Layout,
    /// How to print.
    pub out: Output,
    /// The roster that the caller named, in place of the installed one.
    pub roster_file: Option<PathBuf>,
    /// How much to say: 0, 1 or 2.
    pub verbose: u8,
}

impl Context {
    /// Finds out who calls and refuses to work on another user's home through sudo.
    pub fn new(globals: &Globals, out: &Output) -> Result<Self> {
        let caller = users::caller()?;
        if let Some(owner) = users::foreign_home(&caller) {
            return Err(Error::new(
                Kind::Machine,
                format!(
                    "running as {} with the home of {owner}: files would end up with the wrong owner",
                    caller.name
                ),
            )
            .hint(format!("run it as that user: sudo -u {owner} -H fleet …")));
        }
        let mosaic = match &globals.mosaic_home {
            Some(dir) => Some(std::path::absolute(dir)?),
            None => None,
        };
        Ok(Self {
            layout: Layout::new(&caller.home, mosaic),
            caller,
            out: out.clone(),
            roster_file: globals.roster.clone(),
            verbose: globals.verbose,
        })
    }
}
