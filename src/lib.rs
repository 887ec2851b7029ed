//! Mosaic Fleet: one roster file becomes a durable, isolated, observable fleet of always-on
//! terminal agents. `docs/architecture.md` has the bird's view, the code map and the invariants.

pub mod adopt;
pub mod apply;
pub mod cli;
pub mod doctor;
pub mod envfile;
pub mod error;
pub mod host;
pub mod layout;
pub mod ledger;
pub mod lint;
pub mod message;
pub mod names;
pub mod observe;
pub mod plan;
pub mod render;
pub mod roster;
pub mod runfile;
pub mod runtime;
pub mod session;
pub mod snapshot;
pub mod tenant;
pub mod transcript;
pub mod transport;
pub mod yaml;
