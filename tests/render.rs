//! Golden trees: each folder of `tests/render/` is a case, a roster and the tree that it means, as
//! the reader would find it installed. `UPDATE_GOLDEN=1` writes the trees; read the diff.

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mosaic_fleet::error::{Error, Kind};
use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::HostName;
use mosaic_fleet::render::{Desired, RenderError, Role, Site, render};
use mosaic_fleet::roster;
use mosaic_fleet::runtime::Kind as RuntimeKind;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File { content: String, runs: bool },
    Link(PathBuf),
}

type Tree = BTreeMap<PathBuf, Entry>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The cases with their rosters' text.
fn cases() -> Vec<(PathBuf, String)> {
    let mut cases: Vec<_> = fs::read_dir(root().join("tests/render"))
        .expect("the cases")
        .map(|case| {
            let case = case.expect("a case").path();
            let text = fs::read_to_string(case.join("roster.yaml")).expect("a case has a roster");
            (case, text)
        })
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// A place that is the same everywhere but for the home.
fn site(home: &Path) -> Site {
    Site {
        layout: Layout::new(home, None),
        host: HostName::parse("h1").expect("a good name"),
        program: PathBuf::from("/usr/bin/fleet"),
        tmux: PathBuf::from("/usr/bin/tmux"),
    }
}

fn rendered(text: &str, site: &Site) -> Desired {
    let roster = roster::read(text, Path::new("roster.yaml"), "u").unwrap_or_else(|e| panic!("{e}"));
    render(&roster, site).unwrap_or_else(|e| panic!("{e}"))
}

/// The tree below the home. What the project ships for reading is the same in each and is left out.
fn tree(desired: &Desired, home: &Path) -> Tree {
    let below = |path: &Path| path.strip_prefix(home).expect("below the home").to_owned();
    let files = desired.files.iter().filter(|f| f.role != Role::Framework).map(|f| {
        let runs = f.mode & 0o100 != 0;
        (below(&f.path), Entry::File { content: f.content.clone(), runs })
    });
    let links = desired.links.iter().map(|l| (below(&l.path), Entry::Link(l.target.clone())));
    files.chain(links).collect()
}

fn read_tree(folder: &Path, below: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("it is there");
        let entry = if kind.is_symlink() {
            Entry::Link(path.read_link().expect("a link"))
        } else if kind.is_dir() {
            read_tree(&path, below, tree);
            continue;
        } else {
            let content = fs::read_to_string(&path).expect("text");
            Entry::File { content, runs: kind.permissions().mode() & 0o100 != 0 }
        };
        tree.insert(path.strip_prefix(below).expect("below").to_owned(), entry);
    }
}

fn write_tree(folder: &Path, tree: &Tree) {
    for (path, entry) in tree {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
        match entry {
            Entry::File { content, runs } => {
                fs::write(&path, content).expect("write");
                let mode = if *runs { 0o755 } else { 0o644 };
                fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set the mode");
            }
            Entry::Link(target) => symlink(target, &path).expect("link"),
        }
    }
}

#[test]
fn each_case_renders_to_the_tree_that_it_expects() {
    let home = Path::new("/home/u");
    for (case, text) in cases() {
        let tree = tree(&rendered(&text, &site(home)), home);
        let folder = case.join("expected");
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|on| on == "1") {
            let _ = fs::remove_dir_all(&folder);
            write_tree(&folder, &tree);
        }
        let mut expected = Tree::new();
        read_tree(&folder, &folder, &mut expected);
        let case = case.file_name().expect("a name").display();
        let (there, wanted): (Vec<_>, Vec<_>) = (tree.keys().collect(), expected.keys().collect());
        assert_eq!(there, wanted, "{case}: other paths; UPDATE_GOLDEN=1 writes them down");
        for (path, entry) in &tree {
            let shown = path.display();
            match (entry, &expected[path]) {
                (Entry::File { content, runs }, Entry::File { content: wanted, runs: wanted_runs })
                    if content != wanted || runs != wanted_runs =>
                {
                    let diff = similar::TextDiff::from_lines(wanted, content);
                    panic!(
                        "{case}: {shown} (runs: {runs})\n{}",
                        diff.unified_diff().header("expected", "rendered")
                    );
                }
                (entry, wanted) => assert_eq!(entry, wanted, "{case}: {shown}"),
            }
        }
    }
}

#[test]
fn only_the_owner_reads_files_and_only_scripts_run() {
    for (_, text) in cases() {
        for file in rendered(&text, &site(Path::new("/home/u"))).files {
            assert_eq!(file.mode, if file.role == Role::Script { 0o700 } else { 0o600 }, "{file:?}");
        }
    }
}

#[test]
fn what_the_project_ships_for_reading_is_installed_as_it_stands() {
    let site = site(Path::new("/home/u"));
    let desired = rendered("version: 1\n", &site);
    let installed: Tree = desired
        .files
        .iter()
        .filter(|f| f.role == Role::Framework)
        .map(|f| {
            let path = f.path.strip_prefix(site.layout.framework()).expect("below the framework");
            (path.to_owned(), Entry::File { content: f.content.clone(), runs: false })
        })
        .collect();
    let mut shipped = Tree::new();
    read_tree(&root().join("framework"), &root().join("framework"), &mut shipped);
    assert_eq!(installed.keys().collect::<Vec<_>>(), shipped.keys().collect::<Vec<_>>());
    assert!(installed == shipped, "the same paths, other content");
}

/// A folder's name that units and scripts have to escape.
const ODD: &str = "a b%h;é #";

