//! What tmux prints when asked with our formats, parsed. Runs nothing.
//!
//! Fields are parted by `:`, which no number and no session name can hold (tmux writes `_` in its
//! place); what a pane runs is free text and comes last, with everything unprintable replaced, so
//! that no program can forge a line.

use crate::snapshot::{Pane, Tmux};

/// Who the server is.
pub const SERVER: &str = "s:#{pid}:#{version}";
/// One pane. `window_activity` since `pane_activity` does not exist.
pub const PANE: &str = "p:#{pane_id}:#{pane_pid}:#{pane_dead}:#{pane_dead_status}:#{pane_dead_signal}:\
                        #{window_activity}:#{session_name}:#{s/[^ -~]/?/:pane_current_command}";
/// The same of many, without what they run: the server would look each up in `/proc`, as we do. Each
/// value costs it a search through all options first, so how a pane ended is asked of those that did.
pub const OF_ALL: &str = "p:#{pane_id}:#{pane_pid}:#{?pane_dead,1:#{pane_dead_status}:#{pane_dead_signal},0::}:#{window_activity}:#{session_name}";
/// One client and the session it looks at.
pub const CLIENT: &str = "c:#{client_readonly}:#{session_name}";
/// A session just made.
pub const MADE: &str = "#{pane_id}:#{pane_pid}";

/// The answer to [`SERVER`], [`OF_ALL`] and [`CLIENT`] asked in one call; the line that cannot be
/// read as an error.
pub fn parse(said: &str) -> Result<Tmux, String> {
    let mut server = None;
    let mut panes = Vec::new();
    let mut typists = Vec::new();
    for line in said.lines() {
        match line.split_once(':') {
            Some(("s", rest)) => server = Some(parse_server(rest).ok_or(line)?),
            Some(("p", _)) => panes.push(parse_pane(line)?.ok_or(line)?),
            Some(("c", rest)) => typists.extend(typist(rest).ok_or(line)?),
            _ => return Err(line.to_owned()),
        }
    }
    for pane in &mut panes {
        let attached = typists.iter().filter(|session| **session == pane.session).count();
        pane.attached = u32::try_from(attached).unwrap_or(u32::MAX);
    }
    let (pid, version) = server.ok_or_else(|| said.to_owned())?;
    Ok(Tmux::Running { pid, version, panes })
}

/// The number of a pane by its id: tmux counts them in the order of their making.
pub fn number_of(pane_id: &str) -> Option<u32> {
    pane_id.strip_prefix('%')?.parse().ok()
}

/// Lines of [`PANE`] alone; nothing is known of who is attached.
pub fn parse_panes(said: &str) -> Result<Vec<Pane>, String> {
    said.lines().map(|line| parse_pane(line)?.ok_or_else(|| line.to_owned())).collect()
}

/// One line of [`PANE`]; `None` where tmux was asked for a pane that it does not have.
pub fn parse_pane(line: &str) -> Result<Option<Pane>, String> {
    if line.strip_prefix("p:").is_some_and(|rest| rest.bytes().all(|b| b == b':')) {
        return Ok(None);
    }
    pane(line).map(Some).ok_or_else(|| line.to_owned())
}

fn pane(line: &str) -> Option<Pane> {
    let mut fields = line.strip_prefix("p:")?.splitn(8, ':');
    let mut next = || fields.next();
    Some(Pane {
        id: next().filter(|id| id.starts_with('%'))?.to_owned(),
        pid: next()?.parse().ok()?,
        dead: match next()? {
            "1" => true,
            "0" | "" => false,
            _ => return None,
        },
        dead_status: number(next()?)?,
        dead_signal: number(next()?)?,
        activity: f64::from(next()?.parse::<u32>().ok()?),
        session: next()?.to_owned(),
        command: next().unwrap_or_default().to_owned(),
        attached: 0,
    })
}

/// A number that may be left empty; `None` where it is something else.
fn number(text: &str) -> Option<Option<i32>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

fn parse_server(rest: &str) -> Option<(i32, String)> {
    let (pid, version) = rest.split_once(':')?;
    Some((pid.parse().ok()?, version.to_owned()))
}

/// The session of a client that can type; `Some(None)` for one that cannot.
fn typist(rest: &str) -> Option<Option<String>> {
    match rest.split_once(':')? {
        ("0" | "", session) => Some(Some(session.to_owned())),
        ("1", _) => Some(None),
        _ => None,
    }
}

/// Whether this is how a client says that nothing listens on the socket.
pub fn says_no_server(said: &str) -> bool {
    said.starts_with("no server running on ")
        || (said.starts_with("error connecting to ") && said.ends_with("(No such file or directory)"))
}

/// Whether this is how a server says that it has no such session.
pub fn says_not_found(said: &str) -> bool {
    said.starts_with("can't find session: ") || says_no_session(said)
}

/// Whether this is how a server without any session answers what needs one.
pub fn says_no_session(said: &str) -> bool {
    said == "no current target"
}

