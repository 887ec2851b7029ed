//! `mosaic heartbeat`: writes one beat of the agent that runs it. Hooks call it on every tool use,
//! so it reads and writes single small files and asks nobody.

use jiff::Timestamp;

use super::{Answer, Globals};
use crate::error::{Error, Kind, Result};
use crate::host::{ancestry, clock, runfiles, users};
use crate::layout::Layout;
use crate::runfile::heartbeat::{self, LONGEST, Said, Source, State, Status, Whose};
use crate::runfile::record::{self, Record, State as Phase};
use crate::runtime::identity::{Identity, identity};

/// Arguments of `mosaic heartbeat`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whether the runtime can take a prompt; what was said last, where left out
    #[arg(long, value_name = "ok|busy", value_parser = status)]
    status: Option<Status>,
    /// What the runtime is doing: working, idle, rate-limited, needs-input, auth-expired, context-full
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<State>,
    /// Until when the state lasts, RFC 3339
    #[arg(long, value_name = "TIME", requires = "state", value_parser = time)]
    resume_at: Option<Timestamp>,
    /// The runtime's id of its conversation
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<String>,
    /// Who speaks: hook, runtime, or sidecar, which only knows that the process lives
    #[arg(long, value_name = "SOURCE", default_value = "hook", value_parser = source)]
    source: Source,
    /// The runtime's pid, where it is neither recorded nor an ancestor below tmux
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// The agent, in place of MOSAIC_AGENT_NAME
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

fn word<T>(text: &str, found: Option<T>, words: &[&str]) -> Result<T, String> {
    found.ok_or_else(|| format!("{text:?} is none of {}", words.join(", ")))
}

fn status(text: &str) -> Result<Status, String> {
    word(text, Status::from_word(text), Status::WORDS)
}

fn state(text: &str) -> Result<State, String> {
    word(text, State::from_word(text), State::WORDS)
}

fn source(text: &str) -> Result<Source, String> {
    word(text, Source::from_word(text), Source::WORDS)
}

/// No runtime's id of a conversation is longer.
const LONGEST_SESSION: usize = 256;

fn session(text: &str) -> Result<String, String> {
    let good = text.len() <= LONGEST_SESSION && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
        .ok_or_else(|| format!("not at most {LONGEST_SESSION} bytes without control characters"))
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("{text:?} is no time such as 2026-11-20T10:00:00Z"))
}

/// Writes the beat.
pub fn run(args: Args, globals: &Globals) -> Result<Answer> {
    if args.source == Source::Sidecar && (args.status.is_some() || args.state.is_some()) {
        return Err(Error::new(Kind::Usage, "a sidecar cannot know the runtime's status or state")
            .hint("leave them out: what a hook said last is carried on"));
    }
    let me = identity(args.agent.as_deref(), |name| std::env::var(name).ok())
        .map_err(|e| Error::new(Kind::Usage, e))?
        .ok_or_else(|| outside("a heartbeat", "heartbeat"))?;
    let layout = layout(globals)?;
    let clock = clock::now();
    let pid = match args.pid {
        Some(pid) => pid,
        None => runtime_pid(&layout, &me, &clock.boot_id)?,
    };
    let path = layout.heartbeat(&me.agent);
    let refused = |e| Error::machine(format!("write {}: {e}", path.display()));
    runfiles::make_folder(&layout.run()).map_err(refused)?;
    let said = Said {
        source: args.source,
        status: args.status,
        state: args.state,
        resume_at: args.resume_at,
        session: args.session,
    };
    let host = me.host.or_else(users::host_name);
    let whose = Whose { pid, interval: me.interval, tenant_id: me.tenant_id.or_else(users::tenant), host };
    // A sidecar that carries on an older word must not overwrite a hook's newer one. Where the
    // lock is held for long, its holder hangs, and a beat is worth more than its place in a row.
    let _lock = runfiles::lock_briefly(&layout.heartbeat_lock(&me.agent)).map_err(refused)?;
    let previous =
        runfiles::read_text(&path, LONGEST).and_then(|text| heartbeat::parse(text.as_bytes()).ok());
    let beat = heartbeat::next(previous, &said, &whose, &clock);
    let text = heartbeat::text(&beat);
    if text.len() > LONGEST {
        return Err(Error::new(
            Kind::Usage,
            format_args!("a beat of {} bytes: readers take {LONGEST}", text.len()),
        )
        .hint("MOSAIC_TENANT_ID and MOSAIC_HOST are no such long names"));
    }
    runfiles::replace(&path, text.as_bytes()).map_err(refused)?;
    Ok(Answer::Yes)
}

