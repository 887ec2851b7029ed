//! `fleet init`, `plan` and `apply` where no user manager can be reached: what a person sees, and
//! what is written. HOME is never the caller's own, so no manager is told of anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

struct Home(tempfile::TempDir);

/// What one entry of a home is: inode, mode, time of change, bytes.
type Entry = (u64, u32, i64, i64, Vec<u8>);

const UNITS: &str = ".config/systemd/user";
const FLEET: &str = ".config/mosaic/fleet";
const ROSTER: &str = ".config/mosaic/fleet/roster.yaml";
const CODER: &str = ".config/mosaic/fleet/agents/coder.env";
const LEDGER: &str = ".config/mosaic/fleet/ledger.json";

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a home"));
        home.put("bin/tmux", "#!/bin/sh\nexit 1\n", 0o755);
        home.put("bin/npm", "#!/bin/sh\necho \"$HOME/npm\"\necho asked >> \"$HOME/asked\"\n", 0o755);
        home
    }

    fn with_roster(text: &str) -> Self {
        let home = Self::new();
        home.put(ROSTER, text, 0o600);
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str, mode: u32) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn fleet(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.env_clear().env("HOME", self.0.path()).env("PATH", self.at("bin")).args(args);
        command
    }

    /// Runs it and expects that exit code.
    fn run(&self, args: &[&str], code: i32) -> Ran {
        let output = self.fleet(args).output().expect("it runs");
        let ran = Ran::of(&output);
        assert_eq!(output.status.code(), Some(code), "fleet {args:?}\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// Paths that are not as they were.
    fn changes_since(&self, before: &BTreeMap<PathBuf, Entry>) -> Vec<PathBuf> {
        let after = self.tree();
        let paths: std::collections::BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
    }

    /// Everything below the home, by path.
    fn tree(&self) -> BTreeMap<PathBuf, Entry> {
        let mut tree = BTreeMap::new();
        walk(self.0.path(), &mut tree);
        tree
    }
}

fn walk(folder: &Path, tree: &mut BTreeMap<PathBuf, Entry>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let facts = path.symlink_metadata().expect("there");
        let bytes = if facts.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
        tree.insert(path.clone(), (facts.ino(), facts.mode(), facts.mtime(), facts.mtime_nsec(), bytes));
        if facts.is_dir() {
            walk(&path, tree);
        }
    }
}

struct Ran {
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Self { out: text(&output.stdout), err: text(&output.stderr) }
    }
}

#[test]
fn init_without_write_shows_the_whole_plan_and_changes_nothing() {
    let home = Home::new();
    let before = home.tree();
    for profile in ["minimal", "usc", "dogfood"] {
        let shown = home.run(&["init", "--profile", profile], 0);
        for part in [
            "+++ ",
            "roster.yaml: new",
            "mosaic-tmux-holder.service: not pulled in by default.target",
            "linger ",
            "reload ",
            "Summary: ",
        ] {
            assert!(shown.out.contains(part), "{profile}: no {part:?} in\n{}", shown.out);
        }
        assert!(shown.err.contains("Nothing was changed"), "{}", shown.err);
    }
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
}

