//! What the judges say of screens, the captured ones of `tests/panes` among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;

fn composer(text: &str) -> Composer {
    judge(Kind::Dogfood, "> ", text).composer
}

#[test]
fn the_last_line_decides_and_a_bare_mark_is_no_draft() {
    assert_eq!(composer("hello\n>\n\n\n"), Composer::Empty);
    assert_eq!(composer("hello\n> \n"), Composer::Empty);
    assert_eq!(composer("hello\n> wait\n\n"), Composer::Draft("wait".to_owned()));
    assert_eq!(composer("> quoted\nnothing here\n"), Composer::Absent);
    assert_eq!(composer(">quoted\n"), Composer::Absent);
    assert_eq!(composer("\n\n"), Composer::Absent);
    assert_eq!(judge(Kind::Custom, "", "> x\n").composer, Composer::Absent, "no mark, no draft");
}

#[test]
fn a_screen_without_a_composer_is_not_ready() {
    assert!(judge(Kind::Dogfood, "> ", "x\n>\n").ready);
    assert!(!judge(Kind::Dogfood, "> ", "x\n").ready);
    assert!(!judge(Kind::Dogfood, "> ", "").ready);
}

#[test]
fn a_draft_is_a_message_of_ours_only_where_that_can_be_seen() {
    let message = "[h:s -> h:a] first line\n\tsecond line and more\n";
    assert!(shows(Kind::Dogfood, "[h:s -> h:a] first line\\n second line and more\\n", message));
    assert!(shows(Kind::Dogfood, "[h:s -> h:a] first line\\n second lX", message), "cut at the edge");
    assert!(!shows(Kind::Dogfood, "[h:s -> h:a] fiX", message), "too short to tell");
    assert!(!shows(Kind::Dogfood, "[h:s -> h:a] first line, but of another one", message));
    assert!(!shows(Kind::Dogfood, "x[h:s -> h:a] first line\\n second line and more", message));
    let whole = "[h:s -> h:a] first line\\n second line and more";
    assert!(!shows(Kind::Dogfood, &format!("{whole}!"), message), "somebody typed on");
    assert!(!shows(Kind::Dogfood, "", message));
    assert!(!shows(Kind::Dogfood, "", ""));
    assert!(shows(Kind::Dogfood, "x", "x") && !shows(Kind::Dogfood, "x", "xy"));
}

#[test]
fn a_long_draft_is_shown_with_its_length() {
    let message = "0123456789 ".repeat(100);
    let shown = format!("[{} bytes] {}", message.len(), &message[..60]);
    assert!(shows(Kind::Dogfood, &shown, &message));
    assert!(!shows(Kind::Dogfood, &shown, &message.repeat(2)));
}

/// What a state's screens must be judged to be, in one line: composer, activity, what else.
const STATES: &str = "
    starting           absent unknown
    ready              empty idle
    cleared            empty idle
    draft              draft idle
    draft-lines        draft idle
    draft-large        draft idle
    commands           draft idle
    command            draft idle
    accepted           empty idle
    busy               empty busy
    busy-draft         draft busy
    queued             empty busy queued
    steered            empty idle
    reset              empty idle
    retrying           empty busy
    refused            empty idle
    no-login           empty idle
    dialog-model       absent idle dialog
    dialog-trust       absent unknown dialog
    dialog-key         absent unknown dialog
    dialog-bypass      absent unknown dialog
    dialog-permission  absent unknown dialog
    dialog-login       absent unknown dialog
    dialog-hooks       absent unknown dialog
";

fn panes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/panes")
}

/// Every captured screen of a runtime: its state, its size and its text.
fn captured(runtime: &str) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for state in std::fs::read_dir(panes().join(runtime)).expect("captured screens") {
        let state = state.expect("a folder").path();
        for file in std::fs::read_dir(&state).expect("a folder") {
            let file = file.expect("a file").path();
            let text = std::fs::read_to_string(&file).expect("text");
            let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
            all.push((name(&state), name(&file), text));
        }
    }
    all.sort();
    assert!(all.len() > 20, "{runtime}: both sizes of its states");
    all
}

/// The roster's mark: of the runtimes whose screens are known, none needs it.
fn mark(name: &str) -> &'static str {
    if name == "dogfood" { "> " } else { "" }
}

