//! Subordinate uids and gids, by which a user runs containers without root: those that the machine's own
//! tools give to whom they make, for a user who was there without.

use std::path::Path;

use super::make::{self, Turn};
use super::store;
use crate::error::{Error, Result};
use crate::names::TenantId;
use crate::tenant::books::{Span, Spans};
use crate::tenant::wire::Who;

/// Who has which uids, and the option of `usermod` that adds some.
const UIDS: (&str, &str) = ("/etc/subuid", "--add-subuids");
/// The same of gids.
const GIDS: (&str, &str) = ("/etc/subgid", "--add-subgids");
/// The numbers that are given away, and how many to one user, where the machine says nothing else.
const RANGE: (u32, u32, u32) = (100_000, 600_100_000, 65_536);

/// The last of the numbers that users and the system itself have.
const SYSTEM: u32 = 65_535;

/// Whether the user has none, of either kind, and could: an ordinary one of this machine's own.
pub fn lacks(who: &Who) -> Result<bool> {
    let (first, last) = make::range();
    Ok((first..=last).contains(&who.uid)
        && make::is_local(&who.name)
        && !make::is_nixos()
        && are_here()?
        && [UIDS, GIDS].iter().all(|(file, _)| Path::new(file).exists())
        && !(has(&text(UIDS.0)?, who) && has(&text(GIDS.0)?, who)))
}

/// Those that the machine's files give the user.
pub fn of(who: &Who) -> Result<Spans> {
    of_user(&who.name, who.uid)
}

/// The same, of a user of that name and number.
pub fn of_user(name: &str, uid: u32) -> Result<Spans> {
    Ok(Spans { uids: spans_in(&text(UIDS.0)?, name, uid), gids: spans_in(&text(GIDS.0)?, name, uid) })
}

/// Those that such a file's text gives the user.
pub fn spans_in(text: &str, name: &str, uid: u32) -> Vec<Span> {
    text.lines().filter(|line| is_users(line, name, uid)).filter_map(span).collect()
}

/// Uids that are subordinate to this user and to nobody else, with those that it had when its tenant was last
/// brought up. What runs as one of them is the tenant's.
pub fn alone(who: &Who, tenant: &TenantId, known: &Spans) -> Result<Vec<Span>> {
    let mut all = of(who)?;
    all.add(known);
    let mut others: Vec<Span> =
        text(UIDS.0)?.lines().filter(|line| !is_of(line, who)).filter_map(span).collect();
    others.extend(of_tenants(tenant)?.uids);
    all.uids.retain(|own| own.first > SYSTEM && !others.iter().any(|other| other.meets(*own)));
    Ok(all.uids)
}

/// Those of all other tenants, by their records, also of users who are gone.
fn of_tenants(but: &TenantId) -> Result<Spans> {
    let mut all = Spans::default();
    for (_, book) in store::books()?.into_iter().filter(|(name, _)| name != but) {
        // What one that can't be read says is missing, and no reason to do nothing for the others.
        all.add(&book.map(|book| book.subordinate).unwrap_or_default());
    }
    Ok(all)
}

/// Those of the user that are in another tenant's record, or that one had before: the machine's own tools know
/// nothing of that.
pub fn of_others(who: &Who, tenant: &TenantId) -> Result<Spans> {
    let had = had(who.uid, tenant)?;
    let mut own = of(who)?;
    own.uids.retain(|span| had.uids.iter().any(|other| other.meets(*span)));
    own.gids.retain(|span| had.gids.iter().any(|other| other.meets(*span)));
    Ok(own)
}

/// All that other tenants have and that users had who were one's.
fn had(own: u32, tenant: &TenantId) -> Result<Spans> {
    let mut had = of_tenants(tenant)?;
    let retired = store::retired()?;
    retired.uids.iter().filter(|one| one.uid != own).for_each(|one| had.add(&one.subordinate));
    Ok(had)
}

/// Gives them; the first, or `None` where the machine gives none or somebody else was first. Nobody has or had
/// them.
pub fn give(who: &Who, tenant: &TenantId, turn: &Turn) -> Result<Option<u32>> {
    let defaults = make::defaults();
    let value = |key: &str, usual| make::number(&defaults, key).unwrap_or(usual);
    let (min, max, count) =
        (value("SUB_UID_MIN", RANGE.0), value("SUB_UID_MAX", RANGE.1), value("SUB_UID_COUNT", RANGE.2));
    if count == 0 || !lacks(who)? {
        return Ok(None);
    }
    let texts = [text(UIDS.0)?, text(GIDS.0)?];
    let mut taken: Vec<Span> = texts.iter().flat_map(|text| text.lines()).filter_map(span).collect();
    let had = had(who.uid, tenant)?;
    taken.extend(had.uids.iter().chain(&had.gids));
    let first = free(taken, min, max, count)
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

/// What can't be read says nothing of who has which numbers: taken for empty, it would give away another's.
fn text(file: &str) -> Result<String> {
    make::table(file).map_err(Error::machine)
}

/// Whether these files are asked at all: a directory may decide instead.
fn are_here() -> Result<bool> {
    let switch = text("/etc/nsswitch.conf")?;
    let sources = switch.lines().find_map(|line| line.trim().strip_prefix("subid:"));
    Ok(sources.is_none_or(|sources| sources.split_whitespace().eq(["files"])))
}

/// Whether a line is the user's.
fn has(text: &str, who: &Who) -> bool {
    text.lines().any(|line| is_of(line, who))
}

/// Whether this line is, by name or by number.
fn is_of(line: &str, who: &Who) -> bool {
    is_users(line, &who.name, who.uid)
}

fn is_users(line: &str, name: &str, uid: u32) -> bool {
    line.split(':').next().is_some_and(|owner| owner == name || owner == uid.to_string())
}

/// The first of `count` numbers that are none of these.
pub fn free(mut taken: Vec<Span>, min: u32, max: u32, count: u32) -> Option<u32> {
    taken.sort_unstable();
    let mut first = u64::from(min);
    for span in taken {
        if u64::from(span.first) < first + u64::from(count) && span.end() > first {
            first = span.end();
        }
    }
    u32::try_from(first).ok().filter(|first| u64::from(*first) + u64::from(count) <= u64::from(max) + 1)
}

/// The numbers of a line.
fn span(line: &str) -> Option<Span> {
    let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u32>().ok());
    Some(Span { first: fields.next()??, count: fields.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Option<u32> {
        free(text.lines().filter_map(span).collect(), 100_000, 400_000, 65_536)
    }

    #[test]
    fn the_first_numbers_that_nobody_has_are_taken_and_no_line_is_crossed() {
        assert_eq!(first(""), Some(100_000));
        assert_eq!(first("a:100000:65536\n"), Some(165_536));
        assert_eq!(first("a:100000:65536\n1001:231072:65536\n"), Some(165_536));
        assert_eq!(first("b:160000:10\na:100000:1\n"), Some(160_010));
        assert_eq!(first("a:0:4294967295\n"), None);
        assert_eq!(first("what is this\na:x:y\n"), Some(100_000));
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
