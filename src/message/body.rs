//! What may be sent, and what is put before it. Pure.

/// The longest body.
pub const LONGEST: usize = 1 << 20;
/// The longest source label.
const LONGEST_LABEL: usize = 200;

/// Why a body is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing in it.
    #[error("the message is empty")]
    Empty,
    /// It has more than [`LONGEST`] bytes.
    #[error("the message is longer than 1 MiB ({LONGEST} bytes)")]
    TooLong,
    /// It is no text.
    #[error("the message is not UTF-8: byte {0} begins no character")]
    NotText(usize),
    /// It holds a key that a terminal would obey.
    #[error(
        "the message holds the control character U+{code:04X} at {line}:{column}; only newline and tab can be sent"
    )]
    Control {
        /// Which.
        code: u32,
        /// In which line, from 1.
        line: usize,
        /// As which character of it, from 1.
        column: usize,
    },
}

/// The body as text.
pub fn check(bytes: &[u8]) -> Result<&str, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    if bytes.len() > LONGEST {
        return Err(Refusal::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Refusal::NotText(error.valid_up_to() + 1))?;
    let (mut line, mut column) = (1, 0);
    for c in text.chars() {
        column += 1;
        match c {
            '\n' => (line, column) = (line + 1, 0),
            '\t' => {}
            c if c.is_control() => return Err(Refusal::Control { code: u32::from(c), line, column }),
            _ => {}
        }
    }
    Ok(text)
}

/// Whether a text can stand in a preamble: one line, without the characters that end its parts.
pub fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_LABEL
        && !text.chars().any(|c| c.is_control() || matches!(c, '[' | ']'))
        && !text.contains("->")
        && text.trim() == text
}

/// The rule of [`is_label`], for people.
pub const LABEL_RULE: &str = "one line of at most 200 bytes, without [, ] and ->";

/// What stands before a body.
pub fn preamble(source: &str, host: &str, agent: &str) -> String {
    format!("[{source} -> {host}:{agent}] ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_up_to_a_mebibyte_can_be_sent() {
        let long = "x".repeat(LONGEST);
        for good in [
            "x",
            "many\nlines\n\n",
            "\ttab",
            "gr\u{fc}\u{df}e \u{1f642}",
            "/clear",
            "!ls",
            "[a:b -> c:d] x",
            &long,
        ] {
            assert_eq!(check(good.as_bytes()), Ok(good));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_place() {
        let refusal = |bytes: &[u8]| check(bytes).expect_err("refused").to_string();
        assert_eq!(refusal(b""), "the message is empty");
        assert!(refusal(&vec![b'x'; LONGEST + 1]).contains("1 MiB"));
        assert!(refusal(b"ab\xff").contains("byte 3"));
        for (bytes, place) in [
            (&b"a\nb\x1b[201~"[..], "U+001B at 2:2"),
            (b"a\r\n", "U+000D at 1:2"),
            (b"\0", "U+0000 at 1:1"),
            (b"x\x7f", "U+007F at 1:2"),
            ("x\u{9b}".as_bytes(), "U+009B at 1:2"),
        ] {
            assert!(refusal(bytes).contains(place), "{}", refusal(bytes));
        }
    }

    #[test]
    fn a_label_cannot_forge_a_preamble() {
        for good in ["h1:ada", "cron", "a b"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "x] y", "a -> b", "a\nb", " a", &"x".repeat(201)] {
            assert!(!is_label(bad), "{bad}");
        }
        assert_eq!(preamble("h1:ada", "h2", "coder0"), "[h1:ada -> h2:coder0] ");
    }
}
