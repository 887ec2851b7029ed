//! `mosaic agent send`: one message to one agent, and its receipt. What the receipt says decides
//! the exit code.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use super::reach;
use crate::cli::{Answer, Context, observed};
use crate::error::{Error, Kind, Result};
use crate::host::{clock, input, receipts::Receipts, users};
use crate::message::{Desk, LONGEST_TTL, Message, Preamble, VERIFY, Waking, When, body};
use crate::roster::Roster;
use crate::runfile::queued::Priority;
use crate::runfile::receipt::{self, Receipt, State};
use crate::transport::{Tmux, Transport};

/// Arguments of `mosaic agent send`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agent
    #[arg(value_name = "NAME")]
    agent: String,
    /// What to say; without it and --file, standard input is read
    #[arg(short, long, value_name = "TEXT", conflicts_with = "file", allow_hyphen_values = true)]
    message: Option<String>,
    /// A file that holds what to say
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Who says it, in place of HOST:AGENT or HOST:USER
    #[arg(long, visible_alias = "source", value_name = "LABEL", value_parser = label)]
    source_label: Option<String>,
    /// Wait for evidence that the runtime took it; without any, exit 1
    #[arg(long)]
    verify: bool,
    /// How long evidence is waited for once it is typed, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = VERIFY.as_millis() as u64,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    verify_timeout: u64,
    /// Put it into the agent's queue, for its next turn boundary or start
    #[arg(long)]
    queue: bool,
    /// With --queue: an agent that is idle gets it at once
    #[arg(long, requires = "queue")]
    wake: bool,
    /// With --queue: before all that is not urgent
    #[arg(long, requires = "queue")]
    urgent: bool,
    /// With --queue: how long it may wait, as 90s, 15m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time, requires = "queue")]
    ttl: Duration,
    /// Type the text as it is, without saying from whom to whom
    #[arg(long)]
    raw: bool,
    /// The message's own key: sent twice with the same one, it is delivered once
    #[arg(long, value_name = "KEY", value_parser = id)]
    id: Option<String>,
    /// Print the receipt as JSON
    #[arg(long)]
    json: bool,
}

fn label(text: &str) -> Result<String, String> {
    if body::is_label(text) { Ok(text.to_owned()) } else { Err(format!("a label is {}", body::LABEL_RULE)) }
}

fn id(text: &str) -> Result<String, String> {
    if receipt::is_id(text) { Ok(text.to_owned()) } else { Err(format!("a key is {}", receipt::ID_RULE)) }
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(24 * 3600),
        _ => None,
    };
    let seconds = seconds.and_then(|unit: u64| number.parse::<u64>().ok()?.checked_mul(unit));
    seconds
        .filter(|s| (1..=LONGEST_TTL.as_secs()).contains(s))
        .map(Duration::from_secs)
        .ok_or_else(|| "a time is 90s, 15m, 12h or 7d, and 7d at most".to_owned())
}

/// Sends it.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let roster = context.roster()?;
    let name = reach::named(&roster, &args.agent)?;
    let agent = roster.agent(&name).ok_or_else(|| Error::input("the roster changed"))?;
    let host = context.host()?;
    let transport = transport(&roster);
    let desk = Desk {
        layout: &context.layout,
        roster: &roster,
        host: &host,
        transport: transport.as_ref().map(|t| t as &dyn Transport),
    };
    let verify = args.verify.then(|| Duration::from_millis(args.verify_timeout));
    let message = Message {
        source: args.source_label.clone().unwrap_or_else(|| source(context, host.as_str())),
        body: read(&args)?,
        id: args.id,
        preamble: if args.raw { Preamble::Left } else { Preamble::Put },
        verify,
        when: match args.queue {
            false => When::Now,
            true => When::Queued {
                priority: if args.urgent { Priority::Urgent } else { Priority::Normal },
                ttl: args.ttl,
                waking: if args.wake { Waking::Wakes } else { Waking::Waits },
            },
        },
    };
    let receipt = desk.send(agent, &message)?;
    if args.json {
        context.out.json(&receipt)?;
    }
    let good = answer(&receipt, verify.is_some());
    match (good, args.json) {
        (true, false) => context.out.line(format_args!("{name}: {} ({})", told(&receipt), receipt.id)),
        (true, true) => {}
        (false, _) => context.out.error(&failure(&receipt)),
    }
    let undelivered =
        Receipts::of(&context.layout, &name).summary().map_or(0, |s| s.undelivered(clock::timestamp()));
    if undelivered > 0 {
        context.out.warn(format_args!("{undelivered} queued for {name} expired undelivered"));
    }
    Ok(if good { Answer::Yes } else { Answer::No })
}

