//! An agent's terminal as text, drawn anew twice a second: for a watcher, while somebody has another window
//! of its session in front. A client would show that one, or would have to take it away from them.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::host::live::{Changes, Live, Woken, hold_signals};
use crate::host::tmux::Server;
use crate::host::viewer::Left;
use crate::names::AgentName;
use crate::transcript::plain;

/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(500);

/// Shows the agent's own pane until it is in front, the watcher leaves, or it is gone; `None` where it is in
/// front.
pub fn show(server: &Server, agent: &AgentName) -> Result<Option<Left>> {
    let failed =
        |error: &dyn std::fmt::Display| Error::machine(error).while_(format_args!("show {agent}'s terminal"));
    let signals = hold_signals()?;
    let mut live = Live::begin(signals, Changes::none())?;
    let (mut up, mut due) = (0, Instant::now());
    let mut seen = (String::new(), Vec::new());
    loop {
        if due <= Instant::now() {
            let Some(stage) = server.stage(agent.as_str()).map_err(|e| failed(&e))? else {
                return Ok(Some(Left::Ended { said: String::new() }));
            };
            if stage.in_front {
                return Ok(None);
            }
            let frame = server.frame(&stage.pane, 0).map_err(|e| failed(&e))?;
            let front = server.front(agent.as_str()).map_err(|e| failed(&e))?;
            let title = format!(
                "{agent}'s own terminal, as text: window {front} of its session is in front, left there by somebody   q leaves"
            );
            // From its last line that has any text, as a terminal that was not filled yet shows it.
            let filled = frame.lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |at| at + 1);
            seen = (title, frame.lines.iter().take(filled).map(|line| plain(line)).collect());
            due = Instant::now() + EVERY;
        }
        let size = live.size();
        let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
        let hidden = seen.1.len().saturating_sub(rows.saturating_sub(1));
        up = up.min(hidden);
        if live.draw(&picture(&seen.0, &seen.1, hidden - up, columns, rows)).is_err() {
            return Ok(Some(Left::Signal(libc::SIGHUP)));
        }
        match live.wait(due)? {
            Woken::Leave => return Ok(Some(Left::Asked)),
            Woken::Signal(number) => return Ok(Some(Left::Signal(number))),
            Woken::Scroll(lines) => up = up.saturating_add_signed(-lines),
            Woken::Resized | Woken::Changed | Woken::Time => {}
        }
    }
}

/// A title, and as many lines from that one on as fit.
fn picture(title: &str, lines: &[String], from: usize, columns: usize, rows: usize) -> Vec<String> {
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let mut picture = vec![format!("\x1b[7m{}\x1b[0m", cut(title))];
    picture.extend(lines.iter().skip(from).take(rows.saturating_sub(1)).map(|line| cut(line)));
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_title_and_what_fits_from_a_line_on() {
        let lines: Vec<String> = ["one", "two", "three"].map(str::to_owned).to_vec();
        assert_eq!(picture("a title", &lines, 1, 4, 3), ["\x1b[7ma ti\x1b[0m", "two", "thre"]);
        assert_eq!(picture("t", &[], 0, 80, 1).len(), 1);
    }
}
