//! The supervisor while the runtime runs: events only, and the end as systemd should see it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::beats::Beats;
use super::ending::Ending;
use super::journal::Journal;
use super::signals::{Signals, Wake};
use super::slots::Slot;
use super::waiting;
use crate::host::bell::Bell;
use crate::host::cgroup::{self, OomKills};
use crate::host::process;
use crate::host::tmux::{Server, Target};
use crate::layout::Layout;
use crate::names::AgentName;
use crate::runfile::record::{End, State};

/// How long a runtime may take to save itself after the hang-up; the unit's stop time is longer.
const SAVES_ITSELF_WITHIN: Duration = Duration::from_secs(10);
/// tmux reaps its children when it gets to it.
const REAPED_WITHIN: Duration = Duration::from_secs(1);
/// A start is over when the runtime has beaten or rests; after this time in any case.
const START_TAKES: Duration = Duration::from_secs(10);
/// Lines of an ended pane that are kept.
const LAST_LINES: u32 = 40;
/// How long news of the cgroup's memory may wait after the last ones.
const MEMORY_RESTS: Duration = Duration::from_secs(5);
/// While a start is under way it is looked at so often; for a moment much more often, since many runtimes
/// answer soon, and a slot that is held for nothing makes all others wait.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const FIRST_LOOKS: Duration = Duration::from_millis(4);
const A_MOMENT: Duration = Duration::from_millis(150);
/// A tmux that manages cgroups itself has moved its pane by then.
const MOVED_WITHIN: Duration = Duration::from_secs(1);

/// The runtime in its pane.
pub struct Runtime {
    pid: i32,
    pidfd: OwnedFd,
    pane_id: String,
    cgroup: String,
    slot: Option<Slot>,
    /// The tmux server, which is the pane's parent; none where it was gone already.
    server: Option<i32>,
}

impl Runtime {
    /// Takes hold of the pane's process before anything can happen to it.
    pub fn new(pid: i32, pane_id: String, cgroup: &str, slot: Slot) -> io::Result<Self> {
        let raw = Pid::from_raw(pid).ok_or_else(|| io::Error::other(format!("{pid} is no pid")))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty())?;
        let server = process::glance(pid).map(|seen| seen.process.parent);
        Ok(Self { pid, pidfd, pane_id, cgroup: cgroup.to_owned(), slot: Some(slot), server })
    }

    fn signal(&self, signal: Signal) {
        // One that has ended already needs none.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    fn ends_within(&self, time: Duration) -> bool {
        Signals::finish(self.pidfd.as_fd(), time)
    }
}

/// Waits for the runtime's end or for a stop.
pub fn until_the_end(
    layout: &Layout,
    agent: &AgentName,
    server: &Server,
    mut runtime: Runtime,
    signals: &mut Signals,
    journal: &mut Journal,
) -> Ending {
    let mut chores = Chores::new(layout, agent);
    let mut beats = Beats::of(layout, agent, journal);
    let mut memory = Memory::new(&runtime.cgroup, journal);
    // Without one, what is to wake the agent waits for its next turn or start.
    let bell = Bell::of(layout, agent).ok();
    loop {
        let next =
            [chores.next(), beats.as_ref().map(Beats::next), memory.next()].into_iter().flatten().min();
        let files: Vec<_> =
            [Some(runtime.pidfd.as_fd()), bell.as_ref().map(AsFd::as_fd)].into_iter().flatten().collect();
        match signals.wait_for_urgent(&files, memory.urgent(), next) {
            Ok(Wake::Ready(0)) => break,
            Ok(Wake::Ready(1)) if bell.is_some() => {
                bell.iter().for_each(Bell::hush);
                waiting::deliver(layout, agent);
            }
            Ok(Wake::Ready(_)) => memory.news(journal),
            Ok(Wake::Stop) => return stop(server, agent, &runtime, journal),
            Ok(Wake::Timeout) => {
                memory.rested(journal);
                chores.look(&mut runtime, journal);
                if beats.as_mut().is_some_and(|beats| beats.look(journal)) {
                    return give_up(server, agent, &runtime, journal);
                }
            }
            Ok(Wake::Now) => {}
            Err(error) => return journal.fail(format!("wait for the runtime: {error}")),
        }
    }
    chores.last_look(&mut runtime, journal);
    let (end, why) = end_of(server, &runtime);
    journal.keep_last_lines(last_lines(server, &runtime));
    memory.read(journal);
    journal.ended(end, why.as_deref())
}

