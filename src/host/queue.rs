//! Messages that wait for an agent, on disk: one file each, handed out once.
//!
//! Whoever hands one out claims it first: renames its file and holds a lock on it. The kernel
//! drops the lock with its holder, so a claim whose lock is free was left by one that died; its
//! receipt says whether it had begun to hand the message out.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};

use super::receipts::{Lasting, Receipts};
use super::{clock, files, runfiles};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::ack;
use crate::runfile::queued::{CLAIMED, DEPTH, LONGEST, Place, Queued};
use crate::runfile::receipt::{Receipt, State, VERSION, body_digest, draft_digest, stamp};
use crate::snapshot::FileFacts;

const EXPIRED: &str = ".expired-";
/// Who changes the queue or a receipt writes durably, and a slow disk takes its time; who hangs is not waited for.
pub(super) const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// One agent's queue.
#[derive(Debug, Clone, Copy)]
pub struct Queue<'a> {
    layout: &'a Layout,
    agent: &'a AgentName,
}

/// What came of putting a message in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It waits.
    Waits,
    /// A message of its id waits already.
    WaitedAlready,
    /// Too many wait: it was not put in.
    Full,
}

/// A message that nobody else will hand out. Dropped without [`Claim::finish`], it is decided by
/// its receipt.
#[derive(Debug)]
pub struct Claim<'a> {
    queue: Queue<'a>,
    /// The message.
    pub message: Queued,
    place: Place,
    held: Flock<File>,
}

impl<'a> Queue<'a> {
    /// That of this agent.
    pub fn of(layout: &'a Layout, agent: &'a AgentName) -> Self {
        Self { layout, agent }
    }

    /// Puts a message in, durably. Its place comes after all of its priority.
    pub fn put(&self, message: &Queued) -> io::Result<Put> {
        runfiles::make_folder(&self.folder())?;
        let lock = self.lock()?;
        let all = self.names()?;
        let places: Vec<Place> = all.iter().filter_map(|n| Place::of_any(n)).collect();
        if places.iter().any(|p| p.id == message.id) {
            return Ok(Put::WaitedAlready);
        }
        if places.len() >= DEPTH {
            return Ok(Put::Full);
        }
        let number = places.iter().map(|p| p.number).max().unwrap_or(0) + 1;
        let expires = message.expires_at.parse::<Timestamp>().map_err(io::Error::other)?;
        let place = Place {
            priority: message.priority,
            number,
            // Rounded up: it may wait as long as was asked for.
            expires: u64::try_from(expires.as_second() + 1).unwrap_or(0),
            id: message.id.clone(),
        };
        let path = self.folder().join(place.file_name());
        files::replace(&path, message.json().as_bytes(), 0o600).map_err(|error| error.source)?;
        drop(lock);
        // It waits, whether there was room to count it or not; who comes by next counts again.
        let _ = self.write_count(&message.tenant_id, &message.host);
        Ok(Put::Waits)
    }

