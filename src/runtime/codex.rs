//! Codex's command line.

use std::time::Duration;

use super::arguments::Arguments;
use super::talk::{Ready, Talk, WhileBusy};
use super::{Launch, Package, Request};

/// Where it comes from. Its program is a script, which needs no installing of its own.
pub const PACKAGE: Package = Package { name: "@openai/codex", script: None };

/// How it is talked to: it took every message at every gap, and stops its turn for a new one.
pub const TALK: Talk = Talk {
    ready: Ready::Screen,
    settle: Duration::ZERO,
    gap: Duration::from_millis(100),
    command_gap: Duration::from_millis(500),
    acknowledges: &[],
    while_busy: WhileBusy::Steers,
};

/// Its launch. Without `--no-daemon` it starts a server in the background that outlives the pane
/// and runs every agent's hooks with the first one's variables.
pub fn launch(request: &Request<'_>) -> Launch {
    let mut line = Arguments::new(request);
    line.flag(
        "--dangerously-bypass-approvals-and-sandbox",
        &["--yolo", "--full-auto", "--ask-for-approval", "-a", "--sandbox", "-s"],
    );
    line.flag("--no-daemon", &[]);
    let settings = configured(request);
    let says = |key: &str| settings.iter().any(|setting| setting.starts_with(&format!("{key}=")));
    if !says("model") {
        line.option("--model", &["-m"], request.model());
    }
    if let Some(effort) = request.effort().filter(|_| !says("model_reasoning_effort")) {
        line.add(["-c".to_owned(), format!("model_reasoning_effort={effort:?}")]);
    }
    line.launch()
}

/// The values of every `-c key=value` that was given.
fn configured(request: &Request<'_>) -> Vec<String> {
    let mut settings = Vec::new();
    let mut words = request.args.iter().map(|w| w.to_string_lossy()).take_while(|w| w != "--");
    while let Some(word) = words.next() {
        let value = match word.as_ref() {
            "-c" | "--config" => words.next().map(|next| next.into_owned()),
            other => other.strip_prefix("--config=").or(other.strip_prefix("-c")).map(str::to_owned),
        };
        settings.extend(value.map(|v| v.trim_start_matches('=').to_owned()));
    }
    settings
}
