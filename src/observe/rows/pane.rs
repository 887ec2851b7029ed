//! An agent's pane: whether its process lives, by all that tmux, systemd and `/proc` say.

use std::collections::BTreeMap;

use crate::names::{AgentName, HOLDER_UNIT};
use crate::observe::{Given, PaneState};
use crate::snapshot::{Fact, Pane, Process, Tmux};

/// So many further panes are named one by one.
const NAMED: usize = 4;

/// What was found of an agent's pane.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// Whether it lives.
    pub state: PaneState,
    /// Why it is dead or not known.
    pub why: String,
    /// The pane, where tmux has one.
    pub pane: Option<&'a Pane>,
    /// Pid of the runtime, where it lives: the pane's process, else the one its supervisor recorded.
    pub pid: Option<i32>,
    /// How many people can type into its session.
    pub attached: u32,
    /// Further panes of its session, which somebody made.
    pub others: Vec<&'a Pane>,
}

impl<'a> Found<'a> {
    fn without(state: PaneState, why: String) -> Self {
        Self { state, why, pane: None, pid: None, attached: 0, others: Vec::new() }
    }

    /// The runtime's process, where it lives.
    pub fn process(&self, given: &Given<'a>) -> Option<&'a Process> {
        given.seen.processes.get(&self.pid?)
    }
}

/// All panes by their sessions, so that no agent's is looked for among all others'.
pub type BySession<'a> = BTreeMap<&'a str, Vec<&'a Pane>>;

/// The panes that tmux has, in its order.
pub fn by_session<'a>(given: &Given<'a>) -> BySession<'a> {
    let mut sessions = BySession::new();
    if let Fact::Known(Tmux::Running { panes, .. }) = &given.seen.tmux {
        for pane in panes {
            sessions.entry(pane.session.as_str()).or_default().push(pane);
        }
    }
    sessions
}

/// The pane of `agent`; `recorded` is the pid that its supervisor noted in this boot.
pub fn find<'a>(
    given: &Given<'a>,
    panes: &BySession<'a>,
    agent: &AgentName,
    recorded: Option<i32>,
) -> Found<'a> {
    let lives = |pid: &i32| given.seen.processes.contains_key(pid);
    let unknown = |why: String| {
        let pid = recorded.filter(lives);
        let why = match pid {
            Some(pid) => format!("{why}; its supervisor started pid {pid}, which lives"),
            None => why,
        };
        Found { pid, ..Found::without(PaneState::Unknown, why) }
    };
    match &given.seen.tmux {
        Fact::Unknown(why) => return unknown(why.clone()),
        Fact::Known(Tmux::Absent) => {
            return match unreachable_server(given) {
                Some(why) => unknown(why),
                None => {
                    let why = format!("no tmux server runs on socket {}", given.roster.socket);
                    Found::without(PaneState::Dead, why)
                }
            };
        }
        Fact::Known(Tmux::Running { .. }) => {}
    }
    let of_session = || panes.get(agent.as_str()).into_iter().flatten().copied();
    let chosen = of_session()
        .find(|p| Some(p.pid) == recorded)
        .or_else(|| of_session().find(|p| !p.dead))
        .or_else(|| of_session().next());
    let Some(pane) = chosen else {
        return Found::without(PaneState::Dead, "no session of its name".to_owned());
    };
    let attached = pane.attached;
    let others = of_session().filter(|p| p.id != pane.id).collect();
    let found = Found { pane: Some(pane), attached, others, ..Found::without(PaneState::Dead, ended(pane)) };
    if !pane.dead && given.seen.hidden.contains(&pane.pid) {
        let why = format!(
            "tmux runs pid {} in it, which /proc does not show: it is mounted with hidepid, or of another pid namespace",
            pane.pid
        );
        return Found { state: PaneState::Unknown, why, ..found };
    }
    // Children that keep the terminal open keep tmux from saying that the process is gone.
    if pane.dead || !lives(&pane.pid) {
        return found;
    }
    Found { state: PaneState::Alive, why: String::new(), pid: Some(pane.pid), ..found }
}

/// Where systemd has the server alive and nothing listens: its socket was removed.
pub fn unreachable_server(given: &Given<'_>) -> Option<String> {
    let holder = given.seen.units.known()?.get(HOLDER_UNIT)?.detail.as_ref()?;
    let pid = holder.main_pid;
    given.seen.processes.get(&pid).map(|_| {
        format!("the tmux server runs as pid {pid}, and its socket is gone: `kill -USR1 {pid}` makes it anew")
    })
}

/// Panes beside the one that is looked at, as a reason tells of them: how many, and what each runs.
pub fn beside(panes: &[&Pane]) -> Option<String> {
    let each = |pane: &&Pane| match (pane.dead, plain(&pane.command)) {
        (true, _) => format!("{} has ended", pane.id),
        (false, command) if command.is_empty() => format!("{} runs pid {}", pane.id, pane.pid),
        (false, command) => format!("{} runs {command} (pid {})", pane.id, pane.pid),
    };
    let shown: Vec<String> = panes.iter().take(NAMED).map(each).collect();
    let more = panes.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match panes.len() {
        0 => None,
        1 => Some(format!("another pane: {}", shown.join(""))),
        many => Some(format!("{many} other panes: {}{more}", shown.join(", "))),
    }
}

/// A text that others wrote, as a line may show it.
pub fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn ended(pane: &Pane) -> String {
    match (pane.dead_signal, pane.dead_status) {
        (Some(signal), _) => format!("its process was ended by signal {signal}"),
        (None, Some(code)) => format!("its process ended with exit code {code}"),
        (None, None) => "its process has ended".to_owned(),
    }
}
