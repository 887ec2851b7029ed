//! Callers with little or wrong environment: cron, sudo, su, ssh without a session, scrubbed and odd ones;
//! and outputs that nobody reads.

#[path = "common/fleet.rs"]
mod fleet;

use fleet::rig::{Rig, Run, Suite};
use fleet::{Fleet, MOSAIC, SOON};

const ROSTER: &str = "version: 1\nagents:\n- {name: a, runtime: dogfood}\n- {name: b, runtime: dogfood}\n";

fn answering(suite: Suite) -> Fleet {
    let fleet = Fleet::with(suite, ROSTER);
    fleet.rig.wait_until("both have answered", SOON, || fleet.run(&["fleet", "verify"]).code == 0);
    fleet
}

/// As root, a shell line.
fn root(fleet: &Fleet, line: &str) -> Run {
    fleet.rig.root(&["bash", "-c", line])
}

/// `set` before each verb, by a way in that takes a shell line with `{}` for the verb.
fn works(fleet: &Fleet, way: &str, suite: Suite) {
    let run = |verb: &str, code: i32| {
        let run = root(fleet, &way.replace("{}", verb));
        assert_eq!(run.code, code, "{suite:?}: {way}: {verb}\n{}", run.report());
        run.stdout
    };
    let rows = run("/usr/bin/fleet ps", 0);
    assert!(rows.contains("active/enabled") && !rows.contains("UNKNOWN"), "{suite:?}: {way}\n{rows}");
    let plan = run("/usr/bin/fleet plan", 0);
    assert!(plan.starts_with("Nothing to do"), "{suite:?}: {way}\n{plan}");
    assert!(run("/usr/bin/fleet apply", 0).starts_with("Nothing to do"), "{suite:?}: {way}");
    assert_eq!(run("/usr/bin/fleet stop b", 0), "b: stopped\n1 stopped\n", "{suite:?}: {way}");
    assert_eq!(run("/usr/bin/fleet start b", 0), "b: started\n1 started\n", "{suite:?}: {way}");
    let proven = || root(fleet, &way.replace("{}", "/usr/bin/fleet verify")).code == 0;
    fleet.rig.wait_until(&format!("{suite:?}: verify says yes through {way}"), SOON, proven);
}

#[test]
fn every_verb_works_from_cron_sudo_su_and_without_any_environment() {
    if Rig::skipped() {
        return;
    }
    let bare = "setpriv --reuid=demo --regid=demo --init-groups env -i";
    let ways = [
        // cron's environment, exactly; and that of Debian's /etc/crontab, whose path begins otherwise.
        format!(
            "cd /home/demo && {bare} HOME=/home/demo LOGNAME=demo SHELL=/bin/sh PATH=/usr/bin:/bin sh -c '{{}}' <&-"
        ),
        format!(
            "cd / && {bare} HOME=/home/demo LOGNAME=demo SHELL=/bin/sh PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin sh -c '{{}}'"
        ),
        format!("cd /root && {bare} {{}}"),
        format!("cd /nowhere 2>/dev/null; {bare} PATH= HOME= {{}}"),
        // What ssh gives a command where no session was made.
        format!(
            "cd /home/demo && {bare} USER=demo LOGNAME=demo HOME=/home/demo PATH=/usr/local/bin:/usr/bin:/bin SHELL=/bin/bash SSH_CONNECTION='::1 1 ::1 22' bash -c '{{}}'"
        ),
        "su demo -c '{}'".to_owned(),
        "su - demo -c '{}'".to_owned(),
        "sudo -u demo {}".to_owned(),
        "sudo -i -u demo {}".to_owned(),
        "sudo -H -E -u demo {}".to_owned(),
    ];
    for suite in Suite::both() {
        let fleet = answering(suite);
        for way in &ways {
            let program = way.trim_start_matches("cd /root && ").split(' ').next().unwrap_or_default();
            if program == "sudo" && root(&fleet, "command -v sudo").code != 0 {
                continue;
            }
            works(&fleet, way, suite);
        }
    }
}

#[test]
fn wrong_variables_are_not_believed() {
    if Rig::skipped() {
        return;
    }
    let odd = [
        "XDG_RUNTIME_DIR=/run/user/0",
        "XDG_RUNTIME_DIR=/nonexistent DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
        "XDG_RUNTIME_DIR=relative DBUS_SESSION_BUS_ADDRESS=garbage",
        "HOME=relative",
        "MOSAIC_HOME=.config/mosaic",
        "MOSAIC_HOME=",
        "TMUX_TMPDIR=/tmp/elsewhere TMUX=/tmp/tmux-0/default,1,0 TMUX_PANE=%9",
        "LC_ALL=C",
        "LC_ALL=xx_YY.BOGUS LANG=C",
        "USER=root LOGNAME=root SUDO_USER=root SUDO_UID=0",
        "PATH=/bin",
        "TERM=nonsense COLUMNS=many NO_COLOR= SHELL=/bin/false TMPDIR=/nonexistent",
    ];
    for suite in Suite::both() {
        let fleet = answering(suite);
        for variables in odd {
            works(&fleet, &format!("sudo -u demo sh -c 'cd && export {variables}; {{}}'"), suite);
        }
    }
}

