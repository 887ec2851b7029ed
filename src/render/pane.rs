//! What an agent's pane runs: its PATH prefix and its command, as one line for the pane's shell.
//!
//! Pure text, the standard library alone: the supervisor, which stands behind every agent for days,
//! uses it at each start. It never looks at the disk; the caller says which folders exist.

use std::path::{Path, PathBuf};

use crate::names::RuntimeName;

/// The folders whose programs an agent finds first, in order, each where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// `MOSAIC_RUNTIME_BIN`: the folder of the runtime's own program.
    pub runtime_bin: Option<&'a Path>,
    /// npm's global prefix; its programs are in `bin` below it.
    pub npm_prefix: Option<&'a Path>,
    /// The user's home.
    pub home: &'a Path,
}

/// The folders of a pane's PATH prefix: those candidates that exist and that PATH can name, in
/// order, each once.
pub fn path_prefix(candidates: Candidates<'_>, exists: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let npm = candidates.npm_prefix.map(|prefix| prefix.join("bin"));
    let home = [candidates.home.join(".npm-global/bin"), candidates.home.join(".local/bin")];
    let all = candidates.runtime_bin.map(Path::to_path_buf).into_iter().chain(npm).chain(home);
    let mut kept: Vec<PathBuf> = Vec::new();
    for dir in all {
        if in_path(&dir).is_some() && !kept.contains(&dir) && exists(&dir) {
            kept.push(dir);
        }
    }
    kept
}

/// What an agent runs: its own shell line, else `mosaic yolo RUNTIME`.
pub fn launch_line(command: Option<&str>, runtime: &RuntimeName) -> String {
    match command.filter(|line| !line.trim().is_empty()) {
        Some(line) => line.to_owned(),
        None => format!("mosaic yolo {runtime}"),
    }
}

/// The line that the pane's shell runs: the prefix put before the PATH that the pane inherits from
/// the tmux server, then the command in the shell's place, so that it is the pane's process.
///
/// The command is a shell line of the roster and stands as it is. A folder that PATH cannot name
/// is left out.
pub fn pane_command(prefix_dirs: &[&Path], command: &str) -> String {
    let mut prefix = String::new();
    let mut seen: Vec<&Path> = Vec::new();
    for dir in prefix_dirs.iter().copied() {
        let Some(text) = in_path(dir).filter(|_| !seen.contains(&dir)) else { continue };
        seen.push(dir);
        for c in text.chars() {
            // Between double quotes a shell takes everything verbatim but these four.
            if matches!(c, '"' | '\\' | '$' | '`') {
                prefix.push('\\');
            }
            prefix.push(c);
        }
        prefix.push(':');
    }
    if prefix.is_empty() {
        format!("exec {command}")
    } else {
        format!("export PATH=\"{prefix}$PATH\"; exec {command}")
    }
}

/// The folder as PATH can name it: absolute, since PATH is read in any working directory, and
/// without the colon, which separates folders and has no escape.
fn in_path(dir: &Path) -> Option<&str> {
    dir.to_str().filter(|text| text.starts_with('/') && !text.contains([':', '\0']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates<'a>(runtime_bin: Option<&'a str>, npm: Option<&'a str>) -> Candidates<'a> {
        Candidates {
            runtime_bin: runtime_bin.map(Path::new),
            npm_prefix: npm.map(Path::new),
            home: Path::new("/home/u"),
        }
    }

    #[test]
    fn the_prefix_holds_what_exists_in_order() {
        let all = path_prefix(candidates(Some("/opt/pi/bin"), Some("/usr/local")), |_| true);
        let expected = ["/opt/pi/bin", "/usr/local/bin", "/home/u/.npm-global/bin", "/home/u/.local/bin"];
        assert_eq!(all, expected.map(PathBuf::from));
        let some = path_prefix(candidates(Some("/opt/pi/bin"), None), |d| d.ends_with(".local/bin"));
        assert_eq!(some, [PathBuf::from("/home/u/.local/bin")]);
    }

    #[test]
    fn a_folder_that_comes_twice_is_named_once_at_its_first_place() {
        let dirs =
            path_prefix(candidates(Some("/home/u/.local/bin/"), Some("/home/u/.npm-global")), |_| true);
        let expected = ["/home/u/.local/bin", "/home/u/.npm-global/bin"];
        assert_eq!(dirs, expected.map(PathBuf::from));
        let twice = [Path::new("/a"), Path::new("/b"), Path::new("/a")];
        assert_eq!(pane_command(&twice, "x"), "export PATH=\"/a:/b:$PATH\"; exec x");
    }

    #[test]
    fn without_a_prefix_the_command_stands_alone() {
        assert_eq!(pane_command(&[], "mosaic yolo pi"), "exec mosaic yolo pi");
    }

    #[test]
    fn the_command_stands_byte_for_byte() {
        let line = "pi --model openai-codex/gpt-5.5:high \"$X\" 'é'";
        assert_eq!(
            pane_command(&[Path::new("/opt/b in")], line),
            format!("export PATH=\"/opt/b in:$PATH\"; exec {line}")
        );
    }

    #[test]
    fn a_folder_that_path_cannot_name_is_left_out() {
        let dirs = ["/a:b", "relative", "", "/ok"].map(Path::new);
        assert_eq!(pane_command(&dirs, "x"), "export PATH=\"/ok:$PATH\"; exec x");
        let odd = path_prefix(candidates(Some("/a:b"), Some("rel")), |d| !d.starts_with("/home"));
        assert_eq!(odd, Vec::<PathBuf>::new());
    }

    #[test]
    fn what_a_shell_would_expand_in_a_folder_is_escaped() {
        assert_eq!(
            pane_command(&[Path::new("/a$b`c\"d\\e")], "x"),
            "export PATH=\"/a\\$b\\`c\\\"d\\\\e:$PATH\"; exec x"
        );
    }

    #[test]
    fn an_agent_without_a_command_runs_its_runtime() {
        let pi = RuntimeName::parse("pi").expect("a good name");
        assert_eq!(launch_line(None, &pi), "mosaic yolo pi");
        assert_eq!(launch_line(Some(" "), &pi), "mosaic yolo pi");
        assert_eq!(launch_line(Some("bash -l"), &pi), "bash -l");
    }
}
