//! What the user manager is asked: one list of units, then single properties in one round trip.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::systemd::{Detail, SystemdError, UserManager};
use crate::names::HOLDER_UNIT;
use crate::snapshot::{Fact, Manager, UnitFacts};

/// Our units.
const PATTERNS: [&str; 2] = ["mosaic-agent@*.service", HOLDER_UNIT];
/// What a row shows or judges of a unit that is up: two properties, since with hundreds of units
/// each costs.
const OF_A_ROW: &[Detail] = &[Detail::NeedsReload, Detail::Fragment];

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

/// Asks the manager of `uid`, which reads its units below `home`.
pub fn ask(uid: u32, home: &Path, depth: Depth) -> Answer {
    match UserManager::connect_for(uid, home) {
        Ok(manager) => {
            Answer { units: Fact::from(units(&manager, depth)), manager: Fact::from(manager.manager()) }
        }
        Err(error) => {
            let why = error.to_string();
            Answer { manager: Fact::Unknown(why.clone()), units: Fact::Unknown(why) }
        }
    }
}

fn units(manager: &UserManager, depth: Depth) -> Result<BTreeMap<String, UnitFacts>, SystemdError> {
    if depth == Depth::Everything {
        return manager.units_with(&PATTERNS, Detail::ALL);
    }
    let mut units = manager.units(&PATTERNS)?;
    let plain = |name: &str, unit: &UnitFacts| name != HOLDER_UNIT && unit.active == "active";
    let (up, others): (Vec<_>, Vec<_>) =
        units.iter().map(|(name, unit)| (name.clone(), plain(name, unit))).partition(|(_, plain)| *plain);
    for (names, wanted) in [(up, OF_A_ROW), (others, Detail::ALL)] {
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            continue;
        }
        for (name, detail) in manager.details(&names, wanted)? {
            if let (Some(unit), Fact::Known(detail)) = (units.get_mut(&name), detail) {
                unit.detail = Some(detail);
            }
        }
    }
    Ok(units)
}
