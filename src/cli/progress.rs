//! How far several things are that take long, on a line in place: who is done and for whom is waited. What is
//! printed, and where, is decided by `output`.

use std::sync::{Mutex, PoisonError};

use super::Output;

/// How many signs the bar has.
const WIDTH: usize = 24;

/// The line; gone when dropped.
pub struct Progress<'o> {
    out: &'o Output,
    all: usize,
    waits_for: Mutex<Vec<String>>,
}

impl<'o> Progress<'o> {
    /// Of these.
    pub fn of(names: impl IntoIterator<Item = String>, out: &'o Output) -> Self {
        let names: Vec<String> = names.into_iter().collect();
        let progress = Self { out, all: names.len(), waits_for: Mutex::new(names) };
        progress.show(&progress.waits_for.lock().unwrap_or_else(PoisonError::into_inner));
        progress
    }

    /// One is done.
    pub fn done(&self, name: &str) {
        let mut waits_for = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        waits_for.retain(|other| other != name);
        // Under the lock, so that no line is followed by an older one.
        self.show(&waits_for);
    }

    fn show(&self, waits_for: &[String]) {
        if !waits_for.is_empty() {
            self.out.in_place(&line(self.all, waits_for));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.out.in_place("");
    }
}

fn line(all: usize, waits_for: &[String]) -> String {
    let done = all - waits_for.len();
    let full = WIDTH * done / all.max(1);
    let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
    format!("[{bar}] {done}/{all}, waits for {}", waits_for.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_many_are_done_and_for_whom_is_waited() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(line(2, &names), "[........................] 0/2, waits for a, b");
        assert_eq!(line(2, &names[1..]), "[############............] 1/2, waits for b");
    }
}