#[test]
fn init_with_write_does_everything_but_what_the_machine_refuses_and_says_the_cure() {
    let home = Home::new();
    let ran = home.run(&["init", "--profile", "dogfood", "--write"], 4);
    assert!(ran.err.contains("error: ") && ran.err.contains("hint: run it with HOME="), "{}", ran.err);
    for file in [ROSTER, CODER, LEDGER, &format!("{FLEET}/tmux.conf")] {
        let mode = fs::metadata(home.at(file)).expect(file).mode() & 0o7777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let script = fs::metadata(home.at(".config/mosaic/tools/fleet/start-agent-session.sh")).expect("there");
    assert_eq!(script.mode() & 0o7777, 0o700);
    for folder in [".config", ".config/mosaic", FLEET, UNITS] {
        let mode = fs::metadata(home.at(folder)).expect(folder).mode() & 0o7777;
        assert_eq!(mode, 0o700, "{folder}");
    }
    // A manager that starts later, once an admin has allowed it, finds everything enabled.
    for by in ["default.target", "mosaic-tmux-holder.service"] {
        let link = home.at(&format!("{UNITS}/{by}.wants/mosaic-agent@coder.service"));
        assert!(link.is_file(), "{} leads to the template", link.display());
    }
    assert_eq!(home.text(&format!("{FLEET}/run/npm-prefix")).trim(), home.at("npm").display().to_string());
    home.run(&["init", "--profile", "dogfood", "--write"], 4);
    assert_eq!(home.text("asked"), "asked\n", "npm is asked once");
    home.run(&["apply", "--files-only", "--refresh-npm"], 0);
    assert_eq!(home.text("asked"), "asked\nasked\n", "and again on request");
}

#[test]
fn what_init_writes_is_what_the_roster_says_afterwards() {
    let home = Home::new();
    home.run(&["init", "--profile", "usc", "--write"], 4);
    let roster = home.text(ROSTER);
    assert!(roster.contains("mos-claude") && roster.contains("ultron"), "{roster}");
    let again = home.run(&["apply", "--files-only"], 0);
    assert!(again.out.starts_with("Nothing to do: "), "{}", again.out);
}

const TWO: &str = "version: 1\ndefaults: {runtime: dogfood}\nagents: [{name: coder}, {name: reviewer}]\n";

#[test]
fn a_second_apply_writes_nothing_at_all() {
    let home = Home::with_roster(TWO);
    for verb in ["apply", "install-systemd", "install"] {
        home.run(&[verb, "--files-only"], 0);
    }
    let before = home.tree();
    let again = home.run(&["apply", "--files-only"], 0);
    assert!(again.out.starts_with("Nothing to do: "), "{}", again.out);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
    home.run(&["plan"], 0);
    home.run(&["plan", "--json"], 0);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new(), "a plan changes nothing");
}

#[test]
fn a_different_roster_is_never_overwritten_unasked() {
    let home = Home::with_roster(TWO);
    let before = home.tree();
    let shown = home.run(&["init", "--profile", "dogfood"], 0);
    assert!(shown.err.contains("holds a different roster"), "{}", shown.err);
    let refused = home.run(&["init", "--profile", "dogfood", "--write"], 1);
    assert!(
        refused.err.contains("roster.yaml holds a different roster: nothing was changed"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("--force"), "{}", refused.err);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());

    home.run(&["init", "--profile", "dogfood", "--write", "--force"], 4);
    assert!(home.text(ROSTER).contains("orchestrator"));
    let copies: Vec<PathBuf> = fs::read_dir(home.at(FLEET))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.display().to_string().contains("roster.yaml.bak-"))
        .collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert_eq!(fs::read_to_string(&copies[0]).expect("readable"), TWO);
    home.run(&["init", "--profile", "dogfood", "--write", "--force"], 4);
    let names = fs::read_dir(home.at(FLEET)).expect("a folder").count();
    home.run(&["init", "--profile", "dogfood", "--write", "--force"], 4);
    assert_eq!(
        fs::read_dir(home.at(FLEET)).expect("a folder").count(),
        names,
        "the same one asks for no copy"
    );
}

#[test]
fn only_what_changed_is_written_and_shown_as_a_diff() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    let before = home.tree();
    home.put(
        ROSTER,
        &TWO.replace("{name: coder}", "{name: coder, class: implementer, env: {EXTRA: x}}"),
        0o600,
    );
    let plan = home.run(&["plan"], 0).out;
    assert!(plan.contains("+EXTRA=…\n") && plan.contains(" MOSAIC_HOST=…\n"), "{plan}");
    assert!(!plan.contains("reviewer.env"), "{plan}");
    home.run(&["apply", "--files-only"], 0);
    let changed = home.changes_since(&before);
    let changed: Vec<&Path> = changed
        .iter()
        .filter(|path| path.is_file())
        .map(|path| path.strip_prefix(home.0.path()).expect("below"))
        .collect();
    let lock = format!("{FLEET}/run/apply.lock");
    assert_eq!(changed, [Path::new(CODER), Path::new(LEDGER), Path::new(ROSTER), Path::new(&lock)]);
}

