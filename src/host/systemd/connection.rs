//! The way to a user's manager: found by uid, never by environment, and bounded in time.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, OwnedObjectPath};
use zruntime::SharedRuntime;
use zruntime::net::unix::UnixStream;

use super::error::SystemdError;
use super::private;
use super::proxy::{MANAGER, MANAGER_PATH, ManagerProxy, SYSTEMD};
use crate::host::logind::linger;
use crate::host::users::{home_of, name_of, runtime_dir};
use crate::snapshot::Fact;

/// How long a manager may take to answer a question.
pub const READ_LIMIT: Duration = Duration::from_secs(2);

/// What every service answers by itself.
pub(super) const PING: &str = "Ping";

/// By which way a manager is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The user's message bus.
    Bus,
    /// The manager's own socket, where there is no bus.
    Private,
}

/// A user's service manager.
///
/// Every method blocks until it has its answer or its time is up; none may be called from inside a
/// callback of another.
pub struct UserManager {
    pub(super) connection: Connection,
    pub(super) limit: Duration,
    hears: AtomicBool,
    /// Where the units are that the manager told of; the place of a unit never changes.
    pub(super) places: Mutex<HashMap<String, OwnedObjectPath>>,
}

impl fmt::Debug for UserManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserManager").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl UserManager {
    /// Connects to the manager of `uid`, the caller itself: over the user's bus, or over the manager's
    /// own socket where no bus listens.
    ///
    /// Another user's is refused even to root, who would follow a path that this user controls.
    pub fn connect(uid: u32) -> Result<Self, SystemdError> {
        Self::own(uid)?;
        Self::connect_in(&runtime_dir(uid), uid)
    }

    /// Connects to the manager of `uid`, where that manager reads units below `home`: with another
    /// HOME, units would be written in one place and looked for in another.
    pub fn connect_for(uid: u32, home: &Path) -> Result<Self, SystemdError> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        match home_of(uid).filter(|theirs| real(theirs) != real(home)) {
            Some(theirs) => {
                Err(SystemdError::OtherHome { user: name_of(uid), home: home.to_path_buf(), theirs })
            }
            None => Self::connect(uid),
        }
    }

    /// Connects by one route only.
    pub fn connect_by(uid: u32, route: Route) -> Result<Self, SystemdError> {
        Self::own(uid)?;
        Self::connect_below(&runtime_dir(uid), uid, route)
    }

    fn own(uid: u32) -> Result<(), SystemdError> {
        let caller = users::get_effective_uid();
        if caller == uid {
            return Ok(());
        }
        let seen = format!("it is not {}'s own", name_of(caller));
        Err(SystemdError::Refused { user: name_of(uid), seen })
    }

    fn connect_in(folder: &Path, uid: u32) -> Result<Self, SystemdError> {
        if !folder.is_dir() {
            let user = name_of(uid);
            // Lingering that is on already starts nothing before the next boot.
            return Err(match linger(&user) {
                Fact::Known(true) => {
                    let seen = format!("{} does not exist, although {user} lingers", folder.display());
                    SystemdError::NoManager { uid, user, seen }
                }
                _ => SystemdError::NoRuntimeDir { uid, user },
            });
        }
        match Self::connect_below(folder, uid, Route::Bus) {
            Err(SystemdError::NoManager { .. }) => Self::connect_below(folder, uid, Route::Private),
            other => other,
        }
    }

    fn connect_below(folder: &Path, uid: u32, route: Route) -> Result<Self, SystemdError> {
        let socket = folder.join(match route {
            Route::Bus => "bus",
            Route::Private => "systemd/private",
        });
        let what = format!("reach the user manager of {}", name_of(uid));
        // Not std's connect: that one blocks for as long as a listener does not accept.
        let connected = bounded(&what, READ_LIMIT, async {
            Ok(UnixStream::connect(&SharedRuntime::current()?, &socket).await.map(UnixStream::into_std))
        })?;
        let stream = connected.map_err(|error| {
            let seen = format!("{}: {error}", socket.display());
            match error.kind() {
                io::ErrorKind::PermissionDenied => SystemdError::Refused { user: name_of(uid), seen },
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    SystemdError::NoManager { uid, user: name_of(uid), seen }
                }
                // Somebody may well be there: that is not for us to deny.
                _ => SystemdError::Gone { what: what.clone(), seen },
            }
        })?;
        let connection = bounded(&what, READ_LIMIT, async {
            match route {
                Route::Bus => Builder::unix_stream(stream).build().await,
                Route::Private => {
                    let halves = private::halves(&SharedRuntime::current()?, stream)?;
                    Builder::socket(halves).p2p().build().await
                }
            }
        })
        .map_err(|error| match error {
            SystemdError::Garbled { seen, .. }
            | SystemdError::Gone { seen, .. }
            | SystemdError::Denied { seen, .. } => SystemdError::Refused { user: name_of(uid), seen },
            other => other,
        })?;
        Ok(Self::over(connection))
    }

    /// The manager at the other end of a connection that stands.
    pub(super) fn over(connection: Connection) -> Self {
        Self {
            connection,
            limit: READ_LIMIT,
            hears: AtomicBool::new(false),
            places: Mutex::new(HashMap::new()),
        }
    }

    /// The same, with another limit for questions.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks the bus for JobRemoved signals, once: it has to stand before the first job is queued. The
    /// manager sends them to whoever queued a job. Nor is it asked for more (`Subscribe`): then it would
    /// tell, of a hundred agents that start, thousands of changes of units and jobs that nobody reads.
    /// It is asked whether it listens at all: jobs may take their time, an answer may not.
    pub(super) async fn hear_of_jobs(&self) -> zbus::Result<()> {
        let peer = Some("org.freedesktop.DBus.Peer");
        self.connection.call_method(Some(SYSTEMD), MANAGER_PATH, peer, PING, &()).await?;
        if !self.connection.is_bus() || self.hears.load(Ordering::Acquire) {
            return Ok(());
        }
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(SYSTEMD)
            .path(MANAGER_PATH)
            .interface(MANAGER)
            .member("JobRemoved")
            .build()?;
        zbus::fdo::DBusProxy::new(&self.connection).await?.add_match_rule(rule).await?;
        self.hears.store(true, Ordering::Release);
        Ok(())
    }
}

