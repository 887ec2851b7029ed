//! `agent-send.sh`'s work: says from whom to whom, and hands the message to `send-message.sh`, here
//! or, shipped with it, on a host that has nothing of ours. Exit codes are that script's.

use std::io::Read;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{Answer, Output};
use crate::error::{Error, Kind, Result};
use crate::host::command::CommandError;
use crate::host::sender::{self, Order, Preamble};
use crate::host::{input, users};
use crate::message::body;

/// send-message.sh's code for a target that is not there.
const NOT_FOUND: u8 = 1;
/// send-message.sh's code for a draft, and for what was not seen to be taken.
const NOT_TAKEN: u8 = 2;
/// send-message.sh's code for usage.
const USAGE: u8 = 3;
/// ssh's own code, whatever runs on the other side.
const SSH_FAILED: i32 = 255;

/// What the script hands on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// send-message.sh
    #[arg(long, value_name = "FILE")]
    sender: PathBuf,
    /// Name of the tmux server there
    #[arg(long, value_name = "SOCKET")]
    socket: String,
    /// The agent's session
    #[arg(long, value_name = "SESSION")]
    session: String,
    /// Reach it over ssh
    #[arg(long, value_name = "USER@HOST")]
    over: Option<String>,
    /// The host as the message names it
    #[arg(long, value_name = "HOST")]
    named: Option<String>,
    /// Who says it
    #[arg(long, value_name = "LABEL")]
    source: Option<String>,
    /// How many more Enters after the first
    #[arg(long, value_name = "N", default_value = "2")]
    enters: String,
    /// Say each step
    #[arg(long)]
    steps: bool,
    /// The message
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Sends it.
pub fn run(args: Args, out: &Output) -> Result<Answer> {
    match send(&args, out) {
        Ok(code) => Ok(Answer::Code(code)),
        Err(Failure::Usage(error)) => {
            out.error(&error);
            Ok(Answer::Code(USAGE))
        }
        Err(Failure::NotReached(error)) => {
            out.error(&error);
            Ok(Answer::Code(NOT_FOUND))
        }
        // What was typed before the time was up is not known, so it is not said to be delivered.
        Err(Failure::Late(error)) => {
            out.error(&error);
            Ok(Answer::Code(NOT_TAKEN))
        }
    }
}

/// Why there is no code of the script's own.
enum Failure {
    Usage(Error),
    NotReached(Error),
    Late(Error),
}

fn send(args: &Args, out: &Output) -> Result<u8, Failure> {
    let enters = args.enters.parse().ok().filter(|n| *n <= 99).ok_or_else(|| {
        Failure::Usage(Error::new(
            Kind::Usage,
            format_args!("-r wants a number up to 99, not {:?}", args.enters),
        ))
    })?;
    let order = Order { socket: &args.socket, session: &args.session, enters, steps: args.steps };
    let text = message(args).map_err(Failure::Usage)?;
    let source = args.source.clone().unwrap_or_else(source);
    let words = [Some(source.as_str()), Some(&args.session), args.named.as_deref()];
    if let Some(word) = words.into_iter().flatten().find(|w| !body::is_label(w)) {
        let error = format_args!("{word:?} can't stand before a message: {}", body::LABEL_RULE);
        return Err(Failure::Usage(Error::new(Kind::Usage, error)));
    }
    let preamble = Preamble { source: &source, host: args.named.as_deref() };
    let ran = match &args.over {
        None => {
            let host = args.named.clone().or_else(users::host_name).unwrap_or_default();
            let whole = [body::preamble(&source, &host, &args.session).as_bytes(), &text].concat();
            sender::here(&args.sender, &order, &whole)
        }
        Some(address) if address.starts_with('-') || address.is_empty() => {
            let error = format_args!("-H wants user@host, not {address:?}");
            return Err(Failure::Usage(Error::new(Kind::Usage, error)));
        }
        Some(address) => {
            let script = script(args).map_err(Failure::Usage)?;
            let shipped = sender::shipped(&script, &order, &preamble, &BASE64_STANDARD.encode(text));
            sender::over(address, &order, &shipped)
        }
    };
    let ran = ran.map_err(|error| match error {
        CommandError::Late { .. } => Failure::Late(error.into()),
        error => Failure::NotReached(error.into()),
    })?;
    out.raw(&ran.stdout);
    let said = String::from_utf8_lossy(&ran.stderr);
    let (typing, said): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| sender::says_typing(line));
    for line in said {
        out.note(line);
    }
    match (ran.status.code(), &args.over) {
        // Sent again it might be there twice, so it is not said to be undelivered.
        (Some(SSH_FAILED), Some(address)) if !typing.is_empty() => {
            Err(Failure::Late(Error::machine(format_args!(
                "ssh to {address} failed after the message was typed: whether it was taken is not known"
            ))))
        }
        (Some(SSH_FAILED), Some(address)) => Err(Failure::NotReached(
            Error::machine(format_args!("{address} can't be reached over ssh"))
                .hint(format_args!("ssh {address} true  # must work without a question")),
        )),
        (Some(127), Some(address)) => {
            Err(Failure::NotReached(Error::machine(format_args!("{address} has no bash"))))
        }
        (Some(code), _) => Ok(u8::try_from(code).unwrap_or(NOT_TAKEN)),
        (None, _) => Err(Failure::Late(Error::machine("send-message.sh was killed"))),
    }
}

fn message(args: &Args) -> Result<Vec<u8>> {
    let bytes = match (&args.message, &args.file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => input::read(file, body::LONGEST)
            .and_then(|bytes| bytes.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
            .map_err(|error| Error::input(format_args!("read {}: {error}", file.display())))?,
        (None, None) => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(body::LONGEST as u64 + 1).read_to_end(&mut bytes)?;
            bytes
        }
    };
    match body::check(&bytes) {
        Ok(_) => Ok(bytes),
        Err(refusal) => Err(Error::input(refusal)),
    }
}

fn script(args: &Args) -> Result<String> {
    let read = sender::script(&args.sender).map_err(|e| e.to_string());
    read.and_then(|text| text.ok_or_else(|| "there is no such file".to_owned())).map_err(|error| {
        Error::input(format_args!("read {}: {error}", args.sender.display()))
            .hint("fleet apply  # writes it again")
    })
}

/// `HOST:SESSION` of the tmux session that we are in, else `HOST:USER`.
fn source() -> String {
    let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    let session = variable("TMUX").zip(variable("TMUX_PANE"));
    let session = session.and_then(|(tmux, pane)| sender::own_session(&tmux, &pane));
    // A person may call a session what can't stand in a preamble: that keeps nobody from sending.
    let session = session.filter(|name| body::is_label(name));
    let user = || users::caller().map_or_else(|_| "unknown".to_owned(), |caller| caller.name);
    format!("{}:{}", users::host_name().unwrap_or_default(), session.unwrap_or_else(user))
}
