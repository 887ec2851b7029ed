//! The terminal below a transport: what delivery needs of one, so that it is tested without any.

use std::time::Duration;

use super::{Recipient, TransportError};
use crate::host::tmux::typing::{Glimpse, Pasted, Typist};
use crate::runtime::Kind;
use crate::runtime::screen::{self, Screen};

/// A person's last key counts as typing for this long.
const TYPING: i64 = 5;

/// One agent's terminal.
pub trait Terminal {
    /// Looks at it; `None` where there is none.
    fn look(&self) -> Result<Option<Glimpse>, TransportError>;
    /// Pastes a text as one, where the terminal is still as it was seen.
    fn paste(&self, text: &str, seen: &Glimpse) -> Result<Pasted, TransportError>;
    /// Types characters, not as a paste, where the terminal is still as it was seen.
    fn type_keys(&self, keys: &str, seen: &Glimpse) -> Result<Pasted, TransportError>;
    /// Presses Enter.
    fn enter(&self, seen: &Glimpse) -> Result<(), TransportError>;
}

/// What a look says of the runtime. Of which only the mark is known, a draft is found where it
/// begins, however often the terminal has wrapped it.
pub fn judged(to: &Recipient<'_>, seen: &Glimpse) -> Screen {
    let text = match to.kind {
        Kind::Custom | Kind::Dogfood => &seen.joined,
        Kind::Claude | Kind::Codex | Kind::OpenCode | Kind::Pi => &seen.screen,
    };
    screen::judge(to.kind, to.mark, text)
}

/// Whether a person types there: attached, and has sent a key since, a few seconds ago at most.
/// Clocks of whole seconds: an attaching within the same second counts too.
pub fn person_types(typists: &[Typist], now: i64) -> bool {
    typists.iter().any(|t| now - t.last <= TYPING && (t.last > t.since || now - t.since <= 1))
}

/// Pauses that begin short and never get longer than 400 ms.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(10))
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(Duration::from_millis(400));
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_types_while_the_last_key_is_fresh() {
        let typist = |since, last| [Typist { since, last }];
        assert!(person_types(&typist(100, 120), 124));
        assert!(!person_types(&typist(100, 120), 126));
        assert!(!person_types(&typist(100, 100), 104), "attached, and no key since");
        assert!(person_types(&typist(100, 100), 101), "just attached");
        assert!(!person_types(&[], 100));
    }

    #[test]
    fn pauses_grow_to_400_ms_and_no_further() {
        let pauses: Vec<u128> = Pauses::default().take(8).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 400, 400]);
    }
}
