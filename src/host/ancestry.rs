//! Which process is the runtime, seen from a hook that it ran: read from `/proc`, upwards.

use std::fs;

use super::kernel;

/// Our own ancestors, the parent first, with the name each shows. Ends at the first that cannot be
/// read, at init, or after as many as no real chain has.
pub fn ancestors() -> Vec<(i32, String)> {
    let mut chain = Vec::new();
    let mut at = nix::unistd::getppid().as_raw();
    while at > 1 && chain.len() < 128 {
        let Some((comm, parent)) = kernel::text(format!("/proc/{at}/stat")).ok().and_then(|s| stat(&s))
        else {
            break;
        };
        chain.push((at, comm));
        at = parent;
    }
    chain
}

/// Whether a process of that id is there.
pub fn is_there(pid: i32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

/// Name and parent out of `/proc/PID/stat`; the name may hold spaces and parentheses itself.
fn stat(text: &str) -> Option<(String, i32)> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let comm = text.get(open + 1..close)?.to_owned();
    let parent = text.get(close + 1..)?.split_whitespace().nth(1)?.parse().ok()?;
    Some((comm, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_calls_itself_something_odd_is_still_read() {
        assert_eq!(stat("7 (tmux: server) S 1 7 7 0"), Some(("tmux: server".to_owned(), 1)));
        assert_eq!(stat("7 (a) b) (c) R 42 7"), Some(("a) b) (c".to_owned(), 42)));
        assert_eq!(stat("7 (cut"), None);
        assert_eq!(stat(""), None);
    }

    #[test]
    fn our_parent_is_the_first_ancestor() {
        let chain = ancestors();
        assert_eq!(chain.first().map(|(pid, _)| *pid), Some(nix::unistd::getppid().as_raw()));
        assert!(is_there(chain[0].0));
    }
}
