//! Cgroups: which unit a process is in, and moving one into ours.
//!
//! A user's service manager owns the cgroups below it, and with `Delegate=yes` a unit's processes
//! own the unit's. So a supervisor moves a pane itself, by the file that systemd would write for
//! it: no bus is needed, and a bus that is away holds up no start.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::kernel::{self, Folder};

/// Where cgroup file systems are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The cgroup of a process below its hierarchy's root, from the text of `/proc/PID/cgroup`: the
/// unified hierarchy's, else that which systemd names its own on older hosts.
pub fn path_in(text: &str) -> Option<&str> {
    let unified = text.lines().find_map(|l| l.strip_prefix("0::"));
    let named = || text.lines().find_map(|l| l.split_once(":name=systemd:").map(|(_, path)| path));
    match unified {
        // Under a hybrid hierarchy without a manager there, everything sits in its root.
        Some("/") => named().or(unified),
        Some(path) => Some(path),
        None => named(),
    }
}

/// The unit that a cgroup is of.
pub fn unit_of(path: &str) -> &str {
    let path = of_unit(path);
    path.rsplit('/').next().unwrap_or(path)
}

/// The cgroup of the unit that a cgroup is of: what is below a unit's is the unit's own to make. Where no
/// part of the path names a unit that runs processes, all of it.
pub fn of_unit(path: &str) -> &str {
    let mut above = std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above));
    above.find(|path| path.ends_with(".service") || path.ends_with(".scope")).unwrap_or(path)
}

/// Whether a cgroup is the one at `group` or below it.
fn is_within(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The cgroup that a process is in, below its hierarchy's root.
pub fn of(pid: i32) -> io::Result<String> {
    let file = format!("/proc/{pid}/cgroup");
    let text = kernel::text(&file)?;
    path_in(&text).map(str::to_owned).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{file} names no cgroup of systemd's"))
    })
}

/// This process's own cgroup.
pub fn own() -> io::Result<String> {
    of(i32::try_from(std::process::id()).unwrap_or(0))
}

/// Moves a process into the cgroup at `path` and proves that it is there. One that is below stays there: it
/// made itself a place of its own, or its runtime did.
pub fn move_into(path: &str, pid: i32) -> io::Result<()> {
    if of(pid).is_ok_and(|now| is_within(&now, path)) {
        return Ok(());
    }
    for folder in folders(Path::new(ROOT), path) {
        std::fs::write(folder.join("cgroup.procs"), pid.to_string()).map_err(|e| {
            io::Error::new(e.kind(), format!("move pid {pid} into {}: {e}", folder.display()))
        })?;
    }
    let now = of(pid)?;
    if is_within(&now, path) {
        return Ok(());
    }
    Err(io::Error::other(format!("pid {pid} is in {now} after it was moved into {path}")))
}

/// The folders that stand for a cgroup: one on a unified hierarchy, two on a hybrid one.
fn folders(root: &Path, path: &str) -> Vec<PathBuf> {
    let below = path.trim_start_matches('/');
    if root.join("cgroup.procs").exists() {
        return vec![root.join(below)];
    }
    ["unified", "systemd"].iter().map(|h| root.join(h).join(below)).filter(|f| f.exists()).collect()
}

/// Kills by the OOM killer in one cgroup or below it, noticed when they happen: the file has urgent news
/// then.
#[derive(Debug)]
pub struct OomKills {
    events: File,
    seen: u64,
}

impl OomKills {
    /// Of the cgroup at `path`; `None` where the kernel does not account for its memory.
    pub fn watch(path: &str) -> Option<Self> {
        Self::below(Path::new(ROOT), path)
    }

    fn below(root: &Path, path: &str) -> Option<Self> {
        let events = File::open(folders(root, path).first()?.join("memory.events")).ok()?;
        let kills = Self { events, seen: 0 };
        kills.count().map(|_| kills)
    }

    /// Kills since the last look. Reading is also what makes the file wait for other news.
    pub fn new_ones(&mut self) -> u64 {
        let count = self.count().unwrap_or(self.seen);
        let new = count.saturating_sub(self.seen);
        self.seen = count;
        new
    }

    fn count(&self) -> Option<u64> {
        let mut text = [0; 1024];
        let length = self.events.read_at(&mut text, 0).ok()?;
        oom_kills_in(std::str::from_utf8(text.get(..length)?).ok()?)
    }
}