#[test]
#[allow(clippy::print_stderr, reason = "a test's own words")]
fn systemd_has_nothing_to_say_against_any_rendered_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    }
    for (case, text) in cases() {
        for (home, mosaic) in [("home", None), (ODD, None), ("home", Some(ODD))] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let layout = Layout::new(folder.path().join(home), mosaic.map(|m| folder.path().join(m)));
            // What units run must be there.
            let program = folder.path().join("50% fleet");
            symlink("/bin/true", &program).expect("link");
            let site = Site { program, tmux: "/bin/true".into(), layout, ..site(Path::new("/")) };
            let desired = rendered(&text, &site);
            write_tree(folder.path(), &tree(&desired, folder.path()));
            let said = systemd_says(&site.layout, &desired);
            assert_eq!(said, "", "{} in {home:?}, {mosaic:?}", case.display());
        }
    }
}

/// What systemd says against these units as it reads them.
fn systemd_says(layout: &Layout, desired: &Desired) -> String {
    let runtime = tempfile::tempdir().expect("a temporary folder");
    let out = Command::new("systemd-analyze")
        .args(["--user", "verify", "default.target", "./mosaic-agent@.service"])
        .args(desired.units.iter().map(|unit| format!("./{}", unit.name)))
        .current_dir(layout.units())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", layout.home())
        .env("XDG_RUNTIME_DIR", runtime.path())
        .stdin(Stdio::null())
        .output()
        .expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    if out.status.success() { said } else { format!("{}: {said}", out.status) }
}

#[test]
fn a_place_that_no_unit_can_name_is_refused_with_its_rule() {
    let roster =
        roster::read("version: 1\n", Path::new("roster.yaml"), "u").unwrap_or_else(|e| panic!("{e}"));
    let plain = site(Path::new("/home/u"));
    let moved = |mosaic: &str| Site { layout: Layout::new("/home/u", Some(mosaic.into())), ..plain.clone() };
    for site in [
        site(Path::new("/home/o'neil")),
        moved("/srv/$HOME"),
        Site { program: "fleet".into(), ..plain.clone() },
        Site { tmux: "/opt/back\\slash/tmux".into(), ..plain.clone() },
        Site { tmux: "/opt/new\nline/tmux".into(), ..plain.clone() },
    ] {
        let error = render(&roster, &site).expect_err("no unit can name that");
        assert!(matches!(error, RenderError::Place { .. }), "{error}");
        assert_eq!(Error::from(error).kind, Kind::Machine);
    }
}

#[test]
fn a_variable_that_no_pane_could_have_is_refused_with_its_agent() {
    let yaml = |name: &str, value: &str| {
        format!("version: 1\nagents:\n- {{name: a, runtime: dogfood, env: {{{name}: \"{value}\"}}}}\n")
    };
    let refused = |text: &str| {
        let roster = roster::read(text, Path::new("roster.yaml"), "u").unwrap_or_else(|e| panic!("{e}"));
        Error::from(render(&roster, &site(Path::new("/home/u"))).expect_err("refused"))
    };
    let error = refused(&yaml("TMUX", "/tmp/tmux-1000/default,1,0"));
    assert_eq!(error.kind, Kind::Input);
    assert!(error.message.contains("agent a: variable TMUX"), "{error}");
}

/// A stub in the place of `fleet` that shows how it was called.
fn stub(path: &Path) {
    let text = "#!/bin/sh\necho \"${0##*/} $# $* $MOSAIC_HOME\"\n";
    program::write(path, text);
}

#[test]
fn the_start_script_hands_its_arguments_to_the_program_wherever_it_is() {
    for shell in ["sh", "bash"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().join(ODD);
        let layout = Layout::new(&home, None);
        let site = Site { program: home.join("fleet"), layout, ..site(Path::new("/")) };
        let path = site.layout.start_script();
        write_tree(&home, &tree(&rendered("version: 1\n", &site), &home));
        let on_path = folder.path().join("bin");
        let run = |mosaic: Option<&str>| {
            let mut command = Command::new(shell);
            command.arg(&path).args(["--replace", "a b"]).env_clear().stdin(Stdio::null());
            command.env("PATH", format!("{}:/usr/bin:/bin", on_path.display()));
            command.envs(mosaic.map(|m| ("MOSAIC_HOME", m)));
            command.output().unwrap_or_else(|e| panic!("{shell}: {e}"))
        };
        let nowhere = run(None);
        assert_eq!(nowhere.status.code(), Some(127));
        let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
        assert!(said.contains("install") && said.contains(&home.display().to_string()), "{said}");

        let baked = site.layout.mosaic().display();
        let called = |run: std::process::Output| String::from_utf8_lossy(&run.stdout).into_owned();
        stub(&on_path.join("fleet"));
        assert_eq!(called(run(None)), format!("fleet 4 session start --replace a b {baked}\n"));
        assert_eq!(called(run(Some("/else"))), "fleet 4 session start --replace a b /else\n");
        stub(&site.program);
        fs::write(on_path.join("fleet"), "#!/bin/sh\nexit 1\n").expect("write");
        assert_eq!(called(run(None)), format!("fleet 4 session start --replace a b {baked}\n"));
    }
}

#[test]
fn what_a_runtime_loads_is_installed_where_its_launch_looks() {
    let site = site(Path::new("/home/u"));
    let desired = rendered("version: 1\nagents: []\n", &site);
    for (name, kind) in RuntimeKind::BUILT_IN {
        let Some(adapter) = kind.adapter() else { continue };
        let path = site.layout.framework().join(adapter);
        let there = desired.files.iter().any(|f| f.path == path && f.role == Role::Framework);
        assert!(there, "{name}: {}", path.display());
    }
}
