//! Everything that is known of one agent: its row, and what a row has no room for. Pure.

use serde::Serialize;

use super::Given;
use super::row::Row;
use crate::names::{HostName, TenantId};
use crate::roster::{Agent, Launch, Limits};
use crate::runfile::attached::Visit;
use crate::runfile::receipt::Receipt;
use crate::runfile::record::Record;
use crate::snapshot::{Clock, Fact};

/// The version of the JSON that a detail stands in.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything of one agent. What is not known is `None`, and the row's reasons say why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When it was looked at, RFC 3339.
    pub time: String,
    /// Its row of `fleet ps`, with the tenant and the machine.
    #[serde(flatten)]
    pub row: Row,
    /// Its unit.
    pub unit: Unit,
    /// The shell line that its pane runs, up to the value of the first variable that it sets.
    pub command: String,
    /// Where it runs.
    pub working_directory: String,
    /// The files with its variables, later ones winning; never a value.
    pub environment_files: Vec<EnvironmentFile>,
    /// By the roster.
    pub limits: Limits,
    /// What its control group uses.
    pub usage: Usage,
    /// What its supervisor recorded.
    pub supervisor: Option<Supervisor>,
    /// The last message's receipt.
    pub receipt: Option<Receipt>,
    /// Those of earlier messages of which more may become known.
    pub open_receipts: Vec<Receipt>,
    /// Messages that wait in the queue.
    pub queued: Option<u32>,
    /// Who attached, the last first.
    pub attachments: Vec<Visit>,
    /// The last lines of its unit in the journal.
    pub journal: Option<Vec<String>>,
}

/// Its unit, beyond what a row says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unit {
    /// Its name.
    pub name: String,
    /// How it ended last, in systemd's word: `success`, `exit-code`, `signal`.
    pub result: Option<String>,
    /// What it says of itself.
    pub status: Option<String>,
    /// The file that it was read from.
    pub file: Option<String>,
    /// Its drop-ins.
    pub drop_ins: Vec<String>,
}

/// One file of variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvironmentFile {
    /// Where.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
}

/// What a control group uses, where the kernel accounts for it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Usage {
    /// Memory now, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most since its start.
    pub memory_peak_bytes: Option<u64>,
    /// Processor time since its start.
    pub cpu_seconds: Option<f64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// How often the kernel refused it one more since its start, by its own limit or, as kernels before 6.11 count, one
    /// above it.
    pub tasks_refused: Option<u64>,
}

/// What a supervisor recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Supervisor {
    /// Its version.
    pub version: String,
    /// Its pid.
    pub pid: i32,
    /// Whether the record is of this boot.
    pub this_boot: bool,
    /// `waiting`, `backoff`, `starting`, `running`, `stopping`, `ended`.
    pub state: &'static str,
    /// The same for people.
    pub status: String,
    /// Starts in its boot.
    pub starts: u32,
    /// The last of them, oldest first, RFC 3339.
    pub start_times: Vec<String>,
    /// When the runtime was started, RFC 3339.
    pub started_at: Option<String>,
    /// When it first beat, RFC 3339.
    pub first_beat_at: Option<String>,
    /// How the one before it ended: `exit:3`, `signal:9`, `unknown`.
    pub last_exit: Option<String>,
    /// When, RFC 3339.
    pub last_exit_at: Option<String>,
    /// Ends in a row that came too soon.
    pub quick_ends: u32,
    /// When a start that is held back will be tried, RFC 3339.
    pub next_try_at: Option<String>,
    /// Kills by the OOM killer in its boot.
    pub oom_kills: u64,
}

/// What was looked up of this agent alone.
#[derive(Debug, Clone)]
pub struct Extra {
    /// Of its control group.
    pub usage: Usage,
    /// The last message's receipt.
    pub receipt: Option<Receipt>,
    /// Those of earlier messages of which more may become known.
    pub open_receipts: Vec<Receipt>,
    /// Messages that wait in the queue.
    pub queued: Option<u32>,
    /// Who attached, in the order in which they came.
    pub visits: Vec<Visit>,
    /// The last lines of its unit in the journal.
    pub journal: Fact<Vec<String>>,
    /// Which of its files of variables exist.
    pub environment_files: Vec<EnvironmentFile>,
}

/// Visits that are shown.
const VISITS: usize = 10;

