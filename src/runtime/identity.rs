//! Who an agent is, by the variables that the fleet gives to its pane. Reads no file.

use crate::names::{AgentName, NameError};
use crate::runfile::heartbeat::{DEFAULT_INTERVAL, LONGEST_INTERVAL};

/// An agent, as its own process knows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub agent: AgentName,
    /// Its tenant, where it is said.
    pub tenant_id: Option<String>,
    /// Its machine, where it is said.
    pub host: Option<String>,
    /// Seconds between its beats.
    pub interval: u32,
}

/// Who the variables say we are; `None` outside an agent. `named` is a name that somebody gave in
/// place of the variable's.
pub fn identity(
    named: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Identity>, NameError> {
    let variable = |name| variable(name).filter(|v| !v.is_empty());
    let Some(name) = named.map(str::to_owned).or_else(|| variable("MOSAIC_AGENT_NAME")) else {
        return Ok(None);
    };
    let interval = variable("MOSAIC_HEARTBEAT_INTERVAL")
        .and_then(|v| v.parse().ok())
        .filter(|i| (1..=LONGEST_INTERVAL).contains(i))
        .unwrap_or(DEFAULT_INTERVAL);
    Ok(Some(Identity {
        agent: AgentName::parse(&name)?,
        tenant_id: variable("MOSAIC_TENANT_ID"),
        host: variable("MOSAIC_HOST"),
        interval,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(named: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Identity>, NameError> {
        identity(named, |name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_a_name_there_is_no_agent() {
        assert_eq!(with(None, &[("MOSAIC_TENANT_ID", "usc")]), Ok(None));
        assert_eq!(with(None, &[("MOSAIC_AGENT_NAME", "")]), Ok(None));
        assert!(with(None, &[("MOSAIC_AGENT_NAME", "../x")]).is_err());
    }

    #[test]
    fn an_interval_that_makes_no_sense_is_the_usual_one() {
        for (value, interval) in [("5", 5), ("0", 15), ("x", 15), ("99999", 15), ("", 15)] {
            let me = with(Some("a"), &[("MOSAIC_HEARTBEAT_INTERVAL", value)]);
            assert_eq!(me.expect("a name").expect("an agent").interval, interval, "{value}");
        }
    }
}
