//! The model and its picture, without a terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::model::{Effect, Look, Message, Mode, Model, Sort};
use super::view::{Palette, draw};
use crate::observe::case::{Case, pane};
use crate::observe::{Flag, Row};

fn rows() -> Vec<Row> {
    let mut case = Case::of(&["coder0", "coder1", "rev"]);
    case.kill("coder1");
    case.panes().push(pane("stray", 900));
    let mut rows = case.rows();
    for (row, memory) in rows.iter_mut().zip([1 << 20, 1 << 30, 1 << 25]) {
        row.memory_bytes = Some(memory);
    }
    rows
}

fn look(rows: Vec<Row>) -> Message {
    let text = |text: &str| text.to_owned();
    Message::Look(Look { tenant: text("usc"), host: text("h1"), time: text("10:00:00"), rows, trouble: None })
}

fn model() -> Model {
    let mut model = Model::new(true);
    assert_eq!(model.update(look(rows())), [Effect::Preview("coder0".to_owned())]);
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let code = |c| match c {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        c => KeyCode::Char(c),
    };
    keys.chars()
        .flat_map(|c| model.update(Message::Key(KeyEvent::new(code(c), KeyModifiers::NONE))))
        .collect()
}

fn picture(model: &mut Model, columns: u16, rows: u16, palette: Palette) -> (String, bool) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    terminal.draw(|frame| draw(frame, model, palette)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let coloured = buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
    let mut text = String::new();
    for line in buffer.content.chunks(usize::from(columns).max(1)) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    (text, coloured)
}

fn names(model: &Model) -> Vec<&str> {
    model.rows().iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn everything_has_its_place_on_a_small_terminal() {
    let mut model = model();
    let shown = (1..=30).map(|n| format!("output {n}")).collect();
    model.update(Message::Preview { name: "coder0".to_owned(), shown: Ok(shown) });
    let (text, _) = picture(&mut model, 80, 24, Palette::Plain);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(" usc on h1  2 of 3 healthy  10:00:00"), "{text}");
    for word in ["NAME", "PANE", "HEARTBEAT", "FLAGS"] {
        assert!(lines[1].contains(word), "{word}: {text}");
    }
    assert!(lines[2].starts_with("coder0 ") && lines[3].contains("DEAD"), "{text}");
    assert!(lines[5].starts_with("stray ") && lines[5].contains("UNKNOWN"), "{text}");
    assert!(text.contains("output 30") && lines[23].contains("?:keys"), "{text}");
    press(&mut model, "j");
    let (text, _) = picture(&mut model, 80, 24, Palette::Plain);
    assert!(text.contains(" DEAD: "), "why it is flagged: {text}");
    assert!(!text.contains("output 30"), "another agent's terminal is not shown for this one's: {text}");
}

#[test]
fn no_size_and_no_state_makes_it_fail() {
    let all = ["", "?", "/rev", "a", "R", "mhello", "s", "p"];
    for keys in all {
        for (columns, rows) in [(80, 24), (200, 60), (40, 10), (10, 3), (1, 1), (300, 2)] {
            let mut model = model();
            press(&mut model, keys);
            picture(&mut model, columns, rows, Palette::Colour);
            let mut empty = Model::new(false);
            press(&mut empty, keys);
            picture(&mut empty, columns, rows, Palette::Plain);
        }
    }
}

#[test]
fn without_colour_everything_is_still_told() {
    let mut model = model();
    assert!(!picture(&mut model, 80, 24, Palette::Plain).1);
    assert!(picture(&mut model, 80, 24, Palette::Colour).1);
    for keys in ["?", "x", "a", "n", "/dead"] {
        press(&mut model, keys);
        assert!(!picture(&mut model, 80, 24, Palette::Plain).1, "{keys}");
    }
}

