//! The few parts of systemd's and logind's D-Bus interfaces that we use, as typed proxies.
//!
//! Calls that go out in batches are built in `exchange`; these are the single ones.

use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// systemd's well-known name on a bus.
pub(in crate::host) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The manager's object.
pub(in crate::host) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// The manager's interface.
pub(in crate::host) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// What every unit has.
pub(in crate::host) const UNIT: &str = "org.freedesktop.systemd1.Unit";
/// What only services have.
pub(in crate::host) const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// D-Bus' own interface of properties.
pub(in crate::host) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// One row of ListUnitsByPatterns: name, description, load, active, sub, followed unit, object, and
/// id, type and object of its queued job.
pub(in crate::host) type UnitRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);
/// One row of ListJobs: id, unit, type, state, and the objects of job and unit.
pub(in crate::host) type JobRow = (u32, String, String, String, OwnedObjectPath, OwnedObjectPath);
/// One change of unit files: `symlink` or `unlink`, the link, what it points to.
pub(in crate::host) type ChangeRow = (String, String, String);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub(in crate::host) trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn list_units_by_patterns(&self, states: &[&str], patterns: &[&str]) -> zbus::Result<Vec<UnitRow>>;
    fn list_jobs(&self) -> zbus::Result<Vec<JobRow>>;
    fn cancel_job(&self, id: u32) -> zbus::Result<()>;
    fn enable_unit_files(
        &self,
        files: &[&str],
        runtime: bool,
        force: bool,
    ) -> zbus::Result<(bool, Vec<ChangeRow>)>;
    fn disable_unit_files(&self, files: &[&str], runtime: bool) -> zbus::Result<Vec<ChangeRow>>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_transient_unit(
        &self,
        name: &str,
        mode: &str,
        properties: &[(&str, Variant<'_>)],
        aux: &[(&str, &[(&str, Variant<'_>)])],
    ) -> zbus::Result<OwnedObjectPath>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;
    fn set_unit_properties(
        &self,
        name: &str,
        runtime: bool,
        properties: &[(&str, Variant<'_>)],
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: ObjectPath<'_>, unit: &str, result: &str);
}

#[zbus::proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
pub(in crate::host) trait Login {
    fn set_user_linger(&self, uid: u32, linger: bool, interactive: bool) -> zbus::Result<()>;
    fn terminate_user(&self, uid: u32) -> zbus::Result<()>;
}
