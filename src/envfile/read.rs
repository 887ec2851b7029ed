//! The reader: what systemd's `EnvironmentFile=` makes of a text, its surprises included, so that
//! a pane gets from a file that a person wrote exactly what the unit got. It mends nothing.

use std::collections::BTreeMap;
use std::fmt;

use super::{ESCAPED, is_text};

/// Why systemd refuses a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The line on which the assignment that it refuses begins, counted from 1; none where the
    /// whole file is meant.
    pub line: Option<usize>,
    what: &'static str,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a file's bytes: every variable once, the last of a name winning, names that no
/// environment can hold left out. Refuses what systemd refuses.
pub fn read(bytes: &[u8]) -> Result<Vec<(String, String)>, Unreadable> {
    if bytes.contains(&0) {
        return Err(Unreadable { line: None, what: "there is a NUL in the file" });
    }
    let mut vars = Vars::default();
    for Assignment { line, name, value } in Scan::new(bytes) {
        let text = |bytes| String::from_utf8(bytes).ok().filter(|t| t.chars().all(is_text));
        match (text(name), text(value)) {
            (Some(name), Some(value)) => vars.keep(name, value),
            _ => return Err(Unreadable { line: Some(line), what: "the assignment is not valid UTF-8" }),
        }
    }
    Ok(vars.in_order)
}

/// Reads a text that is already known to be one; otherwise as [`read`].
pub fn parse(text: &str) -> Vec<(String, String)> {
    let mut vars = Vars::default();
    let text = text.split('\0').next().unwrap_or_default();
    for Assignment { name, value, .. } in Scan::new(text.as_bytes()) {
        // The scan only cuts at ASCII, so what was text is text.
        if let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) {
            vars.keep(name, value);
        }
    }
    vars.in_order
}

