//! The end of a tenant: what it runs, that it lingers, and with a purge its home and its user. Each step is
//! noted before it is done or is done again without harm, so that a run that was cut off is finished by the
//! next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::outcome::Outcome;
use super::prepare::alone;
use crate::error::{Error, Result};
use crate::host::interrupt::point;
use crate::host::logind::{self, Linger, Logind};
use crate::host::tenant::system::System;
use crate::host::tenant::{accounts, child, ends, home, make, store};
use crate::names::TenantId;
use crate::snapshot::Fact;
use crate::tenant::Declared;
use crate::tenant::books::Book;
use crate::tenant::wire::{Request, Who};
use crate::tenant::words::clean_line;

/// How long agents may take to end.
const RETIRE: Duration = Duration::from_secs(40);
/// How long a home may take to be emptied.
const EMPTY: Duration = Duration::from_secs(300);

/// How far the end goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All that it runs; user and home stay.
    Processes,
    /// User and home, too.
    User,
}

/// Ends a tenant.
pub fn end(
    name: &TenantId,
    declared: Option<&Declared>,
    reach: Reach,
    system: &System,
    out: &mut Outcome,
) -> Result<()> {
    let _lock = alone(name)?;
    let book = store::book(name)?;
    let user = declared.map(|d| d.user.to_string()).or_else(|| book.as_ref().map(|book| book.user.clone()));
    let there = user.as_deref().map(accounts::by_name).transpose()?.flatten();
    let mut book = match (&there, book) {
        // A record about another user of that name is about nobody who is here.
        (Some(who), Some(book)) if book.uid != who.uid => {
            return Err(Error::machine(format!(
                "{} has uid {} and had uid {} when it was made a tenant: nothing was done",
                who.name, who.uid, book.uid
            )));
        }
        (_, book) => book,
    };
    if let Some(who) = &there {
        (out.user, out.uid) = (Some(who.name.clone()), Some(who.uid));
        may_end(who)?;
        if reach == Reach::User {
            may_remove(who, book.as_ref())?;
        }
        processes(name, who, &mut book, system, out)?;
        if let (Reach::User, Some(book)) = (reach, &book) {
            remove(who, book, system, out)?;
        }
    } else if let (Reach::User, Some(book)) = (reach, &book) {
        // A run before this one came so far.
        ends::everything(system, book.uid, None)?;
        rmdir(&book.home, book.uid)?;
    }
    if let Some(book) = &mut book {
        let kept = store::remove_system_files(book)?;
        out.notes
            .extend(kept.iter().map(|path| format!("{} was changed by hand and is kept", path.display())));
        if !book.files.is_empty() {
            system.reload()?;
            book.files.clear();
        }
        store::keep(name, book)?;
    }
    point("ended");
    if reach == Reach::User {
        store::forget(name)?;
    }
    Ok(())
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
    if book.is_some_and(|book| book.user_by_us && book.user == who.name) && make::is_local(&who.name) {
        return Ok(());
    }
    Err(Error::no(format!("the user {} was there before it became a tenant: nothing was removed", who.name))
        .hint("without --purge, all that it runs is ended")
        .hint(format!("to remove user and home yourself after that: userdel -r {}", who.name)))
}

fn processes(
    name: &TenantId,
    who: &Who,
    book: &mut Option<Book>,
    system: &System,
    out: &mut Outcome,
) -> Result<()> {
    let is_down = |state: &String| matches!(state.as_str(), "inactive" | "failed");
    if !system.manager_of(who.uid).known().is_some_and(is_down) {
        match child::ask(system, who, Request::Retire, RETIRE) {
            Ok(reply) => {
                let stopped = reply.value.as_ref().and_then(|value| value["stopped"].as_array());
                if stopped.is_some_and(|units| !units.is_empty()) {
                    out.did.push("fleet stopped".to_owned());
                }
                out.notes.extend(reply.said.iter().map(|line| clean_line(line)));
                out.notes.extend(reply.error.map(|told| clean_line(&told.message)));
            }
            // It may well be why it is removed; all of it ends in the next steps.
            Err(error) => out.notes.push(format!("its fleet could not be stopped in order: {error}")),
        }
    }
    point("retired");
    let by_us = book.as_ref().is_some_and(|book| book.linger_by_us);
    match (logind::linger(&who.name), by_us) {
        (Fact::Known(true), true) => {
            Logind::connect()?.set_linger(who.uid, Linger::Off)?;
            out.did.push("lingering turned off".to_owned());
        }
        (Fact::Known(true), false) => {
            out.notes.push(format!(
                "lingering was on before it became a tenant and stays on: loginctl disable-linger {}",
                who.name
            ));
        }
        (Fact::Known(false), _) => {}
        (Fact::Unknown(why), _) => return Err(Error::machine(why)),
    }
    if let Some(book) = book.as_mut().filter(|book| book.linger_by_us) {
        book.linger_by_us = false;
        store::keep(name, book)?;
    }
    point("unlingered");
    if ends::everything(system, who.uid, Some(who))? {
        out.did.push("processes ended".to_owned());
    }
    point("terminated");
    Ok(())
}

fn remove(who: &Who, book: &Book, system: &System, out: &mut Outcome) -> Result<()> {
    if book.home_by_us && home::look(&who.home)?.is_some_and(|home| home.uid == who.uid) {
        let reply = child::ask(system, who, Request::RemoveHome, EMPTY)?;
        ends::everything(system, who.uid, Some(who))?;
        out.notes.extend(reply.said.iter().map(|line| clean_line(line)));
        if let Some(told) = reply.error {
            return Err(told.into());
        }
        point("emptied");
        rmdir(&who.home, who.uid)?;
        out.did.push("home removed".to_owned());
    } else if !book.home_by_us {
        out.notes.push(format!("its home {} was there before and stays", who.home.display()));
    }
    let turn = make::turn()?;
    // Before the user: a number whose user is gone may be in use on files anywhere.
    store::retire(who.uid, &who.name)?;
    make::remove(&who.name, &turn)?;
    mail_and_jobs(who);
    out.did.push(format!("user removed, uid {} retired", who.uid));
    Ok(())
}

/// Removes an empty folder that was a home. The folder above it is root's; a link is not followed.
fn rmdir(home: &Path, uid: u32) -> Result<()> {
    if home::look(home)?.is_none_or(|home| home.uid != uid) {
        return Ok(());
    }
    fs::remove_dir(home).map_err(|error| {
        Error::machine(format!("remove the home {}: {error}", home.display())).hint(format!(
            "is it a mount, or is there something of another user in it? ls -la {}",
            home.display()
        ))
    })?;
    point("rmdir");
    Ok(())
}

/// The mailbox, as `userdel -r` removes it, and the table of cron's jobs, which would be the next user's of that
/// name.
fn mail_and_jobs(who: &Who) {
    for folder in ["/var/mail", "/var/spool/cron/crontabs", "/var/spool/cron"] {
        let path = PathBuf::from(folder).join(&who.name);
        if fs::symlink_metadata(&path).is_ok_and(|facts| facts.is_file() && facts.uid() == who.uid) {
            // One that stays is of no harm.
            let _ = fs::remove_file(path);
        }
    }
}
