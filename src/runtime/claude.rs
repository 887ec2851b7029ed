//! Claude Code's command line.

use super::arguments::Arguments;
use super::{Launch, Package, Request};

/// Where it comes from.
pub const PACKAGE: Package = Package { name: "@anthropic-ai/claude-code", script: Some("install.cjs") };

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
