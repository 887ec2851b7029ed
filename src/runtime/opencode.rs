//! OpenCode's command line.

use std::time::Duration;

use super::arguments::Arguments;
use super::talk::{Ready, Talk, WhileBusy};
use super::{Launch, Package, Request};

/// Where it comes from.
pub const PACKAGE: Package = Package { name: "opencode-ai", script: Some("postinstall.mjs") };

/// How it is talked to: what is pasted before its prompt shows is lost without a trace, and once
/// a message right behind it stayed a draft.
pub const TALK: Talk = Talk {
    ready: Ready::Screen,
    settle: Duration::from_millis(500),
    gap: Duration::from_millis(200),
    command_gap: Duration::from_millis(500),
    acknowledges: &[],
    while_busy: WhileBusy::Queues,
};

/// Its launch.
pub fn launch(request: &Request<'_>) -> Launch {
    let mut line = Arguments::new(request);
    line.flag("--auto", &[]);
    line.option("--model", &["-m"], request.model());
    if let Some(effort) = request.effort() {
        line.note(format!(
            "opencode takes no effort on its command line: {effort:?} of the roster is not handed on"
        ));
    }
    line.launch()
}
