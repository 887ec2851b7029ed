//! The dogfood runtime's terminal: raw while it runs, and as it was before on every way out.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::termios::{self, InputFlags, LocalFlags, OutputFlags, SetArg, Termios};

/// What stands before a draft.
pub const MARK: &str = "> ";
/// How much of a draft is shown.
const SHOWN: usize = 512;
/// How many lines a full screen can be drawn from.
const KEPT: usize = 200;

/// Where the program talks.
pub struct Terminal {
    input: File,
    output: File,
    /// The settings to put back; none where this is no terminal.
    before: Option<Termios>,
    full_screen: bool,
    lines: VecDeque<String>,
}

impl Terminal {
    /// Takes stdin and stdout; makes the terminal raw where both are one, with pastes marked.
    pub fn open() -> io::Result<Self> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let both = stdin.is_terminal() && stdout.is_terminal();
        let mut terminal = Self {
            input: File::from(stdin.as_fd().try_clone_to_owned()?),
            output: File::from(stdout.as_fd().try_clone_to_owned()?),
            before: None,
            full_screen: false,
            lines: VecDeque::new(),
        };
        if both {
            let before = termios::tcgetattr(&terminal.input)?;
            let mut raw = before.clone();
            raw.input_flags &=
                !(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IXON | InputFlags::ISTRIP);
            raw.local_flags &=
                !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
            raw.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
            termios::tcsetattr(&terminal.input, SetArg::TCSADRAIN, &raw)?;
            terminal.before = Some(before);
            terminal.write("\x1b[?2004h");
        }
        Ok(terminal)
    }

    /// Whether keys arrive one by one, as against whole lines of a pipe.
    pub fn is_raw(&self) -> bool {
        self.before.is_some()
    }

    /// Where input arrives.
    pub fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Reads what is there; 0 when there will be no more.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }

    /// Shows lines above the prompt. Control characters are shown, not obeyed.
    pub fn say(&mut self, text: &str) {
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
            .collect();
        for line in plain.split('\n') {
            if self.lines.len() == KEPT {
                self.lines.pop_front();
            }
            self.lines.push_back(line.chars().take(SHOWN).collect());
        }
        if !self.full_screen {
            let begin = if self.is_raw() { "\r\x1b[K" } else { "" };
            self.write(&format!("{begin}{plain}\n"));
        }
    }

    /// Draws the prompt with the draft, in one line: what a terminal shows last begins with the
    /// mark, however many lines were pasted.
    pub fn prompt(&mut self, draft: &str) {
        if !self.is_raw() {
            return;
        }
        let mut shown: String = draft
            .chars()
            .take(SHOWN)
            .flat_map(|c| match c {
                '\n' => ['\\', 'n'].into_iter().take(2),
                '\t' => [' ', ' '].into_iter().take(1),
                c => [c, ' '].into_iter().take(1),
            })
            .collect();
        if draft.chars().nth(SHOWN).is_some() {
            shown = format!("[{} bytes] {shown}", draft.len());
        }
        if self.full_screen {
            return self.draw(&shown);
        }
        // Without wrapping a long draft stays one line at any width.
        self.write(&format!("\x1b[?7l\r\x1b[K{MARK}{shown}\x1b[?7h"));
    }

    /// Begins or ends drawing the whole screen, on the alternate one.
    pub fn full_screen(&mut self, wanted: bool) {
        if self.is_raw() && wanted != self.full_screen {
            self.full_screen = wanted;
            self.write(if wanted { "\x1b[?1049h" } else { "\x1b[?1049l" });
        }
    }

    fn draw(&mut self, shown: &str) {
        let rows =
            terminal_size::terminal_size_of(&self.output).map_or(24, |(_, height)| usize::from(height.0));
        let room = rows.saturating_sub(3);
        let mut screen = "\x1b[?7l\x1b[H\x1b[2J\x1b[7m dogfood \x1b[0m\r\n".to_owned();
        let first = self.lines.len().saturating_sub(room);
        for line in self.lines.iter().skip(first) {
            screen.push_str(line);
            screen.push_str("\r\n");
        }
        screen.push_str(&format!("\x1b[{rows};1H{MARK}{shown}\x1b[?7h"));
        self.write(&screen);
    }

    /// A terminal that is gone is noticed where it is read, and by the hang-up signal.
    fn write(&mut self, text: &str) {
        let _ = self.output.write_all(text.as_bytes());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let Some(before) = self.before.take() else { return };
        if self.full_screen {
            self.write("\x1b[?1049l");
        }
        self.write("\x1b[?2004l");
        // Not draining: a terminal that nobody reads must not hold the end up.
        let _ = termios::tcsetattr(&self.input, SetArg::TCSANOW, &before);
    }
}
