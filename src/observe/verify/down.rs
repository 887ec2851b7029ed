//! Why a wanted agent's unit is not active: the reasons told apart, each with what cures it.

use super::agent::One;
use super::{Why, cure};
use crate::names::HOLDER_UNIT;
use crate::roster::Launch;
use crate::runfile::record::{State as Phase, incurable};
use crate::runtime::Kind;
use crate::snapshot::UnitFacts;

/// Why an agent is down, what was seen, and the cure.
pub struct Down {
    pub why: Why,
    pub seen: String,
    pub cure: String,
}

/// Why a wanted agent's unit is not active.
pub fn why(one: &One<'_>, facts: Option<&UnitFacts>, active: &str) -> Down {
    let record = one.record();
    let status = record.as_ref().map_or("", |r| r.status.as_str());
    let told = |text: String| if status.is_empty() { text } else { format!("{text}: {status}") };
    let down = |why, seen: String, cure: String| Down { why, seen, cure };
    let start = || cure::start([one.name]);
    let last_lines = || cure::read_last_lines(one.evidence, one.name, &start());
    if active == "failed"
        && let Some(down) = failed(one, facts, &told)
    {
        return down;
    }
    let phase = record.as_ref().map(|r| r.state);
    let queued = facts.is_some_and(|f| matches!(f.job.as_str(), "start" | "restart"));
    if queued || (active == "activating" && phase != Some(Phase::Backoff)) {
        return down(Why::Starting, told(active.to_owned()), cure::again("its start is under way"));
    }
    if active == "activating" {
        return down(Why::Failed, told("it ends again and again, and is held back".to_owned()), last_lines());
    }
    let holder = one.evidence.given.seen.units.known().and_then(|u| u.get(HOLDER_UNIT));
    if holder.is_none_or(|h| h.active != "active") {
        let holder = holder.map_or("inactive", |h| h.active.as_str());
        let seen = format!("{active}, and the holder is {holder}");
        return down(Why::HolderFailed, seen, "fleet start --holder".to_owned());
    }
    if let Some(line) = one.evidence.boot.said.known().and_then(|said| last_word(said, &one.name.unit())) {
        return down(dropped_since(line), format!("systemd said: {line}"), start());
    }
    if record.is_some() {
        return down(Why::NotRunning, told(active.to_owned()), start());
    }
    if one.row.systemd.enabled == Some(false) {
        return down(Why::NeverWanted, format!("{active}, and not enabled"), "fleet apply".to_owned());
    }
    let restarts = holder.and_then(|h| h.detail.as_ref()).map_or(0, |d| d.restarts);
    if restarts > 0 {
        let seen = format!("never started in this boot, and the holder had to be restarted {restarts} times");
        return down(Why::HolderFailed, seen, start());
    }
    let seen = match one.row.systemd.enabled {
        Some(_) => "enabled, and never started in this boot",
        None => "never started in this boot; not known whether it is enabled",
    };
    down(Why::NotStarted, seen.to_owned(), start())
}

/// Why its unit is `failed`.
fn failed(one: &One<'_>, facts: Option<&UnitFacts>, told: &dyn Fn(String) -> String) -> Option<Down> {
    let detail = facts?.detail.as_ref();
    let result = detail.map_or("", |d| d.result.as_str());
    let start = cure::start([one.name]);
    let code = detail.filter(|d| d.exit_code == 1).map(|d| d.exit_status);
    if let Some((code, what)) = code.and_then(|code| Some((code, incurable(code)?))) {
        let cure = if code == 127 {
            install(one, &start)
        } else {
            cure::read_last_lines(one.evidence, one.name, &start)
        };
        return Some(Down { why: Why::CannotRetry, seen: format!("exit code {code}: {what}"), cure });
    }
    let said = one.evidence.boot.said.known();
    let limit = result == "start-limit-hit" || said.is_some_and(|said| gave_up(said, &one.name.unit()));
    let why = if limit { Why::StartLimit } else { Why::Failed };
    let seen = match why {
        Why::StartLimit => told("ended too often, and systemd gave up".to_owned()),
        _ => told(format!("failed ({result})")),
    };
    Some(Down { why, seen, cure: start })
}

/// How a missing program comes to be there.
fn install(one: &One<'_>, start: &str) -> String {
    match one.evidence.given.roster.launch(one.agent) {
        Launch::Yolo(runtime) => match Kind::of(runtime).package() {
            Some(package) => format!("npm install -g {} && {start}", package.name),
            None => format!("mosaic yolo --print {runtime}  # says where it looked; then: {start}"),
        },
        Launch::Command(line) => {
            let program = line.split_whitespace().next().unwrap_or_default();
            format!(
                "command -v {}  # install it, or correct the command in the roster; then: {start}",
                cure::word(program)
            )
        }
    }
}

/// Whether the manager gave a unit up since it last started it. The unit's result keeps the word for
/// the end before that.
fn gave_up(said: &[String], unit: &str) -> bool {
    let of_unit = said.iter().rev().filter(|line| line.contains(unit));
    let mut since = of_unit.take_while(|line| !line.starts_with("Start"));
    since.any(|line| line.ends_with(": Start request repeated too quickly."))
}

/// Why a start was dropped, by the line that said so.
pub fn dropped_since(line: &str) -> Why {
    let needed = line.starts_with("Dependency failed") || line.contains("'dependency'");
    if needed { Why::HolderFailed } else { Why::OrderingCycle }
}

/// What the manager said last of a start of `unit` that it dropped, where it said nothing of the
/// unit since.
pub fn last_word<'a>(said: &'a [String], unit: &str) -> Option<&'a str> {
    let of_unit = |line: &&String| line.contains(unit);
    let line = said.iter().rev().find(of_unit)?;
    let dropped = line.contains("deleted to break ordering cycle")
        || line.contains("Found ordering cycle")
        || line.contains("Found dependency on")
        || line.starts_with("Dependency failed for")
        || line.contains("failed with result 'dependency'");
    dropped.then_some(line.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str = "mosaic-agent@a.service";

    fn said(lines: &[&str]) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        last_word(&lines, UNIT).map(str::to_owned)
    }

    #[test]
    fn a_unit_is_given_up_until_it_is_started_again() {
        let gave_up = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            gave_up(&lines, UNIT)
        };
        let line = "mosaic-agent@a.service: Start request repeated too quickly.";
        let last = "mosaic-agent@a.service: Failed with result 'signal'.";
        assert!(gave_up(&["Started mosaic-agent@a.service - Agent a.", line, last]));
        assert!(!gave_up(&[line, last, "Starting mosaic-agent@a.service - Agent a..."]));
        assert!(!gave_up(&["mosaic-agent@b.service: Start request repeated too quickly."]));
    }

    #[test]
    fn a_dropped_start_counts_until_something_else_is_said_of_the_unit() {
        let dropped =
            "x: Job mosaic-agent@a.service/start deleted to break ordering cycle starting with x/start";
        assert_eq!(said(&["Reached target", dropped, "Started other.service"]).as_deref(), Some(dropped));
        let failed = "Dependency failed for mosaic-agent@a.service - Agent a.";
        let result =
            "mosaic-agent@a.service: Job mosaic-agent@a.service/start failed with result 'dependency'.";
        assert_eq!(said(&[failed, result]).as_deref(), Some(result));
        assert_eq!(said(&[dropped, "Stopped mosaic-agent@a.service - Agent a."]), None);
        assert_eq!(said(&["Dependency failed for mosaic-agent@b.service - Agent b."]), None);
    }
}