#[test]
fn a_file_edited_by_hand_is_kept_until_force_and_named_with_its_cure() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    home.put(CODER, "MINE=1\n", 0o600);
    let kept = home.run(&["apply", "--files-only"], 1);
    assert!(
        kept.err.contains("coder.env: edited by hand since it was written; kept; --force"),
        "{}",
        kept.err
    );
    assert_eq!(home.text(CODER), "MINE=1\n");
    let plan: Value = serde_json::from_str(&home.run(&["plan", "--json"], 0).out).expect("JSON");
    assert_eq!(plan["conflicts"][0]["resolution"], "kept");
    assert_eq!(plan["conflicts"][0]["path"], home.at(CODER).display().to_string());
    let forced = home.run(&["apply", "--files-only", "--force", "--json"], 0);
    assert!(home.text(CODER).contains("MOSAIC_AGENT_NAME="));
    let said: Value = serde_json::from_str(&forced.out).expect("JSON alone");
    assert_eq!((&said["schema_version"], &said["ok"]), (&1.into(), &true.into()));
    assert_eq!(said["conflicts"][0]["resolution"], "overwritten");
    assert!(said["jobs"].is_array() && said["refused"].is_array() && said["host"].is_string(), "{said}");
    // What stood there is kept aside, for its owner alone.
    let copy = said["steps"][0]["to"].as_str().expect("a copy");
    assert_eq!(fs::read_to_string(copy).expect("readable"), "MINE=1\n");
    assert_eq!(fs::metadata(copy).expect("there").mode() & 0o7777, 0o600);
    assert_eq!(Path::new(copy).parent(), home.at(CODER).parent(), "beside it: {copy}");
}

#[test]
fn what_was_refused_stands_in_the_json_of_an_apply_and_of_an_init() {
    let home = Home::with_roster(TWO);
    for args in [&["apply", "--json"][..], &["init", "--profile", "dogfood", "--write", "--force", "--json"]]
    {
        let said: Value = serde_json::from_str(&home.run(args, 4).out).expect("JSON alone");
        assert_eq!((&said["schema_version"], &said["ok"]), (&1.into(), &false.into()), "{said}");
        let hints = said["refused"][0]["hints"].as_array().expect("hints");
        assert!(hints[0].as_str().is_some_and(|h| h.starts_with("run it with HOME=")), "{said}");
    }
    let shown: Value =
        serde_json::from_str(&home.run(&["init", "--profile", "minimal", "--json"], 0).out).expect("JSON");
    assert!(shown["steps"].is_array() && shown["conflicts"][0]["resolution"] == "kept", "{shown}");
}

#[test]
fn a_ledger_of_a_newer_program_is_refused_with_another_cure_than_a_damaged_one() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    home.put(LEDGER, &home.text(LEDGER).replace("\"version\": 1", "\"version\": 7"), 0o600);
    let before = home.tree();
    for verb in ["plan", "apply"] {
        let refused = home.run(&[verb], 3);
        assert!(refused.err.contains("version 7") && refused.err.contains("newer"), "{}", refused.err);
        assert!(!refused.err.contains("mv "), "it is whole, so it is not moved away: {}", refused.err);
    }
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
}

#[test]
fn a_fleet_that_would_move_says_why_its_holder_has_to_restart() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    // The same files under another socket: as after a ledger that was put right by hand.
    home.put(LEDGER, &home.text(LEDGER).replace("/mosaic-factory\"", "/elsewhere\""), 0o600);
    let plan = home.run(&["plan"], 0).out;
    assert!(plan.contains("PENDING   restart of mosaic-tmux-holder.service: the roster moves it"), "{plan}");
}

#[test]
fn a_ledger_that_can_not_be_read_stops_before_the_first_step() {
    let damaged: [&dyn Fn(&str) -> String; 3] = [
        &|text| text[..text.len() / 2].to_owned(),
        &|text| text.replace("\"version\": 1", "\"version\": 2"),
        &|text| text.replace(".config/mosaic/fleet/agents/coder.env", "../elsewhere"),
    ];
    for damage in damaged {
        let home = Home::with_roster(TWO);
        home.run(&["apply", "--files-only"], 0);
        let ledger = damage(&home.text(LEDGER));
        home.put(LEDGER, &ledger, 0o600);
        home.put(ROSTER, &TWO.replace("reviewer", "other"), 0o600);
        let before = home.tree();
        for args in [["apply", "--force"].as_slice(), &["apply", "--files-only"], &["plan"]] {
            let refused = home.run(args, 3);
            assert!(refused.err.contains("ledger.json") && refused.err.contains("hint: "), "{}", refused.err);
        }
        home.run(&["init", "--profile", "dogfood", "--write", "--force"], 3);
        assert!(!home.changes_since(&before).contains(&home.at(CODER)));
        assert_eq!(home.text(LEDGER), ledger);
    }
}

