//! A fleet that was made by hand, taken over in a booted system.

#[path = "common/fleet.rs"]
mod fleet;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT, unit};

const UNITS: &str = "/home/demo/.config/systemd/user";
const HOLDER: &str = "[Unit]\nDescription=made by hand\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
    ExecStart=/usr/bin/tmux -L mosaic-factory new-session -d -s _holder sleep 100000\n\
    ExecStop=/usr/bin/tmux -L mosaic-factory kill-server\n\n[Install]\nWantedBy=default.target\n";
const ROSTER: &str = "version: 1\ndefaults: {runtime: dogfood, working_directory: \"~\"}\nagents:\n  - name: coder\n  \
    - name: coder0\n";
const ADOPT: [&str; 4] = ["fleet", "apply", "--adopt", "--yes"];

/// As the earlier version left it: a holder that is started once, sessions by script, variables by
/// hand, and beside it the user's own tmux.
fn hand_made(suite: Suite) -> Fleet {
    let fleet = Fleet::tenant(suite);
    let write = |path: &str, text: &str| fleet.rig.write(path, text, TENANT);
    write(&format!("{UNITS}/mosaic-tmux-holder.service"), HOLDER);
    write(
        &format!("{MOSAIC}/fleet/agents/coder.env"),
        "MOSAIC_AGENT_NAME=coder\nMOSAIC_TMUX_SOCKET=elsewhere\nTOKEN='by hand'\nSHARED=old\n",
    );
    write(&format!("{MOSAIC}/fleet/agents/coder.local.env"), "# mine\nSHARED=local\n");
    write(
        &format!("{MOSAIC}/fleet/agents/coder0.env"),
        "MOSAIC_AGENT_NAME=coder0\nMOSAIC_AGENT_CLASS=tester\n",
    );
    fleet.sh("systemctl --user daemon-reload && systemctl --user enable --now mosaic-tmux-holder").ok();
    for session in ["coder", "coder0", "notes"] {
        let line = format!(
            "tmux -L mosaic-factory new-session -d -s {session} 'seq 200; echo said by {session}; exec sleep 100000'"
        );
        fleet.sh(&line).ok();
    }
    fleet.sh("tmux new-session -d -s mine 'exec sleep 100000'").ok();
    fleet
}

fn mine(fleet: &Fleet) -> String {
    fleet.run(&["tmux", "list-panes", "-a", "-F", "#{session_name} #{pane_pid} #{pane_dead}"]).ok()
}

fn environment(fleet: &Fleet, agent: &str) -> Vec<String> {
    let pid = fleet.pane(agent).expect("a pane").to_string();
    let text = fleet.run(&["cat", &format!("/proc/{pid}/environ")]).ok();
    text.split('\0').map(str::to_owned).collect()
}

#[test]
fn a_fleet_made_by_hand_is_taken_over_wherever_that_is_cut_off_and_nothing_of_it_is_lost() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = hand_made(suite);
        let own = mine(&fleet);
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), ROSTER, TENANT);
        let before: Vec<_> = ["coder", "coder0", "notes"].map(|s| fleet.pane(s)).into();
        assert!(before.iter().all(Option::is_some), "{suite:?}: {before:?}");

        let plan = fleet.run(&["fleet", "plan"]).ok();
        let told = fleet.run(&["fleet", "plan"]).stderr;
        assert!(
            told.contains("hand-made fleet found") && told.contains("fleet apply --adopt"),
            "{told}\n{plan}"
        );
        assert!(plan.contains("REFUSED   ") && !plan.contains("start     "), "as apply does: {plan}");
        let ahead = fleet.run(&["fleet", "plan", "--adopt"]).ok();
        for line in [
            "takes over TOKEN",
            "MOSAIC_TMUX_SOCKET: ",
            "end       session notes: its scrollback is saved; it ends for good",
            "end       session coder: its scrollback is saved; it ends, and starts again under its unit",
            "mosaic-tmux-holder.service: not as we left it, taken over by --adopt",
        ] {
            assert!(ahead.contains(line), "{suite:?}: no {line:?} in {ahead}");
        }
        assert!(!ahead.contains("'by hand'") && !ahead.contains("=by hand"), "{suite:?}: a value: {ahead}");
        for verb in [vec!["fleet", "apply"], vec!["fleet", "apply", "--force"]] {
            let kept = fleet.run(&verb).exits(1);
            assert!(kept.stderr.contains("fleet apply --adopt"), "{}", kept.report());
            assert_eq!(fleet.sessions(), ["_holder", "coder", "coder0", "notes"], "{suite:?}");
        }
        let refused = fleet.run(&["fleet", "apply", "--adopt"]).exits(2);
        assert!(refused.stderr.contains("coder, coder0, notes"), "{}", refused.report());
        assert!(refused.stderr.contains("the roster does not have it"), "{}", refused.report());
        let after: Vec<_> = ["coder", "coder0", "notes"].map(|s| fleet.pane(s)).into();
        assert_eq!(after, before, "{suite:?}: nothing was touched");

        for point in ["adopt-saved", "adopt-written", "adopt-session"] {
            let line = format!("MOSAIC_TEST_INTERRUPT=KILL@{point} fleet apply --adopt --yes");
            fleet.sh(&line).exits(137);
        }
        let adopted = fleet.run(&ADOPT).ok();
        assert!(adopted.contains("The fleet is taken over"), "{suite:?}: {adopted}");

        fleet.rig.wait_until("verify holds", SOON, || fleet.run(&["fleet", "verify"]).code == 0);
        assert_eq!(fleet.sessions(), ["_holder", "coder", "coder0"], "{suite:?}");
        let pane = fleet.pane("coder").expect("a pane");
        assert_eq!(fleet.unit_of(pane), unit("coder"), "{suite:?}: in its own unit");
        let variables = environment(&fleet, "coder");
        for wanted in ["TOKEN=by hand", "SHARED=local", "MOSAIC_TMUX_SOCKET=mosaic-factory"] {
            assert!(variables.iter().any(|v| v == wanted), "{suite:?}: {wanted} in {variables:?}");
        }
        assert!(environment(&fleet, "coder0").iter().any(|v| v == "MOSAIC_AGENT_CLASS=tester"), "{suite:?}");

        assert_eq!(fleet.sh("find ~ -name '*.bak-*'").ok(), "", "{suite:?}: saved once, in one place");
        let adopted = format!("{MOSAIC}/fleet/adopted");
        for session in ["coder", "coder0", "notes"] {
            let text = fleet.rig.read(&format!("{adopted}/scrollback/{session}.txt"));
            assert!(
                text.starts_with("1\n2\n") && text.contains(&format!("said by {session}")),
                "{suite:?}: {text}"
            );
        }
        let kept =
            fleet.rig.read(&format!("{adopted}/files/.config/systemd/user/mosaic-tmux-holder.service"));
        assert_eq!(kept, HOLDER);
        let kept = fleet.rig.read(&format!("{adopted}/files/.config/mosaic/fleet/agents/coder.env"));
        assert!(kept.contains("TOKEN='by hand'"), "{kept}");
        let modes = fleet.sh(&format!("find {adopted} -type f ! -perm 600")).ok();
        assert_eq!(modes, "", "{suite:?}: for its owner alone");
        let local = fleet.rig.read(&format!("{MOSAIC}/fleet/agents/coder.local.env"));
        assert!(local.starts_with("# mine\nSHARED=local\n") && !local.contains("elsewhere"), "{local}");
        assert_eq!(mine(&fleet), own, "{suite:?}: the user's own tmux is as it was");

        let again = fleet.run(&ADOPT).ok();
        assert!(again.contains("Nothing to do"), "{suite:?}: {again}");
        assert!(!fleet.run(&["fleet", "plan"]).stderr.contains("hand-made"));
        fleet.rig.reboot();
        fleet.rig.wait_until("verify holds after a boot", SOON, || fleet.run(&["fleet", "verify"]).code == 0);
    });
}

