//! Whose a uid is, and which ones a tenant can have: by the password database, by what root did for every tenant,
//! and by those that tenants had before.

use nix::unistd::{Gid, Group, Uid, User};

use super::make::{Turn, range};
use super::{accounts, store};
use crate::error::{Error, Result};
use crate::names::TenantId;
use crate::tenant::books::{Book, Retired, RetiredUids};

/// Numbers that systemd gives away itself.
const DYNAMIC: std::ops::RangeInclusive<u32> = 61_184..=65_535;

/// Somebody else who has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// Another tenant, by its record.
    Tenant(TenantId),
    /// A user of that name.
    User(String),
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tenant(name) => write!(f, "the tenant {name}"),
            Self::User(name) => write!(f, "the user {name}"),
        }
    }
}

/// Who has the number of a tenant whose user is gone.
pub fn other(tenant: &TenantId, uid: u32) -> Result<Option<Other>> {
    if let Some(name) = other_tenant(tenant, uid)? {
        return Ok(Some(Other::Tenant(name)));
    }
    Ok(accounts::by_uid(uid)?.map(|who| Other::User(who.name)))
}

/// Another tenant whose record has the number.
pub fn other_tenant(tenant: &TenantId, uid: u32) -> Result<Option<TenantId>> {
    Ok(records(tenant, uid)?.next().map(|(name, _)| name))
}

/// Another tenant who has that very user now, where this one has been ended.
pub fn heir(tenant: &TenantId, book: &Book) -> Result<Option<TenantId>> {
    if !book.is_ended() {
        return Ok(None);
    }
    let mut heirs = records(tenant, book.uid)?.filter(|(_, other)| !other.is_ended());
    Ok(heirs.next().map(|(name, _)| name))
}

/// Records of others that have the number. Who asks ends what is nobody else's: one that can't be read may be that of
/// whom the number is now.
fn records(but: &TenantId, uid: u32) -> Result<impl Iterator<Item = (TenantId, Book)>> {
    let others = store::books()?.into_iter().filter(|(name, _)| name != but);
    let all = others.map(|(name, book)| Ok((name, book?))).collect::<Result<Vec<_>>>().map_err(|error| {
        error.hint(format!("until it is known whether another tenant has uid {uid} now, it is left as it is"))
    })?;
    Ok(all.into_iter().filter(move |(_, book)| book.uid == uid))
}

/// Refuses a number that the tenant can't have; `own` is the user who may have it.
pub fn can_have(uid: u32, own: Option<&str>, tenant: &TenantId) -> Result<()> {
    if let Some(retired) = store::retired()?.of(uid).filter(|one| !(one.stays && own == Some(&one.user))) {
        return Err(was_anothers(retired, own, tenant)?);
    }
    claimed(uid, own, tenant)?;
    let (first, last) = range();
    if uid < first {
        return Err(Error::input(format!("uid {uid} is a system uid: ordinary users begin at {first} here")));
    }
    if DYNAMIC.contains(&uid) {
        return Err(Error::input(format!("uid {uid} is among those that systemd gives away itself")));
    }
    if own.is_none() && uid > last {
        return Err(Error::input(format!(
            "uid {uid} is beyond {last}, the last that this machine gives to users"
        )));
    }
    let other = accounts::by_uid(uid)?.filter(|who| own != Some(who.name.as_str()));
    match other {
        Some(other) => Err(Error::input(format!("uid {uid} is in use: it is {}'s", other.name))),
        None => Ok(()),
    }
}

fn was_anothers(retired: &Retired, own: Option<&str>, tenant: &TenantId) -> Result<Error> {
    let Retired { uid, user, .. } = retired;
    let error = if retired.stays {
        Error::input(format!(
            "uid {uid} was a tenant's, whose user was {user}, and files of that may be left"
        ))
    } else {
        Error::input(format!(
            "uid {uid} was a tenant's that has been removed, and files of that tenant may be left"
        ))
    };
    if store::book(tenant)?.is_some_and(|book| book.uid == *uid) {
        return Ok(
            error.hint(format!("its removal was cut off; finish it: fleet tenant remove {tenant} --purge"))
        );
    }
    Ok(another(error, *uid, own))
}

/// Refuses a number that is another tenant's by its record, also where that one's user is gone: its home is not.
fn claimed(uid: u32, own: Option<&str>, tenant: &TenantId) -> Result<()> {
    for (name, book) in store::books()?.into_iter().filter(|(name, _)| name != tenant) {
        match book {
            Ok(book) if book.uid == uid && own != Some(&book.user) => {
                let error =
                    Error::input(format!("uid {uid} is the tenant {name}'s, whose user is {}", book.user));
                return Err(another(error, uid, own));
            }
            // Which number it has is not known: somebody new could be given that one.
            Err(error) if own.is_none() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// With what to do instead: somebody new gets another number, and somebody who is there can be given one.
fn another(error: Error, uid: u32, own: Option<&str>) -> Error {
    let Some(name) = own else { return error.hint("leave the uid out, or take another one") };
    let home = accounts::by_name(name).ok().flatten().map(|who| who.home).unwrap_or_default();
    let free = lowest().map_or_else(|_| "UID".to_owned(), |free| free.to_string());
    error
        .hint(format!(
            "see what else has that number, and remove what was that tenant's: find / -xdev -uid {uid} -not -path '{}*'",
            home.display()
        ))
        .hint(format!(
            "then, with nothing of it running, give {name} another number, and its home with it: usermod --uid {free} {name}"
        ))
}

/// The lowest number that nobody has and no tenant had. Called with the turn held.
pub fn free_uid(_turn: &Turn) -> Result<u32> {
    lowest()
}

/// The same, which may be somebody's by the time that it is used.
pub fn lowest() -> Result<u32> {
    let (first, last) = range();
    let retired = store::retired()?;
    let books = store::books()?.into_iter().map(|(_, book)| book).collect::<Result<Vec<Book>>>()?;
    (first..=last)
        .find(|uid| is_free(*uid, &retired, &books))
        .ok_or_else(|| Error::machine(format!("no uid from {first} to {last} is free")))
}

fn is_free(uid: u32, retired: &RetiredUids, books: &[Book]) -> bool {
    retired.of(uid).is_none()
        && books.iter().all(|book| book.uid != uid)
        && !DYNAMIC.contains(&uid)
        && matches!(User::from_uid(Uid::from_raw(uid)), Ok(None))
        && matches!(Group::from_gid(Gid::from_raw(uid)), Ok(None))
}
