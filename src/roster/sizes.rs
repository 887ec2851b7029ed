//! The values of limits: sizes and shares as systemd reads them, masks as a shell does.

use schemars::json_schema;

use crate::yaml::{FromScalar, Refusal, Scalar, inline_schema};

/// An amount of memory as systemd writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(pub String);

impl FromScalar for Memory {
    fn expected() -> String {
        "a size such as 512M, 2G or a number of bytes, a share such as 50%, or infinity".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.text.as_str();
        if text == "infinity" || percent(text).is_some_and(|p| p > 0.0 && p <= 100.0) || bytes(text).is_some()
        {
            return Ok(Self(text.to_owned()));
        }
        if let Some(near) = without_zeros(text) {
            return Err(Refusal::note(format!("did you mean {near}?")));
        }
        // 512m, 512MB, 512 MiB
        let near: String = text.to_ascii_uppercase().chars().filter(|c| !c.is_whitespace()).collect();
        let near = near.trim_end_matches('B').trim_end_matches('I');
        Err(match bytes(near) {
            Some(_) => Refusal::note(format!("did you mean {near}?")),
            None => Refusal::suggest(text, ["infinity"]),
        })
    }
}

inline_schema!(
    Memory,
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": r"^(infinity|[0-9]+(\.[0-9]+)?[KMGTPE]?|(0|[1-9][0-9]*)(\.[0-9]+)?%)$" },
        { "type": "integer", "minimum": 1 },
    ] })
);

/// A share of processor time as systemd writes it; one processor is 100%.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota(pub String);

impl FromScalar for Quota {
    fn expected() -> String {
        "a share of one processor such as 50% or, for one and a half, 150%".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let text = scalar.text.as_str();
        let good = |t: &str| percent(t).is_some_and(|p| p > 0.0);
        if good(text) {
            return Ok(Self(text.to_owned()));
        }
        let near = without_zeros(text).unwrap_or_else(|| format!("{text}%"));
        Err(if good(&near) { Refusal::note(format!("did you mean {near}?")) } else { Refusal::default() })
    }
}

inline_schema!(Quota, json_schema!({ "type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]{1,2})?%$" }));

/// A file mode creation mask. Always octal, and to be seen as such: `27` could be meant either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Umask(pub u32);

impl FromScalar for Umask {
    fn expected() -> String {
        "an octal mask with a leading 0, from 000 to 0777, such as 027".to_owned()
    }

    fn from_scalar(scalar: &Scalar) -> Result<Self, Refusal> {
        let octal = |digits: &str| {
            let good =
                !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
            good.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mask| *mask <= 0o777)
        };
        let text = scalar.text.as_str();
        if text.starts_with('0')
            && let Some(mask) = octal(text.strip_prefix("0o").unwrap_or(text))
        {
            return Ok(Self(mask));
        }
        Err(match octal(text) {
            Some(_) => Refusal::note(format!("did you mean 0{text}?")),
            None => Refusal::default(),
        })
    }
}

inline_schema!(
    Umask,
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": "^0o?[0-7]{0,4}$" },
        { "type": "integer", "minimum": 0, "maximum": 777 },
    ] })
);

/// `N%` as systemd reads it: up to two decimals, and octal with a leading zero, so that `073%` would be 59%.
fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |t: &str, longest| (1..=longest).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    let octal = whole.len() > 1 && whole.starts_with('0');
    (digits(whole, 6) && digits(part, 2) && !octal).then(|| number.parse().ok()).flatten()
}

/// A share without the zeros that it begins with, where it does.
fn without_zeros(text: &str) -> Option<String> {
    let rest = text.trim_start_matches('0');
    let near = if rest.starts_with('.') { format!("0{rest}") } else { rest.to_owned() };
    (near != text && percent(&near).is_some_and(|p| p > 0.0)).then_some(near)
}

/// A size in bytes as systemd reads it: a number, perhaps with decimals, and one letter.
fn bytes(text: &str) -> Option<f64> {
    let letters = ["K", "M", "G", "T", "P", "E"];
    let unit = letters.iter().position(|letter| text.ends_with(letter));
    let (number, factor) = match unit {
        Some(at) => (text.get(..text.len().checked_sub(1)?)?, 1024f64.powi(i32::try_from(at).ok()? + 1)),
        None => (text, 1.0),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let decimals_of_a_byte = number.contains('.') && unit.is_none();
    if !digits(whole) || !digits(part) || decimals_of_a_byte {
        return None;
    }
    let bytes = number.parse::<f64>().ok()? * factor;
    (1.0..18_446_744_073_709_551_615.0).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Kind;

    fn text(text: &str) -> Scalar {
        Scalar { text: text.to_owned(), kind: Kind::Text }
    }

    #[test]
    fn sizes_are_those_that_systemd_reads() {
        for good in ["1", "512M", "2G", "1.5G", "50%", "33.33%", "100%", "infinity", "1073741824"] {
            assert!(Memory::from_scalar(&text(good)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "0",
            "0M",
            "-1",
            "512m",
            "2GB",
            "1.5",
            "101%",
            "0%",
            "17E",
            "99999999E",
            "1 G",
            "max",
            "09%",
            "073%",
        ] {
            assert!(Memory::from_scalar(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_size_that_other_tools_read_is_translated() {
        for (seen, meant) in [("512m", "512M"), ("2GB", "2G"), ("2 GiB", "2G"), ("64kb", "64K")] {
            let refusal = Memory::from_scalar(&text(seen)).expect_err("not systemd's");
            assert_eq!(refusal.0, Some(format!("did you mean {meant}?")), "{seen}");
        }
    }

    #[test]
    fn a_quota_is_a_share_with_its_sign() {
        for good in ["50%", "150%", "0.5%", "800%"] {
            assert!(Quota::from_scalar(&text(good)).is_ok(), "{good}");
        }
        for bad in ["150", "0%", "1.234%", "%", "-5%", "a%", "073%", "00.5%"] {
            assert!(Quota::from_scalar(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_with_a_leading_zero_which_systemd_reads_as_octal_or_not_at_all_is_corrected() {
        for (seen, meant) in [("073%", "73%"), ("09%", "9%"), ("00.5%", "0.5%")] {
            let meant = Refusal::note(format!("did you mean {meant}?"));
            assert_eq!(Quota::from_scalar(&text(seen)), Err(meant.clone()), "{seen}");
            assert_eq!(Memory::from_scalar(&text(seen)), Err(meant), "{seen}");
        }
    }

    #[test]
    fn a_mask_is_octal_and_shows_it() {
        for (good, mask) in
            [("027", 0o27), ("0027", 0o27), ("0o27", 0o27), ("0", 0), ("000", 0), ("0777", 0o777)]
        {
            assert_eq!(Umask::from_scalar(&text(good)), Ok(Umask(mask)), "{good}");
        }
        for bad in ["27", "77", "", "0o", "028", "01777", "0x1f", "-027", "00000"] {
            assert!(Umask::from_scalar(&text(bad)).is_err(), "{bad}");
        }
        assert_eq!(Umask::from_scalar(&text("27")), Err(Refusal::note("did you mean 027?")));
    }
}
