//! The role library: personas that agents start with, and how a first prompt is made of one.

use std::path::Path;

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::names::RuntimeName;
use crate::yaml::{self, Line, List, Log, Problem, Problems, Read, record};

macro_rules! library {
    ($($name:literal),+ $(,)?) => {
        /// The roles of the library.
        pub const NAMES: &[&str] = &[$($name),+];

        /// A role's file as it stands in `framework/roles/`.
        pub fn text(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../framework/roles/", $name, ".md"))),)+
                _ => None,
            }
        }
    };
}

library!(
    "orchestrator",
    "implementer",
    "reviewer",
    "security_reviewer",
    "final_reviewer",
    "enhancer",
    "analyst",
    "finance",
    "researcher",
);

/// The class that is no role: the agent that `verify --deep` restarts.
pub const CANARY: &str = "canary";

/// The classes that are known; a roster may name others.
pub fn classes() -> Vec<&'static str> {
    NAMES.iter().copied().chain([CANARY]).collect()
}

/// A role: a persona, skills and tools on top of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name, which is an agent's class too.
    pub name: String,
    /// What it is for, in one line.
    pub summary: String,
    /// The runtime that suits it.
    pub runtime: Option<RuntimeName>,
    /// Skills that the runtime is given.
    pub skills: Vec<String>,
    /// What it works with.
    pub tools: Vec<String>,
    /// The persona: a template of the first prompt.
    pub persona: String,
}

/// What a persona can say of the agent that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject<'a> {
    /// The agent's name.
    pub name: &'a str,
    /// Its tenant.
    pub tenant_id: &'a str,
    /// Its machine.
    pub host: &'a str,
    /// Its class; empty where it has none.
    pub class: &'a str,
    /// Its runtime.
    pub runtime: &'a str,
    /// Where it works, expanded.
    pub working_directory: &'a str,
    /// What it works for, where it is ephemeral; else empty.
    pub lane: &'a str,
}

record! {
    /// What stands at the head of a role's file, between two lines `---`.
    Head is "the head", keys stand "in the head of a role";
    required {
        /// Its name.
        name: Line,
        /// What it is for, in one line.
        summary: Line,
    }
    optional {
        /// The runtime that suits it.
        runtime: RuntimeName,
        /// Skills that the runtime is given.
        skills: List<Line>,
        /// What it works with.
        tools: List<Line>,
    }
}

/// The role of that name in the library.
pub fn by_name(name: &str) -> Option<Role> {
    read(text(name)?, Path::new(name)).ok()
}

/// Reads a role's file: a head between two lines `---`, then the persona.
pub fn read(text: &str, file: &Path) -> Result<Role, Problems> {
    let mut log = Log::default();
    let role = role(text, &mut log);
    log.finish(file, role)
}

fn role(text: &str, log: &mut Log) -> Option<Role> {
    let Some((head, persona)) = split(text) else {
        log.add(
            Problem::new(yaml::Place::START, "a role has no head")
                .expected("`name:` and `summary:` between two lines `---`"),
        );
        return None;
    };
    let node = yaml::parse(head).map_err(|problem| log.add(problem)).ok()?;
    let head = Head::read(&node, "the head", log)?;
    let words = |list: List<Line>| list.0.into_iter().map(|at| at.value.0).collect();
    Some(Role {
        name: head.name.value()?.0,
        summary: head.summary.value()?.0,
        runtime: head.runtime.value(),
        skills: head.skills.value().map_or_else(Vec::new, words),
        tools: head.tools.value().map_or_else(Vec::new, words),
        persona: persona.to_owned(),
    })
}

/// The head with its first `---`, so that its lines count as in the file, and what comes after it.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("---\n")?;
    let end = rest.find("\n---\n")?;
    let head = text.get(..end + "---\n".len() + 1)?;
    let persona = rest.get(end + "\n---\n".len()..)?;
    Some((head, persona))
}

/// The first prompt: a persona, or any template, made for one agent. A name that the template does
/// not know is an error, so that no prompt has holes.
pub fn prompt(template: &str, subject: &Subject<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.render_str(template, minijinja::value::Serde(subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        name: "coder0",
        tenant_id: "usc",
        host: "mill",
        class: "implementer",
        runtime: "pi",
        working_directory: "/home/usc/src",
        lane: "",
    };

    #[test]
    fn every_role_has_a_head_and_becomes_a_prompt_without_holes() {
        for name in NAMES {
            let role = read(text(name).expect("embedded"), Path::new(name)).expect("a good role");
            assert_eq!(role.name, *name);
            assert!(role.skills.iter().any(|s| s == "mosaic-tools"), "{name}");
            let prompt = prompt(&role.persona, &SUBJECT).expect("no holes");
            assert!(prompt.starts_with("You are coder0, "), "{name}: {prompt}");
            for said in ["usc", "mill", "/home/usc/src"] {
                assert!(prompt.contains(said), "{name} does not say {said}");
            }
            assert!(prompt.len() < 4096, "{name} is too long for a first prompt");
        }
    }

    #[test]
    fn every_role_stops_and_says_whom_it_tells() {
        for name in NAMES {
            let persona = by_name(name).expect("a role").persona;
            assert!(persona.contains("mosaic agent send"), "{name}");
            assert!(persona.to_lowercase().contains("stop"), "{name}");
        }
    }

    #[test]
    fn a_template_with_an_unknown_name_is_an_error() {
        assert!(prompt("You are {{ nmae }}", &SUBJECT).is_err());
        assert_eq!(prompt("You are {{ name }}", &SUBJECT).ok().as_deref(), Some("You are coder0"));
    }

    #[test]
    fn a_wrong_head_has_its_place() {
        let said = |text| read(text, Path::new("mine.md")).expect_err("wrong").to_string();
        insta::assert_snapshot!(said("---\nname: mine\nsumary: x\n---\nYou are\n"), @r#"
        mine.md:3:1: unknown key "sumary" in the head of a role
            expected name, summary, runtime, skills or tools
            did you mean "summary"?
        "#);
        insta::assert_snapshot!(said("You are\n"), @"
        mine.md:1:1: a role has no head
            expected `name:` and `summary:` between two lines `---`
        ");
    }
}
