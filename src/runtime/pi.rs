//! pi's command line. It asks for no permissions, so there is none to skip.

use std::time::Duration;

use super::arguments::Arguments;
use super::talk::{Ready, Talk, WhileBusy};
use super::{Launch, Package, Request};
use crate::runfile::ack::Event;

/// Where it comes from. Its program is a script, which needs no installing of its own.
pub const PACKAGE: Package = Package { name: "@earendil-works/pi-coding-agent", script: None };
/// Its extension that beats and acknowledges, below the framework's folder.
pub const ADAPTER: &str = "runtime/pi/mosaic.ts";
/// What it runs on where neither the roster nor the arguments say: an agent of which nothing is
/// said is pi on Codex.
const MODEL: &str = "openai-codex/gpt-5.5";
const EFFORT: &str = "high";

/// How it is talked to. What is pasted before it reads its terminal becomes a draft with an empty
/// line, and what is entered before its main loop waits is lost; its adapter says when it does.
pub const TALK: Talk = Talk {
    ready: Ready::Beat,
    settle: Duration::ZERO,
    gap: Duration::from_millis(50),
    command_gap: Duration::from_millis(500),
    acknowledges: &[Event::Prompt, Event::Queued, Event::Reset],
    while_busy: WhileBusy::Queues,
};

/// Its launch. pi reads an effort behind a colon of the model too; `--thinking` would win over it,
/// so the roster's effort is not said where the arguments' model has one.
pub fn launch(request: &Request<'_>) -> Launch {
    let mut line = Arguments::new(request);
    let model_given = line.gives(&["--model", "--models", "--provider"]);
    let effort_given = line.gives(&["--thinking"])
        || line.value(&["--model", "--models"]).is_some_and(|model| model.contains(':'));
    let effort = request.effort().filter(|_| !effort_given);
    match request.model() {
        None if !model_given => {
            let effort = if effort_given { None } else { Some(effort.unwrap_or(EFFORT)) };
            line.add(["--model".to_owned(), effort.map_or(MODEL.to_owned(), |e| format!("{MODEL}:{e}"))]);
        }
        model => {
            line.option("--model", &["--models", "--provider"], model);
            line.option("--thinking", &[], effort);
        }
    }
    let skills_off = line.gives(&["--no-skills", "-ns"]);
    line.add(request.skills.iter().filter(|word| !skills_off || *word != "--no-skills"));
    if let Some(adapter) = request.adapter {
        line.add(["-e".as_ref(), adapter.as_os_str()]);
        // What pi makes of an extension it keeps in the /tmp that all users share, and believes
        // whatever stands there.
        line.variable("JITI_FS_CACHE", "false");
    }
    line.launch()
}
