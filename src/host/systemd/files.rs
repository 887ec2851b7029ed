//! Unit files and their links: enable, disable, reload. Each is one call, whatever the number of units.

use std::path::PathBuf;
use std::time::Duration;

use super::connection::{UserManager, bounded, manager};
use super::error::SystemdError;
use super::proxy::ChangeRow;
use crate::host::interrupt::point;

/// How long a manager may take to write links or to read its files again.
pub const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// A link that systemd made or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkChange {
    /// systemd's word: `symlink` or `unlink`.
    pub kind: String,
    /// The link.
    pub link: PathBuf,
    /// What it points to; empty where it was removed.
    pub target: PathBuf,
}

/// What enabling did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enabled {
    /// Whether the units say at all by what they want to be pulled in; without, nothing was enabled.
    pub has_install: bool,
    /// The links made.
    pub changes: Vec<LinkChange>,
}

impl UserManager {
    /// Enables all `units` in one call; names of instances, not of templates.
    pub fn enable(&self, units: &[&str]) -> Result<Enabled, SystemdError> {
        let what = format!("enable {}", several(units));
        point("enable");
        let (has_install, rows) = bounded(&what, WRITE_LIMIT, async {
            manager(&self.connection).await?.enable_unit_files(units, false, false).await
        })?;
        point("enabled");
        Ok(Enabled { has_install, changes: rows.into_iter().map(change).collect() })
    }

    /// Removes the links of all `units` in one call.
    pub fn disable(&self, units: &[&str]) -> Result<Vec<LinkChange>, SystemdError> {
        let what = format!("disable {}", several(units));
        point("disable");
        let rows = bounded(&what, WRITE_LIMIT, async {
            manager(&self.connection).await?.disable_unit_files(units, false).await
        })?;
        point("disabled");
        Ok(rows.into_iter().map(change).collect())
    }

    /// Has the manager read its unit files again; returns when it has.
    pub fn reload(&self) -> Result<(), SystemdError> {
        point("reload");
        bounded("have the user manager read its unit files again", WRITE_LIMIT, async {
            manager(&self.connection).await?.reload().await
        })?;
        point("reloaded");
        Ok(())
    }
}

fn change((kind, link, target): ChangeRow) -> LinkChange {
    LinkChange { kind, link: link.into(), target: target.into() }
}

/// `a.service`, or `a.service and 3 more`.
fn several(units: &[&str]) -> String {
    match units {
        [] => "no unit".to_owned(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn all_units_are_enabled_by_one_call_for_good_and_without_force() {
        let (manager, fake) = Fake::manager(|turn| {
            let (files, runtime, force): (Vec<String>, bool, bool) = turn.args();
            assert_eq!((files.len(), runtime, force), (3, false, false));
            turn.reply(&(true, vec![("symlink", "/h/a.wants/b", "/h/b")]));
        });
        let enabled = manager.enable(&["a.service", "b.service", "c.service"]).expect("enabled");
        let change =
            LinkChange { kind: "symlink".to_owned(), link: "/h/a.wants/b".into(), target: "/h/b".into() };
        assert_eq!(enabled, Enabled { has_install: true, changes: vec![change] });
        drop(manager);
        assert_eq!(fake.calls(), ["EnableUnitFiles"]);
    }

    #[test]
    fn a_unit_file_that_is_not_there_is_named_when_enabling() {
        let (manager, _fake) = Fake::manager(|turn| {
            turn.refuse("org.freedesktop.DBus.Error.FileNotFound", "Unit file gone.service does not exist.");
        });
        let error = manager.enable(&["gone.service", "b.service"]).expect_err("there is none");
        let said = "enable gone.service and 1 more: Unit file gone.service does not exist.";
        assert_eq!(error.to_string(), said);
        assert_eq!(Error::from(error).kind, Kind::Machine);
    }

    #[test]
    fn a_refused_reload_says_what_the_manager_said() {
        let (manager, _fake) = Fake::manager(|turn| {
            turn.refuse("org.freedesktop.systemd1.ShuttingDown", "Refusing to reload, shutting down.");
        });
        let error = manager.reload().expect_err("refused");
        let SystemdError::Answered { name, message, .. } = error else { panic!("{error:?}") };
        assert_eq!(name, "org.freedesktop.systemd1.ShuttingDown");
        assert_eq!(message, "Refusing to reload, shutting down.");
    }

    #[test]
    fn a_call_that_is_not_allowed_is_told_apart_from_a_failure() {
        let (manager, _fake) = Fake::manager(|turn| {
            turn.refuse("org.freedesktop.DBus.Error.AccessDenied", "Permission denied");
        });
        let error = manager.disable(&["a.service"]).expect_err("denied");
        assert!(matches!(error, SystemdError::Denied { .. }), "{error:?}");
    }
}
