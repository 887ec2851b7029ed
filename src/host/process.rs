//! Processes, by `/proc`.

use std::fs;

/// What a process has computed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Clock ticks in user and kernel mode together.
    pub ticks: u64,
    /// Whether it waits for something.
    pub sleeping: bool,
}

/// What a process has computed so far; `None` once it is gone.
pub fn usage(pid: i32) -> Option<Usage> {
    usage_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc(5)); the name in parentheses may hold anything.
fn usage_in(stat: &str) -> Option<Usage> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let mut ticks = fields.skip(10).map_while(|f| f.parse::<u64>().ok());
    Some(Usage { ticks: ticks.next()? + ticks.next()?, sleeping: state == "S" })
}

/// Every process below `pid`, nearest first.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|c| c.parse::<i32>().ok()));
        }
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 1 0 500 0 0";
        assert_eq!(usage_in(stat), Some(Usage { ticks: 42, sleeping: true }));
        assert_eq!(usage_in("7 (a"), None);
    }

    #[test]
    fn a_child_is_a_descendant() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let pid = i32::try_from(child.id()).expect("a pid");
        assert!(descendants(own).contains(&pid));
        child.kill().and_then(|()| child.wait().map(drop)).expect("it ends");
    }
}
