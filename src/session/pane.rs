//! The pane's first step: becomes the runtime, with the environment, limits and folder that the
//! roster asks for.
//!
//! Only names and the pane command stand on its command line; values are read here, from files that
//! only the user can read. A unit's settings reach its supervisor, not the pane, whose process is a
//! child of the tmux server: so this step sets them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

use super::settings::{Settings, kept_npm_prefix};
use super::{CANT_CREATE, CONFIG, TEMPORARY, gate};
use crate::layout::Layout;
use crate::names::AgentName;

/// What only the tmux server's own unit should see, or what names another process's manager.
const NOT_THE_RUNTIMES: [&str; 14] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// What the pane was told on its command line.
pub struct Order {
    /// The tenant's places.
    pub layout: Layout,
    /// Whose pane it is.
    pub agent: AgentName,
    /// Whether a supervisor waits for it.
    pub gated: bool,
    /// The pane command; too long a one is not passed and made again here.
    pub command: Option<String>,
}

/// Why the runtime was not started: what to say and the exit code.
struct Refusal(u8, String);

/// Becomes the runtime. Returns only where that failed, with the exit code.
pub fn become_runtime(order: Order) -> u8 {
    let mut supervisor = None;
    if order.gated {
        match gate::wait_at(&order.layout, &order.agent) {
            Ok(stream) => supervisor = Some(stream),
            Err(error) => {
                say(&format!("{}: the supervisor did not let this pane in: {error}", order.agent));
                return TEMPORARY;
            }
        }
    }
    let Refusal(code, why) = start(&order);
    let why = format!("{}: {why}", order.agent);
    say(&why);
    if let Some(supervisor) = supervisor {
        gate::complain(supervisor, code, &why);
    }
    code
}

fn start(order: &Order) -> Refusal {
    let settings = match read(order) {
        Ok(settings) => settings,
        Err(refusal) => return refusal,
    };
    if let Err(refusal) = limit(&settings).and_then(|()| enter(settings.workdir())) {
        return refusal;
    }
    let made = || settings.pane_command(&order.layout, kept_npm_prefix(&order.layout).as_deref());
    let command = match order.command.clone().map_or_else(made, Ok) {
        Ok(command) => command,
        Err(error) => return Refusal(CONFIG, error.to_string()),
    };
    let error =
        Command::new("/bin/sh").arg("-c").arg(command).env_clear().envs(environment(&settings)).exec();
    Refusal(TEMPORARY, format!("run /bin/sh: {error}"))
}

/// The agent's files, and what a start by hand left for this pane alone.
fn read(order: &Order) -> Result<Settings, Refusal> {
    let settings = Settings::read(&order.layout, &order.agent).map_err(|e| Refusal(CONFIG, e.to_string()))?;
    if order.gated {
        return Ok(settings);
    }
    let left = order.layout.launch(&order.agent);
    let text = match std::fs::read_to_string(&left) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(settings),
        Err(error) => return Err(Refusal(CONFIG, format!("read {}: {error}", left.display()))),
    };
    let _ = std::fs::remove_file(&left);
    Ok(settings.overridden_by(crate::envfile::parse(&text), &order.layout, &order.agent))
}

/// What the runtime sees: the server's environment without what is not for it, the way to the
/// user's own bus, and the agent's variables.
fn environment(settings: &Settings) -> BTreeMap<OsString, OsString> {
    let mut vars: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for name in NOT_THE_RUNTIMES {
        vars.remove(&OsString::from(name));
    }
    // The holder hides these from the tmux server, which would otherwise move panes into scopes.
    let runtime = crate::host::users::runtime_dir(nix::unistd::geteuid().as_raw());
    if runtime.is_dir() {
        let bus = runtime.join("bus");
        if bus.exists() {
            vars.insert("DBUS_SESSION_BUS_ADDRESS".into(), format!("unix:path={}", bus.display()).into());
        }
        vars.insert("XDG_RUNTIME_DIR".into(), runtime.into());
    }
    vars.extend(settings.vars().map(|(name, value)| (name.into(), value.into())));
    // `mosaic yolo`, `mosaic heartbeat` and the rest must be found wherever they were installed.
    if let Some(own) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        let path = vars.entry("PATH".into()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".into());
        if !std::env::split_paths(&path).any(|dir| dir == own) {
            path.push(":");
            path.push(own);
        }
    }
    vars
}

fn limit(settings: &Settings) -> Result<(), Refusal> {
    let refused = |name: &str, value: &str, why: &dyn std::fmt::Display| {
        Refusal(CONFIG, format!("{name}={value} can't be set: {why}"))
    };
    if let Some((name, value)) = limit_of(settings, "UMASK") {
        let bits = u32::from_str_radix(value, 8).map_err(|e| refused(name, value, &e))?;
        umask(Mode::from_bits_truncate(bits));
    }
    if let Some((name, value)) = limit_of(settings, "NOFILE") {
        let files = value.parse().map_err(|e| refused(name, value, &e))?;
        setrlimit(Resource::RLIMIT_NOFILE, files, files).map_err(|e| refused(name, value, &e))?;
    }
    if let Some((name, value)) = limit_of(settings, "NICE") {
        let nice = value.parse().map_err(|e| refused(name, value, &e))?;
        rustix::process::setpriority_process(None, nice).map_err(|e| refused(name, value, &e))?;
    }
    if let Some((name, value)) = limit_of(settings, "NO_NEW_PRIVS")
        && value == "1"
    {
        nix::sys::prctl::set_no_new_privs().map_err(|e| refused(name, value, &e))?;
    }
    Ok(())
}

fn limit_of<'a>(settings: &'a Settings, what: &str) -> Option<(&'a str, &'a str)> {
    settings
        .vars()
        .find(|(name, value)| name.strip_prefix("MOSAIC_LIMIT_") == Some(what) && !value.is_empty())
}

fn enter(workdir: &Path) -> Result<(), Refusal> {
    std::env::set_current_dir(workdir)
        .map_err(|e| Refusal(CANT_CREATE, format!("enter the working directory {}: {e}", workdir.display())))
}

fn say(why: &str) {
    let _ = writeln!(io::stderr(), "{why}");
}
