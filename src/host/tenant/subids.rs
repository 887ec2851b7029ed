//! Subordinate uids and gids, by which a user runs containers without root: those that the machine's own
//! tools give to whom they make, for a user who was there without.

use std::fs;
use std::path::Path;

use super::make::{self, Turn};
use crate::error::{Error, Result};
use crate::tenant::wire::Who;

/// Who has which uids, and the option of `usermod` that adds some.
const UIDS: (&str, &str) = ("/etc/subuid", "--add-subuids");
/// The same of gids.
const GIDS: (&str, &str) = ("/etc/subgid", "--add-subgids");
/// The numbers that are given away, and how many to one user, where the machine says nothing else.
const RANGE: (u32, u32, u32) = (100_000, 600_100_000, 65_536);

/// Whether the user has none, of either kind, and could: an ordinary one of this machine's own.
pub fn lacks(who: &Who) -> bool {
    let (first, last) = make::range();
    (first..=last).contains(&who.uid)
        && make::is_local(&who.name)
        && !make::is_nixos()
        && are_here()
        && [UIDS, GIDS].iter().all(|(file, _)| Path::new(file).exists())
        && [UIDS, GIDS].iter().any(|(file, _)| !has(&text(file), who))
}

/// Gives them; the first, or `None` where the machine gives none or somebody else was first.
pub fn give(who: &Who, turn: &Turn) -> Result<Option<u32>> {
    let defaults = make::defaults();
    let value = |key: &str, usual| make::number(&defaults, key).unwrap_or(usual);
    let (min, max, count) =
        (value("SUB_UID_MIN", RANGE.0), value("SUB_UID_MAX", RANGE.1), value("SUB_UID_COUNT", RANGE.2));
    if count == 0 || !lacks(who) {
        return Ok(None);
    }
    let texts = [UIDS, GIDS].map(|(file, _)| text(file));
    let first = free(&texts, min, max, count)
        .ok_or_else(|| Error::machine(format!("no {count} subordinate uids are free up to {max}")))?;
    let span = format!("{first}-{}", u64::from(first) + u64::from(count) - 1);
    let mut words = Vec::new();
    for ((_, option), text) in [UIDS, GIDS].iter().zip(&texts) {
        if !has(text, who) {
            words.extend([*option, span.as_str()]);
        }
    }
    make::change(&who.name, &words, turn)?;
    Ok(Some(first))
}

fn text(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// Whether these files are asked at all: a directory may decide instead.
fn are_here() -> bool {
    let switch = text("/etc/nsswitch.conf");
    let sources = switch.lines().find_map(|line| line.trim().strip_prefix("subid:"));
    sources.is_none_or(|sources| sources.split_whitespace().eq(["files"]))
}

/// Whether a line is the user's, by name or by number.
fn has(text: &str, who: &Who) -> bool {
    let number = who.uid.to_string();
    text.lines().filter_map(|line| line.split(':').next()).any(|owner| owner == who.name || owner == number)
}

/// The first of `count` numbers that stand in no line.
fn free(texts: &[String], min: u32, max: u32, count: u32) -> Option<u32> {
    let mut taken: Vec<(u64, u64)> = texts.iter().flat_map(|text| text.lines()).filter_map(span).collect();
    taken.sort_unstable();
    let mut first = u64::from(min);
    for (begin, end) in taken {
        if begin < first + u64::from(count) && end > first {
            first = end;
        }
    }
    u32::try_from(first).ok().filter(|first| u64::from(*first) + u64::from(count) <= u64::from(max) + 1)
}

/// From where to where, the end not among them, a line goes.
fn span(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u64>().ok());
    let (first, count) = (fields.next()??, fields.next()??);
    Some((first, first.saturating_add(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(texts: &[&str]) -> Option<u32> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        free(&texts, 100_000, 400_000, 65_536)
    }

    #[test]
    fn the_first_numbers_that_nobody_has_are_taken_and_no_line_is_crossed() {
        assert_eq!(first(&["", ""]), Some(100_000));
        assert_eq!(first(&["a:100000:65536\n", ""]), Some(165_536));
        assert_eq!(first(&["", "a:100000:65536\n1001:231072:65536\n"]), Some(165_536));
        assert_eq!(first(&["b:160000:10\na:100000:1\n", ""]), Some(160_010));
        assert_eq!(first(&["a:0:4294967295\n", ""]), None);
        assert_eq!(first(&["what is this\na:x:y\n", ""]), Some(100_000));
    }

    #[test]
    fn a_line_is_a_users_by_its_name_or_its_number() {
        let who = Who {
            name: "usc".into(),
            uid: 1001,
            gid: 1001,
            groups: Vec::new(),
            home: "/home/usc".into(),
            shell: "/bin/sh".into(),
        };
        assert!(has("a:1:1\nusc:100000:65536\n", &who) && has("1001:100000:65536", &who));
        assert!(!has("uscx:100000:65536\n10011:1:1\n", &who));
    }
}
