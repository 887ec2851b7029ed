//! What stops an apply before its first step, keeps it from a file, or has it wait.

#[path = "common/home.rs"]
mod home;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use home::{CODER, FLEET, Home, LEDGER, ROSTER, TWO, UNITS};
use serde_json::Value;

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
fn a_name_the_roster_does_not_have_is_told_with_the_nearest_one() {
    let home = Home::with_roster(TWO);
    for verb in ["start", "stop", "restart"] {
        let ran = home.run(&[verb, "codr"], 3);
        assert!(
            ran.err.contains("no agent \"codr\"") && ran.err.contains("did you mean coder?"),
            "{}",
            ran.err
        );
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

/// The copies in a folder.
fn copies(home: &Home, folder: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(home.at(folder)).expect("a folder").flatten().map(|entry| entry.path());
    names.filter(|path| path.display().to_string().contains(".bak-")).collect()
}

#[test]
fn a_copy_of_what_was_overwritten_is_private_stands_in_the_ledger_and_goes_with_its_agent() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    home.put(CODER, "TOKEN=planted\n", 0o644);
    home.run(&["apply", "--files-only", "--force"], 0);
    let agents = format!("{FLEET}/agents");
    let [copy] = copies(&home, &agents).try_into().expect("one copy");
    assert_eq!(fs::metadata(&copy).expect("there").mode() & 0o7777, 0o600);
    let name = copy.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(home.text(LEDGER).contains(&format!("agents/{name}\"")), "{}", home.text(LEDGER));
    let before = home.tree();
    assert!(home.run(&["apply", "--files-only"], 0).out.starts_with("Nothing to do: "));
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
    home.put(ROSTER, &TWO.replace("{name: coder}, ", ""), 0o600);
    let plan = home.run(&["plan"], 0).out;
    assert!(plan.contains(&format!("remove    ~/{agents}/{name}: ")), "{plan}");
    assert!(!plan.contains("planted"), "{plan}");
}

#[test]
fn a_plan_with_a_flag_of_apply_shows_what_apply_does_with_it() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    home.put(CODER, "TOKEN=planted\nMOSAIC_AGENT_NAME=\"coder\"\n", 0o600);
    // Without it the conflict shows what would become of it, and no value.
    let kept = home.run(&["plan", "--files-only"], 0).out;
    assert!(kept.contains("coder.env: edited by hand since it was written; kept"), "{kept}");
    for line in ["+++ ", "-…\n", " MOSAIC_AGENT_NAME=…\n", "+MOSAIC_HOST=…\n"] {
        assert!(kept.contains(line), "no {line:?} in {kept}");
    }
    let json = |args: &[&str]| -> Value { serde_json::from_str(&home.run(args, 0).out).expect("JSON") };
    let diff = json(&["plan", "--json"])["conflicts"][0]["diff"].as_str().expect("a diff").to_owned();
    assert!(diff.contains("+MOSAIC_HOST=…") && !diff.contains("planted"), "{diff}");
    let before = home.tree();
    let planned = json(&["plan", "--force", "--files-only", "--json"]);
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new(), "a plan changes nothing");
    let done = json(&["apply", "--force", "--files-only", "--json"]);
    let steps = |value: &Value| -> Vec<(String, String)> {
        let word = |step: &Value, key: &str| step[key].as_str().unwrap_or_default().to_owned();
        value["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|s| (word(s, "action"), word(s, "path")))
            .collect()
    };
    assert_eq!(steps(&planned), steps(&done));
    assert_eq!(steps(&planned).len(), 2, "a copy and the file: {planned}");
    home.run(&["plan", "--files-only", "--restart-holder"], 2);
    home.run(&["plan", "--adopt", "--force"], 2);
}

