//! Root's verbs about tenants as an admin meets them, in a booted system: what a terminal shows, what is said of
//! users who were there before, two runs at once, an end that takes everybody along.

#[path = "common/tenants.rs"]
mod tenants;

use std::time::Duration;

use serde_json::Value;
use tenants::rig::{Rig, Suite};
use tenants::{SOON, all_green, boot, declare, json, processes, tenant, uid};

/// Runs something on a terminal of its own.
const TERMINAL: &[u8] = include_bytes!("common/terminal.py");
const ROSTER: &str = "roster:\n  version: 1\n  agents: [{name: coder, command: sleep 100000}]\n";

/// What root's terminal got of a command, all of it, and how that ended.
fn on_terminal(rig: &Rig, words: &str, keys: &str, argv: &[&str]) -> (String, Value) {
    let python = [&["python3", "-", words, keys][..], argv].concat();
    let ran = json(&rig.as_user_with("root", &python, TERMINAL).ok());
    (ran["shown"].as_str().unwrap_or_default().to_owned(), ran["code"].clone())
}

/// What stands on that terminal in the end.
fn screen(shown: &str) -> String {
    let mut screen = vt100::Parser::default();
    screen.process(shown.as_bytes());
    screen.screen().contents()
}

#[test]
fn a_terminal_shows_who_is_waited_for_and_a_pipe_what_came_of_it() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Trixie);
    for name in ["alpha", "beta", "gamma"] {
        declare(&rig, name, &ROSTER.replace("command: sleep 100000", "runtime: dogfood"));
    }
    let (shown, code) = on_terminal(&rig, "", "", &["fleet", "tenant", "apply"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("[........................] 0/3, waits for alpha, beta, gamma"), "{shown:?}");
    assert!(shown.contains("[########................] 1/3, waits for "), "{shown:?}");
    assert!(shown.contains("[################........] 2/3, waits for "), "{shown:?}");
    let last = screen(&shown);
    assert!(last.contains("\nTENANT ") && !last.contains("waits for") && last.contains("\ngamma "), "{last}");
    assert!(shown.contains("\u{1b}[32m"), "a good end is green: {shown:?}");

    // Without colours, or on a terminal that can do nothing.
    let (shown, _) = on_terminal(&rig, "", "", &["env", "NO_COLOR=1", "fleet", "tenant", "apply"]);
    assert!(shown.contains("0/3, waits for") && !shown.contains("\u{1b}[3"), "{shown:?}");
    let (shown, _) = on_terminal(&rig, "", "", &["env", "TERM=dumb", "fleet", "tenant", "apply"]);
    assert!(!shown.contains('\u{1b}') && !shown.contains("waits for"), "{shown:?}");
    // A pipe gets the result alone, whatever the rest of the command line is.
    let run = rig.root(&["fleet", "tenant", "apply"]).exits(0);
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(!told.contains(['\u{1b}', '\r']) && !told.contains("waits for"), "{}", run.report());
    let (shown, _) = on_terminal(&rig, "", "", &["sh", "-c", "fleet tenant apply --json | cat >/tmp/told"]);
    assert!(screen(&shown).is_empty() && shown.contains("3, waits for"), "{shown:?}");
    assert_eq!(json(&rig.read("/tmp/told"))["ok"], true);

    // All of them again and again: live on a terminal, a line a look in a pipe.
    let watch = ["fleet", "ps", "--all-tenants", "--watch", "--interval", "0.5"];
    let (shown, code) = on_terminal(&rig, "alpha gamma coder", "q", &watch);
    assert!(code == 0 && shown.contains("3 tenants on "), "{shown:?}");
    let looks = rig.root(&[&["timeout", "5"][..], &watch, &["--json"]].concat()).exits(124).stdout;
    let looks: Vec<Value> = looks.lines().map(json).collect();
    assert!(looks.len() > 1, "{looks:?}");
    for look in &looks {
        assert_eq!(tenant(look, "beta")["rows"][0]["name"], "coder", "{look:#}");
    }
    let tables = rig.root(&[&["timeout", "5"][..], &watch].concat()).exits(124).stdout;
    assert!(tables.matches("TENANT ").count() > 1 && !tables.contains('\u{1b}'), "{tables}");
    rig.wait_until("all are green", SOON, || all_green(&rig));
    let deep = json(&rig.root_ok(&["fleet", "verify", "--deep", "--all-tenants", "--json"]));
    for name in ["alpha", "beta", "gamma"] {
        let checks = tenant(&deep, name)["checks"].to_string();
        assert!(checks.contains("deep-restart"), "{name}: {deep:#}");
    }
}

