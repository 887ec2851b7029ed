//! Programs that a test writes and runs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program, from a process of its own: what this one has open for writing another test's child may
/// have inherited at that moment, and until that has begun its own program nobody can execute this one
/// ("text file busy").
pub fn write(path: &Path, text: &str) {
    let script = "mkdir -p \"${1%/*}\" && cat >\"$1\" && chmod 755 \"$1\"";
    let mut child = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("taken");
    assert!(child.wait().expect("it ends").success(), "{}", path.display());
}
