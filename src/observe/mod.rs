//! What a snapshot means for people: rows, flags, checks. Pure: judges facts, asks nobody.

pub mod detail;
pub mod flag;
pub mod row;
mod rows;
pub mod status;
pub mod verify;

#[cfg(test)]
pub(crate) mod case;
#[cfg(test)]
mod installed_tests;
#[cfg(test)]
mod noted_tests;
#[cfg(test)]
mod rows_tests;

use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::names::HostName;
use crate::roster::Roster;
use crate::snapshot::{Fact, Snapshot};

pub use flag::Flag;
pub use row::{PaneState, Row};
pub use rows::{beside_the_holder, expected, judged, rows, says_enough};

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// What should be.
    pub roster: &'a Roster,
    /// The tenant's places.
    pub layout: &'a Layout,
    /// The machine.
    pub host: &'a HostName,
    /// What is.
    pub seen: &'a Snapshot,
    /// What we installed; nothing where nobody did.
    pub installed: &'a Fact<Option<Ledger>>,
}
