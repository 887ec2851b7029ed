//! What the text of a roster tells of its tmux server before anybody has read it. Pure; guesses nothing.

use crate::names::DEFAULT_SOCKET;

/// Whether a roster of this text, if it is a good one, reaches its agents by the default tmux server: then
/// that can be asked while hundreds of agents are still being read.
///
/// What YAML says stands in its file letter by letter, but for what a backslash stands for: so each place
/// that could name another server is seen.
pub fn is_default(text: &str) -> bool {
    !text.contains('\\')
        && says_alone(text, "transport", "tmux")
        && says_alone(text, "socket_name", DEFAULT_SOCKET)
}

/// Whether the word `key` stands before that value wherever it stands.
fn says_alone(text: &str, key: &str, value: &str) -> bool {
    text.match_indices(key).all(|(at, _)| {
        let behind = text.get(at + key.len()..).and_then(|rest| rest.strip_prefix(':'));
        let behind = behind.and_then(|rest| rest.trim_start_matches(' ').strip_prefix(value));
        behind.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\n', ',', '}']))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::roster::{Profile, Transport, read};

    #[test]
    fn a_roster_that_names_no_server_or_the_default_one_has_the_default_one() {
        for text in [
            "version: 1\nagents: []\n",
            "version: 1\ntransport: tmux\ntmux:\n  socket_name: mosaic-factory   # apart\n",
            "version: 1\ntmux: {socket_name: mosaic-factory}\n",
        ] {
            assert!(is_default(text), "{text}");
            let roster = read(text, Path::new("r"), "u").expect("a good roster");
            assert_eq!((roster.transport, roster.socket.as_str()), (Transport::Tmux, DEFAULT_SOCKET));
        }
        for profile in Profile::ALL {
            assert!(is_default(profile.text()), "{profile:?}");
        }
    }

    #[test]
    fn whatever_could_name_another_server_is_seen() {
        for text in [
            "version: 1\ntransport: none\n",
            "version: 1\ntransport:\n  none\n",
            "version: 1\n\"transport\": none\n",
            "version: 1\n\"\\x74ransport\": none\n",
            "version: 1\ntmux:\n  socket_name: mine\n",
            "version: 1\ntmux:\n  socket_name: mosaic-factory2\n",
            "version: 1\ntmux:\n  'socket_name': mine\n",
            "version: 1\ntmux:\n  ? socket_name\n  : mine\n",
            "version: 1\nname: &s mine\ntmux:\n  socket_name: *s\n",
            "version: 1\nkey: &k socket_name\ntmux:\n  *k : mine\n",
            "version: 1\nx: &t {socket_name: mine}\ntmux: *t\n",
        ] {
            assert!(!is_default(text), "{text}");
        }
    }
}
