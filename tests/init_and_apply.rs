//! `fleet init`, `plan` and `apply` where no user manager can be reached: what a person sees, and
//! what is written.

#[path = "common/home.rs"]
mod home;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use home::{CODER, FLEET, Home, LEDGER, ROSTER, Ran, TWO, UNITS};
use serde_json::Value;

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