/// `fleet apply --adopt` on a terminal on which somebody types that.
fn typed(fleet: &Fleet, answer: &str) -> fleet::rig::Run {
    let spawn =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(['fleet', 'apply', '--adopt'])))";
    fleet.rig.as_user_with(TENANT, &["python3", "-c", spawn], format!("{answer}\n").as_bytes())
}

/// The same; `line` is carried out between the question and the answer.
fn typed_after(fleet: &Fleet, line: &str, answer: &str) -> fleet::rig::Run {
    let spawn = format!(
        "import os, pty, subprocess, sys\n\
         pid, fd = pty.fork()\n\
         if not pid: os.execvp('fleet', ['fleet', 'apply', '--adopt'])\n\
         said = b''\n\
         while b'[y/N]' not in said: said += os.read(fd, 4096)\n\
         subprocess.run({line:?}, shell=True, check=True)\n\
         os.write(fd, b'{answer}\\n')\n\
         try:\n \
          while True: said += os.read(fd, 4096)\n\
         except OSError: pass\n\
         sys.stdout.buffer.write(said)\n\
         sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    );
    fleet.rig.as_user_with(TENANT, &["python3", "-c", &spawn], b"")
}

#[test]
fn a_person_is_asked_and_a_server_that_a_script_started_is_taken_over_too() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        // One saves itself at the hang-up, the other does not hear it.
        let hears = if suite == Suite::Trixie {
            "exec sleep 100000"
        } else {
            "trap '' HUP; while :; do sleep 1; done"
        };
        fleet.run(&["tmux", "-L", "mosaic-factory", "new-session", "-d", "-s", "coder", hears]).ok();
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), ROSTER, TENANT);
        let old = fleet.pane("coder");
        let no = typed(&fleet, "n").exits(1);
        assert!(no.stdout.contains("coder (") && no.stdout.contains("[y/N]"), "{}", no.report());
        assert!(!no.stdout.contains("coder ()"), "what runs there: {}", no.report());
        assert!(no.stdout.contains("nothing was changed"), "{}", no.report());
        assert_eq!(fleet.pane("coder"), old, "{suite:?}");
        assert_eq!(fleet.run(&["test", "-e", &format!("{UNITS}/mosaic-agent@.service")]).code, 1);

        // What came while the person thought was not among what was asked about.
        let line = "tmux -L mosaic-factory new-session -d -s late 'exec sleep 100000'";
        let late = typed_after(&fleet, line, "y").exits(1);
        assert!(late.stdout.contains("coder: ended"), "{suite:?}: {}", late.report());
        assert!(late.stdout.contains("session late came meanwhile"), "{suite:?}: {}", late.report());
        assert!(fleet.pane("late").is_some(), "{suite:?}");

        let yes = typed(&fleet, "y").exits(0);
        assert!(yes.stdout.contains("late: ended"), "{suite:?}: {}", yes.report());
        fleet.rig.wait_until("verify holds", SOON, || fleet.run(&["fleet", "verify"]).code == 0);
        assert!(fleet.pane("coder").is_some_and(|new| Some(new) != old), "{suite:?}");
    });
}
