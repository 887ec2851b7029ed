//! Clients of the server that people look through: how they are started, moved and sent away.
//!
//! Each is a process of its own on a terminal; none of them can change a window's size.

use std::process::Command;

use crate::transcript::{Frame, plain};

use super::{Server, SocketFolder, TmuxError, exact};

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Look.
    Watch,
    /// Look and type.
    Type,
}

impl Rights {
    fn flags(self) -> &'static str {
        match self {
            Self::Watch => "read-only,ignore-size",
            Self::Type => "ignore-size",
        }
    }
}

/// How a client's view of a larger window moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// So many lines towards the first.
    Up(u16),
    /// So many lines towards the last.
    Down(u16),
    /// So many columns towards the first.
    Left(u16),
    /// So many columns towards the last.
    Right(u16),
    /// Along with the cursor again.
    Follow,
}

impl Server {
    /// A client on a terminal, not yet started: its streams are the caller's to choose. It always
    /// writes UTF-8, and takes the terminal for what TERM says.
    pub fn client(&self, session: &str, rights: Rights) -> Command {
        let mut command = self.long_running();
        // The terminal is not asked what it can do: its answers would have to be let in.
        if std::env::var_os("COLORTERM").is_some_and(|c| c == "truecolor" || c == "24bit") {
            command.args(["-T", "RGB"]);
        }
        command.args(["-u", "attach-session", "-f", rights.flags(), "-t", &exact(session)]);
        command
    }

    /// A client that is told everything the session's panes write, as lines of the control
    /// protocol, until its standard input ends. Not yet started.
    pub fn listener(&self, session: &str) -> Command {
        let mut command = self.long_running();
        command.args(["-C", "attach-session", "-f", Rights::Watch.flags(), "-t", &exact(session)]);
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Sends the client on that terminal away.
    pub fn detach(&self, terminal: &str) -> Result<(), TmuxError> {
        self.said(&self.call(["detach-client", "-t", terminal])).map(drop)
    }

    /// Moves what the client on that terminal sees of a larger window.
    pub fn view(&self, terminal: &str, view: View) -> Result<(), TmuxError> {
        let call = self.call(["refresh-client", "-t", terminal]);
        let by = |flag: &str, count: u16| [flag.to_owned(), count.to_string()];
        let call = match view {
            View::Up(lines) => call.args(by("-U", lines)),
            View::Down(lines) => call.args(by("-D", lines)),
            View::Left(columns) => call.args(by("-L", columns)),
            View::Right(columns) => call.args(by("-R", columns)),
            View::Follow => call.arg("-c"),
        };
        self.said(&call).map(drop)
    }

    /// The pane's screen with so many lines of the history above it.
    pub fn frame(&self, pane: &str, above: usize) -> Result<Frame, TmuxError> {
        let call = self.call(["display-message", "-p", "-t", pane, FRAME, ";"]);
        let call = call.args(["capture-pane", "-p", "-t", pane, "-S", &format!("-{above}")]);
        let said = self.said(&call)?;
        parse_frame(&said, above).ok_or_else(|| TmuxError::unreadable(&said))
    }

    /// The terminal and the size of the pane that the session began with; `None` where there is no such
    /// session.
    pub fn stage(&self, session: &str) -> Result<Option<Stage>, TmuxError> {
        let Some(pane) = self.own_pane(session)? else { return Ok(None) };
        let call = self.call([
            "list-panes",
            "-F",
            Stage::FORMAT,
            "-f",
            &format!("#{{==:#{{pane_id}},{pane}}}"),
            "-t",
        ]);
        let Some(output) = self.found(&call.arg(&pane))? else { return Ok(None) };
        let said = super::text(output);
        Stage::parse(said.trim_end()).map(Some).ok_or(TmuxError::Unreadable(said))
    }

    /// The window of the session that its clients see, by number and name.
    pub fn front(&self, session: &str) -> Result<String, TmuxError> {
        let target = super::exact_pane(session);
        let said = self.said(&self.call(["display-message", "-p", "-t", &target, "#I (#W)"]))?;
        Ok(plain(said.trim_end()))
    }

    /// The prefix key of the pane's session, `C-b`.
    pub fn prefix(&self, stage: &Stage) -> Result<String, TmuxError> {
        let said = self.said(&self.call(["display-message", "-p", "-t", &stage.pane, "#{prefix}"]))?;
        Ok(said.trim_end().to_owned())
    }

    /// Makes a window keep its size whoever attaches, where it does not do so by the fleet's
    /// configuration: to a client that is alone, `ignore-size` means nothing.
    pub fn hold_size(&self, stage: &Stage) -> Result<(), TmuxError> {
        if stage.holds_size {
            return Ok(());
        }
        let size = [stage.columns, stage.rows].map(|length| length.to_string());
        self.said(&self.call(["resize-window", "-t", &stage.pane, "-x", &size[0], "-y", &size[1]])).map(drop)
    }

    fn long_running(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-L", &self.name]).env_remove("TMUX").env_remove("TMUX_PANE");
        match &self.folder {
            SocketFolder::Default => command.env_remove("TMUX_TMPDIR"),
            SocketFolder::At(folder) => command.env("TMUX_TMPDIR", folder),
            SocketFolder::Inherited => &mut command,
        };
        command
    }
}

/// What a capture is a capture of.
const FRAME: &str = "#{alternate_on}:#{history_size}";

/// A capture from what tmux said: a line about the pane, then its lines, `above` of them from its history.
pub fn parse_frame(said: &str, above: usize) -> Option<Frame> {
    let (head, lines) = said.split_once('\n').unwrap_or((said, ""));
    let (alternate, history) = head.split_once(':')?;
    let alternate = alternate == "1";
    let history = history.parse().ok()?;
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    let above = if alternate { 0 } else { above.min(history) };
    Some(Frame { alternate, history, above, lines })
}

/// Where an agent plays: the terminal of its pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The pane's id.
    pub pane: String,
    /// Whether its process has ended.
    pub dead: bool,
    /// Columns of its window.
    pub columns: u16,
    /// Rows of its window.
    pub rows: u16,
    /// Whether the window keeps that size whoever attaches.
    pub holds_size: bool,
    /// Whether a client of the session sees it: no other window is in front, and no other pane fills it.
    pub in_front: bool,
    /// The terminal's name.
    pub terminal: String,
}