#[test]
fn who_was_there_before_is_taken_with_what_is_missing_and_told_of_what_is_too_much() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Trixie);
    let add = |name: &str| rig.root(&["fleet", "tenant", "add", name]);
    // A user without subordinate uids gets some, which nobody has; once.
    rig.root_ok(&[
        "useradd",
        "--create-home",
        "--key",
        "SUB_UID_COUNT=0",
        "--key",
        "SUB_GID_COUNT=0",
        "bare",
    ]);
    rig.root_ok(&["useradd", "--create-home", "rich"]);
    assert!(!rig.read("/etc/subuid").contains("bare"));
    // Numbers of somebody whose name is in another encoding are somebody's, and a table that can't be read is not empty.
    let latin = "for file in /etc/subuid /etc/subgid; do last=$(tail -n 1 $file | cut -d : -f 2); \
        printf 'm\\374ller:%d:65536\\n' $((last + 65536)) >>$file; done";
    rig.root_ok(&["sh", "-c", latin]);
    rig.root_ok(&["sh", "-c", "mv /etc/subuid /etc/subuid.aside; mkdir /etc/subuid"]);
    let run = add("bare").exits(4);
    assert!(run.stderr.contains("read /etc/subuid: "), "{}", run.report());
    rig.root_ok(&["sh", "-c", "rmdir /etc/subuid; mv /etc/subuid.aside /etc/subuid"]);
    let told = add("bare").exits(0).stdout;
    assert!(told.contains("subordinate uids given"), "{told}");
    for file in ["/etc/subuid", "/etc/subgid"] {
        let spans: Vec<(String, u64)> = rig.read(file).lines().map(span).collect();
        let first = |name: &str| spans.iter().find(|(of, _)| of == name).map(|(_, first)| *first);
        let bare = first("bare").expect("given");
        let others: Vec<u64> = spans.iter().filter(|(of, _)| of != "bare").map(|(_, first)| *first).collect();
        assert!(others.len() >= 2 && others.iter().all(|other| bare.abs_diff(*other) >= 65_536), "{spans:?}");
    }
    assert!(!add("bare").exits(0).stdout.contains("subordinate"), "once");
    assert!(rig.as_user("bare", &["true"]).code == 0);

    // Groups by which a tenant is more than one.
    rig.root_ok(&["useradd", "--create-home", "--groups", "adm,sudo", "mighty"]);
    let run = add("mighty").exits(0);
    assert!(
        run.stderr.contains("by its groups adm, sudo") || run.stderr.contains("by its groups sudo, adm"),
        "{}",
        run.report()
    );
    assert!(run.stderr.contains("gpasswd -d mighty "), "{}", run.report());
    rig.root_ok(&["usermod", "--append", "--groups", "root", "rich"]);
    let run = add("rich").exits(3);
    assert!(run.stderr.contains("gpasswd -d rich root"), "{}", run.report());

    // One user is one tenant, and one tenant one user.
    let run = rig.root(&["fleet", "tenant", "add", "other", "--user", "bare"]).exits(3);
    assert!(run.stderr.contains("its user bare is the tenant bare's, too"), "{}", run.report());
    assert!(!rig.root_ok(&["ls", "/etc/mosaic/tenants.d"]).contains("other"), "nothing was written");
    declare(&rig, "other", "user: bare\n");
    let run = rig.root(&["fleet", "tenant", "apply", "other"]).exits(3);
    assert!(run.stderr.contains("its user bare is the tenant bare's, too"), "{}", run.report());
    rig.root_ok(&["rm", "/etc/mosaic/tenants.d/other.yaml"]);
    declare(&rig, "bare", "user: mighty2\n");
    let run = rig.root(&["fleet", "tenant", "apply", "bare"]).exits(3);
    assert!(run.stderr.contains("its user is bare, and mighty2 is declared now"), "{}", run.report());
    assert!(run.stderr.contains("fleet tenant remove bare"), "{}", run.report());

    // A declaration that is wrong hides nothing of what runs.
    declare(&rig, "mighty", "profle: minimal\n");
    let seen = json(&rig.root_ok(&["fleet", "tenant", "list", "--json"]));
    let mighty = tenant(&seen, "mighty");
    assert!(mighty["state"].is_null() && mighty["manager"] == "active", "{seen:#}");
    assert_eq!(
        mighty["reasons"].as_array().map(Vec::len),
        Some(2),
        "that, and that it has no roster: {mighty:#}"
    );
    let run = rig.root(&["fleet", "tenant", "remove", "mighty"]).exits(3);
    assert!(
        run.stderr.contains("rm /etc/mosaic/tenants.d/mighty.yaml; fleet tenant remove mighty"),
        "{}",
        run.report()
    );

    // A place where everybody may put things, root's own umask, and a path without the system's tools.
    let run = rig.root(&["fleet", "tenant", "add", "new", "--home", "/tmp/new"]).exits(4);
    assert!(
        run.stderr.contains("/tmp/new is below /tmp, where others could put anything (mode 1777)"),
        "{}",
        run.report()
    );
    rig.root_ok(&["sh", "-c", "install -d -m 2775 -g staff /srv/homes"]);
    let run = rig.root(&["fleet", "tenant", "add", "new", "--home", "/srv/homes/new"]).exits(4);
    assert!(run.stderr.contains("chmod go-w /srv/homes"), "{}", run.report());
    rig.root_ok(&["rm", "-r", "/etc/mosaic"]);
    let narrow = "umask 077; PATH=/usr/bin:/bin fleet tenant add new --uid 54321";
    rig.root_ok(&["sh", "-c", narrow]);
    for open in
        ["/etc/mosaic", "/etc/systemd/system/user-54321.slice.d", "/etc/systemd/system/user@54321.service.d"]
    {
        assert_eq!(rig.root_ok(&["stat", "-c", "%a", open]).trim(), "755", "{open}");
    }
    rig.as_user("new", &["id"]).ok();
}

