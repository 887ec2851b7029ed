//! Claude Code's command line.

use std::time::Duration;

use super::arguments::Arguments;
use super::talk::{Ready, Talk, WhileBusy};
use super::{Launch, Package, Request};

/// Where it comes from.
pub const PACKAGE: Package = Package { name: "@anthropic-ai/claude-code", script: Some("install.cjs") };

/// How it is talked to: an Enter right behind a paste left 6 of 8 first messages of a session as
/// drafts; 50 ms and more left none of 60.
pub const TALK: Talk = Talk {
    ready: Ready::Screen,
    settle: Duration::from_millis(300),
    gap: Duration::from_millis(200),
    command_gap: Duration::from_millis(500),
    acknowledges: &[],
    while_busy: WhileBusy::Queues,
};

/// Its launch.
pub fn launch(request: &Request<'_>) -> Launch {
    let mut line = Arguments::new(request);
    line.flag(
        "--dangerously-skip-permissions",
        &["--permission-mode", "--allow-dangerously-skip-permissions"],
    );
    line.option("--model", &[], request.model());
    line.option("--effort", &[], request.effort());
    line.launch()
}
