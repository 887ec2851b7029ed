//! tmux, the runtimes and node, as agents find them: a pane has the PATH of a user's service, with
//! the fleet's own folders before it, not the caller's.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Ask, LIMIT};
use crate::doctor::{Found, Native, Node, Programs, Runtime, Wanted};
use crate::host::command::{Command, CommandError};
use crate::host::programs::{check, find};
use crate::host::tmux::{Server, TmuxError};
use crate::host::{runfiles, site};
use crate::render::pane::{Candidates, path_prefix};
use crate::snapshot::{Fact, Tmux};

/// The PATH that systemd gives a user's services.
const SERVICE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Looks at the programs that agents need.
pub fn look(ask: &Ask) -> Programs {
    let folders = folders(ask);
    std::thread::scope(|scope| {
        let tmux = scope.spawn(tmux);
        let server = scope.spawn(|| server(ask));
        let utf8 = scope.spawn(utf8);
        let runtimes: Vec<Runtime> = ask
            .runtimes
            .iter()
            .map(|wanted| Runtime { wanted: wanted.clone(), found: runtime(ask, wanted, &folders) })
            .collect();
        let ended = "looking ended early";
        Programs {
            own: own(),
            node: node(&runtimes, &folders),
            runtimes,
            tmux: tmux.join().expect(ended),
            server: server.join().expect(ended),
            utf8: utf8.join().expect(ended),
        }
    })
}

/// Why `fleet` and `mosaic` are not both where units look for them.
fn own() -> Option<String> {
    match site::program() {
        Err(error) => Some(error.to_string()),
        Ok(fleet) => {
            let mosaic = fleet.with_file_name("mosaic");
            check(&mosaic).err().map(|flaw| format!("{}: {flaw}", mosaic.display()))
        }
    }
}

/// Where agents look for programs.
fn folders(ask: &Ask) -> Vec<PathBuf> {
    let npm = runfiles::read_text(&ask.layout.npm_prefix(), 4096).map(|text| PathBuf::from(text.trim_end()));
    let candidates = Candidates { runtime_bin: None, npm_prefix: npm.as_deref(), home: ask.layout.home() };
    path_prefix(candidates, |_| true).into_iter().chain(std::env::split_paths(SERVICE_PATH)).collect()
}

fn runtime(ask: &Ask, wanted: &Wanted, folders: &[PathBuf]) -> Found {
    if let Some(bin) = &wanted.bin {
        let home = ask.layout.home();
        let bin = match bin.strip_prefix("~").or_else(|_| bin.strip_prefix("%h")) {
            Ok(rest) => home.join(rest),
            Err(_) => bin.to_path_buf(),
        };
        return match check(&bin) {
            Ok(()) => Found::There(bin.clone(), native(&bin)),
            Err(flaw) => Found::Broken(vec![(bin, flaw.to_string())]),
        };
    }
    let program = OsStr::new(wanted.name.as_str());
    let looked = match find(program, folders.iter().cloned()) {
        Ok(path) => return Found::There(path.clone(), native(&path)),
        Err(not_found) => not_found.looked,
    };
    let broken: Vec<(PathBuf, String)> = looked
        .into_iter()
        .filter(|(_, flaw)| *flaw != crate::host::programs::Flaw::Missing)
        .map(|(path, flaw)| (path, flaw.to_string()))
        .collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let callers = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    match find(program, callers) {
        _ if !broken.is_empty() => Found::Broken(broken),
        Ok(path) => Found::OnlyHere(path),
        Err(_) => Found::Missing,
    }
}

/// What a program that can be run is made of.
fn native(path: &Path) -> Native {
    let mut head = [0; 128];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let first = head[..read].split(|b| *b == b'\n').next().unwrap_or_default();
    if !first.starts_with(b"#!") || !String::from_utf8_lossy(first).contains("node") {
        return Native::Whole;
    }
    if !has_codex_binary(path) { Native::Halved } else { Native::Node }
}

/// Codex's script calls a binary that npm installs as a package of its own: beside codex's, or
/// below it.
fn has_codex_binary(path: &Path) -> bool {
    let Ok(script) = path.canonicalize() else { return true };
    // …/@openai/codex/bin/codex.js; elsewhere nothing is known of its parts.
    let Some(package) = script.parent().and_then(Path::parent) else { return true };
    if !package.ends_with("@openai/codex") {
        return true;
    }
    let beside = package.parent().map(Path::to_path_buf);
    let places = [beside, Some(package.join("node_modules/@openai")), Some(package.join("vendor"))];
    places.into_iter().flatten().any(|folder| {
        let vendor = folder.ends_with("vendor");
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.take(1000).any(|e| vendor || e.file_name().to_string_lossy().starts_with("codex-linux"))
    })
}

fn node(runtimes: &[Runtime], folders: &[PathBuf]) -> Node {
    let asks = |r: &Runtime| matches!(r.found, Found::There(_, Native::Node | Native::Halved));
    if !runtimes.iter().any(asks) {
        return Node::NotAsked;
    }
    match find(OsStr::new("node"), folders.iter().cloned()) {
        Err(_) => Node::Missing,
        Ok(path) => {
            let said = Command::new(path).arg("--version").within(LIMIT).text();
            Node::Version(said.map(|text| text.trim().to_owned()).into())
        }
    }
}

fn tmux() -> Fact<Option<String>> {
    let Ok(path) = site::tmux() else { return Fact::Known(None) };
    match Command::new(path).arg("-V").within(LIMIT).text() {
        Ok(text) => Fact::Known(Some(text.trim().trim_start_matches("tmux ").to_owned())),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

fn server(ask: &Ask) -> Fact<Option<String>> {
    let Ok(path) = site::tmux() else { return Fact::Known(None) };
    match Server::new(path, &ask.socket).within(LIMIT).look() {
        Ok(Tmux::Running { version, .. }) => Fact::Known(Some(version)),
        Ok(Tmux::Absent) | Err(TmuxError::NoServer { .. }) => Fact::Known(None),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

fn utf8() -> Fact<bool> {
    match Command::new("locale").arg("-a").within(LIMIT).text() {
        Ok(text) => {
            let is_it = |line: &str| matches!(line.to_ascii_lowercase().as_str(), "c.utf-8" | "c.utf8");
            Fact::Known(text.lines().any(is_it))
        }
        Err(CommandError::Missing { .. }) => Fact::Unknown("there is no program `locale` to ask".to_owned()),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_script_of_codex_without_its_binary_is_half_a_program() {
        let root = tempfile::tempdir().expect("a folder");
        let script = root.path().join("lib/node_modules/@openai/codex/bin/codex.js");
        fs::create_dir_all(script.parent().expect("a folder")).expect("made");
        fs::write(&script, "#!/usr/bin/env node\nx\n").expect("written");
        let link = root.path().join("codex");
        std::os::unix::fs::symlink(&script, &link).expect("linked");
        assert_eq!(native(&link), Native::Halved);
        fs::create_dir(root.path().join("lib/node_modules/@openai/codex-linux-x64")).expect("made");
        assert_eq!(native(&link), Native::Node);
        assert_eq!(native(Path::new("/bin/sh")), Native::Whole);
    }
}
