//! What the runtime itself says of a message: its acknowledgements from a moment on. Reads one
//! file; judges nothing else.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::host::runfiles;
use crate::runfile::ack::{self, Ack, Event};

/// The file is rotated long before.
const LONGEST: u64 = 4 << 20;

/// An agent's acknowledgements that come after this was made.
#[derive(Debug)]
pub struct Evidence {
    file: PathBuf,
    next: Cell<u64>,
    /// What was there before ends with this: a file that was rotated meanwhile repeats it.
    since: String,
    another: Cell<bool>,
}

impl Evidence {
    /// From now on; `since` is now, as acknowledgements write it.
    pub fn from_now(file: &Path, since: String) -> Self {
        let end = std::fs::symlink_metadata(file).map_or(0, |facts| facts.len());
        Self { file: file.to_path_buf(), next: Cell::new(end), since, another: Cell::new(false) }
    }

    /// Acknowledgements since the last time.
    fn new_ones(&self) -> Vec<Ack> {
        let from = self.next.get();
        let Ok((bytes, _)) = runfiles::read_on(&self.file, from, LONGEST) else { return Vec::new() };
        let shrunk = std::fs::symlink_metadata(&self.file).is_ok_and(|facts| facts.len() < from);
        // A line that is still being written is read again.
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        self.next.set(if shrunk { 0 } else { from } + whole as u64);
        let mut acks = ack::parse(&bytes[..whole]);
        if shrunk {
            acks.retain(|a| a.ts >= self.since);
        }
        acks
    }

    /// What the runtime says of the prompt with this digest or the message of this id, the strongest.
    pub fn of_prompt(&self, digest: &str, id: &str) -> Option<Event> {
        let ours = |a: &Ack| a.sha256.as_deref() == Some(digest) || a.id.as_deref() == Some(id);
        let (own, others): (Vec<Ack>, Vec<Ack>) =
            self.new_ones().into_iter().filter(|a| a.event != Event::Reset).partition(ours);
        let another = others.iter().any(|a| a.sha256.is_some());
        self.another.set(self.another.get() || another);
        own.into_iter().map(|a| a.event).min_by_key(|e| *e != Event::Prompt)
    }

    /// Whether what was read so far says that the runtime took some other text.
    pub fn of_another(&self) -> bool {
        self.another.get()
    }

    /// Whether it says that it began a new conversation.
    pub fn of_reset(&self) -> bool {
        self.new_ones().iter().any(|a| a.event == Event::Reset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ts: &str, event: Event, text: &str) -> String {
        let sha256 = Some(ack::digest(text));
        ack::line(&Ack { ts: ts.to_owned(), event, id: None, sha256, pid: None, tenant_id: None, host: None })
            .expect("a line")
    }

    fn add(file: &Path, line: &str) {
        runfiles::append(file, line, 1 << 20).expect("added");
    }

    #[test]
    fn only_what_comes_later_counts_also_for_the_same_text() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.ack");
        add(&file, &line("2026-01-01T00:00:00.000Z", Event::Prompt, "hello"));
        let evidence = Evidence::from_now(&file, "2026-01-01T00:00:01.000Z".to_owned());
        let hello = ack::digest("hello");
        assert_eq!(evidence.of_prompt(&hello, "m"), None);
        let queued = line("2026-01-01T00:00:02.000Z", Event::Queued, "hello");
        add(&file, &queued[..20]);
        assert_eq!(evidence.of_prompt(&hello, "m"), None, "half a line");
        add(&file, &queued[20..]);
        assert_eq!(evidence.of_prompt(&hello, "m"), Some(Event::Queued));
        add(&file, &line("2026-01-01T00:00:03.000Z", Event::Prompt, "other"));
        assert_eq!(evidence.of_prompt(&hello, "m"), None);
    }

    #[test]
    fn a_file_that_began_anew_does_not_repeat_itself() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.ack");
        let old = line("2026-01-01T00:00:00.000Z", Event::Prompt, "hello");
        add(&file, &old.repeat(3));
        let evidence = Evidence::from_now(&file, "2026-01-01T00:00:01.000Z".to_owned());
        std::fs::write(&file, &old).expect("rotated");
        let hello = ack::digest("hello");
        assert_eq!(evidence.of_prompt(&hello, "m"), None);
        add(&file, &line("2026-01-01T00:00:01.000Z", Event::Prompt, "hello"));
        assert_eq!(evidence.of_prompt(&hello, "m"), Some(Event::Prompt));
    }

    #[test]
    fn no_file_says_nothing_and_a_new_one_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("a.ack");
        let evidence = Evidence::from_now(&file, "2026-01-01T00:00:01.000Z".to_owned());
        assert!(!evidence.of_reset());
        add(&file, &line("2026-01-01T00:00:02.000Z", Event::Reset, ""));
        assert!(evidence.of_reset());
    }
}
