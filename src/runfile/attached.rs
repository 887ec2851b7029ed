//! Who attached to an agent and could type: a JSON line when they came and one when they left. Text
//! to type and back; no file is opened here.

use serde::{Deserialize, Serialize};

/// The version that this program writes.
pub const VERSION: u32 = 1;
/// The file begins anew beyond this length.
pub const LONGEST: usize = 64 * 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// They came.
    Attached,
    /// They left.
    Detached,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// [`VERSION`] of who wrote it.
    pub schema_version: u32,
    /// What happened.
    pub event: Event,
    /// The same in both lines of one visit.
    pub id: String,
    /// Whose agent it is.
    pub tenant_id: String,
    /// On which machine.
    pub host: String,
    /// Which agent.
    pub agent: String,
    /// When, RFC 3339.
    pub time: String,
    /// Who.
    #[serde(flatten)]
    pub who: Who,
}

/// Who attached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// The user's name.
    pub user: String,
    /// The user who became this one by sudo.
    #[serde(default)]
    pub sudo_user: Option<String>,
    /// Their terminal.
    #[serde(default)]
    pub terminal: Option<String>,
    /// The address they came from, by ssh.
    #[serde(default)]
    pub from: Option<String>,
    /// The process through which they looked.
    pub pid: i32,
    /// CLOCK_BOOTTIME of that process's start in seconds.
    pub started: f64,
    /// The boot that this is of.
    pub boot_id: String,
}

/// One visit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visit {
    /// Who.
    #[serde(flatten)]
    pub who: Who,
    /// When they came, RFC 3339.
    pub since: String,
    /// When they left, RFC 3339; `None` while they are there, and where their end was not noted.
    pub until: Option<String>,
    /// Whether they are there.
    pub attached: bool,
}

impl Line {
    /// The line, with its end.
    pub fn text(&self) -> String {
        // Nothing of it can fail: all keys are text.
        serde_json::to_string(self).map_or_else(|_| String::new(), |json| json + "\n")
    }
}

/// The visits in the order in which they began. `lives` says whether the process that is noted for
/// a visit without an end is still there.
pub fn visits(text: &str, lives: impl Fn(&Who) -> bool) -> Vec<Visit> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let mut all: Vec<(String, Visit)> = Vec::new();
    for line in lines.filter(|line| line.schema_version == VERSION) {
        match line.event {
            Event::Attached => {
                let visit = Visit { who: line.who, since: line.time, until: None, attached: false };
                all.push((line.id, visit));
            }
            Event::Detached => {
                if let Some((_, visit)) = all.iter_mut().rev().find(|(id, _)| *id == line.id) {
                    visit.until = Some(line.time);
                }
            }
        }
    }
    let mut visits: Vec<Visit> = all.into_iter().map(|(_, visit)| visit).collect();
    for visit in &mut visits {
        visit.attached = visit.until.is_none() && lives(&visit.who);
    }
    visits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(event: Event, id: &str, time: &str) -> String {
        let who = Who {
            user: "ada".to_owned(),
            sudo_user: None,
            terminal: Some("/dev/pts/3".to_owned()),
            from: Some("192.0.2.7".to_owned()),
            pid: 7,
            started: 1.5,
            boot_id: "b".to_owned(),
        };
        let text = |text: &str| text.to_owned();
        Line {
            schema_version: VERSION,
            event,
            id: text(id),
            tenant_id: text("usc"),
            host: text("h1"),
            agent: text("coder"),
            time: text(time),
            who,
        }
        .text()
    }

    #[test]
    fn a_visit_is_two_lines_and_what_is_no_line_is_passed_over() {
        let lines = [
            line(Event::Attached, "a", "1"),
            "rubbish\n{}\n".to_owned(),
            line(Event::Attached, "b", "2"),
            line(Event::Detached, "a", "3"),
            line(Event::Detached, "x", "4"),
            line(Event::Attached, "c", "5").replace("\"schema_version\":1", "\"schema_version\":2"),
        ];
        let visits = visits(&lines.concat(), |who| who.pid == 7);
        let times: Vec<_> =
            visits.iter().map(|v| (v.since.as_str(), v.until.as_deref(), v.attached)).collect();
        assert_eq!(times, [("1", Some("3"), false), ("2", None, true)]);
    }

    #[test]
    fn a_line_begins_with_its_version() {
        assert!(line(Event::Attached, "a", "1").starts_with("{\"schema_version\":1,\"event\":\"attached\""));
    }

    #[test]
    fn who_is_gone_without_a_word_is_not_shown_as_there() {
        assert!(visits(&line(Event::Attached, "a", "1"), |_| false).iter().all(|v| !v.attached));
    }
}
