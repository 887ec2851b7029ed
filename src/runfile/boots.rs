//! What tells of boots: `boot.json` has the one in which the fleet was last applied as a whole, `verify.json` what the
//! last verify saw. Both are JSON that people and other programs may read; this is what `verify` needs of them.

use serde_json::Value;

/// No honest `boot.json` is longer.
pub const LONGEST_APPLIED: usize = 4096;
/// No honest `verify.json` is longer.
pub const LONGEST_VERIFIED: usize = 1024 * 1024;

/// The boot that `boot.json` names; `None` where it is none of ours.
pub fn applied_in(text: &str) -> Option<String> {
    boot_id(&serde_json::from_str(text).ok()?)
}

/// What `verify.json` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The boot in which it was written.
    pub boot_id: String,
    /// Whether that verify saw the fleet come back by itself.
    pub survived: Option<bool>,
    /// Whether it told recovery times: the fleet was there before that boot.
    pub told: bool,
}

impl Verified {
    /// Reads it; `None` where it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            boot_id: boot_id(&record)?,
            survived: record["survived_boot"].as_bool(),
            told: record["recovery_seconds"].as_object().is_some_and(|seconds| !seconds.is_empty()),
        })
    }
}

fn boot_id(record: &Value) -> Option<String> {
    record["boot_id"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_none_of_ours_says_nothing_of_a_boot() {
        for text in ["", "{", "[]", "5", "{\"boot_id\": 5}", "{\"boot\": \"b\"}"] {
            assert_eq!((applied_in(text), Verified::parse(text)), (None, None), "{text}");
        }
        assert_eq!(applied_in("{\"boot_id\": \"b\"}"), Some("b".to_owned()));
        let seen = |survived, told| Some(Verified { boot_id: "b".to_owned(), survived, told });
        assert_eq!(Verified::parse("{\"boot_id\": \"b\", \"survived_boot\": null}"), seen(None, false));
        let all = "{\"boot_id\": \"b\", \"survived_boot\": true, \"recovery_seconds\": {\"a\": 1.5}}";
        assert_eq!(Verified::parse(all), seen(Some(true), true));
    }
}
