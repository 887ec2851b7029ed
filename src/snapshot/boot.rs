//! What a boot brought, beyond what runs: what the manager was told and what it said, whether the home
//! was there, which tmux is installed. Data only.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Fact;

/// The facts; of each it is known or said why not.
#[derive(Debug, Clone)]
pub struct BootFacts {
    /// What the boot's target pulls in, as the manager read it.
    pub wanted: Fact<BTreeSet<String>>,
    /// When the link was made by which the boot's target pulls in the holder, in seconds since 1970;
    /// `None` where there is none.
    pub linked: Option<f64>,
    /// The mount that holds the home, where that is not the machine's root.
    pub home_mount: Option<PathBuf>,
    /// What the manager said in this boot, oldest first.
    pub said: Fact<Vec<String>>,
    /// The version of the tmux program that the holder would start.
    pub tmux: Fact<String>,
}

impl Default for BootFacts {
    /// Nothing was looked at.
    fn default() -> Self {
        let not_asked = || "not looked at".to_owned();
        Self {
            wanted: Fact::Unknown(not_asked()),
            linked: None,
            home_mount: None,
            said: Fact::Unknown(not_asked()),
            tmux: Fact::Unknown(not_asked()),
        }
    }
}
