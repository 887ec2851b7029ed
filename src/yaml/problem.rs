//! What is wrong with a file, as a person reads it: the place, what was seen, what is allowed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Place;
use crate::error::{Error, Kind};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as an editor counts.
    pub place: Place,
    /// What was seen. Never a value of an environment, which may be a secret.
    pub message: String,
    notes: Vec<Note>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Note {
    Text(String),
    Also(Place, String),
}

impl Problem {
    /// A problem at that place.
    pub fn new(place: Place, message: impl fmt::Display) -> Self {
        Self { place, message: message.to_string(), notes: Vec::new() }
    }

    /// Says more: a reason, or what to do.
    pub fn note(mut self, note: impl fmt::Display) -> Self {
        self.notes.push(Note::Text(note.to_string()));
        self
    }

    /// Says what is allowed.
    pub fn expected(self, allowed: impl fmt::Display) -> Self {
        self.note(format_args!("expected {allowed}"))
    }

    /// Names the nearest valid word, where one is near.
    pub fn suggest<'a>(self, seen: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(seen, words) {
            Some(word) => self.note(format_args!("did you mean {word:?}?")),
            None => self,
        }
    }

    /// Points at a second place.
    pub fn also(mut self, place: Place, what: impl fmt::Display) -> Self {
        self.notes.push(Note::Also(place, what.to_string()));
        self
    }
}

/// Collects problems while a file is read.
#[derive(Debug, Default)]
pub struct Log(Vec<Problem>);

impl Log {
    /// Adds one.
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// `value` where nothing was wrong, else everything that was, in the file's order. The same
    /// problem at the same place is said once, however often an alias or a default leads there.
    pub fn finish<T>(mut self, file: &Path, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                self.0.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
                self.0.dedup();
                Err(Problems { file: file.to_path_buf(), list: self.0 })
            }
        }
    }
}

/// Everything that is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Its problems in the file's order.
    pub list: Vec<Problem>,
}

impl Problems {
    /// One problem with a file.
    pub fn one(file: &Path, problem: Problem) -> Self {
        Self { file: file.to_path_buf(), list: vec![problem] }
    }

    /// What is wrong, without the places: for values that come from a command line and stand in no file.
    pub fn of_a_command_line(&self) -> Error {
        let mut told = String::new();
        self.write(&mut told, false).map_or_else(Error::input, |()| Error::input(&told))
    }

    fn write(&self, out: &mut impl fmt::Write, placed: bool) -> fmt::Result {
        let file = self.file.display();
        for (at, problem) in self.list.iter().take(SHOWN).enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            match placed {
                true => write!(out, "{newline}{file}:{}: {}", problem.place, problem.message)?,
                false => write!(out, "{newline}{}", problem.message)?,
            }
            for note in &problem.notes {
                match note {
                    Note::Text(text) => write!(out, "\n    {text}")?,
                    Note::Also(place, what) if placed => write!(out, "\n    {file}:{place}: {what}")?,
                    Note::Also(..) => {}
                }
            }
        }
        match self.list.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(out, "\nand {more} more"),
        }
    }
}

/// A file with more problems than this is not what it was meant to be; the rest is counted.
const SHOWN: usize = 20;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, true)
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        let count = match problems.list.len() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        Self::new(Kind::Input, format_args!("{} has {count}\n{problems}", problems.file.display()))
    }
}

/// The word that was probably meant.
pub fn nearest<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(seen, words).filter(|(near, _)| *near > 0.8).map(|(_, word)| word)
}

/// The word that is the least far away, however far that is.
pub fn closest<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(seen, words).map(|(_, word)| word)
}

fn ranked<'a>(seen: &str, words: impl IntoIterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    let plain = |w: &str| w.to_lowercase().replace(['-', ' '], "_");
    let seen = plain(seen);
    let similar = |w: &'a str| (strsim::jaro_winkler(&seen, &plain(w)), w);
    words.into_iter().map(similar).max_by(|a, b| a.0.total_cmp(&b.0))
}

/// `a, b or c`.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.into_iter().collect();
    match words.pop() {
        None => "nothing".to_owned(),
        Some(last) if words.is_empty() => last.to_owned(),
        Some(last) => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_only_where_it_is_near() {
        let words = ["working_directory", "runtime", "model_hint", "model"];
        assert_eq!(nearest("working_directry", words), Some("working_directory"));
        assert_eq!(nearest("Working-Directory", words), Some("working_directory"));
        assert_eq!(nearest("modle", words), Some("model"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn a_file_that_is_something_else_does_not_fill_the_screen() {
        let mut log = Log::default();
        for line in 1..=30 {
            log.add(Problem::new(Place { line, column: 1 }, "wrong"));
        }
        let problems = log.finish::<()>(Path::new("f"), None).expect_err("problems");
        let text = problems.to_string();
        assert_eq!(text.lines().count(), 21);
        assert!(text.ends_with("and 10 more"), "{text}");
    }
}
