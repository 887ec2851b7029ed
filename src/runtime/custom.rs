//! A runtime that the roster defines: its shell line, with the arguments that were given behind it.

use std::ffi::OsString;

use super::{Launch, Request};

/// Its launch; `None` where the roster has no line for it.
///
/// The line is the roster's and goes to the shell byte for byte, as in a pane. Arguments never
/// become part of it: the shell gets them as its own.
pub fn launch(request: &Request<'_>) -> Option<Launch> {
    let line = request.settings?.command.as_deref()?;
    let script = if request.args.is_empty() { format!("exec {line}") } else { format!("exec {line} \"$@\"") };
    let mut argv: Vec<OsString> =
        vec!["/bin/sh".into(), "-c".into(), script.into(), request.runtime.as_str().into()];
    argv.extend(request.args.iter().cloned());
    Some(Launch { argv, env: Vec::new(), notes: Vec::new() })
}
