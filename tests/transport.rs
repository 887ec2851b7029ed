//! What every transport keeps to, whatever it is made of: the same laws for panes of tmux and for agents that are
//! nothing but memory. A new transport passes them by giving the suite a [`House`].

#[path = "common/desk.rs"]
mod desk;
#[path = "common/memory.rs"]
mod memory;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use desk::Desk;
use memory::Memory;
use mosaic_fleet::host::tmux::Server;
use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::{AgentName, SocketName};
use mosaic_fleet::runfile::ack;
use mosaic_fleet::runfile::receipt::{State, draft_digest};
use mosaic_fleet::runtime::Kind;
use mosaic_fleet::transport::{
    Letter, Moment, Outcome, Recipient, SendLock, Status, Tmux, Transport, TransportError, Words,
};

/// Where agents live that a transport reaches: what a test does to them besides.
pub trait House {
    /// The transport.
    fn transport(&self) -> &dyn Transport;
    /// The tenant's places.
    fn layout(&self) -> &Layout;
    /// Starts an agent that behaves so, and waits until it takes input.
    fn begin(&self, agent: &str, ways: Ways);
    /// A person writes into its composer, and does not send it.
    fn draft(&self, agent: &str, text: &str);
    /// What was submitted to it, in order.
    fn received(&self, agent: &str) -> Vec<String>;
}

/// How an agent behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// It takes what it is sent.
    Takes,
    /// It reads nothing and shows nothing any more.
    Hangs,
    /// It keeps what it is sent in its composer, whatever is pressed.
    Keeps,
}

const VERIFY: Duration = Duration::from_millis(3000);

/// A house and the moments that its transport told.
struct Test<'a> {
    house: &'a dyn House,
    lock: SendLock,
}

impl<'a> Test<'a> {
    fn new(house: &'a dyn House) -> Self {
        std::fs::create_dir_all(house.layout().run()).expect("folders");
        let lock = File::create(house.layout().run().join("lock")).expect("a lock");
        Self { house, lock: Arc::new(lock) }
    }

