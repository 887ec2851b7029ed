//! What the judges of screens share: lines, and nothing of any runtime. Pure.

/// Whether a line is a rule across the screen, with or without words in it.
pub(super) fn rule(line: &str) -> bool {
    line.starts_with("───") && line.ends_with('─')
}

/// The last lines that are not empty, the nearest first.
pub(super) fn nearest<'a>(lines: &[&'a str], count: usize) -> impl Iterator<Item = &'a str> {
    let mut nearest: Vec<&str> = lines.iter().rev().copied().filter(|l| !l.trim().is_empty()).collect();
    nearest.truncate(count);
    nearest.into_iter()
}

pub(super) fn begins_with_any(line: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| line.starts_with(beginning))
}