/// Hang-up, a bounded wait, then kill. The pane's terminal stays while the runtime saves itself.
fn stop(server: &Server, agent: &AgentName, runtime: &Runtime, journal: &mut Journal) -> Ending {
    journal.phase(State::Stopping, "stopping: the runtime has been hung up on");
    hang_up(server, agent, runtime, Pane::IsOver);
    journal.stopped()
}

/// Ends a runtime whose beats have stopped; how it ended is asked before its session goes.
fn give_up(server: &Server, agent: &AgentName, runtime: &Runtime, journal: &mut Journal) -> Ending {
    journal.keep_last_lines(last_lines(server, runtime));
    hang_up(server, agent, runtime, Pane::IsAsked);
    journal.gave_up(end_of(server, runtime).0)
}

/// Whether the pane is still to say how it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pane {
    IsAsked,
    IsOver,
}

fn hang_up(server: &Server, agent: &AgentName, runtime: &Runtime, pane: Pane) {
    runtime.signal(Signal::HUP);
    // One that has been stopped gets no signal but the last.
    if !runtime.ends_within(SAVES_ITSELF_WITHIN) {
        if pane == Pane::IsOver {
            let _ = server.kill_session(agent.as_str());
        }
        runtime.signal(Signal::KILL);
        let _ = runtime.ends_within(REAPED_WITHIN);
    }
}

/// What the runtime's pane showed last; none where the pane of that id is another's, as on a server that was
/// founded in the place of its own.
fn last_lines(server: &Server, runtime: &Runtime) -> Option<String> {
    let pane = server.pane(&runtime.pane_id).ok()?.filter(|pane| pane.pid == runtime.pid)?;
    server.capture(Target::Pane(&pane.id), LAST_LINES).ok()
}

/// How the pane's process ended, and why that is not known, where it is not. tmux is its parent and alone
/// can say.
fn end_of(server: &Server, runtime: &Runtime) -> (End, Option<String>) {
    let unknown = |why: &str| (End::Unknown, Some(why.to_owned()));
    match server.ended_pane(&runtime.pane_id, runtime.pid) {
        Ok(Some(pane)) => match (pane.dead_signal, pane.dead_status) {
            (Some(signal), _) => (End::Signal(signal), None),
            (None, Some(code)) => (End::Exit(code), None),
            (None, None) => unknown("tmux does not tell"),
        },
        // Nor has a server that is gone any pane of its own, or another that took its place.
        Ok(None) => match runtime.server.filter(|pid| process::glance(*pid).is_some()) {
            None => unknown("the tmux server is gone"),
            Some(own) if server.pid().is_ok_and(|pid| pid != own) => {
                unknown("another tmux server answers on its socket")
            }
            Some(_) => unknown("its session was removed"),
        },
        Err(error) => unknown(&error.to_string()),
    }
}

/// Kills by the OOM killer in the agent's cgroup, noted when they happen. The file also speaks of
/// throttling, hundreds of times a second where memory is short: so it rests after each word.
struct Memory {
    kills: Option<OomKills>,
    rests_until: Option<Instant>,
}

impl Memory {
    fn new(cgroup: &str, journal: &mut Journal) -> Self {
        let mut memory = Self { kills: OomKills::watch(cgroup), rests_until: None };
        memory.read(journal);
        memory
    }

    fn urgent(&self) -> Option<BorrowedFd<'_>> {
        self.kills.as_ref().filter(|_| self.rests_until.is_none()).map(AsFd::as_fd)
    }

    fn next(&self) -> Option<Instant> {
        self.rests_until
    }

    fn news(&mut self, journal: &mut Journal) {
        self.read(journal);
        self.rests_until = Some(Instant::now() + MEMORY_RESTS);
    }

    fn rested(&mut self, journal: &mut Journal) {
        if self.rests_until.is_some_and(|until| until <= Instant::now()) {
            self.rests_until = None;
            self.read(journal);
        }
    }

    fn read(&mut self, journal: &mut Journal) {
        if let Some(kills) = &mut self.kills {
            journal.oom_kills(kills.new_ones());
        }
    }
}

/// What is looked at after the start, less and less often, and then no more.
struct Chores<'a> {
    layout: &'a Layout,
    agent: &'a AgentName,
    begun: Instant,
    next: Option<Instant>,
    pause: Duration,
    cgroup_checked: bool,
    beaten: bool,
    cpu: Option<(Instant, process::Usage)>,
}

impl<'a> Chores<'a> {
    fn new(layout: &'a Layout, agent: &'a AgentName) -> Self {
        let begun = Instant::now();
        Self {
            layout,
            agent,
            begun,
            next: Some(begun + FIRST_LOOKS),
            pause: FIRST_LOOKS,
            cgroup_checked: false,
            beaten: false,
            cpu: None,
        }
    }

