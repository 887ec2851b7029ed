//! A machine in memory that remembers what was done to it, and can be cut off at any call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{After, JobEnd, Lingering, Machine};
use crate::error::{Error, Result};
use crate::host::systemd::{JobOutcome, JobRequest, JobResult, JobVerb};
use crate::ledger::{Ledger, Sha};
use crate::names::{AgentName, HOLDER_UNIT};
use crate::render::{File, Link};
use crate::snapshot::{Clock, Fact, FileFacts, Manager, Snapshot, UnitDetail, UnitFacts};

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct Fake {
    /// Files: bytes and mode.
    pub files: BTreeMap<PathBuf, (Vec<u8>, u32)>,
    /// The ledger as written last.
    pub ledger: Option<Ledger>,
    /// Whether lingering is on.
    pub lingers: bool,
    /// Links: by which unit, which unit.
    pub wants: BTreeSet<(String, String)>,
    /// Units that run, with their pid.
    pub running: BTreeMap<String, i32>,
    /// Parked agents with their boot.
    pub parked: BTreeMap<AgentName, String>,
    /// What running left of agents that are gone.
    pub left: BTreeMap<AgentName, Vec<PathBuf>>,
    /// Folders of ours, with their modes.
    pub folders: BTreeMap<PathBuf, u32>,
    /// What was noted when the holder's server started.
    pub holder: Option<String>,
    /// Whether units need a reload.
    pub behind: bool,
    /// Every call, in words.
    pub calls: Vec<String>,
    /// Calls after which nothing works any more, as if the run had been killed.
    pub cut_off_after: Option<usize>,
    /// Verbs, or `verb unit`, that are refused.
    pub refuses: BTreeSet<String>,
    /// Units that end at once when they are started, with their exit code.
    pub ends: BTreeMap<String, i32>,
    pids: i32,
}

/// The boot that the machine is in.
pub const BOOT: &str = "boot-1";

impl Fake {
    fn call(&mut self, verb: &str, about: &str) -> Result<()> {
        if self.cut_off_after.is_some_and(|n| self.calls.len() >= n) {
            return Err(Error::machine("cut off"));
        }
        self.calls.push(format!("{verb} {about}").trim_end().to_owned());
        match self.refuses.contains(verb) {
            true => Err(Error::machine(format!("{verb} refused"))),
            false => Ok(()),
        }
    }

    /// What stands at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let files = self.files.iter().map(|(path, (content, mode))| {
            (path.clone(), Fact::Known(FileFacts::File { content: content.clone(), mode: *mode }))
        });
        let units = self.running.iter().map(|(unit, pid)| {
            let detail = UnitDetail { main_pid: *pid, needs_reload: self.behind, ..UnitDetail::default() };
            let facts = UnitFacts {
                load: "loaded".into(),
                active: "active".into(),
                sub: "running".into(),
                job: String::new(),
                detail: Some(detail),
            };
            (unit.clone(), facts)
        });
        Snapshot {
            clock: Clock { unix: 0.0, boottime: 0.0, boot_id: BOOT.into() },
            booted: 0.0,
            linger: Fact::Known(self.lingers),
            manager: Fact::Known(Manager { version: "252".into(), started: 1.0 }),
            units: Fact::Known(units.collect()),
            wants: Fact::Known(self.wants.clone()),
            tmux: Fact::Unknown("not looked at".into()),
            files: files.collect(),
            beats: BTreeMap::new(),
            environments: BTreeMap::new(),
            receipts: BTreeMap::new(),
            launched: BTreeMap::new(),
            records: BTreeMap::new(),
            parked: self.parked.iter().map(|(a, b)| (a.clone(), Fact::Known(b.clone()))).collect(),
            processes: BTreeMap::new(),
            hidden: BTreeSet::new(),
            memory: BTreeMap::new(),
            oom_kills: BTreeMap::new(),
            folders: self.folders.clone(),
            holder: self.holder.clone().map(Fact::Known),
            stand_ins: Fact::Known(Vec::new()),
            left: self.left.clone(),
        }
    }

    fn start(&mut self, unit: &str) {
        if !self.running.contains_key(unit) {
            self.pids += 1;
            self.running.insert(unit.to_owned(), 100 + self.pids);
        }
    }

    fn run(&mut self, job: &JobRequest) {
        match job.verb {
            JobVerb::Start => self.start(&job.unit),
            JobVerb::Stop => drop(self.running.remove(&job.unit)),
            JobVerb::Restart => {
                let too: Vec<String> = match job.unit == HOLDER_UNIT {
                    true => self.running.keys().cloned().collect(),
                    false => vec![job.unit.clone()],
                };
                for unit in too {
                    self.running.remove(&unit);
                    self.start(&unit);
                }
            }
        }
    }
}

