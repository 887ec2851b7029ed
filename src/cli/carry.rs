//! Carries a plan out for `apply` and `init`: under the tenant's lock, told step by step, with the
//! exit code that its end means.

use std::time::Duration;

use serde_json::json;

use super::ground::{self, Ground};
use super::lint::{self, Linted};
use super::{Answer, Context};
use crate::apply::{self, Event, JobEnd, Occasion, Real, Report};
use crate::error::{Error, Kind, Result};
use crate::host::systemd::JobVerb;
use crate::host::{clock, files, lock, parking, runfiles};
use crate::ledger::Applied;
use crate::names::AgentName;
use crate::plan::{Action, ConflictKind, Options, Phase, Plan, Reach, Refusal, Step};
use crate::runfile::boots;
use crate::snapshot::Snapshot;

/// How long another apply of the same tenant may take.
pub const LOCK: Duration = Duration::from_secs(120);

/// What came of it.
#[derive(Debug)]
pub struct Carried {
    /// What it was made from.
    pub ground: Ground,
    /// The plan that was carried out.
    pub plan: Plan,
    /// How it went.
    pub report: Report,
    /// What the lint found that is no error.
    pub linted: Linted,
}

/// How a plan is made and carried out.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// Reads what should be and what we installed: again under the lock, since whoever held it
    /// before may have changed either.
    pub ground: &'a dyn Fn() -> Result<Ground>,
    /// What the caller allows.
    pub options: Options,
    /// Another limit for the batch of jobs than the usual one.
    pub limit: Option<Duration>,
    /// Has the last word on a plan.
    pub prepare: &'a dyn Fn(&mut Plan, &Snapshot) -> Result<()>,
}

/// Plans, and carries the plan out under the lock.
pub fn carry(context: &Context, manner: Manner<'_>) -> Result<Carried> {
    if manner.options.reach == Reach::Everything {
        ground::await_manager(context);
    }
    // A look without the lock is enough where there is nothing to do: then nothing is written.
    let (ground, plan, linted) = look(context, manner)?;
    if plan.refused.is_some() {
        return Ok(Carried { ground, plan, report: Report::default(), linted });
    }
    if plan.is_empty() && !ground.books_change(&plan) {
        remember_boot(context, &ground, manner.options)?;
        return Ok(Carried { ground, plan, report: Report::default(), linted });
    }
    let _lock = lock::take(&context.layout.apply_lock(), "apply of this tenant", LOCK, |holder| {
        let who =
            holder.map_or_else(|| "another apply".to_owned(), |pid| format!("another apply (pid {pid})"));
        let most = LOCK.as_secs();
        context.out.note(format_args!("waiting for {who} of this tenant to end, {most} s at most"));
    })?;
    let (ground, plan, linted) = look(context, manner)?;
    if plan.refused.is_some() {
        return Ok(Carried { ground, plan, report: Report::default(), linted });
    }
    // After an upgrade, and before anything can start whom a person has stopped.
    let agents: Vec<AgentName> = ground.desired.units.iter().filter_map(|unit| unit.agent.clone()).collect();
    parking::renew(&context.layout, &agents)?;
    let occasion = Occasion {
        identity: ground.identity.clone(),
        now: (manner.options.reach == Reach::Everything).then(now),
    };
    let mut machine = Real::new(&context.layout, context.caller.uid).within(manner.limit);
    let mut teller = Teller { context, counted: 0 };
    let ledger = ground.ledger.clone();
    let report = apply::apply(&plan, ledger, &occasion, &mut machine, &mut |event| teller.hear(event))?;
    if report.complete() {
        remember_boot(context, &ground, manner.options)?;
    }
    Ok(Carried { ground, plan, report, linted })
}

fn look(context: &Context, manner: Manner<'_>) -> Result<(Ground, Plan, Linted)> {
    let ground = (manner.ground)()?;
    let manager = ground::manager(context);
    let seen = ground.look(context, manager.as_ref());
    let mut plan = ground.plan(&seen, manner.options);
    (manner.prepare)(&mut plan, &seen)?;
    let linted = lint::look(context, &ground, &seen);
    linted.refuse()?;
    Ok((ground, plan, linted))
}

impl Carried {
    /// Tells what went wrong and how it ended; the exit code.
    pub fn conclude(&self, context: &Context) -> Answer {
        let out = &context.out;
        self.linted.warn(context);
        if self.plan.refused == Some(Refusal::HandMade) {
            let unit = context.layout.holder_unit();
            let error = Error::no(format!("{} was not written by us: nothing was changed", unit.display()))
                .hint("to take over a fleet that was made by hand: fleet apply --adopt")
                .hint("what that means: fleet plan --adopt");
            out.error(&error);
            return Answer::No;
        }
        for note in &self.plan.notes {
            out.note(format_args!("note: {note}"));
        }
        for pending in &self.plan.pending {
            out.note(super::plan::describe_pending(pending));
        }
        for conflict in self.plan.kept() {
            out.warn(super::plan::describe_conflict(conflict, &self.plan, &context.layout));
        }
        if self.plan.kept().any(|c| c.kind == ConflictKind::NotOurs) {
            out.note("where they are a fleet's that was made by hand: fleet apply --adopt");
        }
        let mut said: Vec<&str> = Vec::new();
        for (place, error) in self.report.refused.iter().enumerate() {
            // One trouble that kept several steps from being done is told once, and so is one cure.
            if self.report.refused[..place].iter().any(|earlier| earlier.message == error.message) {
                continue;
            }
            let hints = error.hints.iter().filter(|h| !said.contains(&h.as_str())).cloned().collect();
            out.error(&Error { hints, ..error.clone() });
            said.extend(error.hints.iter().map(String::as_str));
        }
        let failed = self.report.failed().count();
        let unknown = self.report.failed().filter(|end| end.outcome.result.is_unknown()).count();
        if unknown > 0 {
            out.error(&nobody_told(unknown));
        }
        if !self.report.refused.is_empty() || unknown > 0 {
            if said.is_empty() {
                out.hint("what was not done now is done by the next: fleet apply");
            }
            return Answer::of(Kind::Machine);
        }
        if failed > 0 || self.plan.kept().next().is_some() {
            return Answer::No;
        }
        if self.plan.is_empty() && self.plan.pending.is_empty() {
            let desired = &self.ground.desired;
            let (files, units) = (desired.files.len(), desired.units.len());
            out.line(format_args!("Nothing to do: {files} files and {units} units are as the roster says."));
        }
        Answer::Yes
    }
}

