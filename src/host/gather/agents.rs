//! What is read of each agent: its record, its beat, its processes. Many agents are read by several
//! threads, since each costs some hundred microseconds of the kernel's time.

use std::collections::{BTreeMap, BTreeSet};

use super::{ByAgent, Look, Rare};
use crate::host::cgroup::{Account, Accounts, Siblings, of_unit};
use crate::host::kernel;
use crate::host::look::{LONGEST_FILE, at};
use crate::host::process::{self, Seen};
use crate::host::receipts::Receipts;
use crate::host::runfiles::{Folder, Stamp, stamps};
use crate::layout::{Layout, within};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::runfile::receipt::Summary;
use crate::runfile::{self, environment, heartbeat, launched, receipt, record};
use crate::snapshot::{Content, EnvironmentFiles, Fact, FileFacts, Tmux, UnitFacts};

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
    pub beats: ByAgent<Content>,
    /// Each one's summary of its receipts.
    pub receipts: ByAgent<String>,
    /// What stands at each one's environment files.
    pub environments: BTreeMap<AgentName, EnvironmentFiles>,
    /// The processes concerned, each looked at once.
    pub seen: BTreeMap<i32, Seen>,
    /// What panes run and `/proc` does not show.
    pub hidden: BTreeSet<i32>,
    /// Those of them that panes run.
    run: BTreeSet<i32>,
    /// What the kernel accounts for of units that run one of them.
    accounts: BTreeMap<String, Account>,
    /// Where units' cgroups are.
    siblings: Siblings,
}

