//! Each runtime's command line, from a roster and given arguments.

use std::ffi::OsString;
use std::path::Path;

use super::{Request, launch};
use crate::names::{AgentName, RuntimeName};
use crate::roster::{Roster, read};

const ROSTER: &str = "
version: 1
tenant_id: usc
runtimes:
  mine: {command: 'node \"$HOME\"/app.js --x'}
agents:
  - {name: claude, runtime: claude, model: opus, effort: max}
  - {name: codex, runtime: codex, model: gpt-5.5, effort: high}
  - {name: opencode, runtime: opencode, model: openai/gpt-5.5, effort: low}
  - {name: pi, runtime: pi, model: anthropic/opus, effort: low}
  - {name: plain, runtime: pi}
  - {name: eager, runtime: pi, effort: xhigh}
  - {name: mine, runtime: mine}
";

fn roster() -> Roster {
    match read(ROSTER, Path::new("roster.yaml"), "usc") {
        Ok(roster) => roster,
        Err(problems) => panic!("{problems}"),
    }
}

/// The words behind the program; `agent` is one of the roster, or `-` for a launch by hand.
fn words(runtime: &str, agent: &str, args: &str, skills: &str) -> Vec<String> {
    let roster = roster();
    let runtime = RuntimeName::parse(runtime).expect("a good name");
    let split = |text: &str| -> Vec<OsString> { text.split_whitespace().map(OsString::from).collect() };
    let (args, skills) = (split(args), split(skills));
    let request = Request {
        runtime: &runtime,
        program: Path::new("/bin/it"),
        agent: AgentName::parse(agent).ok().and_then(|name| roster.agent(&name)),
        settings: roster.runtime(&runtime),
        args: &args,
        skills: &skills,
        adapter: None,
    };
    let launch = launch(&request).expect("a launch");
    assert_eq!(launch.argv[0], "/bin/it");
    launch.argv[1..].iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn line(runtime: &str, agent: &str, args: &str) -> String {
    words(runtime, agent, args, "--no-skills").join(" ")
}

#[test]
fn a_launch_by_hand_skips_permissions_and_says_nothing_else() {
    assert_eq!(line("claude", "-", ""), "--dangerously-skip-permissions");
    assert_eq!(line("codex", "-", ""), "--dangerously-bypass-approvals-and-sandbox --no-daemon");
    assert_eq!(line("opencode", "-", ""), "--auto");
    assert_eq!(line("pi", "-", ""), "--model openai-codex/gpt-5.5:high --no-skills");
    assert_eq!(line("dogfood", "-", "--fault mute"), "yolo dogfood --fault mute");
}

#[test]
fn the_rosters_model_and_effort_are_handed_on() {
    assert_eq!(line("claude", "claude", ""), "--dangerously-skip-permissions --model opus --effort max");
    assert_eq!(
        line("codex", "codex", ""),
        "--dangerously-bypass-approvals-and-sandbox --no-daemon --model gpt-5.5 -c model_reasoning_effort=\"high\""
    );
    assert_eq!(line("opencode", "opencode", ""), "--auto --model openai/gpt-5.5");
    assert_eq!(line("pi", "pi", ""), "--model anthropic/opus --thinking low --no-skills");
    assert_eq!(line("pi", "plain", ""), "--model openai-codex/gpt-5.5:high --no-skills");
    assert_eq!(line("pi", "eager", ""), "--model openai-codex/gpt-5.5:xhigh --no-skills");
}

#[test]
fn what_was_given_wins_and_stands_last_and_nothing_is_said_twice() {
    for (runtime, agent, args, expected) in [
        (
            "claude",
            "claude",
            "--model sonnet -c",
            "--dangerously-skip-permissions --effort max --model sonnet -c",
        ),
        (
            "claude",
            "claude",
            "--model=x --effort=low",
            "--dangerously-skip-permissions --model=x --effort=low",
        ),
        ("claude", "-", "--dangerously-skip-permissions", "--dangerously-skip-permissions"),
        ("claude", "-", "--permission-mode plan", "--permission-mode plan"),
        ("claude", "-", "-- --permission-mode", "--dangerously-skip-permissions -- --permission-mode"),
        (
            "codex",
            "codex",
            "-m o3 --no-daemon",
            "--dangerously-bypass-approvals-and-sandbox -c model_reasoning_effort=\"high\" -m o3 --no-daemon",
        ),
        (
            "codex",
            "codex",
            "-c model=\"o3\" -cmodel_reasoning_effort=low",
            "--dangerously-bypass-approvals-and-sandbox --no-daemon -c model=\"o3\" -cmodel_reasoning_effort=low",
        ),
        ("codex", "-", "--sandbox read-only", "--no-daemon --sandbox read-only"),
        (
            "codex",
            "-",
            "resume --last",
            "--dangerously-bypass-approvals-and-sandbox --no-daemon resume --last",
        ),
        ("opencode", "opencode", "-m a/b --auto", "-m a/b --auto"),
        ("opencode", "-", "--automatic", "--auto --automatic"),
        ("pi", "-", "--model a/b:high", "--no-skills --model a/b:high"),
        ("pi", "pi", "--model a/b:high", "--no-skills --model a/b:high"),
        ("pi", "pi", "--model a/b", "--thinking low --no-skills --model a/b"),
        ("pi", "pi", "--thinking off", "--model anthropic/opus --no-skills --thinking off"),
        ("pi", "-", "--thinking off", "--model openai-codex/gpt-5.5 --no-skills --thinking off"),
        ("pi", "-", "--provider openai", "--no-skills --provider openai"),
        ("pi", "-", "-ns", "--model openai-codex/gpt-5.5:high -ns"),
    ] {
        assert_eq!(line(runtime, agent, args), expected, "{runtime} {agent} {args}");
    }
}

#[test]
fn skills_are_pis_alone() {
    let skills = "--no-skills --skill /s/a";
    assert_eq!(words("pi", "-", "hello", skills)[2..], ["--no-skills", "--skill", "/s/a", "hello"]);
    assert_eq!(words("claude", "-", "", skills), ["--dangerously-skip-permissions"]);
}

#[test]
fn an_agents_pi_loads_its_adapter_and_nothing_from_the_folder_that_all_users_share() {
    let runtime = RuntimeName::parse("pi").expect("a good name");
    let adapter = Some(Path::new("/m/framework/runtime/pi/mosaic.ts"));
    let args = ["hello".into()];
    let request = Request {
        runtime: &runtime,
        program: Path::new("x"),
        agent: None,
        settings: None,
        args: &args,
        skills: &[],
        adapter,
    };
    let launch = launch(&request).expect("a launch");
    assert_eq!(launch.argv[3..], ["-e", "/m/framework/runtime/pi/mosaic.ts", "hello"]);
    assert_eq!(launch.env, [("JITI_FS_CACHE", "false")]);
}

#[test]
fn what_cannot_be_handed_on_is_told() {
    let roster = roster();
    let runtime = RuntimeName::parse("opencode").expect("a good name");
    let agent = AgentName::parse("opencode").ok().and_then(|name| roster.agent(&name));
    let request = Request {
        runtime: &runtime,
        program: Path::new("x"),
        agent,
        settings: None,
        args: &[],
        skills: &[],
        adapter: None,
    };
    let notes = launch(&request).expect("a launch").notes;
    assert!(notes[0].contains("\"low\" of the roster is not handed on"), "{notes:?}");
}

#[test]
fn arguments_arrive_as_they_are_whatever_they_hold() {
    use std::os::unix::ffi::OsStringExt;
    let runtime = RuntimeName::parse("claude").expect("a good name");
    let args: Vec<OsString> = vec!["a b\n'\"$x".into(), OsString::from_vec(vec![0xff, b'=']), "".into()];
    let request = Request {
        runtime: &runtime,
        program: Path::new("x"),
        agent: None,
        settings: None,
        args: &args,
        skills: &[],
        adapter: None,
    };
    assert_eq!(launch(&request).expect("a launch").argv[2..], args);
}

#[test]
fn a_custom_runtime_is_its_shell_line_with_the_arguments_behind_it() {
    let roster = roster();
    let mine = RuntimeName::parse("mine").expect("a good name");
    let of = |args: &[OsString], settings| {
        let request = Request {
            runtime: &mine,
            program: Path::new("x"),
            agent: None,
            settings,
            args,
            skills: &[],
            adapter: None,
        };
        launch(&request).map(|l| l.argv)
    };
    let settings = roster.runtime(&mine);
    let expected = ["/bin/sh", "-c", "exec node \"$HOME\"/app.js --x", "mine"];
    assert_eq!(of(&[], settings).expect("a launch"), expected);
    let with = of(&["$(id)".into()], settings).expect("a launch");
    assert_eq!(with, ["/bin/sh", "-c", "exec node \"$HOME\"/app.js --x \"$@\"", "mine", "$(id)"]);
    assert_eq!(of(&[], None), None);
}
