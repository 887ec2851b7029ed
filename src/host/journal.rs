//! The journal, by `journalctl`: the last lines of a unit that failed, and what the user's manager said
//! of starts that it dropped.

use std::time::Duration;

use crate::host::command::{Command, CommandError, Output};
use crate::snapshot::Fact;

/// A large journal may take its time, and a report does not wait for ever.
const LIMIT: Duration = Duration::from_secs(5);

/// The last `count` lines of one of the user's own units since `since`, seconds since 1970, or why they
/// can't be had: what an earlier run of it said explains nothing of this one.
pub fn last_lines(unit: &str, count: usize, since: f64) -> Fact<Vec<String>> {
    read(&last_of(unit, count, since).within(LIMIT).run(), unit)
}

fn last_of(unit: &str, count: usize, since: f64) -> Command {
    journalctl(unit, count).args([format!("--since=@{since:.3}")])
}

/// So many lines of the manager's are read at most.
const MANAGERS_LINES: usize = 5000;

/// What the user's manager said in this boot, oldest first.
pub fn of_the_manager() -> Fact<Vec<String>> {
    let call = Command::new("journalctl")
        .args(["--user", "-b", "SYSLOG_IDENTIFIER=systemd", "-n", &MANAGERS_LINES.to_string()])
        .args(["-o", "cat", "--no-pager"])
        .env("LC_ALL", "C.UTF-8");
    read(&call.within(LIMIT).run(), "the user manager")
}

/// The same, each with its time and who said it.
pub fn last_dated_lines(unit: &str, count: usize) -> Fact<Vec<String>> {
    let call = journalctl(unit, count).args(["-o", "short-iso", "--no-hostname"]);
    read(&call.within(LIMIT).run(), unit)
}

fn journalctl(unit: &str, count: usize) -> Command {
    // Without --quiet: what journalctl says on stderr is the reason where there are no lines.
    Command::new("journalctl")
        .args(["--user", "-u", unit, "-n", &count.to_string(), "-o", "cat", "--no-pager"])
        .env("LC_ALL", "C.UTF-8")
}

fn read(ran: &Result<Output, CommandError>, unit: &str) -> Fact<Vec<String>> {
    let output = match ran {
        Ok(output) => output,
        Err(error) => return Fact::Unknown(error.to_string()),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<String> =
        text.lines().filter(|line| *line != "-- No entries --").map(str::to_owned).collect();
    if !lines.is_empty() {
        return Fact::Known(lines);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    if said.is_empty() {
        Fact::Unknown(format!("the journal has nothing of {unit}"))
    } else {
        Fact::Unknown(format!("journalctl: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn ran(code: i32, stdout: &str, stderr: &str) -> Result<Output, CommandError> {
        let status = ExitStatus::from_raw(code << 8);
        Ok(Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    #[test]
    fn the_command_is_the_one_a_person_would_type() {
        let typed = last_of("mosaic-agent@coder0.service", 5, 1_795_168_800.25).typed();
        let line =
            "journalctl --user -u mosaic-agent@coder0.service -n 5 -o cat --no-pager --since=@1795168800.250";
        assert_eq!(typed, line);
    }

    #[test]
    fn lines_come_as_they_are() {
        let seen = read(&ran(0, "one\n\nthree\n", ""), "a.service");
        assert_eq!(seen, Fact::Known(vec!["one".to_owned(), String::new(), "three".to_owned()]));
    }

    #[test]
    fn an_empty_journal_is_not_known_and_says_why() {
        let why = |ran| read(&ran, "a.service").why().map(str::to_owned);
        let nothing = Some("the journal has nothing of a.service".to_owned());
        assert_eq!(why(ran(0, "-- No entries --\n", "")), nothing);
        assert_eq!(why(ran(0, "", "")), nothing);
        let refused = "No journal files were opened due to insufficient permissions.\n";
        assert_eq!(why(ran(1, "", refused)), Some(format!("journalctl: {}", refused.trim())));
        let missing = Command::new("no-journalctl-here").run();
        assert!(why(missing).is_some_and(|why| why.contains("not installed")));
    }
}
