//! The dogfood runtime's heartbeats: written at its own pace, and at once when probed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::host::{clock, runfiles};
use crate::layout::Layout;
use crate::runfile::heartbeat::{self, Beat, Said, Source, State, Status, Whose};
use crate::runtime::identity::Identity;
use crate::snapshot::Clock;

/// Writes one agent's beats.
#[derive(Debug)]
pub struct Beats {
    path: PathBuf,
    probe: PathBuf,
    whose: Whose,
    boot_id: String,
    last: Option<Beat>,
    due: Instant,
    /// A user has 128 of these by default; the agent that gets none is probed at its next beat.
    inotify: Option<Inotify>,
    watch: Option<WatchDescriptor>,
}

impl Beats {
    /// Prepares them; the first is due at once.
    pub fn new(layout: &Layout, me: &Identity) -> io::Result<Self> {
        runfiles::make_folder(&layout.run())?;
        let mut beats = Self {
            path: layout.heartbeat(&me.agent),
            probe: layout.probe(&me.agent),
            whose: Whose {
                pid: nix::unistd::getpid().as_raw(),
                interval: me.interval,
                tenant_id: me.tenant_id.clone(),
                host: me.host.clone(),
            },
            boot_id: clock::boot_id(),
            last: None,
            due: Instant::now(),
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok(),
            watch: None,
        };
        beats.watch_probe();
        Ok(beats)
    }

    /// When the next one is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Becomes readable when somebody probes; `None` where that can't be noticed.
    pub fn probed(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Writes one now; the next is due an interval later, whether or not it could be written.
    pub fn beat(&mut self, status: Status, session: &str) -> io::Result<()> {
        self.due = Instant::now() + Duration::from_secs(u64::from(self.whose.interval));
        self.watch_probe();
        let state = if status == Status::Busy { State::Working } else { State::Idle };
        let said = Said {
            source: Source::Runtime,
            status: Some(status),
            state: Some(state),
            resume_at: None,
            session: Some(session.to_owned()),
        };
        let now = Clock { unix: clock::unix(), boottime: clock::boottime(), boot_id: self.boot_id.clone() };
        let beat = heartbeat::next(self.last.take(), &said, &self.whose, &now);
        let written = runfiles::replace(&self.path, heartbeat::text(&beat).as_bytes());
        self.last = Some(beat);
        written
    }

    /// Puts the next one off by an interval without writing: the runtime plays dead.
    pub fn skip(&mut self) {
        self.due = Instant::now() + Duration::from_secs(u64::from(self.whose.interval));
    }

    /// Takes what made [`Self::probed`] readable.
    pub fn take_probe(&mut self) {
        while let Some(inotify) = &self.inotify {
            match inotify.read_events() {
                Ok(events) => {
                    // The watch is on the file, not on its folder: there every beat of every agent
                    // would wake us. So when the file is replaced, the new one has to be watched.
                    let gone =
                        AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_MOVE_SELF;
                    if events.iter().any(|event| event.mask.intersects(gone)) {
                        self.forget_probe();
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.watch_probe();
    }

    fn forget_probe(&mut self) {
        if let (Some(inotify), Some(watch)) = (&self.inotify, self.watch.take()) {
            // It may be gone already, with its file.
            let _ = inotify.rm_watch(watch);
            while inotify.read_events().is_ok() {}
        }
    }

    /// Watches the probe file, made where there is none; without one a probe waits for the next
    /// beat, which tries again.
    fn watch_probe(&mut self) {
        if self.watch.is_some() || runfiles::append(&self.probe, "", usize::MAX).is_err() {
            return;
        }
        let changes = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_DONT_FOLLOW;
        self.watch = self.inotify.as_ref().and_then(|i| i.add_watch(&self.probe, changes).ok());
    }
}
