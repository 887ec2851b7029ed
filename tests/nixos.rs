//! The tree that the NixOS module builds, as tests/nixos/expected holds it (nix/checks/golden compares it with what
//! Nix builds): the same, byte for byte, as what fleet renders and what it applies off NixOS, but for the programs.

#[path = "common/nixos.rs"]
mod nixos;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;
use nixos::{EXPECTED, LEFT_OUT, program, rendered};

type Files = BTreeMap<PathBuf, String>;

/// Every file and link below a folder, by its path there; a link by what it says.
fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(folder).expect("below").to_owned();
            if path.is_symlink() {
                let says = fs::read_link(&path).expect("a link");
                found.insert(below, format!("-> {}", says.display()));
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(below, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

/// With names in the place of programs, as the expected tree has them.
fn named(text: &str) -> String {
    text.replace(&program(), "@package@/bin/fleet").replace("/usr/bin/tmux", "@tmux@")
}

/// The files of a tenant's tree that its machine has in the folder of that name.
fn below(tree: &Files, folder: &str) -> Files {
    let of =
        |(path, text): (&PathBuf, &String)| Some((path.strip_prefix(folder).ok()?.to_owned(), named(text)));
    tree.iter().filter_map(of).collect()
}

#[test]
fn the_files_of_each_tenant_are_what_fleet_renders_of_its_roster() {
    let work = tempfile::tempdir().expect("a folder");
    for tenant in ["usc", "lab"] {
        let tree = files(&rendered(tenant, work.path()));
        let mut mosaic = below(&tree, ".config/mosaic/fleet");
        for part in ["tools", "framework"] {
            let files = below(&tree, &format!(".config/mosaic/{part}"));
            mosaic.extend(files.into_iter().map(|(path, text)| (Path::new(part).join(path), text)));
        }
        for part in LEFT_OUT {
            let before = mosaic.len();
            mosaic.retain(|path, _| !path.starts_with(part));
            assert!(mosaic.len() < before, "{part} is rendered");
        }
        let part = format!("mosaic/fleet/{tenant}");
        if updates() {
            update(&part, &mosaic);
        }
        let mut expected = files_of(&part);
        // What the configuration says beside the roster.
        assert_eq!(expected.remove(Path::new("environment-files")).is_some(), tenant == "lab");
        assert_eq!(mosaic, expected, "{tenant}");
    }
}

/// Whether the rendered part of the expected tree is written anew: after a change of a template.
fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Writes what is rendered of a part of the tree; what the configuration adds to it stays.
fn update(part: &str, rendered: &Files) {
    for (path, text) in rendered.iter().filter(|(_, text)| !text.starts_with("-> ")) {
        let path = Path::new(EXPECTED).join(part).join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
}

fn files_of(part: &str) -> Files {
    files(&Path::new(EXPECTED).join(part))
}

#[test]
fn the_units_are_what_fleet_renders_for_any_of_the_tenants_and_links_for_all_of_them() {
    let work = tempfile::tempdir().expect("a folder");
    let mut all = Files::new();
    for tenant in ["usc", "lab"] {
        for (path, text) in below(&files(&rendered(tenant, work.path())), ".config/systemd/user") {
            // The module's links say the instance's own name, which is how NixOS makes them.
            let text = match (text.strip_prefix("-> ../mosaic-agent@."), path.file_name()) {
                (Some(_), Some(unit)) => format!("-> ../{}", unit.to_string_lossy()),
                _ => text,
            };
            let other = all.insert(path.clone(), text.clone());
            assert!(other.is_none_or(|other| other == text), "{} differs between tenants", path.display());
        }
    }
    if updates() {
        update("units", &all);
    }
    let machine = files_of("units");
    let ours = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "overrides.conf");
    let guards: Vec<&PathBuf> = machine.keys().filter(ours).collect();
    for guard in &guards {
        let text = &machine[*guard];
        assert!(text.contains("\nConditionPathExists=/etc/mosaic/fleet/%u/"), "{}: {text}", guard.display());
    }
    for unit in ["mosaic-tmux-holder.service", "mosaic-agent@.service", "mosaic-agent@coder.service"] {
        assert!(guards.iter().any(|guard| guard.starts_with(format!("{unit}.d"))), "{unit} is guarded");
    }
    let rest: Files =
        machine.iter().filter(|(path, _)| !ours(path)).map(|(p, t)| (p.clone(), t.clone())).collect();
    assert_eq!(rest, all);
}

#[test]
fn an_apply_off_nixos_writes_the_same_files() {
    let work = tempfile::tempdir().expect("a folder");
    let home = work.path().join("home");
    let fleet = home.join(".config/mosaic/fleet");
    fs::create_dir_all(&fleet).expect("made");
    fs::copy(Path::new(EXPECTED).join("mosaic/fleet/lab/roster.yaml"), fleet.join("roster.yaml"))
        .expect("copied");
    let mut apply = Command::cargo_bin("fleet").expect("the program is built");
    apply.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &home).args(["apply", "--files-only"]);
    let output = apply.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = files(&home);
    for (path, expected) in files(&rendered("lab", work.path())) {
        if expected.starts_with("-> ") {
            continue;
        }
        let text = written.get(&path).unwrap_or_else(|| panic!("{} is there", path.display()));
        let text = text.replace(home.to_str().expect("text"), "/home/lab");
        let of_the_machine = |text: &str| -> Vec<String> {
            let differs =
                |line: &&str| line.starts_with("MOSAIC_HOST=") || line.starts_with("MOSAIC_TENANT_ID=");
            text.lines().filter(|line| !differs(line)).map(str::to_owned).collect()
        };
        assert_eq!(of_the_machine(&text), of_the_machine(&expected), "{}", path.display());
    }
}
