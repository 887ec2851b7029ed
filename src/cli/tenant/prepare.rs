//! Brings one tenant up, in two parts: what is the system's (user, home, limits), then what is the tenant's
//! (lingering, manager, fleet). Between them the system's manager reads its files once for all.

use std::time::Duration;

use super::decide::{Decision, decide};
use super::made;
use super::outcome::Outcome;
use crate::error::{Error, Result};
use crate::host::lock::{self, Lock};
use crate::host::logind::{self, Linger, Logind};
use crate::host::tenant::child;
use crate::host::tenant::make;
use crate::host::tenant::system::System;
use crate::host::tenant::{accounts, home, store};
use crate::host::{account, interrupt, site};
use crate::names::TenantId;
use crate::snapshot::Fact;
use crate::snapshot::boot::Account;
use crate::tenant::books::Book;
use crate::tenant::place;
use crate::tenant::wire::{Given, Other, Request, Start, Who};
use crate::tenant::{Declared, Fleet};

/// How long another run for the same tenant may take.
const TURN: Duration = Duration::from_secs(300);
/// How long a manager may take to come up.
const MANAGER: Duration = Duration::from_secs(30);
/// How long the tenant's own apply may take.
const APPLY: Duration = Duration::from_secs(180);

/// A tenant whose user is there.
#[derive(Debug)]
pub struct Ready {
    /// The user.
    pub who: Who,
    /// What root did.
    pub book: Book,
    /// Whether the system's manager has to read its files.
    pub reload_due: bool,
    _lock: Lock,
}

/// Waits until nobody else does anything for the tenant.
pub fn alone(name: &TenantId) -> Result<Lock> {
    lock::take(&place::lock(name), "fleet that works on this tenant", TURN, |_| {})
}

/// The same where nobody does; `None` where somebody does.
pub fn alone_now(name: &TenantId) -> Result<Option<Lock>> {
    lock::take_free(&place::lock(name))
}

/// User, home, limits.
pub fn system(declared: &Declared, lock: Lock, out: &mut Outcome) -> Result<Ready> {
    let (who, mut book) = match decide(declared)? {
        Decision::There { who, book } => (who, *book),
        // Judged again in our turn: whoever had it before may have made that very user.
        Decision::Make { .. } => {
            let turn = make::turn()?;
            match decide(declared)? {
                Decision::There { who, book } => (who, *book),
                Decision::Make { uid, home } => made::make(declared, uid, &home, &turn, out)?,
            }
        }
    };
    (out.user, out.uid) = (Some(who.name.clone()), Some(who.uid));
    out.notes.extend(lasting(&who)?);
    if store::book(&declared.name)?.is_some_and(|old| old.uid != book.uid) {
        made::supersede(&declared.name, book.uid, &make::turn()?)?;
    }
    out.notes.extend(powers(&who));
    shell(declared, &who, out)?;
    made::subordinate(&declared.name, &who, &mut book, out)?;
    house(&who, &book, out)?;
    store::keep(&declared.name, &book)?;
    if make::is_nixos() {
        out.notes.push("limits and mounts of tenants come from the NixOS configuration here".to_owned());
    } else if store::system_files(&declared.name, &place::files(declared, who.uid, &who.home), &mut book)? {
        out.did.push("limits written".to_owned());
    }
    Ok(Ready { reload_due: book.reload_due, who, book, _lock: lock })
}

fn shell(declared: &Declared, who: &Who, out: &mut Outcome) -> Result<()> {
    let Some(wanted) = declared.shell.as_ref().filter(|shell| **shell != who.shell) else { return Ok(()) };
    if !make::is_local(&who.name) {
        out.notes.push(format!(
            "its shell is {}, not {}: the user comes from elsewhere and can't be changed here",
            who.shell.display(),
            wanted.display()
        ));
        return Ok(());
    }
    make::shell(&who.name, wanted, &make::turn()?)?;
    out.did.push("shell changed".to_owned());
    Ok(())
}

