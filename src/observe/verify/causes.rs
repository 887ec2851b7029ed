//! Which failing check is why another one fails: one cause is told once, and what can't be judged
//! because of it is named below it. Pure.

use serde::{Serialize, Serializer};

use super::check::About;
use super::{Check, Why};
use crate::names::AgentName;

/// A check that says nothing of its own, since another one fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Follower {
    /// What is checked.
    pub id: &'static str,
    /// Of which agent; `None` for the fleet's own.
    pub agent: Option<AgentName>,
    /// The check that has to hold first.
    #[serde(serialize_with = "cause")]
    pub because_of: Cause,
}

/// Which check: its id, and its agent where it is one's.
pub type Cause = (&'static str, Option<AgentName>);

fn cause<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Named<'a> {
        id: &'a str,
        agent: Option<&'a AgentName>,
    }
    Named { id: cause.0, agent: cause.1.as_ref() }.serialize(serializer)
}

/// What is looked at of an agent that is up, and of no other.
const OF_WHO_IS_UP: [&str; 5] = ["pane", "cgroup", "runtime", "heartbeat", "path"];

/// Parts the checks into those that speak for themselves and those that follow from a failing one.
pub fn part(checks: Vec<Check>) -> (Vec<Check>, Vec<Follower>) {
    let causes: Vec<Option<Cause>> = checks.iter().map(|check| cause_of(&checks, check)).collect();
    let mut kept = Vec::new();
    let mut followers = Vec::new();
    for (check, cause) in checks.into_iter().zip(causes) {
        let not_up = check.id == "active" && !check.ok;
        let (own, agent) = (("active", check.agent.clone()), check.agent.clone());
        let because_of = cause.clone().unwrap_or(own);
        match cause {
            Some(because_of) => followers.push(Follower { id: check.id, agent: check.agent, because_of }),
            None => kept.push(check),
        }
        if not_up {
            let left_out = |id| Follower { id, agent: agent.clone(), because_of: because_of.clone() };
            followers.extend(OF_WHO_IS_UP.map(left_out));
        }
    }
    (kept, followers)
}

/// The first cause of a failing check, where another one is.
fn cause_of(checks: &[Check], effect: &Check) -> Option<Cause> {
    if effect.ok {
        return None;
    }
    let before = |effect: &Check| checks.iter().find(|cause| !cause.ok && explains(cause, effect));
    let mut cause = before(effect)?;
    // Each step goes to a check that is more of a cause, so this ends; the bound is for a mistake.
    for _ in 0..checks.len() {
        match before(cause) {
            Some(earlier) => cause = earlier,
            None => break,
        }
    }
    Some((cause.id, cause.agent.clone()))
}

/// Whether `effect` fails because `cause` does. Nothing explains a check of its own id.
fn explains(cause: &Check, effect: &Check) -> bool {
    let whose = effect.agent.as_ref();
    let same_agent = cause.agent.is_some() && cause.agent == effect.agent;
    let of_agents_run = whose.is_some() && (effect.id == "active" || OF_WHO_IS_UP.contains(&effect.id));
    let of_the_server = matches!(effect.id, "sessions" | "exact-targets");
    let foreign = effect.is("server", Why::ForeignServer);
    match cause.id {
        // Without lingering there is no manager after a boot.
        "linger" => cause.reason == Some(Why::LingerOff) && effect.is("manager", Why::NoManager),
        // Nor does PAM let one up.
        "account" => effect.is("manager", Why::NoManager),
        "manager" => match effect.id {
            "home" | "unit-file" | "reload" | "holder" | "agents" => true,
            "restarts" => effect.reason == Some(Why::Unknown),
            "server" => !foreign,
            _ => of_agents_run || of_the_server && effect.reason == Some(Why::Unknown),
        },
        "home" => match effect.id {
            "reload" | "holder" => true,
            "server" => !foreign,
            _ => of_agents_run,
        },
        // Until it is taken over, neither units nor sessions are expected to be ours.
        "files" if cause.reason == Some(Why::HandMade) => {
            !matches!(effect.id, "files" | "linger" | "manager")
        }
        "files" | "unit-file" => cause.about != About::Nothing && of_files(cause, effect),
        // A foreign server on the socket keeps the holder's from coming up.
        "server" => match effect.id {
            "holder" => cause.reason == Some(Why::ForeignServer),
            _ => of_the_server || of_agents_run,
        },
        "holder" => match effect.id {
            "server" => !foreign,
            _ => of_the_server || of_agents_run,
        },
        "enabled" => {
            let down = matches!(effect.reason, Some(Why::NeverWanted | Why::NotStarted | Why::NotRunning));
            let own = same_agent && effect.id == "active";
            let of_holder = cause.agent.is_none() && cause.reason != Some(Why::Unknown);
            down && (own || of_holder && effect.id == "holder")
        }
        // It runs with what it was started with.
        "restarts" => same_agent && effect.id == "runtime",
        "pane" => same_agent && matches!(effect.id, "cgroup" | "runtime" | "heartbeat" | "path"),
        "runtime" => same_agent && matches!(effect.id, "heartbeat" | "path"),
        _ => false,
    }
}

