//! What is tested and measured, by its commit.

use std::process::Command;
use std::sync::OnceLock;

/// Ends the name of a build that is no commit's.
pub const CHANGED: &str = "+changes";
/// Pages that are written from figures: a change of theirs does not make the figures another build's.
const PAGES: [&str; 3] = [":!docs/reliability.md", ":!docs/performance.md", ":!docs/performance.svg"];

/// The commit, or without a repository the program's version.
pub fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
            return env!("CARGO_PKG_VERSION").to_owned();
        };
        let changes =
            git(&[&["status", "--porcelain", "--untracked-files=no", "--", "."], &PAGES[..]].concat());
        format!("{commit}{}", if changes.is_none_or(|changes| !changes.is_empty()) { CHANGED } else { "" })
    })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
