//! What people write and what is installed: rosters, roles, environment files, units, the ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mosaic_fleet::adopt::overrides;
use mosaic_fleet::envfile;
use mosaic_fleet::ledger::Ledger;
use mosaic_fleet::lint::{self, Folder, Links, Sources, Text, words};
use mosaic_fleet::names::{EnvName, HostName};
use mosaic_fleet::render::{Role, Site, render};
use mosaic_fleet::roster::{self, roles};
use mosaic_fleet::runtime::version;
use mosaic_fleet::yaml;

use super::{is_fit, layout, parts, text};

/// What a program says that it is.
pub fn a_version(bytes: &[u8]) {
    let text = text(bytes);
    if let Some((major, minor)) = mosaic_fleet::doctor::version::of(&text) {
        assert!(text.contains(|c: char| c.is_ascii_digit()), "{major}.{minor} of {text:?}");
    }
}

pub fn a_roster(bytes: &[u8]) {
    let roster = match roster::read_bytes(bytes, Path::new("roster.yaml"), "u") {
        Ok(roster) => roster,
        Err(problems) => return is_fit(&problems.to_string()),
    };
    let site = Site {
        layout: layout(),
        host: HostName::parse("h1").expect("a name"),
        program: PathBuf::from("/usr/bin/fleet"),
        tmux: PathBuf::from("/usr/bin/tmux"),
    };
    let desired = match render(&roster, &site) {
        Ok(desired) => desired,
        Err(error) => return is_fit(&error.to_string()),
    };
    // systemd must read in each environment file what we meant, so our reader, which reads as it does, has to.
    for file in desired.files.iter().filter(|f| matches!(f.role, Role::AgentEnv(_))) {
        assert!(
            envfile::read(file.content.as_bytes()).is_ok(),
            "{}: {:?}",
            file.path.display(),
            file.content
        );
    }
    let again = render(&roster, &site).expect("it was rendered before");
    assert!(again.files.iter().map(|f| &f.content).eq(desired.files.iter().map(|f| &f.content)));
}

pub fn a_role(bytes: &[u8]) {
    let text = text(bytes);
    if let Err(problems) = roles::read(&text, Path::new("role.md")) {
        is_fit(&problems.to_string());
    }
    if let Err(problem) = yaml::parse(&text) {
        let _ = problem;
    }
}

pub fn a_ledger(bytes: &[u8]) {
    let layout = layout();
    match Ledger::from_text(&text(bytes), &layout) {
        Ok(ledger) => {
            let written = ledger.to_text(&layout);
            assert_eq!(Ledger::from_text(&written, &layout).as_ref().ok(), Some(&ledger), "{written}");
            for path in ledger.files.keys().chain(ledger.links.keys()) {
                let below = path.starts_with("/home/u") && !path.components().any(|c| c.as_os_str() == "..");
                assert!(below, "{}: a licence to delete elsewhere", path.display());
            }
        }
        Err(error) => is_fit(&error.to_string()),
    }
}

pub fn an_envfile(bytes: &[u8]) {
    // Bytes that are no text are passed over where no variable is made of them, as systemd does.
    if let (Ok(read), Ok(text)) = (envfile::read(bytes), std::str::from_utf8(bytes)) {
        assert_eq!(read, envfile::parse(text));
    }
}

/// What the writer takes, the reader gives back.
pub fn an_envfile_of_ours(bytes: &[u8]) {
    let text = text(bytes);
    let values: Vec<String> = text.split('\u{1f}').map(str::to_owned).collect();
    let names: Vec<EnvName> =
        (0..values.len()).map(|at| EnvName::parse(&format!("V{at}")).expect("a name")).collect();
    let vars: Vec<(EnvName, &str)> = names.iter().cloned().zip(values.iter().map(String::as_str)).collect();
    if vars.iter().any(|(name, value)| envfile::check(name, value).is_err()) {
        assert!(envfile::write(&vars).is_err());
        return;
    }
    let Ok(written) = envfile::write(&vars) else { return };
    let read = envfile::read(written.as_bytes()).expect("it reads what it wrote");
    let meant: Vec<(String, String)> = vars.iter().map(|(n, v)| (n.to_string(), (*v).to_owned())).collect();
    assert_eq!(read, meant, "{written:?}");
}

pub fn a_unit(bytes: &[u8]) {
    let text = text(bytes);
    let _ = words::settings(&text);
    let _ = (words::specifiers(&text), words::variables(&text));
    let _ = words::expand_at(&text, "mosaic-agent@coder0.service", "/home/u");
}

pub fn a_package(bytes: &[u8]) {
    if let Some(Ok(version)) = version::in_package(bytes, "pi") {
        is_fit(&version);
    }
}

/// Units of one folder, each its name and its text: however they wait for each other, it comes to an end.
pub fn some_units(bytes: &[u8]) {
    let text = text(bytes);
    let mut folder = Folder { path: PathBuf::from("/home/u/.config/systemd/user"), ..Folder::default() };
    let mut links = Links::new();
    for part in parts(&text) {
        let (name, content) = part.split_once('\n').unwrap_or((part, ""));
        let content = if content.is_empty() { Text::Masked } else { Text::Plain(content.to_owned()) };
        match name.split_once('/') {
            Some((of, name)) => {
                folder.drop_ins.entry(of.to_owned()).or_default().insert(name.to_owned(), content);
            }
            None => {
                links.insert(("default.target".to_owned(), name.to_owned()));
                folder.units.insert(name.to_owned(), content);
            }
        }
    }
    for cycle in lint::boot_cycles(&Sources { folders: vec![folder] }, &links) {
        assert!(!cycle.edges.is_empty() && !cycle.units.is_empty(), "{cycle:?}");
    }
}

/// A file that was written by hand, the rendered one and the local one.
pub fn some_overrides(bytes: &[u8]) {
    let whole = text(bytes);
    let [old, rendered, local] = [0, 1, 2].map(|number| parts(&whole).nth(number));
    let Ok(found) = overrides(old.unwrap_or_default().as_bytes(), rendered.unwrap_or_default(), local) else {
        return;
    };
    let read: BTreeMap<String, String> =
        envfile::parse(found.text.as_deref().or(local).unwrap_or_default()).into_iter().collect();
    assert!(found.kept.iter().all(|name| read.contains_key(name)), "{found:?}");
}