/// Refuses an account that has ended, since no manager starts for it; and says when one will.
fn lasting(who: &Who) -> Result<Option<String>> {
    let seen = account::look(&who.name);
    let Some(Account { end: Some(end), .. }) = seen.known() else { return Ok(None) };
    let (words, cure) = (end.words(), end.cure(&who.name));
    if seen.known().is_some_and(Account::has_ended) {
        return Err(Error::machine(format!("the account of {} has ended: {words}", who.name)).hint(cure));
    }
    Ok(Some(format!("{words}, and no boot starts its fleet after that: {cure}")))
}

/// What an admin should know of a user's groups: by some of them a tenant reaches everybody.
fn powers(who: &Who) -> Option<String> {
    let groups = accounts::powerful(&who.groups);
    let first = groups.first()?;
    Some(format!(
        "by its groups {} it reaches more than its own; to take it out of one: gpasswd -d {} {first}",
        groups.join(", "),
        who.name
    ))
}

/// The home is there, is the user's, and an admin knows if others can look into it.
fn house(who: &Who, book: &Book, out: &mut Outcome) -> Result<()> {
    match home::look(&who.home)? {
        Some(home) if home.uid == who.uid => out.notes.extend(home.open_to_others(&who.home)),
        _ if book.home_by_us => {
            make::home(&who.home, who.uid, who.gid)?;
            out.did.push("home made".to_owned());
        }
        _ => {
            return Err(Error::machine(format!(
                "the home {} changed in the middle of this",
                who.home.display()
            )));
        }
    }
    Ok(())
}

/// Lingering, manager, fleet.
pub fn tenant(
    declared: &Declared,
    ready: Ready,
    start: Start,
    system: &System,
    out: &mut Outcome,
) -> Result<()> {
    let Ready { who, mut book, _lock, .. } = ready;
    if book.reload_due {
        system.hold(who.uid, declared.limits.tasks_max)?;
        book.reload_due = false;
        store::keep(&declared.name, &book)?;
    }
    linger(declared, &who, &mut book, out)?;
    let logind = Logind::connect()?;
    logind.wait_for_manager(who.uid, MANAGER)?;
    interrupt::point("manager");
    let roster = match &declared.fleet {
        Fleet::Own => None,
        Fleet::Profile(profile) => Some(Given { text: profile.roster_text(), other: Other::Kept }),
        Fleet::Root(text) => Some(Given { text: text.clone(), other: Other::Replaced }),
    };
    let reply = child::ask(system, &who, Request::Apply { roster, start }, APPLY)?;
    interrupt::point("applied");
    out.take(reply)?;
    let steps = |key: &str| out.fleet.as_ref().and_then(|fleet| fleet[key].as_array()).map_or(0, Vec::len);
    let (steps, jobs) = (steps("steps"), steps("jobs"));
    if steps > 0 {
        out.did.push(format!("fleet applied: {steps} steps, {jobs} jobs"));
    }
    Ok(())
}

fn linger(declared: &Declared, who: &Who, book: &mut Book, out: &mut Outcome) -> Result<()> {
    match logind::linger(&who.name) {
        Fact::Known(true) => return Ok(()),
        Fact::Known(false) => {}
        Fact::Unknown(why) => return Err(Error::machine(why)),
    }
    book.linger_by_us = true;
    store::keep(&declared.name, book)?;
    interrupt::point("linger");
    Logind::connect()?.set_linger(who.uid, Linger::On)?;
    interrupt::point("lingers");
    out.did.push("lingering turned on".to_owned());
    Ok(())
}

/// Refuses a program that tenants can't run: their units call it by its path.
pub fn reachable() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let program = site::program()?;
    for part in program.ancestors() {
        let mode = std::fs::metadata(part)?.mode();
        let needed = if part == program { 0o005 } else { 0o001 };
        if mode & needed != needed {
            return Err(Error::machine(format!(
                "tenants can't run {}: {} is closed to them",
                program.display(),
                part.display()
            ))
            .hint("install fleet and mosaic where everybody can run them: install -m 0755 fleet mosaic /usr/local/bin/"));
        }
    }
    Ok(())
}
