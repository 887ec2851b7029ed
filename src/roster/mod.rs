//! The roster: the one definition of a tenant's fleet, read in three typed stages.
//!
//! `written` is the file as it stands, `merged` has every default filled in, `valid` is what the
//! rest of the program works on: nothing after it checks a name, a reference or a limit again.

pub mod valid;

pub use valid::{
    Agent, EnvVar, Launch, Lifecycle, Limits, OnStale, Persona, Roster, Runtime, State, Transport,
};
