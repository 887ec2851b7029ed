//! What the user manager is asked: one list of units, then single properties in one round trip.

use std::collections::BTreeMap;

use crate::host::doctor;
use crate::host::stand_ins::OwnFiles;
use crate::host::systemd::{Detail, SystemdError, UserManager};
use crate::layout::Layout;
use crate::names::HOLDER_UNIT;
use crate::snapshot::{Fact, Manager, UnitFacts};

/// Our units.
const PATTERNS: [&str; 2] = ["mosaic-agent@*.service", HOLDER_UNIT];
/// What a row judges of an agent's unit that is up: with hundreds of units each question costs.
const OF_A_ROW: &[Detail] = &[Detail::Fragment];
/// What else is judged; whether a reload is pending is asked in a cheaper way.
const OF_ANY: &[Detail] = &[
    Detail::MainPid,
    Detail::Cgroup,
    Detail::StatusText,
    Detail::Restarts,
    Detail::Result,
    Detail::ExitStatus,
    Detail::ExitCode,
    Detail::ActiveSince,
    Detail::Fragment,
    Detail::DropIns,
    Detail::FileState,
];

/// How much is asked of each unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What rows need; more of the holder and of units that are not up.
    Rows,
    /// Everything that is ever judged.
    Everything,
}

/// What the manager answered.
#[derive(Debug)]
pub struct Answer {
    /// Itself.
    pub manager: Fact<Manager>,
    /// Our units that it has loaded.
    pub units: Fact<BTreeMap<String, UnitFacts>>,
}

/// Asks the manager of `uid`, which reads its units where `layout` has them and in the other folders of
/// its search path.
pub fn ask(uid: u32, layout: &Layout, depth: Depth) -> Answer {
    match UserManager::connect_for(uid, layout.home()) {
        Ok(manager) => Answer {
            units: Fact::from(units(&manager, &OwnFiles::of(layout, uid), depth)),
            manager: Fact::from(manager.manager()),
        },
        // Without a manager none of its units runs.
        Err(error) if is_gone(&error, uid) => {
            Answer { manager: Fact::Unknown(error.to_string()), units: Fact::Known(BTreeMap::new()) }
        }
        Err(error) => {
            let why = error.to_string();
            Answer { manager: Fact::Unknown(why.clone()), units: Fact::Unknown(why) }
        }
    }
}

/// Whether this says that the user has no manager, and not only that its sockets are not to be seen: in a sandbox with a
/// `/run` of its own, or where somebody has swept that. What the kernel accounts to the manager tells.
pub fn is_gone(error: &SystemdError, uid: u32) -> bool {
    matches!(error, SystemdError::NoRuntimeDir { .. } | SystemdError::NoManager { .. })
        && doctor::manager_pid(uid).is_none()
}

fn units(
    manager: &UserManager,
    own: &OwnFiles,
    depth: Depth,
) -> Result<BTreeMap<String, UnitFacts>, SystemdError> {
    let mut units = manager.units(&PATTERNS)?;
    let names: Vec<String> = units.keys().cloned().collect();
    let plain = |name: &&str| {
        depth == Depth::Rows && *name != HOLDER_UNIT && units.get(*name).is_some_and(|u| u.active == "active")
    };
    let (plain, others): (Vec<&str>, Vec<&str>) = names.iter().map(String::as_str).partition(plain);
    // Instances without files of their own are all read from the one template: the first answers
    // for all.
    let (own_file, shared): (Vec<&str>, Vec<&str>) = plain.iter().partition(|name| own.has(name));
    let asked: Vec<&str> = own_file.into_iter().chain(shared.first().copied()).collect();
    for (names, wanted) in [(asked, OF_A_ROW), (others, OF_ANY)] {
        if names.is_empty() {
            continue;
        }
        for (name, detail) in manager.details(&names, wanted)? {
            if let (Some(unit), Fact::Known(detail)) = (units.get_mut(&name), detail) {
                unit.detail = Some(detail);
            }
        }
    }
    let of_all = shared.first().and_then(|first| units.get(*first)?.detail.clone());
    for name in shared.iter().skip(1) {
        if let Some(unit) = units.get_mut(*name) {
            unit.detail.clone_from(&of_all);
        }
    }
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in manager.behind(&all, |unit| own.has(unit))? {
        if let Some(detail) = units.get_mut(name).and_then(|u| u.detail.as_mut()) {
            detail.needs_reload = true;
        }
    }
    Ok(units)
}
