//! `fleet verify`: proves that the fleet is what the roster says and survives a boot.

mod deep;
mod text;

use std::path::PathBuf;

use super::ground::{self, Ground};
use super::observed::{self, Observed};
use super::tenant::all;
use super::{Answer, Context, lint};
use crate::error::{Error, Result};
use crate::host::gather::Depth;
use crate::host::{boot, clock, declared, journal, look, probe, runfiles, site, stand_ins};
use crate::observe::row::PaneState;
use crate::observe::verify::{Evidence, Follower, Past, Probes, Verdict, Why, verify};
use crate::plan::Options;
use crate::runfile::boots::{self, Verified};
use crate::snapshot::{Fact, Tmux};

/// Arguments of `fleet verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
    /// Restart one agent, too, and prove that nothing else is touched by it
    #[arg(long)]
    deep: bool,
    /// The fleets of all tenants of this machine; only root may
    #[arg(long)]
    all_tenants: bool,
}

impl Args {
    /// As JSON, of one tenant.
    pub fn json(deep: bool) -> Self {
        Self { json: true, deep, all_tenants: false }
    }
}

/// Checks everything; answers no where a check does not hold.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    if args.all_tenants {
        return all::verify(context, args.deep, args.json);
    }
    let before = Before::read(context);
    let (observed, mut verdict) = look(context, &before)?;
    if args.deep {
        // Nothing is restarted where something is wrong already.
        let cause = verdict.failures().next().map(|cause| (cause.id, cause.agent.clone()));
        match cause {
            None => verdict.add(deep::checks(context, &observed)?),
            Some(because_of) => {
                verdict.not_judged.push(Follower { id: "deep-restart", agent: None, because_of });
            }
        }
    }
    keep(context, &verdict);
    if args.json {
        context.out.json(&verdict)?;
    } else {
        for line in text::lines(&verdict, context.out.colour()) {
            context.out.line(line);
        }
        if verdict.ok && verdict.survived_boot == Some(true) {
            context.out.line(text::survived(&observed.seen.clock, observed.seen.booted));
        }
    }
    match answer(&verdict) {
        // What is proven to be wrong is, however little else could be seen.
        Ok(Answer::No) => Ok(Answer::No),
        otherwise => observed.could_look().and(otherwise),
    }
}

/// Exit 4 where all that fails is what could not be looked at.
fn answer(verdict: &Verdict) -> Result<Answer> {
    let mut failures = verdict.failures().peekable();
    if failures.peek().is_none() {
        return Ok(Answer::Yes);
    }
    if failures.all(|c| c.reason == Some(Why::Unknown)) {
        return Err(Error::machine("what could not be looked at is not proven"));
    }
    Ok(Answer::No)
}

/// Gathers the evidence and judges it.
fn look(context: &Context, before: &Before) -> Result<(Observed, Verdict)> {
    let roster = context.roster()?;
    let ground = Ground::of_file(context, &roster)?;
    let layout = &context.layout;
    let mut files: Vec<PathBuf> = ground.ledger.files.keys().cloned().collect();
    files.extend(ground.desired.files.iter().map(|f| f.path.clone()));
    files.extend(roster.agents.iter().map(|a| layout.agent_local_env(&a.name)));
    files.extend(declared::dangling(layout));
    files.sort_unstable();
    files.dedup();
    let mut observed = Observed::look(context, Depth::Everything, &files)?;
    let names = observed.roster.agents.iter().map(|a| a.name.clone()).collect();
    observed.seen.stand_ins = stand_ins::find(layout, context.caller.uid, &names);
    observed.seen.folders = look::folders(&ground.folders(layout), context.caller.uid);
    observed.seen.holder = look::holder_started(layout);
    let linted = lint::look(context, &ground, &observed.seen);
    let rows = observed.rows();
    let plan = ground.plan(&observed.seen, Options::default());
    let probes = Probes {
        exact: match (&observed.seen.tmux, observed::server(&observed.roster)) {
            (Fact::Known(Tmux::Running { panes, .. }), Some(server)) => probe::exact_target(&server, panes),
            _ => None,
        },
        mosaic: observed
            .roster
            .agents
            .iter()
            .filter_map(|agent| {
                let row = rows.iter().find(|r| r.name == agent.name.as_str())?;
                Some((agent.name.clone(), probe::on_path_of(row.pane.pid?, "mosaic")))
            })
            .collect(),
    };
    let mut facts =
        boot::look(layout, &context.caller.name, site::tmux().ok().as_deref(), &ground::manager(context));
    // What was said of a start matters where something that is wanted does not run.
    if rows.iter().any(|row| row.pane.state == PaneState::Dead && !row.parked) {
        facts.said = journal::of_the_manager();
    }
    let verdict = verify(
        &Evidence {
            given: observed.given(),
            rows: &rows,
            plan: &plan,
            probes: &probes,
            boot: &facts,
            findings: &linted.findings,
            not_linted: linted.unseen.as_deref(),
            user: &context.caller.name,
            uid: context.caller.uid,
            programs: ground.identity.program.parent().unwrap_or(layout.home()),
            past: before.past(&observed.seen.clock.boot_id),
        },
        clock::rfc3339(observed.seen.clock.unix),
    );
    Ok((observed, verdict))
}

/// What earlier runs left behind.
struct Before {
    /// The boot in which the fleet was last applied.
    applied_in: Option<String>,
    /// The last verify.
    verified: Option<Verified>,
}

impl Before {
    fn read(context: &Context) -> Self {
        let applied = runfiles::read_text(&context.layout.boot_record(), boots::LONGEST_APPLIED);
        let verified = runfiles::read_text(&context.layout.verify_record(), boots::LONGEST_VERIFIED);
        Self {
            applied_in: applied.as_deref().and_then(boots::applied_in),
            verified: verified.as_deref().and_then(Verified::parse),
        }
    }

    fn past(&self, boot_id: &str) -> Past {
        let earlier = self.applied_in.as_deref().is_some_and(|applied| applied != boot_id);
        match &self.verified {
            Some(Verified { boot_id: boot, survived: Some(survived), .. }) if boot == boot_id => {
                Past::Seen(*survived)
            }
            _ if earlier => Past::Untouched,
            Some(verified) if verified.boot_id != boot_id || verified.told => Past::Applied,
            _ => Past::Young,
        }
    }
}

/// Keeps the verdict; a disk that can't be written to is no reason not to tell it.
fn keep(context: &Context, verdict: &Verdict) {
    let kept = serde_json::to_vec_pretty(verdict)
        .map_err(std::io::Error::other)
        .and_then(|text| runfiles::replace(&context.layout.verify_record(), &text));
    if let Err(error) = kept {
        context.out.warn(format_args!("this run could not be recorded: {error}"));
    }
}
