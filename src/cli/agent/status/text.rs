//! One agent's detail as lines for people. What nobody knows and what is empty is left out.

use crate::cli::ps::{size, span};
use crate::observe::PaneState;
use crate::observe::detail::Detail;
use crate::runfile::attached::Visit;
use crate::transcript::plain;

/// The lines.
pub fn lines(detail: &Detail) -> Vec<String> {
    let mut lines = Vec::new();
    // Much of it others wrote, and a terminal would obey some.
    let mut say = |key: &str, value: String| {
        let value = plain(&value);
        if !value.is_empty() {
            lines.push(format!("{key:<11} {value}"));
        }
    };
    let row = &detail.row;
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    say("agent", format!("{} of {} on {}", row.name, row.tenant_id, row.host));
    say("runtime", join([Some(or(&row.runtime, "?")), row.class.clone(), row.lifecycle.map(str::to_owned)]));
    say("model", join([row.model.clone(), row.effort.clone()]));
    say("flags", row.flags.iter().map(|f| f.word()).collect::<Vec<_>>().join(" "));
    let enabled = match row.systemd.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "enablement not known",
    };
    say(
        "unit",
        join([
            Some(detail.unit.name.clone()),
            Some(or(&row.systemd.active, "not known")),
            Some(enabled.to_owned()),
            detail.unit.result.clone().filter(|r| r != "success").map(|r| format!("result {r}")),
        ]),
    );
    let runs = row.pane.state == PaneState::Alive;
    say(
        "pane",
        join([
            Some(row.pane.state.word().to_owned()),
            row.pane.pid.map(|pid| format!("pid {pid}")),
            row.pane.command.clone(),
            row.idle_seconds.filter(|_| runs).map(|s| format!("idle {}", span(s))),
        ]),
    );
    let beat = &row.heartbeat;
    say(
        "heartbeat",
        join([
            Some(beat.health.word().to_owned()),
            beat.age_seconds.map(|age| format!("{} old", span(age))),
            beat.status.map(str::to_owned),
            beat.state.map(str::to_owned),
            beat.source.map(|source| format!("by the {source}")),
            beat.resume_at.as_ref().map(|at| format!("until {at}")),
        ]),
    );
    say("command", detail.command.clone());
    say("directory", detail.working_directory.clone());
    for file in &detail.environment_files {
        say("variables", format!("{}{}", file.path, if file.exists { "" } else { " (not there)" }));
    }
    say("limits", limits(detail));
    let used = &detail.usage;
    say(
        "uses",
        join([
            used.memory_bytes.map(|b| format!("memory {}", size(b))),
            used.memory_peak_bytes.map(|b| format!("at most {}", size(b))),
            used.cpu_seconds.map(|s| format!("processor {s:.1} s")),
            used.tasks.map(|tasks| format!("{tasks} tasks")),
            used.tasks_refused.filter(|n| *n > 0).map(|n| format!("{n} refused")),
        ]),
    );
    if let Some(supervisor) = &detail.supervisor {
        let boot = if supervisor.this_boot { "" } else { " (of an earlier boot)" };
        say("supervisor", format!("pid {}{boot}: {}", supervisor.pid, supervisor.status));
        say(
            "started",
            join([
                supervisor.started_at.clone(),
                Some(format!("{} starts in this boot", supervisor.starts)).filter(|_| supervisor.this_boot),
                Some(format!("{} ends in a row came too soon", supervisor.quick_ends))
                    .filter(|_| supervisor.quick_ends > 0),
            ]),
        );
        say("next try", or(&supervisor.next_try_at, ""));
        say("last exit", join([supervisor.last_exit.clone(), supervisor.last_exit_at.clone()]));
    }
    for receipt in detail.receipt.iter().chain(&detail.open_receipts) {
        let (why, from) = (receipt.reason.clone(), format!("from {}", receipt.source));
        let what = [receipt.id.clone(), receipt.state.word().to_owned(), from, receipt.created_at.clone()];
        say("message", join(what.map(Some).into_iter().chain([why])));
    }
    say(
        "queued",
        detail.queued.filter(|count| *count > 0).map(|c| format!("{c} messages")).unwrap_or_default(),
    );
    for visit in &detail.attachments {
        say("attached", visitor(visit));
    }
    for reason in &row.reasons {
        say("because", reason.clone());
    }
    for line in detail.journal.iter().flatten() {
        say("journal", line.clone());
    }
    lines
}

fn visitor(visit: &Visit) -> String {
    let who = &visit.who;
    join([
        Some(who.user.clone()),
        who.sudo_user.as_deref().map(|user| format!("by sudo from {user}")),
        who.from.as_deref().map(|from| format!("from {from}")),
        who.terminal.as_deref().map(|terminal| format!("on {terminal}")),
        Some(format!("since {}", visit.since)),
        Some(match &visit.until {
            Some(until) => format!("until {until}"),
            None if visit.attached => "still there".to_owned(),
            None => "gone, nobody noted when".to_owned(),
        }),
    ])
}

fn limits(detail: &Detail) -> String {
    let limits = &detail.limits;
    let text = |name: &str, value: Option<String>| value.map(|value| format!("{name} {value}"));
    join([
        text("memory", limits.memory_max.clone()),
        text("memory high", limits.memory_high.clone()),
        text("processor", limits.cpu_quota.clone()),
        text("tasks", limits.tasks_max.map(|n| n.to_string())),
        text("files", limits.nofile.map(|n| n.to_string())),
        text("nice", limits.nice.map(|n| n.to_string())),
    ])
}

fn join(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}
