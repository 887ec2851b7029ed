//! What a person sees for a roster, good and bad.

mod bounds;
mod errors_of_files;
mod errors_of_keys;
mod errors_of_references;
mod errors_of_values;
mod good;
mod property;
mod schema;

use super::*;

/// The roster of a text that is meant to be good.
fn accepted(text: &str) -> Roster {
    match read(text, Path::new("roster.yaml"), "usc") {
        Ok(roster) => roster,
        Err(problems) => panic!("not accepted:\n{problems}"),
    }
}

/// What is said of a text that is meant to be bad; its first line is behind the opening quote, so
/// that lines count as an editor would.
fn problems(text: &str) -> String {
    let text = text.strip_prefix('\n').unwrap_or(text);
    match read(text, Path::new("roster.yaml"), "usc") {
        Ok(roster) => panic!("accepted: {roster:#?}"),
        Err(problems) => problems.to_string(),
    }
}
