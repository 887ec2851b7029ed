//! What a boot brought, beyond what runs: what the manager was told and what it said, whether the home
//! was there, which tmux is installed, until when the account is good. Data only.

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
    /// Until when the user's account may be used: after that no boot starts its manager.
    pub account: Fact<Account>,
}

/// Until when an account may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What ends it first, if anything does.
    pub end: Option<AccountEnd>,
    /// The day of the look, `2026-11-29`.
    pub today: String,
}

/// What ends an account, each with its day where it has one. PAM then refuses all sessions, the user's manager's
/// among them (pam_unix(8), account).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEnd {
    /// It expires.
    Account(String),
    /// Its password does.
    Password(String),
    /// Its password has to be changed before anything else.
    PasswordChange,
}

impl Account {
    /// Whether that has come.
    pub fn has_ended(&self) -> bool {
        match &self.end {
            None => false,
            Some(AccountEnd::Account(day)) => self.today >= *day,
            // The last day is one on which it is good.
            Some(AccountEnd::Password(day)) => self.today > *day,
            Some(AccountEnd::PasswordChange) => true,
        }
    }
}

impl AccountEnd {
    /// In words, with "it" for the account.
    pub fn words(&self) -> String {
        match self {
            Self::Account(day) => format!("it expires on {day}"),
            Self::Password(day) => format!("its password expires on {day}"),
            Self::PasswordChange => "its password has to be changed".to_owned(),
        }
    }

    /// The command that takes the end away.
    pub fn cure(&self, user: &str) -> String {
        let option = match self {
            Self::Account(_) => "--expiredate -1",
            Self::Password(_) => "--maxdays -1",
            Self::PasswordChange => "--lastday -1",
        };
        format!("sudo chage {option} {user}")
    }
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
            account: Fact::Unknown(not_asked()),
        }
    }
}
