//! Whatever stands in the file, reading ends with a roster or with problems that have their place.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::Config;

use super::super::{Profile, read, read_bytes};
use crate::envfile;
use crate::names::EnvName;

/// Pieces that mean something to YAML or to a roster, to be put anywhere.
const PIECES: &[&str] = &[
    "\n",
    "\n  ",
    "\n    - ",
    " ",
    "\t",
    ":",
    ": ",
    "-",
    "- ",
    "#",
    "'",
    "\"",
    "|",
    ">",
    "|-\n",
    "&a",
    "*a",
    "<<: *a",
    "!",
    "!!str ",
    "!!int ",
    "%",
    "@",
    "`",
    "{",
    "}",
    "[",
    "]",
    ",",
    "?",
    "? ",
    "---\n",
    "...\n",
    "~",
    "null",
    "true",
    "027",
    "0o27",
    "1e999",
    "-0",
    ".nan",
    "2G",
    "150%",
    "\u{0}",
    "\u{feff}",
    "\u{fffe}",
    "é",
    "\r\n",
    "\\x00",
    "agents",
    "name",
    "env",
    "limits",
    "runtimes",
    "matrix",
    "version: 1\n",
    "umask: 027\n",
];

/// A change of a text at some place.
#[derive(Debug, Clone)]
enum Change {
    Put(Index, &'static str),
    PutChar(Index, char),
    Cut(Index, usize),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Change::Put(at, piece)),
        1 => (any::<Index>(), any::<char>()).prop_map(|(at, c)| Change::PutChar(at, c)),
        2 => (any::<Index>(), 1usize..40).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (any::<Index>(), 1usize..80).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn mutated() -> impl Strategy<Value = String> {
    let changes = proptest::collection::vec(change(), 1..12);
    (select(&Profile::ALL[..]), changes).prop_map(|(profile, changes)| {
        let mut text: Vec<char> = profile.text().chars().collect();
        for change in changes {
            let place = |at: Index, text: &[char]| at.index(text.len() + 1);
            match change {
                Change::Put(at, piece) => {
                    let at = place(at, &text);
                    text.splice(at..at, piece.chars());
                }
                Change::PutChar(at, c) => text.insert(place(at, &text), c),
                Change::Cut(at, length) => {
                    let at = place(at, &text);
                    text.drain(at..(at + length).min(text.len()));
                }
                Change::Repeat(at, length) => {
                    let at = place(at, &text);
                    let part: Vec<char> = text.iter().skip(at).take(length).copied().collect();
                    text.splice(at..at, part);
                }
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_profile_with_mistakes_is_read_or_refused_with_a_place_in_the_file(text in mutated()) {
        match read(&text, Path::new("roster.yaml"), "usc") {
            Ok(roster) => {
                let mut names: Vec<&str> = roster.agents.iter().map(|a| a.name.as_str()).collect();
                names.push(roster.holder_session.as_str());
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(names.len(), roster.agents.len() + 1, "every address once");
                for agent in &roster.agents {
                    prop_assert!(roster.runtime(&agent.runtime).is_some(), "every reference leads somewhere");
                }
            }
            Err(problems) => {
                let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() as u64;
                prop_assert!(!problems.list.is_empty());
                for problem in &problems.list {
                    prop_assert!(problem.place.line <= lines + 1, "{} of {lines} lines", problem.place);
                    prop_assert!(!problem.message.contains('\n'), "{:?}", problem.message);
                }
            }
        }
    }

    #[test]
    fn a_variables_quoted_value_arrives_as_it_is(value in any::<String>()) {
        // JSON's quoting is YAML's too.
        let quoted = serde_json::to_string(&value).expect("a string");
        let text = format!("version: 1\nagents:\n  - name: a\n    env:\n      A: {quoted}\n");
        let read = read(&text, Path::new("roster.yaml"), "usc");
        let name = EnvName::parse("A").expect("a name");
        prop_assert_eq!(read.is_ok(), envfile::check(&name, &value).is_ok());
        if let Ok(roster) = read {
            prop_assert_eq!(&roster.agents[0].env[0].value, &value);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        let _ = read(&text, Path::new("roster.yaml"), "usc");
        let _ = read(&format!("version: 1\nagents:\n  - {text}"), Path::new("roster.yaml"), &text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_bytes(&bytes, Path::new("roster.yaml"), "usc");
    }
}
