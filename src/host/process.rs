//! Processes, by `/proc`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::{cgroup, kernel};
use crate::snapshot::Process;

/// The unit of times in `/proc/PID/stat`: USER_HZ, which is 100 on every machine systemd runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// The kernel's flag of a process that is on its way out, PF_EXITING.
const EXITING: u64 = 0x4;
/// The bit of SIGKILL among pending signals; the kernel sets it for every signal that ends a process.
const KILLED: u64 = 1 << 8;
/// So many descendants of one process are looked at: a fork bomb must not hold a look up.
const MOST_DESCENDANTS: usize = 256;

/// A pid and a blank are no longer.
const LONGEST_PID: usize = 8;

/// One process and the cgroup it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What is shown of it.
    pub process: Process,
    /// Its cgroup below the hierarchy's root; empty where that can't be read.
    pub cgroup: String,
}

/// One process; `None` once it is gone, or has ended and only waits for its parent to notice.
pub fn look(pid: i32) -> Option<Seen> {
    let mut seen = glance(pid)?;
    seen.process.argv = argv(pid);
    Some(seen)
}

/// Whether `/proc` shows a process, be it one that has ended and waits for its parent.
pub fn is_shown(pid: i32) -> bool {
    kernel::read(format!("/proc/{pid}/stat")).is_ok()
}

/// Whether there is a process that `/proc` does not show: with hidepid it leaves out who may not be traced.
pub fn is_hidden(pid: i32) -> bool {
    let there = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    there != Err(nix::errno::Errno::ESRCH) && !is_shown(pid)
}

/// The same without its arguments.
pub fn glance(pid: i32) -> Option<Seen> {
    glance_in(pid, |pid| cgroup::of(pid).unwrap_or_default())
}

/// The same with another way to find its cgroup.
pub fn glance_in(pid: i32, cgroup: impl FnOnce(i32) -> String) -> Option<Seen> {
    let process = process_in(&kernel::text(format!("/proc/{pid}/stat")).ok()?)?;
    let cgroup = cgroup(pid);
    let unit = cgroup::unit_of(&cgroup).to_owned();
    Some(Seen { process: Process { unit, ..process }, cgroup })
}

/// The name of what runs in the foreground of a process's terminal, itself where it has none; `None` once it is
/// gone.
pub fn in_foreground(pid: i32) -> Option<String> {
    let own = glance(pid)?.process;
    let leads = Some(own.foreground).filter(|group| *group > 0 && *group != pid);
    Some(leads.and_then(glance).map_or(own.comm, |leader| leader.process.comm))
}

/// The arguments of a process.
pub fn argv(pid: i32) -> Vec<String> {
    argv_in(&kernel::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

/// Adds all processes below `root`, so far as there are not too many of them.
pub fn look_below(root: i32, into: &mut BTreeMap<i32, Seen>) {
    let below = descendants(root, MOST_DESCENDANTS).into_iter();
    into.extend(below.filter_map(|pid| Some((pid, look(pid)?))));
}

/// The value of a variable in the environment that a process was executed with.
pub fn variable(pid: i32, name: &str) -> std::io::Result<Option<String>> {
    Ok(variable_in(&kernel::read(format!("/proc/{pid}/environ"))?, name))
}

/// The value of a variable in `/proc/PID/environ`.
pub fn variable_in(environ: &[u8], name: &str) -> Option<String> {
    let named = |entry: &[u8]| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
    let value = environ.split(|b| *b == 0).find_map(named)?;
    Some(String::from_utf8_lossy(&value).into_owned())
}

/// Reads `/proc/PID/stat` (proc(5)): the name in parentheses may hold anything. `None` for one that
/// has ended, or is about to and can do nothing against it: `kill` returns before its victim is gone,
/// and who killed an agent must not read a moment later that it lives.
pub fn process_in(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    // A program may call itself what a terminal would obey.
    let comm = head.split_once('(')?.1.replace(|c: char| c.is_control(), "?");
    let mut fields = tail.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    let foreground = fields.nth(3)?.parse().ok()?;
    let exiting = fields.next()?.parse::<u64>().ok()? & EXITING != 0;
    let started = fields.nth(12)?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND;
    let killed = fields.nth(8)?.parse::<u64>().ok()? & KILLED != 0;
    if ended || exiting || killed {
        return None;
    }
    Some(Process { parent, comm, started, foreground, ..Process::default() })
}

/// Reads `/proc/PID/cmdline`.
pub fn argv_in(cmdline: &[u8]) -> Vec<String> {
    let text = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect()
}

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
    usage_in(&kernel::text(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc(5)); the name in parentheses may hold anything.
pub fn usage_in(stat: &str) -> Option<Usage> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let mut ticks = fields.skip(10).map_while(|f| f.parse::<u64>().ok());
    Some(Usage { ticks: ticks.next()?.saturating_add(ticks.next()?), sleeping: state == "S" })
}

/// Processes below `pid`, nearest first, `most` of them: a tree that grows faster than it can be walked
/// holds nobody up.
pub fn descendants(pid: i32, most: usize) -> Vec<i32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for task in tasks.flatten() {
            let left = (most + 1).saturating_sub(found.len());
            if left == 0 {
                return found.split_off(1);
            }
            let children = begin_of(&task.path().join("children"), left * LONGEST_PID).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|c| c.parse::<i32>().ok()).take(left));
        }
    }
    found.split_off(1)
}

