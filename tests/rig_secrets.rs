//! A secret stays where it was put: in the files of its agent and in its agent's processes. Planted in
//! every place that takes variables, then looked for everywhere, by a search that first proves itself.

#[path = "common/fleet.rs"]
mod fleet;

use std::collections::BTreeSet;

use fleet::rig::{Rig, Run, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};

/// No shell, log or table would show this for another reason.
const MARK: &str = "hunter2-7Qv9";

/// Secrets of every kind of place; what `coder` has, `rev` has but for its own two.
fn roster() -> String {
    format!(
        "version: 1\n\
         defaults:\n  env:\n    DEFAULT_TOKEN: {MARK}-default\n\
         runtimes:\n  dogfood:\n    env:\n      RUNTIME_TOKEN: \"{MARK}-runtime $x '\\\" \\n {MARK}-second-line\"\n\
         agents:\n\
         - name: coder\n  runtime: dogfood\n  env:\n    AGENT_TOKEN: {MARK}-agent\n    RUNTIME_TOKEN: {MARK}-own\n\
         - name: rev\n  runtime: dogfood\n  class: canary\n\
         - name: plain\n  command: sleep 86400\n  state: stopped\n"
    )
}

/// The tenant's shell with a secret of its own in the environment, and everything asked to be talkative.
fn in_a_shell(fleet: &Fleet, line: &str) -> Run {
    let shell =
        format!(". ~/caller.sh; export RUST_LOG=trace RUST_BACKTRACE=full SYSTEMD_LOG_LEVEL=debug; {line}");
    fleet.run(&["bash", "-c", &shell])
}

/// Every verb, with as much to say as it can have; whether it succeeds does not matter here.
const VERBS: &[&str] = &[
    "fleet plan -vv",
    "fleet plan --json -vv",
    "fleet apply -vv",
    "fleet apply --json",
    "fleet ps -vv",
    "fleet ps --json --probe",
    "fleet status -vv",
    "fleet status --json",
    "fleet verify -vv",
    "fleet verify --json",
    "fleet verify --deep -vv",
    "fleet doctor -vv",
    "fleet doctor --json",
    "fleet agent roster -vv",
    "fleet agent roster --json",
    "mosaic agent status coder --json",
    "mosaic agent tail coder",
    "mosaic agent send coder --message hello --json -vv",
    "fleet render --out ~/rendered -vv",
    "fleet init --profile dogfood -vv",
    "fleet init --profile dogfood --write -vv",
    "mosaic yolo --print dogfood",
    "MOSAIC_AGENT_NAME=coder mosaic yolo --print dogfood",
    "~/.config/mosaic/tools/fleet/start-agent-session.sh coder",
    "~/.config/mosaic/tools/fleet/start-agent-session.sh --replace rev",
    "MOSAIC_AGENT_NAME=coder mosaic heartbeat --source hook",
    "fleet stop rev -vv",
    "fleet start rev -vv",
    "fleet restart coder -vv",
    "systemctl --user show 'mosaic-*' mosaic-agent@coder mosaic-agent@rev",
    "systemctl --user status --no-pager -l mosaic-agent@coder mosaic-tmux-holder",
    "systemctl --user cat mosaic-agent@coder",
    "systemctl --user show-environment",
    "tmux -L mosaic-factory show-environment -g",
    "tmux -L mosaic-factory show-environment -t =coder",
    "tmux -L mosaic-factory list-panes -a -F '#{pane_start_command} #{pane_current_command} #{pane_title}'",
    "tmux -L mosaic-factory list-sessions -F '#{session_name} #{session_path}'",
    "tmux -L mosaic-factory show-messages",
    "tmux -L mosaic-factory capture-pane -p -S - -t =coder:",
];

/// Rosters that are wrong beside or in a secret.
const WRONG: &[&str] = &[
    "defaults:\n  env:\n    A: hunter2-7Qv9\n    B: [hunter2-7Qv9]\n",
    "defaults:\n  env: hunter2-7Qv9\n",
    "agents:\n- name: a\n  env:\n    UID: hunter2-7Qv9\n    A: \"hunter2-7Qv9\\0\"\n  modle: x\n",
    "agents:\n- name: a\n  env: {TOKEN=hunter2-7Qv9}\n",
    "agents:\n- name: a\n  env:\n    A: !hunter2-7Qv9\n",
    "agents:\n- name: a\n  env:\n    A: \"hunter2-7Qv9\n",
];

