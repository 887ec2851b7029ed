//! Fleets made at random: each limit that a roster may have, systemd reads as the roster means it.

use std::collections::BTreeSet;
use std::path::Path;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::{AgentName, HostName};
use mosaic_fleet::render::{Site, render};
use mosaic_fleet::roster;
use proptest::prelude::*;

use super::Asked;
use super::hostile::{many, some, value};
use super::rig::{Rig, Suite};

/// An agent whose every size is this word, as a roster has it.
fn sized(name: &str, key: &str, word: &str) -> String {
    let word = serde_json::Value::from(word);
    format!("  - {{name: {name}, runtime: dogfood, limits: {{{key}: {word}}}}}\n")
}

/// The fleet of a roster with these agents.
pub fn fleet_of(agents: &str) -> Result<roster::Roster, String> {
    let text = format!("version: 1\nagents:\n{agents}");
    roster::read(&text, Path::new("roster.yaml"), "demo").map_err(|problems| problems.to_string())
}

/// What of such words the roster's reader takes for this key.
fn taken(key: &'static str, words: &'static str) -> impl Strategy<Value = String> {
    let words = proptest::string::string_regex(words).expect("a pattern");
    words.prop_filter("a limit", move |word| fleet_of(&sized("a", key, word)).is_ok())
}

/// A name and what is one agent's own, as the roster says it.
#[derive(Debug, Clone)]
struct Limited {
    name: String,
    memory_max: String,
    memory_high: String,
    cpu_quota: String,
    tasks_max: u64,
    value: String,
}

fn limited() -> impl Strategy<Value = Limited> {
    const SIZES: &str = "infinity|[0-9]{1,20}|[0-9]{1,6}(\\.[0-9]{1,7})?[KMGTPE]|[0-9]{1,3}(\\.[0-9]{1,2})?%";
    let name = proptest::string::string_regex("[a-zA-Z0-9][a-zA-Z0-9_.-]{0,40}").expect("a pattern");
    let name = name.prop_filter("a name", |name| AgentName::parse(name).is_ok());
    let tasks = prop_oneof![1..1000u64, 1..i64::MAX.unsigned_abs(), Just(i64::MAX.unsigned_abs())];
    let sizes = (taken("memory_max", SIZES), taken("memory_high", SIZES));
    let quota = taken("cpu_quota", "[0-9]{1,6}(\\.[0-9]{1,2})?%");
    (name, sizes, quota, tasks, value()).prop_map(|(name, sizes, cpu_quota, tasks_max, value)| Limited {
        name,
        memory_max: sizes.0,
        memory_high: sizes.1,
        cpu_quota,
        tasks_max,
        value,
    })
}

impl Limited {
    fn as_roster(&self) -> String {
        // What JSON takes as it is and YAML does not is written as both take it.
        let escaped = |c: char| if c.is_control() { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let quoted = |text: &str| json(text).chars().map(escaped).collect::<String>();
        format!(
            "  - {{name: {}, runtime: dogfood, env: {{A: {}}}, limits: {{memory_max: {}, memory_high: {}, cpu_quota: \
             {}, tasks_max: {}}}}}\n",
            quoted(&self.name),
            quoted(&self.value),
            quoted(&self.memory_max),
            quoted(&self.memory_high),
            quoted(&self.cpu_quota),
            self.tasks_max
        )
    }
}

/// The bytes that a size means where all of the memory is so much; `None` is no limit.
fn bytes(size: &str, all: f64) -> Option<f64> {
    if size == "infinity" {
        return None;
    }
    if let Some(share) = size.strip_suffix('%') {
        return Some(all * share.parse::<f64>().expect("a number") / 100.0);
    }
    let power = "KMGTPE".find(|letter| size.ends_with(letter)).map_or(0, |at| at as i32 + 1);
    let number: f64 = size.trim_end_matches(char::is_alphabetic).parse().expect("a number");
    Some(number * 1024f64.powi(power))
}

/// The seconds of a span as systemd prints one: `2h 46min 39.990000s`.
fn seconds(span: &str) -> f64 {
    let word = |word: &str| {
        let number = word.trim_end_matches(char::is_alphabetic);
        let unit = match &word[number.len()..] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3600.0,
            other => panic!("{other} in {span}"),
        };
        number.parse::<f64>().expect("a number") * unit
    };
    span.split_whitespace().map(word).sum()
}

