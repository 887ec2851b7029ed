//! `fleet apply --adopt`: takes over a fleet that was made by hand. What it would lose is saved first,
//! a person is asked before sessions end, and a run that is cut off is completed by the next.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::carry::{Carried, LOCK, Manner, carry};
use super::ground::{self, Ground};
use super::{Answer, Context};
use crate::adopt::{
    HandMade, OldServer, OldSession, Overrides, SessionKind, is_holders, is_taken_over, kept_at, overrides,
    recognise,
};
use crate::error::{Error, Kind, Result};
use crate::host::ending::Held;
use crate::host::interrupt::point;
use crate::host::tmux::{Server, Target, TmuxError};
use crate::host::{files, input, lock, process, site};
use crate::layout::Layout;
use crate::names::{AgentName, HOLDER_UNIT};
use crate::plan::{ConflictKind, Conflicts, HolderRestart, Options, Plan, Reach};
use crate::render::Role;
use crate::roster::Roster;
use crate::snapshot::{Fact, Snapshot, Tmux};

/// No file of a fleet is longer.
const LONGEST: usize = 4 * 1024 * 1024;
/// More lines than any history that people set.
const ALL_LINES: u32 = 1_000_000;
/// How long a session's programs may take to save themselves after the hang-up.
const SAVES_ITSELF_WITHIN: Duration = Duration::from_secs(10);
/// How long the old server may take to end once it has no session.
const SERVER_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Whether a person has agreed that sessions end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// On the command line.
    Given,
    /// Not yet.
    Asked,
}

/// What is here, and the fleet's socket.
struct Found {
    hand_made: Option<HandMade>,
    server: Server,
    holder_is_ours: bool,
}

/// Takes it over.
pub fn run(context: &Context, consent: Consent) -> Result<Answer> {
    if let Some(folder) = context.layout.declared_at() {
        let folder = folder.display();
        return Err(Error::no(format!("this fleet is declared, in {folder}: there is nothing to take over"))
            .hint("to see what is declared: fleet plan"));
    }
    ground::await_manager(context);
    let roster = context.roster()?;
    let ground = || Ground::of_file(context, &context.roster()?);
    let first = ground()?;
    let manager = ground::manager(context);
    let seen = first.look(context, manager.as_ref());
    let found = find(&roster, &first, &seen, &first.plan(&seen, Options::default()))?;
    let options = |reach| Options { reach, ..found.options() };
    let manner = |options| Manner { ground: &ground, options, limit: None, prepare: &|_, _| Ok(()) };
    let Some(hand_made) = &found.hand_made else {
        context.out.note("No fleet made by hand is left here.");
        let options = options(Reach::Everything);
        return Ok(carry(context, manner(options))?.conclude(context));
    };
    super::lint::look(context, &first, &seen).refuse()?;
    agree(hand_made, consent, context)?;
    save_files(hand_made, &first, context)?;
    point("adopt-saved");
    // Files first: a disk that is full ends this while every session still runs.
    let written = carry(context, manner(options(Reach::FilesOnly)))?;
    if !written.report.complete() || written.plan.kept().next().is_some() {
        return Ok(written.conclude(context));
    }
    point("adopt-written");
    if let Some(old) = &hand_made.server {
        hand_over(old, &found.server, context)?;
    }
    let carried = carry(context, manner(options(Reach::Everything)))?;
    let answer = carried.conclude(context);
    tell_end(&carried, answer, context);
    Ok(answer)
}

impl Found {
    /// What the last of its applies allows; where nothing is left to take over, as without the flag.
    fn options(&self) -> Options {
        let conflicts = if self.hand_made.is_some() { Conflicts::TakeOver } else { Conflicts::Keep };
        let holder = if self.holder_is_ours { HolderRestart::Hold } else { HolderRestart::Restart };
        Options { conflicts, holder, ..Options::default() }
    }
}

/// What `apply --adopt` would do: what comes before its plan, a line each, and the plan, of the
/// machine as it will be once the old server has ended.
pub struct Preview {
    pub before: Vec<String>,
    pub plan: Plan,
}

/// Looks ahead, and changes nothing.
pub fn preview(
    context: &Context,
    roster: &Roster,
    ground: &Ground,
    seen: &Snapshot,
    now: &Plan,
) -> Result<Preview> {
    let found = find(roster, ground, seen, now)?;
    let mut later = seen.clone();
    later.tmux = Fact::Known(Tmux::Absent);
    let plan = ground.plan(&later, found.options());
    let Some(hand_made) = &found.hand_made else {
        context.out.note("No fleet made by hand is left here.");
        return Ok(Preview { before: Vec::new(), plan });
    };
    let layout = &context.layout;
    let mut before = Vec::new();
    for path in &hand_made.files {
        let kept = kept_at(&layout.adopted(), layout.home(), path);
        let line = format!("{} to {}", super::plan::short(path, layout), super::plan::short(&kept, layout));
        before.push(format!("{:<9} {line}", "save"));
        let Some(content) = read(path)? else { continue };
        let Some(made) = own_variables(path, &content, ground, layout)? else { continue };
        if made.overrides.text.is_some() {
            let names = made.overrides.kept.join(", ");
            let local = super::plan::short(&made.place, layout);
            before.push(format!("{:<9} {local}: takes over {names}", "write"));
        }
        for (name, why) in &made.overrides.left_out {
            before.push(format!("{:<9} {}: {name}: {}", "leave out", made.agent, why.words()));
        }
    }
    before.extend(hand_made.ending().map(|session| {
        format!("{:<9} session {}: its scrollback is saved; it {}", "end", session.name, fate(session.kind))
    }));
    before.extend(hand_made.server.as_ref().map(|server| {
        format!("{:<9} the tmux server that no unit of ours started (pid {})", "end", server.pid)
    }));
    Ok(Preview { before, plan })
}

