//! Rules that look at one file: what stands in it has no effect in a user manager, or another than
//! it reads like.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Level, Rule};
use super::keys::newer;
use super::places::is_system_only;
use super::source::{Source, Sources, Text};
use super::words::{Setting, expand_at, settings, specifiers, variables};
use crate::names::AgentName;
use crate::render::{Desired, File, Role};

/// Settings that name other units.
const DEPENDENCIES: [&str; 8] =
    ["After", "Before", "Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds"];
/// Those without which the unit does not start.
const HARD: [&str; 3] = ["Requires", "Requisite", "BindsTo"];
/// Specifiers that a unit of ours uses on purpose.
const OURS: [&str; 3] = ["b", "h", "i"];
/// All that a user manager of systemd 252 knows.
const KNOWN: &str = "aAbBCdEfgGhHiIjJlLmMnNopPqsStTuUvVwWyY";
/// Settings of [Install] that say what enabling means.
const INSTALL: [&str; 4] = ["WantedBy", "RequiredBy", "UpheldBy", "Alias"];

/// Settings by which a drop-in makes another service of ours.
const TAKE_OVER: [&str; 8] =
    ["Type", "ExecStart", "NotifyAccess", "KillMode", "Delegate", "Restart", "RemainAfterExit", "PIDFile"];
/// Lists that a drop-in may add to; what makes another service of ours is to empty them.
const MAY_BE_ADDED_TO: [&str; 4] = ["ExecCondition", "ExecStartPre", "ExecStartPost", "ExecStopPost"];

/// What we would write. Everything that is found here is an error: it comes from a value that is
/// written as systemd does not read it.
pub fn rendered(desired: &Desired, home: &Path) -> Vec<Finding> {
    let agents: Vec<&AgentName> = desired.units.iter().filter_map(|u| u.agent.as_ref()).collect();
    let paths: BTreeSet<&Path> = desired.files.iter().map(|f| f.path.as_path()).collect();
    let mut findings = Vec::new();
    for file in &desired.files {
        let of_file = match &file.role {
            Role::HolderUnit => Vec::new(),
            Role::AgentTemplate => agents.clone(),
            Role::AgentDropIn(agent) => vec![agent],
            _ => continue,
        };
        for setting in settings(&file.content) {
            let at = At { path: &file.path, setting: &setting, level: Level::Error };
            findings.extend(percent(&at, |s| OURS.contains(&s)));
            findings.extend(dollar(&at));
            findings.extend(newer_key(&at));
            findings.extend(dependencies(&at, |_| false));
            findings.extend(environment_file(&at));
            findings.extend(absent(&at, home, &of_file, &paths));
        }
        findings.extend(no_install(file, desired));
    }
    findings
}

/// A drop-in that somebody else wrote.
pub fn by_hand(source: &Source<'_>, sources: &Sources) -> Vec<Finding> {
    let text = match source.text {
        Text::Plain(text) => text,
        Text::Unreadable(why) => return vec![unreadable(&source.path, why)],
        Text::Masked | Text::Alias(_) => return Vec::new(),
    };
    let mut findings = Vec::new();
    for setting in settings(text) {
        let at = At { path: &source.path, setting: &setting, level: Level::Warning };
        findings.extend(percent(&at, |s| !s.is_empty() && KNOWN.contains(s)));
        findings.extend(newer_key(&at));
        findings.extend(dependencies(&at, |unit| sources.fragment(unit).is_some()));
        findings.extend(environment_file(&at));
        findings.extend(takes_over(&at));
    }
    findings
}

/// A drop-in may limit and add; with another program, or another way to start and stop it, nothing
/// that the fleet says of the unit is true.
fn takes_over(at: &At<'_>) -> Option<Finding> {
    let Setting { section, key, value, .. } = at.setting;
    let emptied = MAY_BE_ADDED_TO.contains(&key.as_str()) && value.is_empty();
    (section == "Service" && (TAKE_OVER.contains(&key.as_str()) || emptied)).then(|| {
        at.found(
            Rule::TakesOver,
            format!("{key}= makes another service of it than the one that the fleet starts and watches"),
            "take it out, or have the roster say the agent's command",
        )
    })
}

/// Where a rule looks.
struct At<'a> {
    path: &'a Path,
    setting: &'a Setting,
    level: Level,
}

impl At<'_> {
    fn found(&self, rule: Rule, seen: String, cure: impl Into<String>) -> Finding {
        let Self { path, setting, level } = *self;
        Finding { level, rule, path: path.to_path_buf(), line: setting.line, seen, cure: cure.into() }
    }

    fn is_exec(&self) -> bool {
        self.setting.section == "Service" && self.setting.key.starts_with("Exec")
    }
}

