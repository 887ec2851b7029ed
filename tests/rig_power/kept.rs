//! What a disk has of a tenant's fleet after its power went: every file whole, and nothing that an agent has heard
//! stands there as if it could still be sent. Reads files; waits for nothing.

use std::collections::BTreeMap;
use std::path::Path;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::ledger::{self, Ledger};
use mosaic_fleet::roster;
use mosaic_fleet::runfile::launched::Launched;
use mosaic_fleet::runfile::queued::{Place, Queued};
use mosaic_fleet::runfile::receipt::{Receipt, State, Summary};
use mosaic_fleet::runfile::record::Record;
use mosaic_fleet::runfile::started::Started;
use mosaic_fleet::runfile::{boots, heartbeat};

use crate::fleet::TENANT;
use crate::writes::Files;

const LEDGER: &str = "fleet/ledger.json";
const ROSTER: &str = "fleet/roster.yaml";

/// What it has, by the ids of messages: they are one agent's each.
#[derive(Default)]
pub struct Kept {
    pub roster: String,
    /// Rosters that were overwritten by a command that keeps a copy.
    pub copies: Vec<String>,
    pub receipts: BTreeMap<String, Receipt>,
    /// How often a message stands in a queue; claimed ones are there, too.
    pub queued: BTreeMap<String, usize>,
    pub heard: BTreeMap<String, usize>,
}

impl Kept {
    /// Reads it; fails where a file is half, and where something would be delivered twice.
    pub fn of(files: &Files, when: &str) -> Self {
        let mut kept = Self::default();
        let mosaic = below(files, ".config/mosaic");
        let text = |path: &str| {
            let content = mosaic.get(path).unwrap_or_else(|| panic!("{when}: there is no {path}"));
            String::from_utf8_lossy(content).into_owned()
        };
        let ledger = Ledger::from_text(&text(LEDGER), &Layout::new("/home/demo", None));
        assert!(ledger.is_ok(), "{when}: {ledger:?}");
        kept.roster = text(ROSTER);
        for (path, content) in &mosaic {
            let text = String::from_utf8_lossy(content);
            let copied = ledger::copied_from(Path::new(path)).is_some_and(|from| from == Path::new(ROSTER));
            if copied || *path == ROSTER {
                let read = roster::read_bytes(content, Path::new(path), TENANT);
                assert!(read.is_ok(), "{when}: {read:?}: {text}");
            }
            if copied {
                kept.copies.push(text.into_owned());
            } else if let Some(path) = path.strip_prefix("fleet/run/") {
                kept.take(path, content, when);
            }
        }
        kept.heard =
            heard(&String::from_utf8_lossy(files.get("/home/demo/heard").map_or(&[], Vec::as_slice)));
        kept.never_twice(when);
        kept
    }

    /// A file of a running fleet's.
    fn take(&mut self, path: &str, content: &[u8], when: &str) {
        let (name, text) = (path.rsplit('/').next().unwrap_or(path), String::from_utf8_lossy(content));
        if path.starts_with("queue/") && Place::of_any(name).is_some() {
            let queued = Queued::parse(&text).unwrap_or_else(|| panic!("{when}: {path} is half: {text}"));
            *self.queued.entry(queued.id).or_default() += 1;
        } else if path.starts_with("receipts/") && !name.starts_with('.') {
            let receipt = Receipt::parse(&text).unwrap_or_else(|| panic!("{when}: {path} is half: {text}"));
            self.receipts.insert(receipt.id.clone(), receipt);
        } else if !content.is_empty() {
            // None of these is waited for: after a power cut it is an old one, or none.
            assert!(is_whole(name, content), "{when}: {path} is half: {text}");
        }
    }

    /// What was heard has a receipt that keeps everybody from sending it again, and stands in its queue once.
    fn never_twice(&self, when: &str) {
        for id in self.heard.keys() {
            let state = self.receipts.get(id).map(|receipt| receipt.state);
            let kept = state.is_some_and(|state| state.may_have_arrived());
            assert!(kept, "{when}: {id} was heard, and its receipt says {state:?}");
        }
        assert!(self.queued.values().all(|times| *times == 1), "{when}: {:?}", self.queued);
    }

    /// What was said of a message is known still, and what waits still waits.
    pub fn has(&self, first: &Receipt, when: &str) {
        let (id, state) = (&first.id, first.state);
        let kept = self.receipts.get(id);
        let kept = kept.unwrap_or_else(|| panic!("{when}: {id} was said to be {state:?}, and is not known"));
        assert_eq!(
            (&kept.created_at, &kept.body_sha256),
            (&first.created_at, &first.body_sha256),
            "{when}: {kept:?}"
        );
        // What waited may have been handed out since; what was typed never waits.
        let gone_out = kept.state.may_have_arrived();
        let waits = (state, kept.state) == (State::Held, State::Held) && self.queued.contains_key(id);
        assert!(gone_out || waits, "{when}: {id} was said to be {state:?}, and is {:?}", kept.state);
    }
}

/// Whether a file of a running fleet's, none of a message's, is one that was written.
fn is_whole(name: &str, content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    match name.rsplit_once('.') {
        Some((_, "hb")) => heartbeat::parse(content).is_ok(),
        Some((_, "record")) => Record::parse(&text).is_some(),
        Some((_, "launched")) => Launched::parse(&text).is_some(),
        Some((_, "receipt")) => Summary::parse(&text).is_some(),
        Some(("holder", "started")) => Started::parse(&text).is_some(),
        Some(("boot", "json")) => boots::applied_in(&text).is_some(),
        _ => true,
    }
}

/// What lies below that folder of the user's.
pub fn below<'f>(files: &'f Files, folder: &str) -> BTreeMap<&'f str, &'f [u8]> {
    let folder = format!("/home/{TENANT}/{folder}/");
    files.iter().filter_map(|(path, content)| Some((path.strip_prefix(&folder)?, &content[..]))).collect()
}

/// What agents heard, each at most once: a message's last word is its id.
pub fn heard(lines: &str) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in lines.lines() {
        if let Some(id) = line.split_whitespace().last() {
            *times.entry(id.to_owned()).or_default() += 1;
        }
    }
    assert!(times.values().all(|count| *count == 1), "heard twice: {times:?}");
    times
}
