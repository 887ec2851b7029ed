//! The system's own manager and logind, as root asks them about tenants: a place for a child among its
//! tenant's processes, states of managers.

use std::io;
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::{Connection, Variant};

use crate::host::cgroup;
use crate::host::systemd::{READ_LIMIT, SystemdError, WRITE_LIMIT, bounded, manager};

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
        bounded(&what, WRITE_LIMIT, async {
            manager(&self.connection).await?.start_transient_unit(scope, "fail", &properties, &[]).await
        })
        .map_err(io::Error::other)?;
        // The answer comes before the move.
        let raw = i32::try_from(pid).unwrap_or(0);
        let deadline = Instant::now() + ARRIVES;
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
}
