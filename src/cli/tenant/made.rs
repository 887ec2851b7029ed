//! A tenant's user as root makes it, and the numbers that it has: its own, and subordinate ones.

use std::path::Path;

use super::outcome::Outcome;
use crate::error::{Error, Result};
use crate::host::tenant::make::{self, New, Turn};
use crate::host::tenant::{accounts, home, numbers, store, subids};
use crate::names::TenantId;
use crate::tenant::Declared;
use crate::tenant::books::{Book, Span, Spans};
use crate::tenant::wire::Who;

/// Makes it. Called with the turn held.
pub fn make(
    declared: &Declared,
    uid: Option<u32>,
    home: &Path,
    turn: &Turn,
    out: &mut Outcome,
) -> Result<(Who, Book)> {
    let name = declared.user.as_str();
    let uid = match uid {
        Some(uid) => uid,
        None => numbers::free_uid(turn)?,
    };
    let known = store::book(&declared.name)?.filter(|book| book.uid == uid && book.user == name);
    let had_home = home::look(home)?.is_some();
    let mut book =
        known.clone().unwrap_or_else(|| Book::new(declared.name.as_str(), name, uid, home.to_path_buf()));
    book.user_by_us = true;
    book.home_by_us |= !had_home;
    supersede(&declared.name, uid, turn)?;
    // Said before it is done: a run that is cut off leaves nothing that nobody knows the maker of.
    store::keep(&declared.name, &book)?;
    if let Err(error) = make::user(New { name, uid, home, shell: declared.shell.as_deref() }, turn) {
        // Where nothing came of it, the number is nobody's: it may be given to another the next moment.
        if accounts::by_name(name)?.is_none() && home::look(home)?.is_some() == had_home {
            match known {
                Some(known) => store::keep(&declared.name, &known)?,
                None => store::unkeep(&declared.name)?,
            }
        }
        return Err(error);
    }
    let who = accounts::by_name(name)?
        .filter(|who| who.uid == uid)
        .ok_or_else(|| Error::machine(format!("useradd made {name}, and it is not there")))?;
    out.did.push(format!("user made with uid {uid}"));
    Ok((who, book))
}

/// A tenant gets another number than the one of its record: nobody else gets that.
pub fn supersede(tenant: &TenantId, uid: u32, _turn: &Turn) -> Result<()> {
    let Some(old) = store::book(tenant)?.filter(|old| old.uid != uid) else { return Ok(()) };
    if numbers::other_tenant(tenant, old.uid)?.is_some() {
        return Ok(());
    }
    let stays = accounts::by_name(&old.user)?.is_some_and(|who| who.uid == old.uid);
    store::retire(old.uid, &old.user, stays, &old.subordinate)
}

/// Subordinate uids: a user whom we made has none yet, and one that was there before may have come without.
pub fn subordinate(tenant: &TenantId, who: &Who, book: &mut Book, out: &mut Outcome) -> Result<()> {
    if subids::lacks(who)?
        && let Some(first) = subids::give(who, tenant, &make::turn()?)?
    {
        out.did.push(format!("subordinate uids given from {first} on"));
    }
    out.notes.extend(of_others(tenant, who)?);
    book.subordinate.add(&subids::of(who)?);
    Ok(())
}

/// What an admin should know of subordinate uids that the machine's own tools gave.
fn of_others(tenant: &TenantId, who: &Who) -> Result<Option<String>> {
    let (others, user) = (subids::of_others(who, tenant)?, &who.name);
    if others == Spans::default() {
        return Ok(None);
    }
    let range = |span: &Span| format!("{}-{}", span.first, span.end().saturating_sub(1));
    let uids = others.uids.iter().map(|span| format!(" --del-subuids {}", range(span)));
    let gids = others.gids.iter().map(|span| format!(" --del-subgids {}", range(span)));
    let change: String = uids.chain(gids).collect();
    Ok(Some(format!(
        "it has subordinate numbers that another tenant has or had; to give it others, which ends it for a moment: \
        fleet tenant remove {tenant} && usermod{change} {user} && fleet tenant add {tenant} --user {user}"
    )))
}