#[test]
fn another_users_home_is_refused_with_the_command_to_run() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite);
        fleet.rig.add_user("other");
        let refused = |line: &str, said: &[&str]| {
            let run = root(&fleet, line);
            assert_eq!(run.code, 4, "{suite:?}: {line}\n{}", run.report());
            for part in said {
                assert!(run.stderr.contains(part), "{suite:?}: {line}: no {part:?}\n{}", run.report());
            }
        };
        let as_demo = |verb: &str| {
            format!(
                "running as root, and /home/demo is under the control of demo|sudo -u demo -H fleet {verb}"
            )
        };
        for verb in ["ps", "apply", "plan", "start a", "init --profile minimal --write", "verify --json"] {
            let said = as_demo(verb);
            refused(&format!("HOME=/home/demo fleet {verb}"), &said.split('|').collect::<Vec<_>>());
        }
        refused(&format!("fleet --mosaic-home {MOSAIC} apply"), &["is under the control of demo"]);
        let kept = ["running as demo, but HOME is /root, which is root's", "sudo -u demo -H fleet apply"];
        refused("sudo -u demo env HOME=/root fleet apply", &kept);
        let kept = ["running as demo, but HOME is /home/other, which is other's"];
        refused("chmod 755 /home/other; sudo -u demo env HOME=/home/other fleet ps", &kept);
        let roots = root(&fleet, "SUDO_USER=demo HOME=/root fleet apply").exits(3);
        assert!(
            roots.stderr.contains("the fleet of demo: sudo -u demo -H fleet apply"),
            "{}",
            roots.report()
        );
        assert!(!roots.stderr.contains("fleet init"), "{}", roots.report());
        let none = root(&fleet, "sudo -u demo env HOME=/nonexistent fleet ps").exits(3);
        assert!(
            none.stderr
                .contains("HOME is /nonexistent, where nothing is; the password database says /home/demo"),
            "{}",
            none.report()
        );
        assert_eq!(fleet.run(&["fleet", "verify"]).code, 0, "{suite:?}: nothing was changed");
        assert!(root(&fleet, "test -e /root/.config").code != 0, "{suite:?}: nothing was made for root");
    }
}

#[test]
fn outputs_that_nobody_reads_change_neither_what_is_done_nor_the_answer() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let fleet = answering(suite);
        let sh = |line: &str| fleet.run(&["bash", "-o", "pipefail", "-c", line]);
        let code = |line: &str, expected: i32| {
            let run = sh(line);
            assert_eq!(run.code, expected, "{suite:?}: {line}\n{}", run.report());
            run
        };
        for line in [
            "fleet ps | head -1",
            "fleet man | true",
            "fleet plan --help | true",
            "fleet completions bash | true",
        ] {
            code(line, 0);
        }
        for closed in [">&-", "<&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"] {
            code(&format!("fleet ps {closed}"), 0);
        }
        for verb in ["ps", "ps --json", "plan", "status", "--help", "completions bash"] {
            let run = code(&format!("fleet {verb} >/dev/full"), 4);
            assert!(verb == "--help" || run.stderr.contains("No space left on device"), "{}", run.report());
        }
        // The reader is gone before the first word: everybody is restarted all the same.
        let (a, b) = (fleet.pane("a").expect("a pane"), fleet.pane("b").expect("a pane"));
        code("(sleep 0.1; exec fleet restart) | true", 0);
        let (a, b) = (fleet.comes_back("a", a), fleet.comes_back("b", b));
        code("fleet restart >/dev/full", 4);
        fleet.comes_back("a", a);
        fleet.comes_back("b", b);
        // So is a change of both.
        let change = format!("sed -i 's/dogfood}}/dogfood, class: c}}/' {MOSAIC}/fleet/roster.yaml");
        code(&change, 0);
        code("(sleep 0.1; exec fleet apply) | true", 0);
        assert!(code("fleet plan", 0).stdout.starts_with("Nothing to do"), "{suite:?}");
        // And a no stays a no.
        code("fleet stop a", 0);
        fleet.run(&["systemctl", "--user", "disable", "mosaic-agent@b"]);
        code(&format!("rm {MOSAIC}/fleet/agents/b.env"), 0);
        code("(sleep 0.1; exec fleet verify) | true", 1);
    }
}
