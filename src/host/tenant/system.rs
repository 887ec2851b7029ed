//! The system's own manager and logind, as root asks them about tenants: a place for a child among its
//! tenant's processes, states of managers.

use std::io;
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::{Connection, Variant};

use crate::host::cgroup;
use crate::host::interrupt::point;
use crate::host::systemd::proxy::LoginProxy;
use crate::host::systemd::{READ_LIMIT, SystemdError, WRITE_LIMIT, bounded, manager};
use crate::snapshot::Fact;

/// How long a child may take to arrive in its place.
const ARRIVES: Duration = Duration::from_secs(5);

/// The system bus.
#[derive(Debug, Clone)]
pub struct System {
    connection: Connection,
}

impl System {
    /// Connects to it.
    pub fn connect() -> Result<Self, SystemdError> {
        let connection = bounded("reach the system bus", READ_LIMIT, Builder::system().build())?;
        Ok(Self { connection })
    }

    /// Moves a process into a scope of its own among the processes of `uid`: their limits are its
    /// limits, and whatever it starts can be ended with it. systemd ends it after `longest`, also
    /// where we are gone by then.
    pub fn place(&self, scope: &str, pid: u32, uid: u32, longest: Duration) -> io::Result<()> {
        let what = format!("place a child among the processes of uid {uid}");
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        let properties = [
            ("PIDs", Variant::from(vec![pid])),
            ("Slice", Variant::from(format!("user-{uid}.slice"))),
            ("Description", Variant::from("fleet, on behalf of root")),
            ("CollectMode", Variant::from("inactive-or-failed")),
            ("RuntimeMaxUSec", Variant::from(micros)),
            ("TimeoutStopUSec", Variant::from(1_000_000_u64)),
        ];
        let start = || {
            bounded(&what, WRITE_LIMIT, async {
                manager(&self.connection).await?.start_transient_unit(scope, "fail", &properties, &[]).await
            })
        };
        let deadline = Instant::now() + ARRIVES;
        // Where the user's last session has just ended, its slice is about to go, and comes anew after that.
        while let Err(error) = start() {
            let goes = matches!(&error, SystemdError::Answered { name, .. } if name.ends_with(".TransactionIsDestructive"));
            if !goes || Instant::now() > deadline {
                return Err(io::Error::other(error));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // The answer comes before the move.
        let raw = i32::try_from(pid).unwrap_or(0);
        while cgroup::unit_of(&cgroup::of(raw)?) != scope {
            if Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "{what}: it did not arrive within {} s",
                    ARRIVES.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends all that is left in a scope; that nothing is left is fine.
    pub fn clear(&self, scope: &str) {
        // Where systemd is not there any more, its own limit of the scope ends it.
        let _ = bounded("end what a child left", READ_LIMIT, async {
            manager(&self.connection).await?.kill_unit(scope, "all", libc::SIGKILL).await
        });
    }

    /// Has the system's manager read its unit files again.
    pub fn reload(&self) -> Result<(), SystemdError> {
        point("reload");
        bounded("have the system's manager read its unit files again", WRITE_LIMIT, async {
            manager(&self.connection).await?.reload().await
        })?;
        point("reloaded");
        Ok(())
    }

    /// Has the kernel hold a tenant that runs already to what the files of its slice say now. systemd 257 reads
    /// them at a reload and yet passes nothing on before some property of the slice is set; all go with that one.
    pub fn hold(&self, uid: u32, tasks_max: i64) -> Result<(), SystemdError> {
        let slice = format!("user-{uid}.slice");
        let tasks = u64::try_from(tasks_max).unwrap_or(u64::MAX);
        bounded(&format!("set the limits of {slice}"), WRITE_LIMIT, async {
            let manager = manager(&self.connection).await?;
            if manager.list_units_by_patterns(&["active"], &[&slice]).await?.is_empty() {
                return Ok(());
            }
            manager.set_unit_properties(&slice, true, &[("TasksMax", Variant::from(tasks))]).await
        })
    }

    /// systemd's word for the manager of `uid`: `active`, `inactive`, `failed`.
    pub fn manager_of(&self, uid: u32) -> Fact<String> {
        let unit = format!("user@{uid}.service");
        let rows = bounded(&format!("look at {unit}"), READ_LIMIT, async {
            manager(&self.connection).await?.list_units_by_patterns(&[], &[&unit]).await
        });
        Fact::from(rows.map(|rows| rows.first().map_or_else(|| "inactive".to_owned(), |row| row.3.clone())))
    }

    /// Ends the sessions and the manager of `uid`, as logind does it; that it has none is fine.
    pub fn terminate(&self, uid: u32) -> Result<(), SystemdError> {
        let what = format!("end everything of uid {uid}");
        let ended = bounded(&what, WRITE_LIMIT, async {
            LoginProxy::new(&self.connection).await?.terminate_user(uid).await
        });
        match ended {
            Err(SystemdError::Answered { name, .. }) if name.ends_with(".NoSuchUser") => Ok(()),
            other => other,
        }
    }

    /// Stops the manager and the slice of `uid`, in case logind knows nothing of them.
    pub fn stop(&self, uid: u32) {
        for unit in [format!("user@{uid}.service"), format!("user-{uid}.slice")] {
            // That it is not loaded is what is wanted; whether anything is left is looked at afterwards.
            let _ = bounded(&format!("stop {unit}"), READ_LIMIT, async {
                manager(&self.connection).await?.stop_unit(&unit, "replace").await
            });
        }
    }

    /// Kills all that runs in the slice of `uid`.
    pub fn kill(&self, uid: u32) {
        self.clear(&format!("user-{uid}.slice"));
    }
}
