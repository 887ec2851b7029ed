//! `mosaic yolo`: launches a runtime the way the fleet does, and becomes it.

mod program;
mod skills;
mod version;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use program::{install_hints, program};

use super::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::command;
use crate::names::{AgentName, RuntimeName};
use crate::roster::{Agent, Roster, Runtime};
use crate::runtime::dogfood::{
    self,
    faults::{self, Armed, KINDS},
};
use crate::runtime::identity::identity;
use crate::runtime::{self, Launch, Request};
use crate::yaml::{closest, nearest};

/// Names the custom runtime that this process became, so that one which launches itself is noticed.
const LAUNCHED: &str = "MOSAIC_YOLO";

/// Arguments of `mosaic yolo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Runtimes: claude, codex, opencode, pi, dogfood, and those that the roster defines. \
                        `mosaic yolo dogfood --help` shows how dogfood misbehaves.")]
pub struct Args {
    /// Show the command in place of running it; stands before RUNTIME
    #[arg(long)]
    print: bool,
    /// The runtime, then arguments of its own, which it gets as they are
    #[arg(value_names = ["RUNTIME", "ARGS"], num_args = 1.., required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// A small runtime that is part of this program
#[derive(Debug, Parser)]
#[command(name = "mosaic yolo dogfood", disable_version_flag = true)]
struct Dogfood {
    /// Misbehave, at once or after some seconds; can be given several times
    #[arg(long, value_name = "KIND[:ARG][@SECONDS]", long_help = format!("Misbehave: {KINDS}"))]
    fault: Vec<Armed>,
}

/// Launches it.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let mut command = args.command.into_iter();
    let name = command.next().unwrap_or_default();
    let given: Vec<OsString> = command.collect();
    let runtime = RuntimeName::parse(&name.to_string_lossy()).map_err(|e| Error::new(Kind::Usage, e))?;
    if runtime::Kind::of(&runtime) == runtime::Kind::Dogfood && !args.print {
        return run_dogfood(given, context);
    }
    let roster = roster(context)?;
    let agent = roster.as_ref().and_then(|roster| agent(roster, &runtime));
    let settings = roster.as_ref().and_then(|roster| roster.runtime(&runtime));
    let program = match program(context, &runtime, settings) {
        Ok(program) => program,
        Err(error) if !args.print => return unlaunchable(context, &error),
        Err(error) => {
            context.out.error(&error);
            name.into()
        }
    };
    let skills = match runtime::Kind::of(&runtime) {
        runtime::Kind::Pi => skills::words(context),
        _ => Vec::new(),
    };
    let adapter = adapter(context, &runtime);
    let request = Request {
        runtime: &runtime,
        program: &program,
        agent,
        settings,
        args: &given,
        skills: &skills,
        adapter: adapter.as_deref(),
    };
    let launch = runtime::launch(&request).ok_or_else(|| unknown(&runtime, roster.as_ref()))?;
    for note in &launch.notes {
        context.out.warn(note);
    }
    if args.print {
        let mut words = launch.argv.into_iter();
        let first = words.next().unwrap_or_default();
        let line = command::Command::new(first).args(words).typed();
        let variables = launch.env.iter().map(|(name, value)| format!("{name}={value} "));
        context.out.line(variables.collect::<String>() + &line);
        return Ok(Answer::Yes);
    }
    if let Some(agent) = agent {
        version::note(context, &agent.name, &runtime, &program);
    }
    become_it(context, &runtime, &launch, if agent.is_none() { settings } else { None })
}

/// The roster. A launch by hand needs none, and a broken one must not stop an agent that was running
/// before it was broken.
fn roster(context: &Context) -> Result<Option<Roster>> {
    match context.roster_if_any() {
        // One that the caller named is meant.
        Err(error) if context.roster_file.is_none() => {
            context.out.error(&error);
            context.out.warn("launched without the roster");
            Ok(None)
        }
        result => result,
    }
}

/// The agent that this is launched for. What the roster says of a model is said of the agent's own
/// runtime: another one, tried by hand in its pane, gets nothing of it.
fn agent<'a>(roster: &'a Roster, runtime: &RuntimeName) -> Option<&'a Agent> {
    let name = std::env::var("MOSAIC_AGENT_NAME").ok()?;
    roster.agent(&AgentName::parse(&name).ok()?).filter(|agent| agent.runtime == *runtime)
}

