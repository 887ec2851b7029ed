//! Texts out of everything that some reader has a meaning for.
#![allow(dead_code, reason = "no test file uses all of it")]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use mosaic_fleet::envfile;
use mosaic_fleet::names::EnvName;

const PIECES: &[&str] = &[
    "\"",
    "'",
    "\\",
    "$",
    "`",
    "%",
    "\n",
    "\r",
    "\t",
    " ",
    "#",
    ";",
    "=",
    "!",
    "~",
    ":",
    "&",
    "|",
    "<",
    ">",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "*",
    "?",
    "^",
    "-",
    "$HOME",
    "${A}",
    "$(id)",
    "`id`",
    "$((1))",
    "$$",
    "%h",
    "%%",
    "\\n",
    "\\\n",
    "\r\n",
    "'\"'\"'",
    "\\\"",
    "\nB=2\n",
    "\n#",
    "<<EOF",
    "~root",
    ":~",
    "\u{1}",
    "\u{7f}",
    "\u{81}",
    "\u{88}",
    "\u{feff}",
    "é",
    "日本",
    "🙂",
    "\u{301}",
    "\u{2028}",
    "\u{1b}[0m",
    "x",
];

/// What people and accidents put into an environment file.
const LINES: &[&str] = &[
    "\"",
    "\"",
    "'",
    "'",
    "\\",
    "\\",
    "\n",
    "\n",
    "\r",
    " ",
    "\t",
    "=",
    "A=",
    "\nB=",
    "\nC =",
    "\n D=\"",
    "\nE='",
    "a",
    "b",
    "$",
    "`",
    "\\\n",
    "\\\"",
    "x y",
    "\nexport F=1",
    "\n1G=1",
    "é",
    "\u{c}",
    "$X",
    "%h",
];

/// Comments, of which systemd before 254 reads those that end in a backslash otherwise.
const COMMENTS: &[&str] = &["#", ";", "\n#c\\\n", "\n;c"];

/// The nth variable's name.
pub fn name(at: usize) -> EnvName {
    EnvName::parse(&format!("V{at}")).expect("a good name")
}

/// Whether the writer takes the text for a value.
pub fn writable(text: &str) -> bool {
    envfile::check(&name(0), text).is_ok()
}

/// A value that the writer takes.
pub fn value() -> impl Strategy<Value = String> {
    let any = any::<char>().prop_map(String::from).prop_filter("writable", |c| writable(c));
    let piece = prop_oneof![4 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => any];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// The text of an environment file as a person may leave it.
pub fn written_by_a_person(comments: bool) -> impl Strategy<Value = String> {
    let pieces = if comments { [LINES, COMMENTS].concat() } else { LINES.to_vec() };
    proptest::collection::vec(proptest::sample::select(pieces), 0..30).prop_map(|pieces| pieces.concat())
}

/// That many of them, the same on each run.
pub fn some<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, how_many: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut one = || strategy.new_tree(&mut runner).expect("a value").current();
    (0..how_many).map(|_| one()).collect()
}

/// How many are tried: so many, and more where the run may take long.
pub fn many(usual: usize) -> usize {
    let asked = std::env::var("MOSAIC_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok());
    asked.unwrap_or(usual).max(usual)
}

/// An environment file with these values.
pub fn env_file(values: &[String]) -> String {
    let vars: Vec<(EnvName, &str)> =
        values.iter().enumerate().map(|(at, v)| (name(at), v.as_str())).collect();
    envfile::write(&vars).expect("values that can be written")
}
