//! The look that `ps`, `status` and `verify` share: the roster, the machine, one snapshot.

use std::path::PathBuf;

use super::{Context, Output, ground};
use crate::error::{Error, Result};
use crate::host::gather::{self, Depth, Look, gather};
use crate::host::site;
use crate::host::tmux::Server;
use crate::layout::Layout;
use crate::ledger::Ledger;
use crate::names::{AgentName, DEFAULT_SOCKET, HostName};
use crate::observe::status::is_unseen;
use crate::observe::{Given, Row, expected, judged, rows, says_enough};
use crate::roster::{self, Roster, Transport};
use crate::snapshot::{Fact, Snapshot};
use crate::transcript::plain;

/// What a look gave.
#[derive(Debug)]
pub struct Observed {
    /// What should be.
    pub roster: Roster,
    /// The tenant's places.
    pub layout: Layout,
    /// The machine.
    pub host: HostName,
    /// What is.
    pub seen: Snapshot,
    /// What we installed.
    pub installed: Fact<Option<Ledger>>,
}

impl Observed {
    /// Reads the roster and looks at the machine.
    pub fn look(context: &Context, depth: Depth, files: &[PathBuf]) -> Result<Self> {
        // Asked first: the answer comes while the roster is read, and the ledger beside it.
        let asked = gather::ask(&context.layout, &context.caller, depth);
        let (roster, asked, installed) = std::thread::scope(|scope| {
            let ledger = scope.spawn(|| installed(context, files));
            let (file, bytes) = context.roster_bytes()?;
            let asked = match default_server(&bytes) {
                Some(server) => asked.and(server),
                None => asked,
            };
            let roster = match roster::read_bytes(&bytes, &file, &context.caller.name) {
                Ok(roster) => roster,
                Err(problems) => {
                    asked.let_go();
                    return Err(problems.into());
                }
            };
            let asked = match server(&roster) {
                Some(server) => asked.and(server),
                None => asked,
            };
            let installed = ledger.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, Error>((roster, asked, installed))
        })?;
        Self::taken(context, roster, &asked, installed)
    }

    /// Looks again, without waiting once more for whoever did not answer a moment ago.
    pub fn look_again(self, context: &Context, depth: Depth) -> Result<Self> {
        let server = server(&self.roster);
        let asked = gather::ask_again(&context.layout, &context.caller, depth, server, &self.seen);
        Self::taken(context, self.roster, &asked, installed(context, &[]))
    }

    fn taken(
        context: &Context,
        roster: Roster,
        asked: &gather::Asked,
        (installed, files): (Fact<Option<Ledger>>, Vec<PathBuf>),
    ) -> Result<Self> {
        let host = context.host()?;
        let agents: Vec<AgentName> = roster.agents.iter().map(|a| a.name.clone()).collect();
        let expected = expected(&roster);
        let look = Look {
            layout: &context.layout,
            caller: &context.caller,
            agents: &agents,
            files: &files,
            says_enough: &|agent, process| says_enough(expected.get(agent), process),
        };
        let seen = gather(&look, asked);
        Ok(Self { roster, layout: context.layout.clone(), host, seen, installed })
    }

    /// For judgement.
    pub fn given(&self) -> Given<'_> {
        let Self { roster, layout, host, seen, installed } = self;
        Given { roster, layout, host, seen, installed }
    }

    /// The rows.
    pub fn rows(&self) -> Vec<Row> {
        rows(&self.given())
    }

    /// Whether tmux or the manager could not be asked.
    pub fn is_partly_blind(&self) -> bool {
        self.seen.tmux.known().is_none() || self.seen.units.known().is_none()
    }

    /// Fails where nothing of what runs could be seen: neither panes nor units.
    pub fn could_look(&self) -> Result<()> {
        match (&self.seen.tmux, &self.seen.units) {
            (Fact::Unknown(tmux), Fact::Unknown(units)) => {
                let mut lines = vec![tmux.as_str()];
                if units != tmux {
                    lines.push(units);
                }
                Err(Error::machine(format!("nothing could be looked at: {}", lines.join("; ")))
                    .hint("fleet plan says what of the installation is missing"))
            }
            _ => Ok(()),
        }
    }
}

/// What we installed, and which files are looked at: those that rows are judged by and `also`.
fn installed(context: &Context, also: &[PathBuf]) -> (Fact<Option<Ledger>>, Vec<PathBuf>) {
    let installed = Fact::from(ground::ledger(context));
    let ledger = installed.known().into_iter().flatten();
    let mut files: Vec<PathBuf> = ledger.flat_map(|ledger| judged(&context.layout, ledger)).collect();
    files.extend_from_slice(also);
    files.sort_unstable();
    files.dedup();
    (installed, files)
}

/// The fleet's tmux server, where it has one.
pub fn server(roster: &Roster) -> Option<Server> {
    (roster.transport == Transport::Tmux).then(|| server_on(&roster.socket))
}

/// The same before the roster is read, where its text alone tells that it can be no other.
fn default_server(roster: &[u8]) -> Option<Server> {
    let text = std::str::from_utf8(roster).ok();
    text.filter(|text| roster::server::is_default(text)).map(|_| server_on(DEFAULT_SOCKET))
}

/// Its socket is at tmux's default place, whatever TMUX_TMPDIR the caller has: that is where the holder's
/// unit puts it.
fn server_on(socket: impl AsRef<str>) -> Server {
    // The one that units call, also where the caller's search path is short or empty.
    let program = site::tmux().unwrap_or_else(|_| "tmux".into());
    Server::new(program, socket)
}

/// Says why rows are flagged or not known. What is only of interest at leisure is left out unless
/// asked for.
pub fn explain(out: &Output, rows: &[Row], verbose: u8) {
    for line in explanations(rows, verbose) {
        out.note(line);
    }
}

/// The same as lines: each reason once with the rows it is about.
pub fn explanations(rows: &[Row], verbose: u8) -> Vec<String> {
    let of_interest = |row: &Row, reason: &str| {
        let word = reason.split(':').next().unwrap_or_default();
        let flagged = row.flags.iter().any(|f| f.word() == word);
        verbose > 0
            || flagged
            || is_unseen(reason)
            || matches!(
                word,
                "systemd" | "enabled" | "pane" | "panes" | "starting" | "state" | "probe" | "on_stale"
            )
    };
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        for reason in row.reasons.iter().filter(|r| of_interest(row, r)) {
            match told.iter_mut().find(|(text, _)| text == reason) {
                Some((_, names)) => names.push(&row.name),
                None => told.push((reason, vec![&row.name])),
            }
        }
    }
    let line = |(reason, names): (&str, Vec<&str>)| match names.as_slice() {
        all if all.len() == rows.len() && all.len() > 1 => format!("all: {reason}"),
        [first, _, _, _, ..] => format!("{first} and {} more: {reason}", names.len() - 1),
        few => format!("{}: {reason}", few.join(", ")),
    };
    // A reason may tell what an agent wrote of itself.
    told.into_iter().map(line).map(|line| plain(&line)).collect()
}