/// Reads everything that files tell of the agents.
pub fn look_at(look: &Look<'_>, rare: &Rare, boot_id: &str) -> Agents {
    // Not by the library's count, which reads through all mounts for it.
    let cores = kernel::cores();
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
        let read = |name: &str| match environments.read(name, LONGEST_FILE) {
            Ok(facts) => facts.map(Fact::Known),
            Err(error) => Some(Fact::Unknown(error.to_string())),
        };
        let content = |name: &str, longest| match run.content(name, longest) {
            Ok(content) => content.map(Fact::Known),
            Err(error) => Some(Fact::Unknown(error.to_string())),
        };
        for agent in agents {
            let record = content(&within::record(agent), record::LONGEST);
            let record = record.map(|record| text(record, record::LONGEST));
            let beat = content(&within::heartbeat(agent), heartbeat::LONGEST);
            let summary = within::receipt_summary(agent);
            let receipts = if rare.has(&summary) { content(&summary, receipt::LONGEST) } else { None };
            let receipts = receipts.map(|receipts| text(receipts, receipt::LONGEST));
            let receipts = receipts.map(|receipts| by_now(look.layout, agent, receipts));
            part.receipts.extend(receipts.map(|receipts| (agent.clone(), receipts)));
            // What its supervisor says that runs: mostly the same as what its pane shows, and all
            // there is to see where tmux says nothing.
            let told = record.as_ref().and_then(Fact::known).map(|record| Told::of(record, boot_id));
            let told = told.unwrap_or_default();
            if let Some(pid) = told.pid {
                part.runs(look, agent, pid);
            }
            if let Some(pid) = beat.as_ref().and_then(Fact::known).and_then(writer) {
                part.wrote(pid);
            }
            let (rendered, local) = (within::agent_env(agent), within::agent_local_env(agent));
            let has_local = rare.has(&local);
            let now = || {
                let local = if has_local { environments.stamp(&local) } else { Stamp::default() };
                stamps(environments.stamp(&rendered), local)
            };
            let environment = match told.stamps {
                Some(told) if told == now() => EnvironmentFiles::AsStarted,
                _ => EnvironmentFiles::Seen {
                    rendered: match read(&rendered) {
                        Some(Fact::Known(FileFacts::Link(_))) => {
                            at(&look.layout.agent_env(agent), LONGEST_FILE)
                        }
                        other => other,
                    },
                    local: read(&local),
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
        self.accounts.extend(other.accounts);
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
        let unit = agent.unit();
        let glance = || process::glance_in(pid, |pid| self.siblings.of(&unit, pid));
        let Some(mut seen) = self.seen.remove(&pid).or_else(glance) else { return };
        if seen.process.unit == unit
            && let Some(account) = self.siblings.account(&unit)
        {
            self.accounts.insert(unit, account);
        }
        let enough = |seen: &Seen| (look.says_enough)(agent, &seen.process);
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
        // A server that answers and is not there is of another pid namespace, and so are its panes.
        let elsewhere = !process::is_shown(*pid);
        let agents: BTreeMap<&str, &AgentName> = look.agents.iter().map(|a| (a.as_str(), a)).collect();
        for pane in panes.iter_mut().filter(|p| !p.dead) {
            if let Some(agent) = agents.get(pane.session.as_str()) {
                self.runs(look, agent, pane.pid);
            }
            pane.command = self.in_foreground(pane.pid).unwrap_or_default();
            if !self.seen.contains_key(&pane.pid) && (elsewhere || process::is_hidden(pane.pid)) {
                self.hidden.insert(pane.pid);
            }
        }
    }

    /// What runs in the foreground of a pane's terminal, by its name.
    fn in_foreground(&self, pid: i32) -> Option<String> {
        let of = |pid| match self.seen.get(&pid) {
            Some(seen) => Some((seen.process.comm.clone(), seen.process.foreground)),
            None => process::glance(pid).map(|seen| (seen.process.comm, seen.process.foreground)),
        };
        let (own, group) = of(pid)?;
        let leads = Some(group).filter(|group| *group > 0 && *group != pid);
        Some(leads.and_then(of).map_or(own, |(leader, _)| leader))
    }

    /// The holder's main process, as systemd has it.
    pub fn holder(&mut self, units: &Fact<BTreeMap<String, UnitFacts>>) {
        let holder = units.known().and_then(|u| u.get(HOLDER_UNIT)?.detail.as_ref());
        if let Some(pid) = holder.map(|d| d.main_pid) {
            self.one(pid);
        }
    }

    /// What the kernel accounts for of each agent's unit: where a process of it is, else where systemd
    /// has its cgroup.
    pub fn accounts(
        &mut self,
        look: &Look<'_>,
        units: &Fact<BTreeMap<String, UnitFacts>>,
    ) -> BTreeMap<String, Account> {
        let mut accounts = std::mem::take(&mut self.accounts);
        let of_processes: BTreeMap<&str, &str> =
            self.seen.values().map(|s| (s.process.unit.as_str(), of_unit(&s.cgroup))).collect();
        let mut opened = None;
        for unit in look.agents.iter().map(AgentName::unit) {
            if accounts.contains_key(&unit) {
                continue;
            }
            let told = units.known().and_then(|u| u.get(&unit)?.detail.as_ref()).map(|d| d.cgroup.as_str());
            let path = told.filter(|p| !p.is_empty()).or_else(|| of_processes.get(unit.as_str()).copied());
            if let Some(path) = path {
                let account = opened.get_or_insert_with(Accounts::open).of(path);
                accounts.insert(unit, account);
            }
        }
        accounts
    }
}

/// What was noted at the launch of each of these agents.
pub fn launched(look: &Look<'_>, agents: &[AgentName]) -> ByAgent<String> {
    let note = |agent: &AgentName| {
        let stands = at(&look.layout.launched(agent), launched::LONGEST)?.map(Content::from);
        Some((agent.clone(), text(stands, launched::LONGEST)))
    };
    agents.iter().filter_map(note).collect()
}

/// What of a record of this boot decides where to look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told<'r> {
    /// What runs.
    pub pid: Option<i32>,
    /// The stamps of the environment files.
    pub stamps: Option<&'r str>,
}

impl<'r> Told<'r> {
    /// Takes it out of a record's text, without reading all of that.
    pub fn of(record: &'r str, boot_id: &str) -> Self {
        let (mut boot, mut pid, mut environment) = (None, None, None);
        // Once through the text, and the first line of a key counts, as everywhere.
        for (key, value) in record.lines().filter_map(|line| line.split_once('=')) {
            let place = match key {
                "boot_id" => &mut boot,
                "runtime_pid" => &mut pid,
                "environment" => &mut environment,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        if boot != Some(boot_id) {
            return Self::default();
        }
        Self { pid: pid.and_then(|p| p.parse().ok()), stamps: environment.and_then(environment::stamps) }
    }
}

/// Whose a beat says it is.
fn writer(beat: &Content) -> Option<i32> {
    let Content::File(content) = beat else { return None };
    runfile::value(std::str::from_utf8(content).ok()?, "pid")?.trim().parse().ok()
}

/// The text of a file of which one byte more than it may have was read.
fn text(fact: Fact<Content>, longest: usize) -> Fact<String> {
    match fact {
        Fact::Unknown(why) => Fact::Unknown(why),
        Fact::Known(Content::File(content)) if content.len() > longest => {
            Fact::Unknown(format!("more than {longest} bytes"))
        }
        Fact::Known(Content::File(content)) => Fact::from(String::from_utf8(content).map_err(|_| "not text")),
        Fact::Known(Content::Link) => Fact::Unknown("a symbolic link in place of a file".to_owned()),
        Fact::Known(Content::Other(what)) => Fact::Unknown(format!("{what} in place of a file")),
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
                says_enough: &|_, _| true,
            };
            let read = look_at(&look, &Rare::list(&layout), "b");
            assert_eq!((read.records.len(), read.beats.len()), (some.len(), some.len()));
            assert_eq!(read.seen.len(), usize::from(!some.is_empty()));
            let receipts: Vec<&AgentName> = read.receipts.keys().collect();
            assert_eq!(receipts, some.iter().take(1).collect::<Vec<_>>(), "the one that has any");
        }
        assert_eq!(Told::of("boot_id=b\nruntime_pid=7\nruntime_pid=8\n", "b").pid, Some(7));
        assert_eq!(Told::of("boot_id=c\nruntime_pid=7\n", "b"), Told::default(), "of an earlier boot");
    }
}