/// The last `lines` lines without the empty ones that fill a screen up.
pub fn last_lines(screen: &str, lines: u32) -> String {
    let all: Vec<&str> = screen.trim_end().lines().map(str::trim_end).collect();
    let from = all.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    let mut kept = all.get(from..).unwrap_or_default().join("\n");
    if !kept.is_empty() {
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(said in "([spc]:[%0-9:]{0,12}:?.{0,9}\n){0,6}.{0,40}") {
            let _ = (parse(&said), parse_panes(&said), parse_pane(&said));
        }
    }

    /// What 3.3a answered: a live agent, one that ended with 3, one that signal 9 ended, a session
    /// and a command with hostile names, a client that types and one that only reads.
    const DEBIAN_12: &str = "\
s:12928:3.3a
p:%4:12963:0:::1795171943:_holder:sleep
p:%0:12930:0:::1795171944:coder:sleep
p:%1:12949:1:3::1795171943:coder0:exit
p:%2:12955:1::9:1795171943:coder1:kill
p:%3:12960:0:::1795171943:e x=y|z:fo?o:bar
c:1:_holder
c:0:coder
";
    /// What 3.5a answered to the same.
    const DEBIAN_13: &str = "\
s:27456:3.5a
p:%4:27467:0:::1795172639:_holder:sleep
p:%0:27457:0:::1795172639:coder:sleep
p:%1:27461:1:3::1795172639:coder0:exit
p:%2:27463:1::9:1795172639:coder1:kill
p:%3:27465:0:::1795172639:e x=y|z:fo?o:bar
";

    fn panes(said: &str) -> Vec<Pane> {
        match parse(said).expect("it parses") {
            Tmux::Running { panes, .. } => panes,
            Tmux::Absent => panic!("it answered"),
        }
    }

    #[test]
    fn both_versions_tell_how_a_pane_ended() {
        for said in [DEBIAN_12, DEBIAN_13] {
            let ends: Vec<_> =
                panes(said).into_iter().map(|p| (p.session, p.dead, p.dead_status, p.dead_signal)).collect();
            let live = |session: &str| (session.to_owned(), false, None, None);
            assert_eq!(
                ends,
                [
                    live("_holder"),
                    live("coder"),
                    ("coder0".to_owned(), true, Some(3), None),
                    ("coder1".to_owned(), true, None, Some(9)),
                    live("e x=y|z"),
                ]
            );
        }
    }

    #[test]
    fn a_command_may_hold_the_separator_and_a_session_may_hold_blanks() {
        let last = panes(DEBIAN_12).pop().expect("five panes");
        assert_eq!((last.session.as_str(), last.command.as_str()), ("e x=y|z", "fo?o:bar"));
    }

    #[test]
    fn only_clients_that_can_type_count_as_attached() {
        let attached: Vec<_> = panes(DEBIAN_12)
            .into_iter()
            .filter(|p| p.attached > 0)
            .map(|p| (p.session, p.attached))
            .collect();
        assert_eq!(attached, [("coder".to_owned(), 1)]);
    }

    #[test]
    fn a_server_without_sessions_is_running_with_no_panes() {
        assert_eq!(
            parse("s:7:3.3a\n"),
            Ok(Tmux::Running { pid: 7, version: "3.3a".to_owned(), panes: Vec::new() })
        );
        assert!(says_no_session("no current target"));
    }

    #[test]
    fn a_line_that_is_not_ours_is_an_error_and_not_an_empty_answer() {
        for said in ["", "s:7", "s:x:3.3a\n", "s:7:3.3a\np:%0:1\n", "s:7:3.3a\nhello\n", "p:%0:1:0:::5:a:b\n"]
        {
            assert!(parse(said).is_err(), "{said:?}");
        }
        assert!(parse("s:7:3.3a\np:0:1:0:::5:a:b\n").is_err(), "a pane's id begins with %");
    }

    #[test]
    fn a_pane_of_many_has_no_command() {
        let all = panes("s:7:3.3a\np:%3:12960:0:::1795171943:e x=y|z\n");
        assert_eq!((all[0].session.as_str(), all[0].command.as_str()), ("e x=y|z", ""));
    }

    #[test]
    fn a_pane_that_is_gone_is_none() {
        assert_eq!(parse_pane("p::::::::"), Ok(None));
        assert!(parse_pane("").is_err());
    }

    #[test]
    fn no_server_is_told_apart_from_other_trouble() {
        assert!(says_no_server("error connecting to /tmp/tmux-0/x (No such file or directory)"));
        assert!(says_no_server("no server running on /tmp/tmux-0/x"));
        for other in [
            "error connecting to /tmp/tmux-0/x (Permission denied)",
            "directory /tmp/tmux-0 has unsafe permissions",
            "server exited unexpectedly",
            "lost server",
            "can't find session: x",
        ] {
            assert!(!says_no_server(other), "{other}");
        }
        assert!(says_not_found("can't find session: code"));
    }

    #[test]
    fn the_last_lines_leave_out_the_empty_rest_of_the_screen() {
        assert_eq!(last_lines("a\nb  \n\nc\n\n\n", 3), "b\n\nc\n");
        assert_eq!(last_lines("\n\n", 3), "");
    }
}