fn percent(at: &At<'_>, allowed: impl Fn(&str) -> bool) -> Option<Finding> {
    let number = at.setting.value.trim_end_matches('%');
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None; // A share of something, CPUQuota=50%.
    }
    let odd = specifiers(&at.setting.value).into_iter().find(|s| !allowed(s))?;
    let key = &at.setting.key;
    Some(at.found(
        Rule::Percent,
        format!("{key}= holds %{odd}, which systemd takes for a specifier"),
        "write %% for one percent sign",
    ))
}

fn dollar(at: &At<'_>) -> Option<Finding> {
    let odd = variables(&at.setting.value).into_iter().next().filter(|_| at.is_exec())?;
    let key = &at.setting.key;
    Some(at.found(
        Rule::Dollar,
        format!("{key}= holds ${odd}, which systemd takes for a variable, empty where it is not set"),
        "write $$ for one dollar sign",
    ))
}

fn newer_key(at: &At<'_>) -> Option<Finding> {
    let version = newer(&at.setting.key)?;
    let key = &at.setting.key;
    Some(at.found(
        Rule::NewerKey,
        format!("{key}= came with systemd {version}: an older one ignores it"),
        "do without it where the fleet also runs on an older systemd: systemctl --version",
    ))
}

fn dependencies(at: &At<'_>, is_there: impl Fn(&str) -> bool) -> Vec<Finding> {
    let Setting { section, key, value, .. } = at.setting;
    if section != "Unit" || !DEPENDENCIES.contains(&key.as_str()) {
        return Vec::new();
    }
    let odd = value.split_whitespace().filter(|unit| is_system_only(unit) && !is_there(unit));
    odd.map(|unit| {
        let hard = HARD.contains(&key.as_str());
        let effect = if hard { "so the unit never starts" } else { "so it has no effect" };
        let level = if hard { Level::Error } else { at.level };
        At { level, ..*at }.found(
            Rule::SystemOnly,
            format!("{key}={unit}: a user manager has no such unit, {effect}"),
            "take it out; what waits for the network has to try again by itself",
        )
    })
    .collect()
}

fn environment_file(at: &At<'_>) -> Option<Finding> {
    let Setting { key, value, .. } = at.setting;
    if key != "EnvironmentFile" || value.is_empty() {
        return None;
    }
    let path = value.strip_prefix('-').unwrap_or(value);
    let why = if path.starts_with(['"', '\'']) {
        "is quoted"
    } else if !path.starts_with('/') && !path.starts_with('%') {
        "does not begin with / or %h"
    } else {
        return None;
    };
    Some(at.found(
        Rule::EnvironmentFile,
        format!("EnvironmentFile={value}: the path {why}, so systemd ignores the whole line"),
        "write the path from / on, or from %h on, without quotes",
    ))
}

/// A mandatory environment file that would not be there.
fn absent(at: &At<'_>, home: &Path, agents: &[&AgentName], paths: &BTreeSet<&Path>) -> Option<Finding> {
    let Setting { key, value, .. } = at.setting;
    if key != "EnvironmentFile" || value.starts_with('-') {
        return None;
    }
    let home = home.to_string_lossy();
    let place = |agent: &&AgentName| PathBuf::from(expand_at(value, &agent.unit(), &home));
    let missing = agents.iter().map(place).find(|path| !paths.contains(path.as_path()))?;
    Some(at.found(
        Rule::EnvironmentFile,
        format!("EnvironmentFile={value}: {} is not among the rendered files", missing.display()),
        "begin the path with - where the file may be absent",
    ))
}

fn no_install(file: &File, desired: &Desired) -> Option<Finding> {
    let enabled = |agents: bool| desired.units.iter().any(|u| u.enabled && u.agent.is_some() == agents);
    let wanted = match file.role {
        Role::HolderUnit => enabled(false),
        Role::AgentTemplate => enabled(true),
        _ => false,
    };
    let said = settings(&file.content);
    let says = said.iter().any(|s| s.section == "Install" && INSTALL.contains(&s.key.as_str()));
    (wanted && !says).then(|| Finding {
        level: Level::Error,
        rule: Rule::NoInstall,
        path: file.path.clone(),
        line: 0,
        seen: "it is to be enabled, and no [Install] section says by what".to_owned(),
        cure: "say WantedBy= in a section [Install]".to_owned(),
    })
}

fn unreadable(path: &Path, why: &str) -> Finding {
    Finding {
        level: Level::Warning,
        rule: Rule::Unreadable,
        path: path.to_path_buf(),
        line: 0,
        seen: format!("not looked at: {why}"),
        cure: "make it readable to the tenant's user".to_owned(),
    }
}