/// What the runtime loads to beat and to acknowledge. Launched for no agent it has nobody to beat for.
fn adapter(context: &Context, runtime: &RuntimeName) -> Option<PathBuf> {
    let file = context.layout.framework().join(runtime::Kind::of(runtime).adapter()?);
    std::env::var_os("MOSAIC_AGENT_NAME").filter(|name| !name.is_empty())?;
    if !file.is_file() {
        context
            .out
            .warn(format!("no heartbeats: {} is not there, which `fleet apply` installs", file.display()));
        return None;
    }
    Some(file)
}

fn unknown(runtime: &RuntimeName, roster: Option<&Roster>) -> Error {
    let built_in = runtime::Kind::BUILT_IN.iter().map(|(name, _)| (*name).to_owned());
    let defined = roster.iter().flat_map(|r| &r.runtimes).map(|r| r.name.to_string());
    let mut known: Vec<String> = built_in.chain(defined).collect();
    known.sort();
    known.dedup();
    let error = Error::new(Kind::Usage, format!("no runtime {runtime}; there are {}", known.join(", ")));
    let words = || known.iter().map(String::as_str);
    let error = match (nearest(runtime.as_str(), words()), closest(runtime.as_str(), words())) {
        (Some(meant), _) => error.hint(format!("did you mean {meant}?")),
        (None, Some(closest)) => error.hint(format!("the nearest name is {closest}")),
        (None, None) => error,
    };
    error.hint(format!("a runtime of your own is defined in the roster: runtimes.{runtime}.command"))
}

/// Becomes the runtime. `settings` are those whose variables nobody has set yet: an agent has all
/// of them from its files.
fn become_it(
    context: &Context,
    runtime: &RuntimeName,
    launch: &Launch,
    settings: Option<&Runtime>,
) -> Result<Answer> {
    // The same process: what a runtime starts beside itself is not meant.
    let mark = format!("{runtime}:{}", std::process::id());
    if std::env::var_os(LAUNCHED).is_some_and(|launched| launched == mark.as_str()) {
        return Err(Error::input(format!(
            "the command of runtime {runtime} launches {runtime} again, without an end"
        )));
    }
    let Some((program, args)) = launch.argv.split_first() else { return Ok(Answer::No) };
    let mut command = std::process::Command::new(program);
    command.args(args);
    if runtime::Kind::of(runtime) == runtime::Kind::Custom {
        command.env(LAUNCHED, mark);
    }
    for (name, value) in &launch.env {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    for variable in settings.iter().flat_map(|s| &s.env) {
        if std::env::var_os(variable.name.as_str()).is_none() {
            command.env(variable.name.as_str(), &variable.value);
        }
    }
    let error = command.exec();
    let shown = Path::new(program).display();
    let error = match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::no(format!("run {shown}: the interpreter or loader that it names is not installed"))
        }
        _ => Error::no(format!("run {shown}: {error}")),
    };
    unlaunchable(context, &install_hints(runtime, error))
}

/// A runtime that can't be had ends with the code that a shell gives a missing program, which the
/// supervisor knows as one that no retry cures.
fn unlaunchable(context: &Context, error: &Error) -> Result<Answer> {
    context.out.error(error);
    Ok(Answer::Code(127))
}

fn run_dogfood(args: Vec<OsString>, context: &Context) -> Result<Answer> {
    let name = OsString::from("mosaic yolo dogfood");
    let mut faults = match Dogfood::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(parsed) => parsed.fault,
        Err(error) => error.exit(),
    };
    if let Ok(text) = std::env::var("MOSAIC_DOGFOOD_FAULT") {
        let more = faults::list(&text)
            .map_err(|e| Error::new(Kind::Usage, e).while_("read MOSAIC_DOGFOOD_FAULT"))?;
        faults.extend(more);
    }
    let me = identity(None, |name| std::env::var(name).ok()).map_err(|e| Error::new(Kind::Usage, e))?;
    let code = dogfood::run(&context.layout, me.as_ref(), faults)
        .map_err(|e| Error::machine(format!("run dogfood: {e}")))?;
    Ok(Answer::Code(code))
}
