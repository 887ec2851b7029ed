//! An environment file that was written by hand, as overrides beside the rendered one.

use std::collections::BTreeMap;

use crate::envfile::{self, Unreadable};
use crate::names::{EnvName, PROTECTED};

/// What becomes of one hand-written environment file.
#[derive(Clone, PartialEq, Eq)]
pub struct Overrides {
    /// The text that the agent's local file should have; `None` where it stays as it is.
    pub text: Option<String>,
    /// Variables that are overrides now.
    pub kept: Vec<String>,
    /// Variables that are not, each with why.
    pub left_out: Vec<(String, LeftOut)>,
}

impl std::fmt::Debug for Overrides {
    /// Leaves values out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overrides(kept {:?}, left out {:?})", self.kept, self.left_out)
    }
}

impl Overrides {
    fn lose(&mut self, why: LeftOut) {
        self.left_out.extend(self.kept.drain(..).map(|name| (name, why)));
    }
}

/// Why a variable is no override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It is part of who the agent is, which only the roster says.
    Identity,
    /// The local file has a value of its own, which won before and wins now.
    AlreadyThere,
    /// No environment file can hold it so that systemd and shells agree.
    CanNotStand,
    /// The local file ends inside a quoted value, which would swallow it.
    LocalIsOpen,
}

impl LeftOut {
    /// In words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Identity => "only the roster says this",
            Self::AlreadyThere => "the local file has its own value, which wins",
            Self::CanNotStand => "no environment file can hold it",
            Self::LocalIsOpen => "the local file ends inside a quoted value, which would swallow it",
        }
    }
}

/// What becomes of the hand-written `old` beside the rendered file, with the local file that may be
/// there: variables that the rendered one has with the same value need no override.
pub fn overrides(old: &[u8], rendered: &str, local: Option<&str>) -> Result<Overrides, Unreadable> {
    let rendered: BTreeMap<String, String> = envfile::parse(rendered).into_iter().collect();
    let there: BTreeMap<String, String> = envfile::parse(local.unwrap_or_default()).into_iter().collect();
    let mut found = Overrides { text: None, kept: Vec::new(), left_out: Vec::new() };
    let mut vars: Vec<(EnvName, String)> = Vec::new();
    for (name, value) in envfile::read(old)? {
        let why = if rendered.get(&name) == Some(&value) || there.get(&name) == Some(&value) {
            continue;
        } else if PROTECTED.contains(&name.as_str()) {
            LeftOut::Identity
        } else if there.contains_key(&name) {
            LeftOut::AlreadyThere
        } else if let Some(name) = EnvName::parse(&name).ok().filter(|n| envfile::check(n, &value).is_ok()) {
            found.kept.push(name.to_string());
            vars.push((name, value));
            continue;
        } else {
            LeftOut::CanNotStand
        };
        found.left_out.push((name, why));
    }
    if vars.is_empty() {
        return Ok(found);
    }
    let pairs: Vec<(EnvName, &str)> =
        vars.iter().map(|(name, value)| (name.clone(), value.as_str())).collect();
    match envfile::write(&pairs) {
        Ok(lines) => {
            // What follows is lost where the local file ends inside a quoted value.
            let before = local.filter(|text| !text.is_empty()).map(|text| format!("{}\n\n", text.trim_end()));
            let title = "# Taken over from the environment file that was written by hand.\n";
            let text = format!("{}{title}{lines}", before.unwrap_or_default());
            let read: BTreeMap<String, String> = envfile::parse(&text).into_iter().collect();
            let stands = |(name, value): &(EnvName, String)| read.get(name.as_str()) == Some(value);
            match vars.iter().all(stands) {
                true => found.text = Some(text),
                false => found.lose(LeftOut::LocalIsOpen),
            }
        }
        // Each stands for itself; together they are too much.
        Err(_) => found.lose(LeftOut::CanNotStand),
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str =
        "MOSAIC_AGENT_NAME=coder\nMOSAIC_AGENT_RUNTIME=pi\nMOSAIC_TMUX_SOCKET=mosaic-factory\n";

    #[test]
    fn what_the_roster_does_not_say_becomes_an_override_and_the_rest_is_told() {
        let old =
            b"MOSAIC_AGENT_NAME=coder\nMOSAIC_AGENT_RUNTIME=claude\nMOSAIC_TMUX_SOCKET=other\nTOKEN='a b'\n";
        let found = overrides(old, RENDERED, None).expect("read");
        assert_eq!(found.kept, ["MOSAIC_AGENT_RUNTIME", "TOKEN"]);
        assert_eq!(found.left_out, [("MOSAIC_TMUX_SOCKET".to_owned(), LeftOut::Identity)]);
        let vars = envfile::parse(&found.text.expect("a text"));
        assert_eq!(vars, [("MOSAIC_AGENT_RUNTIME".into(), "claude".into()), ("TOKEN".into(), "a b".into())]);
    }

    #[test]
    fn an_existing_local_file_keeps_every_line_and_its_values_win() {
        let local = "# mine\nTOKEN=own";
        let found = overrides(b"TOKEN=old\nMORE=1\n", RENDERED, Some(local)).expect("read");
        assert_eq!(found.left_out, [("TOKEN".to_owned(), LeftOut::AlreadyThere)]);
        let text = found.text.expect("a text");
        assert!(text.starts_with("# mine\nTOKEN=own\n\n# Taken over"), "{text}");
        assert_eq!(envfile::parse(&text), [("TOKEN".into(), "own".into()), ("MORE".into(), "1".into())]);
        let again = overrides(b"TOKEN=old\nMORE=1\n", RENDERED, Some(&text)).expect("read");
        assert_eq!((again.text, again.kept), (None, vec![]), "a second time there is nothing to do");
    }

    #[test]
    fn what_a_local_file_with_an_open_quote_would_swallow_is_told_and_the_file_stays() {
        let found = overrides(b"MORE=1\n", RENDERED, Some("A=\"open\n")).expect("read");
        assert_eq!((found.text, found.kept), (None, vec![]));
        assert_eq!(found.left_out, [("MORE".to_owned(), LeftOut::LocalIsOpen)]);
    }

    #[test]
    fn a_file_that_says_what_is_rendered_anyway_leaves_nothing_behind() {
        let found = overrides(RENDERED.as_bytes(), RENDERED, None).expect("read");
        assert_eq!((found.text, found.kept, found.left_out), (None, vec![], vec![]));
    }
}
