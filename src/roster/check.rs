//! The step to the last stage: names are unique, references lead somewhere.

use super::builtin::BUILT_IN;
use super::merged::{Merged, MergedAgent, MergedRuntime};
use super::roles;
use super::valid::{Agent, Roster, Runtime};
use crate::yaml::{Log, Problem, one_of};

/// The valid roster; what is wrong goes to the log, and with anything there it is not to be used.
pub fn check(merged: Merged, log: &mut Log) -> Option<Roster> {
    for runtime in &merged.runtimes {
        startable(runtime, log);
    }
    let mut agents: Vec<MergedAgent> = Vec::with_capacity(merged.agents.len());
    for agent in &merged.agents {
        known_runtime(agent, &merged.runtimes, log);
        known_template(agent, log);
        not_the_holder(agent, &merged, log);
    }
    for agent in merged.agents {
        match agents.iter().find(|earlier| earlier.agent.name == agent.agent.name) {
            Some(earlier) => log.add(
                Problem::new(agent.name_at, format_args!("a second agent {:?}", agent.agent.name.as_str()))
                    .also(earlier.name_at, "the first one; a name is an address, so each stands once"),
            ),
            None => agents.push(agent),
        }
    }
    Some(Roster {
        tenant: merged.tenant?,
        transport: merged.transport,
        socket: merged.socket,
        holder_session: merged.holder.0,
        runtimes: merged.runtimes.into_iter().map(|r| r.runtime).collect::<Vec<Runtime>>(),
        agents: agents.into_iter().map(|a| a.agent).collect::<Vec<Agent>>(),
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

fn not_the_holder(agent: &MergedAgent, merged: &Merged, log: &mut Log) {
    let (session, said) = &merged.holder;
    if agent.agent.name.as_str() != session.as_str() {
        return;
    }
    let problem = Problem::new(
        agent.name_at,
        format_args!("agent {:?} has the name of the holder's session", session.as_str()),
    )
    .note("choose another name, or another `tmux.holder_session`");
    log.add(match said {
        Some(place) => problem.also(*place, "the holder's session is named here"),
        None => problem,
    });
}