#[test]
fn systemd_reads_each_limit_of_fleets_made_at_random_as_the_roster_means_it() {
    if Rig::skipped() {
        return;
    }
    let mut names = BTreeSet::new();
    let mut agents = some(limited(), many(150).min(600));
    agents.retain(|agent| names.insert(agent.name.clone()));
    let whole = sized("whole", "memory_max", "100%");
    let text: String = agents.iter().map(Limited::as_roster).chain([whole]).collect();
    let site = Site {
        layout: Layout::new("/home/demo", None),
        host: HostName::parse("h1").expect("a good name"),
        program: "/usr/bin/fleet".into(),
        tmux: "/usr/bin/tmux".into(),
    };
    let fleet = fleet_of(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let desired = render(&fleet, &site).expect("it can be rendered");
    let drop_in = |agent: &str| {
        let agent = AgentName::parse(agent).expect("a name");
        site.layout.agent_drop_in(&agent).display().to_string()
    };
    let below_root = |path: &str| path.trim_start_matches('/').to_owned();
    let mut files: Vec<(String, String)> = desired
        .files
        .iter()
        .map(|file| (below_root(&file.path.to_string_lossy()), file.content.clone()))
        .collect();
    // One that systemd does not take, to be sure that it says so.
    files.push((below_root(&drop_in("refused")), "[Service]\nMemoryMax=17Q\n".to_owned()));
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let asked = Asked::of(&rig, &files);
        let units: Vec<String> =
            agents.iter().map(|a| a.name.as_str()).chain(["whole", "refused"]).map(unit).collect();
        let seen = asked.show("LoadState,MemoryMax,MemoryHigh,CPUQuotaPerSecUSec,TasksMax", &units);

        let complaints = asked.complaints("/home/demo/.config/systemd/user/");
        let (refused, others): (Vec<String>, Vec<String>) =
            complaints.into_iter().partition(|line| line.contains(&drop_in("refused")));
        assert_eq!(others, Vec::<String>::new(), "{suite:?}: systemd does not take what we wrote");
        assert!(!refused.is_empty(), "{suite:?}: it would say so");

        let all: f64 = seen[agents.len()]["MemoryMax"].parse().expect("bytes");
        for (agent, seen) in agents.iter().zip(&seen) {
            let when = format!("{suite:?}: {agent:?}\n{seen:?}");
            assert_eq!(seen["LoadState"], "loaded", "{when}");
            assert_eq!(seen["TasksMax"], agent.tasks_max.to_string(), "{when}");
            for (key, meant) in [("MemoryMax", &agent.memory_max), ("MemoryHigh", &agent.memory_high)] {
                let read = (seen[key] != "infinity").then(|| seen[key].parse::<f64>().expect("bytes"));
                let meant = bytes(meant, all);
                // Shares are of whole pages.
                let near = |(a, b): (f64, f64)| (a - b).abs() <= 8192.0 + b * 1e-9;
                assert!(
                    read.is_some() == meant.is_some() && read.zip(meant).is_none_or(near),
                    "{key} {when}"
                );
            }
            let quota: f64 = agent.cpu_quota.trim_end_matches('%').parse().expect("a number");
            assert!((seconds(&seen["CPUQuotaPerSecUSec"]) - quota / 100.0).abs() < 1e-6, "{when}");
        }
    }
}

fn unit(agent: &str) -> String {
    AgentName::parse(agent).expect("a name").unit()
}
