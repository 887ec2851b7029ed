//! OpenCode's command line.

use super::arguments::Arguments;
use super::{Launch, Package, Request};

/// Where it comes from.
pub const PACKAGE: Package = Package { name: "opencode-ai", script: Some("postinstall.mjs") };

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