/// The manager's proxy; without zbus' cache, which would ask for every property.
pub(in crate::host) async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'_>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}

/// Runs a call to its end on this thread, but no longer than `limit`.
pub(in crate::host) fn bounded<T>(
    what: &str,
    limit: Duration,
    call: impl Future<Output = zbus::Result<T>>,
) -> Result<T, SystemdError> {
    let done = zbus::block_on(async {
        let runtime = SharedRuntime::current().map_err(zbus::Error::from)?;
        Ok(runtime.timeout(limit, call).await)
    });
    match done {
        Ok(Ok(answer)) => answer.map_err(|error| SystemdError::from_call(what, error)),
        Ok(Err(_)) => Err(SystemdError::Late { what: what.to_owned(), limit }),
        Err(error) => Err(SystemdError::from_call(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn without_a_bus_the_managers_own_socket_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("systemd")).expect("a folder");
        let listener = UnixListener::bind(folder.path().join("systemd/private")).expect("a socket");
        let accepted = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let (fake, ready) = Fake::serve(stream, |turn| turn.refuse("org.test.No", "not today"));
            ready.recv().expect("it listens");
            fake
        });
        let manager = UserManager::connect_in(folder.path(), 4321).expect("the private socket answers");
        let fake = accepted.join().expect("it was accepted");
        let error = manager.reload().expect_err("this manager reloads nothing");
        assert!(error.to_string().ends_with(": not today"), "{error}");
        drop(manager);
        assert_eq!(fake.calls(), ["Reload"]);
    }

    #[test]
    fn no_runtime_folder_and_no_manager_are_told_apart_and_name_their_cure() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = UserManager::connect_in(&folder.path().join("none"), 4321).expect_err("nothing there");
        assert!(matches!(error, SystemdError::NoRuntimeDir { .. }), "{error}");
        let shown = crate::error::Error::from(error);
        assert_eq!(
            (shown.kind.code(), &*shown.hints),
            (4, &["sudo loginctl enable-linger 4321".to_owned()][..])
        );

        let error = UserManager::connect_in(folder.path(), 4321).expect_err("nothing listens");
        assert!(matches!(error, SystemdError::NoManager { .. }), "{error}");
        assert_eq!(error.cure().as_deref(), Some("sudo systemctl start user@4321.service"));
    }

    #[test]
    fn a_manager_is_not_told_of_units_below_a_home_it_does_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let uid = users::get_effective_uid();
        let error = UserManager::connect_for(uid, folder.path()).expect_err("not this user's home");
        assert!(matches!(error, SystemdError::OtherHome { .. }), "{error}");
        assert!(error.cure().is_some_and(|cure| cure.starts_with("run it with HOME=/")), "{error}");
    }

    #[test]
    fn a_bus_that_turns_us_away_is_a_refusal_and_not_an_absence() {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("bus")).expect("a socket");
        let porter = std::thread::spawn(move || drop(listener.accept().expect("a client")));
        let error = UserManager::connect_in(folder.path(), 4321).expect_err("it hangs up");
        assert!(matches!(error, SystemdError::Refused { .. }), "{error:?}");
        porter.join().expect("it hung up");
    }

    #[test]
    fn another_users_manager_is_not_reached_even_as_root() {
        let other = users::get_effective_uid() + 1;
        let error = UserManager::connect(other).expect_err("not ours");
        assert!(matches!(error, SystemdError::Refused { .. }), "{error:?}");
    }

    #[test]
    fn only_a_socket_that_is_absent_or_forsaken_means_that_there_is_no_manager() {
        let folder = tempfile::tempdir().expect("a folder");
        let bus = folder.path().join("bus");
        drop(UnixListener::bind(&bus).expect("a socket that nobody listens on"));
        let error = UserManager::connect_in(folder.path(), 4321).expect_err("forsaken");
        assert!(matches!(error, SystemdError::NoManager { .. }), "{error:?}");
        std::fs::remove_file(&bus).expect("removed");
        std::os::unix::fs::symlink("bus", &bus).expect("a link to itself");
        let error = UserManager::connect_in(folder.path(), 4321).expect_err("no way through");
        assert!(matches!(error, SystemdError::Gone { .. }), "{error:?}");
    }

    #[test]
    fn a_bus_that_accepts_and_then_says_nothing_is_given_up_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let _silent = UnixListener::bind(folder.path().join("bus")).expect("a socket");
        let error = UserManager::connect_in(folder.path(), 4321).expect_err("it says nothing");
        assert_eq!(error.to_string(), "reach the user manager of 4321: no answer within 2 s");
        assert!(error.cure().is_some_and(|cure| cure.contains("run this again")), "{error}");
    }

    #[test]
    fn a_manager_that_does_not_answer_is_given_up_in_time() {
        let (manager, fake) = Fake::manager(|_| {});
        let manager = manager.with_limit(Duration::from_millis(50));
        let error = manager.units(&["*"]).expect_err("no answer comes");
        assert_eq!(error.to_string(), "list the user manager's units: no answer within 0.05 s");
        drop(manager);
        assert_eq!(fake.calls(), ["ListUnitsByPatterns"]);
    }
}
