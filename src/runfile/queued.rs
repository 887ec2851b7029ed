//! One queued message: its file's name, which is its place in the row, and its text. No file is
//! opened here.
//!
//! `run/queue/AGENT/PRIORITY-PLACE-EXPIRY-ID.json`, mode 0600: the body stands in it until the message
//! is handed out or expires. The name alone says when and in which order.

use serde::{Deserialize, Serialize};

use super::receipt::is_id;

/// The version that this program writes.
pub const VERSION: u32 = 1;
/// What the name of a message's file begins with while somebody hands it out.
pub const CLAIMED: &str = ".claimed-";
/// How many messages wait for one agent at most.
pub const DEPTH: usize = 100;
/// The longest file: a body of a mebibyte whose every character is escaped.
pub const LONGEST: usize = 8 << 20;

/// Which messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all normal ones.
    Urgent,
    /// In the order in which they came.
    Normal,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// [`VERSION`] of who wrote it.
    pub schema_version: u32,
    /// The message's id, as in its receipt.
    pub id: String,
    /// Whose agent it is for.
    pub tenant_id: String,
    /// On which machine.
    pub host: String,
    /// For which agent.
    pub agent: String,
    /// Who sent it.
    pub source: String,
    /// Its priority.
    pub priority: Priority,
    /// When it was put here, RFC 3339.
    pub created_at: String,
    /// Until when it may be handed out, RFC 3339.
    pub expires_at: String,
    /// What the runtime gets, the preamble included.
    pub text: String,
}

impl Queued {
    /// The file's text.
    pub fn json(&self) -> String {
        serde_json::to_string(self).map_or_else(|_| String::new(), |json| json + "\n")
    }

    /// Reads a message; `None` where it is of another version, or none at all.
    pub fn parse(text: &str) -> Option<Self> {
        let message: Self = serde_json::from_str(text).ok()?;
        (message.schema_version == VERSION && is_id(&message.id)).then_some(message)
    }
}

/// A message's place, read from its file's name; ordered as messages are handed out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its priority.
    pub priority: Priority,
    /// Its number in the row.
    pub number: u64,
    /// When it expires, seconds since 1970.
    pub expires: u64,
    /// The message's id.
    pub id: String,
}

impl Place {
    /// The file's name.
    pub fn file_name(&self) -> String {
        let rank = match self.priority {
            Priority::Urgent => 0,
            Priority::Normal => 1,
        };
        format!("{rank}-{:012}-{:012}-{}.json", self.number, self.expires, self.id)
    }

    /// The place that a file's name says; `None` for a file of something else.
    pub fn of(file_name: &str) -> Option<Self> {
        let mut parts = file_name.strip_suffix(".json")?.splitn(4, '-');
        let priority = match parts.next()? {
            "0" => Priority::Urgent,
            "1" => Priority::Normal,
            _ => return None,
        };
        // A sign would be taken for a number's beginning, and the name that is made of it is another file's.
        let is_number = |n: &&str| n.len() == 12 && n.bytes().all(|b| b.is_ascii_digit());
        let mut number = || parts.next().filter(is_number)?.parse().ok();
        let (number, expires) = (number()?, number()?);
        let id = parts.next().filter(|id| is_id(id))?.to_owned();
        Some(Self { priority, number, expires, id })
    }

    /// The same, also of a message that somebody hands out, or began to and died.
    pub fn of_any(file_name: &str) -> Option<Self> {
        Self::of(file_name.strip_prefix(CLAIMED).unwrap_or(file_name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(priority: Priority, number: u64, id: &str) -> Place {
        Place { priority, number, expires: 1_700_000_000, id: id.to_owned() }
    }

    #[test]
    fn urgent_ones_go_first_and_others_in_their_order() {
        let mut row = [
            place(Priority::Normal, 2, "a"),
            place(Priority::Urgent, 10, "d"),
            place(Priority::Normal, 10, "b"),
            place(Priority::Urgent, 9, "c"),
        ];
        row.sort();
        assert_eq!(row.each_ref().map(|p| p.id.as_str()), ["c", "d", "a", "b"]);
        let mut names = row.each_ref().map(Place::file_name);
        names.sort();
        assert_eq!(names, row.each_ref().map(Place::file_name), "a listing shows the same order");
    }

    #[test]
    fn a_name_leads_back_to_its_place_and_other_files_to_none() {
        let place = place(Priority::Normal, 7, "a-b.c");
        assert_eq!(place.file_name(), "1-000000000007-001700000000-a-b.c.json");
        let claimed = format!("{CLAIMED}{}", place.file_name());
        assert_eq!((Place::of(&claimed), Place::of_any(&claimed)), (None, Some(place.clone())));
        assert_eq!(Place::of_any(&place.file_name()), Some(place.clone()));
        assert_eq!(Place::of(&place.file_name()), Some(place));
        let others = [
            ".lock",
            "1-7-8-a.json",
            "1-000000000007-a.json",
            "2-000000000007-000000000008-a.json",
            "1-000000000007-000000000008-.json",
            "1-+00000000007-000000000008-a.json",
            "x.json",
            "",
        ];
        for other in others {
            assert_eq!(Place::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_body_of_any_kind_is_read_back() {
        let message = Queued {
            schema_version: VERSION,
            id: "m1".to_owned(),
            tenant_id: "usc".to_owned(),
            host: "h".to_owned(),
            agent: "a".to_owned(),
            source: "h:s".to_owned(),
            priority: Priority::Urgent,
            created_at: "t".to_owned(),
            expires_at: "u".to_owned(),
            text: "\"quoted\"\n\ttab \u{1f642}\n\n".to_owned(),
        };
        assert_eq!(Queued::parse(&message.json()), Some(message));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = (Queued::parse(&text), Place::of(&text));
        }
    }
}
