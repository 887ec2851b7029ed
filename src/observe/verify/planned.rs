//! What an apply would do, as checks: a fleet that is as it should be has an empty plan.
//!
//! Starts and lingering are not among them: the agents' own checks and the tenant's tell more.

use std::path::Path;

use super::check::About;
use super::unit_file::in_the_way;
use super::{Check, Evidence, Why, cure};
use crate::names::AgentName;
use crate::plan::{Action, Conflict, ConflictKind, Reason};

/// Files, links, reload and restarts; one that holds for each kind that has nothing to do.
pub fn checks(evidence: &Evidence<'_>) -> Vec<Check> {
    let plan = evidence.plan;
    if let Some(check) = hand_made(evidence) {
        return vec![check];
    }
    let mut failing = Vec::new();
    let mut files = Vec::new();
    if let Some(why) = evidence.given.seen.wants.why() {
        let folders = format!("{}/*.wants", cure::word(&evidence.given.layout.units().display().to_string()));
        let check =
            Check::fails("enabled", None, Why::Unknown, why, "every unit is pulled in as it should be");
        failing.push(check.cure(format!("ls -ld {folders}")));
    }
    for step in &plan.steps {
        let why = step.reason.to_string();
        match &step.action {
            Action::SetMode { path, .. } => files.push(not_as_rendered(evidence, path, &why)),
            Action::WriteFile { file, .. } => files.push(not_as_rendered(evidence, &file.path, &why)),
            Action::RemoveFile { path, .. } => files.push(not_as_rendered(evidence, path, &why)),
            Action::Enable { .. } if matches!(step.reason, Reason::WantsUnknown(_)) => {}
            Action::Enable { unit, links } => {
                let missing: Vec<String> = links.iter().map(|l| folder(&l.path)).collect();
                let agent = AgentName::from_unit(unit);
                let seen = format!("{unit} is not in {}", missing.join(", "));
                let units = evidence.given.seen.units.known();
                let down = units.is_some_and(|units| {
                    units.get(unit).is_none_or(|u| matches!(u.active.as_str(), "inactive" | "failed"))
                });
                let boot = missing.iter().any(|folder| folder == "default.target.wants");
                let why = if down && boot { Why::NeverWanted } else { Why::NotEnabled };
                let check = Check::fails("enabled", agent.as_ref(), why, seen, "pulled in by all of them");
                failing.push(check.cure("fleet apply"));
            }
            Action::Disable { unit, links } => {
                failing.push(unwanted_link(unit, links.first().map_or_else(String::new, |l| folder(l))));
            }
            Action::RemoveLink { path } => {
                let unit = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                failing.push(unwanted_link(&unit, folder(path)));
            }
            // A reload that the plan's own changes ask for is their consequence, not another fault.
            Action::Reload if step.reason == Reason::UnitFilesChange => {}
            Action::Reload => {
                let check = Check::fails("reload", None, Why::ReloadPending, why, "no reload pending");
                failing.push(check.cure("fleet apply"));
            }
            Action::Restart { unit } => failing.push(restart(unit, &why, "fleet apply".to_owned())),
            Action::Stop { unit } => {
                let agent = AgentName::from_unit(unit);
                let seen = format!("{unit} runs");
                let check = Check::fails("stopped", agent.as_ref(), Why::NotForBoot, seen, why);
                failing.push(check.cure("fleet apply"));
            }
            Action::Clear { agent, .. } => {
                let seen = format!("{agent} left files behind");
                let check = Check::fails("files", None, Why::NotAsRendered, seen, "gone with the agent");
                failing.push(check.cure("fleet apply"));
            }
            Action::ResetFailed { .. }
            | Action::KeepCopy { .. }
            | Action::EnableLinger
            | Action::Start { .. } => {}
        }
    }
    failing.extend(together(files));
    for conflict in plan.kept() {
        let expected = "the content that the roster asks for";
        let path = conflict.path.display().to_string();
        let cure = conflict.cure(evidence.given.layout);
        let seen = format!("{path}: {}", conflict.kind);
        failing.push(match &conflict.kind {
            // The server's own check says it.
            ConflictKind::ForeignServer(_) => continue,
            ConflictKind::Mask(unit) => in_the_way(evidence, unit, Why::Masked, seen, &cure),
            ConflictKind::StandsIn(unit) => in_the_way(evidence, unit, Why::Shadowed, seen, &cure),
            ConflictKind::NotDeclared(unit) => {
                let agent = AgentName::from_unit(unit);
                let expected = "pulled in by all of them";
                Check::fails("enabled", agent.as_ref(), Why::NotEnabled, seen, expected).cure(cure)
            }
            ConflictKind::StillDeclared(unit) => {
                let agent = AgentName::from_unit(unit);
                Check::fails("enabled", agent.as_ref(), Why::NotForBoot, seen, "not pulled in").cure(cure)
            }
            kind => {
                let reason = match kind {
                    ConflictKind::Unreadable(_) => Why::Unknown,
                    ConflictKind::MovesServer => Why::RestartPending,
                    ConflictKind::Declared => Why::NotAsRendered,
                    _ => Why::Edited,
                };
                let check = Check::fails("files", None, reason, seen, expected).cure(cure);
                check.about(match kind {
                    // Nothing of it can be found on the new server.
                    ConflictKind::MovesServer => About::Several(vec![About::Holder, About::EveryAgent]),
                    _ => about(evidence, &conflict.path),
                })
            }
        });
    }
    failing.extend(plan.pending.iter().map(|p| restart(&p.unit, &p.reason.to_string(), p.cure())));
    let units = evidence.given.seen.units.why();
    let holding = [
        ("files", "every file is as rendered", None),
        ("enabled", "every unit is pulled in as it should be", None),
        ("reload", "no reload pending", units),
        ("restarts", "no restart pending", units),
    ];
    for (id, expected, unknown) in holding {
        if failing.iter().all(|c| c.id != id) {
            failing.push(super::unless_unknown(id, expected, unknown));
        }
    }
    failing
}