/// Paths below these that hold the mark, but for `rendered`, which is the files themselves again.
fn files_with_it(fleet: &Fleet) -> BTreeSet<String> {
    let places = format!("/home/{TENANT} /run/user/{} /tmp /var/lib/systemd", fleet.uid);
    // The mark stands in a file: on a command line the search would find itself.
    let line = format!("grep -raFl -f /root/mark --exclude-dir=rendered {places} 2>/dev/null || true");
    let found = fleet.rig.root_ok(&["sh", "-c", &line]);
    let below = format!("{MOSAIC}/fleet/");
    let shown =
        |path: &str| path.strip_prefix(&below).map_or_else(|| path.to_owned(), |p| format!("fleet/{p}"));
    found.lines().map(shown).collect()
}

/// `unit comm` of every process with the mark in `/proc/PID/FILE`.
fn processes_with_it(fleet: &Fleet, file: &str) -> BTreeSet<String> {
    let line = format!(
        "cd /proc; for p in [0-9]*; do grep -aqFf /root/mark $p/{file} 2>/dev/null || continue; \
         unit=$(sed -n 's,^0::.*/,,p' $p/cgroup); echo \"$unit $(cat $p/comm)\"; done"
    );
    let found = fleet.rig.root_ok(&["sh", "-c", &line]);
    found.lines().map(str::to_owned).collect()
}

fn journal_lines(fleet: &Fleet) -> String {
    fleet.rig.root_ok(&["sh", "-c", "journalctl -o export --no-pager -q | grep -aFf /root/mark || true"])
}

/// The lines of the journal with the mark, but for the one that proves the search.
fn journal_with_it(fleet: &Fleet) -> String {
    journal_lines(fleet).lines().filter(|line| !line.ends_with("-proof")).collect()
}

/// What says the mark aloud is found: in an output, in the journal and on a command line.
fn prove_the_search(fleet: &Fleet) {
    assert!(in_a_shell(fleet, "echo $CALLER_TOKEN").report().contains(MARK));
    assert_eq!(journal_with_it(fleet), "");
    in_a_shell(fleet, "echo $CALLER_TOKEN-proof | logger").ok();
    fleet.rig.wait_until("the journal has it", SOON, || journal_lines(fleet).contains("-proof"));
    let mut aloud = fleet
        .rig
        .as_user_command(TENANT, &["bash", "-c", ". ~/caller.sh; exec -a $CALLER_TOKEN sleep 300"])
        .spawn()
        .expect("it starts");
    let found = || processes_with_it(fleet, "cmdline").iter().any(|p| p.ends_with(" sleep"));
    fleet.rig.wait_until("the command line is found", SOON, found);
    aloud.kill().expect("ours");
    aloud.wait().expect("ours");
    fleet.rig.wait_until("it is gone", SOON, || !found());
}

