//! What is read of each agent: its record, its beat, its processes. Many agents are read by several
//! threads, since each costs some hundred microseconds of the kernel's time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{ByAgent, Look, Rare};
use crate::host::cgroup::{Account, Accounts};
use crate::host::look::{LONGEST_FILE, at};
use crate::host::process::{self, Seen};
use crate::host::receipts::Receipts;
use crate::host::runfiles::{Folder, stamps};
use crate::layout::Layout;
use crate::names::{AgentName, HOLDER_UNIT};
use crate::runfile::receipt::Summary;
use crate::runfile::{self, environment, heartbeat, launched, receipt, record};
use crate::snapshot::{EnvironmentFiles, Fact, FileFacts, Tmux, UnitFacts};

/// So many agents are worth a thread of their own.
const WORTH_A_THREAD: usize = 24;
/// The longest chain of parents that is followed.
const LONGEST_CHAIN: usize = 64;

/// What was read.
#[derive(Debug, Default)]
pub struct Agents {
    /// Each supervisor's record.
    pub records: ByAgent<String>,
    /// What stands at each heartbeat.
    pub beats: ByAgent<FileFacts>,
    /// Each one's summary of its receipts.
    pub receipts: ByAgent<String>,
    /// What stands at each one's environment files.
    pub environments: BTreeMap<AgentName, EnvironmentFiles>,
    /// The processes concerned, each looked at once.
    pub seen: BTreeMap<i32, Seen>,
    /// Those of them that panes run.
    run: BTreeSet<i32>,
}

/// Reads everything that files tell of the agents.
pub fn look_at(look: &Look<'_>, rare: &Rare, boot_id: &str) -> Agents {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = look.agents.len().div_ceil(WORTH_A_THREAD).clamp(1, cores);
    let mut parts = look.agents.chunks(look.agents.len().div_ceil(threads).max(1));
    let first = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> =
            parts.map(|part| scope.spawn(|| Agents::of(look, rare, part, boot_id))).collect();
        let mut all = Agents::of(look, rare, first, boot_id);
        for other in others {
            all.merge(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    })
}

/// A summary that says of the last message that it stands in the composer, as the runtime's
/// acknowledgements make it: somebody may have pressed Enter since.
fn by_now(layout: &Layout, agent: &AgentName, text: Fact<String>) -> Fact<String> {
    let summary = text.known().and_then(|text| Summary::parse(text)).filter(Summary::left_a_draft);
    let Some(mut summary) = summary else { return text };
    let acks = Receipts::of(layout, agent).acks();
    match summary.latest.as_mut().and_then(|latest| Some((latest.acknowledged(&acks)?, latest))) {
        Some((state, latest)) => latest.state = state,
        None => return text,
    }
    Fact::Known(summary.text())
}

impl Agents {
    fn of(look: &Look<'_>, rare: &Rare, agents: &[AgentName], boot_id: &str) -> Self {
        let mut part = Self::default();
        let (run, environments) = (Folder::open(look.layout.run()), Folder::open(look.layout.agents()));
        let name =
            |path: PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let read = |folder: &Folder, path: PathBuf, longest| match folder.read(&name(path), longest) {
            Ok(facts) => facts.map(Fact::Known),
            Err(error) => Some(Fact::Unknown(error.to_string())),
        };
        for agent in agents {
            let record = read(&run, look.layout.record(agent), record::LONGEST);
            let record = record.map(|record| text(record, record::LONGEST));
            let beat = read(&run, look.layout.heartbeat(agent), heartbeat::LONGEST);
            let summary = look.layout.receipt_summary(agent);
            let receipts = if rare.has(&summary) { read(&run, summary, receipt::LONGEST) } else { None };
            let receipts = receipts.map(|receipts| text(receipts, receipt::LONGEST));
            let receipts = receipts.map(|receipts| by_now(look.layout, agent, receipts));
            part.receipts.extend(receipts.map(|receipts| (agent.clone(), receipts)));
            // What its supervisor says that runs: mostly the same as what its pane shows, and all
            // there is to see where tmux says nothing.
            if let Some(pid) = record.as_ref().and_then(Fact::known).and_then(|r| recorded_pid(r, boot_id)) {
                part.runs(look, agent, pid);
            }
            if let Some(pid) = beat.as_ref().and_then(Fact::known).and_then(writer) {
                part.wrote(pid);
            }
            let (rendered, local) = (look.layout.agent_env(agent), look.layout.agent_local_env(agent));
            let stamp = |path: &PathBuf| environments.stamp(&name(path.clone()));
            let told = record.as_ref().and_then(Fact::known).and_then(|record| stamps_in(record, boot_id));
            let environment = match told {
                Some(told) if told == stamps(stamp(&rendered), stamp(&local)) => EnvironmentFiles::AsStarted,
                _ => EnvironmentFiles::Seen {
                    rendered: match read(&environments, rendered.clone(), LONGEST_FILE) {
                        Some(Fact::Known(FileFacts::Link(_))) => at(&rendered, LONGEST_FILE),
                        other => other,
                    },
                    local: read(&environments, local, LONGEST_FILE),
                },
            };
            part.environments.insert(agent.clone(), environment);
            part.records.extend(record.map(|record| (agent.clone(), record)));
            part.beats.extend(beat.map(|beat| (agent.clone(), beat)));
        }
        part
    }

