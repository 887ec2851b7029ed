//! Following what a pane shows, as text: tmux says when something was written, and then the screen
//! is captured. Nothing is polled while nothing happens, and nothing is changed on the server.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::tmux::client::Stage;
use super::tmux::{Server, TmuxError};
use crate::transcript::{Frame, Pace, Transcript};

/// When nothing has come for so long, the screen rests.
const RESTS_AFTER: Duration = Duration::from_millis(150);
/// When nothing has come for so long, the screen is settled.
const SETTLED_AFTER: Duration = Duration::from_millis(1500);
/// A screen that never rests is captured so often.
const BUSY_EVERY: Duration = Duration::from_millis(500);
/// Further lines of the history, for those that come between two questions.
const MARGIN: usize = 200;
/// More lines of the history than this are never fetched at once.
const MOST: usize = 20_000;

/// A client of the control protocol that hears when its session's pane is written to.
pub struct Follower<'a> {
    server: &'a Server,
    pane: String,
    child: Child,
    heard: ChildStdout,
    /// The beginning of the line that is being heard.
    line: Vec<u8>,
    /// Whether the listener has said anything: then it is attached.
    attached: bool,
    /// How the screen was captured last: until it is settled, it is captured again without a word.
    pace: Pace,
    transcript: Transcript,
}

/// What one wait brought.
#[derive(Debug)]
pub enum Followed {
    /// New lines; there may be none.
    Lines(Vec<String>),
    /// The session has ended, or the server has.
    Ended,
    /// Nobody reads the lines any more.
    Unread,
    /// The server could not be asked; it may answer later.
    NotAsked(TmuxError),
}

enum Woken {
    Output,
    Nothing,
    Ended,
    Unread,
}

impl<'a> Follower<'a> {
    /// Follows the pane from now on: what it shows already counts as told. The screen with so many
    /// lines above it comes along.
    pub fn start(
        server: &'a Server,
        session: &str,
        stage: &Stage,
        above: usize,
    ) -> Result<(Self, Frame), FollowError> {
        let mut command = server.listener(session);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(FollowError::System)?;
        let heard = child.stdout.take().ok_or_else(|| FollowError::System(io::Error::other("no pipe")))?;
        let mut follower = Self {
            server,
            pane: stage.pane.clone(),
            child,
            heard,
            line: Vec::new(),
            attached: false,
            pace: Pace::Settled,
            transcript: Transcript::default(),
        };
        // It listens before the first capture, so that nothing falls in between.
        let until = Instant::now() + super::tmux::LIMIT;
        while !follower.attached {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || matches!(follower.hear(Some(left))?, Woken::Ended) {
                break;
            }
        }
        let frame = server.frame(&follower.pane, above).map_err(FollowError::Tmux)?;
        follower.transcript = Transcript::from(&frame);
        Ok((follower, frame))
    }

    /// Waits for something new.
    pub fn wait(&mut self) -> io::Result<Followed> {
        let again = match self.pace {
            Pace::Busy => Some((RESTS_AFTER, Pace::Rests)),
            Pace::Rests => Some((SETTLED_AFTER, Pace::Settled)),
            Pace::Settled => None,
        };
        let due = again.map(|(after, pace)| (Instant::now() + after, pace));
        self.pace = loop {
            let left = due.map(|(at, _)| at.saturating_duration_since(Instant::now()));
            match (self.hear(left)?, due) {
                (Woken::Output, _) => break self.written()?,
                (Woken::Ended, _) => return Ok(Followed::Ended),
                (Woken::Unread, _) => return Ok(Followed::Unread),
                (Woken::Nothing, Some((at, pace))) if at <= Instant::now() => break pace,
                (Woken::Nothing, _) => {}
            }
        };
        let pace = self.pace;
        Ok(match self.capture() {
            Ok(frame) => Followed::Lines(self.transcript.next(&frame, pace)),
            Err(TmuxError::Refused { .. } | TmuxError::NoServer { .. }) => Followed::Ended,
            Err(error) => Followed::NotAsked(error),
        })
    }

    /// Waits for a rest after something was written, but not for long.
    fn written(&mut self) -> io::Result<Pace> {
        let look_at = Instant::now() + BUSY_EVERY;
        loop {
            let left = look_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Pace::Busy);
            }
            match self.hear(Some(left.min(RESTS_AFTER)))? {
                Woken::Output => {}
                Woken::Nothing if left < RESTS_AFTER => return Ok(Pace::Busy),
                // Who ended, or is not read, is met again at the next wait.
                Woken::Nothing | Woken::Ended | Woken::Unread => return Ok(Pace::Rests),
            }
        }
    }

    /// The lines that somebody else kept of the screen, as far as they are new.
    pub fn last(&mut self, lines: Vec<String>) -> Vec<String> {
        self.transcript.last(lines)
    }

    fn capture(&self) -> Result<Frame, TmuxError> {
        let mut above = 0;
        loop {
            let frame = self.server.frame(&self.pane, above)?;
            let needs = self.transcript.needs(frame.history).min(MOST);
            if frame.alternate || needs <= above || above == MOST {
                return Ok(frame);
            }
            above = (needs + MARGIN).min(MOST);
        }
    }

    /// Waits for a word of the server's; without a limit for ever.
    fn hear(&mut self, limit: Option<Duration>) -> io::Result<Woken> {
        let timeout = limit.map_or(PollTimeout::NONE, |l| {
            PollTimeout::try_from(l.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let stdout = io::stdout();
        // For nothing: a pipe that nobody reads says so without being asked.
        let mut fds = [
            PollFd::new(self.heard.as_fd(), PollFlags::POLLIN),
            PollFd::new(stdout.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Woken::Nothing),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [heard, unread] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        if unread.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            return Ok(Woken::Unread);
        }
        if heard.is_empty() {
            return Ok(Woken::Nothing);
        }
        let mut buffer = [0; 16 * 1024];
        match self.heard.read(&mut buffer)? {
            0 => Ok(Woken::Ended),
            count => {
                self.attached = true;
                let written = self.says_written(buffer.get(..count).unwrap_or_default());
                Ok(if written { Woken::Output } else { Woken::Nothing })
            }
        }
    }

    /// Whether a line ends here that says that something was written; what it was is not looked at.
    fn says_written(&mut self, heard: &[u8]) -> bool {
        let mut written = false;
        for byte in heard {
            if *byte == b'\n' {
                written |= OUTPUT.iter().any(|word| self.line.starts_with(word));
                self.line.clear();
            } else if self.line.len() < LONGEST_WORD {
                self.line.push(*byte);
            }
        }
        written
    }
}

/// How the control protocol says that a pane was written to.
const OUTPUT: [&[u8]; 2] = [b"%output ", b"%extended-output "];
/// No such word is longer.
const LONGEST_WORD: usize = 20;

/// Why a pane can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The system refused something.
    #[error(transparent)]
    System(#[from] io::Error),
    /// tmux did.
    #[error(transparent)]
    Tmux(#[from] TmuxError),
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