impl AsFd for OomKills {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

/// The cgroups of one manager's units, which are beside each other.
///
/// To ask of each process where it is (`/proc/PID/cgroup`) takes a lock of the kernel's that all
/// cgroups share: two threads that do so wait for each other. Where one of them is tells where the
/// others should be, and each of those can be asked whether it has the process.
#[derive(Debug, Default)]
pub struct Siblings {
    parent: Option<(String, Folder)>,
    accounts: Option<bool>,
}

impl Siblings {
    /// The cgroup that a process is in; `unit` is the one that it should be in. Empty where that can't
    /// be read.
    pub fn of(&mut self, unit: &str, pid: i32) -> String {
        if let Some((parent, folder)) = &self.parent
            && folder.read(&format!("{unit}/cgroup.procs")).is_ok_and(|procs| lists(&procs, pid))
        {
            return format!("{parent}/{unit}");
        }
        let path = of(pid).unwrap_or_default();
        if self.parent.is_none()
            && let Some(parent) = of_unit(&path).strip_suffix(unit).and_then(|p| p.strip_suffix('/'))
        {
            self.parent = folders(Path::new(ROOT), parent)
                .first()
                .and_then(|at| Folder::open(at).ok())
                .map(|folder| (parent.to_owned(), folder));
        }
        path
    }

    /// What the kernel accounts for of a unit's cgroup; `None` where it is not known to be here.
    pub fn account(&mut self, unit: &str) -> Option<Account> {
        let (_, folder) = self.parent.as_ref()?;
        // Where no controller accounts for memory, one look tells it for all.
        let accounts = *self.accounts.get_or_insert_with(|| accounts_for_memory(folder));
        if !accounts {
            return Some(Account::default());
        }
        Some(Account::read(|file| folder.text(&format!("{unit}/{file}"))))
    }
}

/// Whether the memory of the cgroups in a folder is accounted for.
fn accounts_for_memory(folder: &Folder) -> bool {
    let enabled = folder.text("cgroup.subtree_control").unwrap_or_default();
    enabled.split_whitespace().any(|controller| controller == "memory")
}

/// Whether a process is on the list of a cgroup. One of the many of a fork bomb may be on a part of
/// it that was not read.
fn lists(procs: &[u8], pid: i32) -> bool {
    let pid = pid.to_string();
    procs.split(|byte| *byte == b'\n').any(|line| line == pid.as_bytes())
}

/// What the kernel accounts for of many cgroups.
#[derive(Debug)]
pub struct Accounts {
    root: Option<PathBuf>,
}

/// What the kernel accounts for of one cgroup; nothing where no controller does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Memory in use in bytes.
    pub memory: Option<u64>,
    /// Processes that the OOM killer has ended.
    pub oom_kills: Option<u64>,
}

impl Accounts {
    /// Of this machine. Memory is accounted for in the unified hierarchy, wherever that is mounted.
    pub fn open() -> Self {
        let root = folders(Path::new(ROOT), "").into_iter().next();
        let accounts = |root: &PathBuf| {
            let controllers = kernel::text(root.join("cgroup.controllers")).unwrap_or_default();
            controllers.split_whitespace().any(|controller| controller == "memory")
        };
        Self { root: root.filter(accounts) }
    }

    /// Of the cgroup at `path`.
    pub fn of(&self, path: &str) -> Account {
        let Some(root) = &self.root else { return Account::default() };
        let folder = root.join(path.trim_start_matches('/'));
        Account::read(|file| kernel::text(folder.join(file)))
    }
}

impl Account {
    fn read(text: impl Fn(&str) -> io::Result<String>) -> Self {
        let Ok(memory) = text("memory.current") else { return Self::default() };
        Self {
            memory: memory.trim().parse().ok(),
            oom_kills: text("memory.events").ok().and_then(|text| oom_kills_in(&text)),
        }
    }
}

/// What the cgroup at `path` has used and uses now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Used {
    /// Memory in use in bytes.
    pub memory: Option<u64>,
    /// The most since it was made.
    pub memory_peak: Option<u64>,
    /// Processor time in seconds.
    pub cpu: Option<f64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// How often it was refused one more, since it was made.
    pub tasks_refused: Option<u64>,
}

