//! `mosaic yolo` with programs that only show what they were given.

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};

struct Home(tempfile::TempDir);

/// Shows its pid, its arguments and a variable.
const SHOWS: &str = "#!/bin/sh\necho \"$$ $0\"\nprintf '<%s>' \"$@\"\necho \" $EXTRA\"\n";

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a home"))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, text: &str, mode: u32) -> &Self {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        if mode & 0o111 != 0 {
            program::write(&path, text);
        } else {
            fs::write(&path, text).expect("written");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        self
    }

    fn program(&self, path: &str) -> &Self {
        self.put(path, SHOWS, 0o755)
    }

    fn roster(&self, text: &str) -> &Self {
        self.put(".config/mosaic/fleet/roster.yaml", text, 0o600)
    }

    fn yolo(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin("mosaic"));
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.0.path());
        command.arg("yolo").args(args);
        command
    }

    fn shown(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }
}

#[test]
fn it_becomes_the_runtime_with_the_arguments_as_they_are() {
    let home = Home::new();
    home.program(".local/bin/claude");
    let args = ["yolo", "claude", "--version", "--print", "-v", "--roster", "a b'\"$x\n", ""];
    let child = Command::new(assert_cmd::cargo::cargo_bin("mosaic"))
        .args(args)
        .env_clear()
        .env("HOME", home.0.path())
        .env("PATH", "/usr/bin:/bin")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let given = "<--dangerously-skip-permissions><--version><--print><-v><--roster><a b'\"$x\n><> \n";
    assert_eq!(text, format!("{pid} {}\n{given}", home.shown(".local/bin/claude")));
}