fn key(link: &Path) -> (String, String) {
    let by = link.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    let name = link.file_name().map(|n| n.to_string_lossy().into_owned());
    (by.unwrap_or_default().trim_end_matches(".wants").to_owned(), name.unwrap_or_default())
}

impl Machine for Fake {
    fn write(&mut self, file: &File) -> Result<()> {
        self.call("write", &file.path.display().to_string())?;
        self.files.insert(file.path.clone(), (file.content.clone().into_bytes(), file.mode));
        Ok(())
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<()> {
        self.call("set-mode", &path.display().to_string())?;
        self.folders.insert(path.to_path_buf(), mode);
        Ok(())
    }

    fn keep_copy(&mut self, from: &Path, to: &Path) -> Result<Sha> {
        self.call("keep-copy", &to.display().to_string())?;
        let (content, _) = self.files.get(from).cloned().unwrap_or_default();
        let sha = Sha::of(&content);
        self.files.insert(to.to_path_buf(), (content, 0o600));
        Ok(sha)
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        self.call("remove", &path.display().to_string())?;
        self.files.remove(path);
        self.wants.remove(&key(path));
        Ok(())
    }

    fn sweep(&mut self, path: &Path) -> Result<()> {
        self.call("sweep", &path.display().to_string())
    }

    fn clear(&mut self, paths: &[PathBuf]) -> Result<()> {
        self.call("clear", &paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" "))?;
        self.left.retain(|_, left| left != paths);
        Ok(())
    }

    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        self.call("reset-failed", unit)
    }

    fn keep_ledger(&mut self, ledger: &Ledger) -> Result<()> {
        self.call("ledger", "")?;
        self.ledger = Some(ledger.clone());
        Ok(())
    }

    fn linger(&mut self) -> Result<Lingering> {
        self.call("linger", "")?;
        self.lingers = true;
        Ok(Lingering::TurnedOn)
    }

    fn enable(&mut self, units: &[String], links: &[Link]) -> Result<()> {
        self.call("enable", &units.join(" "))?;
        self.wants.extend(links.iter().map(|l| key(&l.path)));
        Ok(())
    }

    fn disable(&mut self, units: &[String], _links: &[PathBuf]) -> Result<()> {
        self.call("disable", &units.join(" "))?;
        self.wants.retain(|(_, name)| !units.contains(name));
        Ok(())
    }

    fn reload(&mut self) -> Result<()> {
        self.call("reload", "")?;
        self.behind = false;
        Ok(())
    }

    fn jobs(&mut self, jobs: &[JobRequest], tell: &mut dyn FnMut(&JobEnd)) -> Result<Vec<JobEnd>> {
        let words: Vec<_> = jobs.iter().map(|j| format!("{} {}", j.verb, j.unit)).collect();
        self.call("jobs", &words.join(", "))?;
        let mut ends = Vec::new();
        for (job, words) in jobs.iter().zip(&words) {
            let refused = self.refuses.contains(words);
            if !refused {
                self.run(job);
            }
            let result = if refused { JobResult::Failed } else { JobResult::Done };
            let outcome = JobOutcome { unit: job.unit.clone(), verb: job.verb, result };
            let after = self.ends.get(&job.unit).copied().map(After::over);
            let end = JobEnd { outcome, after, lines: Vec::new() };
            tell(&end);
            ends.push(end);
        }
        Ok(ends)
    }
}
