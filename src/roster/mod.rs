//! The roster: the one definition of a tenant's fleet, read in three typed stages.
//!
//! `written` is the file as it stands, `merged` has every default filled in, `valid` is what the
//! rest of the program works on: nothing after it checks a name, a reference or a limit again.
//! Pure: reads no file.

pub mod builtin;
mod check;
mod env;
mod merged;
pub mod profiles;
pub mod roles;
pub mod schema;
pub mod server;
mod sizes;
pub mod valid;
mod words;
mod written;

use std::path::Path;

pub use profiles::Profile;
pub use sizes::{Memory, Quota};
pub use valid::{
    Agent, EnvVar, Launch, Lifecycle, Limits, OnStale, Persona, Roster, Runtime, State, Transport,
};

use crate::yaml::{self, Log, Place, Problem, Problems, Read};

/// Reads a roster. `file` is what messages call it; `user` is the owner's name, which is the tenant
/// where the roster names none. What is wrong is told all at once.
pub fn read(text: &str, file: &Path, user: &str) -> Result<Roster, Problems> {
    let mut log = Log::default();
    let roster = read_into(text, user, &mut log);
    log.finish(file, roster)
}

/// As [`read`], from the bytes of a file.
pub fn read_bytes(bytes: &[u8], file: &Path, user: &str) -> Result<Roster, Problems> {
    match yaml::text(bytes) {
        Ok(text) => read(text, file, user),
        Err(problem) => Err(Problems::one(file, problem)),
    }
}

fn read_into(text: &str, user: &str, log: &mut Log) -> Option<Roster> {
    let node = match yaml::parse(text) {
        Ok(node) => node,
        Err(problem) => {
            log.add(problem);
            return None;
        }
    };
    if node.value == yaml::Value::Null {
        log.add(
            Problem::new(Place::START, "the roster is empty")
                .expected("at least `version: 1`")
                .note("`fleet init --profile minimal` shows a roster to begin with"),
        );
        return None;
    }
    if !matches!(node.value, yaml::Value::Map(_)) {
        // It is some other file, and what stands in that may be a secret.
        log.add(
            Problem::new(node.place, format_args!("the roster cannot be {}", node.kind()))
                .expected("a mapping, a line `key: value` each"),
        );
        return None;
    }
    read_node(&node, user, log)
}

/// As [`read`], from a mapping that is a part of another file.
pub fn read_node(node: &yaml::Node, user: &str, log: &mut Log) -> Option<Roster> {
    let written = written::Roster::read(node, "the roster", log)?;
    // What an unknown version means by its keys is not for this one to judge.
    written.version.place()?;
    let merged = match merged::merge(written, user, log) {
        Ok(merged) => merged,
        Err(error) => {
            log.add(Problem::new(Place::START, error));
            return None;
        }
    };
    check::check(merged, log)
}
#[cfg(test)]
mod tests;
