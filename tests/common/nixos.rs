//! `/etc/systemd/user` and `/etc/mosaic/fleet` as the NixOS module makes them, put into a rig the way NixOS has
//! them: links, through /etc/static, into a store that nobody writes to.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt;

/// What Nix built of tests/nixos/configuration.nix, with names in the place of store paths.
pub const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nixos/expected");

/// What is left out there, as it is the same for all.
pub const LEFT_OUT: [&str; 2] = ["framework", "tools/tmux"];

/// The program under test.
pub fn program() -> String {
    let command = Command::cargo_bin("fleet").expect("the program is built");
    command.get_program().to_str().expect("text").to_owned()
}

/// Puts a tree, which standard input holds as an archive, into the store and switches to it.
pub const SWITCH: &str = r#"
set -e
version=$1 store=/nix/store
files=$store/$version-files units=$store/$version-user-units etc=$store/$version-etc/etc
mkdir -p $files $units $etc/systemd
tar -x -C $files
cd $files/units
find . -type d -exec mkdir -p $units/{} \;
find . -type f -exec ln -s $files/units/{} $units/{} \;
find . -type l -exec cp -P {} $units/{} \;
ln -s $units $etc/systemd/user
cd $files
for tenant in mosaic/fleet/*; do
    mkdir -p $etc/$tenant
    for file in $tenant/*; do ln -s $files/$file $etc/$file; done
done
chown -R -h root:root $store
chmod -R a-w,a+rX $store
ln -sfn $etc /etc/static
[ -L /etc/systemd/user ] || mv /etc/systemd/user /etc/systemd/user.of-debian
ln -sfn /etc/static/systemd/user /etc/systemd/user
rm -rf /etc/mosaic/fleet
cd $etc
for tenant in mosaic/fleet/*; do
    mkdir -p /etc/$tenant
    for file in $tenant/*; do ln -s /etc/static/$file /etc/$file; done
done
"#;

/// Puts a home's tree into the store and links to its files into the home of that user, as home-manager does.
pub const HOME_SWITCH: &str = r#"
set -e
files=/nix/store/home-files home=$(getent passwd "$1" | cut -d: -f6)
mkdir -p $files
tar -x -C $files
chown -R -h root:root /nix/store
chmod -R a-w,a+rX /nix/store
cd $files
find . -type d -exec mkdir -p -m 0700 $home/{} \;
find . ! -type d -exec ln -s $files/{} $home/{} \;
chown -R -h "$1:" $home/.config
"#;

/// A tree to change before it is put somewhere.
pub struct Tree(tempfile::TempDir);

impl Tree {
    /// What Nix built, for the machine of that name and with the programs where a rig has them.
    pub fn expected(host: &str) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        copy(Path::new(EXPECTED), tree.path());
        for tenant in ["usc", "lab"] {
            name_machine(&tree.path().join(format!("mosaic/fleet/{tenant}/agents")), host);
        }
        let work = tempfile::tempdir().expect("a folder");
        for tenant in ["usc", "lab"] {
            let rendered = rendered(tenant, work.path()).join(".config/mosaic");
            for left_out in LEFT_OUT {
                let to = tree.path().join(format!("mosaic/fleet/{tenant}")).join(left_out);
                copy(&rendered.join(left_out), &to);
            }
        }
        tree
    }

    /// The tree of a home with the profile of `usc`, for the machine of that name.
    pub fn home(host: &str) -> Self {
        let (tree, work) =
            (Self(tempfile::tempdir().expect("a folder")), tempfile::tempdir().expect("a folder"));
        copy(&rendered("usc", work.path()), tree.path());
        name_machine(&tree.path().join(".config/mosaic/fleet/agents"), host);
        tree
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes one agent of a tenant away, as a configuration without it would: also its links, where no other tenant
    /// has it.
    pub fn without(self, tenant: &str, agent: &str) -> Self {
        let fleet = self.path().join("mosaic/fleet");
        fs::remove_file(fleet.join(format!("{tenant}/agents/{agent}.env"))).expect("it was there");
        let roster = fleet.join(tenant).join("roster.yaml");
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(&roster).expect("a roster")).expect("it is JSON");
        let agents = value["agents"].as_array_mut().expect("agents");
        agents.retain(|a| a["name"] != agent);
        fs::write(&roster, value.to_string()).expect("written");
        let others = fs::read_dir(&fleet).expect("tenants").flatten();
        if !others.into_iter().any(|other| other.path().join(format!("agents/{agent}.env")).exists()) {
            let units = self.path().join("units");
            for wants in ["default.target.wants", "mosaic-tmux-holder.service.wants"] {
                drop(fs::remove_file(units.join(wants).join(format!("mosaic-agent@{agent}.service"))));
            }
            drop(fs::remove_dir_all(units.join(format!("mosaic-agent@{agent}.service.d"))));
        }
        self
    }

    /// The tree as an archive.
    pub fn archive(&self) -> Vec<u8> {
        let tar = Command::new("tar").arg("-C").arg(self.path()).args(["-cf", "-", "."]).output();
        tar.expect("tar runs").stdout
    }
}

/// Names another machine in agents' environment files.
fn name_machine(agents: &Path, host: &str) {
    for env in fs::read_dir(agents).expect("agents") {
        let env = env.expect("an entry").path();
        let text = fs::read_to_string(&env).expect("text");
        let named = text.replace("MOSAIC_HOST=box\n", &format!("MOSAIC_HOST={host}\n"));
        assert_ne!(named, text, "{} names its machine", env.display());
        fs::write(env, named).expect("written");
    }
}

/// Copies a tree with its links; programs get the names they have in a rig.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_symlink() {
            symlink(fs::read_link(&path).expect("a link"), &target).expect("linked");
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            let text = fs::read_to_string(&path).expect("text");
            let text = text.replace("@package@", "/usr").replace("@tmux@", "/usr/bin/tmux");
            let text = text.replace(&program(), "/usr/bin/fleet");
            fs::write(&target, text).expect("written");
            if target.extension().is_some_and(|e| e == "sh") {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(&target, mode).expect("set");
            }
        }
    }
}

/// What `fleet render` writes for a tenant of that configuration.
pub fn rendered(tenant: &str, out: &Path) -> PathBuf {
    let mut fleet = Command::cargo_bin("fleet").expect("the program is built");
    fleet.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", out).env("MOSAIC_HOST", "box").arg("render");
    let tree = out.join(tenant);
    if tenant == "usc" {
        fleet.args(["--profile", "dogfood"]);
    } else {
        fleet.arg("--roster").arg(Path::new(EXPECTED).join("mosaic/fleet").join(tenant).join("roster.yaml"));
    }
    fleet.arg("--out").arg(&tree).args(["--tenant", tenant, "--home"]).arg(format!("/home/{tenant}"));
    let output = fleet.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    tree
}
