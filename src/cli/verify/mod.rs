//! `fleet verify`: proves that the fleet is what the roster says and survives a boot.

mod deep;
mod text;

use std::path::PathBuf;

use super::ground::Ground;
use super::observed::{self, Observed};
use super::{Answer, Context};
use crate::error::{Error, Result};
use crate::host::gather::Depth;
use crate::host::{clock, probe, runfiles};
use crate::observe::verify::{Evidence, Probes, Verdict, Why, verify};
use crate::plan::Options;
use crate::snapshot::{Fact, Tmux};

/// The longest record of an earlier run that is read.
const LONGEST_RECORD: usize = 1024 * 1024;

/// Arguments of `fleet verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
    /// Restart one agent, too, and prove that nothing else is touched by it
    #[arg(long)]
    deep: bool,
}

/// Checks everything; answers no where a check does not hold.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let before = Before::read(context);
    let (observed, mut verdict) = look(context, &before)?;
    if args.deep {
        verdict.add(deep::checks(context, &observed, &verdict)?);
    }
    keep(context, &verdict);
    if args.json {
        context.out.json(&verdict)?;
    } else {
        for line in text::lines(&verdict, context.out.colour()) {
            context.out.line(line);
        }
        if verdict.ok && before.survived(&verdict.boot_id) {
            context.out.line(text::survived(&observed.seen.clock, observed.seen.booted));
        }
    }
    observed.could_look()?;
    answer(&verdict)
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
    let ground = Ground::of(context, &roster)?;
    let layout = &context.layout;
    let mut files: Vec<PathBuf> = ground.ledger.files.keys().cloned().collect();
    files.extend(ground.desired.files.iter().map(|f| f.path.clone()));
    files.extend(roster.agents.iter().map(|a| layout.agent_local_env(&a.name)));
    files.sort_unstable();
    files.dedup();
    let observed = Observed::look(context, Depth::Everything, &files)?;
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
    let verdict = verify(
        &Evidence {
            given: observed.given(),
            rows: &rows,
            plan: &plan,
            probes: &probes,
            user: &context.caller.name,
            uid: context.caller.uid,
            programs: ground.identity.program.parent().unwrap_or(layout.home()),
            survived_boot: before.survived(&observed.seen.clock.boot_id),
        },
        clock::rfc3339(observed.seen.clock.unix),
    );
    Ok((observed, verdict))
}

/// What earlier runs left behind.
struct Before {
    /// The boot in which the fleet was last applied.
    applied_in: Option<String>,
    /// The boot of the last verify, and whether it told recovery times.
    verified_in: Option<(String, bool)>,
}

impl Before {
    fn read(context: &Context) -> Self {
        let read = |path: PathBuf| {
            let text = runfiles::read_text(&path, LONGEST_RECORD)?;
            serde_json::from_str::<serde_json::Value>(&text).ok()
        };
        let boot = |record: &serde_json::Value| record["boot_id"].as_str().map(str::to_owned);
        let verified = read(context.layout.verify_record());
        Self {
            applied_in: read(context.layout.boot_record()).as_ref().and_then(boot),
            verified_in: verified.and_then(|record| {
                let told = record["recovery_seconds"].as_object().is_some_and(|o| !o.is_empty());
                Some((boot(&record)?, told))
            }),
        }
    }

    /// Whether the fleet was there before this boot. An apply since then does not make that undone.
    fn survived(&self, boot_id: &str) -> bool {
        self.applied_in.as_deref().is_some_and(|boot| boot != boot_id)
            || self.verified_in.as_ref().is_some_and(|(boot, told)| boot != boot_id || *told)
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
