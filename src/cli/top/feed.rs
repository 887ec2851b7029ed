//! Looks at the fleet beside the screen, so that nothing that hangs holds a key up: every look is
//! bounded, and what it could not see is unknown with the reason.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::model::{Look, Message};
use crate::cli::Context;
use crate::cli::observed::{Observed, server};
use crate::cli::ps::is_of_interest;
use crate::host::clock;
use crate::host::command::Command;
use crate::host::gather::Depth;
use crate::host::live::Changes;
use crate::host::tmux::{Server, Target};
use crate::snapshot::{Fact, Pane, Snapshot, Tmux};
use crate::transcript::plain;

/// How often is looked.
pub const EVERY: Duration = Duration::from_secs(2);
/// How often while nobody touches a key: a screen on a wall must cost next to nothing.
const EVERY_IDLE: Duration = Duration::from_secs(4);
/// When nobody touches a key.
const IDLE_AFTER: Duration = Duration::from_secs(60);
/// However much happens, looks are so far apart.
const APART: Duration = Duration::from_millis(250);
/// tmux tells of a window's last output in whole seconds.
const ACTIVITY: f64 = 1.5;
/// Lines of a terminal that a preview may show.
const PREVIEW: u32 = 60;
/// Lines of a terminal that can be read.
const TAIL: u32 = 1000;

/// What the feed is asked for.
#[derive(Debug, Clone)]
pub enum Request {
    /// A look now.
    Look,
    /// That agent's terminal, now and with every look.
    Preview(String),
    /// That agent's last lines, once.
    Tail(String),
    /// A look soon: an agent started or ended.
    Changed,
    /// Nothing: somebody touched a key.
    Awake,
    /// Nothing more until the next request: nobody sees it.
    Pause,
}

/// The screen's end of it.
pub struct Feed {
    /// What comes.
    pub messages: Receiver<Message>,
    /// Readable when something came.
    pub woken: UnixStream,
    requests: Sender<Request>,
    voice: Voice,
}

/// How anything beside the screen speaks to it.
#[derive(Debug)]
pub struct Voice {
    tell: Sender<Message>,
    wake: UnixStream,
}

impl Voice {
    /// Says something; false where nobody listens any more.
    pub fn say(&mut self, message: Message) -> bool {
        let heard = self.tell.send(message).is_ok();
        // A full pipe wakes as well.
        let _ = self.wake.write(&[0]);
        heard
    }

    fn another(&self) -> std::io::Result<Self> {
        Ok(Self { tell: self.tell.clone(), wake: self.wake.try_clone()? })
    }
}

impl Feed {
    /// Begins to look.
    pub fn start(context: &Context) -> std::io::Result<Self> {
        let (tell, messages) = mpsc::channel();
        let (requests, asked) = mpsc::channel();
        let (woken, wake) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let voice = Voice { tell, wake };
        let changes = Changes::of(&context.layout.run(), is_of_interest);
        let changed = requests.clone();
        std::thread::Builder::new().name("changes".to_owned()).spawn(move || {
            // One that can't be watched brings none: then it is looked by the clock alone.
            while !changes.are_none() {
                let until = Instant::now() + Duration::from_secs(3600);
                let came = changes.wait(until);
                if (came && changed.send(Request::Changed).is_err()) || (!came && Instant::now() < until) {
                    return;
                }
            }
        })?;
        let mut watcher = Watcher {
            context: context.clone(),
            voice: voice.another()?,
            server: None,
            selected: None,
            touched: Instant::now(),
            captured: None,
        };
        std::thread::Builder::new().name("feed".to_owned()).spawn(move || watcher.run(&asked))?;
        Ok(Self { messages, woken, requests, voice })
    }

    /// Asks for something.
    pub fn ask(&self, request: Request) {
        // A feed that is gone is told of by its silence.
        let _ = self.requests.send(request);
    }

    /// Runs one of our own verbs beside the screen, and says how it went.
    pub fn run(&self, what: String, command: Command) {
        let Ok(mut voice) = self.voice.another() else { return };
        std::thread::spawn(move || {
            let told = match command.run() {
                Ok(output) if output.status.success() => format!("{what}: done"),
                Ok(output) => {
                    let why = why_not(&String::from_utf8_lossy(&output.stderr)).unwrap_or_default();
                    format!("{what}: {why}")
                }
                Err(error) => format!("{what}: {error}"),
            };
            voice.say(Message::Told(told));
        });
    }
}

