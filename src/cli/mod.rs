//! The command line: parse, build the context, run one verb, turn its result into an exit code.
//!
//! One verb, one file. Nothing outside this folder prints, and inside it only `output` does.

pub mod ack;
mod adopt;
mod agent;
mod agent_send;
mod answers;
mod apply;
mod carry;
mod completions;
mod context;
mod crowded;
mod diff;
mod doctor;
mod flags;
mod ground;
mod heartbeat;
mod init;
mod jobs;
mod lint;
mod mail;
mod man;
mod npm;
mod observed;
mod outcome;
mod output;
mod plan;
mod probe;
mod progress;
mod ps;
mod render;
mod restart;
mod start;
mod status;
mod stop;
pub mod table;
mod tenant;
mod top;
mod verify;
mod yolo;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use context::Context;
pub use output::Output;

use crate::error::{Error, Kind};

impl Globals {
    /// The folder that is named, as an absolute path. An empty variable names none, as one that is not
    /// set.
    pub fn mosaic_home(&self) -> Result<Option<PathBuf>, Error> {
        let Some(dir) = &self.mosaic_home else { return Ok(None) };
        if !dir.as_os_str().is_empty() {
            return Ok(Some(std::path::absolute(dir)?));
        }
        match std::env::var_os("MOSAIC_HOME") {
            Some(variable) if variable.is_empty() => Ok(None),
            _ => Err(Error::new(Kind::Usage, "--mosaic-home names no folder")),
        }
    }
}

/// Which of the two programs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `fleet`: what operators and admins run.
    Fleet,
    /// `mosaic`: what agents run; `mosaic fleet X` is `fleet X`.
    Mosaic,
}

/// What a verb answers where it did not fail: exit 0 or exit 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Done, and true.
    Yes,
    /// It ran, and the answer is no; the verb has said why.
    No,
    /// An exit code that a documented contract of its own asks for.
    Code(u8),
}

impl Answer {
    /// What an error of this kind ends with, where the verb has told it and goes on.
    pub fn of(kind: Kind) -> Self {
        Self::Code(u8::try_from(kind.code()).unwrap_or(u8::MAX))
    }
}

/// Flags that every verb has.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// Folder of the tenant's definition and state
    #[arg(long, global = true, value_name = "DIR", env = "MOSAIC_HOME", help_heading = "Global options",
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub mosaic_home: Option<PathBuf>,
    /// Roster to read in place of the installed one
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub roster: Option<PathBuf>,
    /// No colour, as with the variable NO_COLOR
    #[arg(long, global = true, help_heading = "Global options")]
    pub no_color: bool,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

/// Durable, isolated, observable fleets of terminal agents
#[derive(Debug, Parser)]
#[command(name = "fleet", version, propagate_version = true)]
pub struct Fleet {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: FleetVerb,
}

#[derive(Debug, Subcommand)]
enum FleetVerb {
    /// One agent's verbs
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Begin a fleet from a shipped roster; only shows how without --write
    Init(init::Args),
    /// Print what apply would do, with reasons; changes nothing
    Plan(plan::Args),
    /// Make this machine what the roster says
    #[command(visible_aliases = ["install-systemd", "install"])]
    Apply(apply::Args),
    /// Start agents; who was stopped by hand is wanted again
    Start(start::Args),
    /// Stop agents until they are started again, or until the next boot
    Stop(stop::Args),
    /// Restart agents
    Restart(restart::Args),
    /// Show the short state and what is wrong
    Status(status::Args),
    /// Show one row an agent: unit, pane, heartbeat, and every disagreement
    Ps(ps::Args),
    /// Tenants of this machine, one user each; for root
    #[command(subcommand)]
    Tenant(tenant::Verb),
    /// Show the fleet live, full-screen
    Top(top::Args),
    /// Prove that the fleet is what the roster says and survives a boot
    Verify(verify::Args),
    /// Say what of this machine is missing or known to be bad, with the cure
    Doctor(doctor::Args),
    /// Write a roster's installed tree below a folder, and nothing else
    ///
    /// The tree is for the machine that MOSAIC_HOST names, else for this one.
    Render(render::Args),
    /// What agent-send.sh calls
    #[command(hide = true)]
    AgentSend(agent_send::Args),
    /// Print a shell's completions
    Completions(completions::Args),
    /// Print or write the man pages
    Man(man::Args),
}

/// What agents use, and one agent's verbs
#[derive(Debug, Parser)]
#[command(name = "mosaic", version, propagate_version = true)]
pub struct Mosaic {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: MosaicVerb,
}

