//! Escaping: a text as one word of a unit's command line, as part of another setting of a unit, or
//! as one word of a shell. Pure; knows grammars, not files.

/// One word of a unit's `Exec…=` line that means exactly `text`: specifiers and variables are
/// doubled, and what systemd would split or unescape is quoted. The program of such a line may
/// hold no quote, backslash or dollar at all; [`unit_path_refusal`] keeps them out.
pub fn exec(text: &str) -> String {
    quote(&specifiers(text).replace('$', "$$"))
}

/// As [`exec`] for a path that is already written for a unit, with its specifiers.
pub fn exec_unit_path(text: &str) -> String {
    quote(&text.replace('$', "$$"))
}

/// A text in a setting of a unit that expands specifiers and nothing else.
pub fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// One word of a POSIX shell that means exactly `text`.
pub fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+,=-$~".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Why no unit can name this path, where none can: the rule that it breaks.
pub fn unit_path_refusal(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("a unit names programs and folders from / on")
    } else if path.chars().any(char::is_control) {
        Some("a unit cannot name a path with a control character")
    } else if path.contains(['"', '\'', '\\', '$']) {
        Some("a unit cannot name a program or folder with a quote, a backslash or a dollar sign")
    } else if path.ends_with('/') && path != "/" {
        Some("it ends with a slash")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_word_stands_as_it_is() {
        assert_eq!(exec("/usr/bin/tmux"), "/usr/bin/tmux");
        assert_eq!(exec_unit_path("%h/.config/mosaic/fleet/tmux.conf"), "%h/.config/mosaic/fleet/tmux.conf");
    }

    #[test]
    fn what_systemd_would_expand_is_doubled() {
        assert_eq!(exec("100%h-$HOME"), "100%%h-$$HOME");
        assert_eq!(specifiers("/srv/100%"), "/srv/100%%");
    }

    #[test]
    fn what_systemd_would_split_or_unescape_is_quoted() {
        assert_eq!(exec(""), "\"\"");
        assert_eq!(exec("a b"), "\"a b\"");
        assert_eq!(exec(";"), "\";\"");
        assert_eq!(exec("a\"b\\c'd\n\u{1}"), "\"a\\\"b\\\\c'd\\n\\x01\"");
        assert_eq!(exec_unit_path("%h/my mosaic"), "\"%h/my mosaic\"");
    }

    #[test]
    fn a_shell_word_holds_single_quotes() {
        assert_eq!(shell("it's $HOME"), "'it'\\''s $HOME'");
    }

    #[test]
    fn a_path_that_no_unit_can_name_is_told_by_its_rule() {
        for good in ["/", "/usr/bin/fleet", "/srv/my files/100%/é;#"] {
            assert_eq!(unit_path_refusal(good), None, "{good}");
        }
        for bad in ["", "usr/bin", "/a\nb", "/a'b", "/a\"b", "/a\\b", "/a$b", "/a/"] {
            assert!(unit_path_refusal(bad).is_some(), "{bad}");
        }
    }
}