#[test]
fn all_keys_are_explained_within_80x24() {
    let mut model = model();
    press(&mut model, "?");
    let (text, _) = picture(&mut model, 80, 24, Palette::Plain);
    for word in ["watch", "attach", "restart", "message", "last lines", "sort", "quit"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    press(&mut model, "q");
    assert_eq!(model.mode, Mode::Table);
}

#[test]
fn rows_are_sorted_filtered_and_the_selection_stays_with_its_agent() {
    let mut model = model();
    assert_eq!(names(&model), ["coder0", "coder1", "rev", "stray"]);
    assert_eq!(press(&mut model, "jj"), ["coder1", "rev"].map(|n| Effect::Preview(n.to_owned())));
    press(&mut model, "s");
    assert_eq!((model.sort, names(&model)[0]), (Sort::Trouble, "coder1"));
    assert_eq!(model.selected.as_deref(), Some("rev"));
    press(&mut model, "sss");
    assert_eq!((model.sort, names(&model)[0]), (Sort::Memory, "coder1"));
    assert_eq!(press(&mut model, "/DEAD"), [Effect::Preview("coder1".to_owned())]);
    assert_eq!(names(&model), ["coder1"]);
    press(&mut model, "\n");
    assert!(picture(&mut model, 80, 24, Palette::Plain).0.contains("only \"DEAD\""));
    press(&mut model, "\u{1b}");
    assert_eq!(names(&model).len(), 4);
    press(&mut model, "/nothing");
    assert!(picture(&mut model, 80, 24, Palette::Plain).0.contains("no row has this in it"));
    assert_eq!(model.row(), None);
    // Its agent is gone from the roster: another is selected.
    let mut model = self::model();
    let rest: Vec<Row> = rows().into_iter().filter(|row| row.name != "coder0").collect();
    assert_eq!(model.update(look(rest)), [Effect::Preview("coder1".to_owned())]);
}

#[test]
fn nothing_is_done_to_an_agent_without_being_asked_for_twice() {
    let mut model = model();
    for keys in ["an", "Rn", "R\n", "a\u{1b}", "m\u{1b}", "m\n", "mhello\u{1b}"] {
        assert_eq!(press(&mut model, keys), [], "{keys:?}");
        assert_eq!(model.mode, Mode::Table, "{keys:?}");
    }
    assert_eq!(press(&mut model, "ay"), [Effect::Attach("coder0".to_owned())]);
    assert_eq!(press(&mut model, "Ry"), [Effect::Restart("coder0".to_owned())]);
    assert_eq!(press(&mut model, "mhi you\n"), [Effect::Send("coder0".to_owned(), "hi you".to_owned())]);
    assert_eq!(press(&mut model, "w"), [Effect::Watch("coder0".to_owned())]);
    // A paste is no command, and in a message it is sent only by Enter.
    assert_eq!(model.update(Message::Paste("qRy".to_owned())), []);
    press(&mut model, "m");
    model.update(Message::Paste("two\rlines".to_owned()));
    assert_eq!(press(&mut model, "\n"), [Effect::Send("coder0".to_owned(), "two\nlines".to_owned())]);
    // A session that the roster does not have is nobody's agent.
    for _ in 0..3 {
        press(&mut model, "j");
    }
    assert!(model.row().is_some_and(|row| row.flags.contains(&Flag::Unknown)));
    for key in ["a", "R", "m", "w"] {
        assert_eq!(press(&mut model, key), []);
        assert_eq!(model.mode, Mode::Table);
    }
}

#[test]
fn without_a_way_to_send_there_is_no_key_for_it() {
    let mut model = Model::new(false);
    model.update(look(rows()));
    press(&mut model, "m");
    assert_eq!(model.mode, Mode::Table);
    assert!(!picture(&mut model, 100, 24, Palette::Plain).0.contains("message"));
}

#[test]
fn what_is_not_known_says_why_and_silence_is_told() {
    let mut model = model();
    let mut unseen = Case::of(&["coder0"]);
    unseen.seen.tmux = crate::snapshot::Fact::Unknown("the server did not answer".into());
    let Message::Look(mut seen) = look(unseen.rows()) else { return };
    seen.trouble = Some("the server did not answer".to_owned());
    model.update(Message::Look(seen));
    let (text, _) = picture(&mut model, 120, 24, Palette::Plain);
    assert!(text.contains("unknown: the server did not answer") && text.contains("unknown "), "{text}");
    assert!(!text.contains("dead"), "{text}");
    model.update(Message::Waiting(14));
    assert!(picture(&mut model, 80, 24, Palette::Plain).0.contains("no answer for 14 s"));
}

#[test]
fn a_look_that_failed_leaves_what_was_seen_last_and_the_selection() {
    let mut model = model();
    press(&mut model, "jj");
    assert_eq!(model.update(Message::Unseen("the roster: line 3".to_owned())), []);
    let (text, _) = picture(&mut model, 120, 24, Palette::Plain);
    assert!(text.contains("as it was then: the roster: line 3") && text.contains("2 of 3 healthy"), "{text}");
    assert_eq!((names(&model).len(), model.selected.as_deref()), (4, Some("rev")));
    assert_eq!(model.update(look(rows())), []);
    assert!(!picture(&mut model, 120, 24, Palette::Plain).0.contains("as it was then"));
    let mut first = Model::new(true);
    first.update(Message::Unseen("no roster".to_owned()));
    assert!(picture(&mut first, 80, 24, Palette::Plain).0.contains("looking at the fleet  no roster"));
}

#[test]
fn last_lines_that_come_late_take_no_keys_from_who_types() {
    let mut model = model();
    press(&mut model, "t");
    press(&mut model, "mhel");
    model.update(Message::Tail { name: "coder0".to_owned(), shown: Ok(vec!["line".to_owned()]) });
    assert_eq!(press(&mut model, "lo\n"), [Effect::Send("coder0".to_owned(), "hello".to_owned())]);
}

#[test]
fn why_a_verb_failed_is_its_error_and_not_a_warning_before_it() {
    let said = "warning: the queue of a: slow\nerror: agent a is not running\nhint: fleet start a\n";
    assert_eq!(super::feed::why_not(said).as_deref(), Some("agent a is not running"));
    assert_eq!(super::feed::why_not("\na: start failed\n").as_deref(), Some("a: start failed"));
    assert_eq!(super::feed::why_not("\n"), None);
}

#[test]
fn last_lines_are_read_from_their_end_and_left_again() {
    let mut model = model();
    picture(&mut model, 80, 24, Palette::Plain);
    assert_eq!(press(&mut model, "t"), [Effect::Tail("coder0".to_owned())]);
    let lines = (1..=200).map(|n| format!("line {n}")).collect();
    model.update(Message::Tail { name: "coder0".to_owned(), shown: Ok(lines) });
    assert!(picture(&mut model, 80, 24, Palette::Plain).0.contains("line 200"));
    model.update(Message::Key(KeyEvent::new(KeyCode::Home, KeyModifiers::NONE)));
    let (text, _) = picture(&mut model, 80, 24, Palette::Plain);
    assert!(text.contains("line 1\n") && !text.contains("line 200\n"), "{text}");
    press(&mut model, "q");
    assert_eq!(model.mode, Mode::Table);
}
