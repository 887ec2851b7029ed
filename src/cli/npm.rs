//! npm's global prefix: asked of npm once and kept, since npm takes long to say it and agents must
//! not wait for it at every start.

use std::path::Path;
use std::time::Duration;

use super::Context;
use crate::error::Result;
use crate::host::command::{Command, CommandError};
use crate::host::files;

/// npm can take seconds on a cold disk; nothing of ours waits longer.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks npm where nothing is kept yet.
pub fn ask_once(context: &Context) -> Result<()> {
    match context.layout.npm_prefix().exists() {
        true => Ok(()),
        false => refresh(context),
    }
}

/// Asks npm and keeps the answer. Without npm there is nothing to keep, which is no failure.
pub fn refresh(context: &Context) -> Result<()> {
    // Only asked: it is to leave no log behind and to look for no newer npm.
    let asked = Command::new("npm")
        .args(["config", "get", "prefix"])
        .env("npm_config_logs_max", "0")
        .env("npm_config_update_notifier", "false")
        .within(LIMIT)
        .text();
    let prefix = match asked {
        Ok(text) => text.trim().to_owned(),
        Err(CommandError::Missing { .. }) => return Ok(()),
        Err(error) => {
            context.out.warn(error);
            context
                .out
                .note("its programs are not on the agents' PATH; ask again: fleet apply --refresh-npm");
            return Ok(());
        }
    };
    if !Path::new(&prefix).is_absolute() {
        context
            .out
            .warn(format_args!("npm's global prefix is {prefix:?}, which is no folder's path: left out"));
        return Ok(());
    }
    let path = context.layout.npm_prefix();
    let text = format!("{prefix}\n");
    if std::fs::read_to_string(&path).is_ok_and(|kept| kept == text) {
        return Ok(());
    }
    Ok(files::replace(&path, text.as_bytes(), 0o600)?)
}