#[test]
fn an_unreadable_roster_stops_before_the_first_step() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    home.put(ROSTER, &TWO[..TWO.len() - 10], 0o600);
    let before = home.tree();
    let refused = home.run(&["apply"], 3);
    assert!(refused.err.contains("roster.yaml:"), "{}", refused.err);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
}

#[test]
fn a_transport_that_nothing_carries_is_refused_before_the_first_step() {
    let home = Home::with_roster("version: 1\ntransport: none\nagents: [{name: coder}]\n");
    let before = home.tree();
    for verb in ["plan", "apply"] {
        let ran = home.run(&[verb], 3);
        assert!(ran.err.contains("transport: tmux"), "{}", ran.err);
    }
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
}

#[test]
fn no_value_of_a_variable_is_ever_shown_or_kept_anywhere_but_in_its_file() {
    const SECRET: &str = "planted-secret-4711";
    let roster = |n: u32| {
        format!(
            "version: 1\ndefaults: {{runtime: dogfood, env: {{A: {SECRET}a{n}}}}}\n\
             runtimes: {{dogfood: {{env: {{B: \"{SECRET}b{n}\\nC={SECRET}\"}}}}}}\n\
             agents:\n  - {{name: coder, env: {{D: {SECRET}d{n}}}, command: \"run {SECRET}{n}\"}}\n"
        )
    };
    let home = Home::with_roster(&roster(1));
    let mut said = Vec::new();
    let mut run = |args: &[&str]| {
        let output = home.fleet(args).env("CALLERS_OWN", SECRET).output().expect("it runs");
        let ran = Ran::of(&output);
        said.push((args.join(" "), ran.out + &ran.err));
    };
    for n in [1, 2] {
        home.put(ROSTER, &roster(n), 0o600);
        run(&["plan"]);
        run(&["plan", "--json"]);
        run(&["-vv", "apply", "--files-only"]);
        run(&["-vv", "apply"]);
    }
    assert!(home.text(CODER).contains(&format!("{SECRET}d2")), "its own file has it");
    home.put(CODER, &format!("X={SECRET}\n{SECRET}=\n# {SECRET}\nY=\"\n{SECRET}Z=1\n\"\n"), 0o600);
    run(&["plan"]);
    run(&["plan", "--json"]);
    run(&["apply", "--files-only"]);
    run(&["init", "--profile", "dogfood", "--force"]);
    run(&["-vv", "init", "--profile", "dogfood", "--write"]);
    run(&["-vv", "init", "--profile", "dogfood", "--write", "--force"]);
    for (args, text) in said {
        assert!(!text.contains(SECRET), "fleet {args} shows it:\n{text}");
    }
    for (path, entry) in home.tree() {
        let text = String::from_utf8_lossy(&entry.4).into_owned();
        let own = path.display().to_string();
        if !own.contains("roster.yaml") && !own.ends_with(".env") && !own.contains(".env.bak-") {
            assert!(!text.contains(SECRET), "{own} has it");
        }
    }
}

