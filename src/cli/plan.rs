//! `fleet plan`: what apply would do, file by file and unit by unit, with reasons. Changes nothing.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::flags::Flags;
use super::ground::{self, Ground};
use super::{Answer, Context, Output, adopt, diff, lint};
use crate::error::Result;
use crate::layout::Layout;
use crate::ledger::Identity;
use crate::names::AgentName;
use crate::plan::{Action, Before, Conflict, ConflictKind, Pending, Plan, Reason, Resolution, Step};
use crate::render::File;

/// Arguments of `fleet plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Prints the plan.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let ground = Ground::of_file(context, &roster)?;
    let manager = ground::manager(context);
    let seen = ground.look(context, manager.as_ref());
    let now = ground.plan(&seen, args.flags.options());
    let linted = lint::look(context, &ground, &seen);
    let taking = match args.flags.adopt {
        true => Some(adopt::preview(context, &roster, &ground, &seen, &now)?),
        false => None,
    };
    let plan = taking.as_ref().map_or(&now, |taking| &taking.plan);
    let hand_made = match &taking {
        Some(_) => None,
        None => adopt::recognised(context, &roster, &ground, &seen, plan),
    };
    if args.json {
        let mut value = as_json(plan, &ground.identity, &context.layout);
        value["lint"] = linted.as_json();
        value["hand_made"] = json!(hand_made.map(|found| json!({
            "files": found.files,
            "sessions": found.ending().map(|s| &s.name).collect::<Vec<_>>(),
            "server_pid": found.server.as_ref().map(|s| s.pid),
            "cure": "fleet apply --adopt",
        })));
        value["adopts"] = json!(taking.as_ref().map(|taking| &taking.before));
        context.out.json(&value)?;
    } else {
        for line in taking.iter().flat_map(|taking| &taking.before) {
            context.out.line(format_args!("  {line}"));
        }
        print(plan, context, &ground);
    }
    linted.warn(context);
    linted.refuse()?;
    Ok(Answer::Yes)
}

/// Prints a plan for people: diffs first, so that what matters most ends up beside the prompt.
pub fn print(plan: &Plan, context: &Context, ground: &Ground) {
    let out = &context.out;
    let layout = &context.layout;
    for step in &plan.steps {
        if let Action::WriteFile { file, before } = &step.action {
            print_diff(file, before, &step.reason, out);
        }
    }
    for change in plan.kept().filter_map(|conflict| conflict.change.as_ref()) {
        print_diff(&change.file, &change.before, &Reason::Forced, out);
    }
    if plan.is_empty() && plan.pending.is_empty() && plan.conflicts.is_empty() {
        print_notes(plan, out);
        let (files, units) = (ground.desired.files.len(), ground.desired.units.len());
        out.line(format_args!("Nothing to do: {files} files and {units} units are as the roster says."));
        return;
    }
    let Identity { tenant, host, .. } = &ground.identity;
    out.line(format_args!("Plan for tenant {tenant} on {host}:"));
    for step in &plan.steps {
        out.line(format_args!("  {}", describe(step, layout)));
    }
    for pending in &plan.pending {
        out.line(format_args!("  {}", describe_pending(pending)));
    }
    for conflict in &plan.conflicts {
        out.line(format_args!("  {}", describe_conflict(conflict, plan, layout)));
    }
    if let Some(refusal) = plan.refused {
        out.line(format_args!("  {:<9} {}; to do it: {}", "REFUSED", refusal.words(), refusal.cure()));
    }
    print_notes(plan, out);
    out.line(summary(plan));
}

fn print_diff(file: &File, before: &Before, reason: &Reason, out: &Output) {
    match diff::of(file, before, reason) {
        Some(text) => text.lines().for_each(|line| out.diff_line(line)),
        None => {
            out.line(format_args!("{}: changes; not shown, since it can hold values", file.path.display()))
        }
    }
}

fn print_notes(plan: &Plan, out: &Output) {
    for note in &plan.notes {
        out.line(format_args!("  note      {note}"));
    }
}

pub fn describe(step: &Step, layout: &Layout) -> String {
    let what = match &step.action {
        Action::WriteFile { file, .. } => short(&file.path, layout),
        Action::KeepCopy { to, .. } => short(to, layout),
        Action::SetMode { path, .. } | Action::RemoveFile { path, .. } | Action::RemoveLink { path } => {
            short(path, layout)
        }
        Action::Clear { agent, .. } => format!("the run files of {agent}"),
        Action::EnableLinger => "starting at boot without a login".to_owned(),
        Action::Reload => "the user manager's unit files".to_owned(),
        Action::Stop { unit }
        | Action::Enable { unit, .. }
        | Action::Disable { unit, .. }
        | Action::ResetFailed { unit }
        | Action::Restart { unit }
        | Action::Start { unit } => unit.clone(),
    };
    format!("{:<9} {what}: {}{}", verb(&step.action), step.reason, dies(&step.impact))
}

pub fn describe_pending(pending: &Pending) -> String {
    let Pending { unit, reason, impact } = pending;
    let (dies, cure) = (dies(impact), pending.cure());
    format!("{:<9} restart of {unit}: {reason}{dies}; when you want it: {cure}", "PENDING")
}

