//! The terminal below a transport: what delivery needs of one, so that it is tested without any.

use std::time::Duration;

use super::{Recipient, TransportError};
use crate::host::tmux::typing::{Glimpse, Pasted, Typist};
use crate::runtime::Kind;
use crate::runtime::screen::{self, Composer, Screen};

/// What stands before a draft in most programs.
const USUAL_MARK: &str = "> ";
/// A person's last key counts as typing for this long, in seconds.
const TYPING: u64 = 5;
/// Who attached so lately may have typed in the same second.
const JUST_ATTACHED: u64 = 1;

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
    let screen = screen::judge(to.kind, to.mark, text);
    // Where a line of the roster starts another program than the one that it names, its composer is not
    // seen: a draft behind the usual mark is one all the same.
    if screen.composer == Composer::Absent && screen.dialog.is_none() {
        let usual = screen::judge(Kind::Custom, USUAL_MARK, &seen.joined).composer;
        if matches!(usual, Composer::Draft(_)) {
            return Screen { composer: usual, ..screen };
        }
    }
    screen
}

/// Whether a person types there: attached, and has sent a key since, a few seconds ago at most.
/// Clocks of whole seconds: an attaching within the same second counts too. After the clock was set back both
/// may lie ahead, and the last key before the attaching.
pub fn person_types(typists: &[Typist], now: i64) -> bool {
    typists.iter().any(|t| {
        now.abs_diff(t.last) <= TYPING && (t.last != t.since || now.abs_diff(t.since) <= JUST_ATTACHED)
    })
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
    use crate::layout::Layout;
    use crate::names::AgentName;

    #[test]
    fn a_person_types_while_the_last_key_is_fresh() {
        let typist = |since, last| [Typist { since, last }];
        assert!(person_types(&typist(100, 120), 124));
        assert!(!person_types(&typist(100, 120), 126));
        assert!(!person_types(&typist(100, 100), 104), "attached, and no key since");
        assert!(person_types(&typist(100, 100), 101), "just attached");
        assert!(!person_types(&[], 100));
        assert!(!person_types(&typist(5000, 5000), 100), "the clock was set back since an attaching");
        assert!(!person_types(&typist(5000, 5100), 100), "and since a key");
        assert!(person_types(&typist(5000, 100), 101), "and a key after that");
        assert!(!person_types(&typist(i64::MIN, i64::MAX), 0), "no number makes it panic");
    }

    #[test]
    fn a_draft_is_seen_also_where_another_program_runs_than_the_roster_names() {
        let agent = AgentName::parse("a").expect("a name");
        let layout = Layout::new("/home/u", None);
        for (kind, mark) in [(Kind::Pi, ""), (Kind::Claude, "❯ "), (Kind::Custom, "# ")] {
            let to = Recipient { agent: &agent, kind, mark, layout: &layout };
            for (text, draft) in
                [("you said: x\n> mine\n", true), ("you said: x\n>\n", false), ("> a\nb\n", false)]
            {
                let seen = Glimpse {
                    pane: "%1".to_owned(),
                    pid: 1,
                    dead: false,
                    column: 0,
                    in_mode: false,
                    typists: Vec::new(),
                    screen: text.to_owned(),
                    joined: text.to_owned(),
                };
                let composer = judged(&to, &seen).composer;
                assert_eq!(matches!(composer, Composer::Draft(_)), draft, "{kind:?}: {text:?}");
            }
        }
    }

    #[test]
    fn pauses_grow_to_400_ms_and_no_further() {
        let pauses: Vec<u128> = Pauses::default().take(8).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 400, 400]);
    }
}