/// Tells of each step as it is done: units one by one, files by their number, or each with -v.
struct Teller<'a> {
    context: &'a Context,
    counted: usize,
}

impl Teller<'_> {
    fn hear(&mut self, event: Event<'_>) {
        let out = &self.context.out;
        match event {
            Event::Begin(phase, steps) => {
                self.counted = 0;
                if phase == Phase::AfterReload && steps > 1 && out.is_terminal() {
                    out.note(format_args!("waiting for {steps} units"));
                }
            }
            Event::Done(step) => self.counted += usize::from(self.step(step)),
            Event::End(phase) => self.end(phase),
            Event::Job(end) => tell_job(end, self.context),
        }
    }

    /// Whether the step is only counted.
    fn step(&self, step: &Step) -> bool {
        let out = &self.context.out;
        let path = |path| super::plan::short(path, &self.context.layout);
        match &step.action {
            Action::KeepCopy { to, .. } => out.line(format_args!("kept what was there as {}", path(to))),
            Action::EnableLinger => out.line("lingering is on: the fleet starts at boot without a login"),
            Action::Reload | Action::ResetFailed { .. } => {}
            _ if self.context.verbose > 0 => out.line(super::plan::describe(step, &self.context.layout)),
            _ => return true,
        }
        false
    }

    fn end(&self, phase: Phase) {
        let count = self.counted;
        let files = if count == 1 { "file" } else { "files" };
        let units = if count == 1 { "unit" } else { "units" };
        match phase {
            _ if count == 0 => {}
            Phase::Files => self.context.out.line(format_args!("{count} {files} written or removed")),
            Phase::BeforeReload => {
                self.context.out.line(format_args!("{count} {units} enabled or disabled"));
            }
            _ => {}
        }
    }
}

/// Tells how one job ended.
pub fn tell_job(end: &JobEnd, context: &Context) {
    let outcome = &end.outcome;
    let name = name(&outcome.unit);
    if let Some(after) = &end.after {
        context.out.note(format_args!("{name}: {}", after.words));
        for line in end.lines.iter().filter(|_| after.is_over) {
            context.out.note(format_args!("    {line}"));
        }
        return;
    }
    if end.is_good() {
        let done = match outcome.verb {
            JobVerb::Start => "started",
            JobVerb::Stop => "stopped",
            JobVerb::Restart => "restarted",
        };
        context.out.line(format_args!("{name}: {done}"));
        return;
    }
    let failed = if outcome.result.is_unknown() { "" } else { " failed" };
    context.out.note(format_args!("{name}: {}{failed}: {}", outcome.verb, outcome.result));
    for line in &end.lines {
        context.out.note(format_args!("    {line}"));
    }
}

/// That many jobs whose end nobody can tell.
pub fn nobody_told(jobs: usize) -> Error {
    let units = if jobs == 1 { "a unit" } else { "some units" };
    Error::machine(format!("the user manager went away before it told what became of {units}"))
}

/// What people call a unit of ours: the agent's name, or the unit's.
pub fn name(unit: &str) -> String {
    match AgentName::from_unit(unit) {
        Some(agent) => agent.to_string(),
        None => unit.trim_end_matches(".service").to_owned(),
    }
}

fn now() -> Applied {
    let clock = clock::now();
    Applied { time: clock::rfc3339(clock.unix), boot_id: clock.boot_id }
}

/// Keeps the boot in which everything was as the roster says, so that a later `verify` can tell
/// which boots the fleet survived.
fn remember_boot(context: &Context, ground: &Ground, options: Options) -> Result<()> {
    if options.reach == Reach::FilesOnly {
        return Ok(());
    }
    let path = context.layout.boot_record();
    let now = now();
    let known = runfiles::read_text(&path, boots::LONGEST_APPLIED);
    if known.as_deref().and_then(boots::applied_in).is_some_and(|boot| boot == now.boot_id) {
        return Ok(());
    }
    let record = json!({
        "schema_version": 1,
        "tenant_id": ground.identity.tenant,
        "host": ground.identity.host,
        "boot_id": now.boot_id,
        "time": now.time,
    });
    Ok(files::replace(&path, format!("{record:#}\n").as_bytes(), 0o600)?)
}
