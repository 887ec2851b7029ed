//! The text of a unit file as settings with their lines. It takes what systemd takes, and says
//! nothing about what it means.

use super::source::instance_of;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The section it stands in, without brackets.
    pub section: String,
    /// Its name.
    pub key: String,
    /// Its value, continuation lines joined.
    pub value: String,
    /// The line it begins on, from 1.
    pub line: usize,
}

/// The settings of a unit file or drop-in.
pub fn settings(text: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        // A comment does not end a value that goes on.
        if trimmed.starts_with(['#', ';']) || (open.is_none() && trimmed.is_empty()) {
            continue;
        }
        let (line, so_far) = open.take().unwrap_or((at + 1, String::new()));
        match trimmed.strip_suffix('\\') {
            Some(part) => open = Some((line, format!("{so_far}{part} "))),
            None => take(&format!("{so_far}{trimmed}"), line, &mut section, &mut found),
        }
    }
    if let Some((line, text)) = open {
        take(&text, line, &mut section, &mut found);
    }
    found
}

fn take(text: &str, line: usize, section: &mut String, found: &mut Vec<Setting>) {
    let text = text.trim();
    if let Some(name) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        *section = name.to_owned();
    } else if let Some((key, value)) = text.split_once('=') {
        found.push(Setting {
            section: section.clone(),
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            line,
        });
    }
}

/// The specifiers that name parts of the unit itself, expanded; the others stay as they are.
pub fn expand(text: &str, unit: &str) -> String {
    expand_at(text, unit, "%h")
}

/// As [`expand`], with the home.
pub fn expand_at(text: &str, unit: &str, home: &str) -> String {
    let stem = unit.rsplit_once('.').map_or(unit, |(stem, _)| stem);
    let prefix = stem.split_once('@').map_or(stem, |(prefix, _)| prefix);
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, (c == '%').then(|| rest.next()).flatten()) {
            ('%', Some('i' | 'I')) => out.push_str(instance_of(unit).unwrap_or("")),
            ('%', Some('h')) => out.push_str(home),
            ('%', Some('n')) => out.push_str(unit),
            ('%', Some('N')) => out.push_str(stem),
            ('%', Some('p' | 'P')) => out.push_str(prefix),
            ('%', Some('%')) => out.push('%'),
            ('%', Some(other)) => out.extend(['%', other]),
            (c, _) => out.push(c),
        }
    }
    out
}

/// What stands behind a `%` that nothing escapes, in order; an empty text for a `%` at the end.
pub fn specifiers(text: &str) -> Vec<String> {
    escapes(text, '%')
}

/// What stands behind a `$` that nothing escapes, in order.
pub fn variables(text: &str) -> Vec<String> {
    escapes(text, '$')
}

fn escapes(text: &str, mark: char) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == mark {
            let next = rest.next().map(String::from).unwrap_or_default();
            if next != mark.to_string() {
                found.push(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_the_line_they_begin_on_whatever_stands_between() {
        let text =
            "# a\n[Unit]\n\nAfter=a.service \\\n# no end\n  b.service\n[Service]\n;c\n Exec = x\nodd\n";
        let shown: Vec<_> = settings(text).into_iter().map(|s| (s.line, s.section, s.key, s.value)).collect();
        let own = |l, s: &str, k: &str, v: &str| (l, s.to_owned(), k.to_owned(), v.to_owned());
        assert_eq!(shown, [own(4, "Unit", "After", "a.service  b.service"), own(9, "Service", "Exec", "x")]);
    }

    #[test]
    fn a_unit_names_itself_by_specifiers() {
        assert_eq!(expand("x@%i.service %n %p %% %h", "a@b-1.service"), "x@b-1.service a@b-1.service a % %h");
    }

    #[test]
    fn what_is_doubled_is_no_specifier() {
        assert_eq!(specifiers("%%h %h 100%"), ["h", ""]);
        assert_eq!(variables("$$@ ${X} $Y"), ["{", "Y"]);
    }
}