/// The tenant's transport; `None` where it has none.
pub fn transport(roster: &Roster) -> Option<Tmux> {
    observed::server(roster).map(Tmux::new)
}

/// Who sends, where nobody says otherwise: the agent that runs us, else the user.
pub fn source(context: &Context, host: &str) -> String {
    let variable = |name| std::env::var(name).ok().filter(|v| body::is_label(v));
    let host = variable("MOSAIC_HOST").or_else(users::host_name).unwrap_or_else(|| host.to_owned());
    let who = variable("MOSAIC_AGENT_NAME").unwrap_or_else(|| context.caller.name.clone());
    format!("{host}:{who}")
}

fn read(args: &Args) -> Result<Vec<u8>> {
    if let Some(text) = &args.message {
        return Ok(text.clone().into_bytes());
    }
    let Some(file) = &args.file else {
        let mut bytes = Vec::new();
        io::stdin().lock().take(body::LONGEST as u64 + 1).read_to_end(&mut bytes)?;
        return Ok(bytes);
    };
    match input::read(file, body::LONGEST) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Error::input(format_args!("{}: there is no such file", file.display()))),
        Err(error) => Err(Error::new(Kind::Input, format_args!("read {}: {error}", file.display()))),
    }
}

/// Whether that is what was asked for.
fn answer(receipt: &Receipt, verify: bool) -> bool {
    match receipt.state {
        state if state.is_delivered() => true,
        State::Typed => !verify,
        State::Held => !verify && receipt.via.as_deref() == Some("queue"),
        _ => false,
    }
}

fn told(receipt: &Receipt) -> String {
    match (receipt.state, &receipt.reason) {
        (State::Held, Some(why)) => format!("held: {why}"),
        (state, _) => state.word().to_owned(),
    }
}

/// What a person is told who did not get what was asked for.
pub fn failure(receipt: &Receipt) -> Error {
    let agent = &receipt.agent;
    let why = receipt.reason.as_deref().unwrap_or("nothing more is known");
    match receipt.state {
        State::Draft => Error::no(format_args!("message left as unsubmitted draft in agent {agent}: {why}"))
            .hint(format_args!("look, and press Enter or clear it: mosaic agent attach {agent}")),
        State::Unknown if why.starts_with("no pane change") => {
            Error::no(format_args!("could not verify delivery (no pane change after send) for agent {agent}"))
                .hint(format_args!(
                    "mosaic agent tail {agent} shows its terminal; it is not sent again by itself"
                ))
        }
        State::Unknown | State::Typed => {
            Error::no(format_args!("could not verify delivery for agent {agent}: {why}"))
                .hint(format_args!("mosaic agent tail {agent}"))
        }
        State::Held if receipt.via.as_deref() == Some("queue") => Error::no(format_args!("held: {why}")),
        State::Held => Error::no(format_args!("held, and not typed: {why}"))
            .hint("send it again later, or leave it for the agent's next turn: --queue"),
        State::Refused if why.contains("is not running") => Error::no(why)
            .hint(format_args!("fleet start {agent}"))
            .hint("or leave it for its next start: --queue"),
        State::Refused => Error::no(format_args!("refused: {why}")),
        State::Expired => Error::no(format_args!("expired: {why}")),
        state => Error::no(format_args!("{}: {why}", state.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_a_bound() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "0s", "8d", "x", "1w", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
