//! What is to become of a declared tenant's user: looked up and judged, nothing changed. So a refusal comes
//! before the first step.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::host::programs;
use crate::host::tenant::{accounts, home, make, numbers, store};
use crate::host::users::{self, Caller};
use crate::tenant::Declared;
use crate::tenant::books::Book;
use crate::tenant::wire::Who;

/// What is to become of the user.
#[derive(Debug)]
pub enum Decision {
    /// It is there.
    There {
        /// The user.
        who: Who,
        /// What root did for the tenant before, or nothing yet.
        book: Box<Book>,
    },
    /// It is to be made.
    Make {
        /// With that number; `None` for a free one.
        uid: Option<u32>,
        /// In that home.
        home: PathBuf,
    },
}

/// Looks and judges.
pub fn decide(declared: &Declared) -> Result<Decision> {
    let name = declared.user.as_str();
    let known = store::book(&declared.name)?;
    if let Some(book) = &known {
        same_user(declared, book)?;
    }
    match accounts::by_name(name)? {
        Some(who) => {
            if declared.shell.as_ref().is_some_and(|shell| *shell != who.shell) && make::is_local(name) {
                shell_runs(declared)?;
            }
            there(declared, who, known)
        }
        None => {
            let decision = absent(declared, known)?;
            shell_runs(declared)?;
            Ok(decision)
        }
    }
}

/// Refuses a login shell that can't be run, which the tools that set it only warn of. One in a place that
/// somebody else than root controls is not looked at.
fn shell_runs(declared: &Declared) -> Result<()> {
    let Some(shell) = &declared.shell else { return Ok(()) };
    if users::foreign_path(&Caller::root(), shell).is_some() {
        return Ok(());
    }
    programs::check(shell).map_err(|flaw| {
        Error::input(format!("the shell {}: {flaw}", shell.display()))
            .hint("see which there are: cat /etc/shells")
    })
}

/// Refuses another user than the one whom the tenant has: that one would run on, and nobody would know
/// any more what was made for it.
fn same_user(declared: &Declared, book: &Book) -> Result<()> {
    let (old, new) = (&book.user, declared.user.as_str());
    // Of one that was ended nothing is left but itself.
    if old == new || book.is_ended() || accounts::by_name(old)?.is_none_or(|who| who.uid != book.uid) {
        return Ok(());
    }
    let name = &declared.name;
    Err(Error::input(format!("its user is {old}, and {new} is declared now")).hint(format!(
        "declare {old} again; or end the tenant before it gets another: fleet tenant remove {name}"
    )))
}

fn there(declared: &Declared, who: Who, known: Option<Book>) -> Result<Decision> {
    let name = &who.name;
    if let Some(uid) = declared.uid.filter(|uid| *uid != who.uid) {
        return Err(Error::input(format!(
            "the user {name} has uid {}, and uid {uid} was asked for",
            who.uid
        ))
        .hint("leave the uid out to take the user as it is"));
    }
    numbers::can_have(who.uid, Some(name), &declared.name)?;
    if who.gid == 0 || who.groups.contains(&0) {
        return Err(Error::input(format!("the user {name} is in root's group, and can't be a tenant"))
            .hint(format!("to take it out of the group: gpasswd -d {name} root")));
    }
    if let Some(wanted) = declared.home.as_ref().filter(|home| **home != who.home) {
        return Err(Error::input(format!(
            "the home of {name} is {}, and {} was asked for",
            who.home.display(),
            wanted.display()
        ))
        .hint("leave the home out to take the user as it is"));
    }
    // A record about another user of that name is about nobody who is here.
    let same = known.filter(|book| book.uid == who.uid && book.user == *name);
    let book = same.unwrap_or_else(|| Book::new(declared.name.as_str(), name, who.uid, who.home.clone()));
    match home::look(&who.home)? {
        Some(home) if home.uid == who.uid || (home.uid == 0 && book.home_by_us) => {}
        Some(home) => return Err(foreign(&who.home, home.uid)),
        None if book.home_by_us => {}
        None => {
            let path = who.home.display();
            return Err(Error::machine(format!("the home of {name}, {path}, does not exist"))
                .hint(format!("install -d -m 0700 -o {name} -g {} {path}", who.gid)));
        }
    }
    Ok(Decision::There { who, book: Box::new(book) })
}

fn absent(declared: &Declared, known: Option<Book>) -> Result<Decision> {
    let name = declared.user.as_str();
    make::can_make(name)?;
    if let Some((gid, _)) = accounts::group(name)? {
        return Err(group_is_there(declared, gid));
    }
    // A tenant's number is its own, where a run was cut off as where its user was removed by hand.
    let own = known.filter(|book| book.user == name);
    let begun = own.as_ref().is_some_and(|book| book.user_by_us);
    let own = match own.map(|book| book.uid) {
        Some(uid) => still_own(uid, numbers::can_have(uid, None, &declared.name))?,
        None => None,
    };
    let uid = declared.uid.or(own);
    match uid {
        Some(uid) => numbers::can_have(uid, None, &declared.name)?,
        None => drop(numbers::lowest()?),
    }
    let home = declared.home.clone().unwrap_or_else(|| Path::new("/home").join(name));
    if let Some(there) = home::look(&home)?
        && Some(there.uid) != uid
        && !(there.uid == 0 && begun && own.is_some())
    {
        return Err(foreign(&home, there.uid));
    }
    Ok(Decision::Make { uid, home })
}

/// The tenant's own number, where it can have that again.
fn still_own(uid: u32, can_have: Result<()>) -> Result<Option<u32>> {
    match can_have {
        Ok(()) => Ok(Some(uid)),
        // That it could not be looked up is no reason for another one: its home has this.
        Err(error) if error.kind == Kind::Machine => Err(error),
        Err(_) => Ok(None),
    }
}

/// A user whom we make has a group of its own, of its name.
fn group_is_there(declared: &Declared, gid: u32) -> Error {
    let (tenant, user) = (&declared.name, &declared.user);
    Error::input(format!(
        "there is no user {user}, and a group {user} (gid {gid}) that is none of a user's own"
    ))
    .hint(format!("where nobody needs the group: groupdel {user}"))
    .hint(format!("or make the user yourself, in that group: useradd --create-home --gid {user} {user}"))
    .hint(format!("or take another user: fleet tenant add {tenant} --user USER"))
}

fn foreign(home: &Path, uid: u32) -> Error {
    let owner = accounts::by_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |who| who.name);
    let path = home.display();
    Error::machine(format!("the home {path} is there already and belongs to {owner}"))
        .hint(format!("look at it, then move it away, ls -ld {path}, or declare another home"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_could_not_be_looked_up_is_not_exchanged() {
        assert_eq!(still_own(1500, Ok(())), Ok(Some(1500)));
        assert_eq!(still_own(1500, Err(Error::input("it is another's"))), Ok(None));
        assert!(still_own(1500, Err(Error::machine("the directory does not answer"))).is_err());
    }
}
