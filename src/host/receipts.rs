//! Receipts on disk: one file a message, one summary an agent. What a receipt says is decided
//! elsewhere.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::Flock;

use super::queue::WRITTEN_WITHIN;
use super::runfiles::Prepared;
use super::{clock, files, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::ack::{self, Ack};
use crate::runfile::receipt::{LONGEST, Receipt, Summary, stamp};
use crate::snapshot::FileFacts;

/// How long a receipt is kept; longer than any message may wait.
pub const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);
/// No file of acknowledgements is longer.
const LONGEST_ACKS: u64 = 4 << 20;
/// How often old ones are looked for.
const PRUNED_EVERY: Duration = Duration::from_secs(3600);

/// Whether a receipt has to outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// It has: somebody may ask by its id whether it was sent.
    Durable,
    /// Nobody knows its id.
    Running,
}

/// One agent's receipts.
#[derive(Debug, Clone, Copy)]
pub struct Receipts<'a> {
    layout: &'a Layout,
    agent: &'a AgentName,
}

impl<'a> Receipts<'a> {
    /// Those of that agent.
    pub fn of(layout: &'a Layout, agent: &'a AgentName) -> Self {
        Self { layout, agent }
    }

    /// The tenant's places.
    pub fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Whose they are.
    pub fn agent(&self) -> &'a AgentName {
        self.agent
    }

    /// Where one stands.
    pub fn path(&self, id: &str) -> PathBuf {
        self.layout.receipts(self.agent).join(format!("{id}.json"))
    }

    /// One by its id; `None` where there is none. One that cannot be read is an error: it is not
    /// known then whether its message was sent.
    pub fn read(&self, id: &str) -> io::Result<Option<Receipt>> {
        let path = self.path(id);
        let unreadable = || io::Error::other(format!("{} is no receipt of this version", path.display()));
        match runfiles::read(&path, LONGEST)? {
            None => Ok(None),
            Some(FileFacts::File { content, .. }) if content.len() <= LONGEST => {
                let text = String::from_utf8(content).map_err(|_| unreadable())?;
                Receipt::parse(&text).map(Some).ok_or_else(unreadable)
            }
            Some(_) => Err(unreadable()),
        }
    }

    /// Puts one that cannot be read out of the way, for whoever wants to look at it; where it is now.
    pub fn set_aside(&self, id: &str) -> io::Result<PathBuf> {
        let (path, aside) = (self.path(id), self.path(&format!(".unreadable-{id}")));
        match fs::rename(&path, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(aside),
        }
    }

    /// Writes one, and makes it the agent's latest; or neither, where there is no room for both: a receipt that
    /// stands says that its message may have been typed.
    pub fn write(&self, receipt: &Receipt, lasting: Lasting) -> io::Result<()> {
        runfiles::make_folder(&self.layout.receipts(self.agent))?;
        let _lock = self.lock()?;
        self.tell_earlier_ones(receipt)?;
        let path = self.layout.receipt_summary(self.agent);
        let summary = self.changing(&path, &receipt.tenant_id, &receipt.host, |summary| {
            summary.remember(receipt);
            summary.latest = Some(receipt.clone());
        })?;
        match lasting {
            Lasting::Durable => self.store(receipt)?,
            Lasting::Running => runfiles::replace(&self.path(&receipt.id), receipt.text().as_bytes())?,
        }
        summary.map_or(Ok(()), Prepared::put)
    }

    /// Has earlier messages of the same text, of which more may become known, note one that is being typed: what
    /// the runtime acknowledges from here on may be that one.
    fn tell_earlier_ones(&self, receipt: &Receipt) -> io::Result<()> {
        let open =
            self.summary().filter(|_| receipt.state.may_have_arrived()).map(|s| s.open).unwrap_or_default();
        // Once: from its first write on it is among them.
        if open.contains(&receipt.id) {
            return Ok(());
        }
        for id in open {
            // One that was removed, or cannot be read, is settled by nobody.
            let Some(mut earlier) = self.read(&id).ok().flatten() else { continue };
            if earlier.is_followed_by(receipt, clock::timestamp()) {
                self.amended(&earlier)?;
            }
        }
        Ok(())
    }

    /// Writes one that was there before. It is the latest only where it was.
    pub fn amend(&self, receipt: &Receipt) -> io::Result<()> {
        let _lock = self.lock()?;
        self.amended(receipt)
    }

    /// Enters into one what `later` makes of it as it stands, which may be more than the caller has read; what
    /// it is then. `None` where there is none any more.
    pub fn settle(
        &self,
        id: &str,
        later: impl FnOnce(&Receipt) -> Option<Receipt>,
    ) -> io::Result<Option<Receipt>> {
        let _lock = self.lock()?;
        let Some(stands) = self.read(id)? else { return Ok(None) };
        let Some(settled) = later(&stands) else { return Ok(Some(stands)) };
        self.amended(&settled)?;
        Ok(Some(settled))
    }

    fn amended(&self, receipt: &Receipt) -> io::Result<()> {
        self.store(receipt)?;
        self.changed(&receipt.tenant_id, &receipt.host, |summary| {
            summary.remember(receipt);
            if summary.latest.as_ref().is_some_and(|latest| latest.id == receipt.id) {
                summary.latest = Some(receipt.clone());
            }
        })
    }

    fn store(&self, receipt: &Receipt) -> io::Result<()> {
        files::replace(&self.path(&receipt.id), receipt.text().as_bytes(), 0o600)
            .map_err(|error| error.source)
    }

    /// Held by whoever writes a receipt or the summary: a sender, a look that finds what the runtime has said
    /// since, and who hands the queue out may be at the same one. Who hangs keeps nobody from telling what is
    /// known.
    fn lock(&self) -> io::Result<Option<Flock<File>>> {
        runfiles::lock_within(&self.layout.receipt_lock(self.agent), WRITTEN_WITHIN)
    }

    /// The agent's summary; `None` where nothing was ever sent to it.
    pub fn summary(&self) -> Option<Summary> {
        Summary::parse(&runfiles::read_text(&self.layout.receipt_summary(self.agent), LONGEST)?)
    }

    /// The agent's acknowledgements; none where they cannot be read.
    pub fn acks(&self) -> Vec<Ack> {
        let read = runfiles::read_on(&self.layout.ack(self.agent), 0, LONGEST_ACKS);
        read.map_or_else(|_| Vec::new(), |(bytes, _)| ack::parse(&bytes))
    }

    /// Changes the summary, one program after another.
    pub fn change(&self, tenant_id: &str, host: &str, change: impl FnOnce(&mut Summary)) -> io::Result<()> {
        let _lock = self.lock()?;
        self.changed(tenant_id, host, change)
    }

    fn changed(&self, tenant_id: &str, host: &str, change: impl FnOnce(&mut Summary)) -> io::Result<()> {
        let path = self.layout.receipt_summary(self.agent);
        self.changing(&path, tenant_id, host, change)?.map_or(Ok(()), Prepared::put)
    }

    /// The changed summary, to be put in its place; `None` where nothing changes.
    fn changing<'p>(
        &self,
        path: &'p Path,
        tenant_id: &str,
        host: &str,
        change: impl FnOnce(&mut Summary),
    ) -> io::Result<Option<Prepared<'p>>> {
        let mut summary =
            self.summary().unwrap_or_else(|| Summary::empty(tenant_id, host, self.agent.as_str()));
        let before = summary.clone();
        change(&mut summary);
        let now = clock::timestamp();
        if is_due(&summary, now) {
            self.prune(now);
            summary.pruned_at = Some(stamp(now));
        }
        if summary == before {
            return Ok(None);
        }
        runfiles::prepare(path, summary.text().as_bytes()).map(Some)
    }

    /// Removes receipts, and the locks of their ids, that nobody changed for long.
    fn prune(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(self.layout.receipts(self.agent)) else { return };
        for entry in entries.flatten() {
            let Ok(facts) = entry.path().symlink_metadata() else { continue };
            let changed = facts.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
            let old = changed.is_some_and(|at| now.duration_since(at).as_secs() > KEPT.as_secs() as i64);
            if old && !facts.is_dir() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_due(summary: &Summary, now: Timestamp) -> bool {
    let last = summary.pruned_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let every = PRUNED_EVERY.as_secs() as i64;
    // A clock that was set back must not stop it for good.
    last.is_none_or(|last| now.duration_since(last).as_secs().abs() >= every)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::runfile::receipt::{State, VERSION};

    fn receipt(id: &str) -> Receipt {
        Receipt {
            schema_version: VERSION,
            id: id.to_owned(),
            tenant_id: "usc".to_owned(),
            host: "h1".to_owned(),
            agent: "coder0".to_owned(),
            source: "h1:ada".to_owned(),
            state: State::Typed,
            reason: None,
            created_at: stamp(clock::timestamp()),
            steps: Vec::new(),
            body_sha256: String::new(),
            body_bytes: 0,
            prompt_sha256: String::new(),
            draft_sha256: None,
            typed_again: Vec::new(),
            via: None,
            enters: 0,
        }
    }

    #[test]
    fn the_latest_is_in_the_summary_and_each_by_its_id() {
        let home = tempfile::tempdir().expect("a home");
        let (layout, agent) = (Layout::new(home.path(), None), AgentName::parse("coder0").expect("a name"));
        let receipts = Receipts::of(&layout, &agent);
        assert_eq!((receipts.read("a").expect("looked"), receipts.summary()), (None, None));
        receipts.write(&receipt("a"), Lasting::Durable).expect("written");
        receipts.write(&receipt("b"), Lasting::Running).expect("written");
        assert_eq!(receipts.read("a").expect("looked").map(|r| r.id), Some("a".to_owned()));
        assert_eq!(receipts.summary().and_then(|s| s.latest).map(|r| r.id), Some("b".to_owned()));
        fs::write(receipts.path("a"), "{").expect("broken");
        assert!(receipts.read("a").is_err(), "it is not known whether that was sent");
    }

    #[test]
    fn who_writes_one_receipt_at_the_same_time_fails_nobody_and_leaves_it_whole() {
        let home = tempfile::tempdir().expect("a home");
        let (layout, agent) = (Layout::new(home.path(), None), AgentName::parse("coder0").expect("a name"));
        let receipts = Receipts::of(&layout, &agent);
        receipts.write(&receipt("a"), Lasting::Durable).expect("written");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        receipts.write(&receipt("a"), Lasting::Durable).expect("written");
                        receipts.amend(&receipt("a")).expect("amended");
                        assert!(receipts.read("a").expect("whole").is_some());
                    }
                });
            }
        });
    }

    #[test]
    fn old_receipts_are_removed_and_young_ones_stay() {
        let home = tempfile::tempdir().expect("a home");
        let (layout, agent) = (Layout::new(home.path(), None), AgentName::parse("coder0").expect("a name"));
        let receipts = Receipts::of(&layout, &agent);
        receipts.write(&receipt("old"), Lasting::Running).expect("written");
        receipts.write(&receipt("young"), Lasting::Running).expect("written");
        let file = File::open(receipts.path("old")).expect("there");
        file.set_modified(SystemTime::now() - KEPT - Duration::from_secs(10)).expect("made old");
        receipts.change("usc", "h1", |summary| summary.pruned_at = None).expect("changed");
        assert!(!receipts.path("old").exists() && receipts.path("young").exists());
    }
}
