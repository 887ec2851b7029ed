//! An apply that is killed by SIGKILL at each of its steps in turn, or loses the manager or its disk in the
//! middle: the next one makes the machine the same as a run that nothing disturbed.

mod disk;
#[path = "../common/fleet.rs"]
mod fleet;
#[path = "../common/measured.rs"]
mod measured;
#[path = "../common/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fleet::rig::{Rig, Run, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};

/// What tells a program under test where it ends itself; honoured by debug builds only.
const INTERRUPT: &str = "MOSAIC_TEST_INTERRUPT";
const NOTHING: &str = "Nothing to do: ";
const SIGKILL: i32 = 9;

/// Whether the programs under test can be interrupted at all.
fn released() -> bool {
    !cfg!(debug_assertions)
}

/// A roster whose one agent stays, whose second changes and whose third comes or goes.
fn roster(which: &str) -> String {
    format!(
        "version: 1\nruntimes: {{quiet: {{command: sleep 100000}}}}\ndefaults: {{runtime: quiet}}\nagents:\n  \
         - {{name: coder}}\n  - {{name: coder0, env: {{A: {which}}}}}\n  \
         - {{name: {which}, limits: {{tasks_max: 500}}}}\n"
    )
}

fn other(which: &str) -> &'static str {
    if which == "one" { "two" } else { "one" }
}

#[test]
fn files_are_the_same_whichever_step_of_writing_them_a_kill_met() {
    if released() {
        return;
    }
    // Links and units, too: a home that is not the caller's own has no manager to ask.
    std::thread::scope(|scope| {
        for verb in [&["apply", "--files-only"][..], &["apply"]] {
            scope.spawn(move || files_are_the_same(verb));
        }
    });
}

fn files_are_the_same(verb: &[&str]) {
    // Every home in the same place, since its path stands in what is written; in memory where that can be
    // had, since who is killed loses nothing that was written, on disk or not.
    let memory = tempfile::tempdir_in("/dev/shm");
    let scratch = memory.or_else(|_| tempfile::tempdir()).expect("a folder");
    let place = || Home::new(scratch.path().join("home"));
    let whole = |which: &str| {
        let home = place();
        home.apply(verb, "one", None);
        home.apply(verb, which, None);
        let tree = home.tree();
        home.remove();
        tree
    };
    let (first, second) = (whole("one"), whole("two"));
    assert!(first != second);
    let mut met = 0;
    for step in 1.. {
        let home = place();
        // The first time, everything is new.
        let begun = home.apply(verb, "one", Some(step));
        home.apply(verb, "one", None);
        same(&home.tree(), &first, &format!("{verb:?}: new, killed at step {step}"));
        let changed = home.apply(verb, "two", Some(step));
        home.apply(verb, "two", None);
        same(&home.tree(), &second, &format!("{verb:?}: changed, killed at step {step}"));
        home.remove();
        let killed = |output: &Output| output.status.signal() == Some(SIGKILL);
        met += usize::from(killed(&begun)) + usize::from(killed(&changed));
        if !killed(&begun) && !killed(&changed) {
            break;
        }
    }
    assert!(met > 60, "{verb:?}: only {met} steps were met");
}

/// Compares two trees and shows no more than what differs.
fn same(seen: &BTreeMap<String, String>, expected: &BTreeMap<String, String>, when: &str) {
    let paths: BTreeSet<&String> = seen.keys().chain(expected.keys()).collect();
    for path in paths {
        assert_eq!(seen.get(path), expected.get(path), "{when}: {path}");
    }
}

struct Home(PathBuf);

impl Home {
    fn new(path: PathBuf) -> Self {
        let bin = path.join("bin");
        program::write(&bin.join("tmux"), "#!/bin/sh\nexit 1\n");
        fs::create_dir_all(path.join(".config/mosaic/fleet")).expect("made");
        Self(path)
    }

    fn remove(self) {
        fs::remove_dir_all(self.0).expect("removed");
    }

    fn apply(&self, verb: &[&str], which: &str, killed_at: Option<u32>) -> Output {
        fs::write(self.0.join(".config/mosaic/fleet/roster.yaml"), roster(which)).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.env_clear().env("HOME", &self.0).env("PATH", self.0.join("bin")).args(verb);
        if let Some(step) = killed_at {
            command.env(INTERRUPT, format!("KILL@{step}"));
        }
        command.output().expect("it runs")
    }

    /// What stands below `.config`, but for what only tells when and in what order it came about.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        let config = self.0.join(".config");
        walk(&config, &config, &mut tree);
        tree.retain(|path, _| !path.starts_with("mosaic/fleet/run/"));
        tree
    }
}