#[derive(Debug, Subcommand)]
enum MosaicVerb {
    /// Write one acknowledgement of the agent that runs this: it took a prompt
    Ack(ack::Args),
    /// One agent's verbs
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Everything of the `fleet` program
    #[command(subcommand)]
    Fleet(FleetVerb),
    /// Write one heartbeat of the agent that runs this
    Heartbeat(heartbeat::Args),
    /// Messages that wait for the agent that runs this
    #[command(subcommand)]
    Mail(mail::Verb),
    /// Launch a runtime the way the fleet does
    Yolo(yolo::Args),
}

/// A verb of either program.
enum Verb {
    Ack(ack::Args),
    Fleet(FleetVerb),
    Heartbeat(heartbeat::Args),
    Mail(mail::Verb),
    Yolo(yolo::Args),
}

/// Parses the command line, runs its verb and says how it went.
pub fn main(program: Program) -> ExitCode {
    if let Some(code) = tenant::inside::entry() {
        return code;
    }
    let mut command = command(program);
    let matches = match command.try_get_matches_from_mut(std::env::args_os()) {
        Ok(matches) => matches,
        Err(error) => {
            let code = match error.print() {
                Err(lost) if lost.kind() != std::io::ErrorKind::BrokenPipe => Kind::Machine.code(),
                _ => error.exit_code(),
            };
            return ExitCode::from(u8::try_from(code).unwrap_or(2));
        }
    };
    let parsed = match program {
        Program::Fleet => Fleet::from_arg_matches(&matches).map(|f| (f.globals, Verb::Fleet(f.verb))),
        Program::Mosaic => Mosaic::from_arg_matches(&matches).map(|m| match m.verb {
            MosaicVerb::Ack(args) => (m.globals, Verb::Ack(args)),
            MosaicVerb::Agent(verb) => (m.globals, Verb::Fleet(FleetVerb::Agent(verb))),
            MosaicVerb::Fleet(verb) => (m.globals, Verb::Fleet(verb)),
            MosaicVerb::Heartbeat(args) => (m.globals, Verb::Heartbeat(args)),
            MosaicVerb::Mail(verb) => (m.globals, Verb::Mail(verb)),
            MosaicVerb::Yolo(args) => (m.globals, Verb::Yolo(args)),
        }),
    };
    let (globals, verb) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    let out = Output::new(globals.no_color);
    let no_color = globals.no_color;
    crowded::tell_by(move |error| {
        Output::new(no_color).error(error);
        ExitCode::FAILURE
    });
    let answer = run(&globals, verb, &out);
    match answer {
        Ok(_) if out.lost() => ExitCode::from(u8::try_from(Kind::Machine.code()).unwrap_or(4)),
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Code(code)) => ExitCode::from(code),
        Err(error) => {
            out.error(&error);
            ExitCode::from(u8::try_from(error.kind.code()).unwrap_or(4))
        }
    }
}

/// The whole command, for parsing, completions and man pages.
pub fn command(program: Program) -> clap::Command {
    match program {
        Program::Fleet => Fleet::command(),
        Program::Mosaic => Mosaic::command(),
    }
}

fn run(globals: &Globals, verb: Verb, out: &Output) -> Result<Answer, Error> {
    let context = || Context::new(globals, out);
    let to_the_end = || Context::new(globals, &out.to_the_end());
    match verb {
        Verb::Fleet(FleetVerb::Agent(verb)) => agent::run(verb, &context()?),
        Verb::Fleet(FleetVerb::Init(args)) => init::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Plan(args)) => plan::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Apply(args)) => apply::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Start(args)) => start::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Stop(args)) => stop::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Restart(args)) => restart::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Status(args)) => status::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Ps(args)) => ps::run(args, &context()?),
        Verb::Fleet(FleetVerb::Tenant(verb)) => tenant::run(verb, &to_the_end()?),
        Verb::Fleet(FleetVerb::Top(args)) => top::run(args, &context()?),
        Verb::Fleet(FleetVerb::Verify(args)) => verify::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Doctor(args)) => doctor::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::Render(args)) => render::run(args, &to_the_end()?),
        Verb::Fleet(FleetVerb::AgentSend(args)) => agent_send::run(args, out),
        Verb::Fleet(FleetVerb::Completions(args)) => completions::run(args, out),
        Verb::Fleet(FleetVerb::Man(args)) => man::run(args, &context()?),
        Verb::Ack(args) => ack::run(args, globals),
        Verb::Heartbeat(args) => heartbeat::run(args, globals),
        Verb::Mail(verb) => mail::run(verb, &context()?),
        Verb::Yolo(args) => yolo::run(args, &context()?),
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Machine, error)
    }
}
