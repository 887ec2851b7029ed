//! Words of a tenant's, made fit to be shown to root: bounded, and without a character that a
//! terminal would obey.

use serde_json::Value;

/// The longest text that is shown.
const LONGEST: usize = 4000;

/// Whether a terminal, or a reader, would be led astray by it: controls of both sets, and what turns
/// the direction of writing.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of a few lines: line ends are kept, all that is unfit becomes a sign that something was.
pub fn clean(text: &str) -> String {
    let mut kept: String = text.chars().take(LONGEST).map(replaced).collect();
    if text.chars().nth(LONGEST).is_some() {
        kept.push('…');
    }
    kept
}

/// The same where it stands among words of root's: none of its lines begins as one of those.
pub fn clean_block(text: &str) -> String {
    clean(text).replace('\n', "\n  | ")
}

/// The same on one line, for a cell of a table.
pub fn clean_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// The same of everything that a JSON value says.
pub fn clean_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.chars().map(replaced).collect()),
        Value::Array(list) => list.into_iter().map(clean_value).collect(),
        Value::Object(map) => {
            let entry =
                |(key, value): (String, Value)| (key.chars().map(replaced).collect(), clean_value(value));
            Value::Object(map.into_iter().map(entry).collect::<serde_json::Map<String, Value>>())
        }
        other => other,
    }
}

fn replaced(c: char) -> char {
    if is_unfit(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line() {
        assert_eq!(clean_line("a\nb\tc\u{1b}"), "a b c\u{fffd}");
        assert_eq!(clean("grün, 漢字"), "grün, 漢字");
        assert_eq!(clean_block("a\nhint: rm"), "a\n  | hint: rm");
    }
}
