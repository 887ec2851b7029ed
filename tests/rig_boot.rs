//! The rig itself: what other tests rely on when they boot one.

#[path = "common/rig.rs"]
mod rig;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rig::{Kernel, Rig, Suite};

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn lingering_user_is_back_after_a_reboot_with_nobody_logged_in() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let uid = rig.add_lingering_user("demo");
        rig.write("/home/demo/notes/kept", "across a reboot", "demo");
        let first = rig.boot_id();

        rig.reboot();

        assert_ne!(rig.boot_id(), first, "{suite:?}");
        rig.wait_until("the user manager is back", BOUND, || rig.manager_runs(uid));
        assert_eq!(rig.read("/home/demo/notes/kept"), "across a reboot");
        let owner = rig.root_ok(&["stat", "-c", "%U", "/home/demo/notes/kept"]);
        assert_eq!(owner.trim(), "demo");
        let sessions = rig.root_ok(&["loginctl", "show-user", "--property=Sessions", "demo"]);
        assert!(!sessions.contains("background"), "nobody is logged in: {sessions}");
    }
}

#[test]
fn disk_outlives_a_power_cut() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let uid = rig.add_lingering_user("demo");
        let (first, machine) = (rig.boot_id(), rig.read("/etc/machine-id"));

        rig.kill_power();
        assert_ne!(rig.root(&["true"]).code, 0, "a rig without power runs nothing");
        rig.start();

        assert_ne!(rig.boot_id(), first, "{suite:?}");
        assert_eq!(rig.read("/etc/machine-id"), machine);
        rig.wait_until("the user manager is back", BOUND, || rig.manager_runs(uid));
    }
}

#[test]
fn commands_run_as_they_were_given() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        rig.add_user("demo");
        runs_commands_as_given(&rig);
    }
}

#[test]
fn only_a_login_has_a_session() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let uid = rig.add_user("demo");
        gives_only_a_login_a_session(&rig, uid);
    }
}

#[test]
fn killing_a_command_from_outside_ends_it_inside() {
    if Rig::skipped() {
        return;
    }
    let rig = Rig::boot(Suite::Bookworm);
    rig.add_user("demo");
    ends_a_command_with_its_caller(&rig);
}

#[test]
fn a_rig_with_a_kernel_of_its_own_is_used_as_any_other_on_debian_12() {
    own_kernel(Suite::Bookworm);
}

#[test]
fn a_rig_with_a_kernel_of_its_own_is_used_as_any_other_on_debian_13() {
    own_kernel(Suite::Trixie);
}

fn own_kernel(suite: Suite) {
    if Rig::skipped_with(Kernel::Own) {
        return;
    }
    let rig = Rig::boot_with(Kernel::Own, suite);
    let uid = rig.add_lingering_user("demo");
    runs_commands_as_given(&rig);
    gives_only_a_login_a_session(&rig, uid);
    ends_a_command_with_its_caller(&rig);
    let controllers = rig.read("/sys/fs/cgroup/cgroup.controllers");
    for controller in ["cpu", "memory", "pids"] {
        assert!(controllers.split_whitespace().any(|c| c == controller), "{controllers}");
    }
    let kernel = rig.root_ok(&["uname", "-r"]);
    assert!(kernel.contains("cloud"), "Debian's, not the host's: {kernel}");

    boots_again(&rig, uid);
    boots_after_its_power_was_cut(&rig, uid);

    let (name, group) = (rig.name().to_owned(), traces(rig.name()));
    assert!(group.len() > 1, "the emulator is found: {group:?}");
    drop(rig);
    assert_eq!(traces(&name), Vec::<String>::new());
}

fn boots_again(rig: &Rig, uid: u32) {
    rig.write("/home/demo/notes/kept", "across a reboot", "demo");
    let first = rig.boot_id();
    rig.reboot();
    assert_ne!(rig.boot_id(), first);
    rig.wait_until("the user manager is back", BOUND, || rig.manager_runs(uid));
    assert_eq!(rig.read("/home/demo/notes/kept"), "across a reboot");
}

fn boots_after_its_power_was_cut(rig: &Rig, uid: u32) {
    let before = rig.boot_id();
    // What was flushed outlives a power cut; what was not is lost, as on a machine.
    rig.as_user("demo", &["sh", "-c", "echo flushed >notes/kept && sync notes/kept && echo lost >notes/new"])
        .ok();
    rig.kill_power();
    assert_ne!(rig.root(&["true"]).code, 0, "a rig without power runs nothing");
    rig.start();
    assert_ne!(rig.boot_id(), before);
    assert_eq!(rig.read("/home/demo/notes/kept"), "flushed\n");
    assert_eq!(rig.root_ok(&["find", "/home/demo/notes", "-name", "new", "-size", "+0"]), "");
    rig.wait_until("the user manager is back", BOUND, || rig.manager_runs(uid));
}

