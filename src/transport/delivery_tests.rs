use std::cell::{Cell, RefCell};

use super::*;
use crate::host::tmux::typing::Typist;
use crate::layout::Layout;
use crate::names::AgentName;

/// A terminal that shows, one look after another, what a test says; the last for ever.
struct Script {
    looks: RefCell<Vec<Glimpse>>,
    moves: Cell<u32>,
    did: RefCell<Vec<String>>,
}

fn shows(screen: &str) -> Glimpse {
    Glimpse {
        pane: "%1".to_owned(),
        // Ours: it lives, and is too old to need time to settle.
        pid: 1,
        dead: false,
        column: 2,
        in_mode: false,
        typists: Vec::new(),
        screen: screen.to_owned(),
        joined: screen.to_owned(),
    }
}

impl Script {
    fn of(looks: impl IntoIterator<Item = Glimpse>) -> Self {
        let mut looks: Vec<Glimpse> = looks.into_iter().collect();
        looks.reverse();
        Self { looks: RefCell::new(looks), moves: Cell::new(0), did: RefCell::new(Vec::new()) }
    }
}

impl Terminal for Script {
    fn look(&self) -> Result<Option<Glimpse>, TransportError> {
        let mut looks = self.looks.borrow_mut();
        Ok(if looks.len() > 1 { looks.pop() } else { looks.last().cloned() })
    }

    fn paste(&self, text: &str, _seen: &Glimpse) -> Result<Pasted, TransportError> {
        if self.moves.get() > 0 {
            self.moves.set(self.moves.get() - 1);
            return Ok(Pasted::Moved);
        }
        self.did.borrow_mut().push(format!("paste {text}"));
        Ok(Pasted::Yes)
    }

    fn type_keys(&self, keys: &str, _seen: &Glimpse) -> Result<Pasted, TransportError> {
        self.did.borrow_mut().push(format!("keys {keys}"));
        Ok(Pasted::Yes)
    }

    fn enter(&self, _seen: &Glimpse) -> Result<(), TransportError> {
        self.did.borrow_mut().push("enter".to_owned());
        Ok(())
    }
}

/// Delivers `hello` to a runtime of which only the mark is known.
fn deliver_to(script: &Script, verify: Option<u64>) -> (Outcome, Vec<String>) {
    let home = tempfile::tempdir().expect("a home");
    let layout = Layout::new(home.path(), None);
    std::fs::create_dir_all(layout.run()).expect("folders");
    let agent = AgentName::parse("a").expect("a name");
    let to = Recipient { agent: &agent, kind: Kind::Custom, mark: "> ", layout: &layout };
    let letter = Letter { id: "m", words: Words::New("hello"), verify: verify.map(Duration::from_millis) };
    let delivery =
        Delivery { terminal: script, to: &to, letter: &letter, patience: Duration::from_millis(300) };
    let outcome = deliver(&delivery, &mut |_| Ok(())).expect("it answers");
    (outcome, script.did.take())
}

#[test]
fn a_changed_screen_without_a_draft_is_submitted_only_once_it_stays_so() {
    let script = Script::of([
        shows("> \n"),
        shows("\n"),
        shows("> hello\n"),
        shows("hello\n>\n"),
        shows("hello\n>\n"),
    ]);
    let (outcome, did) = deliver_to(&script, Some(3000));
    assert_eq!((outcome.state, did), (State::Submitted, vec!["paste hello".to_owned(), "enter".to_owned()]));
}

#[test]
fn an_unchanged_or_a_blank_screen_proves_nothing() {
    for after in ["> \n", "\n\n"] {
        let (outcome, did) = deliver_to(&Script::of([shows("> \n"), shows(after)]), Some(80));
        assert_eq!((outcome.state, did.len()), (State::Unknown, 2), "{after:?}");
        assert_eq!(outcome.reason.as_deref(), Some("no pane change after send for agent a"));
    }
}

#[test]
fn our_draft_gets_enter_again_three_times_and_somebody_elses_never() {
    let script = Script::of([shows("> \n"), shows("> hello\n")]);
    let (outcome, did) = deliver_to(&script, Some(10_000));
    assert_eq!((outcome.state, outcome.enters), (State::Draft, 4));
    assert_eq!(did, ["paste hello", "enter", "enter", "enter", "enter"]);
    let (outcome, did) = deliver_to(&Script::of([shows("> \n"), shows("> hello there\n")]), Some(1200));
    assert_eq!((outcome.state, did.len()), (State::Draft, 2), "one Enter");
}