    /// Claims the next message, the most urgent and oldest first. Those whose time is up are
    /// expired on the way, and claims of the dead decided.
    pub fn claim(&self) -> io::Result<Option<Claim<'a>>> {
        if !self.folder().is_dir() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        self.tidy()?;
        for place in self.places()? {
            let path = self.folder().join(place.file_name());
            let Some(message) = read(&path)? else {
                self.lose(&path, &place.id)?;
                continue;
            };
            match self.known(&message)? {
                // A receipt is on the disk before its message is handed out; what becomes of the message's own
                // file may come there later, or never.
                Ok(Some(receipt)) if is_over(&receipt) => {
                    self.leave(&path, receipt)?;
                    self.recount()?;
                    continue;
                }
                Ok(_) => {}
                Err(why) => {
                    self.give_up(&path, &message, &why)?;
                    continue;
                }
            }
            let claimed = self.folder().join(format!("{CLAIMED}{}", place.file_name()));
            // Somebody who gave it back has not let go of it yet.
            let Some(held) = lock_file(&path)? else { continue };
            fs::rename(&path, &claimed)?;
            return Ok(Some(Claim { queue: *self, message, place, held }));
        }
        Ok(None)
    }

    /// Expires what is due and decides what the dead left, without claiming anything.
    pub fn sweep(&self) -> io::Result<()> {
        if !self.folder().is_dir() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.tidy()
    }

    /// Whether a message waits, or is being handed out.
    pub fn holds(&self, id: &str) -> io::Result<bool> {
        if !self.folder().is_dir() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        Ok(self.names()?.iter().filter_map(|n| Place::of_any(n)).any(|place| place.id == id))
    }

    /// How many wait.
    pub fn waiting(&self) -> io::Result<usize> {
        Ok(if self.folder().is_dir() { self.places()?.len() } else { 0 })
    }

    /// Messages that expired since somebody asked last; they are not told again.
    pub fn take_expired(&self) -> io::Result<Vec<Queued>> {
        if !self.folder().is_dir() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        self.tidy()?;
        let mut told = Vec::new();
        for name in self.names()?.iter().filter(|n| n.starts_with(EXPIRED)) {
            let path = self.folder().join(name);
            told.extend(read(&path)?);
            fs::remove_file(&path)?;
        }
        self.recount()?;
        Ok(told)
    }

    fn folder(&self) -> PathBuf {
        self.layout.queue(self.agent)
    }

    fn lock(&self) -> io::Result<Flock<File>> {
        let path = self.folder().join(".lock");
        runfiles::lock_within(&path, WRITTEN_WITHIN)?
            .ok_or_else(|| io::Error::other(format!("{} is held by somebody who hangs", path.display())))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.folder())?
            .map(|entry| Ok(entry?.file_name().into_string().ok()))
            .filter_map(Result::transpose)
            .collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }

    fn places(&self) -> io::Result<Vec<Place>> {
        let mut places: Vec<Place> = self.names()?.iter().filter_map(|n| Place::of(n)).collect();
        places.sort();
        Ok(places)
    }

    fn tidy(&self) -> io::Result<()> {
        // Messages are put in under the lock that is held now: who began this one is gone.
        for name in self.names()?.iter().filter(|n| files::is_unfinished(n)) {
            fs::remove_file(self.folder().join(name))?;
        }
        for name in self.names()?.iter().filter(|n| n.starts_with(CLAIMED)) {
            match self.decide(name) {
                // Who claimed it has finished meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                decided => decided?,
            }
        }
        let now = u64::try_from(clock::timestamp().as_second()).unwrap_or(0);
        for place in self.places()?.iter().filter(|place| place.expires <= now) {
            let path = self.folder().join(place.file_name());
            match read(&path)? {
                Some(message) => self.expire(&path, message)?,
                None => self.lose(&path, &place.id)?,
            }
        }
        self.recount()
    }

    /// A claim whose holder is gone: handed out perhaps, then never again; else it waits again.
    fn decide(&self, name: &str) -> io::Result<()> {
        let path = self.folder().join(name);
        let Some(_lock) = lock_file(&path)? else { return Ok(()) };
        let Some(message) = read(&path)? else {
            let id = Place::of_any(name).map(|place| place.id);
            return id.map_or_else(|| set_aside(&path).map(drop), |id| self.lose(&path, &id));
        };
        match self.known(&message)? {
            Ok(Some(receipt)) if is_over(&receipt) => self.leave(&path, receipt),
            Ok(_) => fs::rename(&path, self.folder().join(name.trim_start_matches(CLAIMED))),
            Err(why) => self.give_up(&path, &message, &why),
        }
    }

    /// A message that can't be read and so never goes out: it is kept out of the row, and whoever was told that it
    /// waits is told.
    fn lose(&self, path: &Path, id: &str) -> io::Result<()> {
        let kept = set_aside(path)?;
        let receipts = Receipts::of(self.layout, self.agent);
        match receipts.read(id) {
            Ok(Some(mut receipt)) if receipt.state == State::Held => {
                let why = format!(
                    "it could not be read in the queue and was not handed out; it is kept in {}",
                    kept.display()
                );
                receipt.enter(State::Refused, clock::timestamp(), Some(why));
                receipts.write(&receipt, Lasting::Durable)
            }
            Ok(_) => Ok(()),
            Err(error) if passes(&error) => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// A message that was handed out, perhaps or for certain, or refused: it never is again.
    fn leave(&self, path: &Path, mut receipt: Receipt) -> io::Result<()> {
        if receipt.state == State::Unknown {
            let why = "who handed it out ended before saying so; it is not handed out again";
            receipt.enter(State::Unknown, clock::timestamp(), Some(why.to_owned()));
            Receipts::of(self.layout, self.agent).write(&receipt, Lasting::Durable)?;
        }
        fs::remove_file(path)
    }

    /// What is known of a message: its receipt, none, or why that can't be told. An error is one of this
    /// moment, after which the next look may tell.
    fn known(&self, message: &Queued) -> io::Result<Result<Option<Receipt>, String>> {
        match Receipts::of(self.layout, self.agent).read(&message.id) {
            Ok(receipt) => Ok(Ok(receipt)),
            Err(error) if passes(&error) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// A message of which nobody can tell whether it was handed out: it is kept out of the row, its sender
    /// is told, and those behind it have their turn.
    fn give_up(&self, path: &Path, message: &Queued, why: &str) -> io::Result<()> {
        let kept = set_aside(path)?;
        let receipts = Receipts::of(self.layout, self.agent);
        let aside = receipts.set_aside(&message.id)?;
        let why = format!(
            "its receipt could not be read ({why}), so it is not known whether it was handed out, and it is not \
             handed out again; it is kept in {}, its receipt in {}",
            kept.display(),
            aside.display()
        );
        let mut receipt = self.fresh(message);
        receipt.enter(State::Unknown, clock::timestamp(), Some(why));
        receipts.write(&receipt, Lasting::Durable)
    }

    fn expire(&self, path: &Path, message: Queued) -> io::Result<()> {
        let receipts = Receipts::of(self.layout, self.agent);
        let mut receipt = match self.known(&message)? {
            // As where the disk had its receipt, and not what became of its file.
            Ok(Some(receipt)) if is_over(&receipt) => return self.leave(path, receipt),
            Ok(receipt) => receipt.unwrap_or_else(|| self.fresh(&message)),
            Err(why) => return self.give_up(path, &message, &why),
        };
        let why = format!("it waited from {} to {}", message.created_at, message.expires_at);
        receipt.enter(State::Expired, clock::timestamp(), Some(why));
        receipts.write(&receipt, Lasting::Durable)?;
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let notice = Queued { text: String::new(), ..message };
        runfiles::replace(&self.folder().join(format!("{EXPIRED}{name}")), notice.json().as_bytes())?;
        fs::remove_file(path)
    }

    /// The message's receipt; a new one where its sender was killed before it wrote one.
    fn receipt(&self, message: &Queued) -> io::Result<Receipt> {
        let read = Receipts::of(self.layout, self.agent).read(&message.id)?;
        Ok(read.unwrap_or_else(|| self.fresh(message)))
    }

    /// A receipt of a message of which nothing is known but itself.
    fn fresh(&self, message: &Queued) -> Receipt {
        Receipt {
            schema_version: VERSION,
            id: message.id.clone(),
            tenant_id: message.tenant_id.clone(),
            host: message.host.clone(),
            agent: message.agent.clone(),
            source: message.source.clone(),
            state: State::Held,
            reason: None,
            created_at: message.created_at.clone(),
            steps: Vec::new(),
            body_sha256: body_digest(&message.text),
            body_bytes: message.text.len(),
            prompt_sha256: ack::digest(&message.text),
            draft_sha256: Some(draft_digest(&message.text)),
            typed_again: Vec::new(),
            via: Some("queue".to_owned()),
            enters: 0,
        }
    }

    fn recount(&self) -> io::Result<()> {
        if let Some(summary) = Receipts::of(self.layout, self.agent).summary() {
            return self.write_count(&summary.tenant_id, &summary.host);
        }
        // One that was lost: its messages say whose the agent is.
        let mut messages =
            self.names()?.into_iter().filter_map(|name| read(&self.folder().join(name)).ok()?);
        messages.next().map_or(Ok(()), |message| self.write_count(&message.tenant_id, &message.host))
    }

    /// Counts what waits, and what expired and is still to be told, by the files that there are: a count beside
    /// them would be wrong after anybody's sudden end.
    fn write_count(&self, tenant_id: &str, host: &str) -> io::Result<()> {
        let (names, places) = (self.names()?, self.places()?);
        let next = places.iter().map(|p| p.expires).min();
        let next = next.and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Receipts::of(self.layout, self.agent).change(tenant_id, host, |summary| {
            summary.waiting = count(places.len());
            summary.expired = count(names.iter().filter(|name| name.starts_with(EXPIRED)).count());
            summary.next_expiry = next.map(stamp);
        })
    }
}

impl Claim<'_> {
    /// Says in its receipt that it is handed out from now on: whatever happens to us, nobody does
    /// it again.
    pub fn begin(&self) -> io::Result<()> {
        let mut receipt = self.queue.receipt(&self.message)?;
        let why = "it is being handed out; who does so has not finished".to_owned();
        receipt.enter(State::Unknown, clock::timestamp(), Some(why));
        Receipts::of(self.queue.layout, self.queue.agent).write(&receipt, Lasting::Durable)
    }

    /// Says in its receipt that it was typed; what came of it is not known yet.
    pub fn typed(&self) -> io::Result<()> {
        let mut receipt = self.queue.receipt(&self.message)?;
        receipt.note(State::Typed, clock::timestamp());
        Receipts::of(self.queue.layout, self.queue.agent).amend(&receipt)
    }

    /// Says what came of it. The message is gone from the queue then.
    pub fn finish(self, state: State, reason: Option<String>, via: &str, enters: u32) -> io::Result<Receipt> {
        let mut receipt = self.queue.receipt(&self.message)?;
        receipt.via = Some(via.to_owned());
        receipt.enters = enters;
        receipt.enter(state, clock::timestamp(), reason);
        Receipts::of(self.queue.layout, self.queue.agent).write(&receipt, Lasting::Durable)?;
        fs::remove_file(self.path())?;
        self.queue.recount()?;
        drop(self.held);
        Ok(receipt)
    }

    /// Nothing of it was handed out: it waits again, in its old place.
    pub fn give_back(self, reason: Option<String>) -> io::Result<Receipt> {
        let mut receipt = self.queue.receipt(&self.message)?;
        receipt.enter(State::Held, clock::timestamp(), reason);
        Receipts::of(self.queue.layout, self.queue.agent).write(&receipt, Lasting::Durable)?;
        // Nobody may find it in its place and in use.
        let _lock = self.queue.lock()?;
        fs::rename(self.path(), self.queue.folder().join(self.place.file_name()))?;
        drop(self.held);
        Ok(receipt)
    }

    fn path(&self) -> PathBuf {
        self.queue.folder().join(format!("{CLAIMED}{}", self.place.file_name()))
    }
}

/// Whether nobody may hand it out any more. A sender who was told that it could not be kept may have left its file all the
/// same, where the folder did not get to the disk.
fn is_over(receipt: &Receipt) -> bool {
    receipt.state.may_have_arrived() || receipt.state == State::Refused
}

/// A message; `None` where something stands there that is none.
fn read(path: &Path) -> io::Result<Option<Queued>> {
    match runfiles::read(path, LONGEST) {
        Ok(Some(FileFacts::File { content, .. })) if content.len() <= LONGEST => {
            Ok(String::from_utf8(content).ok().and_then(|text| Queued::parse(&text)))
        }
        Ok(_) => Ok(None),
        Err(error) if passes(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether an error is one of this moment: of the machine, not of the file.
fn passes(error: &io::Error) -> bool {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EINTR, libc::EAGAIN];
    error.raw_os_error().is_some_and(|errno| passing.contains(&errno))
}

/// A file that is no message is kept, out of the row; where it is now.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let aside = path.with_file_name(format!(".unreadable{name}"));
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// The lock on a message's own file; `None` while somebody holds it.
fn lock_file(path: &Path) -> io::Result<Option<Flock<File>>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