fn walk(root: &Path, folder: &Path, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let facts = path.symlink_metadata().expect("there");
        let what = if facts.is_symlink() {
            format!("-> {}", fs::read_link(&path).expect("a link").display())
        } else if facts.is_dir() {
            walk(root, &path, tree);
            "folder".to_owned()
        } else {
            fs::read_to_string(&path).expect("text")
        };
        let shown = path.strip_prefix(root).expect("below").display().to_string();
        tree.insert(shown, format!("{:o} {what}", facts.permissions().mode()));
    }
}

/// Where its units begin in `STATE`.
const UNITS: &str = "\nthe units:\n";

/// What a rig's tenant has of a fleet: files with their content, modes and links, the ledger, units. Times and
/// pids are left out, and whether a link was made by systemd, which says whole paths, or by us without it.
const STATE: &str = r#"
    cd ~/.config
    ls mosaic/fleet/run | grep -v lock
    find . ! -path './mosaic/fleet/run/*' -printf '%p %y %#m %l\n' | sed 's, /home/demo/.config/systemd/user/, ../,' | sort
    find . -type f ! -path './mosaic/fleet/run/*' ! -name ledger.json ! -name roster.yaml -exec sha256sum {} + | sort
    python3 -c 'import json; d = json.load(open("mosaic/fleet/ledger.json")); d.pop("applied"); print(json.dumps(d, indent=1))'
    echo the units:
    systemctl --user list-units --all --plain --no-legend "mosaic-*" | awk '{ print $1, $2, $3 }' | sort
    systemctl --user show -p Id -p NeedDaemonReload -p FragmentPath -p DropInPaths mosaic-tmux-holder.service "mosaic-agent@*"
    tmux -L mosaic-factory list-sessions -F '#{session_name}' | sort
"#;

/// What of that is about files.
fn files(state: &str) -> String {
    state.split_once(UNITS).expect("both parts").0.to_owned()
}

/// How the script of `killed` ends where an apply has fewer steps than asked for.
const UNMET: i32 = 42;
/// Where the variables of the agent that changed begin in what it prints.
const ENVIRON: &str = "the variables of coder0:\n";

/// An apply of roster `$2` that is killed at its step `$1`, then another one, what came of it and how many
/// microseconds that one took.
fn killed() -> String {
    format!(
        r#"
        export XDG_RUNTIME_DIR=/run/user/$UID
        printf %s "$2" > ~/.config/mosaic/fleet/roster.yaml
        {{ env -u XDG_RUNTIME_DIR {INTERRUPT}=KILL@$1 fleet apply; code=$?; }} >&2
        case $code in 137) ;; 0) exit {UNMET} ;; *) exit 1 ;; esac
        begun=${{EPOCHREALTIME/./}}
        env -u XDG_RUNTIME_DIR fleet apply >&2 || exit
        took=$((${{EPOCHREALTIME/./}} - begun))
        {STATE}
        pid=$(tmux -L mosaic-factory list-panes -t =coder0: -F '#{{pane_pid}}') || exit
        printf '{ENVIRON}%s\n' $took
        tr '\0' '\n' < /proc/$pid/environ
        "#
    )
}

fn write(fleet: &Fleet, which: &str) {
    fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster(which), TENANT);
}

#[test]
fn the_fleet_is_the_same_whichever_step_of_an_apply_a_kill_met() {
    if Rig::skipped() || released() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::with(suite, &roster("one"));
        let coder = fleet.pane("coder");
        // What runs that nothing disturbs make of it.
        let mut undisturbed = BTreeMap::new();
        for which in ["two", "one"] {
            fleet.apply(&roster(which));
            undisturbed.insert(which, fleet.sh(STATE).ok());
        }
        let killed = killed();
        let (mut which, mut step, mut longest) = ("two", 0, Duration::ZERO);
        loop {
            step += 1;
            // One command for it all: entering the rig costs as much as an apply.
            let run = fleet.run(&["bash", "-c", &killed, "bash", &step.to_string(), &roster(which)]);
            let when = format!("{suite:?}: killed at step {step}");
            if run.code == UNMET {
                break;
            }
            assert_eq!(run.code, 0, "{when}\n{}", run.report());
            let (state, environ) = run.stdout.split_once(ENVIRON).expect("both");
            same_text(state, &undisturbed[which], &when);
            assert!(environ.contains(&format!("\nA={which}\n")), "{when}: runs with the new file\n{environ}");
            let took = environ.lines().next().and_then(|took| took.parse().ok()).expect("microseconds");
            longest = longest.max(Duration::from_micros(took));
            which = other(which);
        }
        assert!(step > 40, "{suite:?}: only {step} steps were met");
        assert!(fleet.run(&["fleet", "plan"]).ok().starts_with(NOTHING));
        assert_eq!(fleet.pane("coder"), coder, "{suite:?}: whom no change concerned is never touched");
        assert!(longest < SOON, "{suite:?}: {longest:?}");
        measured::note("kill -9 of apply at each step", &format!("{suite:?}"), None, Some(longest));
    });
}

