//! Which tenants there are: those that are declared, and users who run a fleet without being declared.

use crate::cli::Context;
use crate::error::{Error, Kind, Result};
use crate::host::tenant::{accounts, store};
use crate::names::TenantId;
use crate::tenant::wire::Who;
use crate::tenant::{Declared, Fleet, State};

/// One tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// What root calls it.
    pub name: String,
    /// What is declared of it, or what is wrong with that; `None` for one that is not declared.
    pub declared: Option<Result<Declared>>,
    /// Its user, or why it has none.
    pub who: Result<Who, String>,
}

impl Tenant {
    /// Whether it has a fleet by what root itself knows: its declaration says so, or a holder runs.
    pub fn has_a_fleet(&self) -> bool {
        let declared = self.declared.as_ref().and_then(|declared| declared.as_ref().ok());
        let runs = || self.who.as_ref().is_ok_and(|who| accounts::with_a_holder().contains(&who.uid));
        declared.is_some_and(|declared| declared.fleet != Fleet::Own) || runs()
    }

    /// What is wrong with its declaration.
    pub fn wrong(&self) -> Option<&Error> {
        self.declared.as_ref().and_then(|declared| declared.as_ref().err())
    }

    /// Whether it is declared to be no tenant any more.
    pub fn is_absent(&self) -> bool {
        matches!(&self.declared, Some(Ok(declared)) if declared.state == State::Absent)
    }
}

/// Refuses everybody but root.
pub fn as_root(context: &Context) -> Result<()> {
    if context.roster_file.is_some() {
        return Err(Error::new(Kind::Usage, "--roster names one fleet's roster, and all tenants are meant"));
    }
    if context.caller.uid == 0 {
        return Ok(());
    }
    let typed: Vec<String> = std::env::args().skip(1).collect();
    Err(Error::machine(format!(
        "tenants are root's to see and to change, and this is {}",
        context.caller.name
    ))
    .hint(format!("sudo fleet {}", typed.join(" "))))
}

/// All of them, by name.
pub fn tenants() -> Result<Vec<Tenant>> {
    let (declared, _) = store::declarations()?;
    let mut found: Vec<Tenant> = declared.into_iter().map(|(name, declared)| of(&name, declared)).collect();
    for uid in accounts::with_a_holder() {
        if found.iter().any(|tenant| tenant.who.as_ref().is_ok_and(|who| who.uid == uid)) {
            continue;
        }
        let who = accounts::by_uid(uid)?;
        let name = who.as_ref().map_or_else(|| uid.to_string(), |who| who.name.clone());
        let who = who.ok_or_else(|| format!("the password database has no uid {uid}"));
        found.push(Tenant { name, declared: None, who });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn of(name: &TenantId, declared: Result<Declared>) -> Tenant {
    let who = match &declared {
        Ok(declared) => match accounts::by_name(declared.user.as_str()) {
            Ok(Some(who)) if who.uid == 0 => Err("its user is root".to_owned()),
            Ok(Some(who)) => Ok(who),
            Ok(None) => Err(format!("there is no user {} yet: fleet tenant apply {name}", declared.user)),
            Err(error) => Err(error.message),
        },
        Err(error) => {
            let told = || error.message.lines().next().unwrap_or_default().to_owned();
            as_before(name).ok_or_else(told)
        }
    };
    Tenant { name: name.to_string(), declared: Some(declared), who }
}

/// The user whom a tenant had when it was last brought up: what runs is looked at, whatever became of the
/// declaration.
fn as_before(name: &TenantId) -> Option<Who> {
    let book = store::book(name).ok().flatten()?;
    accounts::by_name(&book.user).ok().flatten().filter(|who| who.uid == book.uid && who.uid != 0)
}