fn in_words(screen: &Screen) -> String {
    let composer = match screen.composer {
        Composer::Empty => "empty",
        Composer::Draft(_) => "draft",
        Composer::Absent => "absent",
    };
    let activity = match screen.activity {
        Activity::Idle => "idle",
        Activity::Busy => "busy",
        Activity::Unknown => "unknown",
    };
    let queued = if screen.queued { " queued" } else { "" };
    let dialog = if screen.dialog.is_some() { " dialog" } else { "" };
    assert_eq!(screen.ready, screen.composer != Composer::Absent);
    format!("{composer} {activity}{queued}{dialog}")
}

#[test]
fn every_captured_screen_is_judged_as_the_state_it_was_captured_in() {
    let states: BTreeMap<&str, String> = STATES
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(state, words)| (state, words.trim().to_owned()))
        .collect();
    let mut wrong = Vec::new();
    for (name, kind) in Kind::BUILT_IN {
        for (state, size, text) in captured(name) {
            let judged = in_words(&judge(kind, mark(name), &text));
            let mut expected =
                states.get(state.as_str()).unwrap_or_else(|| panic!("no state {state}")).clone();
            if kind == Kind::Dogfood {
                // It shows no more than its mark.
                let composer = expected.split(' ').next().unwrap_or_default();
                expected = format!("{composer} unknown");
            }
            if judged != expected {
                wrong.push(format!("{name} {state} {size}: {judged}, expected {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_draft_of_ours_is_recognised_on_every_captured_screen_and_another_is_not() {
    let large: String =
        (1..=400).map(|n| format!("line {n} of a message that is too large to be shown\n")).collect();
    let messages = [
        ("draft", "hello there"),
        ("draft-lines", "first line\nsecond line\n\nfourth line"),
        ("draft-large", large.trim_end()),
        ("busy-draft", "draft while it works"),
    ];
    for (name, kind) in Kind::BUILT_IN {
        for (state, size, text) in captured(name) {
            let Some((_, message)) = messages.iter().find(|(of, _)| *of == state) else { continue };
            let Composer::Draft(draft) = judge(kind, mark(name), &text).composer else {
                panic!("{name} {state} {size} has a draft");
            };
            assert!(shows(kind, &draft, message), "{name} {state} {size}: {draft}");
            if kind != Kind::Dogfood {
                let other = format!("{message}\nand more that is not there");
                assert!(!shows(kind, &draft, &other), "{name} {state} {size}: {draft}");
            }
            let theirs = format!("{draft} typed on");
            assert!(!shows(kind, &theirs, message), "{name} {state} {size}: {theirs}");
        }
    }
}

#[test]
fn a_dialog_is_named_by_its_question() {
    let of = |name: &str, state: &str| -> Vec<Option<String>> {
        let (_, kind) = Kind::BUILT_IN.into_iter().find(|(n, _)| *n == name).expect("a runtime");
        let all = captured(name).into_iter().filter(|(s, ..)| s == state);
        all.map(|(_, _, text)| judge(kind, mark(name), &text).dialog).collect()
    };
    for (name, state, question) in [
        ("claude", "dialog-trust", "Accessing workspace:"),
        ("claude", "dialog-key", "Detected a custom API key in your environment"),
        ("claude", "dialog-bypass", "WARNING: Claude Code running in Bypass Permissions mode"),
        ("claude", "dialog-permission", "Bash command"),
        ("codex", "dialog-login", "Choose how you want to use Codex."),
        ("codex", "dialog-hooks", "Hooks need review"),
    ] {
        assert_eq!(of(name, state), vec![Some(question.to_owned()); 2], "{name} {state}");
    }
}

#[test]
fn what_is_not_a_composer_is_not_taken_for_one() {
    let rules = "─".repeat(40);
    let answer = format!("{rules}\nquoted\n{rules}\n");
    assert_eq!(judge(Kind::Pi, "", &answer).composer, Composer::Absent, "rules with no status below");
    let typed = format!("{rules}\ntext\n─────\n\n{rules}\n~/work\n");
    assert_eq!(judge(Kind::Pi, "", &typed).composer, Composer::Draft("text\n─────".to_owned()));
    for (name, kind) in Kind::BUILT_IN {
        for text in ["", "\n\n", "❯ quoted\n", "› earlier\n\n• answer\n", "┃ quoted\n", "╹▀▀▀\n"]
        {
            assert_eq!(judge(kind, mark(name), text).composer, Composer::Absent, "{name}: {text:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_screen_makes_a_judge_panic(text in "[ a❯›┃╹▀─→⠋•>1.\\n\\[\\]#+]{0,200}") {
        for (name, kind) in Kind::BUILT_IN {
            let _ = judge(kind, mark(name), &text);
            let _ = shows(kind, &text, &text);
        }
    }
}
