//! What benches share: how long a program takes as a process, medians, and the figures that
//! docs/performance.md is made of.
#![allow(dead_code, reason = "no bench uses all of it")]

#[path = "../../tests/common/build.rs"]
pub mod build;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

/// The word by which a bench knows that it is inside the rig.
pub const INSIDE: &str = "inside";

/// Whether this is a measurement: `cargo test --benches` only looks whether it runs.
pub fn measures() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// The arguments behind [`INSIDE`], where this is the part of a bench that runs in the rig.
pub fn inside() -> Option<Vec<String>> {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == INSIDE)?;
    Some(args.into_iter().skip(at + 1).collect())
}

/// A program as a user of the rig calls it, from an environment as cron has it.
pub fn command(uid: u32, argv: &[&str]) -> Command {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).uid(uid).gid(uid).env_clear().current_dir("/");
    command.env("PATH", "/usr/bin:/bin").env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How long a program of that user's takes, in milliseconds.
pub fn took(uid: u32, argv: &[&str]) -> f64 {
    let mut command = command(uid, argv);
    let begun = Instant::now();
    let status = command.status().expect("it runs");
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    assert!(status.success(), "{argv:?}: {status}");
    took
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    Exactly(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
            Self::Exactly(bound) => value == bound,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::Below(bound) => format!("less than {bound}"),
            Self::Exactly(bound) => format!("exactly {bound}"),
        }
    }
}

/// The figures of one bench, printed as they come and kept for the report.
pub struct Figures {
    bench: &'static str,
    kept: Vec<Value>,
    holds: bool,
}

impl Figures {
    pub fn new(bench: &'static str) -> Self {
        Self { bench, kept: Vec::new(), holds: true }
    }

    /// A figure that is compared with nothing.
    pub fn tell(&mut self, tree: &str, what: &str, value: f64, unit: &str) {
        println!("       {tree}: {what}: {value:.2} {unit}");
        self.keep(tree, what, value, unit, None);
    }

    /// A figure that has to be within its bound.
    pub fn must(&mut self, tree: &str, what: &str, value: f64, unit: &str, bound: Bound) {
        let holds = bound.holds(value);
        let word = if holds { "kept  " } else { "MISSED" };
        println!("{word} {tree}: {what}: {value:.2} {unit} ({})", bound.words());
        self.holds &= holds;
        self.keep(tree, what, value, unit, Some(bound));
    }

    fn keep(&mut self, tree: &str, what: &str, value: f64, unit: &str, bound: Option<Bound>) {
        self.kept.push(json!({
            "tree": tree, "what": what, "value": value, "unit": unit, "load": load(),
            "bound": bound.map(Bound::words), "holds": bound.map(|bound| bound.holds(value)),
        }));
    }

    /// Ends the bench: with 1 where a bound was missed by a measurement.
    pub fn finish(self) -> ! {
        if !measures() {
            std::process::exit(0);
        }
        let file = results().join(format!("{}.json", self.bench));
        std::fs::create_dir_all(results()).expect("a folder");
        let kept = json!({ "of": build::name(), "figures": self.kept });
        std::fs::write(&file, kept.to_string()).expect("results can be kept");
        std::process::exit(i32::from(!self.holds));
    }
}

/// How busy the machine is, as the kernel tells it for the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// Where figures are kept until the report.
pub fn results() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder").join("figures")
}