/// What becomes of a session.
fn fate(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::Stranger => "ends for good: the roster does not have it",
        SessionKind::Agent(_) | SessionKind::Holder => "ends, and starts again under its unit",
    }
}

/// What `fleet plan` says of a fleet that was made by hand: looked for only where something points
/// at one.
pub fn recognised(
    context: &Context,
    roster: &Roster,
    ground: &Ground,
    seen: &Snapshot,
    plan: &Plan,
) -> Option<HandMade> {
    let files = plan.conflicts.iter().any(|c| is_taken_over(c, &ground.desired) && in_use(ground, &c.path));
    // A server that is in the holder's way matters where the holder would start.
    let starts = plan.steps.iter().any(|step| step.action.unit() == Some(HOLDER_UNIT))
        || plan.pending.iter().any(|pending| pending.unit == HOLDER_UNIT)
        || plan.conflicts.iter().any(|c| matches!(c.kind, ConflictKind::ForeignServer(_)));
    if !files && !starts {
        return None;
    }
    let found = find(roster, ground, seen, plan).ok()?.hand_made?;
    if found.server.is_none() && !files {
        return None;
    }
    context.out.warn(format_args!("hand-made fleet found: {}", found.words()));
    context.out.note("take it over, after a look at docs/usage/migrate.md, with: fleet apply --adopt");
    Some(found)
}

/// Whether a file is one of a fleet that nobody has applied yet: ours once, an edit is just that.
fn in_use(ground: &Ground, path: &Path) -> bool {
    !ground.ledger.files.contains_key(path)
        && ground.desired.files.iter().any(|f| f.path == path && f.role != Role::Framework)
}

fn find(roster: &Roster, ground: &Ground, seen: &Snapshot, plan: &Plan) -> Result<Found> {
    let server = Server::new(site::tmux()?, &roster.socket);
    let tmux = server.look().map_err(Error::machine)?;
    let holder_is_ours = matches!(&tmux, Tmux::Running { pid, .. } if is_holders(&seen.units, *pid));
    let session = roster.holder_session.as_str();
    let hand_made = recognise(&ground.desired, &plan.conflicts, &seen.units, &tmux, session);
    Ok(Found { hand_made, server, holder_is_ours })
}

/// Tells what was found and what ends, and asks.
fn agree(found: &HandMade, consent: Consent, context: &Context) -> Result<()> {
    let out = &context.out;
    out.note(format_args!("hand-made fleet found: {}", found.words()));
    let ending: Vec<&OldSession> = found.ending().collect();
    if ending.is_empty() || consent == Consent::Given {
        return Ok(());
    }
    for session in &ending {
        let runs = session.panes.iter().filter_map(|pane| process::in_foreground(pane.pid));
        let runs = runs.collect::<Vec<_>>().join(", ");
        out.note(format_args!("  {} ({runs}): {}", session.name, fate(session.kind)));
    }
    if !io::stdin().is_terminal() {
        let names: Vec<&str> = ending.iter().map(|s| s.name.as_str()).collect();
        return Err(Error::new(
            Kind::Usage,
            format!("this ends the sessions {}, and nobody is here to agree", names.join(", ")),
        )
        .hint("agree on the command line: fleet apply --adopt --yes"));
    }
    out.note("Their scrollback is saved first. End them? [y/N]");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::no("nothing was changed: not agreed"))
}

/// What becomes of an environment file that a person wrote.
struct Own {
    agent: AgentName,
    /// The operator's own file.
    place: PathBuf,
    /// What stands there.
    local: Option<Vec<u8>>,
    overrides: Overrides,
}

/// The operator's own variables of a file that is taken over, where it is one of variables.
fn own_variables(path: &Path, content: &[u8], ground: &Ground, layout: &Layout) -> Result<Option<Own>> {
    let file = ground.desired.files.iter().find(|f| f.path == *path);
    let Some((file, Role::AgentEnv(agent))) = file.map(|file| (file, &file.role)) else { return Ok(None) };
    let place = layout.agent_local_env(agent);
    let local = read(&place)?;
    let text = local.as_deref().map(String::from_utf8_lossy);
    let overrides = overrides(content, &file.content, text.as_deref()).map_err(|error| {
        Error::input(format_args!("{}: {error}", path.display())).hint("put it right first")
    })?;
    Ok(Some(Own { agent: agent.clone(), place, local, overrides }))
}