#[test]
fn a_plan_as_json_stands_alone_on_stdout_and_says_whose_it_is() {
    let home = Home::with_roster(TWO);
    let ran = home.run(&["plan", "--json"], 0);
    let plan: Value = serde_json::from_str(&ran.out).expect("JSON alone");
    assert_eq!(plan["schema_version"], 1);
    assert!(plan["tenant_id"].is_string() && plan["host"].is_string());
    let steps = plan["steps"].as_array().expect("steps");
    let actions: Vec<&str> = steps.iter().filter_map(|s| s["action"].as_str()).collect();
    for action in ["write", "linger", "enable", "reload", "start"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    assert!(steps.iter().all(|s| s["reason"].is_string() && s["impact"].is_array()));
}

#[test]
fn a_name_the_roster_does_not_have_is_told_with_the_nearest_one() {
    let home = Home::with_roster(TWO);
    for verb in ["start", "stop", "restart"] {
        let ran = home.run(&[verb, "codr"], 3);
        assert!(ran.err.contains("no agent codr") && ran.err.contains("did you mean coder?"), "{}", ran.err);
        let ran = home.run(&[verb, "coder"], 4);
        assert!(ran.err.contains("hint: "), "without a manager, the cure: {}", ran.err);
    }
    assert!(!home.at(&format!("{FLEET}/run")).exists(), "nothing is parked that could not be stopped");
}

#[test]
fn a_file_in_the_way_of_a_folder_ends_with_what_and_where() {
    let home = Home::with_roster(TWO);
    home.put(".config/systemd", "a file", 0o600);
    let ran = home.run(&["apply", "--files-only"], 4);
    assert!(ran.err.contains(".config/systemd"), "{}", ran.err);
    fs::remove_file(home.at(".config/systemd")).expect("removed");
    home.run(&["apply", "--files-only"], 0);
}

#[test]
fn ten_applies_at_once_all_succeed_and_leave_one_state() {
    let home = Home::with_roster(TWO);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..10).map(|_| scope.spawn(|| home.run(&["apply", "--files-only"], 0))).collect();
        runs.into_iter().for_each(|run| drop(run.join().expect("it succeeds")));
    });
    let again = home.run(&["apply", "--files-only"], 0);
    assert!(again.out.starts_with("Nothing to do: "), "{}", again.out);
    let left: Vec<_> =
        home.tree().into_keys().filter(|p| p.display().to_string().contains(".mosaic-new")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_apply_that_waited_for_another_goes_by_the_roster_of_now() {
    let home = Home::with_roster(TWO);
    let lock = home.at(&format!("{FLEET}/run/apply.lock"));
    home.put(&format!("{FLEET}/run/apply.lock"), "4711\n", 0o600);
    let file = fs::File::options().write(true).open(&lock).expect("a lock file");
    let held = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).map_err(|(_, e)| e);
    let held = held.expect("free");
    let mut waiting = std::process::Command::new(env!("CARGO_BIN_EXE_fleet"))
        .args(["apply", "--files-only"])
        .env_clear()
        .env("HOME", home.0.path())
        .env("PATH", home.at("bin"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = String::new();
    let mut stderr = BufReader::new(waiting.stderr.take().expect("a pipe"));
    stderr.read_line(&mut said).expect("it says that it waits");
    assert!(said.contains("pid 4711"), "{said}");
    home.put(ROSTER, &TWO.replace("reviewer", "other"), 0o600);
    drop(held);
    assert!(waiting.wait().expect("it ends").success());
    assert!(home.at(&format!("{FLEET}/agents/other.env")).exists());
    assert!(!home.at(&format!("{FLEET}/agents/reviewer.env")).exists());
}

#[test]
fn what_the_command_line_refuses_exits_with_2() {
    let home = Home::with_roster(TWO);
    home.run(&["init", "--profile", "nope"], 2);
    home.run(&["init", "--profile", "dogfood", "--start"], 2);
    home.run(&["init"], 2);
    home.run(&["--roster", "x.yaml", "init", "--profile", "dogfood"], 2);
    home.run(&["apply", "--files-only", "--restart-holder"], 2);
    let none = Home::new().run(&["plan"], 3);
    assert!(none.err.contains("there is no roster") && none.err.contains("fleet init"), "{}", none.err);
}

#[test]
fn a_drop_in_that_would_keep_an_agent_down_stops_apply_before_the_first_write() {
    let home = Home::with_roster("version: 1\nagents: [{name: coder, command: x}]\n");
    let drop_in = format!("{UNITS}/mosaic-agent@coder.service.d/net.conf");
    home.put(&drop_in, "[Unit]\nRequires=network-online.target\nAfter=network-online.target\n", 0o600);
    let before = home.tree();
    for verb in [vec!["apply"], vec!["apply", "--files-only"], vec!["plan"], vec!["plan", "--json"]] {
        let told = home.run(&verb, 3);
        let place = format!("{}:2: Requires=network-online.target", home.at(&drop_in).display());
        assert!(told.err.contains(&place), "{verb:?}: {}", told.err);
        assert!(told.err.contains("hint: take it out"), "{verb:?}: {}", told.err);
    }
    let init = home.run(&["init", "--profile", "minimal"], 0);
    assert!(!init.err.contains("network-online"), "it has no agent of that name: {}", init.err);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
    let plan: Value = serde_json::from_str(&home.run(&["plan", "--json"], 3).out).expect("JSON");
    assert_eq!(plan["lint"][0]["rule"], "system-only-dependency");
    assert_eq!((&plan["lint"][0]["level"], &plan["lint"][0]["line"]), (&"error".into(), &2.into()));
    assert_eq!(plan["lint"][1]["level"], "warning");

    home.put(&drop_in, "[Unit]\nAfter=network-online.target\n", 0o600);
    let told = home.run(&["apply", "--files-only"], 0);
    assert!(told.err.contains("warning: ") && told.err.contains("net.conf:2: After="), "{}", told.err);
}
