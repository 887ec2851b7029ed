//! A healthy fleet for tests, to be spoilt in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Flag, Given, Row, rows};
use crate::layout::Layout;
use crate::ledger::{FileRecord, Identity, Ledger, Sha};
use crate::names::{AgentName, HOLDER_UNIT, HostName};
use crate::roster::{self, Roster};
use crate::runfile::environment::Environment;
use crate::runfile::record::{Record, State};
use crate::snapshot::{
    Clock, Content, EnvironmentFiles, Fact, FileFacts, Manager, Pane, Process, Snapshot, Tmux, UnitDetail,
    UnitFacts,
};

/// CLOCK_BOOTTIME of the tests' look.
pub const NOW: f64 = 1000.0;
/// Seconds since 1970 of it: 2026-11-20T10:00:00Z.
pub const UNIX: f64 = 1_795_168_800.0;
/// The boot.
pub const BOOT: &str = "this-boot";
/// The server's pid.
pub const SERVER: i32 = 10;

/// What is judged.
pub struct Case {
    pub roster: Roster,
    pub layout: Layout,
    pub host: HostName,
    pub seen: Snapshot,
    pub installed: Fact<Option<Ledger>>,
}

/// A checked agent's name.
pub fn name(name: &str) -> AgentName {
    AgentName::parse(name).expect("a good name")
}

impl Case {
    /// Agents of these names, all healthy: the first has pids 100 and 101 (runtime and child), the
    /// second 200, and so on.
    pub fn of(agents: &[&str]) -> Self {
        let lines: String = agents.iter().map(|a| format!("  - {{name: {a}, runtime: claude}}\n")).collect();
        Self::with_roster(&format!("version: 1\ntenant_id: usc\nagents:\n{lines}"))
    }

    /// The agents of this roster, all healthy.
    pub fn with_roster(text: &str) -> Self {
        let roster = roster::read(text, Path::new("roster.yaml"), "usc").expect("a good roster");
        let layout = Layout::new("/home/usc", None);
        let host = HostName::parse("box").expect("a host");
        let ledger = Ledger::new(Identity {
            tenant: roster.tenant.clone(),
            host: host.clone(),
            socket: "/tmp/tmux-1000/mosaic-factory".into(),
            program: "/usr/bin/fleet".into(),
        });
        let mut case = Self { seen: empty(), layout, host, roster, installed: Fact::Known(Some(ledger)) };
        let names: Vec<AgentName> = case.roster.agents.iter().map(|a| a.name.clone()).collect();
        case.holder();
        for (at, name) in names.iter().enumerate() {
            case.agent(name, i32::try_from(at + 1).expect("few") * 100);
        }
        case
    }

    /// The books.
    pub fn ledger(&mut self) -> &mut Ledger {
        match &mut self.installed {
            Fact::Known(Some(ledger)) => ledger,
            other => panic!("{other:?}"),
        }
    }

    /// Installs a file, as it still stands there.
    fn installed(&mut self, path: std::path::PathBuf, content: &str) -> Fact<FileFacts> {
        self.ledger().files.insert(path.clone(), FileRecord::settled(Sha::of(content.as_bytes()), 0o600));
        let facts = Fact::Known(FileFacts::File { content: content.as_bytes().to_vec(), mode: 0o600 });
        self.seen.files.insert(path, facts.clone());
        facts
    }

    /// Changes an agent's environment file by hand.
    pub fn edit_env(&mut self, agent: &str, content: &str) {
        let content = content.as_bytes().to_vec();
        let files = self.seen.environments.get_mut(&name(agent)).expect("it has some");
        if let EnvironmentFiles::Seen { rendered, .. } = files {
            *rendered = Some(Fact::Known(FileFacts::File { content, mode: 0o600 }));
        }
    }

    /// Has something stand at an agent's local environment file.
    pub fn local_env(&mut self, agent: &str, content: &str) {
        let content = content.as_bytes().to_vec();
        let files = self.seen.environments.get_mut(&name(agent)).expect("it has some");
        if let EnvironmentFiles::Seen { local, .. } = files {
            *local = Some(Fact::Known(FileFacts::File { content, mode: 0o600 }));
        }
    }

