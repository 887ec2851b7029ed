//! A verdict for people: what holds in a few words, what does not in full, with the cure.

use owo_colors::{OwoColorize, Style};

use crate::host::clock;
use crate::observe::verify::{Check, Follower, Recovery, Verdict, Why};
use crate::snapshot::Clock;
use crate::transcript::plain;

/// The lines.
pub fn lines(verdict: &Verdict, colour: bool) -> Vec<String> {
    let word = |word: &str, style: Style| {
        let padded = format!("{word:<9}");
        if colour { padded.style(style).to_string() } else { padded }
    };
    let ok = word("ok", Style::new().green());
    let mut lines: Vec<String> =
        groups(&verdict.checks).into_iter().map(|group| format!("{ok} {group}")).collect();
    let note = word("note", Style::new().yellow());
    let told = |c: &&Check| c.ok && c.reason.is_some_and(|why| why != Why::Parked);
    lines.extend(verdict.checks.iter().filter(told).map(|check| format!("{note} {}", title(check))));
    for check in verdict.failures() {
        let failed = match check.reason.is_some_and(Why::is_underway) {
            true => word("WAITING", Style::new().yellow().bold()),
            false => word("FAILED", Style::new().red().bold()),
        };
        lines.push(format!("{failed} {}", title(check)));
        lines.push(format!("          expected: {}", check.expected));
        if let Some(cure) = &check.cure {
            lines.push(format!("          cure:     {cure}"));
        }
        let follow = followers(verdict, check);
        if !follow.is_empty() {
            lines.push(format!("          not judged because of it: {follow}"));
        }
    }
    lines.extend(
        verdict
            .recovery
            .iter()
            .map(|r| format!("{} {}", word("recovered", Style::new().cyan()), recovered(r))),
    );
    lines
}

fn title(check: &Check) -> String {
    let whose = check.agent.as_ref().map_or_else(String::new, |a| format!("{a}: "));
    format!("{whose}{} ({}): {}", check.id, check.reason.map_or("", Why::word), plain(&check.seen))
}

/// What has to wait until a check holds: the fleet's own, then agents with what is open of them.
fn followers(verdict: &Verdict, check: &Check) -> String {
    let of_it = |f: &&Follower| f.because_of.0 == check.id && f.because_of.1 == check.agent;
    let own = verdict.not_judged.iter().filter(of_it).filter(|f| f.agent.is_none()).map(|f| f.id.to_owned());
    let mut told: Vec<String> = own.collect();
    let mut agents: Vec<&str> = Vec::new();
    for agent in verdict.not_judged.iter().filter(of_it).filter_map(|f| f.agent.as_ref()) {
        // Of the agent that it is about, that goes without saying.
        if Some(agent) != check.agent.as_ref() && !agents.contains(&agent.as_str()) {
            agents.push(agent.as_str());
        }
    }
    if let [_, ..] = agents.as_slice() {
        told.push(format!("what runs of {}", agents.join(", ")));
    }
    told.dedup();
    told.join(", ")
}

/// What holds, the fleet's own first, then by agent: those with the same checks on one line.
fn groups(checks: &[Check]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    let own: Vec<&str> = ids(checks.iter().filter(|c| c.agent.is_none() && c.ok));
    if !own.is_empty() {
        groups.push(own.join(", "));
    }
    let mut by_ids: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    let mut agents: Vec<&str> = Vec::new();
    for agent in checks.iter().filter_map(|c| c.agent.as_ref()) {
        if !agents.contains(&agent.as_str()) {
            agents.push(agent.as_str());
        }
    }
    for agent in agents {
        let of_agent =
            || checks.iter().filter(|c| c.agent.as_ref().is_some_and(|a| a.as_str() == agent) && c.ok);
        if of_agent().any(|c| c.reason == Some(Why::Parked)) {
            groups.push(format!("{agent}: not running on purpose"));
            continue;
        }
        let ids = ids(of_agent());
        match by_ids.iter_mut().find(|(known, _)| *known == ids) {
            Some((_, names)) => names.push(agent),
            None => by_ids.push((ids, vec![agent])),
        }
    }
    for (ids, names) in by_ids.into_iter().filter(|(ids, _)| !ids.is_empty()) {
        groups.push(format!("{}: {}", names.join(", "), ids.join(", ")));
    }
    groups
}

fn ids<'a>(checks: impl Iterator<Item = &'a Check>) -> Vec<&'a str> {
    let mut ids: Vec<&str> = checks.map(|c| c.id).collect();
    ids.dedup();
    ids
}

fn recovered(recovery: &Recovery) -> String {
    let manager = recovery
        .since_manager
        .map_or_else(String::new, |s| format!(", {s:.1} s after the user manager's start"));
    format!("{} {:.1} s after the machine's boot{manager}", recovery.agent, recovery.since_boot)
}

/// That the fleet came back by itself.
pub fn survived(now: &Clock, booted: f64) -> String {
    let booted = clock::rfc3339(now.unix - (now.boottime - booted));
    let day = |time: &str| time.split('T').next().map(str::to_owned);
    let time = booted.split('T').nth(1).and_then(|t| t.get(..5)).unwrap_or(&booted).to_owned();
    if day(&booted) == day(&clock::rfc3339(now.unix)) {
        format!("survived the boot of {time} UTC")
    } else {
        format!("survived the boot of {time} UTC on {}", day(&booted).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::AgentName;

    #[test]
    fn what_holds_is_short_and_what_fails_has_its_cure() {
        let [a, b] = ["a", "b"].map(|n| AgentName::parse(n).expect("a name"));
        let checks = vec![
            Check::holds("linger", None, "on"),
            Check::holds("manager", None, "up"),
            Check::holds("active", Some(&a), "active"),
            Check::holds("pane", Some(&a), "alive"),
            Check::holds("active", Some(&b), "active"),
            Check::fails("pane", Some(&b), Why::PaneDead, "dead", "alive").cure("fleet restart b"),
            Check::holds("heartbeat", Some(&a), "fresh"),
        ];
        let verdict = Verdict {
            schema_version: 1,
            tenant_id: crate::names::TenantId::parse("usc").expect("a tenant"),
            host: crate::names::HostName::parse("box").expect("a host"),
            boot_id: String::new(),
            time: String::new(),
            ok: false,
            checks,
            not_judged: Vec::new(),
            survived_boot: None,
            recovery_seconds: Default::default(),
            recovery: vec![Recovery { agent: a, since_boot: 1.25, since_manager: Some(0.61) }],
        };
        insta::assert_snapshot!(lines(&verdict, false).join("\n"), @r"
        ok        linger, manager
        ok        a: active, pane, heartbeat
        ok        b: active
        FAILED    b: pane (pane-dead): dead
                  expected: alive
                  cure:     fleet restart b
        recovered a 1.2 s after the machine's boot, 0.6 s after the user manager's start
        ");
    }

    #[test]
    fn a_boot_is_told_by_its_time_and_an_older_one_by_its_day_too() {
        let at = |boottime| Clock { unix: 1_795_168_800.0, boottime, boot_id: String::new() };
        assert_eq!(survived(&at(4000.0), 400.0), "survived the boot of 09:00 UTC");
        assert_eq!(survived(&at(86_400.0), 0.0), "survived the boot of 10:00 UTC on 2026-11-19");
    }
}
