//! Lingering: whether logind starts a user's manager at boot, and turning that on.
//!
//! Reading needs no bus. Asking for it is logind's to allow; waiting for the manager that follows is
//! done on the system bus, by signals.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use zbus::connection::Builder;
use zbus::{Connection, MatchRule, MessageStream, OwnedObjectPath, Variant};
use zruntime::SharedRuntime;

use crate::error::Error;
use crate::host::files::{self, FileError};
use crate::host::systemd::proxy::{LoginProxy, ManagerProxy, PROPERTIES, SYSTEMD, UNIT};
use crate::host::systemd::{READ_LIMIT, SystemdError, UserManager, WRITE_LIMIT, bounded, manager};
use crate::host::users::{is_nameless, name_of};
use crate::snapshot::Fact;

/// Where logind keeps a file for each user that lingers; its own answer is read from there too.
const LINGER_FOLDER: &str = "/var/lib/systemd/linger";
/// How long logind may take from turning lingering on to starting the manager.
const LOGIND_STARTS: Duration = Duration::from_secs(5);

/// What lingering is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linger {
    /// The user's manager starts at boot and outlives the last session.
    On,
    /// It lives as long as somebody is logged in.
    Off,
}

/// Why a user does not linger or the manager did not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogindError {
    /// Only an admin may change it.
    #[error("{} lingering for {user}: only an admin may: {seen}", match linger {
        Linger::On => "turn on",
        Linger::Off => "turn off",
    })]
    LingerDenied {
        /// The user's name.
        user: String,
        /// What was asked for.
        linger: Linger,
        /// What logind said.
        seen: String,
    },
    /// The manager is stopped, and only an admin may start it.
    #[error("start the user manager of {user}: only an admin may: {seen}")]
    StartDenied {
        /// The user's number.
        uid: u32,
        /// The user's name.
        user: String,
        /// What systemd said.
        seen: String,
    },
    /// The manager does not come up.
    #[error("wait for the user manager of {user}: user@{uid}.service is {state}")]
    NotUp {
        /// The user's number.
        uid: u32,
        /// The user's name.
        user: String,
        /// `failed`, `inactive`.
        state: String,
    },
    /// The bus, systemd or logind gave no answer or a bad one.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
}

impl LogindError {
    /// What to do next: exactly what an admin runs.
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::LingerDenied { user, linger: Linger::On, .. } => {
                Some(format!("sudo loginctl enable-linger {user}"))
            }
            Self::LingerDenied { user, linger: Linger::Off, .. } => {
                Some(format!("sudo loginctl disable-linger {user}"))
            }
            Self::StartDenied { uid, .. } => Some(format!("sudo systemctl start user@{uid}.service")),
            Self::NotUp { uid, .. } => Some(format!("systemctl status user@{uid}.service")),
            Self::Systemd(error) => error.cure(),
        }
    }
}

impl From<LogindError> for Error {
    fn from(error: LogindError) -> Self {
        let shown = Error::machine(&error);
        match error.cure() {
            Some(cure) => shown.hint(cure),
            None => shown,
        }
    }
}

/// Whether `user` lingers.
pub fn linger(user: &str) -> Fact<bool> {
    if is_nameless(user) {
        return Fact::Unknown(format!(
            "the password database has no name for uid {user}, and logind notes by name who lingers"
        ));
    }
    linger_in(Path::new(LINGER_FOLDER), user)
}

/// Has nobody of that name linger, where no such user is left whom logind could be asked about.
pub fn forget_linger(user: &str) -> Result<(), FileError> {
    files::remove(&Path::new(LINGER_FOLDER).join(file_of(user)))
}

