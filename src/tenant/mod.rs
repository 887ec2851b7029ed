//! Tenants as root sees them: what is declared, what was done for them, and what is said between root
//! and a child that has become a tenant.
//!
//! Pure: who they are is found out, and what is done to them is done, elsewhere.

pub mod books;
pub mod place;
pub mod schema;
pub mod valid;
mod values;
pub mod wire;
pub mod words;
mod written;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use valid::{Declared, Fleet, Limits, State};

use crate::names::TenantId;
use crate::yaml::{self, Log, Place, Problem, Problems, Read};

/// Reads a declaration. `name` is the tenant's, which the file is called after. What is wrong is told
/// all at once.
pub fn read(bytes: &[u8], file: &Path, name: &TenantId) -> Result<Declared, Problems> {
    let mut log = Log::default();
    let declared = read_into(bytes, name, &mut log);
    log.finish(file, declared)
}

fn read_into(bytes: &[u8], name: &TenantId, log: &mut Log) -> Option<Declared> {
    let node = match yaml::text(bytes).and_then(yaml::parse) {
        Ok(node) => node,
        Err(problem) => {
            log.add(problem);
            return None;
        }
    };
    // An empty file declares a tenant by its name alone.
    if !matches!(node.value, yaml::Value::Map(_) | yaml::Value::Null) {
        log.add(
            Problem::new(node.place, format_args!("a declaration cannot be {}", node.kind()))
                .expected("a mapping, a line `key: value` each"),
        );
        return None;
    }
    let written = written::Declaration::read(&node, "the declaration", log)?;
    valid::check(written, name, log, Place::START)
}