/// Why one of our verbs failed, by what it wrote to its standard error: its error, else the first that it said.
pub fn why_not(said: &str) -> Option<String> {
    let error = said.lines().find_map(|line| line.split_once("error:").map(|(_, why)| why));
    let why = plain(error.or_else(|| said.lines().find(|line| !line.trim().is_empty()))?);
    Some(why.trim().to_owned())
}

struct Watcher {
    context: Context,
    voice: Voice,
    server: Option<Server>,
    selected: Option<String>,
    /// When somebody last asked for something.
    touched: Instant,
    /// Whose terminal was captured last, and when by the clock.
    captured: Option<(String, f64)>,
}

impl Watcher {
    fn run(&mut self, asked: &Receiver<Request>) {
        let mut due = Some(Instant::now());
        let mut looked = Instant::now();
        loop {
            let request = match due {
                Some(due) => asked.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if matches!(request, Ok(Request::Changed)) {
                due = due.map(|due| due.min(looked + APART));
                continue;
            }
            if !matches!(request, Err(RecvTimeoutError::Timeout)) {
                let was_idle = self.touched.elapsed() > IDLE_AFTER;
                self.touched = Instant::now();
                due = due.map(|due| if was_idle { self.touched } else { due });
            }
            let heard = match request {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(Request::Pause) => {
                    due = None;
                    true
                }
                Ok(Request::Awake | Request::Changed) => true,
                Ok(Request::Preview(name)) => {
                    self.selected = Some(name);
                    self.preview()
                }
                Ok(Request::Tail(name)) => {
                    let shown = self.lines(&name, TAIL);
                    self.voice.say(Message::Tail { name, shown })
                }
                Ok(Request::Look) | Err(RecvTimeoutError::Timeout) => {
                    let heard = self.look();
                    looked = Instant::now();
                    let idle = self.touched.elapsed() > IDLE_AFTER;
                    due = Some(Instant::now() + if idle { EVERY_IDLE } else { EVERY });
                    heard
                }
            };
            if !heard {
                return;
            }
        }
    }

    fn look(&mut self) -> bool {
        let look = match Observed::look(&self.context, Depth::Rows, &[]) {
            Ok(observed) => {
                self.server = server(&observed.roster);
                let rows = observed.rows();
                if self.has_written(&observed.seen) && !self.preview() {
                    return false;
                }
                let seen = &observed.seen;
                let trouble = [seen.tmux.why(), seen.units.why()].into_iter().flatten().next();
                Look {
                    tenant: observed.roster.tenant.to_string(),
                    host: observed.host.to_string(),
                    time: jiff::Zoned::now().strftime("%H:%M:%S").to_string(),
                    trouble: trouble.map(plain),
                    rows,
                }
            }
            Err(error) => {
                let why = error.message.lines().next().map(plain).unwrap_or_default();
                return self.voice.say(Message::Unseen(why));
            }
        };
        self.voice.say(Message::Look(look))
    }

    fn preview(&mut self) -> bool {
        let Some(name) = self.selected.clone() else { return true };
        let at = clock::unix();
        let shown = self.lines(&name, PREVIEW);
        self.captured = shown.is_ok().then(|| (name.clone(), at));
        self.voice.say(Message::Preview { name, shown })
    }

    /// Whether the selected agent's terminal may show something else than when it was captured.
    fn has_written(&self, seen: &Snapshot) -> bool {
        let Fact::Known(Tmux::Running { panes, .. }) = &seen.tmux else { return false };
        let Some(name) = &self.selected else { return false };
        let Some((captured, at)) = &self.captured else { return true };
        let still = |pane: &&Pane| pane.session == *name && !pane.dead && pane.activity + ACTIVITY < *at;
        captured != name || panes.iter().find(still).is_none()
    }

    fn lines(&self, name: &str, count: u32) -> Result<Vec<String>, String> {
        let server = self.server.as_ref().ok_or("no terminal is known yet")?;
        let text = server.capture(Target::Session(name), count).map_err(|error| error.to_string())?;
        Ok(text.lines().map(plain).collect())
    }
}
