//! Runs `send-message.sh`: here, or shipped over ssh to a host that has nothing of ours; and asks
//! the tmux that we are in for our session. What a message says is not decided here.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::command::{Command, CommandError, Output};
use super::input;
use crate::render::escape::shell;

/// How long ssh tries to reach a host.
const CONNECT_SECONDS: u32 = 10;
/// One Enter and what is waited for after it, and some more for a busy machine.
const EACH_ENTER: Duration = Duration::from_secs(6);
/// What the shipped script says on its standard error before it types anything.
const TYPING: &str = "send-message.sh: typing";
/// The script's own text is a few KiB.
const LONGEST_SCRIPT: usize = 256 * 1024;

/// A message for the script.
#[derive(Debug)]
pub struct Order<'a> {
    /// Name of the tmux server.
    pub socket: &'a str,
    /// The session, exactly.
    pub session: &'a str,
    /// How many more Enters after the first.
    pub enters: u8,
    /// Whether each step is said.
    pub steps: bool,
}

impl Order<'_> {
    fn flags(&self) -> Vec<String> {
        let mut flags = vec!["-L".to_owned(), self.socket.to_owned(), "-t".to_owned()];
        flags.extend([format!("={}", self.session), "-r".to_owned(), self.enters.to_string()]);
        flags.extend(self.steps.then(|| "-v".to_owned()));
        flags
    }

    fn limit(&self) -> Duration {
        EACH_ENTER * (u32::from(self.enters) + 2)
    }
}

/// Sends it here.
pub fn here(script: &Path, order: &Order<'_>, text: &[u8]) -> Result<Output, CommandError> {
    let flags = order.flags().into_iter().map(OsString::from);
    Command::new(script).args(flags).input(text).within(order.limit()).run()
}

/// Sends it there: `text` is what [`shipped`] made.
pub fn over(address: &str, order: &Order<'_>, text: &str) -> Result<Output, CommandError> {
    let connect = format!("ConnectTimeout={CONNECT_SECONDS}");
    // Nobody may be there to type a password, and a host that falls silent must not hold us.
    let options = ["-T", "-o", "BatchMode=yes", "-o", &connect, "-o", "ServerAliveInterval=5"];
    let limit = order.limit() + Duration::from_secs(u64::from(CONNECT_SECONDS));
    Command::new("ssh")
        .args(options)
        .args(["-o", "ServerAliveCountMax=3", "--", address, "exec bash -s"])
        .input(text.as_bytes())
        .within(limit)
        .run()
}

/// The script that a host without ours is sent on `bash -s`: the message and its flags stand in it,
/// since a command line is bounded and seen by everyone.
///
/// The preamble is put together there: only that host knows its name.
pub fn shipped(script: &str, order: &Order<'_>, preamble: &Preamble<'_>, base64: &str) -> String {
    let host = preamble.host.map_or_else(|| "\"$HOSTNAME\"".to_owned(), shell);
    let flags: Vec<String> = order.flags().iter().map(|flag| shell(flag)).collect();
    format!(
        "encoded=$({{ printf '[%s -> %s:%s] ' {} {host} {}; base64 -d <<'END'\n{base64}\nEND\n}} | base64)\n\
         typing_mark={}\nset -- {} -b \"$encoded\"\n{script}",
        shell(preamble.source),
        shell(order.session),
        shell(TYPING),
        flags.join(" ")
    )
}

/// Whether a line is the shipped script's word that it types now: whatever is lost after it may have arrived.
pub fn says_typing(line: &str) -> bool {
    line == TYPING
}

/// From whom and to which host, as a message says it.
#[derive(Debug)]
pub struct Preamble<'a> {
    /// From whom.
    pub source: &'a str,
    /// The host's name; `None` for what it calls itself.
    pub host: Option<&'a str>,
}

/// The script's text.
pub fn script(path: &Path) -> io::Result<Option<String>> {
    let text = |bytes| String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e));
    input::read(path, LONGEST_SCRIPT)?.map(text).transpose()
}

/// The session that the caller is in, whatever server it is of; `None` outside tmux.
///
/// The one question that is put to a server that may be the caller's own: it changes nothing there.
pub fn own_session(tmux: &str, pane: &str) -> Option<String> {
    let socket = tmux.rsplitn(3, ',').nth(2)?;
    let call = Command::new("tmux").args(["-S", socket, "display-message", "-p", "-t", pane]);
    let output = call.args(["#{session_name}"]).within(Duration::from_secs(2)).run().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
