//! Each parser against its corpus, against what becomes of it when it is damaged, and against the clock. An input
//! that breaks one is kept in `tests/corpus/PARSER/`, where every later run tries it again: commit it with the cure.
//!
//! `MOSAIC_FUZZ_CASES` is how many inputs each parser gets (400); `./check --long` takes ten minutes over them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what was tried, and what never ended, is told to people"
)]

#[path = "common/corpora.rs"]
mod corpora;
#[path = "common/parsers/mod.rs"]
mod parsers;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use parsers::{ALL, Parser};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

/// No input is longer.
const LONGEST: usize = 64 * 1024;
/// What is read in this time is read at once, also by a debug build on a machine that has more to do.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What takes longer than this never ends.
const NEVER: Duration = Duration::from_secs(60);
/// How long the long run takes, all parsers together.
const LONG: Duration = Duration::from_secs(600);

/// What parsers have a meaning for.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"=",
    b"#",
    b"|",
    b">-",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!int ",
    b"---\n",
    b"...\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b" ",
    b"\0",
    b"\x1b[31m",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"\xc2\x9b",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x99\x82",
    b"\xef\xbf\xbe",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"inf",
    b"18446744073709551616",
    b"9223372036854775807",
    b"2147483648",
    b"0x10",
    b"+1",
    b"1970-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.999999999Z",
    b"-009999-01-02T00:00:00Z",
    b"2026-06-30T23:59:60Z",
    b"..",
    b"/",
    b"../../etc",
    b"~",
    b"%",
    b"%%",
    b"%h",
    b"$",
    b"${A}",
    b"$$",
    b"`",
    b"\x1f",
    b"\\\n",
    b"schema_version",
    b"version",
    b"id",
    b"ts",
    b"pid",
    b"status",
    b"> ",
    b"[Pasted text #1 +3 lines]",
    b"[Service]\n",
];

/// One way to damage an input. Places are shares of its length.
#[derive(Debug, Clone)]
enum Damage {
    Cut(u16),
    Remove(u16, u8),
    Token(u16, u8),
    Byte(u16, u8),
    Copy(u16, u8, u16),
    Repeat(u16, u8, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        1 => any::<u16>().prop_map(Damage::Cut),
        3 => (any::<u16>(), any::<u8>()).prop_map(|(at, length)| Damage::Remove(at, length)),
        6 => (any::<u16>(), any::<u8>()).prop_map(|(at, token)| Damage::Token(at, token)),
        3 => (any::<u16>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        3 => (any::<u16>(), any::<u8>(), any::<u16>()).prop_map(|(from, length, to)| Damage::Copy(from, length, to)),
        1 => (any::<u16>(), any::<u8>(), any::<u8>()).prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    let place =
        |bytes: &[u8], share: u16| usize::from(share) * (bytes.len() + 1) / (usize::from(u16::MAX) + 1);
    let piece =
        |bytes: &[u8], at: usize, length: u8| bytes[at..(at + usize::from(length)).min(bytes.len())].to_vec();
    let put =
        |bytes: &mut Vec<u8>, at: usize, piece: &[u8]| drop(bytes.splice(at..at, piece.iter().copied()));
    for damage in damages {
        match *damage {
            Damage::Cut(at) => bytes.truncate(place(&bytes, at)),
            Damage::Remove(at, length) => {
                let at = place(&bytes, at);
                drop(bytes.drain(at..(at + usize::from(length)).min(bytes.len())));
            }
            Damage::Token(at, token) => {
                let at = place(&bytes, at);
                put(&mut bytes, at, TOKENS[usize::from(token) % TOKENS.len()]);
            }
            Damage::Byte(at, byte) => {
                let at = place(&bytes, at);
                if let Some(there) = bytes.get_mut(at) {
                    *there = byte;
                }
            }
            Damage::Copy(from, length, to) => {
                let piece = piece(&bytes, place(&bytes, from), length);
                let to = place(&bytes, to);
                put(&mut bytes, to, &piece);
            }
            Damage::Repeat(at, length, times) => {
                let at = place(&bytes, at);
                let piece = piece(&bytes, at, length).repeat(usize::from(times));
                put(&mut bytes, at, &piece);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, ending, found),
            false if path.to_string_lossy().ends_with(ending) => found.push(path),
            false => {}
        }
    }
}

/// A parser's corpus: its own, and what else in the tree is of its kind.
fn corpus(parser: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let elsewhere: &[(&str, &str)] = match parser {
        "roster" => &[("tests/render", "roster.yaml"), ("framework/fleet/examples", ".yaml")],
        "role" => &[("framework/roles", ".md")],
        "ledger" => &[("tests/ledger", ".json")],
        "screen" => &[("tests/panes", "80x24.txt")],
        "envfile" | "environment" => &[("tests/render", ".env")],
        "unit" => &[("tests/render/usc", ".service"), ("tests/render/limits-and-lifecycles", ".conf")],
        "captures" => &[("tests/panes", "80x24.txt")],
        _ => &[],
    };
    let mut found = Vec::new();
    files(&here("tests/corpus").join(parser), "", &mut found);
    assert!(!found.is_empty(), "tests/corpus/{parser} holds what {parser} must be tried with");
    for (folder, ending) in elsewhere {
        files(&here(folder), ending, &mut found);
    }
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}

thread_local! {
    /// Whether this thread is in a parser: what it says of a panic is told once, when all is over.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// What is being read, and since when, so that what never ends is found and named.
type Current = Arc<Mutex<Option<(Instant, &'static str, Vec<u8>)>>>;

fn watch() -> Current {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !READS.get() {
                usual(panic);
            }
        }));
    });
    let current = Current::default();
    let watched = Arc::downgrade(&current);
    std::thread::spawn(move || {
        while let Some(current) = watched.upgrade() {
            if let Some((since, parser, bytes)) = &*current.lock().expect("nobody panics with it")
                && since.elapsed() > NEVER
            {
                eprintln!("{parser} never ends: {}", keep(parser, bytes).display());
                std::process::exit(101);
            }
            drop(current);
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    current
}

/// Keeps an input that broke a parser.
fn keep(parser: &str, bytes: &[u8]) -> PathBuf {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let path = here("tests/corpus").join(parser).join(format!("found-{hash:016x}"));
    let _ = fs::write(&path, bytes);
    path
}

/// Whether a parser withstands an input: why not, else.
fn withstands((name, parser): Parser, bytes: &[u8], current: &Current) -> Result<(), String> {
    let begun = Instant::now();
    *current.lock().expect("nobody panics with it") = Some((begun, name, bytes.to_vec()));
    READS.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| parser(bytes)));
    READS.set(false);
    *current.lock().expect("nobody panics with it") = None;
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        return Err(text.unwrap_or_else(|| "it panics".to_owned()));
    }
    let took = begun.elapsed();
    if took > AT_ONCE { Err(format!("{} bytes took {took:?}", bytes.len())) } else { Ok(()) }
}

