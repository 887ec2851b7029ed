//! What a person sees when something could not be done: what was tried, what was seen, what to do
//! next. The kind decides the exit code, nothing else does.

use std::fmt;

/// Which of the documented exit codes an error ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It ran, and the answer is no: exit 1.
    No,
    /// The command line is wrong: exit 2.
    Usage,
    /// The roster or another input is wrong: exit 3.
    Input,
    /// The machine refused: exit 4.
    Machine,
}

impl Kind {
    /// The documented exit code.
    pub fn code(self) -> i32 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Machine => 4,
        }
    }
}

/// An error for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What was tried and what was seen.
    pub message: String,
    /// What to do next, each a line; commands stand alone so that they can be copied.
    pub hints: Vec<String>,
}

/// The result of anything a verb does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hints: Vec::new() }
    }

    /// The machine refused.
    pub fn machine(message: impl fmt::Display) -> Self {
        Self::new(Kind::Machine, message)
    }

    /// An input is wrong.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::new(Kind::Input, message)
    }

    /// It ran, and the answer is no.
    pub fn no(message: impl fmt::Display) -> Self {
        Self::new(Kind::No, message)
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Says what was being done when it happened.
    pub fn while_(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
