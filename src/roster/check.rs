//! The step to the last stage: names are unique, references lead somewhere.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::builtin::BUILT_IN;
use super::merged::{Merged, MergedAgent, MergedRuntime};
use super::roles;
use super::valid::Roster;
use crate::yaml::{Log, Place, Problem, one_of};

/// The valid roster; what is wrong goes to the log, and with anything there it is not to be used.
pub fn check(merged: Merged, log: &mut Log) -> Option<Roster> {
    for runtime in &merged.runtimes {
        startable(runtime, log);
    }
    let mut named: HashMap<&str, Place> = HashMap::new();
    for agent in &merged.agents {
        known_runtime(agent, &merged.runtimes, log);
        known_template(agent, log);
        let (name, Some(place)) = (agent.agent.name.as_str(), agent.name_at) else { continue };
        not_the_holder(name, place, &merged, log);
        match named.entry(name) {
            Entry::Occupied(first) => log.add(
                Problem::new(place, format_args!("a second agent {name:?}"))
                    .also(*first.get(), "the first one; a name is an address, so each stands once"),
            ),
            Entry::Vacant(free) => drop(free.insert(place)),
        }
    }
    Some(Roster {
        tenant: merged.tenant?,
        transport: merged.transport,
        socket: merged.socket,
        holder_session: merged.holder.0,
        runtimes: merged.runtimes.into_iter().map(|r| r.runtime).collect(),
        agents: merged.agents.into_iter().map(|a| a.agent).collect(),
        agents_listed: merged.agents_listed,
    })
}

fn startable(merged: &MergedRuntime, log: &mut Log) {
    let (false, Some(place)) = (merged.startable, merged.place) else { return };
    let name = merged.runtime.name.as_str();
    let built_in = || BUILT_IN.iter().map(|b| b.name);
    log.add(
        Problem::new(place, format_args!("runtime {name:?} is not built in and has no \"command\""))
            .expected(format_args!("a command that starts it, or one of the built-in {}", one_of(built_in())))
            .suggest(name, built_in()),
    );
}

fn known_runtime(agent: &MergedAgent, runtimes: &[MergedRuntime], log: &mut Log) {
    let name = agent.agent.runtime.as_str();
    let (None, Some(place)) = (runtimes.iter().find(|r| r.runtime.name.as_str() == name), agent.runtime_at)
    else {
        return;
    };
    let known = || runtimes.iter().map(|r| r.runtime.name.as_str());
    log.add(
        Problem::new(place, format_args!("unknown runtime {name:?}"))
            .expected(format_args!("{}, or one that you define below \"runtimes\"", one_of(known())))
            .suggest(name, known()),
    );
}

fn known_template(agent: &MergedAgent, log: &mut Log) {
    let (Some(template), Some(place)) = (agent.agent.kickstart_template.as_deref(), agent.template_at) else {
        return;
    };
    let file = template.starts_with(['/', '~']) || template.starts_with("%h/");
    if file || roles::NAMES.contains(&template) {
        return;
    }
    log.add(
        Problem::new(place, format_args!("unknown role {template:?}"))
            .expected(format_args!(
                "{}, or a file by a path that begins with /, ~/ or %h/",
                one_of(roles::NAMES.iter().copied())
            ))
            .suggest(template, roles::NAMES.iter().copied()),
    );
}

fn not_the_holder(name: &str, place: Place, merged: &Merged, log: &mut Log) {
    let (session, said) = &merged.holder;
    if name != session.as_str() {
        return;
    }
    let problem = Problem::new(place, format_args!("agent {name:?} has the name of the holder's session"))
        .note("choose another name, or another `tmux.holder_session`");
    log.add(match said {
        Some(place) => problem.also(*place, "the holder's session is named here"),
        None => problem,
    });
}
