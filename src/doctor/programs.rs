//! tmux, the runtimes and what they stand on.

use std::path::Path;

use super::check::Check;
use super::facts::{Found, Native, Node, Programs, Runtime, Wanted};
use super::version;
use crate::snapshot::Fact;

/// The oldest tmux that tells how a pane ended.
const TMUX: (u32, u32) = (3, 3);
/// The oldest node that each runtime's package takes.
const NODE: [(&str, (u32, u32)); 2] = [("pi", (20, 6)), ("codex", (16, 0))];

/// The checks.
pub fn checks(programs: &Programs) -> Vec<Check> {
    let mut checks = vec![own(programs), tmux(programs), server(programs)];
    checks.extend(programs.runtimes.iter().map(runtime));
    checks.extend(node(programs));
    checks.push(locale(programs));
    checks
}

fn own(programs: &Programs) -> Check {
    match &programs.own {
        None => Check::ok("programs", "fleet and mosaic are in one folder"),
        Some(why) => Check::bad(
            "programs",
            why,
            "fleet and mosaic are in one folder",
            "install both programs into one folder, for instance /usr/local/bin",
        ),
    }
}

fn tmux(programs: &Programs) -> Check {
    let (id, expected) = ("tmux", "3.3 or later");
    Check::of(id, &programs.tmux, expected, |version| match version {
        None => Check::bad(id, "not installed", expected, "sudo apt install tmux"),
        Some(text) => old_or_new(id, text, expected, "install tmux 3.3 or later"),
    })
}

fn server(programs: &Programs) -> Check {
    let (id, expected) = ("tmux-server", "3.3 or later, or none yet");
    Check::of(id, &programs.server, expected, |version| match version {
        None => Check::ok(id, "none runs yet"),
        Some(text) => {
            let check = old_or_new(id, text, expected, "fleet restart --holder, which ends every pane");
            let installed = programs.tmux.known().and_then(Option::as_ref);
            match installed.filter(|new| check.ok && *new != text) {
                Some(new) => {
                    Check::ok(id, format!("{text}; {new} is installed and runs from the holder's next start"))
                }
                None => check,
            }
        }
    })
}

fn old_or_new(id: &str, text: &str, expected: &str, cure: &str) -> Check {
    match version::of(text) {
        None => Check::unknown(id, format!("its version is {text:?}"), expected),
        Some(version) if version < TMUX => {
            Check::bad(id, format!("{text}: it does not tell how a pane ended"), expected, cure)
        }
        Some(_) => Check::ok(id, text),
    }
}

fn runtime(runtime: &Runtime) -> Check {
    let name = &runtime.wanted.name;
    let id = format!("runtime-{name}");
    let expected = "a program that agents find on their PATH";
    let install = runtime.wanted.package.map_or_else(
        || format!("install {name}, or set runtimes.{name}.bin in the roster"),
        |package| format!("npm install -g {package}"),
    );
    match &runtime.found {
        Found::There(path, Native::Halved) => Check::bad(
            id,
            format!("{} is there, and the binary that it calls is not", path.display()),
            expected,
            format!("{install} --include=optional"),
        ),
        Found::There(path, _) => Check::ok(id, path.display().to_string()),
        Found::OnlyHere(path) => Check::bad(
            id,
            format!("{} is on your PATH, and not on that of agents", path.display()),
            expected,
            format!("say where it is: runtimes.{name}.bin in the roster, or a link to it in ~/.local/bin"),
        ),
        Found::Broken(files) => {
            let told: Vec<String> = files.iter().map(|(path, why)| told(path, why)).collect();
            Check::bad(id, told.join("; "), expected, repair(&runtime.wanted).unwrap_or(install))
        }
        Found::Missing => Check::bad(id, "not installed", expected, install),
    }
}

fn told(path: &Path, why: &str) -> String {
    format!("{} is {why}", path.display())
}

/// What puts a program in the place of what npm left where it ran no install script.
fn repair(wanted: &Wanted) -> Option<String> {
    Some(format!("cd \"$(npm root -g)/{}\" && node {}", wanted.package?, wanted.script?))
}

fn node(programs: &Programs) -> Option<Check> {
    let oldest = NODE
        .iter()
        .filter(|(name, _)| programs.runtimes.iter().any(|r| r.wanted.name.as_str() == *name))
        .map(|(_, version)| *version)
        .max()
        .unwrap_or((0, 0));
    let (id, expected) = ("node", format!("{}.{} or later", oldest.0, oldest.1));
    let cure = "install a later node, for instance from nodesource.com, where agents find it";
    Some(match &programs.node {
        Node::NotAsked => return None,
        Node::Missing => Check::bad(id, "not on the PATH of agents", expected, cure),
        Node::Version(version) => Check::of(id, version, &expected, |text| match version::of(text) {
            None => Check::unknown(id, format!("its version is {text:?}"), &expected),
            Some(seen) if seen < oldest => Check::bad(id, text, &expected, cure),
            Some(_) => Check::ok(id, text),
        }),
    })
}

fn locale(programs: &Programs) -> Check {
    let (id, expected) = ("locale", "C.UTF-8 is there");
    match programs.utf8 {
        Fact::Known(true) => Check::ok(id, expected),
        Fact::Known(false) => Check::warn(
            id,
            "no C.UTF-8: tmux would mangle what agents print",
            expected,
            "install the locale C.UTF-8: sudo localedef -i C -f UTF-8 C.UTF-8",
        ),
        Fact::Unknown(ref why) => Check::unknown(id, why, expected),
    }
}