/// Keeps a copy of each file that is taken over, and makes overrides of environment files.
fn save_files(found: &HandMade, ground: &Ground, context: &Context) -> Result<()> {
    let (layout, out) = (&context.layout, &context.out);
    let _lock = lock::take(&layout.apply_lock(), "apply of this tenant", LOCK, |_| {
        out.note("waiting for another apply of this tenant to end");
    })?;
    let mut saved = Vec::new();
    for path in &found.files {
        let Some(content) = read(path)? else { continue };
        if let Some(Own { agent, place, local, overrides: made }) =
            own_variables(path, &content, ground, layout)?
        {
            if let Some(local) = local.filter(|_| made.text.is_some()) {
                saved.push((place.clone(), local));
            }
            for (name, why) in &made.left_out {
                out.note(format_args!("{agent}: {name} is left out: {}", why.words()));
            }
            if let Some(text) = made.text {
                keep_all(&mut saved, context)?;
                files::replace(&place, text.as_bytes(), 0o600)?;
                out.line(format_args!("{agent}: {} now in {agent}.local.env", made.kept.join(", ")));
            }
        }
        saved.push((path.clone(), content));
    }
    keep_all(&mut saved, context)
}

fn keep_all(saved: &mut Vec<(PathBuf, Vec<u8>)>, context: &Context) -> Result<()> {
    let layout = &context.layout;
    for (path, content) in saved.drain(..) {
        let kept = keep(&kept_at(&layout.adopted(), layout.home(), &path), &content)?;
        context.out.note(format_args!("kept {} as {}", path.display(), kept.display()));
    }
    Ok(())
}

/// Writes a copy where nothing else stands: never over another one.
fn keep(place: &Path, content: &[u8]) -> Result<PathBuf> {
    let mut at = place.to_path_buf();
    for number in 2.. {
        match read(&at)? {
            None => {
                files::replace(&at, content, 0o600)?;
                return Ok(at);
            }
            Some(there) if there == content => return Ok(at),
            Some(_) => {
                let mut name = place.file_name().unwrap_or_default().to_os_string();
                name.push(format!(".{number}"));
                at = place.with_file_name(name);
            }
        }
    }
    Ok(at)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match input::read(path, LONGEST) {
        Ok(Some(bytes)) if bytes.len() > LONGEST => {
            Err(Error::input(format_args!("{} is too long to be a file of a fleet", path.display())))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(Error::machine(format_args!("read {}: {error}", path.display()))),
    }
}

/// Saves and ends the sessions one by one, then the server, so that the holder may found its own.
fn hand_over(old: &OldServer, server: &Server, context: &Context) -> Result<()> {
    let out = &context.out;
    let held = Held::of(old.pid);
    for session in &old.sessions {
        let mut places = Vec::new();
        // As it is by now: somebody may have split it while a person was asked.
        let panes = server.panes(&session.name).map_err(Error::machine)?;
        for pane in panes.iter().filter(|_| session.kind != SessionKind::Holder) {
            let text = server.capture(Target::Pane(&pane.id), ALL_LINES).map_err(|error| {
                Error::machine(format_args!("save the scrollback of {}: {error}", session.name))
                    .hint("nothing of it has ended; run it again: fleet apply --adopt")
            })?;
            let name = format!("{}.txt", session.name.replace('/', "_"));
            let kept = keep(&context.layout.adopted().join("scrollback").join(name), text.as_bytes())?;
            places.push(kept.display().to_string());
        }
        let programs: Vec<Held> = panes.iter().filter_map(|pane| Held::of(pane.pid)).collect();
        server.kill_session(&session.name).map_err(Error::machine)?;
        let deadline = Instant::now() + SAVES_ITSELF_WITHIN;
        for program in programs.iter().filter(|p| !p.ends_by(deadline)) {
            program.kill();
        }
        if !places.is_empty() {
            out.line(format_args!("{}: ended, its scrollback is in {}", session.name, places.join(", ")));
        }
        point("adopt-session");
    }
    let new = match server.look() {
        Ok(Tmux::Running { panes, .. }) => panes.into_iter().next().map(|pane| pane.session),
        // One that has just lost its last session may be on its way out.
        Ok(Tmux::Absent) | Err(TmuxError::Refused { .. }) => None,
        Err(error) => return Err(Error::machine(error)),
    };
    if let Some(new) = new {
        return Err(Error::no(format!("session {new} came meanwhile, and nobody was asked: it still runs"))
            .hint("look again, and go on: fleet apply --adopt"));
    }
    server.kill_server().map_err(Error::machine)?;
    match held {
        Some(held) if !held.ends_by(Instant::now() + SERVER_ENDS_WITHIN) => {
            Err(Error::machine(format_args!("the old tmux server (pid {}) does not end", old.pid))
                .hint(format!("kill {}, then: fleet apply --adopt", old.pid)))
        }
        _ => Ok(()),
    }
}

fn tell_end(carried: &Carried, answer: Answer, context: &Context) {
    if answer == Answer::Yes && carried.report.complete() {
        let kept = context.layout.adopted();
        context.out.line(format_args!(
            "The fleet is taken over. What was there before is in {}; look with: fleet verify",
            kept.display()
        ));
    }
}
