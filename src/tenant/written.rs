//! The first stage: a declaration as it stands in the file, each value of the right type and with its
//! place. The documentation of a key is what editors show for it.

use super::valid::State;
use super::values::{Entry, Inline};
use crate::names::UserName;
use crate::roster::{Memory, Profile, Quota};
use crate::yaml::{Key, Problem, Record, Whole, record};

/// Ordinary users begin here.
pub const FIRST_UID: i64 = 1000;
/// And end before the numbers that mean nobody.
pub const LAST_UID: i64 = 4_294_967_293;

record! {
    /// What root wants of one tenant: its user, its fleet, its limits.
    Declaration is "the declaration", keys stand "in a declaration", others are for elsewhere;
    required {}
    optional {
        /// Version of this format.
        #[schemars(extend("default" = 1))]
        version: Whole<1, 1>,
        /// The tenant's user. Default: the tenant's name, which the file is called after.
        user: UserName,
        /// The user's number. Default: that of the user who is there, else a free one that no tenant ever had.
        uid: Whole<FIRST_UID, LAST_UID>,
        /// The user's home. Default: that of the user who is there, else /home/USER.
        home: Entry,
        /// The user's login shell. Default: that of the user who is there, else the machine's.
        shell: Entry,
        /// Shipped roster that the fleet begins with, where the tenant has none: minimal, usc or dogfood.
        profile: Profile,
        /// The fleet's roster. Root decides it: one that the tenant changes is put back, keeping a copy.
        roster: Inline,
        /// Limits of all that the tenant runs.
        limits: TenantLimits,
        /// `absent`: the fleet is stopped and the tenant's processes end; user and home stay.
        #[schemars(extend("default" = "present"))]
        state: State,
    }
}

record! {
    /// Limits of all that a tenant runs, agents and logins together.
    TenantLimits is "limits", keys stand "below \"limits\"", others are for elsewhere;
    required {}
    optional {
        /// Memory at which a process of the tenant is killed: 8G, bytes, 50%, infinity.
        memory_max: Memory,
        /// How many processes and threads.
        #[schemars(extend("default" = 4096))]
        tasks_max: Whole<1, { i64::MAX }>,
        /// Processor time; one processor is 100%.
        cpu_quota: Quota,
    }
}

/// What is said of a key that is known, but not there.
fn elsewhere(key: &Key, here: &str) -> Option<Problem> {
    let places: [(&[&str], &str); 2] =
        [(Declaration::KEYS, "at the top of the declaration"), (TenantLimits::KEYS, "below \"limits\"")];
    let (_, place) = places.iter().find(|(keys, _)| keys.contains(&key.text.as_str()))?;
    Some(
        Problem::new(key.place, format_args!("{:?} does not belong {here}", key.text))
            .note(format_args!("it goes {place}")),
    )
}
