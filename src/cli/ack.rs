//! `mosaic ack`: writes one acknowledgement of the agent that runs it: a prompt was taken. Hooks call it
//! once a prompt, so it writes one line and asks nobody. No prompt ever stands on its command line.

use std::io::{self, IsTerminal, Read};

use super::heartbeat::{layout, outside, recorded};
use super::{Answer, Globals};
use crate::error::{Error, Kind, Result};
use crate::host::{ancestry, clock, runfiles, users};
use crate::runfile::ack::{self, Ack, Event, LONGEST, LONGEST_FILE};
use crate::runtime::identity::identity;

/// The longest prompt, as a hook is given it: a message of the greatest length with every byte escaped.
const LONGEST_INPUT: u64 = 8 << 20;

/// Arguments of `mosaic ack`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What happened: prompt (a turn began with it), queued (taken while busy), reset (a new conversation)
    #[arg(long, value_name = "EVENT", default_value = "prompt", value_parser = event)]
    event: Event,
    /// Id of the message, where the runtime was told it; then standard input is not read
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<String>,
    /// Digest of the prompt, where the caller made it; then standard input is not read
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    /// Standard input is what the runtime gives a hook: JSON with the text in "prompt"
    #[arg(long, conflicts_with_all = ["id", "sha256"])]
    hook: bool,
    /// The runtime's pid, in place of the recorded one
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pid: Option<i32>,
    /// The agent, in place of MOSAIC_AGENT_NAME
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
}

fn event(text: &str) -> Result<Event, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{text:?} is none of prompt, queued, reset"))
}

fn id(text: &str) -> Result<String, String> {
    let good = (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| text.to_owned()).ok_or_else(|| "not 1 to 200 printable characters without blanks".to_owned())
}

fn sha256(text: &str) -> Result<String, String> {
    let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| text.to_ascii_lowercase()).ok_or_else(|| "not 64 hexadecimal digits".to_owned())
}

/// Writes the line.
pub fn run(args: Args, globals: &Globals) -> Result<Answer> {
    let me = identity(args.agent.as_deref(), |name| std::env::var(name).ok())
        .map_err(|e| Error::new(Kind::Usage, e))?
        .ok_or_else(|| outside("an acknowledgement", "ack"))?;
    let sha256 = match (&args.event, &args.id, &args.sha256) {
        (_, _, Some(sha256)) => Some(sha256.clone()),
        (Event::Reset, ..) | (_, Some(_), None) => None,
        (Event::Prompt | Event::Queued, None, None) => Some(ack::digest(&prompt(args.hook)?)),
    };
    let layout = layout(globals)?;
    let recorded = || recorded(&layout, &me, &clock::boot_id()).filter(|pid| ancestry::is_there(*pid));
    let ack = Ack {
        ts: format!("{:.3}", clock::timestamp()),
        event: args.event,
        id: args.id,
        sha256,
        pid: args.pid.or_else(recorded),
        tenant_id: me.tenant_id.clone().or_else(users::tenant),
        host: me.host.clone().or_else(users::host_name),
    };
    let line = ack::line(&ack).map_err(Error::machine)?;
    if line.len() > LONGEST {
        return Err(Error::new(
            Kind::Usage,
            format_args!("an acknowledgement of {} bytes: readers take {LONGEST}", line.len()),
        )
        .hint("MOSAIC_TENANT_ID and MOSAIC_HOST are no such long names"));
    }
    let path = layout.ack(&me.agent);
    runfiles::make_folder(&layout.run())
        .and_then(|()| runfiles::append(&path, &line, LONGEST_FILE))
        .map_err(|e| Error::machine(format!("write {}: {e}", path.display())))?;
    Ok(Answer::Yes)
}

/// The prompt on standard input.
fn prompt(hook: bool) -> Result<String> {
    if io::stdin().is_terminal() {
        return Err(Error::new(Kind::Usage, "no prompt: its text comes on standard input")
            .hint("or say which it is: --sha256 HEX, --id ID"));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(LONGEST_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_INPUT {
        return Err(Error::input(format_args!("the prompt has more than {LONGEST_INPUT} bytes")));
    }
    prompt_in(bytes, hook)
}

/// The prompt in what came on standard input: as it is, or as a runtime gives it to a hook.
pub fn prompt_in(bytes: Vec<u8>, hook: bool) -> Result<String> {
    let text = if hook {
        let given: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::input(format_args!("read what the hook was given: {error}")))?;
        let prompt = given.get("prompt").and_then(serde_json::Value::as_str).map(str::to_owned);
        prompt.ok_or_else(|| Error::input("what the hook was given has no text in \"prompt\""))?
    } else {
        String::from_utf8(bytes).map_err(|_| Error::input("the prompt is not UTF-8"))?
    };
    if text.trim().is_empty() {
        return Err(Error::input("the prompt is empty"));
    }
    Ok(text)
}
