//! What a target of the manager's pulls in, as the manager read it.

use std::collections::BTreeSet;

use zbus::Variant;

use super::connection::{UserManager, bounded};
use super::error::SystemdError;
use super::exchange::{answers, call};
use super::proxy::{PROPERTIES, UNIT};

impl UserManager {
    /// The units that `target` wants.
    pub fn pulled_in_by(&self, target: &str) -> Result<BTreeSet<String>, SystemdError> {
        let place = self.places_of(&[target])?.pop().unwrap_or_else(|| {
            Err(SystemdError::from_call(
                &format!("have the user manager look at {target}"),
                SystemdError::ended(),
            ))
        })?;
        let what = format!("ask the user manager what {target} pulls in");
        let wants: Vec<String> = bounded(&what, self.limit, async {
            let get = call(place.as_str(), PROPERTIES, "Get", &(UNIT, "Wants"))?;
            let answer = answers(&self.connection, &[get]).await?.pop();
            answer
                .unwrap_or_else(|| Err(SystemdError::ended()))?
                .body()
                .deserialize::<Variant<'_>>()?
                .try_into()
        })?;
        Ok(wants.into_iter().collect())
    }
}
