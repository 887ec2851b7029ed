//! The real runtimes, installed from the npm registry once, and a model's server to run them against.
//! A test that uses one starts with `let Some(pi) = installed("pi") else { return };`.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

/// The folder of an installed runtime: its programs are in `bin`. Says once why there is none; with
/// `MOSAIC_REQUIRE_RIG=1` that is a failure.
pub fn installed(runtime: &str) -> Option<PathBuf> {
    static TOLD: Once = Once::new();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtimes/install");
    // The script bounds itself; it may have to wait for another test that installs the same.
    let output = Command::new("timeout").args(["900", script, runtime]).output().expect("timeout runs");
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()));
    }
    let why = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let required = env::var_os("MOSAIC_REQUIRE_RIG").is_some_and(|value| value == "1");
    assert!(!required, "{runtime} is required: {why}");
    // Past the test harness, which keeps to itself what a passing test prints.
    TOLD.call_once(|| {
        drop(writeln!(io::stderr(), "skipped, as they need {runtime} from npm: {}", why.trim_end()));
    });
    None
}

/// The model's server; it ends when it is dropped.
pub struct Model {
    child: Child,
    pub port: u16,
}

impl Model {
    /// Takes a command that runs `node llm.mjs`, and waits until it listens.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the model's server starts");
        let mut said = String::new();
        let pipe = child.stdout.take().expect("a pipe");
        BufReader::new(pipe).read_line(&mut said).expect("it says something");
        let port = said.trim().strip_prefix("listening ").and_then(|port| port.parse().ok());
        Self { child, port: port.unwrap_or_else(|| panic!("no port in {said:?}")) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It may have ended with the machine that it ran on.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's script.
pub fn model_script() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runtimes/llm.mjs"))
}
