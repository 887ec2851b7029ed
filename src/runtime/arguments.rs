//! A runtime's command line in the making: what was given wins, so what it already says is not said
//! again. Several runtimes refuse an option that comes twice.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::{Launch, Request};

/// A command line in the making.
pub struct Arguments<'a> {
    given: &'a [OsString],
    argv: Vec<OsString>,
    env: Vec<(&'static str, &'static str)>,
    notes: Vec<String>,
}

impl<'a> Arguments<'a> {
    /// One that begins with the request's program.
    pub fn new(request: &Request<'a>) -> Self {
        Self {
            given: request.args,
            argv: vec![request.program.as_os_str().to_owned()],
            env: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds words as they are.
    pub fn add<S: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = S>) {
        self.argv.extend(words.into_iter().map(|w| w.as_ref().to_owned()));
    }

    /// Adds a flag, unless it or another that decides the same was given.
    pub fn flag(&mut self, flag: &str, others: &[&str]) {
        if !self.gives(&[&[flag], others].concat()) {
            self.add([flag]);
        }
    }

    /// Adds an option with its value, where there is one, unless it or another that decides the
    /// same was given.
    pub fn option(&mut self, option: &str, others: &[&str], value: Option<&str>) {
        if let Some(value) = value.filter(|_| !self.gives(&[&[option], others].concat())) {
            self.add([option, value]);
        }
    }

    /// Sets a variable, unless somebody has.
    pub fn variable(&mut self, name: &'static str, value: &'static str) {
        self.env.push((name, value));
    }

    /// Says what could not be handed on.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Whether one of these options was given: `--name`, `--name=value`, `-n`, `-nvalue`. What
    /// stands after `--` is no option.
    pub fn gives(&self, options: &[&str]) -> bool {
        let options = |word: &[u8]| options.iter().any(|option| is_option(word, option.as_bytes()));
        self.given.iter().map(|w| w.as_bytes()).take_while(|w| *w != b"--").any(options)
    }

    /// The value that was given to one of these options.
    pub fn value(&self, options: &[&str]) -> Option<String> {
        let mut words = self.given.iter().map(|w| w.to_string_lossy()).take_while(|w| w != "--");
        while let Some(word) = words.next() {
            for option in options {
                match word.strip_prefix(option) {
                    Some("") => return words.next().map(Into::into),
                    Some(rest) if option.starts_with("--") => {
                        if let Some(value) = rest.strip_prefix('=') {
                            return Some(value.to_owned());
                        }
                    }
                    Some(rest) if option.len() == 2 => return Some(rest.to_owned()),
                    _ => {}
                }
            }
        }
        None
    }

    /// The whole line: what was given stands last.
    pub fn launch(mut self) -> Launch {
        self.argv.extend(self.given.iter().cloned());
        Launch { argv: self.argv, env: self.env, notes: self.notes }
    }
}

fn is_option(word: &[u8], option: &[u8]) -> bool {
    match word.strip_prefix(option) {
        Some([]) => true,
        Some([first, ..]) if option.starts_with(b"--") => *first == b'=',
        Some(_) => option.len() == 2,
        None => false,
    }
}