fn runs_commands_as_given(rig: &Rig) {
    let words =
        ["two words", "", "'single' \"double\"", "line\nbreak", "$HOME ${x} $$ %h %%", "*", "-n", "\\", "é"];
    let mut argv = vec!["sh", "-c", r#"printf '<%s>' "$@"; cat; echo no >&2; exit 7"#, "sh"];
    argv.extend(words);
    let expected: String = words.iter().map(|word| format!("<{word}>")).collect();

    let run = rig.as_user_with("demo", &argv, b"input\n").exits(7);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (format!("{expected}input\n").as_str(), "no\n"));
    for run in [rig.root(&argv), rig.login("demo", &argv)] {
        let run = run.exits(7);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected.as_str(), "no\n"));
    }
}

fn gives_only_a_login_a_session(rig: &Rig, uid: u32) {
    let facts = [
        "sh",
        "-c",
        "id -u; pwd; echo $USER $HOME; echo \"${XDG_RUNTIME_DIR-none} ${XDG_SESSION_ID+session}\"",
    ];
    let bare = rig.as_user("demo", &facts).ok();
    assert_eq!(bare, format!("{uid}\n/home/demo\ndemo /home/demo\nnone \n"));
    let login = rig.login("demo", &facts).ok();
    assert_eq!(login, format!("{uid}\n/home/demo\ndemo /home/demo\n/run/user/{uid} session\n"));
    rig.root_ok(&["fleet", "--version"]);
    rig.as_user("demo", &["mosaic", "--version"]).ok();
}

fn ends_a_command_with_its_caller(rig: &Rig) {
    let sleeping = || rig.root(&["pgrep", "-u", "demo", "sleep"]).code == 0;
    let mut child =
        rig.as_user_command("demo", &["sleep", "600"]).stdin(Stdio::null()).spawn().expect("it starts");
    rig.wait_until("the command runs", BOUND, sleeping);
    child.kill().expect("it can be killed");
    assert_eq!(child.wait().expect("it ends").signal(), Some(9));
    rig.wait_until("the command has ended", BOUND, || !sleeping());
}

#[test]
fn two_at_once_do_not_see_each_other_and_leave_nothing() {
    if Rig::skipped() {
        return;
    }
    let rigs = Rig::boot_all(Suite::both());
    let [one, other] = &rigs;
    assert_ne!(one.boot_id(), other.boot_id());
    assert_ne!(one.read("/etc/machine-id"), other.read("/etc/machine-id"));
    one.add_lingering_user("demo");
    assert_ne!(other.root(&["id", "demo"]).code, 0);
    one.reboot();
    assert_eq!(other.root_ok(&["systemctl", "is-system-running"]).trim(), "running");

    let left: Vec<_> = rigs.iter().map(|rig| (rig.name().to_owned(), rig.path())).collect();
    drop(rigs);
    for (name, path) in left {
        assert!(!path.exists(), "{} is left", path.display());
        assert_eq!(traces(&name), Vec::<String>::new(), "{name}");
    }
}

/// Mounts, control groups and processes of the rig of this name; not the dead, which have no
/// command line any more and are for this machine's init to reap.
fn traces(name: &str) -> Vec<String> {
    let group = format!("mosaic-rig-{name}");
    // Another rig's name may begin with this one's.
    let names = |text: &str| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
        text.match_indices(&group).any(|(at, _)| ends(&text[at + group.len()..]))
    };
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc is there");
    let mut traces: Vec<String> = mounts.lines().filter(|line| names(line)).map(str::to_owned).collect();
    for mount in mounts.lines().filter(|line| line.contains(" cgroup")) {
        let point = mount.split(' ').nth(1).expect("a mount has a place");
        let folder = Path::new(point).join(&group);
        traces.extend(folder.exists().then(|| folder.display().to_string()));
    }
    for process in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let groups = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        if !command.is_empty() && names(&groups)
            || command.split('\0').any(|word| word.contains(&format!("/run/{name}/")))
        {
            traces.push(command.replace('\0', " "));
        }
    }
    traces
}
