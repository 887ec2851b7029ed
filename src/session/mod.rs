//! What runs inside the units: starts a pane, watches it, tells systemd.
//!
//! `fleet session VERB` is the programs' inner side: units, panes and the rendered scripts call it,
//! people do not. It is taken before anything else is loaded, since what stands behind every agent
//! for days must stay small.

pub mod backoff;
mod beats;
mod by_hand;
mod ending;
mod found;
pub mod gate;
mod holder;
mod journal;
mod pane;
mod settings;
mod signals;
mod slots;
mod stale;
mod supervise;
mod waiting;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use crate::host::tmux::Server;
use crate::host::{cgroup, clock, declared, parking, users};
use crate::layout::Layout;
use crate::names::{AgentName, SessionName, SocketName};
use crate::snapshot::Fact;
use by_hand::Existing;

/// EX_USAGE: no agent was named.
const USAGE: u8 = 64;
/// EX_UNAVAILABLE: there is no tmux.
const NO_TMUX: u8 = 69;
/// EX_CANTCREAT: a folder can't be made or entered.
const CANT_CREATE: u8 = 73;
/// EX_TEMPFAIL: not this time; also an end of which the status is not known.
const TEMPORARY: u8 = 75;
/// EX_CONFIG: a retry can't cure it.
const CONFIG: u8 = 78;

/// Runs the inner verb that the arguments name; `None` where they name none.
pub fn entry() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "session" {
        return None;
    }
    own_program();
    let args: Vec<String> = args.map(OsString::into_string).collect::<Result<_, _>>().unwrap_or_default();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Some(match args.as_slice() {
        ["start", rest @ ..] => start(rest),
        ["pane", rest @ ..] => ExitCode::from(pane(rest).map_or(USAGE, pane::become_runtime)),
        // The condition of units that an earlier version rendered.
        ["wanted", "--home", mosaic, agent] => ExitCode::from(wanted(agent, Some(mosaic))),
        ["wanted", agent] => ExitCode::from(wanted(agent, None)),
        ["holder-check", socket, tmux] => around_the_holder(socket, |s| holder::check(&s, Some(tmux))),
        ["holder-check", socket] => around_the_holder(socket, |s| holder::check(&s, None)),
        ["home"] => ExitCode::from(home()),
        ["holder-up", socket, session] => around_the_holder(socket, |s| holder_up(&s, session)),
        _ => {
            say("usage: fleet session start [--replace] [AGENT]");
            ExitCode::from(USAGE)
        }
    })
}

/// `start [--replace] [AGENT]`: supervises inside the agent's own unit, starts by hand elsewhere.
fn start(args: &[&str]) -> ExitCode {
    let mut existing = Existing::Keep;
    let mut named = None;
    for arg in args {
        match *arg {
            "--replace" => existing = Existing::Replace,
            "-h" | "--help" => {
                tell(
                    "usage: start-agent-session.sh [--replace] [AGENT]\n\nStarts the tmux session of AGENT (default: $MOSAIC_AGENT_NAME), or says that it runs.",
                );
                return ExitCode::SUCCESS;
            }
            other if named.is_none() && !other.starts_with('-') => named = Some(other.to_owned()),
            other => {
                say(&format!(
                    "unexpected argument {other:?}; usage: start-agent-session.sh [--replace] [AGENT]"
                ));
                return ExitCode::from(USAGE);
            }
        }
    }
    let named = named.or_else(|| std::env::var("MOSAIC_AGENT_NAME").ok()).filter(|n| !n.is_empty());
    let Some(named) = named else {
        say("no agent named; usage: start-agent-session.sh [--replace] AGENT, or set MOSAIC_AGENT_NAME");
        return ExitCode::from(USAGE);
    };
    let (agent, layout) = match (AgentName::parse(&named), layout()) {
        (Ok(agent), Ok(layout)) => (agent, layout),
        (Err(error), _) => {
            say(&error.to_string());
            return ExitCode::from(USAGE);
        }
        (_, Err(why)) => {
            say(&why);
            return ExitCode::from(CONFIG);
        }
    };
    if in_own_unit(&agent) {
        return supervise::supervise(&layout, &agent).carry_out();
    }
    ExitCode::from(by_hand::start(&layout, &agent, existing))
}