/// Puts together what is known. `at` writes an instant, seconds since 1970, as RFC 3339.
pub fn detail(given: &Given<'_>, agent: &Agent, mut row: Row, extra: Extra, at: fn(f64) -> String) -> Detail {
    let seen = given.seen;
    let facts = seen.units.known().and_then(|units| units.get(&agent.name.unit()));
    let known = facts.and_then(|facts| facts.detail.as_ref());
    let text = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    if let Some(why) = extra.journal.why() {
        row.reasons.push(format!("journal: {why}"));
    }
    if let Some(times @ 1..) = extra.usage.tasks_refused {
        let limit = match agent.limits.tasks_max {
            Some(most) => format!("its own limit is {most}, limits.tasks_max in the roster"),
            None => "it has no limit of its own, so the tenant's or the machine's was reached".to_owned(),
        };
        row.reasons
            .push(format!("it was refused processes or threads {times} times since its start: {limit}"));
    }
    let record = seen.records.get(&agent.name).and_then(|record| Record::parse(record.known()?));
    let mut visits = extra.visits;
    visits.reverse();
    visits.truncate(VISITS);
    Detail {
        schema_version: SCHEMA_VERSION,
        time: at(seen.clock.unix),
        unit: Unit {
            name: agent.name.unit(),
            result: known.and_then(|d| text(&d.result)),
            status: known.and_then(|d| text(&d.status_text)),
            file: known.and_then(|d| text(&d.fragment)),
            drop_ins: known.map(|d| d.drop_ins.clone()).unwrap_or_default(),
        },
        command: match given.roster.launch(agent) {
            Launch::Command(line) => up_to_a_value(line),
            Launch::Yolo(runtime) => format!("mosaic yolo {runtime}"),
        },
        working_directory: agent.working_directory.clone(),
        environment_files: extra.environment_files,
        limits: agent.limits.clone(),
        usage: Usage { memory_bytes: row.memory_bytes.or(extra.usage.memory_bytes), ..extra.usage },
        supervisor: record.map(|record| supervisor(&record, &seen.clock, at)),
        receipt: extra.receipt,
        open_receipts: extra.open_receipts,
        queued: extra.queued,
        attachments: visits,
        journal: extra.journal.known().cloned(),
        row,
    }
}