/// What the cgroup at `path` has used, each where the kernel accounts for it.
pub fn used(path: &str) -> Used {
    let Some(folder) = folders(Path::new(ROOT), path).into_iter().next() else { return Used::default() };
    let number = |file: &str| kernel::text(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    let micros = |text: String| counted(&text, "usage_usec ");
    Used {
        memory: number("memory.current"),
        memory_peak: number("memory.peak"),
        cpu: kernel::text(folder.join("cpu.stat")).ok().and_then(micros).map(|m| m as f64 / 1e6),
        tasks: number("pids.current"),
        tasks_refused: kernel::text(folder.join("pids.events")).ok().and_then(|t| counted(&t, "max ")),
    }
}

fn oom_kills_in(text: &str) -> Option<u64> {
    counted(text, "oom_kill ")
}

/// The number behind a key, in a file that has one a line.
fn counted(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(key)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_found_under_every_kind_of_hierarchy() {
        let unified = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-mosaic\\x2dagent.slice/mosaic-agent@a.service\n";
        assert_eq!(path_in(unified).map(unit_of), Some("mosaic-agent@a.service"));
        let hybrid = "3:memory:/x\n1:name=systemd:/user.slice/u.service\n0::/user.slice/u.service\n";
        assert_eq!(path_in(hybrid).map(unit_of), Some("u.service"));
        let legacy = "3:memory:/x\n1:name=systemd:/a/b.scope\n0::/\n";
        assert_eq!(path_in(legacy).map(unit_of), Some("b.scope"));
        assert_eq!(path_in("3:memory:/x\n"), None);
    }

    #[test]
    fn what_is_below_a_units_cgroup_is_the_units() {
        let unit = "/user.slice/user@1000.service/app.slice/mosaic-agent@a.service";
        for below in ["", "/libpod-payload-1f", "/runtime/x"] {
            let path = format!("{unit}{below}");
            assert_eq!((unit_of(&path), of_unit(&path)), ("mosaic-agent@a.service", unit));
            assert!(is_within(&path, unit));
        }
        assert_eq!(unit_of("/user.slice/session-2.scope"), "session-2.scope");
        assert_eq!((unit_of("/docker/1f"), unit_of("/")), ("1f", ""), "no unit at all");
        assert!(!is_within("/a/mosaic-agent@ab.service", "/a/mosaic-agent@a.service"));
        assert!(!is_within("/a", "/a/b"));
    }

    #[test]
    fn a_process_below_the_cgroup_is_not_moved() {
        let own_pid = i32::try_from(std::process::id()).expect("a pid");
        let Ok(before) = own() else { return };
        let Some((above, _)) = before.rsplit_once('/') else { return };
        move_into(above, own_pid).expect("it is there, so nothing is asked of the kernel");
        assert_eq!(own().ok(), Some(before));
    }

    #[test]
    fn a_process_is_where_its_units_list_has_it_and_else_where_the_kernel_says() {
        let parent = tempfile::tempdir().expect("a folder");
        let own_pid = i32::try_from(std::process::id()).expect("a pid");
        for (unit, procs) in
            [("u.service", format!("1\n{own_pid}\n77\n")), ("v.service", format!("{own_pid}7\n"))]
        {
            std::fs::create_dir(parent.path().join(unit)).expect("made");
            std::fs::write(parent.path().join(unit).join("cgroup.procs"), procs).expect("written");
        }
        let folder = Folder::open(parent.path()).expect("a folder");
        let mut siblings = Siblings { parent: Some(("/p".to_owned(), folder)), accounts: None };
        assert_eq!(siblings.of("u.service", own_pid), "/p/u.service");
        for elsewhere in ["v.service", "w.service"] {
            assert_eq!(siblings.of(elsewhere, own_pid), own().unwrap_or_default());
        }
        assert_eq!(siblings.account("u.service"), Some(Account::default()), "no controller accounts for it");
        siblings.accounts = None;
        std::fs::write(parent.path().join("cgroup.subtree_control"), "cpu memory\n").expect("written");
        std::fs::write(parent.path().join("u.service/memory.current"), "4096\n").expect("written");
        std::fs::write(parent.path().join("u.service/memory.events"), "oom_kill 2\n").expect("written");
        let account = Account { memory: Some(4096), oom_kills: Some(2) };
        assert_eq!(siblings.account("u.service"), Some(account));
        assert_eq!(Siblings::default().account("u.service"), None, "nothing is known of where it is");
    }

    #[test]
    fn oom_kills_are_not_mistaken_for_oom_group_kills() {
        assert_eq!(oom_kills_in("low 0\noom 4\noom_kill 3\noom_group_kill 2\n"), Some(3));
        assert_eq!(oom_kills_in("low 0\n"), None);
    }

    #[test]
    fn kills_are_counted_from_look_to_look() {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::write(root.path().join("cgroup.procs"), "").expect("written");
        let group = root.path().join("user.slice/mosaic-agent@a.service");
        std::fs::create_dir_all(&group).expect("made");
        let events = |kills: u32| {
            let text = format!("low 0\nhigh 7\nmax 3\noom 9\noom_kill {kills}\noom_group_kill 0\n");
            std::fs::write(group.join("memory.events"), text).expect("written");
        };
        let watch = |path: &str| OomKills::below(root.path(), path);
        assert!(watch("/user.slice/mosaic-agent@a.service").is_none(), "no controller, no file");
        events(2);
        let mut kills = watch("/user.slice/mosaic-agent@a.service").expect("a file");
        assert_eq!(kills.new_ones(), 2, "those before the watch began, too");
        events(5);
        assert_eq!((kills.new_ones(), kills.new_ones()), (3, 0));
    }
}
