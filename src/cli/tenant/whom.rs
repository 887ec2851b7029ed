//! Whom the end of a tenant is about: looked up and judged, nothing changed. So a refusal comes before the first
//! step, and before the declaration says anything else.

use std::path::PathBuf;

use super::end::Reach;
use crate::error::{Error, Result};
use crate::host::tenant::numbers::{self, Other};
use crate::host::tenant::{accounts, make, store};
use crate::names::TenantId;
use crate::tenant::Declared;
use crate::tenant::books::Book;
use crate::tenant::wire::Who;

/// The group of a user whose entry is gone: nobody's. What is to be removed is the user's by its uid alone.
const NO_GROUP: u32 = 65_534;

/// Whose the tenant's uid is.
#[derive(Debug)]
pub enum Whom {
    /// The tenant's user, who is there.
    Here(Who),
    /// The tenant's user, who has gone from the password database, and nobody else has its number.
    Gone(Who),
    /// Its number is somebody else's now: nothing of it is the tenant's.
    Anothers(Other),
    /// Nobody: no user was made, and none is there.
    Nobody,
}

/// What is ended.
#[derive(Debug)]
pub struct Case {
    /// Whom.
    pub whom: Whom,
    /// What root did for the tenant.
    pub book: Option<Book>,
}

/// Looks and judges. What was done decides, and what is declared where nothing was: a declaration may have got
/// another user since.
pub fn judge(name: &TenantId, declared: Option<&Declared>, reach: Reach) -> Result<Case> {
    let book = store::book(name)?;
    let whom = match (&book, declared) {
        (Some(book), _) => of_book(name, book)?,
        (None, Some(declared)) => of_declared(name, declared)?,
        (None, None) => Whom::Nobody,
    };
    if let Whom::Here(who) | Whom::Gone(who) = &whom {
        may_end(who)?;
    }
    if let (Whom::Here(who), Reach::User) = (&whom, reach) {
        may_remove(who, book.as_ref())?;
    }
    Ok(Case { whom, book })
}

/// A tenant for whom nothing was done yet.
fn of_declared(name: &TenantId, declared: &Declared) -> Result<Whom> {
    let Some(who) = accounts::by_name(declared.user.as_str())? else { return Ok(Whom::Nobody) };
    Ok(match numbers::other_tenant(name, who.uid)? {
        Some(other) => Whom::Anothers(Other::Tenant(other)),
        None => Whom::Here(who),
    })
}

fn of_book(name: &TenantId, book: &Book) -> Result<Whom> {
    Ok(match accounts::by_name(&book.user)? {
        Some(who) if who.uid == book.uid => match numbers::heir(name, book)? {
            Some(heir) => Whom::Anothers(Other::Tenant(heir)),
            None => Whom::Here(who),
        },
        // A record about another user of that name is about nobody who is here.
        Some(who) => return Err(another_of_that_name(name, &who, book.uid)),
        None => match numbers::other(name, book.uid)? {
            Some(other) => Whom::Anothers(other),
            None => Whom::Gone(gone(book)),
        },
    })
}

fn another_of_that_name(name: &TenantId, who: &Who, before: u32) -> Error {
    Error::machine(format!(
        "{} has uid {} and had uid {before} when it was made a tenant: nothing was done",
        who.name, who.uid
    ))
    .hint(format!("see what is left of the other one: ps -U {before}; find / -xdev -uid {before}"))
    .hint(format!(
        "to have a tenant of the user as it is now, which can be removed then: fleet tenant add {name} --user {}",
        who.name
    ))
}

/// A user of whom the record alone is left.
fn gone(book: &Book) -> Who {
    Who {
        name: book.user.clone(),
        uid: book.uid,
        gid: NO_GROUP,
        groups: vec![NO_GROUP],
        home: book.home.clone(),
        shell: PathBuf::from("/bin/sh"),
    }
}

/// Nothing that is not an ordinary user is ended, whatever a declaration says.
fn may_end(who: &Who) -> Result<()> {
    if who.uid < 1000 || who.uid == 65_534 {
        return Err(Error::input(format!("{} has uid {}: a system user is no tenant", who.name, who.uid)));
    }
    Ok(())
}

/// Only what we made is removed.
fn may_remove(who: &Who, book: Option<&Book>) -> Result<()> {
    let local = make::is_local(&who.name);
    if local && book.is_some_and(|book| book.user_by_us && book.user == who.name) {
        return Ok(());
    }
    let by_hand = match local {
        true => format!("to remove user and home yourself after that: userdel -r {}", who.name),
        false => "the user comes from elsewhere and can't be removed here".to_owned(),
    };
    Err(Error::no(format!("the user {} was there before it became a tenant: nothing was removed", who.name))
        .hint("without --purge, all that it runs is ended")
        .hint(by_hand))
}
