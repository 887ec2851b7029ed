//! What no fact tells and has to be tried out: exact targets, and a pane's search path. Changes
//! nothing.

use super::tmux::Server;
use super::{process, programs};
use crate::snapshot::{Fact, Pane};

/// Asks the server for a name that is no session's and only the beginning of one's; the name, and
/// whether it hit.
pub fn exact_target(server: &Server, panes: &[Pane]) -> Option<(String, Fact<bool>)> {
    let name = beginning_of_one(panes.iter().map(|p| p.session.as_str()).collect())?;
    let hit = Fact::from(server.has_session(&name));
    Some((name, hit))
}

/// The longest beginning of a session's name that is no session's itself.
fn beginning_of_one(sessions: Vec<&str>) -> Option<String> {
    let beginnings = sessions.iter().filter_map(|s| {
        let mut shorter = s.chars();
        shorter.next_back()?;
        Some(shorter.as_str()).filter(|b| !b.is_empty() && !sessions.contains(b))
    });
    beginnings.max_by_key(|b| b.len()).map(str::to_owned)
}

/// Whether `program` is found on the PATH that a process was executed with. The PATH itself is not
/// told: values of variables never are.
pub fn on_path_of(pid: i32, program: &str) -> Fact<bool> {
    match process::variable(pid, "PATH") {
        Ok(path) => Fact::Known(path.is_some_and(|path| found(&path, program))),
        Err(error) => Fact::Unknown(format!("read the environment of pid {pid}: {error}")),
    }
}

fn found(path: &str, program: &str) -> bool {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    programs::find(program.as_ref(), folders).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_is_tried_is_nobodys() {
        assert_eq!(beginning_of_one(vec!["coder", "coder0", "b"]).as_deref(), Some("code"));
        assert_eq!(beginning_of_one(vec!["a"]), None);
        assert_eq!(beginning_of_one(vec![]), None);
    }

    #[test]
    fn a_program_is_found_where_it_can_be_run() {
        assert!(found("/no/such/folder:/usr/bin:/bin", "sh"));
        assert!(!found("/etc", "passwd"), "a file that nobody may run");
        assert!(!found("", "sh"));
    }

    #[test]
    fn our_own_path_is_read_from_the_kernel() {
        let pid = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(on_path_of(pid, "no-such-program-anywhere"), Fact::Known(false));
        assert!(on_path_of(-1, "sh").why().is_some());
    }
}