    fn merge(&mut self, other: Self) {
        self.records.extend(other.records);
        self.beats.extend(other.beats);
        self.environments.extend(other.environments);
        self.receipts.extend(other.receipts);
        self.seen.extend(other.seen);
        self.run.extend(other.run);
    }

    fn one(&mut self, pid: i32) {
        if pid > 0 && !self.seen.contains_key(&pid) {
            self.seen.extend(process::look(pid).map(|seen| (pid, seen)));
        }
    }

    /// A process that an agent's pane runs: as much of it as tells what it is.
    fn runs(&mut self, look: &Look<'_>, agent: &AgentName, pid: i32) {
        if !self.run.insert(pid) {
            return;
        }
        let Some(mut seen) = self.seen.remove(&pid).or_else(|| process::glance(pid)) else { return };
        let enough = |seen: &Seen| (look.says_enough)(agent, pid, &seen.process);
        let mut told = enough(&seen);
        if !told && seen.process.argv.is_empty() {
            seen.process.argv = process::argv(pid);
            told = enough(&seen);
        }
        self.seen.insert(pid, seen);
        if !told {
            process::look_below(pid, &mut self.seen);
        }
    }

    /// The writer of a beat, with all parents up to a process that is known: it may be far below the
    /// pane's.
    fn wrote(&mut self, pid: i32) {
        let mut at = pid;
        for _ in 0..LONGEST_CHAIN {
            if at <= 1 || self.seen.contains_key(&at) {
                return;
            }
            let Some(writer) = process::look(at) else { return };
            let parent = writer.process.parent;
            self.seen.insert(at, writer);
            at = parent;
        }
    }

    /// What panes show, and the server itself. tmux is not asked what they run: that is told here.
    pub fn shown(&mut self, look: &Look<'_>, tmux: &mut Fact<Tmux>) {
        let Fact::Known(Tmux::Running { pid, panes, .. }) = tmux else { return };
        self.one(*pid);
        let agents: BTreeMap<&str, &AgentName> = look.agents.iter().map(|a| (a.as_str(), a)).collect();
        for pane in panes.iter_mut().filter(|p| !p.dead) {
            if let Some(agent) = agents.get(pane.session.as_str()) {
                self.runs(look, agent, pane.pid);
            }
            pane.command = self.in_foreground(pane.pid).unwrap_or_default();
        }
    }

    /// What runs in the foreground of a pane's terminal, by its name.
    fn in_foreground(&self, pid: i32) -> Option<String> {
        let shell = |pid| self.seen.get(&pid).map_or_else(|| process::glance(pid), |seen| Some(seen.clone()));
        let own = shell(pid)?.process;
        let leads = Some(own.foreground).filter(|group| *group > 0 && *group != pid);
        Some(leads.and_then(shell).map_or(own.comm, |leader| leader.process.comm))
    }

    /// The holder's main process, as systemd has it.
    pub fn holder(&mut self, units: &Fact<BTreeMap<String, UnitFacts>>) {
        let holder = units.known().and_then(|u| u.get(HOLDER_UNIT)?.detail.as_ref());
        if let Some(pid) = holder.map(|d| d.main_pid) {
            self.one(pid);
        }
    }

