//! The version that a `package.json` tells of a runtime. Pure: no file is opened here.

use serde::Deserialize;

use crate::runfile::launched::is_version;

/// The most of such a file that is read.
pub const LONGEST: usize = 256 * 1024;

#[derive(Deserialize)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
}

/// The version in a `package.json`; `None` where it is of another package, or says no more than how
/// the files beside it are to be read.
pub fn in_package(content: &[u8], package: &str) -> Option<Result<String, String>> {
    if content.len() > LONGEST {
        return None;
    }
    let manifest: Manifest = serde_json::from_slice(content).ok()?;
    manifest.name.filter(|name| name == package)?;
    let version = manifest.version.filter(|version| is_version(version));
    Some(version.ok_or_else(|| format!("the package.json of {package} has no version that can be shown")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_runtimes_own_package_tells_its_version() {
        let told = |text: &str| in_package(text.as_bytes(), "@openai/codex");
        let own = r#"{"name": "@openai/codex", "version": "0.141.0", "bin": {"codex": "bin/codex.js"}}"#;
        assert_eq!(told(own), Some(Ok("0.141.0".to_owned())));
        for other in [
            r#"{"type": "module"}"#,
            r#"{"name": "my-home", "version": "1.0.0"}"#,
            r#"{"name": 7, "version": "1.0.0"}"#,
            "not JSON",
            "",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
        for odd in [r#""""#, r#""1\n2""#, r#""1\u001b[31m""#, "null", &format!("\"{}\"", "1".repeat(65))] {
            let text = format!(r#"{{"name": "@openai/codex", "version": {odd}}}"#);
            assert!(matches!(told(&text), Some(Err(why)) if why.contains("no version")), "{text}");
        }
        let huge = format!("{own}{}", " ".repeat(LONGEST));
        assert_eq!(told(&huge), None);
    }
}