/// What follows from a file that is not as it should be, by whose unit it makes.
fn of_files(cause: &Check, effect: &Check) -> bool {
    let whose = effect.agent.as_ref();
    match effect.id {
        // What stands there in place of the file: the unit's check says it, and its cure removes it.
        "files" => cause.id == "unit-file" && effect.about == cause.about,
        "reload" => true,
        "enabled" | "restarts" | "stopped" | "runtime" | "overrides" => cause.about.covers(whose),
        // Sessions of agents that an apply will end.
        "sessions" if cause.about.covers_all_of(&effect.about) => true,
        "holder" | "server" | "sessions" | "exact-targets" => {
            cause.about.covers(None) && !effect.is("server", Why::ForeignServer)
        }
        "active" | "pane" | "cgroup" => cause.about.covers(None) || cause.about.covers(whose),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(id: &'static str, agent: Option<&str>, reason: Why) -> Check {
        let agent = agent.map(|a| AgentName::parse(a).expect("a name"));
        Check::fails(id, agent.as_ref(), reason, "", "")
    }

    fn parted(checks: Vec<Check>) -> (Vec<String>, Vec<String>) {
        let name = |id: &str, agent: &Option<AgentName>| match agent {
            Some(agent) => format!("{id} {agent}"),
            None => id.to_owned(),
        };
        let (kept, followers) = part(checks);
        (
            kept.iter().map(|c| name(c.id, &c.agent)).collect(),
            followers
                .iter()
                .map(|f| format!("{} < {}", name(f.id, &f.agent), name(f.because_of.0, &f.because_of.1)))
                .collect(),
        )
    }

    #[test]
    fn the_first_cause_is_told_and_whatever_follows_names_it() {
        let (kept, followers) = parted(vec![
            fails("linger", None, Why::LingerOff),
            fails("manager", None, Why::NoManager),
            fails("holder", None, Why::NotRunning),
            fails("server", None, Why::NoServer),
            fails("active", Some("a"), Why::HolderFailed),
        ]);
        assert_eq!(kept, ["linger"]);
        assert_eq!(
            followers[..4],
            ["manager < linger", "holder < linger", "server < linger", "active a < linger"]
        );
        assert_eq!(followers[4..], OF_WHO_IS_UP.map(|id| format!("{id} a < linger")));
    }

    #[test]
    fn a_manager_that_is_there_is_no_matter_of_lingering() {
        let (kept, _) =
            parted(vec![fails("linger", None, Why::LingerOff), fails("manager", None, Why::Unknown)]);
        assert_eq!(kept, ["linger", "manager"]);
    }

    #[test]
    fn a_foreign_server_is_the_holders_trouble_and_not_the_other_way_round() {
        let foreign = || fails("server", None, Why::ForeignServer);
        let holder = || fails("holder", None, Why::Starting);
        assert_eq!(parted(vec![holder(), foreign()]).0, ["server"]);
        let gone = fails("server", None, Why::NoServer);
        assert_eq!(parted(vec![holder(), gone]).0, ["holder"]);
    }

    #[test]
    fn what_has_another_cause_stands_beside_it() {
        let (kept, _) = parted(vec![
            fails("enabled", Some("a"), Why::NeverWanted),
            fails("active", Some("a"), Why::NotRunning),
            fails("active", Some("b"), Why::NotRunning),
            fails("heartbeat", Some("c"), Why::Stale),
        ]);
        assert_eq!(kept, ["enabled a", "active b", "heartbeat c"]);
    }

    #[test]
    fn the_file_of_one_agents_unit_explains_nothing_of_another() {
        let own = AgentName::parse("a").expect("a name");
        let file = || fails("unit-file", Some("a"), Why::Shadowed).about(About::Agent(own.clone()));
        let active = |agent| fails("active", Some(agent), Why::Failed);
        assert_eq!(parted(vec![file(), active("a"), active("b")]).0, ["unit-file a", "active b"]);
        let template = fails("unit-file", None, Why::Shadowed).about(About::EveryAgent);
        assert_eq!(parted(vec![template, active("a"), active("b")]).0, ["unit-file"]);
    }
}
