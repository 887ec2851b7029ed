//! What a person sees for a roster, good and bad.

use super::*;

fn accepted(text: &str) -> Roster {
    match read(text, Path::new("roster.yaml"), "usc") {
        Ok(roster) => roster,
        Err(problems) => panic!("not accepted:\n{problems}"),
    }
}

#[test]
fn every_profile_is_accepted_as_it_is_shipped_and_as_it_is_installed() {
    for profile in Profile::ALL {
        assert_eq!(accepted(profile.text()), accepted(&profile.roster_text()), "{}", profile.name());
        assert_eq!(Profile::by_name(profile.name()), Some(profile));
    }
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