#[test]
fn a_secret_is_in_its_agents_files_and_processes_and_nowhere_else() {
    if Rig::skipped() {
        return;
    }
    Suite::each(|suite| {
        let fleet = Fleet::tenant(suite);
        fleet.rig.write("/root/mark", format!("{MARK}\n"), "root");
        let home = format!("/home/{TENANT}");
        fleet.rig.write(&format!("{home}/caller.sh"), format!("export CALLER_TOKEN={MARK}-caller\n"), TENANT);
        fleet.rig.write(&format!("{MOSAIC}/fleet/roster.yaml"), roster(), TENANT);
        let local = format!("{MOSAIC}/fleet/agents/coder.local.env");
        fleet.rig.write(&local, format!("LOCAL_TOKEN={MARK}-local\n"), TENANT);
        let mut said: Vec<Run> = Vec::new();
        for line in ["fleet plan -vv", "fleet apply -vv"] {
            let run = in_a_shell(&fleet, line);
            assert_eq!(run.code, 0, "{suite:?}: {}", run.report());
            said.push(run);
        }
        fleet.rig.wait_until("both have answered", SOON, || fleet.run(&["fleet", "verify"]).code == 0);

        // The search finds what is there to be found.
        let own = [
            "agents/coder.env",
            "agents/coder.local.env",
            "agents/plain.env",
            "agents/rev.env",
            "roster.yaml",
        ];
        let own: BTreeSet<String> =
            own.iter().map(|f| format!("fleet/{f}")).chain([format!("{home}/caller.sh")]).collect();
        assert_eq!(files_with_it(&fleet), own, "{suite:?}");
        let agents = |processes: &BTreeSet<String>| {
            let units = processes.iter().filter_map(|p| p.split_whitespace().next());
            units.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let both: BTreeSet<String> = ["coder", "rev"].map(fleet::unit).into_iter().collect();
        assert_eq!(agents(&processes_with_it(&fleet, "environ")), both, "{suite:?}");
        let values =
            fleet.run(&["sh", "-c", &format!("cat /proc/{}/environ", fleet.pane("coder").expect("a pane"))]);
        for (name, end) in
            [("DEFAULT", "default"), ("RUNTIME", "own"), ("AGENT", "agent"), ("LOCAL", "local")]
        {
            let value = format!("{name}_TOKEN={MARK}-{end}");
            assert!(values.stdout.split('\0').any(|v| v == value), "{suite:?}: no {value}");
        }

        prove_the_search(&fleet);

        // A file changed by hand, a value that changes, one that goes: what a plan has most to say of.
        let edit = format!("sed -i 's/-agent/-edited/' {MOSAIC}/fleet/agents/coder.env");
        fleet.run(&["sh", "-c", &edit]).ok();
        let change = format!("sed -i 's/-default/-changed/; /AGENT_TOKEN/d' {MOSAIC}/fleet/roster.yaml");
        fleet.run(&["sh", "-c", &change]).ok();
        said.extend(VERBS.iter().map(|line| in_a_shell(&fleet, line)));
        for (at, wrong) in WRONG.iter().enumerate() {
            fleet.rig.write(&format!("{home}/wrong{at}.yaml"), format!("version: 1\n{wrong}"), TENANT);
            let run = in_a_shell(&fleet, &format!("fleet plan -vv --roster ~/wrong{at}.yaml"));
            assert_eq!(run.code, 3, "{suite:?}: {}", run.report());
            said.push(run);
        }
        said.extend(["fleet apply --force -vv", "fleet ps -vv"].map(|line| in_a_shell(&fleet, line)));
        fleet.rig.wait_until("both have answered again", SOON, || fleet.run(&["fleet", "verify"]).code == 0);

        let done = said.iter().filter(|run| run.code == 0).count();
        assert!(done >= 25, "{suite:?}: only {done} of {} verbs had anything to tell", said.len());
        let shown: Vec<String> =
            said.iter().filter(|run| run.report().contains(MARK)).map(Run::report).collect();
        assert!(shown.is_empty(), "{suite:?}: shown by\n{}", shown.join("\n\n"));
        assert_eq!(journal_with_it(&fleet), "", "{suite:?}");
        let wrong = (0..WRONG.len()).map(|at| format!("{home}/wrong{at}.yaml"));
        // The copy of what --force overwrote is as private as the file was.
        let (copies, found): (BTreeSet<_>, _) =
            files_with_it(&fleet).into_iter().partition(|file| file.contains("coder.env.bak-"));
        assert_eq!(found, own.into_iter().chain(wrong).collect(), "{suite:?}");
        let copy = fleet.run(&["sh", "-c", &format!("stat -c %a {MOSAIC}/fleet/agents/coder.env.bak-*")]);
        assert_eq!((copies.len(), copy.stdout.as_str()), (1, "600\n"), "{suite:?}");
        assert_eq!(processes_with_it(&fleet, "cmdline"), BTreeSet::new(), "{suite:?}");
        assert_eq!(agents(&processes_with_it(&fleet, "environ")), both, "{suite:?}");
        // What the caller's shell had went nowhere at all.
        fleet.rig.write("/root/mark", format!("{MARK}-caller\n"), "root");
        assert_eq!(processes_with_it(&fleet, "environ"), BTreeSet::new(), "{suite:?}");
        let modes = format!("stat -c %a {MOSAIC}/fleet/agents/[cpr]*[a-z].env {MOSAIC}/fleet/ledger.json");
        let modes = fleet.rig.root_ok(&["sh", "-c", &format!("{modes} | grep -v local")]);
        assert!(modes.lines().filter(|mode| *mode == "600").count() >= 4, "{suite:?}: {modes}");
    });
}
