//! The version of a tmux program, as it says itself. That of a server is among what a server tells.

use std::path::Path;

use super::super::command::{Command, CommandError};

/// What `tmux -V` says, without the program's name: `3.5a`.
pub fn installed(program: &Path) -> Result<String, CommandError> {
    let said = Command::new(program).arg("-V").text()?;
    let said = said.trim();
    Ok(said.strip_prefix("tmux ").unwrap_or(said).to_owned())
}