#[test]
fn an_agents_launch_notes_the_version_that_the_package_tells() {
    let home = Home::new();
    let folder = "npm/lib/node_modules/@anthropic-ai/claude-code";
    home.put(&format!("{folder}/bin/cli.js"), "#!/bin/sh\necho $$\n", 0o755)
        .put("npm/bin/README", "", 0o600)
        .put(".config/mosaic/fleet/run/README", "", 0o600)
        .roster(
            "version: 1\nruntimes: {claude: {bin: ~/npm/bin/claude}}\n\
             agents: [{name: coder0, runtime: claude}, {name: coder1, runtime: codex}]\n",
        );
    std::os::unix::fs::symlink(home.at(&format!("{folder}/bin/cli.js")), home.at("npm/bin/claude"))
        .expect("linked");
    let note = home.at(".config/mosaic/fleet/run/coder0.launched");
    let launch = |agent: &str| {
        let run = home.yolo(&["claude"]).env("MOSAIC_AGENT_NAME", agent).assert().success();
        String::from_utf8_lossy(&run.get_output().stdout).trim().to_owned()
    };
    let noted = || fs::read_to_string(&note).expect("a note");
    let package = |text: &str| {
        home.put(&format!("{folder}/package.json"), text, 0o644);
    };

    let pid = launch("coder0");
    assert!(noted().contains("unknown=no package.json of @anthropic-ai/claude-code"), "{}", noted());
    package(r#"{"name": "@anthropic-ai/claude-code", "version": "2.1.7", "type": "module"}"#);
    assert_ne!(launch("coder0"), pid);
    assert!(noted().ends_with("runtime=claude\nversion=2.1.7\n"), "{}", noted());
    let pid = launch("coder0");
    assert!(noted().starts_with(&format!("pid={pid}\n")), "the process that it became: {}", noted());
    package(r#"{"name": "@anthropic-ai/claude-code", "version": "2.1\u001b[31m"}"#);
    launch("coder0");
    assert!(noted().contains("unknown=") && !noted().contains('\u{1b}'), "{:?}", noted());

    // Neither of nobody, nor of an agent on another runtime, nor of what an agent launches itself.
    let before = format!("pid={}\nboot_id={}\nruntime=claude\nversion=1\n", std::process::id(), boot());
    fs::write(&note, &before).expect("written");
    launch("coder0");
    launch("coder1");
    home.yolo(&["claude"]).assert().success();
    assert_eq!(noted(), before);
    assert!(!note.with_file_name("coder1.launched").exists());
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot").trim().to_owned()
}

#[test]
fn print_shows_the_command_as_a_shell_reads_it() {
    let home = Home::new();
    home.program(".local/bin/pi");
    let out = home.yolo(&["--print", "pi", "--model", "a/b:high", "it's $1"]).assert().success();
    let expected = format!("{} --no-skills --model a/b:high 'it'\\''s $1'\n", home.shown(".local/bin/pi"));
    assert_eq!(String::from_utf8_lossy(&out.get_output().stdout), expected);
    let missing = home.yolo(&["--print", "claude"]).assert().success();
    missing.stdout("claude --dangerously-skip-permissions\n").stderr(contains("claude is not installed"));
    home.yolo(&["--print", "dogfood", "--fault", "mute"])
        .assert()
        .success()
        .stdout(contains("mosaic yolo dogfood --fault mute"));
}

#[test]
fn an_agents_pi_loads_what_apply_installed_for_it() {
    let home = Home::new();
    home.program(".local/bin/pi");
    let adapter = ".config/mosaic/framework/runtime/pi/mosaic.ts";
    let missing = home.yolo(&["--print", "pi"]).env("MOSAIC_AGENT_NAME", "coder0").assert().success();
    missing.stdout(contains("mosaic.ts").not()).stderr(contains(home.shown(adapter)));
    home.put(adapter, "", 0o600);
    let shown = home.shown(".local/bin/pi");
    let line =
        format!("{shown} --model openai-codex/gpt-5.5:high --no-skills -e {} hello\n", home.shown(adapter));
    let agent = home.yolo(&["--print", "pi", "hello"]).env("MOSAIC_AGENT_NAME", "coder0").assert().success();
    agent.stdout(format!("JITI_FS_CACHE=false {line}")).stderr(is_empty());
    home.yolo(&["--print", "pi"]).assert().success().stdout(contains("mosaic.ts").not());
    home.put(".local/bin/pi", "#!/bin/sh\necho \"$JITI_FS_CACHE\"\n", 0o755);
    let mut agent = home.yolo(&["pi"]);
    agent.env("MOSAIC_AGENT_NAME", "coder0").assert().success().stdout("false\n");
}

#[test]
fn it_is_found_where_a_pane_finds_it() {
    let home = Home::new();
    home.put(".config/mosaic/fleet/run/npm-prefix", &format!("{}\n", home.shown("npm")), 0o600);
    let all = ["own/pi", "npm/bin/pi", ".npm-global/bin/pi", ".local/bin/pi", "path/pi"];
    for place in all {
        home.program(place);
    }
    for place in all {
        let mut command = home.yolo(&["--print", "pi"]);
        command.env("MOSAIC_RUNTIME_BIN", home.at("own")).env("PATH", home.at("path"));
        command.assert().success().stdout(starts_with(format!("{} ", home.shown(place))));
        fs::remove_file(home.at(place)).expect("removed");
    }
    home.program("opt/my pi")
        .program(".local/bin/pi")
        .roster("version: 1\nruntimes: {pi: {bin: ~/opt/my pi}}\n");
    home.yolo(&["--print", "pi"])
        .assert()
        .success()
        .stdout(starts_with(format!("'{}' ", home.shown("opt/my pi"))));
}

#[test]
fn a_missing_program_says_where_it_was_looked_for_and_how_it_is_installed() {
    let home = Home::new();
    let said = contains("opencode is not installed; looked in")
        .and(contains(home.shown(".local/bin")))
        .and(contains("/usr/bin"))
        .and(contains("npm install -g opencode-ai"))
        .and(contains("runtimes.opencode.bin"));
    home.yolo(&["opencode"]).assert().code(127).stdout(is_empty()).stderr(said);
}

#[test]
fn a_broken_program_is_passed_over_and_told() {
    let home = Home::new();
    home.put(
        ".npm-global/bin/claude",
        "echo \"Error: claude native binary not installed.\" >&2\nexit 1\n",
        0o755,
    );
    let said = contains(".npm-global/bin/claude is not a program").and(contains("node install.cjs"));
    home.yolo(&["claude"]).assert().code(127).stderr(said);
    home.put(".local/bin/claude", "#!/bin/sh\n", 0o644);
    home.yolo(&["claude"]).assert().code(127).stderr(contains(".local/bin/claude is not executable"));
    home.put(".local/bin/claude", "#!/nowhere/sh\n", 0o755);
    home.yolo(&["claude"])
        .assert()
        .code(127)
        .stderr(contains("interpreter or loader that it names is not installed"));
    home.program("path/claude");
    fs::remove_file(home.at(".local/bin/claude")).expect("removed");
    home.yolo(&["claude"]).env("PATH", format!("{}:/usr/bin:/bin", home.shown("path"))).assert().success();
    home.roster("version: 1\nruntimes: {claude: {bin: /nowhere/claude}}\n");
    home.yolo(&["claude"]).assert().code(127).stderr(contains("/nowhere/claude of the roster is not there"));
}

#[test]
fn an_agent_gets_the_rosters_model_and_another_runtime_in_its_pane_does_not() {
    let home = Home::new();
    home.program(".local/bin/claude")
        .program(".local/bin/codex")
        .roster("version: 1\nagents: [{name: coder0, runtime: claude, model: opus, effort: high}]\n");
    let as_agent = |runtime: &str| {
        let mut command = home.yolo(&["--print", runtime]);
        command.env("MOSAIC_AGENT_NAME", "coder0");
        command.assert().success()
    };
    as_agent("claude").stdout(contains("claude --dangerously-skip-permissions --model opus --effort high\n"));
    as_agent("codex").stdout(contains("--no-daemon\n"));
    home.yolo(&["--print", "claude"])
        .assert()
        .success()
        .stdout(contains("claude --dangerously-skip-permissions\n"));
}

#[test]
fn a_broken_roster_is_a_warning_and_no_obstacle() {
    let home = Home::new();
    home.program(".local/bin/claude").roster("version: 1\nagnets: []\n");
    let mut command = home.yolo(&["claude"]);
    command.env("MOSAIC_AGENT_NAME", "coder0");
    command
        .assert()
        .success()
        .stdout(contains("<--dangerously-skip-permissions>"))
        .stderr(contains("agnets"));
    let named = home.yolo(&["claude"]).env("MOSAIC_AGENT_NAME", "coder0").assert().success();
    named.stderr(contains("launched without the roster"));
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin("mosaic"));
    command.env_clear().env("HOME", home.0.path()).env("PATH", "/usr/bin:/bin");
    command
        .args(["--roster", "/nowhere", "yolo", "claude"])
        .assert()
        .code(3)
        .stderr(contains("no such roster"));
}

#[test]
fn a_launch_by_hand_gets_the_runtimes_variables_where_nobody_set_them() {
    let home = Home::new();
    home.program(".local/bin/claude").roster(
        "version: 1\nruntimes: {claude: {env: {EXTRA: from the roster}}}\nagents: [{name: coder0, runtime: claude}]\n",
    );
    home.yolo(&["claude"]).assert().success().stdout(contains("> from the roster\n"));
    home.yolo(&["claude"]).env("EXTRA", "mine").assert().success().stdout(contains("> mine\n"));
    // An agent has all of them from its files, which apply alone changes.
    home.yolo(&["claude"]).env("MOSAIC_AGENT_NAME", "coder0").assert().success().stdout(contains("> \n"));
}

#[test]
fn a_custom_runtime_runs_its_line_and_never_launches_itself_for_ever() {
    let home = Home::new();
    home.program("app").roster(&format!(
        "version: 1\nruntimes:\n  mine: {{command: '\"$HOME\"/app one'}}\n  loop: {{command: '{} yolo loop'}}\n",
        assert_cmd::cargo::cargo_bin("mosaic").display()
    ));
    home.yolo(&["mine", "two words"]).assert().success().stdout(contains("<one><two words>"));
    home.yolo(&["loop"]).assert().code(3).stderr(contains("launches loop again"));
}

#[test]
fn an_unknown_runtime_names_the_nearest() {
    let home = Home::new();
    home.roster("version: 1\nruntimes: {mine: {command: x}}\n");
    let said = contains("no runtime cluade; there are claude, codex, dogfood, mine, opencode, pi")
        .and(contains("did you mean claude?"));
    home.yolo(&["cluade"]).assert().code(2).stderr(said);
    home.yolo(&["PI"]).assert().code(2).stderr(contains("did you mean pi?"));
    let far = contains("the nearest name is ").and(contains("runtimes.nosuch.command"));
    home.yolo(&["nosuch"]).assert().code(2).stderr(far);
    home.yolo(&["a/b"]).assert().code(2).stderr(contains("runtime name"));
    home.yolo(&[]).assert().code(2);
}

#[test]
fn pi_is_told_of_the_skills_that_its_mode_asks_for() {
    let home = Home::new();
    home.program(".local/bin/pi");
    let skill = |path: &str| home.put(&format!("{path}/SKILL.md"), "# it", 0o600);
    skill(".config/mosaic/skills/mosaic-tools");
    skill(".config/mosaic/skills-local/extra");
    skill(".pi/agent/skills/own");
    let words = |variables: &[(&str, &str)]| {
        let mut command = home.yolo(&["--print", "pi"]);
        let out = command.envs(variables.iter().copied()).assert().success();
        let text = String::from_utf8_lossy(&out.get_output().stdout).into_owned();
        let prefix = format!("{}/", home.0.path().display());
        text.trim().split_once(":high ").map_or("", |(_, rest)| rest).replace(&prefix, "")
    };
    let tools = "--skill .config/mosaic/skills/mosaic-tools";
    assert_eq!(words(&[]), format!("--no-skills {tools}"));
    let extra = "--skill .config/mosaic/skills-local/extra";
    assert_eq!(
        words(&[("MOSAIC_PI_FORCE_SKILLS", "extra,own")]),
        format!("--no-skills {tools} {extra} --skill .pi/agent/skills/own")
    );
    assert_eq!(
        words(&[("MOSAIC_PI_SKILL_MODE", "all")]),
        format!("--no-skills {tools} {extra} --skill .pi/agent/skills/own")
    );
    let discover = [("MOSAIC_PI_SKILL_MODE", "discover"), ("MOSAIC_PI_FORCE_SKILLS", "own")];
    assert_eq!(words(&discover), tools);
    let mut odd = home.yolo(&["--print", "pi"]);
    odd.env("MOSAIC_PI_SKILL_MODE", "some").env("MOSAIC_PI_FORCE_SKILLS", "gone");
    odd.assert().success().stderr(contains("none of none, discover, all").and(contains("\"gone\"")));
    assert!(Path::new(&home.at(".pi")).exists());
}
