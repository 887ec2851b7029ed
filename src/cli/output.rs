//! The one place that prints. Results go to stdout, messages for people to stderr.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::error::Error;

/// Where and how to print.
#[derive(Debug, Clone)]
pub struct Output {
    colour: bool,
    colour_err: bool,
    without_reader: WithoutReader,
    stdout: Arc<AtomicU8>,
    words: Words,
    kept: Option<Arc<Mutex<Kept>>>,
}

/// What was printed where nobody sees it: it is handed to who asked for it.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The result.
    pub result: Vec<u8>,
    /// Messages for people.
    pub said: Vec<String>,
}

/// Where the words of a verb go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// They are the result.
    Stdout,
    /// The result is JSON, alone.
    Stderr,
}

/// What happens when nobody reads stdout any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WithoutReader {
    /// The program ends, as every tool in a pipe does.
    End,
    /// The verb goes on without words.
    GoOn,
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const LOST: u8 = 2;

impl Output {
    /// Colour only on a terminal, and never where `--no-color`, `NO_COLOR` or `TERM=dumb` say so.
    pub fn new(no_color: bool) -> Self {
        let wanted = !no_color
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|t| t != "dumb");
        Self {
            colour: wanted && io::stdout().is_terminal(),
            colour_err: wanted && io::stderr().is_terminal(),
            without_reader: WithoutReader::End,
            stdout: Arc::new(AtomicU8::new(OPEN)),
            words: Words::Stdout,
            kept: None,
        }
    }

    /// Prints nothing and keeps what would have been.
    pub fn keeping() -> Self {
        Self {
            colour: false,
            colour_err: false,
            without_reader: WithoutReader::GoOn,
            stdout: Arc::new(AtomicU8::new(OPEN)),
            words: Words::Stdout,
            kept: Some(Arc::default()),
        }
    }

    /// What was kept.
    pub fn kept(&self) -> Kept {
        let kept = self.kept.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone());
        kept.unwrap_or_default()
    }

    /// The same with everything for people on stderr, so that JSON stands alone on stdout.
    pub fn beside_json(&self) -> Self {
        Self { words: Words::Stderr, ..self.clone() }
    }

    /// For a verb that has an end: it is carried through, whoever listens, and its exit code is true.
    pub fn to_the_end(&self) -> Self {
        Self { without_reader: WithoutReader::GoOn, ..self.clone() }
    }

    /// Whether a part of the result could not be written, as on a full disk.
    pub fn lost(&self) -> bool {
        self.stdout.load(Ordering::Relaxed) == LOST
    }

    /// Whether results may be coloured.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.kept.is_none() && io::stdout().is_terminal()
    }

    /// Columns of the terminal; `None` where stdout is none.
    pub fn width(&self) -> Option<u16> {
        if !self.is_terminal() {
            return None;
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse::<u16>().ok()).filter(|c| *c > 0);
        columns.or_else(|| crate::host::terminal::columns(io::stdout()))
    }

    /// A line of the result.
    pub fn line(&self, text: impl std::fmt::Display) {
        match self.words {
            Words::Stdout => self.write(format!("{text}\n").as_bytes()),
            Words::Stderr => self.note(text),
        }
    }

    /// Lines of the result, in one write.
    pub fn lines(&self, lines: &[String]) {
        let mut text = lines.join("\n");
        text.push('\n');
        self.raw(text.as_bytes());
    }

    /// A line of a unified diff.
    pub fn diff_line(&self, line: &str) {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::new().green(),
            Some(b'-') => Style::new().red(),
            Some(b'@') => Style::new().cyan(),
            _ => Style::new(),
        };
        if self.colour { self.line(line.style(style)) } else { self.line(line) }
    }

    /// Text of the result as it stands, without a line end of its own.
    pub fn raw(&self, bytes: &[u8]) {
        self.write(bytes);
    }

    /// The result as JSON, alone on stdout.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(Error::machine)?;
        self.write(format!("{text}\n").as_bytes());
        Ok(())
    }

    /// The result as JSON on a line of its own.
    pub fn json_line(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(Error::machine)?;
        self.line(text);
        Ok(())
    }

    /// A message for people.
    pub fn note(&self, text: impl std::fmt::Display) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).said.push(text.to_string());
            return;
        }
        // Where even that can't be written, nobody is left to be told.
        let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    }

    /// A line for people that the next one takes the place of, as much of it as fits; nothing where messages
    /// don't go to a terminal that can do it.
    pub fn in_place(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if self.kept.is_some() || is_dumb || !stderr.is_terminal() {
            return;
        }
        let columns = crate::host::terminal::columns(&stderr).map_or(80, usize::from);
        let shown: String = text.chars().take(columns.saturating_sub(1)).collect();
        // Where even that can't be written, nobody is left to be told.
        let _ = stderr.write_all(format!("\r\u{1b}[K{shown}").as_bytes());
    }

    /// A message for people that should not be overlooked.
    pub fn warn(&self, text: impl std::fmt::Display) {
        self.note(format_args!("{} {text}", self.styled("warning:", Style::new().yellow().bold())));
    }

    /// An error with what to do next.
    pub fn error(&self, error: &Error) {
        self.note(format_args!("{} {error}", self.styled("error:", Style::new().red().bold())));
        for hint in &error.hints {
            self.hint(hint);
        }
    }

    /// What to do next.
    pub fn hint(&self, text: impl std::fmt::Display) {
        self.note(format_args!("{} {text}", self.styled("hint:", Style::new().cyan().bold())));
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if self.colour_err { text.style(style).to_string() } else { text.to_owned() }
    }

    /// A reader that has gone away (`fleet ps | head`) is no error; a full disk must not look like
    /// success.
    fn write(&self, bytes: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).result.extend_from_slice(bytes);
            return;
        }
        if self.stdout.load(Ordering::Relaxed) != OPEN {
            return;
        }
        let mut stdout = io::stdout().lock();
        let (state, code) = match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => (CLOSED, 0),
            Err(error) => {
                self.error(&Error::machine(format!("write the result to stdout: {error}")));
                (LOST, 4)
            }
        };
        match self.without_reader {
            WithoutReader::End => std::process::exit(code),
            WithoutReader::GoOn => self.stdout.store(state, Ordering::Relaxed),
        }
    }
}