/// A fleet that nobody has taken over yet, as one failure: an apply refuses it as a whole, too.
fn hand_made(evidence: &Evidence<'_>) -> Option<Check> {
    let not_ours = |c: &&Conflict| matches!(c.kind, ConflictKind::NotOurs | ConflictKind::Link(_));
    let files: Vec<&Conflict> = evidence.plan.kept().filter(not_ours).collect();
    let unit = evidence.given.layout.holder_unit();
    let holder = files.iter().find(|c| c.path == unit)?;
    let more = match files.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let seen = format!("{}: {}{more}", unit.display(), holder.kind);
    let check = Check::fails("files", None, Why::HandMade, seen, "a fleet that was taken over");
    Some(check.cure("fleet apply --adopt").about(About::Several(vec![About::Holder, About::EveryAgent])))
}

/// A file that is not as it should be, as people know it, and whose it is.
fn not_as_rendered(evidence: &Evidence<'_>, path: &Path, why: &str) -> (String, About) {
    let home = evidence.given.layout.home();
    let shown = path.strip_prefix(home).map_or_else(|_| path.to_path_buf(), |p| Path::new("~").join(p));
    (format!("{}: {why}", shown.display()), about(evidence, path))
}

/// Whose unit a file of ours makes.
fn about(evidence: &Evidence<'_>, path: &Path) -> About {
    let layout = evidence.given.layout;
    if path == layout.holder_unit() || path == layout.tmux_conf() {
        return About::Holder;
    }
    if [layout.agent_template(), layout.start_script(), layout.agents()].iter().any(|ours| ours == path) {
        return About::EveryAgent;
    }
    // Also of an agent that the roster has no more.
    let name = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(str::to_owned);
    let of_env = name(path).and_then(|n| AgentName::parse(n.strip_suffix(".env")?).ok());
    let folder = path.parent().and_then(name);
    let of_drop_in = folder.and_then(|folder| AgentName::from_unit(folder.strip_suffix(".d")?));
    let whose = |a: &AgentName| path == layout.agent_env(a) || path == layout.agent_drop_in(a);
    of_env.into_iter().chain(of_drop_in).find(whose).map_or(About::Nothing, About::Agent)
}

/// Files that one apply puts right are one failure.
fn together(files: Vec<(String, About)>) -> Option<Check> {
    let (shown, about): (Vec<String>, Vec<About>) = files.into_iter().unzip();
    let seen = match shown.as_slice() {
        [] => return None,
        few @ ([_] | [_, _] | [_, _, _]) => few.join("; "),
        [first, second, rest @ ..] => format!("{first}; {second}; and {} more", rest.len()),
    };
    let check = Check::fails("files", None, Why::NotAsRendered, seen, "the content that the roster asks for");
    Some(check.cure("fleet apply").about(About::Several(about)))
}

fn unwanted_link(unit: &str, folder: String) -> Check {
    let agent = AgentName::from_unit(unit);
    let seen = format!("{unit} is in {folder}");
    Check::fails("enabled", agent.as_ref(), Why::NotForBoot, seen, "not pulled in").cure("fleet apply")
}

fn restart(unit: &str, why: &str, cure: String) -> Check {
    let agent = AgentName::from_unit(unit);
    let seen = format!("{unit}: {why}");
    Check::fails("restarts", agent.as_ref(), Why::RestartPending, seen, "runs with the files as they are")
        .cure(cure)
}

/// The folder of a link, as people know it.
fn folder(link: &Path) -> String {
    let name = link.parent().and_then(Path::file_name);
    name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
