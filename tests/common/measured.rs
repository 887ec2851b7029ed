//! What a fault cost, as a test saw it: a line in `target/reliability.tsv`, from which `tests/reliability.rs` makes
//! the table of docs/reliability.md.
#![allow(dead_code, reason = "no test file uses all of it")]

pub mod build;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the lines are: of which build, on which day, `fault`, where it was tried, seconds until it showed, seconds
/// until all was well; `-` for what there is nothing to wait for.
pub fn file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it is inside the target folder")
        .join("reliability.tsv")
}

/// Adds a line; tests of several programs may do so at once. The last thing a test does: what fails is no figure.
pub fn note(fault: &str, place: &str, noticed: Option<Duration>, well: Option<Duration>) {
    let shown = |time: Option<Duration>| time.map_or("-".to_owned(), |t| format!("{:.2}", t.as_secs_f64()));
    let line =
        format!("{}\t{}\t{fault}\t{place}\t{}\t{}\n", build::name(), today(), shown(noticed), shown(well));
    let mut file: File =
        OpenOptions::new().create(true).append(true).open(file()).expect("the target folder is writable");
    file.write_all(line.as_bytes()).expect("written");
}

fn today() -> String {
    let now = jiff::Timestamp::now().to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}
