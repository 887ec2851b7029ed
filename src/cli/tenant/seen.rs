//! Which tenants there are: those that are declared, and users who run a fleet without being declared.

use crate::cli::Context;
use crate::error::{Error, Kind, Result};
use crate::host::tenant::accounts;
use crate::tenant::wire::Who;

/// One tenant.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// What root calls it.
    pub name: String,
    /// Its user, or why it has none.
    pub who: Result<Who, String>,
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
    Err(Error::machine(format!("only root sees all tenants, and this is {}", context.caller.name))
        .hint(format!("sudo fleet {}", typed.join(" "))))
}

/// All of them, by name.
pub fn tenants() -> Result<Vec<Tenant>> {
    let mut found = Vec::new();
    for uid in accounts::with_a_holder() {
        let who = accounts::by_uid(uid)?;
        let name = who.as_ref().map_or_else(|| uid.to_string(), |who| who.name.clone());
        found
            .push(Tenant { name, who: who.ok_or_else(|| format!("the password database has no uid {uid}")) });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}
