//! What tmux, the kernel and terminals say, which agents and users have a hand in: names of sessions and of programs,
//! screens, mounts, keys.

use std::path::Path;

use mosaic_fleet::host::tmux::client::{Stage, parse_frame};
use mosaic_fleet::host::tmux::{listing, typing};
use mosaic_fleet::host::viewer::keys::Keys;
use mosaic_fleet::host::{cgroup, mounts, process};
use mosaic_fleet::runfile::receipt::draft_digest;
use mosaic_fleet::runtime::Kind;
use mosaic_fleet::runtime::dogfood::editor::{Editor, LONGEST};
use mosaic_fleet::runtime::dogfood::faults;
use mosaic_fleet::runtime::screen;
use mosaic_fleet::snapshot::Tmux;
use mosaic_fleet::transcript::{Pace, Transcript};

use super::{parts, text};

pub fn a_screen(bytes: &[u8]) {
    let text = text(bytes);
    for kind in [Kind::Claude, Kind::Codex, Kind::OpenCode, Kind::Pi, Kind::Dogfood, Kind::Custom] {
        let seen = screen::judge(kind, "> ", &text);
        if let screen::Composer::Draft(draft) = seen.composer {
            assert!(!screen::shows(kind, &draft, "no such message was ever sent by anybody"), "{draft:?}");
            let _ = (screen::shows(kind, &draft, &text), draft_digest(&draft));
        }
    }
}

pub fn some_panes(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(Tmux::Running { panes, .. }) = listing::parse(&text) {
        let sound = panes.iter().all(|pane| pane.id.starts_with('%') && !pane.session.contains(['\n', ':']));
        assert!(sound, "{panes:?}");
    }
    let _ = (listing::parse_panes(&text), listing::parse_pane(&text), Stage::parse(&text));
}

/// A pane before something is typed into it.
pub fn a_glimpse(bytes: &[u8]) {
    if let Some(seen) = typing::parse(&text(bytes)) {
        assert!(!seen.pane.contains(':') && !seen.pane.contains('\n'), "{seen:?}");
    }
}

/// Captures of a pane, one after another.
pub fn some_captures(bytes: &[u8]) {
    let text = text(bytes);
    let mut transcript = Transcript::default();
    let paces = [Pace::Busy, Pace::Rests, Pace::Settled];
    for (capture, pace) in parts(&text).zip(paces.into_iter().cycle()) {
        let above = transcript.needs(capture.len()).min(100);
        let Some(frame) = parse_frame(capture, above) else { continue };
        for line in transcript.next(&frame, pace) {
            assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
        }
    }
}

/// `/proc/PID/stat`, where a program calls itself whatever it likes.
pub fn a_process(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(process) = process::process_in(&text) {
        assert!(!process.comm.chars().any(char::is_control), "{process:?}");
    }
    let _ = process::usage_in(&text);
}

/// `/proc/PID/cmdline` and `/proc/PID/environ`.
pub fn some_arguments(bytes: &[u8]) {
    let arguments = process::argv_in(bytes);
    assert!(arguments.len() <= bytes.len().max(1));
    if let Some(value) = process::variable_in(bytes, "MOSAIC_AGENT_NAME") {
        assert!(!value.contains('\0'), "{value:?}");
    }
}

pub fn a_cgroup(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(path) = cgroup::path_in(&text) {
        assert!(!path.contains('\n') && !cgroup::unit_of(path).contains('/'), "{path:?}");
    }
}

/// Users mount things, too, and name them.
pub fn some_mounts(bytes: &[u8]) {
    let text = text(bytes);
    let all = mounts::parse(&text);
    assert!(all.len() <= text.lines().count());
    if let Some(mount) = mounts::holding(&all, Path::new("/home/u")) {
        assert!(Path::new("/home/u").starts_with(&mount.point), "{mount:?}");
    }
}

/// What comes from a keyboard, or from whoever writes to a terminal.
pub fn some_keys(bytes: &[u8]) {
    let (mut keys, mut editor) = (Keys::default(), Editor::default());
    for byte in bytes {
        let _ = (keys.take(*byte), editor.feed(*byte));
    }
    let draft = editor.draft();
    assert!(
        draft.len() <= LONGEST && !draft.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')),
        "{draft:?}"
    );
    let _ = faults::list(&text(bytes));
}