/// Variables in the order in which their names come first.
#[derive(Default)]
struct Vars {
    in_order: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Vars {
    fn keep(&mut self, name: String, value: String) {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(letter) {
            return;
        }
        match self.places.get(&name) {
            Some(at) => self.in_order[*at].1 = value,
            None => {
                self.places.insert(name.clone(), self.in_order.len());
                self.in_order.push((name, value));
            }
        }
    }
}

fn is_newline(b: u8) -> bool {
    matches!(b, b'\n' | b'\r')
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// One assignment as it stands.
struct Assignment {
    /// The line it begins on, counted from 1.
    line: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Walks over a text, assignment by assignment.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Iterator for Scan<'_> {
    type Item = Assignment;

    fn next(&mut self) -> Option<Assignment> {
        loop {
            let first = self.take()?;
            if matches!(first, b'#' | b';') {
                self.skip_comment();
            } else if !is_space(first) {
                let line = self.line;
                if let Some(name) = self.name(first) {
                    return Some(Assignment { line, name, value: self.value() });
                }
            }
        }
    }
}

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// Takes one byte.
    fn take(&mut self) -> Option<u8> {
        let b = *self.bytes.get(self.at)?;
        self.at += 1;
        self.line += usize::from(b == b'\n');
        Some(b)
    }

    /// A comment ends with its line. (Before systemd 254 a backslash at the end of a comment took
    /// the next line with it; the newer reading is the one people expect.)
    fn skip_comment(&mut self) {
        while self.take().is_some_and(|b| !is_newline(b)) {}
    }

    /// The name up to its `=`; a line without one says nothing.
    fn name(&mut self, first: u8) -> Option<Vec<u8>> {
        let mut name = vec![first];
        loop {
            match self.take()? {
                b'=' => break,
                b if is_newline(b) => return None,
                b => name.push(b),
            }
        }
        let end = name.iter().rposition(|b| !is_space(*b)).map_or(0, |last| last + 1);
        name.truncate(end);
        Some(name)
    }

    /// The value: any number of quoted parts, and at the end an unquoted one, in which quotes stand
    /// for themselves. Blanks between the parts vanish.
    fn value(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        while let Some(b) = self.take() {
            match b {
                b'\'' => self.single_quoted(&mut value),
                b'"' => self.double_quoted(&mut value),
                _ if is_newline(b) => break,
                _ if is_space(b) => {}
                _ => {
                    self.unquoted(b, &mut value);
                    break;
                }
            }
        }
        value
    }

    fn single_quoted(&mut self, value: &mut Vec<u8>) {
        while let Some(b) = self.take().filter(|b| *b != b'\'') {
            value.push(b);
        }
    }

    /// A backslash unescapes four characters, takes a newline away and otherwise stays.
    fn double_quoted(&mut self, value: &mut Vec<u8>) {
        while let Some(b) = self.take().filter(|b| *b != b'"') {
            if b != b'\\' {
                value.push(b);
                continue;
            }
            match self.take() {
                Some(b) if ESCAPED.contains(&b) => value.push(b),
                Some(b'\n') | None => {}
                Some(b) => value.extend([b'\\', b]),
            }
        }
    }

    /// A backslash takes itself away, and a newline with it; blanks at the end vanish unless a
    /// backslash stands before or after them.
    fn unquoted(&mut self, first: u8, value: &mut Vec<u8>) {
        let mut kept = value.len();
        let mut next = Some(first);
        while let Some(b) = next {
            if b == b'\\' {
                value.extend(self.take().filter(|b| !is_newline(*b)));
                kept = value.len();
            } else if is_newline(b) {
                break;
            } else {
                value.push(b);
                if !is_space(b) {
                    kept = value.len();
                }
            }
            next = self.take();
        }
        value.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that systemd gives to `A` in this text.
    fn value(text: &str) -> String {
        let vars = parse(text);
        vars.into_iter().find(|(name, _)| name == "A").map_or_else(|| "(unset)".to_owned(), |(_, v)| v)
    }

    #[test]
    fn quotes_and_blanks_mean_what_they_mean_to_systemd() {
        for (text, expected) in [
            ("A=x", "x"),
            ("A=", ""),
            ("  A \t =  x y \t \n", "x y"),
            ("A=it's", "it's"),
            ("A='x'\"y\"z", "xyz"),
            ("A='x' 'y'", "xy"),
            ("A=x 'y'", "x 'y'"),
            ("A='a\\b'", "a\\b"),
            ("A=\"a\\b\\\"\\$\\`\\\\\"", "a\\b\"$`\\"),
            ("A=\"two\nlines\"", "two\nlines"),
            ("A=\"one\\\nline\"", "oneline"),
            ("A=a\\b\\ \\\\", "ab \\"),
            ("A=one\\\nline", "oneline"),
            ("A=x \\\n", "x "),
            ("A=x\\ \n", "x "),
            ("A=$HOME ${X} `x` %h", "$HOME ${X} `x` %h"),
            ("A=x # no comment", "x # no comment"),
            ("A=x\rB=y", "x"),
            ("A=a=b", "a=b"),
            ("A=1\nA=2", "2"),
            ("A=\"open\nB=1\n", "open\nB=1\n"),
            ("A='open", "open"),
            ("A=x\\", "x"),
            ("A=\"x\\", "x"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_and_lines_that_say_nothing_are_passed_over() {
        for text in
            ["#A=x", ";A=x", "  # A=x", "A", "A\nB=y", "", "\n\n", "1A=x", "=x", "A-B=x", "export A=x"]
        {
            assert_eq!(value(text), "(unset)", "{text:?}");
        }
        assert_eq!(value("#c\\\nA=x"), "x");
        assert_eq!(value("junk\nA=x"), "x");
    }

    #[test]
    fn a_file_that_systemd_refuses_is_refused_with_its_line() {
        let line = |bytes: &[u8]| read(bytes).map_err(|e| e.line);
        assert_eq!(line(b"A=1\nB=\xff\n"), Err(Some(2)));
        assert_eq!(line("A=1\n\nB=\u{FFFF}\n".as_bytes()), Err(Some(3)));
        assert_eq!(line(b"A=1\0"), Err(None));
        assert_eq!(line(b"# \xff\nA=1\n"), Ok(vec![("A".to_owned(), "1".to_owned())]));
    }
}
