//! Versions as programs tell them, as numbers that compare.

/// The first two numbers of a version, `v20.19.2`, `3.3a`, `252.39-1~deb12u2`, `next-3.6`.
pub fn of(text: &str) -> Option<(u32, u32)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = text[start..].split(|c: char| !c.is_ascii_digit());
    let first = numbers.next()?.parse().ok()?;
    let rest = text[start..].trim_start_matches(|c: char| c.is_ascii_digit());
    let second = rest.strip_prefix('.').and_then(|_| numbers.next()?.parse().ok()).unwrap_or(0);
    Some((first, second))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_way_to_say_a_version_is_read() {
        for (text, expected) in [
            ("v20.19.2", Some((20, 19))),
            ("3.3a", Some((3, 3))),
            ("252.39-1~deb12u2", Some((252, 39))),
            ("257", Some((257, 0))),
            ("256~rc3", Some((256, 0))),
            ("next-3.6", Some((3, 6))),
            ("master", None),
        ] {
            assert_eq!(super::of(text), expected, "{text}");
        }
    }
}