pub fn describe_conflict(conflict: &Conflict, plan: &Plan, layout: &Layout) -> String {
    let path = short(&conflict.path, layout);
    let fate = match (&conflict.resolution, &conflict.kind) {
        (Resolution::Overwritten, _) => "overwritten".to_owned(),
        (_, ConflictKind::MovesServer) => "nothing is done until --restart-holder allows it".to_owned(),
        (_, ConflictKind::Declared | ConflictKind::NotDeclared(_) | ConflictKind::StillDeclared(_)) => {
            let cure = conflict.cure(layout);
            return format!("{:<9} {path}: {}: {cure}", "CONFLICT", conflict.kind);
        }
        (_, _) if plan.refused.is_some() => "kept".to_owned(),
        (_, ConflictKind::NotAFile(_) | ConflictKind::Unreadable(_)) => {
            "kept; move it away yourself".to_owned()
        }
        (_, ConflictKind::Mask(_) | ConflictKind::StandsIn(_)) => {
            format!("kept; to end that: {}", conflict.cure(layout))
        }
        (_, ConflictKind::ForeignServer(_)) => {
            "it is left alone, and nothing is started beside it; to take it over: fleet apply --adopt"
                .to_owned()
        }
        (_, _) => "kept; --force overwrites it".to_owned(),
    };
    format!("{:<9} {path}: {}; {fate}", "CONFLICT", conflict.kind)
}

fn dies(agents: &[AgentName]) -> String {
    let names: Vec<&str> = agents.iter().map(AgentName::as_str).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(" (ends the pane of {one})"),
        several => format!(" (ends {} panes: {})", several.len(), several.join(", ")),
    }
}

/// A path as people write it.
pub fn short(path: &Path, layout: &Layout) -> String {
    match path.strip_prefix(layout.home()) {
        Ok(rest) => format!("~/{}", rest.display()),
        Err(_) => path.display().to_string(),
    }
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Stop { .. } => "stop",
        Action::SetMode { .. } => "mode",
        Action::KeepCopy { .. } => "keep",
        Action::WriteFile { file, .. } if file.link.is_some() => "link",
        Action::WriteFile { .. } => "write",
        Action::RemoveFile { .. } => "remove",
        Action::Clear { .. } => "clear",
        Action::EnableLinger => "linger",
        Action::Enable { .. } => "enable",
        Action::Disable { .. } => "disable",
        Action::RemoveLink { .. } => "unlink",
        Action::Reload => "reload",
        Action::ResetFailed { .. } => "forget",
        Action::Restart { .. } => "restart",
        Action::Start { .. } => "start",
    }
}

fn summary(plan: &Plan) -> String {
    let count = |verbs: &[&str]| plan.steps.iter().filter(|s| verbs.contains(&verb(&s.action))).count();
    let dying: BTreeSet<&AgentName> = plan.steps.iter().flat_map(|s| &s.impact).collect();
    let mut parts = vec![
        format!("{} to write", count(&["write", "link", "keep", "mode"])),
        format!("{} to remove", count(&["remove", "unlink", "clear"])),
        format!("{} to enable", count(&["enable"])),
        format!("{} to disable", count(&["disable"])),
        format!("{} to start", count(&["start"])),
        format!("{} to restart", count(&["restart"])),
        format!("{} to stop", count(&["stop"])),
        format!("{} panes end", dying.len()),
    ];
    parts.retain(|p| !p.starts_with("0 "));
    if !plan.pending.is_empty() {
        parts.push(format!("{} pending", plan.pending.len()));
    }
    let kept = plan.kept().count();
    if kept > 0 {
        parts.push(format!("{kept} kept as found"));
    }
    if parts.is_empty() {
        parts.push("nothing to write".to_owned());
    }
    format!("Summary: {}.", parts.join(", "))
}

/// A plan as JSON, with the same masking as for people.
pub fn as_json(plan: &Plan, identity: &Identity, layout: &Layout) -> Value {
    json!({
        "schema_version": 1,
        "tenant_id": identity.tenant,
        "host": identity.host,
        "steps": plan.steps.iter().map(step_json).collect::<Vec<_>>(),
        "conflicts": plan.conflicts.iter().map(|c| json!({
            "path": c.path,
            "reason": c.kind.to_string(),
            "reason_id": c.kind.id(),
            "unit": c.kind.unit(),
            "cure": c.cure(layout),
            "resolution": match c.resolution {
                Resolution::Kept => "kept",
                Resolution::Overwritten => "overwritten",
            },
            "diff": c.change.as_ref().map(|change| diff::of(&change.file, &change.before, &Reason::Forced)),
        })).collect::<Vec<_>>(),
        "refusal": plan.refused.map(|refusal| json!({
            "reason": refusal.words(),
            "reason_id": refusal.id(),
            "cure": refusal.cure(),
        })),
        "pending": plan.pending.iter().map(|p| json!({
            "action": "restart",
            "unit": p.unit,
            "reason": p.reason.to_string(),
            "reason_id": p.reason.id(),
            "impact": p.impact,
        })).collect::<Vec<_>>(),
        "notes": plan.notes,
    })
}

fn step_json(step: &Step) -> Value {
    let mut value = json!({
        "action": verb(&step.action),
        "reason": step.reason.to_string(),
        "reason_id": step.reason.id(),
        "impact": step.impact,
    });
    if let Some(path) = step.action.path() {
        value["path"] = json!(path);
    }
    if let Some(unit) = step.action.unit() {
        value["unit"] = json!(unit);
    }
    match &step.action {
        Action::WriteFile { file, before } => {
            value["mode"] = json!(format!("{:04o}", file.mode));
            value["diff"] = json!(diff::of(file, before, &step.reason));
        }
        Action::SetMode { mode, .. } => value["mode"] = json!(format!("{mode:04o}")),
        Action::KeepCopy { to, .. } => value["to"] = json!(to),
        Action::Clear { paths, .. } => value["paths"] = json!(paths),
        _ => {}
    }
    value
}