    fn with<T>(&self, agent: &str, ask: impl FnOnce(&dyn Transport, &Recipient<'_>) -> T) -> T {
        let name = AgentName::parse(agent).expect("a name");
        let layout = self.house.layout();
        ask(self.house.transport(), &Recipient { agent: &name, kind: Kind::Dogfood, mark: "> ", layout })
    }

    fn send_as(&self, agent: &str, words: Words<'_>, verify: Option<Duration>) -> (Outcome, Vec<Moment>) {
        let mut told = Vec::new();
        let outcome = self.with(agent, |transport, to| {
            let letter = Letter { id: "m1", words, verify };
            transport.send(to, &letter, &self.lock, &mut |moment| {
                told.push(moment);
                Ok(())
            })
        });
        (outcome.expect("it answers"), told)
    }

    fn send(&self, agent: &str, text: &str) -> (Outcome, Vec<Moment>) {
        self.send_as(agent, Words::New(text), Some(VERIFY))
    }

    fn reset(&self, agent: &str) -> Outcome {
        self.with(agent, |transport, to| transport.reset(to, "/new", VERIFY, &self.lock)).expect("it answers")
    }

    fn status(&self, agent: &str) -> Status {
        self.with(agent, |transport, to| transport.status(to)).expect("it answers")
    }

    fn tail(&self, agent: &str) -> Option<String> {
        self.with(agent, |transport, to| transport.tail(to, 50)).expect("it answers")
    }
}

fn what_is_sent_arrives_once_as_it_is_and_each_moment_is_told(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder", Ways::Takes);
    let bodies =
        ["x", "two\nlines\n", "\ttab and gr\u{fc}\u{df}e \u{1f642}", "/no command: a text", "[a:b -> c:d] x"];
    for (text, so_far) in bodies.iter().zip(1..) {
        let (outcome, told) = test.send("coder", text);
        assert!(outcome.state.is_delivered(), "{text:?}: {outcome:?}");
        assert_eq!(told, [Moment::Typing, Moment::Typed, Moment::Entered(1)], "{text:?}");
        assert_eq!(house.received("coder").len(), so_far, "{text:?}");
    }
    assert_eq!(house.received("coder"), bodies);
    // Who asks for no evidence is not told of any that is not there.
    let (outcome, _) = test.send_as("coder", Words::New("unasked"), None);
    assert!(outcome.state == State::Typed || outcome.state.is_delivered(), "{outcome:?}");
}

fn an_agent_is_meant_exactly_and_one_that_is_not_there_gets_nothing(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder0", Ways::Takes);
    let (outcome, told) = test.send("coder", "x");
    assert_eq!((outcome.state, outcome.enters, told), (State::Refused, 0, vec![]), "{:?}", outcome.reason);
    assert!(outcome.reason.is_some_and(|why| why.contains("coder is not running")));
    assert_eq!(test.reset("coder").state, State::Refused);
    assert_eq!((test.status("coder"), test.tail("coder")), (Status::Absent, None));
    house.begin("coder", Ways::Takes);
    assert!(test.send("coder", "for coder").0.state.is_delivered());
    assert_eq!((house.received("coder").len(), house.received("coder0").len()), (1, 0));
    let Status::Running { pid, screen, typing } = test.status("coder0") else { panic!("it runs") };
    assert!(pid > 0 && screen.ready && !typing, "{screen:?}");
    let listed = house.transport().list().expect("it answers");
    for name in ["coder", "coder0"] {
        assert!(listed.iter().any(|l| l.name == name && l.running && l.pid > 0), "{listed:?}");
    }
    assert!(test.tail("coder").is_some_and(|text| text.contains("for coder")));
}

fn somebody_elses_draft_is_held_before_and_never_touched(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder", Ways::Takes);
    house.draft("coder", "half a thought");
    let (outcome, told) = test.send("coder", "x");
    assert_eq!((outcome.state, outcome.enters, told), (State::Held, 0, vec![]), "{:?}", outcome.reason);
    assert_eq!(test.reset("coder").state, State::Held);
    assert!(house.received("coder").is_empty());
    assert!(test.tail("coder").is_some_and(|text| text.contains("half a thought")));
}

fn what_cannot_be_recorded_is_not_typed(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder", Ways::Takes);
    let refused = test.with("coder", |transport, to| {
        let letter = Letter { id: "m1", words: Words::New("x"), verify: None };
        transport.send(to, &letter, &test.lock, &mut |_| Err(io::Error::other("disk full")))
    });
    assert!(matches!(refused, Err(TransportError::Record(_))), "{refused:?}");
    assert!(test.send("coder", "y").0.state.is_delivered());
    assert_eq!(house.received("coder"), ["y"]);
}

fn without_evidence_nothing_is_called_delivered(house: &dyn House) {
    let test = Test::new(house);
    house.begin("deaf", Ways::Hangs);
    let (outcome, _) = test.send("deaf", "x");
    assert!(!outcome.state.is_delivered(), "{outcome:?}");
    let reset = test.reset("deaf");
    assert!(!reset.state.is_delivered(), "{reset:?}");
    assert!(house.received("deaf").is_empty());
}

fn a_draft_is_entered_again_three_times_and_never_typed_twice(house: &dyn House) {
    let test = Test::new(house);
    house.begin("keeper", Ways::Keeps);
    let (outcome, told) = test.send("keeper", "only once");
    assert_eq!((outcome.state, outcome.enters), (State::Draft, 4), "{outcome:?}");
    assert_eq!(told.iter().filter(|moment| **moment == Moment::Typing).count(), 1, "{told:?}");
    let shown = test.tail("keeper").expect("it runs");
    assert_eq!(shown.matches("only once").count(), 1, "{shown}");
}

fn what_was_left_standing_is_entered_and_typed_by_nobody(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder", Ways::Takes);
    let (prompt, draft) = (ack::digest("left here"), draft_digest("left here"));
    let words = Words::Standing { prompt_sha256: &prompt, draft_sha256: &draft };
    let (outcome, told) = test.send_as("coder", words, Some(VERIFY));
    assert_eq!((outcome.state, outcome.enters, told), (State::Unknown, 0, vec![]), "it does not stand there");
    house.draft("coder", "left here");
    let (outcome, told) = test.send_as("coder", words, Some(VERIFY));
    assert!(outcome.state.is_delivered(), "{outcome:?}");
    assert_eq!(told, [Moment::Entered(1)]);
    house.draft("coder", "left here, and more");
    let (outcome, told) = test.send_as("coder", words, Some(VERIFY));
    assert_eq!((outcome.state, outcome.enters, told), (State::Unknown, 0, vec![]), "it is not alone");
    assert_eq!(house.received("coder"), ["left here"]);
}

fn a_reset_begins_anew_and_says_so(house: &dyn House) {
    let test = Test::new(house);
    house.begin("coder", Ways::Takes);
    assert!(test.send("coder", "before").0.state.is_delivered());
    let outcome = test.reset("coder");
    assert!(matches!(outcome.state, State::Accepted | State::Submitted), "{outcome:?}");
    assert!(test.send("coder", "after").0.state.is_delivered());
}

/// The same tests for each kind of house.
macro_rules! conforms {
    ($kind:ident, $house:expr => $($law:ident),+ $(,)?) => {
        mod $kind {
            $(#[test]
            fn $law() {
                super::$law(&$house);
            })+
        }
    };
}

macro_rules! every_law {
    ($($kind:ident: $house:expr),+ $(,)?) => {
        $(conforms!($kind, $house =>
            what_is_sent_arrives_once_as_it_is_and_each_moment_is_told,
            an_agent_is_meant_exactly_and_one_that_is_not_there_gets_nothing,
            somebody_elses_draft_is_held_before_and_never_touched,
            what_cannot_be_recorded_is_not_typed,
            without_evidence_nothing_is_called_delivered,
            a_draft_is_entered_again_three_times_and_never_typed_twice,
            what_was_left_standing_is_entered_and_typed_by_nobody,
            a_reset_begins_anew_and_says_so,
        );)+
    };
}

every_law! {
    panes: super::Panes::new(),
    in_memory: super::Memory::new(),
}

/// Agents on dogfood in panes of a tmux server.
struct Panes {
    desk: Desk,
    layout: Layout,
    transport: Tmux,
}

impl Panes {
    fn new() -> Self {
        let desk = Desk::new(&["coder"]);
        let layout = Layout::new(desk.home.path(), None);
        let socket = SocketName::parse(&desk.socket).expect("a name");
        let transport = Tmux::new(Server::new("tmux", &socket));
        Self { desk, layout, transport }
    }
}

impl House for Panes {
    fn transport(&self) -> &dyn Transport {
        &self.transport
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn begin(&self, agent: &str, ways: Ways) {
        let fault: &[&str] = if ways == Ways::Keeps { &["--fault", "draft"] } else { &[] };
        self.desk.dogfood(agent, fault);
        if ways == Ways::Hangs {
            self.desk.type_into(agent, "/fault hang");
            // It says so, and then nothing any more: that was ours, not a message.
            self.desk.wait("it hangs", || self.desk.screen(agent).contains("fault: hang"));
            std::fs::remove_file(self.desk.home.path().join(format!("{agent}.received"))).expect("forgotten");
        }
    }

    fn draft(&self, agent: &str, text: &str) {
        self.desk.keys(agent, text);
        self.desk.wait("it shows", || self.desk.screen(agent).ends_with(text));
    }

    fn received(&self, agent: &str) -> Vec<String> {
        self.desk.received(agent)
    }
}