/// The first words of a file, in as many bytes; one that does not end there is left out.
fn begin_of(file: &Path, longest: usize) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(longest as u64).read_to_string(&mut text)?;
    if text.len() == longest {
        text.truncate(text.rfind(char::is_whitespace).unwrap_or(0));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 1 0 500 0 0";
        assert_eq!(usage_in(stat), Some(Usage { ticks: 42, sleeping: true }));
        assert_eq!(usage_in("7 (a"), None);
    }

    #[test]
    fn a_process_is_read_and_one_that_has_ended_is_none() {
        let stat = |state: &str, pending: u64| {
            format!(
                "7 (a) b) (c) {state} 100 0 0 0 12 30 0 0 20 0 1 0 123456 0 0 18446744073709551615 1 1 0 0 0 {pending} 0"
            )
        };
        let process = process_in(&stat("S 42 7 7 0 -1 4194304", 0)).expect("it lives");
        assert_eq!((process.parent, process.comm.as_str(), process.started), (42, "a) b) (c", 1234.56));
        assert_eq!(process.foreground, -1);
        let hostile = process_in(&stat("S 42 7 7 0 9 4194304", 0).replace("a) b", "\u{1b}[2J"));
        assert_eq!(hostile.map(|p| (p.comm, p.foreground)), Some(("?[2J) (c".to_owned(), 9)));
        assert_eq!(process_in(&stat("Z 42 7 7 0 -1 4194304", 0)), None);
        assert_eq!(process_in(&stat("R 42 7 7 0 -1 4194308", 0)), None, "on its way out");
        assert_eq!(process_in(&stat("R 42 7 7 0 -1 4194304", 256)), None, "killed, and not run since");
        assert!(process_in(&stat("R 42 7 7 0 -1 4194304", 1 << 14)).is_some(), "it may handle SIGTERM");
        assert_eq!(process_in("7 (cut) S 1"), None);
    }

    #[test]
    fn a_process_whose_name_is_no_text_is_there_all_the_same() {
        // As one is left with that gives itself a long name: the kernel cuts it in the middle of a character.
        let line = r#"printf "fifteen bytes \303" >/proc/$$/comm && echo && read -r _"#;
        let mut shell = std::process::Command::new("sh")
            .args(["-c", line])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell runs");
        let pid = i32::try_from(shell.id()).expect("a pid");
        shell.stdout.take().expect("a pipe").read_exact(&mut [0]).expect("it has its name");
        let seen = look(pid).expect("it lives");
        assert_eq!(seen.process.comm, "fifteen bytes \u{fffd}");
        assert!(usage(pid).is_some());
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
    }

    #[test]
    fn arguments_may_be_empty_but_the_last_end_is_none() {
        assert_eq!(argv_in(b"node\0\0x y\0"), ["node", "", "x y"]);
        assert_eq!(argv_in(b""), Vec::<String>::new());
        assert_eq!(argv_in(b"title that a program set itself"), ["title that a program set itself"]);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environ = b"XPATH=no\0PATH=/a:/b\0PATHS=no\0";
        assert_eq!(variable_in(environ, "PATH").as_deref(), Some("/a:/b"));
        assert_eq!(variable_in(environ, "HOME"), None);
    }

    #[test]
    fn below_a_process_is_its_child_with_when_it_started_and_what_it_runs() {
        let mut child = std::process::Command::new("sleep").arg("61").spawn().expect("sleep runs");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let pid = i32::try_from(child.id()).expect("a pid");
        let running = || {
            let mut below = BTreeMap::new();
            look_below(own, &mut below);
            below.remove(&pid).filter(|s| s.process.comm == "sleep" && !s.process.argv.is_empty())
        };
        let seen = std::iter::repeat_with(running).take(10_000).flatten().next().expect("the child");
        assert_eq!((seen.process.parent, &*seen.process.argv), (own, &["sleep".into(), "61".into()][..]));
        let age = super::super::clock::boottime() - seen.process.started;
        assert!((-0.02..60.0).contains(&age), "{age}");
        child.kill().expect("it ends");
        let zombie = look(pid);
        child.wait().expect("it is reaped");
        assert!(zombie.is_none() || look(pid).is_none());
    }

    #[test]
    fn a_child_is_a_descendant() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let own = i32::try_from(std::process::id()).expect("a pid");
        let pid = i32::try_from(child.id()).expect("a pid");
        assert!(descendants(own, 100).contains(&pid));
        child.kill().and_then(|()| child.wait().map(drop)).expect("it ends");
    }

    #[test]
    fn no_more_of_a_large_tree_are_looked_at_than_asked_for() {
        let line = "for n in 1 2 3 4 5 6 7 8; do sleep 60 & done; echo; wait";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", line])
            .stdout(std::process::Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell runs");
        let pid = i32::try_from(shell.id()).expect("a pid");
        let mut said = [0];
        shell.stdout.take().expect("a pipe").read_exact(&mut said).expect("all are started");
        let all = descendants(pid, 100);
        for most in [0, 1, 5, 8, 9] {
            assert_eq!(descendants(pid, most), all[..most.min(8)], "{most} of {all:?}");
        }
        let group = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).expect("killed");
        shell.wait().expect("it ends");
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn a_number_that_is_cut_off_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("children");
        fs::write(&file, "1234 5678 ").expect("written");
        let begin = |longest| begin_of(&file, longest).expect("read");
        assert_eq!([begin(2), begin(7), begin(9), begin(100)], ["", "1234", "1234", "1234 5678 "]);
    }
}