    fn holder(&mut self) {
        for path in [self.layout.holder_unit(), self.layout.agent_template(), self.layout.tmux_conf()] {
            self.installed(path, "ours\n");
        }
        let detail = UnitDetail {
            main_pid: SERVER,
            active_since: 2.0,
            fragment: self.layout.holder_unit().display().to_string(),
            ..UnitDetail::default()
        };
        self.units().insert(HOLDER_UNIT.to_owned(), up(detail));
        self.wants().insert(("default.target".to_owned(), HOLDER_UNIT.to_owned()));
        let server = Process { comm: "tmux: server".into(), ..process(1, HOLDER_UNIT, 2.0) };
        self.seen.processes.insert(SERVER, server);
        let mut pane = pane("_holder", SERVER + 1);
        pane.command = "sleep".into();
        self.panes().push(pane);
    }

    fn agent(&mut self, name: &AgentName, pid: i32) {
        let unit = name.unit();
        let fragment = self.layout.agent_template().display().to_string();
        self.units().insert(unit.clone(), up(UnitDetail { fragment, ..UnitDetail::default() }));
        self.wants().insert(("default.target".to_owned(), unit.clone()));
        self.wants().insert((HOLDER_UNIT.to_owned(), unit.clone()));
        self.panes().push(pane(name.as_str(), pid));
        self.seen.processes.insert(pid, process(SERVER, &unit, 500.0));
        self.seen.processes.insert(pid + 1, process(pid, &unit, 501.0));
        let runtime = self.roster.agent(name).map_or_else(String::new, |a| a.runtime.to_string());
        self.runs(name.as_str(), &runtime);
        self.seen.memory.insert(unit, 4096);
        let text = format!("A=1\nMOSAIC_AGENT_NAME={name}\n");
        let rendered = Some(self.installed(self.layout.agent_env(name), &text));
        self.seen.environments.insert(name.clone(), EnvironmentFiles::Seen { rendered, local: None });
        self.record(name, |r| r.environment = Some(Environment::of(text.as_bytes(), b"", "1.2 -".into())));
        self.beat(name, &format!("pid={pid}\nboot_id={BOOT}\nboottime={}\n", NOW - 5.0));
    }

    /// The loaded units.
    pub fn units(&mut self) -> &mut BTreeMap<String, UnitFacts> {
        match &mut self.seen.units {
            Fact::Known(units) => units,
            Fact::Unknown(why) => panic!("{why}"),
        }
    }

    /// An agent's unit.
    pub fn unit(&mut self, agent: &str) -> &mut UnitFacts {
        self.units().get_mut(&name(agent).unit()).expect("it is loaded")
    }

    /// What was asked of an agent's unit.
    pub fn detail(&mut self, agent: &str) -> &mut UnitDetail {
        self.unit(agent).detail.as_mut().expect("it was asked for")
    }

    /// Which unit pulls in which.
    pub fn wants(&mut self) -> &mut BTreeSet<(String, String)> {
        match &mut self.seen.wants {
            Fact::Known(wants) => wants,
            Fact::Unknown(why) => panic!("{why}"),
        }
    }

    /// The server's panes.
    pub fn panes(&mut self) -> &mut Vec<Pane> {
        match &mut self.seen.tmux {
            Fact::Known(Tmux::Running { panes, .. }) => panes,
            other => panic!("{other:?}"),
        }
    }

    /// An agent's pane.
    pub fn pane(&mut self, agent: &str) -> &mut Pane {
        self.panes().iter_mut().find(|p| p.session == agent).expect("it has one")
    }

    /// Ends an agent's runtime, as `kill -9` does.
    pub fn kill(&mut self, agent: &str) {
        let pane = self.pane(agent);
        (pane.dead, pane.dead_signal) = (true, Some(9));
        let pid = pane.pid;
        self.seen.processes.retain(|p, process| *p != pid && process.parent != pid);
    }

    /// Has an agent's pane run something else.
    pub fn runs(&mut self, agent: &str, program: &str) {
        let pid = self.pane(agent).pid;
        for (at, process) in &mut self.seen.processes {
            if *at == pid || process.parent == pid {
                (process.comm, process.argv) = (program.to_owned(), vec![program.to_owned()]);
            }
        }
    }

    /// Writes an agent's beat; `ts`, `status` and a boot and time of this look stand before `lines`.
    pub fn beat(&mut self, agent: &AgentName, lines: &str) {
        let content = format!("ts=2026-11-20T09:59:55Z\nstatus=ok\n{lines}").into_bytes();
        self.seen.beats.insert(agent.clone(), Fact::Known(Content::File(content)));
    }