fn linger_in(folder: &Path, user: &str) -> Fact<bool> {
    match folder.join(file_of(user)).symlink_metadata() {
        Ok(_) => Fact::Known(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Fact::Known(false),
        Err(error) => Fact::Unknown(format!("look for {user} in {}: {error}", folder.display())),
    }
}

/// The name of a user's file, escaped as logind does it: as in C, and in octal what C has no letter for.
fn file_of(user: &str) -> String {
    let mut file = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte {
            b'\\' | b'"' | b'\'' => file.extend(['\\', char::from(byte)]),
            b' '..=b'~' => file.push(char::from(byte)),
            // No name in the password database has control characters, so their letters are not needed.
            _ => file.push_str(&format!("\\{byte:03o}")),
        }
    }
    file
}

/// logind and the system's manager, on the system bus.
#[derive(Debug)]
pub struct Logind {
    connection: Connection,
}

impl Logind {
    /// Connects to the system bus.
    pub fn connect() -> Result<Self, LogindError> {
        let connection = bounded("reach the system bus", READ_LIMIT, Builder::system().build())?;
        Ok(Self { connection })
    }

    /// Turns lingering on or off. The manager is not up yet when this returns.
    pub fn set_linger(&self, uid: u32, linger: Linger) -> Result<(), LogindError> {
        let what = format!("change lingering for {}", name_of(uid));
        let set = async {
            let login = LoginProxy::new(&self.connection).await?;
            login.set_user_linger(uid, linger == Linger::On, false).await
        };
        bounded(&what, WRITE_LIMIT, set).map_err(|error| match error {
            SystemdError::Denied { seen, .. } => {
                LogindError::LingerDenied { user: name_of(uid), linger, seen }
            }
            other => other.into(),
        })
    }

    /// Waits until the manager of `uid` is up, starting it where it is stopped: a second
    /// [`Logind::set_linger`] would not. Where it is the caller's own, until it answers on its bus.
    pub fn wait_for_manager(&self, uid: u32, bound: Duration) -> Result<(), LogindError> {
        let began = Instant::now();
        let what = format!("wait for user@{uid}.service");
        bounded(&what, bound, async { Ok(up(&self.connection, uid).await) })??;
        if users::get_effective_uid() == uid {
            let left = bound.saturating_sub(began.elapsed());
            UserManager::connect(uid)?.with_limit(left).manager()?;
        }
        Ok(())
    }
}

/// Waits until user@UID.service is active. Signals are asked for before the state is looked at, so
/// that no change falls in between.
async fn up(connection: &Connection, uid: u32) -> Result<(), LogindError> {
    let unit = format!("user@{uid}.service");
    let failed = |error| LogindError::from(SystemdError::from_call(&format!("wait for {unit}"), error));
    let systemd = manager(connection).await.map_err(failed)?;
    subscribe(&systemd).await.map_err(failed)?;
    let place = systemd.load_unit(&unit).await.map_err(failed)?;
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .path(&place)
        .interface(PROPERTIES)
        .member("PropertiesChanged")
        .build()
        .map_err(failed)?;
    let mut changes = MessageStream::for_match_rule(rule, connection, None).await.map_err(failed)?;
    let mut started = false;
    loop {
        let state: String = property(connection, &place, "ActiveState").await.map_err(failed)?;
        match state.as_str() {
            "active" => return Ok(()),
            "failed" | "inactive" => {
                let (job, _): (u32, OwnedObjectPath) =
                    property(connection, &place, "Job").await.map_err(failed)?;
                if job == 0 && started {
                    return Err(LogindError::NotUp { uid, user: name_of(uid), state });
                }
                if job == 0 {
                    let start = systemd.start_unit(&unit, "replace").await;
                    match start.map_err(|e| SystemdError::from_call(&format!("start {unit}"), e)) {
                        Ok(_) => started = true,
                        // Lingering was turned on a moment ago: logind is about to start it.
                        Err(SystemdError::Denied { seen, .. }) => {
                            let runtime = SharedRuntime::current().map_err(|e| failed(e.into()))?;
                            match runtime.timeout(LOGIND_STARTS, changes.next()).await {
                                Ok(Some(change)) => change.map(drop).map_err(failed)?,
                                Ok(None) => return Err(failed(SystemdError::ended())),
                                Err(_) => {
                                    return Err(LogindError::StartDenied { uid, user: name_of(uid), seen });
                                }
                            }
                            continue;
                        }
                        Err(other) => return Err(other.into()),
                    }
                }
            }
            _ => {}
        }
        match changes.next().await {
            Some(change) => change.map(drop).map_err(failed)?,
            None => return Err(failed(SystemdError::ended())),
        }
    }
}