/// Tries a parser with so many damaged inputs; the smallest that breaks it is kept and told.
fn try_damaged(parser: Parser, cases: u32, current: &Current) -> Result<(), String> {
    let corpus: Vec<Vec<u8>> = corpus(parser.0).into_iter().map(|(_, bytes)| bytes).collect();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let inputs = (0..corpus.len(), proptest::collection::vec(damage(), 1..8));
    let outcome = TestRunner::new(config).run(&inputs, |(at, damages)| {
        withstands(parser, &damaged(corpus[at].clone(), &damages), current).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, (at, damages))) => {
            let path = keep(parser.0, &damaged(corpus[at].clone(), &damages));
            Err(format!("{}: {why}\n  kept as {}", parser.0, path.display()))
        }
        Err(TestError::Abort(why)) => Err(format!("{}: {why}", parser.0)),
    }
}

#[test]
fn each_parser_withstands_its_corpus() {
    let current = watch();
    let mut broken = Vec::new();
    for parser in ALL {
        for (path, bytes) in corpus(parser.0) {
            broken.extend(
                withstands(*parser, &bytes, &current).err().map(|why| format!("{}: {why}", path.display())),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_parser_withstands_damage() {
    let cases = std::env::var("MOSAIC_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    let current = watch();
    let broken: Vec<String> = ALL.iter().filter_map(|p| try_damaged(*p, cases, &current).err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
#[ignore = "ten minutes"]
fn each_parser_withstands_damage_for_long() {
    let current = watch();
    let until = Instant::now() + LONG;
    let mut tried: BTreeMap<&str, u32> = BTreeMap::new();
    let mut broken: BTreeMap<&str, String> = BTreeMap::new();
    while Instant::now() < until {
        for parser in ALL {
            if broken.contains_key(parser.0) {
                continue;
            }
            *tried.entry(parser.0).or_default() += 1000;
            if let Err(why) = try_damaged(*parser, 1000, &current) {
                broken.insert(parser.0, why);
            }
        }
    }
    println!("{tried:?}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_parser_takes_much_longer_for_more_of_the_same() {
    let current = watch();
    let mut slow = Vec::new();
    for parser in ALL {
        let whole =
            corpus(parser.0).into_iter().map(|(_, bytes)| bytes).min_by_key(Vec::len).expect("a corpus");
        let tokens = TOKENS.iter().map(|token| token.to_vec());
        for piece in tokens.chain([whole.clone(), b"x".to_vec(), b"a\n".to_vec()]) {
            let bytes = [whole.clone(), piece.repeat(2 * LONGEST / piece.len())].concat();
            let result = withstands(*parser, &bytes, &current);
            slow.extend(result.err().map(|why| format!("{}: much of {:?}: {why}", parser.0, text(&piece))));
        }
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}