    /// Writes an agent's record, changed.
    pub fn record(&mut self, agent: &AgentName, change: impl FnOnce(&mut Record)) {
        let mut record = Record {
            supervisor: env!("CARGO_PKG_VERSION").to_owned(),
            supervisor_pid: 50,
            boot_id: BOOT.to_owned(),
            state: State::Running,
            status: "running".to_owned(),
            starts: 1,
            start_times: vec![500.0],
            started: Some(500.0),
            first_beat: Some(501.0),
            first_beat_of_boot: Some(3.25),
            ..Record::default()
        };
        record.runtime_pid =
            self.seen.processes.iter().find(|(_, p)| p.unit == agent.unit()).map(|(pid, _)| *pid);
        change(&mut record);
        self.seen.records.insert(agent.clone(), Fact::Known(record.text()));
    }

    /// What is judged.
    pub fn given(&self) -> Given<'_> {
        let Self { roster, layout, host, seen, installed } = self;
        Given { roster, layout, host, seen, installed }
    }

    /// The rows.
    pub fn rows(&self) -> Vec<Row> {
        rows(&self.given())
    }

    /// One row.
    pub fn row(&self, name: &str) -> Row {
        self.rows().into_iter().find(|r| r.name == name).expect("it has a row")
    }

    /// The flags of all rows that have any.
    pub fn flags(&self) -> Vec<(String, Vec<Flag>)> {
        let flagged = self.rows().into_iter().filter(|r| !r.flags.is_empty());
        flagged.map(|r| (r.name, r.flags)).collect()
    }
}

fn empty() -> Snapshot {
    Snapshot {
        clock: Clock { unix: UNIX, boottime: NOW, boot_id: BOOT.to_owned() },
        booted: 0.0,
        linger: Fact::Known(true),
        manager: Fact::Known(Manager { version: "252".to_owned(), started: 1.5 }),
        units: Fact::Known(BTreeMap::new()),
        wants: Fact::Known(BTreeSet::new()),
        tmux: Fact::Known(Tmux::Running { pid: SERVER, version: "3.3a".to_owned(), panes: Vec::new() }),
        files: BTreeMap::new(),
        beats: BTreeMap::new(),
        environments: BTreeMap::new(),
        receipts: BTreeMap::new(),
        launched: BTreeMap::new(),
        records: BTreeMap::new(),
        parked: BTreeMap::new(),
        processes: BTreeMap::new(),
        hidden: BTreeSet::new(),
        memory: BTreeMap::new(),
        oom_kills: BTreeMap::new(),
        folders: BTreeMap::new(),
        holder: None,
        stand_ins: Fact::Known(Vec::new()),
        left: BTreeMap::new(),
    }
}

fn up(detail: UnitDetail) -> UnitFacts {
    UnitFacts {
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        sub: "running".to_owned(),
        job: String::new(),
        detail: Some(detail),
    }
}

fn process(parent: i32, unit: &str, started: f64) -> Process {
    let (comm, argv) = ("claude".into(), vec!["claude".into()]);
    Process { parent, comm, argv, unit: unit.to_owned(), started, foreground: 0 }
}

/// A live pane.
pub fn pane(session: &str, pid: i32) -> Pane {
    Pane {
        session: session.to_owned(),
        id: format!("%{pid}"),
        pid,
        dead: false,
        dead_status: None,
        dead_signal: None,
        command: "claude".to_owned(),
        activity: UNIX - 30.0,
        attached: 0,
    }
}

/// Spoils a healthy fleet of a, b and c, and expects these flags on b alone.
pub fn flags_b(expected: &[Flag], spoil: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case::of(&["a", "b", "c"]);
    spoil(&mut case);
    assert_eq!(case.flags(), [("b".to_owned(), expected.to_vec())], "{:#?}", case.row("b").reasons);
    case
}

/// Spoils it in a way that is none.
pub fn no_flags(spoil: impl FnOnce(&mut Case)) -> Case {
    let mut case = Case::of(&["a", "b", "c"]);
    spoil(&mut case);
    assert_eq!(case.flags(), [], "{:#?}", case.row("b").reasons);
    case
}

/// The reason of that beginning.
pub fn reason(case: &Case, agent: &str, what: &str) -> String {
    let reasons = case.row(agent).reasons;
    reasons.iter().find(|r| r.starts_with(what)).unwrap_or_else(|| panic!("{reasons:?}")).clone()
}