    /// What the kernel accounts for of each agent's unit: where systemd has its cgroup, else where a
    /// process of it is.
    pub fn accounts(
        &self,
        look: &Look<'_>,
        units: &Fact<BTreeMap<String, UnitFacts>>,
    ) -> BTreeMap<String, Account> {
        let of_processes: BTreeMap<&str, &str> =
            self.seen.values().map(|s| (s.process.unit.as_str(), s.cgroup.as_str())).collect();
        let accounts = Accounts::open();
        let account = |unit: &String| {
            let told = units.known().and_then(|u| u.get(unit)?.detail.as_ref()).map(|d| d.cgroup.as_str());
            let path = told.filter(|p| !p.is_empty()).or_else(|| of_processes.get(unit.as_str()).copied())?;
            Some(accounts.of(path))
        };
        let names = look.agents.iter().map(AgentName::unit);
        names.filter_map(|unit| Some((unit.clone(), account(&unit)?))).collect()
    }
}

/// What was noted at the launch of each of these agents.
pub fn launched(look: &Look<'_>, agents: &[AgentName]) -> ByAgent<String> {
    let note = |agent: &AgentName| {
        let stands = at(&look.layout.launched(agent), launched::LONGEST)?;
        Some((agent.clone(), text(stands, launched::LONGEST)))
    };
    agents.iter().filter_map(note).collect()
}

/// What a record of this boot says that runs.
fn recorded_pid(record: &str, boot_id: &str) -> Option<i32> {
    of_this_boot(record, boot_id, "runtime_pid")?.trim().parse().ok()
}

/// What a record of this boot says of the environment files.
fn stamps_in<'r>(record: &'r str, boot_id: &str) -> Option<&'r str> {
    environment::stamps(of_this_boot(record, boot_id, "environment")?)
}

fn of_this_boot<'r>(record: &'r str, boot_id: &str, key: &str) -> Option<&'r str> {
    runfile::value(record, "boot_id").filter(|boot| boot.trim() == boot_id)?;
    runfile::value(record, key)
}

/// Whose a beat says it is.
fn writer(beat: &FileFacts) -> Option<i32> {
    let FileFacts::File { content, .. } = beat else { return None };
    runfile::value(std::str::from_utf8(content).ok()?, "pid")?.trim().parse().ok()
}

/// The text of a file of which one byte more than it may have was read.
fn text(fact: Fact<FileFacts>, longest: usize) -> Fact<String> {
    match fact {
        Fact::Unknown(why) => Fact::Unknown(why),
        Fact::Known(FileFacts::File { content, .. }) if content.len() > longest => {
            Fact::Unknown(format!("more than {longest} bytes"))
        }
        Fact::Known(FileFacts::File { content, .. }) => {
            Fact::from(String::from_utf8(content).map_err(|_| "not text"))
        }
        Fact::Known(FileFacts::Link(_) | FileFacts::Declared { .. }) => {
            Fact::Unknown("a symbolic link in place of a file".to_owned())
        }
        Fact::Known(FileFacts::Other(what)) => Fact::Unknown(format!("{what} in place of a file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::users::Caller;
    use crate::layout::Layout;

    #[test]
    fn every_agent_is_read_however_many_threads_share_them() {
        let home = tempfile::tempdir().expect("a home");
        let layout = Layout::new(home.path(), None);
        std::fs::create_dir_all(layout.run()).expect("a folder");
        let agents: Vec<AgentName> =
            (0..100).map(|n| AgentName::parse(&format!("a{n}")).expect("a name")).collect();
        let own = std::process::id();
        for agent in &agents {
            std::fs::write(layout.heartbeat(agent), format!("pid={own}\n")).expect("a beat");
            std::fs::write(layout.record(agent), format!("boot_id=b\nruntime_pid={own}\n"))
                .expect("a record");
        }
        std::fs::write(layout.receipt_summary(&agents[0]), "a receipt").expect("a receipt");
        let caller = Caller { uid: 0, name: "x".to_owned(), home: home.path().to_owned() };
        for some in [&agents[..], &agents[..1], &[]] {
            let look = Look {
                layout: &layout,
                caller: &caller,
                agents: some,
                files: &[],
                says_enough: &|_, _, _| true,
            };
            let read = look_at(&look, &Rare::list(&layout.run()), "b");
            assert_eq!((read.records.len(), read.beats.len()), (some.len(), some.len()));
            assert_eq!(read.seen.len(), usize::from(!some.is_empty()));
            let receipts: Vec<&AgentName> = read.receipts.keys().collect();
            assert_eq!(receipts, some.iter().take(1).collect::<Vec<_>>(), "the one that has any");
        }
        assert_eq!(recorded_pid("boot_id=c\nruntime_pid=7\n", "b"), None, "of an earlier boot");
    }
}
