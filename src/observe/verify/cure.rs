//! Cures that are put together: lines for a shell that work when they are copied. Pure.

use std::path::Path;

use super::Evidence;
use crate::names::AgentName;

/// A word as a shell reads it back.
pub fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-@%+=:,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    quoted(text)
}

/// A word between quotes, whatever stands in it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Puts a file aside, by an admin where it is not in a place of the tenant's own.
pub fn put_aside(evidence: &Evidence<'_>, path: &Path) -> String {
    let shown = word(&path.display().to_string());
    let aside = word(&format!("{}.aside", path.display()));
    format!("{}mv {shown} {aside}", by_whom(evidence, path))
}

fn by_whom(evidence: &Evidence<'_>, path: &Path) -> &'static str {
    let own = [evidence.given.layout.home().to_owned(), format!("/run/user/{}", evidence.uid).into()];
    if own.iter().any(|folder| path.starts_with(folder)) { "" } else { "sudo " }
}

/// Starts agents.
pub fn start<'a>(agents: impl IntoIterator<Item = &'a AgentName>) -> String {
    let names: Vec<&str> = agents.into_iter().map(AgentName::as_str).collect();
    format!("fleet start {}", names.join(" "))
}

/// Looks again, once that can tell more.
pub fn again(why: &str) -> String {
    format!("fleet verify  # again: {why}")
}

/// Shows why an agent's runtime ended last, and what to do then.
pub fn read_last_lines(evidence: &Evidence<'_>, agent: &AgentName, then: &str) -> String {
    let file = evidence.given.layout.last_lines(agent).display().to_string();
    format!("cat {}  # its last lines say why; then: {then}", word(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_where_a_shell_would_change_it() {
        assert_eq!(word("/home/u/mosaic-agent@x.service"), "/home/u/mosaic-agent@x.service");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
    }
}