/// Lets a command run up to that point, does something to the machine there, and lets it go on.
fn meanwhile(fleet: &Fleet, command: &str, at: &str, breaks: &str) -> Run {
    let pid = "/tmp/stopped.pid";
    fleet.run(&["rm", "-f", pid]).ok();
    // In a shell, since nsenter stops with what it runs.
    let stopped = format!("{INTERRUPT}=STOP@{at} {command} & echo $! >{pid}; wait $!; exit $?");
    let mut running = fleet.rig.as_user_command(TENANT, &["sh", "-c", &stopped]);
    running.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = running.spawn().expect("it starts");
    let stands = format!("grep -q '^State:.T' /proc/$(cat {pid})/status");
    fleet.rig.wait_until(at, SOON, || fleet.sh(&stands).code == 0);
    fleet.rig.root_ok(&["sh", "-c", breaks]);
    fleet.sh(&format!("kill -CONT $(cat {pid})")).ok();
    let Output { status, stdout, stderr } = running.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let command = format!("{command}, and at {at}: {breaks}");
    Run { command, code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// A manager may have reached for its bus between that one's end and hearing of it: then it stands still for the 90 s that
/// systemd gives a bus to answer (systemd issue 21177, mended in 2026).
const STALLED: Duration = Duration::from_secs(120);
const ON_ITS_BUS: &str = "timeout 5 busctl --user get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
                          org.freedesktop.systemd1.Manager Version";

#[test]
fn a_bus_or_a_manager_that_goes_away_in_the_middle_is_said_and_made_up_for() {
    if Rig::skipped() || released() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::with(suite, &roster("one"));
        let mut undisturbed = BTreeMap::new();
        for which in ["two", "one"] {
            fleet.apply(&roster(which));
            undisturbed.insert(which, fleet.sh(STATE).ok());
        }
        let bus = format!("kill -KILL $(pgrep -u {} -x dbus-daemon)", fleet.uid);
        let hangs = bus.replace("KILL", "STOP");
        let manager = format!("systemctl stop user@{}", fleet.uid);
        let mut which = "two";
        for (at, breaks) in [
            ("disable", &bus),
            ("reload", &bus),
            ("jobs", &bus),
            ("queued", &bus),
            ("disable", &hangs),
            ("enable", &manager),
        ] {
            write(&fleet, which);
            let run = meanwhile(&fleet, "fleet apply", at, breaks);
            let error = format!("{suite:?}: {}", run.report());
            assert_eq!(run.code, 4, "{error}");
            assert!(run.stderr.contains("error: ") && run.stderr.contains("hint: "), "{error}");
            let told: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
            assert!(
                told.iter().collect::<BTreeSet<_>>().len() == told.len(),
                "one trouble is told once: {error}"
            );
            if *breaks == hangs {
                assert!(run.stderr.contains("\nhint: it is busy or hangs"), "{error}");
                fleet.rig.root_ok(&["sh", "-c", &bus.replace("KILL", "CONT")]);
            }
            if *breaks != manager {
                fleet.rig.wait_until("the manager is on its bus again", STALLED, || {
                    fleet.sh(ON_ITS_BUS).code == 0
                });
            }
            let mut next = fleet.run(&["fleet", "apply"]);
            if *breaks == manager {
                // Only an admin can start it: the cure is a command, and it cures.
                assert_eq!(next.code, 4, "{error}\nthen {}", next.report());
                let hint = next.stderr.lines().find_map(|l| l.strip_prefix("hint: sudo ")).map(str::to_owned);
                fleet.rig.root_ok(&["sh", "-c", &hint.expect("a command for the admin")]);
                next = fleet.run(&["fleet", "apply"]);
            }
            assert_eq!(next.code, 0, "{error}\nthen {}", next.report());
            same_text(&fleet.sh(STATE).ok(), &undisturbed[which], &error);
            which = other(which);
        }
        let run = meanwhile(&fleet, "fleet restart coder", "jobs", &bus);
        let error = format!("{suite:?}: {}", run.report());
        assert_eq!(run.code, 4, "nobody knows that it failed: {error}");
        assert_eq!(run.stdout.lines().last(), Some("0 restarted, 1 not known"), "{error}");
        assert!(
            run.stderr.contains("\nhint: what runs now: fleet ps; what does not: the same restart again\n"),
            "{error}"
        );
    });
}

fn same_text(seen: &str, expected: &str, when: &str) {
    assert_eq!(unlike(seen, expected), (Vec::new(), Vec::new()), "{when}");
}

/// The lines that only one of them has.
fn unlike(seen: &str, expected: &str) -> (Vec<String>, Vec<String>) {
    let only =
        |a: &str, b: &str| a.lines().filter(|l| b.lines().all(|o| o != *l)).map(str::to_owned).collect();
    (only(seen, expected), only(expected, seen))
}
