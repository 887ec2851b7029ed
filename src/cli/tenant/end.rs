//! The end of a tenant: what it runs, that it lingers, and with a purge its home and its user. Each step is
//! noted before it is done or is done again without harm, so that a run that was cut off is finished by the
//! next.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::outcome::Outcome;
use super::prepare::alone;
use super::whom::{Case, Whom, judge};
use crate::error::{Error, Result};
use crate::host::interrupt::point;
use crate::host::logind::{self, Linger, Logind};
use crate::host::tenant::numbers::Other;
use crate::host::tenant::system::System;
use crate::host::tenant::{accounts, child, ends, home, make, store, subids};
use crate::names::TenantId;
use crate::snapshot::Fact;
use crate::tenant::Declared;
use crate::tenant::books::{Book, Span};
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

/// Ends a tenant. `agreed` is called once nothing is left that could be refused, before the first step.
pub fn end(
    name: &TenantId,
    declared: Option<&Declared>,
    reach: Reach,
    agreed: impl FnOnce() -> Result<()>,
    system: &System,
    out: &mut Outcome,
) -> Result<()> {
    let _lock = alone(name)?;
    let Case { whom, mut book } = judge(name, declared, reach)?;
    agreed()?;
    match &whom {
        Whom::Here(who) | Whom::Gone(who) => {
            (out.user, out.uid) = (Some(who.name.clone()), Some(who.uid));
            let here = matches!(whom, Whom::Here(_));
            let spans =
                subids::alone(who, name, &book.as_ref().map(|b| b.subordinate.clone()).unwrap_or_default())?;
            if here {
                in_order(who, system, out);
            } else {
                out.notes.push(format!(
                    "there is no user {} any more: what uid {} has is ended",
                    who.name, who.uid
                ));
            }
            unlinger(name, &mut book, here, out)?;
            processes(who, &spans, system, out)?;
            if let (Reach::User, Some(book)) = (reach, &book) {
                home(who, book, &spans, system, out)?;
                user(who, here, book, out)?;
            }
        }
        Whom::Anothers(other) => {
            anothers(name, other, reach, &mut book, out)?;
        }
        Whom::Nobody => {}
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

/// The fleet's own end, as the tenant.
fn in_order(who: &Who, system: &System, out: &mut Outcome) {
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
}

/// That it lingers ends, where it was us who turned that on.
fn unlinger(name: &TenantId, book: &mut Option<Book>, here: bool, out: &mut Outcome) -> Result<()> {
    let Some(user) = book.as_ref().map(|book| book.user.clone()).or_else(|| out.user.clone()) else {
        return Ok(());
    };
    let by_us = book.as_ref().is_some_and(|book| book.linger_by_us);
    match (logind::linger(&user), by_us) {
        (Fact::Known(true), true) => {
            match out.uid.filter(|_| here) {
                Some(uid) => Logind::connect()?.set_linger(uid, Linger::Off)?,
                // logind takes its word for a user who is there alone.
                None => logind::forget_linger(&user)?,
            }
            out.did.push("lingering turned off".to_owned());
        }
        (Fact::Known(true), false) => {
            out.notes.push(format!(
                "lingering was on before it became a tenant and stays on: {} {user}",
                if here { "loginctl disable-linger" } else { "cd /var/lib/systemd/linger && rm" }
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
    Ok(())
}

fn processes(who: &Who, spans: &[Span], system: &System, out: &mut Outcome) -> Result<()> {
    if ends::everything(system, who, spans)? {
        out.did.push("processes ended".to_owned());
    }
    point("terminated");
    Ok(())
}

/// Removes the home, where we made it: the tenant empties it, and where its user is gone the bare uid.
fn home(who: &Who, book: &Book, spans: &[Span], system: &System, out: &mut Outcome) -> Result<()> {
    if !book.home_by_us {
        out.notes.push(format!("its home {} was there before and stays", who.home.display()));
        return Ok(());
    }
    if home::look(&who.home)?.is_none_or(|home| home.uid != who.uid) {
        return Ok(());
    }
    let reply = child::ask(system, who, Request::RemoveHome, EMPTY)?;
    ends::everything(system, who, spans)?;
    out.notes.extend(reply.said.iter().map(|line| clean_line(line)));
    if let Some(told) = reply.error {
        return Err(told.into());
    }
    point("emptied");
    rmdir(&who.home, who.uid)?;
    out.did.push("home removed".to_owned());
    Ok(())
}

/// Removes the user, and has no tenant get its numbers again.
fn user(who: &Who, here: bool, book: &Book, out: &mut Outcome) -> Result<()> {
    let turn = make::turn()?;
    let mut subordinate = subids::of(who)?;
    subordinate.add(&book.subordinate);
    // Before the user: a number whose user is gone may be in use on files anywhere.
    store::retire(who.uid, &who.name, false, &subordinate)?;
    if here {
        make::remove(&who.name, &turn)?;
    } else if book.user_by_us && accounts::group(&who.name)? == Some((who.uid, Vec::new())) {
        // A userdel that was cut off leaves the group that useradd made with the user.
        make::remove_group(&who.name, &turn)?;
    }
    mail_and_jobs(who);
    out.did.push(format!("{}uid {} retired", if here { "user removed, " } else { "" }, who.uid));
    Ok(())
}

/// Nothing of a number is touched that is somebody else's now.
fn anothers(
    name: &TenantId,
    other: &Other,
    reach: Reach,
    book: &mut Option<Book>,
    out: &mut Outcome,
) -> Result<()> {
    if let Some(user) = book.as_ref().map(|book| book.user.clone())
        && accounts::by_name(&user)?.is_none()
    {
        unlinger(name, book, false, out)?;
    }
    let Some(book) = book else {
        out.notes.push(format!("its user is that of {other}, and nothing of it was touched"));
        return Ok(());
    };
    out.notes.push(format!(
        "uid {}, which its user {} had, is that of {other} now: nothing that this uid runs or has was touched, nor {}",
        book.uid,
        book.user,
        book.home.display()
    ));
    match other {
        // What stands there is that one's: it was written for the same uid.
        Other::Tenant(_) => book.files.clear(),
        Other::User(_) if reach == Reach::User => {
            let _turn = make::turn()?;
            store::retire(book.uid, &book.user, false, &book.subordinate)?;
            out.did.push(format!("uid {} retired: no tenant gets it", book.uid));
        }
        Other::User(_) => {}
    }
    store::keep(name, book)
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