#[test]
fn a_holder_made_by_hand_is_refused_in_the_plan_as_in_the_apply_and_its_takeover_is_shown() {
    let home = Home::with_roster(TWO);
    home.put(&format!("{UNITS}/mosaic-tmux-holder.service"), "[Service]\nType=oneshot\n", 0o644);
    home.put(CODER, "TOKEN=planted\nMOSAIC_AGENT_NAME=coder\n", 0o644);
    home.put("bin/tmux", "#!/bin/sh\necho 'no server running on /tmp/x' >&2\nexit 1\n", 0o755);
    let before = home.tree();
    let plan = home.run(&["plan"], 0);
    assert!(plan.out.contains("REFUSED   the holder's unit was not written by us"), "{}", plan.out);
    assert!(!plan.out.contains("start "), "{}", plan.out);
    assert!(plan.out.contains("-Type=oneshot\n"), "what stands there is shown: {}", plan.out);
    let said: Value = serde_json::from_str(&home.run(&["plan", "--json"], 0).out).expect("JSON");
    assert_eq!(
        (&said["refusal"]["reason_id"], &said["steps"]),
        (&"hand-made".into(), &Value::Array(Vec::new()))
    );
    let refused = home.run(&["apply", "--json"], 1);
    assert!(refused.err.contains("was not written by us: nothing was changed"), "{}", refused.err);
    let said: Value = serde_json::from_str(&refused.out).expect("JSON alone");
    assert_eq!((&said["ok"], &said["refusal"]["cure"]), (&false.into(), &"fleet apply --adopt".into()));
    let taken = home.run(&["plan", "--adopt"], 0).out;
    for line in [
        "  save      ~/.config/systemd/user/mosaic-tmux-holder.service to ~/.config/mosaic/fleet/adopted/files/",
        "  write     ~/.config/mosaic/fleet/agents/coder.local.env: takes over TOKEN\n",
        "mosaic-tmux-holder.service: not as we left it, taken over by --adopt",
        "start     mosaic-tmux-holder.service",
    ] {
        assert!(taken.contains(line), "no {line:?} in\n{taken}");
    }
    assert!(!taken.contains("planted") && !taken.contains(".bak-"), "{taken}");
    assert_eq!(home.changes_since(&before), Vec::<PathBuf>::new());
}

#[test]
fn a_list_of_agents_of_which_nothing_is_left_ends_nobody_until_that_is_said() {
    let home = Home::with_roster(TWO);
    home.run(&["apply", "--files-only"], 0);
    let before = home.tree();
    for cut_off in ["version: 1\nagents:\n", "version: 1\n", "version: 1\nagents:\n  # - name: coder\n"] {
        fs::write(home.at(ROSTER), cut_off).expect("written");
        for verb in ["plan", "apply", "verify"] {
            let refused = home.run(&[verb], 3);
            let said = "it lists no agents, and 2 of them are installed: coder, reviewer";
            assert!(refused.err.contains(said) && refused.err.contains("agents: []"), "{}", refused.err);
        }
    }
    fs::write(home.at(ROSTER), TWO).expect("written");
    let changed: Vec<PathBuf> =
        home.changes_since(&before).into_iter().filter(|path| !path.ends_with("roster.yaml")).collect();
    assert_eq!(changed, Vec::<PathBuf>::new());
    fs::write(home.at(ROSTER), "version: 1\nagents: []\n").expect("written");
    assert!(home.run(&["plan"], 0).out.contains("coder.env: no longer in the roster"));
    // Where nothing is installed, the two are the same.
    let fresh = Home::with_roster("version: 1\nagents:\n");
    fresh.run(&["apply", "--files-only"], 0);
}

#[test]
fn folders_of_ours_that_others_may_look_into_are_closed() {
    let home = Home::with_roster(TWO);
    let plan = home.run(&["plan", "--files-only"], 0).out;
    assert!(plan.contains("mode      ~/.config/mosaic/fleet: mode is 0755\n"), "{plan}");
    home.run(&["apply", "--files-only"], 0);
    let mode = |path: &str| fs::metadata(home.at(path)).expect("there").mode() & 0o7777;
    assert_eq!((mode(".config/mosaic"), mode(FLEET), mode(".config")), (0o700, 0o700, 0o755));
    fs::set_permissions(home.at(&format!("{FLEET}/agents")), fs::Permissions::from_mode(0o777)).expect("set");
    let open = home.run(&["apply", "--files-only", "--json"], 0);
    let said: Value = serde_json::from_str(&open.out).expect("JSON");
    assert_eq!((&said["steps"][0]["action"], &said["steps"][0]["mode"]), (&"mode".into(), &"0700".into()));
    assert_eq!(mode(&format!("{FLEET}/agents")), 0o700);
    assert!(home.run(&["plan", "--files-only"], 0).out.starts_with("Nothing to do: "));
}