impl Stage {
    const FORMAT: &str = "#{pane_id}:#{pane_dead}:#{window_width}:#{window_height}:#{window-size}:#{window_active}:\
         #{?window_zoomed_flag,#{pane_active},1}:#{pane_tty}";

    /// A stage from a line of tmux's; `None` where it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(8, ':');
        let mut next = || fields.next();
        Some(Self {
            pane: next()?.to_owned(),
            dead: next()? == "1",
            columns: next()?.parse().ok()?,
            rows: next()?.parse().ok()?,
            holds_size: next()? == "manual",
            in_front: [next()?, next()?] == ["1", "1"],
            terminal: next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_from_what_tmux_prints() {
        let stage = Stage::parse("%3:0:200:50:manual:1:1:/dev/pts/7").expect("readable");
        assert_eq!((stage.pane.as_str(), stage.dead, stage.columns, stage.rows), ("%3", false, 200, 50));
        assert_eq!((stage.holds_size, stage.terminal.as_str()), (true, "/dev/pts/7"));
        let in_front = |line: &str| Stage::parse(line).expect("readable").in_front;
        assert!(stage.in_front && !in_front("%3:0:9:9:manual:0:1:x") && !in_front("%3:0:9:9:manual:1:0:x"));
        assert_eq!(Stage::parse("%3:0:200"), None);
    }

    #[test]
    fn a_frame_is_its_first_line_and_the_screen() {
        let frame = parse_frame("0:7\na\n\nb\n", 3).expect("readable");
        assert_eq!((frame.alternate, frame.history, frame.above), (false, 7, 3));
        assert_eq!(frame.lines, ["a", "", "b"]);
        assert_eq!(parse_frame("1:7\nx\n", 3).map(|f| (f.alternate, f.above)), Some((true, 0)));
        assert_eq!(parse_frame("can't find pane", 0), None);
    }

    #[test]
    fn a_client_is_addressed_exactly_and_never_chooses_the_size() {
        let command = Server::new("tmux", "s").client("coder", Rights::Watch);
        let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        assert!(
            args.ends_with(&["-f", "read-only,ignore-size", "-t", "=coder"].map(String::from)),
            "{args:?}"
        );
    }
}
