//! The pane's command line against real shells: the PATH that a program sees and its arguments.

use std::path::Path;
use std::process::{Command, Stdio};

use mosaic_fleet::render::escape::shell;
use mosaic_fleet::render::pane::pane_command;
use proptest::prelude::*;
use proptest::test_runner::Config;

const INHERITED: &str = "/usr/bin:/bin";

/// Folder names out of everything that a shell has a meaning for.
fn folder() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "\"", "'", "\\", "$", "`", "%", "\n", "\t", " ", "#", ";", "~", "!", "&", "*", "$HOME", "$(id)",
        "`id`", "${PATH}", "\\\"", "\\\n", "\u{1}", "\u{7f}", "é", "🙂", "x", "/", "bin",
    ]);
    proptest::collection::vec(pieces, 1..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Shell words, quoted, that a program should see as they are.
fn argument() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "'", "\"", "\\", "$X", "`", " ", "\n", "-", "/", ":", "é", "pi", "5.5",
    ]);
    proptest::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
}

/// What a program that this shell line runs sees: its process id beside the shell's, its PATH and
/// its arguments.
fn seen(shell: &str, line: &str) -> Option<Vec<String>> {
    let out = Command::new("env")
        .args(["-i", &format!("PATH={INHERITED}"), shell, "-c", line])
        .stdin(Stdio::null())
        .output()
        .expect("env is there");
    if out.status.code() == Some(127) {
        return None;
    }
    assert!(out.status.success(), "{shell} {line:?}: {}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).expect("text");
    Some(text.split_terminator('\0').map(str::to_owned).collect())
}

proptest! {
    #![proptest_config(Config { cases: 64, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_program_sees_the_prefix_before_the_path_and_its_arguments_as_written(
        folders in proptest::collection::vec(folder(), 0..4),
        arguments in proptest::collection::vec(argument(), 0..4),
    ) {
        let words: Vec<String> = arguments.iter().map(|a| shell(a)).collect();
        let show = "for a in \"$PATH\" \"$@\"; do printf '%s\\000' \"$a\"; done";
        let command = format!("/bin/sh -c {} show {}", shell(show), words.join(" "));
        let dirs: Vec<&Path> = folders.iter().map(Path::new).collect();
        let mut path: Vec<&str> = Vec::new();
        for (dir, text) in dirs.iter().zip(&folders) {
            if !path.iter().any(|p| Path::new(p) == *dir) {
                path.push(text);
            }
        }
        path.push(INHERITED);
        let mut expected = vec![path.join(":")];
        expected.extend(arguments);
        for shell in ["sh", "bash"] {
            if let Some(seen) = seen(shell, &pane_command(&dirs, &command)) {
                prop_assert_eq!(&seen, &expected, "{}", shell);
            }
        }
    }
}

#[test]
fn the_command_takes_the_shells_place() {
    let line = pane_command(&[Path::new("/opt/bin")], "/bin/sh -c 'printf \"%s\\000\" \"$$\"'");
    let inner = seen("sh", &format!("printf '%s\\000' \"$$\"; {line}")).expect("sh is there");
    assert_eq!(inner.first(), inner.get(1));
}
