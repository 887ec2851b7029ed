//! An agent's terminal as lines of text: what `tail` and `watch --log` share.

use super::reach;
use crate::cli::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::follow::{FollowError, Followed, Follower};
use crate::host::runfiles;
use crate::host::tmux::Server;
use crate::host::tmux::client::Stage;
use crate::names::AgentName;
use crate::transcript::plain;

/// More than a supervisor keeps of a pane.
const LONGEST_LAST: usize = 256 * 1024;

/// Prints the last `first` lines of the agent's screen, then what is new on it, until the agent ends
/// or nobody reads any more.
pub fn follow(
    context: &Context,
    server: &Server,
    agent: &AgentName,
    stage: &Stage,
    first: usize,
) -> Result<Answer> {
    let before = kept(context, agent);
    let started = Follower::start(server, agent.as_str(), stage, first);
    let (mut follower, frame) = started.map_err(|error| match error {
        FollowError::Tmux(error) => reach::failed(error),
        FollowError::System(error) => Error::machine(error).while_(format_args!("follow {agent}")),
    })?;
    print(context, &last(&frame.lines, first));
    let mut told = false;
    loop {
        match follower.wait().map_err(|error| Error::machine(error).while_(format_args!("follow {agent}")))? {
            Followed::Lines(lines) => print(context, &lines),
            Followed::Unread => return Ok(Answer::Yes),
            Followed::NotAsked(error) if !told => {
                told = true;
                context.out.warn(format_args!("{error}; waiting for it"));
            }
            Followed::NotAsked(_) => {}
            Followed::Ended => break,
        }
    }
    // The session went with the agent; its supervisor kept what stood there at the end.
    if let Some(after) = kept(context, agent).filter(|after| before.as_ref() != Some(after)) {
        print(context, &follower.last(after));
    }
    Err(reach::ended(context, server, agent))
}

/// The last lines, without the empty ones that fill a screen up.
fn last(lines: &[String], count: usize) -> Vec<String> {
    let lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
    lines.get(end.saturating_sub(count)..end).unwrap_or_default().to_vec()
}

/// Prints lines of text, without anything that a terminal would obey.
pub fn print(context: &Context, lines: &[String]) {
    if !lines.is_empty() {
        context.out.line(lines.join("\n"));
    }
}

/// The last lines of the agent's screen that its supervisor kept when it ended.
pub fn kept(context: &Context, agent: &AgentName) -> Option<Vec<String>> {
    let text = runfiles::read_text(&context.layout.last_lines(agent), LONGEST_LAST)?;
    Some(text.lines().map(plain).collect())
}
