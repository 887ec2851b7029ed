//! How far an apply goes: flags that `plan` takes as well, so that one shows what the other does.

use crate::plan::{Conflicts, HolderRestart, Options, Reach, Restarts};

/// The flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Write files and stop before systemd
    #[arg(long)]
    files_only: bool,
    /// Leave running agents alone: a restart that is due stays pending
    #[arg(long)]
    no_restart: bool,
    /// Restart the holder where its files changed, which ends every pane
    #[arg(long, conflicts_with_all = ["files_only", "no_restart"])]
    restart_holder: bool,
    /// Overwrite files that were edited by hand or that are not ours
    #[arg(long)]
    force: bool,
    /// Take over a fleet that was made by hand: its files, and its sessions one by one
    #[arg(long, conflicts_with_all = ["files_only", "no_restart", "restart_holder", "force"])]
    pub adopt: bool,
}

impl Flags {
    /// What they allow. To take over a fleet is more than one plan, and not among it.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        if self.files_only {
            options.reach = Reach::FilesOnly;
        }
        if self.no_restart {
            options.restarts = Restarts::Hold;
        }
        if self.restart_holder {
            options.holder = HolderRestart::Restart;
        }
        if self.force {
            options.conflicts = Conflicts::Overwrite;
        }
        options
    }
}