    fn next(&self) -> Option<Instant> {
        self.next
    }

    fn look(&mut self, runtime: &mut Runtime, journal: &mut Journal) {
        if self.next.is_none_or(|next| next > Instant::now()) {
            return;
        }
        let age = self.begun.elapsed();
        if !self.beaten {
            self.beaten = journal.note_first_beat(self.layout, self.agent);
        }
        if runtime.slot.is_some() && (self.beaten || age > START_TAKES || self.rests(runtime.pid)) {
            runtime.slot = None;
        }
        // A tmux that manages cgroups itself may move its pane after we did: look once more.
        if !self.cgroup_checked && age >= MOVED_WITHIN {
            self.cgroup_checked = true;
            if cgroup::of(runtime.pid).is_ok_and(|now| now != runtime.cgroup) {
                let _ = cgroup::move_into(&runtime.cgroup, runtime.pid);
            }
        }
        let soon = runtime.slot.is_some() || !self.cgroup_checked;
        self.next = match (soon, self.beaten) {
            // It has answered: only its cgroup is left to look at.
            (true, true) if runtime.slot.is_none() => Some(MOVED_WITHIN.saturating_sub(age)),
            (true, _) if age < A_MOMENT => Some(FIRST_LOOKS),
            (true, _) => {
                self.pause = (self.pause * 2).min(LOOK_EVERY);
                Some(self.pause)
            }
            (false, true) => None,
            // Waiting for a first beat: often while people look, then once in a beat's interval.
            (false, false) if age < Duration::from_secs(60) => Some(Duration::from_millis(500)),
            (false, false) => Some(Duration::from_secs(15)),
        }
        .map(|pause| Instant::now() + pause);
    }

    fn last_look(&mut self, runtime: &mut Runtime, journal: &mut Journal) {
        if !self.beaten {
            journal.note_first_beat(self.layout, self.agent);
        }
        runtime.slot = None;
    }

    /// Whether the runtime sleeps and has computed nothing for as long as between two looks: its start is
    /// over.
    fn rests(&mut self, pid: i32) -> bool {
        let (now, usage) = (Instant::now(), process::usage(pid));
        let Some(usage) = usage else { return false };
        let (since, before) = *self.cpu.get_or_insert((now, usage));
        if usage.ticks != before.ticks || !usage.sleeping {
            self.cpu = Some((now, usage));
            return false;
        }
        now - since >= LOOK_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tmux::{Founding, NewSession, SocketFolder};

    /// A runtime of that pid in the pane of that id, as its supervisor holds it.
    fn runtime(pid: i32, pane_id: &str, server: Option<i32>) -> Runtime {
        let own = Pid::from_raw(i32::try_from(std::process::id()).expect("a pid")).expect("a pid");
        let pidfd = pidfd_open(own, PidfdFlags::empty()).expect("a pidfd");
        Runtime { pid, pidfd, pane_id: pane_id.to_owned(), cgroup: String::new(), slot: None, server }
    }

    #[test]
    fn what_another_servers_pane_of_the_same_id_shows_is_not_taken_for_the_runtimes_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::new("tmux", "watch").below(SocketFolder::At(folder.path().to_owned()));
        let config = folder.path().join("tmux.conf");
        std::fs::write(&config, "set -g remain-on-exit on\n").expect("written");
        let made = server.new_session(&NewSession {
            name: "coder",
            folder: folder.path(),
            argv: &["sh".into(), "-c".into(), "echo last words; exit 3".into()],
            size: None,
            founding: Founding::With(config),
        });
        let made = made.expect("a session");
        let pid = server.pid().expect("a server");

        let mine = runtime(made.pid, &made.pane, Some(pid));
        let ended = end_of(&server, &mine);
        let shown = last_lines(&server, &mine);
        let us = i32::try_from(std::process::id()).expect("a pid");
        let other = runtime(us, &made.pane, Some(us));
        let (end, why) = end_of(&server, &other);
        let gone = end_of(&server, &runtime(us, &made.pane, None)).1;
        let others = last_lines(&server, &other);
        server.kill_server().expect("ended");

        assert_eq!(ended, (End::Exit(3), None));
        assert!(shown.is_some_and(|shown| shown.contains("last words")));
        assert_eq!((end, why.as_deref()), (End::Unknown, Some("another tmux server answers on its socket")));
        assert_eq!(gone.as_deref(), Some("the tmux server is gone"));
        assert_eq!(others, None);
    }
}