#[test]
fn nothing_is_typed_over_a_draft_into_a_dead_pane_or_while_a_person_types() {
    let now = clock::unix() as i64;
    let typed_at = Glimpse { typists: vec![Typist { since: now - 60, last: now }], ..shows("> \n") };
    let dead = Glimpse { dead: true, ..shows("> \n") };
    for (look, state) in [(shows("> mine\n"), State::Held), (typed_at, State::Held), (dead, State::Refused)] {
        let (outcome, did) = deliver_to(&Script::of([look]), Some(1000));
        assert_eq!((outcome.state, did), (state, Vec::new()), "{outcome:?}");
    }
    let (outcome, did) = deliver_to(&Script::of([]), Some(1000));
    assert_eq!((outcome.state, did), (State::Refused, Vec::new()));
}

#[test]
fn a_composer_that_moved_before_the_paste_is_looked_at_again() {
    let script = Script::of([shows("> \n"), shows("> m\n")]);
    script.moves.set(1);
    let (outcome, did) = deliver_to(&script, None);
    assert_eq!((outcome.state, did), (State::Held, Vec::new()));
}

#[test]
fn a_cursor_that_never_rests_holds_a_message_and_not_its_sender() {
    let script = Script::of([shows("> \n")]);
    script.moves.set(u32::MAX);
    let (outcome, did) = deliver_to(&script, Some(1000));
    assert_eq!((outcome.state, did), (State::Held, Vec::new()));
    assert!(outcome.reason.is_some_and(|why| why.contains("did not rest")));
}

#[test]
fn a_pane_that_ends_is_neither_submitted_nor_a_draft() {
    let gone = Glimpse { pid: 2, ..shows("something else\n") };
    let (outcome, _) = deliver_to(&Script::of([shows("> \n"), gone]), Some(3000));
    assert_eq!(outcome.state, State::Unknown);
    assert!(outcome.reason.is_some_and(|why| why.contains("ended")));
}

#[test]
fn what_a_dialog_hides_is_not_given_up() {
    let home = tempfile::tempdir().expect("a home");
    let layout = Layout::new(home.path(), None);
    let agent = AgentName::parse("a").expect("a name");
    let to = Recipient { agent: &agent, kind: Kind::Claude, mark: "", layout: &layout };
    let (prompt, draft) =
        (crate::runfile::ack::digest("left"), crate::runfile::receipt::draft_digest("left"));
    let words = Words::Standing { prompt_sha256: &prompt, draft_sha256: &draft };
    let letter = Letter { id: "m", words, verify: None };
    let finish = |screen: &str| {
        let script = Script::of([shows(screen)]);
        let delivery = Delivery { terminal: &script, to: &to, letter: &letter, patience: PATIENCE };
        let outcome = deliver(&delivery, &mut |_| Ok(())).expect("it answers");
        assert_eq!(script.did.take(), Vec::<String>::new());
        outcome.state
    };
    let rule = "\u{2500}".repeat(40);
    assert_eq!(finish("Bash command\n  ls\n  1. Yes\n  2. No\n\nEsc to cancel\n"), State::Held);
    assert_eq!(finish(&format!("{rule}\n\u{276f} somebody's\n{rule}\n")), State::Unknown);
}

#[test]
fn what_cannot_be_recorded_is_not_typed() {
    let home = tempfile::tempdir().expect("a home");
    let layout = Layout::new(home.path(), None);
    let agent = AgentName::parse("a").expect("a name");
    let to = Recipient { agent: &agent, kind: Kind::Custom, mark: "> ", layout: &layout };
    let letter = Letter { id: "m", words: Words::New("hello"), verify: None };
    let script = Script::of([shows("> \n")]);
    let delivery = Delivery { terminal: &script, to: &to, letter: &letter, patience: PATIENCE };
    let refused = deliver(&delivery, &mut |_| Err(io::Error::other("disk full")));
    assert!(matches!(refused, Err(TransportError::Record(_))));
    assert_eq!(script.did.take(), Vec::<String>::new());
}
