//! What a good roster means.

use super::super::*;
use super::accepted;

/// One line per variable, as a person would write it.
fn env(agent: &Agent) -> String {
    let lines: Vec<String> = agent.env.iter().map(|v| format!("{}={}", v.name, v.value)).collect();
    lines.join("\n")
}

fn agent(text: &str) -> Agent {
    accepted(text).agents.into_iter().next().expect("an agent")
}

#[test]
fn the_usc_profile_has_its_thirteen_agents() {
    let roster = accepted(Profile::Usc.text());
    let rows: Vec<String> = roster
        .agents
        .iter()
        .map(|a| {
            format!(
                "{} {} {} {:?} {} {} {}",
                a.name,
                a.runtime,
                a.class.as_deref().unwrap_or_default(),
                a.persistent_persona,
                a.reset_between_tasks,
                a.model_hint.as_deref().unwrap_or_default(),
                a.working_directory,
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
    mos-claude claude orchestrator Yes false Claude Opus ~/src
    coder0 claude implementer No true Claude Opus ~/src
    coder1 claude implementer No true Claude Opus ~/src
    coder2 pi implementer No true Pi GPT-5.5 ~/src
    coder3 pi implementer No true Pi GPT-5.5 ~/src
    coder4 claude implementer No true Claude Opus ~/src
    coder5 claude implementer No true Claude Opus ~/src
    enhance claude enhancer Semi false Claude Opus ~/src
    rev0 pi reviewer No true Pi GPT-5.5 ~/src
    rev1 pi reviewer No true Pi GPT-5.5 ~/src
    secrev0 pi security_reviewer No true Pi GPT-5.5 ~/src
    secrev1 pi security_reviewer No true Pi GPT-5.5 ~/src
    ultron pi final_reviewer Semi false Pi GPT-5.5 ~/src
    ");
    assert!(roster.agents.iter().all(|a| a.lifecycle == Lifecycle::Core && a.enabled()));
}

#[test]
fn every_profile_is_accepted_as_it_is_shipped_and_as_it_is_installed() {
    for profile in Profile::ALL {
        assert_eq!(accepted(profile.text()), accepted(&profile.roster_text()), "{}", profile.name());
        assert_eq!(Profile::by_name(profile.name()), Some(profile));
        assert!(profile.text().starts_with("# yaml-language-server: $schema="), "{}", profile.name());
    }
}

#[test]
fn the_minimal_profile_has_no_agent_and_the_dogfood_profile_needs_no_other_program() {
    assert_eq!(accepted(Profile::Minimal.text()).agents, []);
    let roster = accepted(Profile::Dogfood.text());
    let rows: Vec<(&str, &str, Option<&str>)> =
        roster.agents.iter().map(|a| (a.name.as_str(), a.runtime.as_str(), a.class.as_deref())).collect();
    assert_eq!(
        rows,
        [
            ("orchestrator", "dogfood", Some("orchestrator")),
            ("coder", "dogfood", Some("implementer")),
            ("reviewer", "dogfood", Some("reviewer")),
        ]
    );
}

#[test]
fn the_commented_agent_of_the_minimal_profile_is_accepted_once_uncommented() {
    let text: Vec<String> = Profile::Minimal
        .text()
        .lines()
        .map(|line| match line.strip_prefix("  # ") {
            Some(rest) if rest.starts_with("- ") || rest.starts_with("  ") => format!("  {rest}"),
            _ => line.to_owned(),
        })
        .collect();
    assert_eq!(agent(&text.join("\n")).name.as_str(), "coder0");
}

#[test]
fn what_is_not_said_has_its_documented_default() {
    let roster = accepted("version: 1\nagents: [{name: a}]\n");
    assert_eq!(roster.tenant.as_str(), "usc");
    assert_eq!(roster.transport, Transport::Tmux);
    assert_eq!((roster.socket.as_str(), roster.holder_session.as_str()), ("mosaic-factory", "_holder"));
    insta::assert_debug_snapshot!(roster.agents);
}

#[test]
fn sections_of_which_every_line_is_commented_out_are_accepted() {
    let text = "version: 1\ntmux:\ndefaults:\nruntimes:\n  pi:\nagents:\n";
    assert_eq!(accepted(text), accepted("version: 1\n"));
    // A list that says that there is none is another word than nothing at all.
    let listed = accepted("version: 1\nagents: []\n");
    assert!(listed.agents_listed && !accepted(text).agents_listed);
    assert_eq!(Roster { agents_listed: false, ..listed }, accepted("version: 1\n"));
}

#[test]
fn an_agent_says_more_than_the_defaults() {
    let one = agent(
        "version: 1\n\
         defaults: {working_directory: /srv, runtime: claude, lifecycle: ephemeral}\n\
         agents: [{name: a, working_directory: '%h/x', runtime: codex, lifecycle: core}]\n",
    );
    assert_eq!((one.working_directory.as_str(), one.runtime.as_str()), ("%h/x", "codex"));
    assert_eq!(one.lifecycle, Lifecycle::Core);
    let other = agent(
        "version: 1\n\
         defaults: {working_directory: /srv, runtime: claude, lifecycle: ephemeral}\n\
         agents: [{name: a}]\n",
    );
    assert_eq!((other.working_directory.as_str(), other.runtime.as_str()), ("/srv", "claude"));
    assert_eq!(other.lifecycle, Lifecycle::Ephemeral);
}

#[test]
fn an_agents_variables_win_over_its_runtimes_and_those_over_the_defaults() {
    let agent = agent(
        "version: 1\n\
         defaults: {env: {A: default, B: default, C: default}}\n\
         runtimes: {pi: {env: {B: runtime, C: runtime, D: runtime}}, codex: {env: {A: other}}}\n\
         agents: [{name: a, env: {C: agent, E: agent}}]\n",
    );
    assert_eq!(env(&agent), "A=default\nB=runtime\nC=agent\nD=runtime\nE=agent");
}

#[test]
fn a_variables_value_is_the_text_that_was_typed() {
    let agent = agent(concat!(
        "version: 1\nagents:\n  - name: a\n    env:\n",
        "      A: 027\n      B: 1.10\n      C: 12345e789\n      D: on\n      E: true\n      F: .INF\n",
        "      G: \"\"\n      H: 'null'\n      I: 0x1F\n      J: \"a\\nb\"\n      K: ~/x # not this\n",
        "      L: |-\n        two\n        lines\n",
    ));
    insta::assert_snapshot!(env(&agent), @r"
    A=027
    B=1.10
    C=12345e789
    D=on
    E=true
    F=.INF
    G=
    H=null
    I=0x1F
    J=a
    b
    K=~/x
    L=two
    lines
    ");
}

#[test]
fn limits_are_laid_over_the_defaults_one_by_one() {
    let agent = agent(
        "version: 1\n\
         defaults: {limits: {memory_max: 2G, nice: 5, umask: 027, tasks_max: 100}}\n\
         agents: [{name: a, limits: {memory_max: 50%, memory_high: 1073741824, cpu_quota: 150%, nofile: 4096, no_new_privs: true}}]\n",
    );
    assert_eq!(
        agent.limits,
        Limits {
            memory_max: Some("50%".to_owned()),
            memory_high: Some("1073741824".to_owned()),
            cpu_quota: Some("150%".to_owned()),
            tasks_max: Some(100),
            nofile: Some(4096),
            nice: Some(5),
            umask: Some(0o027),
            no_new_privs: Some(true),
        }
    );
    assert!(agent.limits.in_unit());
}

#[test]
fn a_built_in_runtime_keeps_what_the_roster_does_not_say() {
    let roster = accepted("version: 1\nruntimes: {claude: {bin: ~/bin/claude, process_names: [cc]}}\n");
    let claude =
        roster.runtime(&crate::names::RuntimeName::parse("claude").expect("a name")).expect("built in");
    assert_eq!(claude.bin.as_deref(), Some(Path::new("~/bin/claude")));
    assert_eq!(claude.process_names, ["cc"]);
    assert_eq!(claude.reset_command.as_deref(), Some("/clear"));
    assert_eq!(claude.command, None);
}

#[test]
fn an_agents_command_wins_over_its_runtimes_and_that_over_the_usual_launch() {
    let roster = accepted(
        "version: 1\n\
         runtimes: {mine: {command: 'my --run \"$HOME\"'}}\n\
         agents: [{name: a}, {name: b, runtime: mine}, {name: c, runtime: mine, command: 'sleep 5'}]\n",
    );
    let launches: Vec<Launch<'_>> = roster.agents.iter().map(|a| roster.launch(a)).collect();
    assert!(matches!(launches.first(), Some(Launch::Yolo(runtime)) if runtime.as_str() == "pi"));
    assert_eq!(launches.get(1), Some(&Launch::Command("my --run \"$HOME\"")));
    assert_eq!(launches.get(2), Some(&Launch::Command("sleep 5")));
}

#[test]
fn a_template_is_a_role_or_a_file() {
    for template in ["reviewer", "~/prompts/a.md", "/srv/a.md", "'%h/a.md'"] {
        let text = format!("version: 1\nagents: [{{name: a, kickstart_template: {template}}}]\n");
        assert_eq!(agent(&text).kickstart_template.as_deref(), Some(template.trim_matches('\'')));
    }
}

#[test]
fn what_the_program_shows_of_a_roster_holds_no_value_of_a_variable() {
    let roster = accepted("version: 1\nagents: [{name: a, env: {TOKEN: hunter2}}]\n");
    assert!(!format!("{roster:?}").contains("hunter2"));
}
