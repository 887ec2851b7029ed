//! A home of a test's own, with no user manager that could be reached: HOME is never the caller's, so
//! no manager is told of anything.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

pub struct Home(pub tempfile::TempDir);

/// What one entry of a home is: inode, mode, time of change, bytes.
pub type Entry = (u64, u32, i64, i64, Vec<u8>);

pub const UNITS: &str = ".config/systemd/user";
pub const FLEET: &str = ".config/mosaic/fleet";
pub const ROSTER: &str = ".config/mosaic/fleet/roster.yaml";
pub const CODER: &str = ".config/mosaic/fleet/agents/coder.env";
pub const LEDGER: &str = ".config/mosaic/fleet/ledger.json";

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a home"));
        home.put("bin/tmux", "#!/bin/sh\nexit 1\n", 0o755);
        home.put("bin/npm", "#!/bin/sh\necho \"$HOME/npm\"\necho asked >> \"$HOME/asked\"\n", 0o755);
        home
    }

    pub fn with_roster(text: &str) -> Self {
        let home = Self::new();
        home.put(ROSTER, text, 0o600);
        home
    }

    pub fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        if mode & 0o111 != 0 {
            crate::program::write(&path, text);
        } else {
            fs::write(&path, text).expect("written");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub fn fleet(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.env_clear().env("HOME", self.0.path()).env("PATH", self.at("bin")).args(args);
        command
    }

    /// Runs it and expects that exit code.
    pub fn run(&self, args: &[&str], code: i32) -> Ran {
        let output = self.fleet(args).output().expect("it runs");
        let ran = Ran::of(&output);
        assert_eq!(output.status.code(), Some(code), "fleet {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Paths that are not as they were.
    pub fn changes_since(&self, before: &BTreeMap<PathBuf, Entry>) -> Vec<PathBuf> {
        let after = self.tree();
        let paths: std::collections::BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
    }

    /// Everything below the home, by path.
    pub fn tree(&self) -> BTreeMap<PathBuf, Entry> {
        let mut tree = BTreeMap::new();
        walk(self.0.path(), &mut tree);
        tree
    }
}

fn walk(folder: &Path, tree: &mut BTreeMap<PathBuf, Entry>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let facts = path.symlink_metadata().expect("there");
        let bytes = if facts.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
        tree.insert(path.clone(), (facts.ino(), facts.mode(), facts.mtime(), facts.mtime_nsec(), bytes));
        if facts.is_dir() {
            walk(&path, tree);
        }
    }
}

pub struct Ran {
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self { out: text(&output.stdout), err: text(&output.stderr) }
    }
}

pub const TWO: &str = "version: 1\ndefaults: {runtime: dogfood}\nagents: [{name: coder}, {name: reviewer}]\n";