/// Nobody says which agent's it is.
pub(super) fn outside(what: &str, verb: &str) -> Error {
    Error::new(
        Kind::Usage,
        format_args!("no agent: {what} is written from inside one, where MOSAIC_AGENT_NAME says which"),
    )
    .hint(format_args!("set MOSAIC_AGENT_NAME, or name it: mosaic {verb} --agent NAME"))
}

/// The places, without asking the password database where the environment says enough.
pub(super) fn layout(globals: &Globals) -> Result<Layout> {
    if nix::unistd::geteuid().is_root() {
        return Ok(super::Context::new(globals, &super::Output::new(globals.no_color))?.layout);
    }
    let mosaic = globals.mosaic_home()?;
    let home = match (&mosaic, std::env::home_dir().filter(|h| h.is_absolute())) {
        (_, Some(home)) => home,
        (Some(mosaic), None) => mosaic.clone(),
        (None, None) => users::caller()?.home,
    };
    Ok(Layout::new(home, mosaic))
}

/// The runtime's pid: the recorded one while it lives (a hook need not descend from it: a daemon
/// may run it), else the ancestor that tmux started.
fn runtime_pid(layout: &Layout, me: &Identity, boot_id: &str) -> Result<i32> {
    let recorded = recorded(layout, me, boot_id).filter(|pid| ancestry::is_there(*pid));
    recorded.or_else(|| pane_process(&ancestry::ancestors())).ok_or_else(|| {
        Error::new(
            Kind::Usage,
            format!(
                "find the runtime of agent {}: none is recorded, and none of our ancestors was started by tmux",
                me.agent
            ),
        )
        .hint("say which process it is: mosaic heartbeat --pid PID")
    })
}

/// The runtime that its supervisor recorded in this boot.
pub(super) fn recorded(layout: &Layout, me: &Identity, boot_id: &str) -> Option<i32> {
    let text = runfiles::read_text(&layout.record(&me.agent), record::LONGEST)?;
    let record = Record::parse(&text).filter(|r| r.boot_id == boot_id && !boot_id.is_empty())?;
    record.runtime_pid.filter(|_| matches!(record.state, Phase::Starting | Phase::Running | Phase::Stopping))
}

/// The ancestor whose parent is a tmux server.
fn pane_process(ancestors: &[(i32, String)]) -> Option<i32> {
    let pairs = ancestors.iter().zip(ancestors.iter().skip(1));
    pairs.filter(|(_, (_, parent))| parent.starts_with("tmux")).map(|((pid, _), _)| *pid).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pane_process_is_what_the_outermost_tmux_server_started() {
        let chain = |names: &[&str]| -> Vec<(i32, String)> {
            names.iter().zip(1..).map(|(n, pid)| (pid, (*n).to_owned())).collect()
        };
        assert_eq!(pane_process(&chain(&["sh", "claude", "tmux: server", "systemd"])), Some(2));
        assert_eq!(pane_process(&chain(&["sh", "tmux: server", "bash", "tmux: server"])), Some(3));
        assert_eq!(pane_process(&chain(&["sh", "bash", "sshd"])), None);
        assert_eq!(pane_process(&[]), None);
    }
}