/// A command line up to the value of the first variable that it sets, `env TOKEN=…`: where a value ends is the
/// shell's to know. An option's value, `--name=value`, is none.
fn up_to_a_value(line: &str) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_of_a_word = |c: char| c.is_alphanumeric() || "_-./:,+@%$~".contains(c);
    let assigns = |at: &usize| {
        let head = line.get(..*at).unwrap_or_default();
        let before = head.trim_end_matches(is_of_a_name);
        let name = head.get(before.len()..).unwrap_or_default();
        name.starts_with(|c: char| !c.is_ascii_digit()) && !before.ends_with(is_of_a_word)
    };
    match line.match_indices('=').map(|(at, _)| at).find(assigns) {
        Some(at) => format!("{}=…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

fn supervisor(record: &Record, clock: &Clock, at: fn(f64) -> String) -> Supervisor {
    let this_boot = record.boot_id == clock.boot_id;
    // The clock of another boot says nothing about when it was.
    let when = |boottime: f64| this_boot.then(|| at(clock.unix - (clock.boottime - boottime)));
    Supervisor {
        version: record.supervisor.clone(),
        pid: record.supervisor_pid,
        this_boot,
        state: record.state.word(),
        status: record.status.clone(),
        starts: record.starts,
        start_times: record.start_times.iter().filter_map(|t| when(*t)).collect(),
        started_at: record.started.and_then(when),
        first_beat_at: record.first_beat.and_then(when),
        last_exit: record.last_end.map(|end| end.to_string()),
        last_exit_at: record.last_end_at.clone(),
        quick_ends: record.quick_ends,
        next_try_at: record.next_try.filter(|t| *t > clock.boottime).and_then(when),
        oom_kills: record.oom_kills,
    }
}

/// The head of an answer about several agents.
#[derive(Debug, Serialize)]
pub struct Short<'a> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The tenant.
    pub tenant_id: &'a TenantId,
    /// The machine.
    pub host: &'a HostName,
    /// When it was looked at, RFC 3339.
    pub time: String,
    /// The agents' rows.
    pub agents: &'a [Row],
}

#[cfg(test)]
mod tests {
    use super::super::case::{BOOT, Case, name};
    use super::*;

    fn extra(usage: Usage, journal: Fact<Vec<String>>) -> Extra {
        Extra {
            usage,
            receipt: None,
            open_receipts: Vec::new(),
            queued: Some(0),
            visits: Vec::new(),
            journal,
            environment_files: Vec::new(),
        }
    }

    fn of(case: &Case, journal: Fact<Vec<String>>) -> Detail {
        let given = case.given();
        let agent = given.roster.agent(&name("a")).expect("an agent").clone();
        let row = case.rows().into_iter().find(|r| r.name == "a").expect("a row");
        let extra = extra(Usage { tasks: Some(3), ..Usage::default() }, journal);
        detail(&given, &agent, row, extra, |unix| format!("{unix:.0}"))
    }

    #[test]
    fn times_of_this_boot_are_told_and_those_of_another_are_not_guessed() {
        let mut case = Case::of(&["a"]);
        let now = case.seen.clock.clone();
        let record = |boot: &str| Record {
            boot_id: boot.to_owned(),
            started: Some(now.boottime - 10.0),
            next_try: Some(now.boottime + 5.0),
            ..Record::default()
        };
        case.seen.records.insert(name("a"), Fact::Known(record(BOOT).text()));
        let told = of(&case, Fact::Known(Vec::new())).supervisor.expect("a record");
        assert_eq!(told.started_at, Some(format!("{:.0}", now.unix - 10.0)));
        assert_eq!(told.next_try_at, Some(format!("{:.0}", now.unix + 5.0)));
        case.seen.records.insert(name("a"), Fact::Known(record("another").text()));
        let told = of(&case, Fact::Known(Vec::new())).supervisor.expect("a record");
        assert_eq!((told.this_boot, told.started_at, told.next_try_at), (false, None, None));
    }

    #[test]
    fn who_was_refused_processes_is_told_with_its_limit() {
        let case = Case::of(&["a"]);
        let given = case.given();
        let mut agent = given.roster.agent(&name("a")).expect("an agent").clone();
        let mut told = |refused, limit| {
            agent.limits.tasks_max = limit;
            let usage = Usage { tasks_refused: refused, ..Usage::default() };
            let row = case.rows().into_iter().find(|r| r.name == "a").expect("a row");
            let extra = extra(usage, Fact::Known(Vec::new()));
            let reasons = detail(&given, &agent, row, extra, |unix| format!("{unix:.0}")).row.reasons;
            reasons.into_iter().filter(|reason| reason.contains("refused")).collect::<Vec<_>>()
        };
        assert_eq!(told(None, Some(24)), Vec::<String>::new());
        assert_eq!(told(Some(0), Some(24)), Vec::<String>::new());
        let words = "it was refused processes or threads 7 times since its start";
        let own = "its own limit is 24, limits.tasks_max in the roster";
        assert_eq!(told(Some(7), Some(24)), [format!("{words}: {own}")]);
        let none = "it has no limit of its own, so the tenant's or the machine's was reached";
        assert_eq!(told(Some(7), None), [format!("{words}: {none}")]);
    }

    #[test]
    fn a_command_is_shown_up_to_the_value_of_a_variable() {
        for (line, shown) in [
            ("env TOKEN=hunter2 sleep 1", "env TOKEN=…"),
            ("A='hunter 2' sleep 1", "A=…"),
            ("sh -c 'exit 3;b_2=hunter2 x'", "sh -c 'exit 3;b_2=…"),
            ("run --define=KEY=hunter2", "run --define=KEY=…"),
            ("claude --model=opus -c a.b=c 2>&1", "claude --model=opus -c a.b=c 2>&1"),
            ("test 1 = 1", "test 1 = 1"),
        ] {
            assert_eq!(up_to_a_value(line), shown);
        }
    }

    #[test]
    fn a_journal_that_can_not_be_read_is_null_with_the_reason() {
        let told = of(&Case::of(&["a"]), Fact::Unknown("no permission".to_owned()));
        assert_eq!(told.journal, None);
        assert!(told.row.reasons.contains(&"journal: no permission".to_owned()), "{:?}", told.row.reasons);
        let json = serde_json::to_value(&told).expect("JSON");
        assert_eq!(
            json.as_object().and_then(|o| o.keys().next()).map(String::as_str),
            Some("schema_version")
        );
        for key in [
            "tenant_id",
            "host",
            "name",
            "limits",
            "usage",
            "journal",
            "heartbeat",
            "receipt",
            "open_receipts",
        ] {
            assert!(json.get(key).is_some(), "{key}: {json:#}");
        }
    }
}
