//! `fleet render`: what a person gets, good and bad.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_fs::TempDir;
use assert_fs::prelude::*;
use predicates::prelude::*;

/// `fleet render` of a user with an empty home.
struct User(TempDir);

impl User {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn out(&self) -> PathBuf {
        self.home().join("out")
    }

    fn render(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("fleet").expect("the program is built");
        command.env_clear().env("HOME", self.home()).env("PATH", "/usr/bin:/bin").env("MOSAIC_HOST", "h1");
        command.arg("render").arg("--out").arg(self.out()).args(args);
        command
    }
}

/// Every file and link below a folder, with its mode.
fn tree(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let kind = path.symlink_metadata().expect("it is there");
            if kind.is_dir() {
                folders.push(path);
            } else {
                let mode = if kind.is_symlink() { 0 } else { kind.permissions().mode() & 0o777 };
                all.insert(path.strip_prefix(folder).expect("below").to_owned(), mode);
            }
        }
    }
    all
}

#[test]
fn a_profile_becomes_the_tree_of_a_home_and_nothing_else_is_written() {
    let user = User::new();
    user.render(&["--profile", "dogfood", "--home", "/home/usc", "--tenant", "usc"])
        .assert()
        .success()
        .stdout("")
        .stderr(predicate::str::contains("of tenant usc for /home/usc are below"));
    let tree = tree(&user.out());
    for (path, mode) in [
        (".config/mosaic/fleet/roster.yaml", 0o600),
        (".config/mosaic/fleet/agents/coder.env", 0o600),
        (".config/mosaic/fleet/tmux.conf", 0o600),
        (".config/mosaic/framework/fleet/roster.schema.json", 0o600),
        (".config/mosaic/tools/fleet/start-agent-session.sh", 0o700),
        (".config/systemd/user/mosaic-agent@.service", 0o600),
        (".config/systemd/user/default.target.wants/mosaic-agent@coder.service", 0),
    ] {
        assert_eq!(tree.get(Path::new(path)), Some(&mode), "{path}");
    }
    assert_eq!(fs::read_dir(user.home()).expect("the home").count(), 1, "only the folder asked for");
    let env = fs::read_to_string(user.out().join(".config/mosaic/fleet/agents/coder.env")).expect("there");
    for line in ["MOSAIC_HOME=/home/usc/.config/mosaic", "MOSAIC_TENANT_ID=usc", "MOSAIC_HOST=h1"] {
        assert!(env.lines().any(|l| l == line), "{line} in {env}");
    }
}

#[test]
fn the_rosters_file_is_there_byte_for_byte_and_renders_to_the_same_tree_again() {
    let user = User::new();
    let roster = "# mine\nversion: 1\nagents: [{name: a, runtime: dogfood}]   # é\n";
    user.0.child("my.yaml").write_str(roster).expect("written");
    let mine = user.home().join("my.yaml");
    let mine = mine.to_str().expect("text");
    user.render(&["--home", "/home/x", "--roster", mine]).assert().success();
    let there = user.out().join(".config/mosaic/fleet/roster.yaml");
    assert_eq!(fs::read_to_string(&there).expect("there"), roster);
    let first = tree(&user.out());
    fs::rename(user.out(), user.home().join("first")).expect("moved");
    user.render(&["--home", "/home/x", "--roster", mine]).assert().success();
    assert_eq!(tree(&user.out()), first);
}

#[test]
fn without_a_name_the_installed_roster_is_rendered() {
    let user = User::new();
    user.render(&[]).assert().code(3).stderr(predicate::str::contains("there is no roster"));
    user.0
        .child(".config/mosaic/fleet/roster.yaml")
        .write_str("version: 1\ntenant_id: t9\n")
        .expect("written");
    user.render(&[]).assert().success().stderr(predicate::str::contains("tenant t9"));
}

#[test]
fn a_folder_that_holds_something_is_refused_and_one_that_is_empty_is_filled() {
    let user = User::new();
    fs::create_dir(user.out()).expect("made");
    user.render(&["--profile", "minimal"]).assert().success();
    user.render(&["--profile", "minimal"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("is not empty: nothing was written"));
}

#[test]
fn what_would_have_no_place_in_the_tree_is_refused() {
    let user = User::new();
    user.render(&["--profile", "minimal", "--mosaic-home", "/srv/mosaic"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("outside the home"));
    user.render(&["--profile", "minimal", "--home", "relative"]).assert().code(2);
    user.render(&["--profile", "minimal", "--roster", "x.yaml"]).assert().code(2);
    user.render(&["--profile", "minimal", "--tenant", "a b"]).assert().code(2);
    assert!(!user.out().exists());
}

#[test]
fn a_mosaic_home_of_its_own_below_the_home_is_kept() {
    let user = User::new();
    user.render(&["--profile", "minimal", "--home", "/home/x", "--mosaic-home", "/home/x/m"])
        .assert()
        .success();
    assert!(user.out().join("m/fleet/tmux.conf").exists());
    let unit = fs::read_to_string(user.out().join(".config/systemd/user/mosaic-tmux-holder.service"));
    assert!(unit.expect("there").contains("-f %h/m/fleet/tmux.conf\n"));
}

#[test]
fn a_callers_own_default_follows_the_home_that_is_asked_for() {
    let user = User::new();
    let own = user.home().join(".config/mosaic");
    user.render(&["--profile", "minimal", "--home", "/home/x"]).env("MOSAIC_HOME", own).assert().success();
    assert!(user.out().join(".config/mosaic/fleet/tmux.conf").exists());
}

#[test]
fn a_wrong_roster_leaves_nothing_behind() {
    let user = User::new();
    user.0.child("bad.yaml").write_str("version: 1\nagnets: []\n").expect("written");
    let bad = user.home().join("bad.yaml");
    user.render(&["--roster", bad.to_str().expect("text")])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("bad.yaml:2:1"));
    assert!(!user.out().exists());
}

#[test]
fn a_fleet_that_no_supervisor_could_run_is_refused_as_apply_refuses_it() {
    let user = User::new();
    let text = "version: 1\ntransport: none\nagents: [{name: a, runtime: dogfood}]\n";
    user.0.child("none.yaml").write_str(text).expect("written");
    let none = user.home().join("none.yaml");
    user.render(&["--roster", none.to_str().expect("text")])
        .assert()
        .code(3)
        .stderr(predicate::str::contains("transport: none"));
    assert!(!user.out().exists());
}