/// Whether this process is the main one of the agent's unit: systemd waits for its word, and it is
/// in the unit's cgroup. An agent that calls the script in its pane is in the cgroup, but nobody
/// waits for its word.
fn in_own_unit(agent: &AgentName) -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
        && cgroup::own().is_ok_and(|path| cgroup::unit_of(&path) == agent.unit())
}

/// `pane [--gate] --home DIR AGENT [COMMAND]`.
fn pane(args: &[&str]) -> Option<pane::Order> {
    let (gated, rest) = match args {
        ["--gate", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let ["--home", mosaic, agent, command @ ..] = rest else { return None };
    let home = users::caller().ok()?.home;
    Some(pane::Order {
        layout: Layout::new(home, Some(PathBuf::from(mosaic))),
        agent: AgentName::parse(agent).ok()?,
        gated,
        command: command.first().map(|c| (*c).to_owned()),
    })
}

/// `wanted --home DIR AGENT`: an agent that a person stopped in this boot is not.
fn wanted(agent: &str, mosaic: Option<&str>) -> u8 {
    let layout = match mosaic {
        Some(mosaic) => layout_below(Some(PathBuf::from(mosaic))),
        None => layout(),
    };
    let (Ok(agent), Ok(layout)) = (AgentName::parse(agent), layout) else { return 0 };
    let parked = parking::parked(&layout, std::slice::from_ref(&agent)).remove(&agent);
    u8::from(parked.is_some_and(|boot| boot == Fact::Known(clock::boot_id())))
}

/// `home`: before the holder starts on a declarative host, the home's links to what is rendered.
fn home() -> u8 {
    let linked = layout().and_then(|layout| declared::link_home(&layout).map_err(|e| e.to_string()));
    match linked {
        Ok(kept) => {
            for path in kept {
                say(&format!("{} is not a link to what this machine declares: kept", path.display()));
            }
            0
        }
        Err(why) => {
            say(&format!("link the home to what this machine declares: {why}"));
            CANT_CREATE
        }
    }
}

fn holder_up(socket: &SocketName, session: &str) -> Result<(), String> {
    let session = SessionName::parse(session).map_err(|e| e.to_string())?;
    let main_pid = std::env::var("MAINPID").ok().and_then(|p| p.parse().ok());
    let main_pid = main_pid.ok_or("MAINPID is not set: only the holder's unit runs this")?;
    holder::up(socket, &session, nix::unistd::Pid::from_raw(main_pid))
}

fn around_the_holder(socket: &str, run: impl FnOnce(SocketName) -> Result<(), String>) -> ExitCode {
    match SocketName::parse(socket).map_err(|e| e.to_string()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

fn layout() -> Result<Layout, String> {
    layout_below(std::env::var_os("MOSAIC_HOME").filter(|m| !m.is_empty()).map(PathBuf::from))
}

fn layout_below(mosaic: Option<PathBuf>) -> Result<Layout, String> {
    let caller = users::caller().map_err(|e| e.to_string())?;
    let layout = Layout::new(&caller.home, mosaic);
    match users::foreign_path(&caller, layout.mosaic()) {
        Some(owner) => {
            Err(format!("{} is under the control of {owner}: run it as {owner}", layout.mosaic().display()))
        }
        None => Ok(declared::places(layout, &caller.name)),
    }
}

/// The fleet's server. Its calls get more time than a look has: at a boot everything is slow, and a
/// call that was given up may still have made its session.
fn fleet_server(socket: &SocketName) -> Server {
    Server::new("tmux", socket).within(Duration::from_secs(10))
}

/// The program that panes run: this one. An upgrade replaces it while we wait, after which the kernel
/// no longer tells its path: so [`entry`] asks first thing.
fn own_program() -> OsString {
    static PATH: OnceLock<OsString> = OnceLock::new();
    let ask = || std::env::current_exe().map_or_else(|_| OsString::from("fleet"), PathBuf::into_os_string);
    PATH.get_or_init(ask).clone()
}

/// Whether a program stands there.
fn is_program(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|facts| facts.is_file() && facts.mode() & 0o111 != 0)
}

/// A result, for whoever called the script.
fn tell(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A message: the terminal's, or the unit's in the journal.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "fleet: {text}");
}
