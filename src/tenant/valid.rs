//! The last stage: a declaration in which every name is checked and the roster is one.

use std::path::PathBuf;

use super::written::Declaration;
use crate::names::{TenantId, UserName};
use crate::roster::{self, Profile};
use crate::yaml::{Field, Log, Place, Problem, emit, keyword};

/// How many processes and threads a tenant may have where the declaration says nothing.
pub const TASKS_MAX: i64 = 4096;

/// What root wants of one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The tenant.
    pub name: TenantId,
    /// Its user.
    pub user: UserName,
    /// The user's number, where root decides it.
    pub uid: Option<u32>,
    /// The user's home, where root decides it.
    pub home: Option<PathBuf>,
    /// The user's shell, where root decides it.
    pub shell: Option<PathBuf>,
    /// The fleet.
    pub fleet: Fleet,
    /// Limits of all that the tenant runs.
    pub limits: Limits,
    /// Whether there is to be a tenant.
    pub state: State,
}

/// Where a tenant's roster comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Fleet {
    /// The tenant writes it.
    Own,
    /// It begins as a shipped one; what stands there is the tenant's.
    Profile(Profile),
    /// Root decides it; the text.
    Root(String),
}

/// Limits of a tenant's slice, as systemd writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub memory_max: Option<String>,
    /// Processes and threads.
    pub tasks_max: i64,
    /// Processor time.
    pub cpu_quota: Option<String>,
}

/// Whether there is to be a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is.
    Present,
    /// Nothing of it is to run.
    Absent,
}

keyword!(State { "present" => Present, "absent" => Absent });

impl Declared {
    /// A tenant of whom nothing but the name is said.
    pub fn bare(name: TenantId, user: UserName) -> Self {
        Self {
            name,
            user,
            uid: None,
            home: None,
            shell: None,
            fleet: Fleet::Own,
            limits: Limits { memory_max: None, tasks_max: TASKS_MAX, cpu_quota: None },
            state: State::Present,
        }
    }
}

/// Checks what leads from one key to another.
pub(super) fn check(written: Declaration, name: &TenantId, log: &mut Log, start: Place) -> Option<Declared> {
    // What another version means by its keys is not for this one to judge.
    if matches!(written.version, Field::Bad) {
        return None;
    }
    let user = match written.user.given() {
        Some(user) => user.value,
        None => match UserName::parse(name.as_str()) {
            Ok(user) => user,
            Err(error) => {
                log.add(
                    Problem::new(start, format_args!("the tenant's name is no user's: {error}"))
                        .expected("user: a name that a user can have"),
                );
                return None;
            }
        },
    };
    if user.as_str() == "root" {
        log.add(Problem::new(start, "root cannot be a tenant"));
        return None;
    }
    let fleet = match (written.profile.given(), written.roster.given()) {
        (Some(profile), Some(roster)) => {
            log.add(
                Problem::new(roster.place, "a declaration has a profile or a roster, not both")
                    .also(profile.place, "the profile stands here"),
            );
            return None;
        }
        (Some(profile), None) => Fleet::Profile(profile.value),
        (None, Some(roster)) => {
            roster::read_node(&roster.value.0, user.as_str(), log)?;
            Fleet::Root(emit(&roster.value.0))
        }
        (None, None) => Fleet::Own,
    };
    let bare = Declared::bare(name.clone(), user);
    let limits = match written.limits.value() {
        None => bare.limits,
        Some(limits) => Limits {
            memory_max: limits.memory_max.value().map(|memory| memory.0),
            tasks_max: limits.tasks_max.value().map_or(TASKS_MAX, |tasks| tasks.0),
            cpu_quota: limits.cpu_quota.value().map(|quota| quota.0),
        },
    };
    Some(Declared {
        uid: written.uid.value().and_then(|uid| u32::try_from(uid.0).ok()),
        home: written.home.value().map(|home| home.0.into()),
        shell: written.shell.value().map(|shell| shell.0.into()),
        fleet,
        limits,
        state: written.state.value().unwrap_or(State::Present),
        ..bare
    })
}
