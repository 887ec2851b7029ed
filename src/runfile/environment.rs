//! An agent's variables as its two files say them, and the digest by which a later look sees that a
//! run has others than the files hold now. A digest tells nothing of a value.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::envfile;
use crate::names::PROTECTED;

/// What the rendered file and the operator's own, which is read after it, say together. The local
/// one can't change who the agent is and where it lives.
pub fn variables(rendered: &str, local: &str) -> BTreeMap<String, String> {
    let mut vars: BTreeMap<String, String> = envfile::parse(rendered).into_iter().collect();
    overlay(&mut vars, local);
    vars
}

/// Lays the variables of one more file over these.
pub fn overlay(vars: &mut BTreeMap<String, String>, text: &str) {
    let own = envfile::parse(text).into_iter();
    vars.extend(own.filter(|(name, _)| !PROTECTED.contains(&name.as_str())));
}

/// With which variables a run was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// SHA-256 of our file's bytes.
    pub rendered: String,
    /// Of the operator's.
    local: String,
    /// Of the variables: a comment that changed is no other environment.
    variables: String,
    /// Says of both files that they are untouched, in the words of who opened them.
    pub stamps: String,
}

impl Environment {
    /// Of the two files; one that is absent is empty. While their stamps stay the same, nobody has to
    /// read them again.
    pub fn of(rendered: &[u8], local: &[u8], stamps: String) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut digest = Sha256::new();
        for (name, value) in variables(&text(rendered), &text(local)) {
            for part in [name, value] {
                digest.update(part);
                digest.update([0]);
            }
        }
        Self {
            rendered: hexadecimal(Sha256::new_with_prefix(rendered)),
            local: hexadecimal(Sha256::new_with_prefix(local)),
            variables: hexadecimal(digest),
            stamps,
        }
    }

    /// Whether the files still hold the variables that it was made of.
    pub fn is_in(&self, rendered: &[u8], local: &[u8]) -> bool {
        let now = Self::of(rendered, local, String::new());
        self.rendered == now.rendered && self.local == now.local || self.variables == now.variables
    }

    /// Reads what [`Environment`] shows itself as.
    pub fn parse(text: &str) -> Option<Self> {
        let [rendered, local, variables, stamps] = words(text)?.map(str::to_owned);
        Some(Self { rendered, local, variables, stamps })
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.rendered, self.local, self.variables, self.stamps)
    }
}

/// Three digests and the stamps.
fn words(text: &str) -> Option<[&str; 4]> {
    let is_digest = |t: &&str| t.len() == 64 && t.bytes().all(|b| b.is_ascii_hexdigit());
    let mut words = text.splitn(4, ' ');
    let mut digest = || words.next().filter(is_digest);
    Some([digest()?, digest()?, digest()?, words.next()?])
}

/// The stamps in a record's line of its environment.
pub fn stamps(line: &str) -> Option<&str> {
    words(line).map(|words| words[3])
}

/// The digest of our file in a record's line of its environment.
pub fn rendered(line: &str) -> Option<&str> {
    line.split(' ').next()
}

pub(super) fn hexadecimal(digest: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = digest.finalize();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &[u8] = b"# Rendered.\nA=1\nB=\"secret\"\nMOSAIC_AGENT_NAME=a\n";

    #[test]
    fn the_same_variables_are_the_same_environment_whatever_the_files_look_like() {
        let run = Environment::of(RENDERED, b"", "x y".to_owned());
        assert!(run.is_in(RENDERED, b""));
        assert!(run.is_in(b"# Another comment.\nB=secret\nMOSAIC_AGENT_NAME=a\nA=1", b""));
        assert!(run.is_in(RENDERED, b"A=1\nMOSAIC_AGENT_NAME=other\n"), "a name that can't be changed");
    }

    #[test]
    fn a_variable_that_is_added_changed_or_gone_is_another_environment() {
        let run = Environment::of(RENDERED, b"", "x y".to_owned());
        for (rendered, local) in [
            (RENDERED, &b"C=3\n"[..]),
            (RENDERED, b"A=2\n"),
            (b"A=1\nMOSAIC_AGENT_NAME=a\n", b""),
            (b"", b""),
            // What was one file's can't pass for the other's.
            (b"A=1\0B=secret\n", b""),
        ] {
            assert!(!run.is_in(rendered, local), "{}", String::from_utf8_lossy(rendered));
        }
    }

    #[test]
    fn it_reads_back_from_its_text_which_shows_no_value() {
        let run = Environment::of(RENDERED, b"X=hidden\n", "1.2 -".to_owned());
        let text = run.to_string();
        assert!(!text.contains("secret") && !text.contains("hidden"), "{text}");
        assert_eq!(stamps(&text), Some("1.2 -"));
        assert_eq!(Environment::parse(&text), Some(run));
        for bad in
            ["", "x y", &text[1..], &text.replace(' ', "  "), text.strip_suffix(" 1.2 -").expect("its end")]
        {
            assert_eq!(Environment::parse(bad), None, "{bad}");
        }
    }
}