/// A connection may ask for signals only once; that it has done so is as good.
async fn subscribe(systemd: &ManagerProxy<'_>) -> zbus::Result<()> {
    match systemd.subscribe().await {
        Err(zbus::Error::MethodError(name, ..)) if name.ends_with(".AlreadySubscribed") => Ok(()),
        other => other,
    }
}

async fn property<T>(connection: &Connection, place: &OwnedObjectPath, name: &str) -> zbus::Result<T>
where
    T: for<'v> TryFrom<Variant<'v>, Error = zbus::Error>,
{
    let answer = connection.call_method(Some(SYSTEMD), place, Some(PROPERTIES), "Get", &(UNIT, name)).await?;
    T::try_from(answer.body().deserialize::<Variant<'_>>()?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::host::systemd::fake::{Fake, Turn};

    const BOUND: Duration = Duration::from_secs(30);
    const PLACE: &str = "/org/freedesktop/systemd1/unit/user_404321_2eservice";

    fn logind(play: impl FnMut(&mut Turn) + Send + 'static) -> (Logind, Fake) {
        let (connection, fake) = Fake::connection(play);
        (Logind { connection }, fake)
    }

    /// What systemd says to a start of the unit.
    #[derive(Clone, Copy)]
    enum Start {
        Queued,
        Denied,
    }

    /// A system manager whose user@ unit goes through `states`, each with the number of its job: one
    /// further when it is started, when its job was looked at, or when it was seen on its way.
    fn going_through(states: &'static [(&'static str, u32)], start: Start) -> (Logind, Fake) {
        let mut at = 0;
        logind(move |turn| {
            let (state, job) = states[at];
            let moves_on = match turn.method().as_str() {
                "Subscribe" => {
                    turn.reply(&());
                    false
                }
                "LoadUnit" => {
                    turn.reply(&OwnedObjectPath::try_from(PLACE).expect("a path"));
                    false
                }
                "StartUnit" => match start {
                    Start::Queued => {
                        turn.queued(1);
                        true
                    }
                    Start::Denied => {
                        let name = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired";
                        turn.refuse(name, "Interactive authentication required.");
                        false
                    }
                },
                "Get" if turn.args::<(String, String)>().1 == "Job" => {
                    turn.reply(&Variant::new((job, zbus::ObjectPath::try_from("/").expect("a path"))));
                    job != 0
                }
                "Get" => {
                    turn.reply(&Variant::from(state));
                    state == "activating" && states.len() > at + 1
                }
                other => panic!("{other} was called"),
            };
            if moves_on {
                at += 1;
                let changed = HashMap::from([("ActiveState", Variant::from("any"))]);
                turn.signal(PLACE, PROPERTIES, "PropertiesChanged", &(UNIT, changed, Vec::<String>::new()));
            }
        })
    }

    #[test]
    fn a_linger_file_of_that_very_name_is_what_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("usc"), "").expect("a linger file");
        assert_eq!(linger_in(folder.path(), "usc"), Fact::Known(true));
        assert_eq!(linger_in(folder.path(), "us"), Fact::Known(false));
        assert_eq!(linger_in(&folder.path().join("none"), "usc"), Fact::Known(false));
        let not_a_folder = folder.path().join("usc");
        assert!(matches!(linger_in(&not_a_folder, "usc"), Fact::Unknown(_)));
    }

    #[test]
    fn a_number_without_a_name_is_not_said_to_linger_or_not_to() {
        let Fact::Unknown(why) = linger("404321") else { panic!("no such user is named") };
        assert!(why.starts_with("the password database has no name for uid 404321"), "{why}");
    }

    #[test]
    fn a_name_is_escaped_as_logind_does_it() {
        for (user, file) in
            [("usc-1.a_b", "usc-1.a_b"), (r"LAB\ann", r"LAB\\ann"), ("jos\u{e9}", r"jos\303\251")]
        {
            assert_eq!(file_of(user), file);
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(r"LAB\\ann"), "").expect("a linger file");
        assert_eq!(linger_in(folder.path(), r"LAB\ann"), Fact::Known(true));
    }

    #[test]
    fn a_refusal_names_exactly_what_an_admin_must_run() {
        for name in ["AccessDenied", "InteractiveAuthorizationRequired"] {
            let (logind, _fake) = logind(move |turn| {
                let asked: (u32, bool, bool) = turn.args();
                assert_eq!(asked, (4321, true, false));
                turn.refuse(&format!("org.freedesktop.DBus.Error.{name}"), "Permission denied");
            });
            let error = logind.set_linger(4321, Linger::On).expect_err("refused");
            assert_eq!(error.to_string(), "turn on lingering for 4321: only an admin may: Permission denied");
            let shown = Error::from(error);
            assert_eq!(shown.kind.code(), 4);
            assert_eq!(shown.hints, ["sudo loginctl enable-linger 4321"]);
        }
    }

    #[test]
    fn the_wait_ends_when_the_manager_is_active() {
        let states = &[("inactive", 9), ("activating", 9), ("active", 0)];
        let (logind, fake) = going_through(states, Start::Denied);
        logind.wait_for_manager(4321, BOUND).expect("it comes up");
        drop(logind);
        assert_eq!(fake.calls(), ["Subscribe", "LoadUnit", "Get", "Get", "Get", "Get"]);
    }

    #[test]
    fn a_stopped_manager_is_started_since_lingering_does_not() {
        let (logind, fake) = going_through(&[("inactive", 0), ("active", 0)], Start::Queued);
        logind.wait_for_manager(4321, BOUND).expect("it is started");
        drop(logind);
        assert_eq!(fake.calls(), ["Subscribe", "LoadUnit", "Get", "Get", "StartUnit", "Get"]);
    }

    #[test]
    fn a_stopped_manager_that_may_not_be_started_names_the_admins_command() {
        let (logind, _fake) = going_through(&[("inactive", 0)], Start::Denied);
        let error = logind.wait_for_manager(4321, BOUND).expect_err("denied");
        assert!(matches!(error, LogindError::StartDenied { .. }), "{error:?}");
        assert_eq!(error.cure().as_deref(), Some("sudo systemctl start user@4321.service"));
    }

    #[test]
    fn a_manager_that_fails_to_start_ends_the_wait() {
        let (logind, _fake) = going_through(&[("inactive", 0), ("failed", 0)], Start::Queued);
        let error = logind.wait_for_manager(4321, BOUND).expect_err("it failed");
        assert_eq!(error.to_string(), "wait for the user manager of 4321: user@4321.service is failed");
    }

    #[test]
    fn a_manager_that_hangs_in_its_start_ends_the_wait_in_time() {
        let (logind, _fake) = going_through(&[("activating", 9)], Start::Denied);
        let error = logind.wait_for_manager(4321, Duration::from_millis(200)).expect_err("it hangs");
        assert!(matches!(error, LogindError::Systemd(SystemdError::Late { .. })), "{error:?}");
    }

    #[test]
    fn signals_that_were_asked_for_already_are_as_good() {
        let (logind, _fake) = logind(|turn| match turn.method().as_str() {
            "Subscribe" => turn.refuse("org.freedesktop.systemd1.AlreadySubscribed", "once is enough"),
            "LoadUnit" => turn.reply(&OwnedObjectPath::try_from(PLACE).expect("a path")),
            _ => turn.reply(&Variant::from("active")),
        });
        logind.wait_for_manager(4321, BOUND).expect("it is up");
    }
}