fn span(line: &str) -> (String, u64) {
    let mut fields = line.split(':');
    let name = fields.next().unwrap_or_default().to_owned();
    (name, fields.next().and_then(|first| first.parse().ok()).expect("a number"))
}

#[test]
fn a_run_for_one_tenant_holds_no_other_up_and_an_end_takes_everybody_along() {
    if Rig::skipped() {
        return;
    }
    let rig = boot(Suite::Bookworm);
    for name in ["held", "free"] {
        declare(&rig, name, ROSTER);
    }
    rig.root_ok(&["fleet", "tenant", "apply", "held"]);
    rig.root_ok(&["rm", "/etc/mosaic/tenants.d/held.yaml"]);
    declare(&rig, "held", &format!("{ROSTER}limits: {{tasks_max: 500}}\n"));
    // Another run works on one of two: the second run brings the other one up meanwhile.
    let both = "flock /var/lib/mosaic/tenants/held.lock sh -c 'until [ -e /run/go ]; do sleep 0.1; done' & \
        until ! flock -n /var/lib/mosaic/tenants/held.lock true; do sleep 0.1; done; \
        fleet tenant apply --json >/run/told 2>&1; wait";
    rig.root_ok(&["systemd-run", "-q", "--unit=both", "sh", "-c", both]);
    rig.wait_until("the free one is up", SOON, || {
        rig.root(&["systemctl", "--user", "-M", "free@.host", "is-active", "mosaic-agent@coder"]).code == 0
    });
    assert_eq!(rig.root(&["systemctl", "is-active", "both"]).stdout.trim(), "active");
    rig.root_ok(&["touch", "/run/go"]);
    rig.wait_until("both are done", SOON, || rig.root(&["systemctl", "is-active", "both"]).code != 0);
    let told = json(&rig.read("/run/told"));
    assert!(
        told["ok"] == true && tenant(&told, "held")["did"].to_string().contains("limits written"),
        "{told:#}"
    );

    // Somebody is logged in; something ignores every signal that it can; and something outside of the tenant's
    // slice, as cron's jobs are, is another process whenever it is looked at.
    let held = uid(&rig, "held");
    let hop = "import os, signal, time\nfor n in range(1, 32):\n  if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n\
        while True:\n  if os.fork(): os._exit(0)\n";
    rig.write("/home/held/hop.py", hop, "held");
    rig.as_user("held", &["sh", "-c", "setsid python3 ~/hop.py >/dev/null 2>&1 </dev/null &"]).ok();
    let mut login = rig.login_command("held", &["sleep", "100000"]).spawn().expect("it starts");
    rig.wait_until("all of it runs", SOON, || {
        rig.root_ok(&["loginctl", "list-sessions"]).contains("held")
            && processes(&rig, held).contains("python3")
    });
    let told = json(&rig.root_ok(&["fleet", "tenant", "remove", "held", "--purge", "--json"]));
    assert_eq!(told["ok"], true, "{told:#}");
    assert_eq!(processes(&rig, held), "");
    rig.wait_until("the login has ended", Duration::from_secs(20), || {
        login.try_wait().expect("our child").is_some()
    });
    assert!(!rig.root_ok(&["ls", "/home"]).contains("held"));
}
