//! The measured columns of docs/reliability.md: which rows have them, and what the tests have noted.

use std::collections::{BTreeMap, BTreeSet};

const TREES: &[&str] = &["Bookworm", "Trixie"];
const EMULATED: &[&str] = &["Bookworm, emulated", "Trixie, emulated"];
const DEBIAN_12: &[&str] = &["Bookworm"];
const DEBIAN_13_EMULATED: &[&str] = &["Trixie, emulated"];
const NO_SYSTEM: &[&str] = &["no system booted"];
const NONE: &[&str] = &[];

/// A fault that is measured, where it has a figure until it shows, and where one until all is well.
const MEASURED: &[(&str, &[&str], &[&str])] = &[
    ("pane killed", TREES, TREES),
    ("supervisor kill -9", TREES, TREES),
    ("pane SIGSTOPped", NONE, TREES),
    ("runtime SIGSTOPped", TREES, TREES),
    ("tmux server kill -9", TREES, TREES),
    ("socket file deleted", TREES, TREES),
    ("holder stopped", TREES, TREES),
    ("holder's restart fails once", NONE, TREES),
    ("holder flaps ten times in a minute", NONE, TREES),
    ("foreign server on the socket", TREES, TREES),
    ("user manager restarted", TREES, TREES),
    ("logout of the last session", NONE, TREES),
    ("reboot", NONE, TREES),
    ("power cut during apply", NONE, EMULATED),
    ("power cut while root makes, changes or removes a tenant", NONE, EMULATED),
    ("kill -9 of apply at each step", NONE, TREES),
    ("disk full", TREES, TREES),
    ("disk quota used up", EMULATED, EMULATED),
    ("read-only home", TREES, TREES),
    ("roster half-written", TREES, TREES),
    ("ledger corrupt", TREES, TREES),
    ("clock jump", NONE, DEBIAN_13_EMULATED),
    ("LC_ALL=C", NONE, TREES),
    ("user's own tmux.conf with base-index 1 and odd prefix", NONE, TREES),
    ("login shell nologin", NONE, TREES),
    ("slow npm", TREES, TREES),
    ("network away at boot", TREES, TREES),
    ("stop in the middle of a start, 40 times", NONE, TREES),
    ("40 agents started at once", NONE, TREES),
    ("memory hog with a limit", EMULATED, EMULATED),
    ("fork bomb under tasks_max", EMULATED, EMULATED),
    ("a tenant over its own limits", EMULATED, EMULATED),
    ("ten concurrent applies", NONE, TREES),
    ("ten concurrent sends to one agent", NONE, NO_SYSTEM),
    ("hung tmux server", DEBIAN_12, NONE),
    ("hung user manager", DEBIAN_12, NONE),
];

/// Measured in the long run only: without one, the figures that stand on the page stay.
const LONG: &[&str] = &["network away at boot for ten minutes", "200 agents started at once", "200 agents"];

/// Seconds until a fault showed, and until all was well, by fault and place.
#[derive(Default)]
pub struct Figures {
    by_fault: BTreeMap<String, BTreeMap<String, [Vec<f64>; 2]>>,
    days: BTreeSet<String>,
}

impl Figures {
    /// Of one build, from the lines that `measured::note` writes.
    pub fn of(build: &str, noted: &str) -> Self {
        let mut figures = Self::default();
        for line in noted.lines() {
            let [of, day, fault, place, times @ ..] = &line.split('\t').collect::<Vec<_>>()[..] else {
                continue;
            };
            if *of != build {
                continue;
            }
            figures.days.insert((*day).to_owned());
            let places = figures.by_fault.entry((*fault).to_owned()).or_default();
            let columns = places.entry((*place).to_owned()).or_default();
            for (column, time) in columns.iter_mut().zip(times) {
                column.extend(time.parse::<f64>());
            }
        }
        figures
    }

    /// Figures that a row asks for and nobody noted, and faults that were noted and are in no row.
    pub fn gaps(&self, rows: &[&str]) -> Vec<String> {
        let mut gaps = Vec::new();
        for (fault, shown, well) in MEASURED {
            for (column, places) in [shown, well].into_iter().enumerate() {
                let what = ["shown after", "well after"][column];
                let lacking = places.iter().filter(|place| self.median(fault, place, column).is_none());
                gaps.extend(lacking.map(|place| format!("{fault}: {what}, {place}: not measured")));
            }
        }
        let strange = self.by_fault.keys().filter(|fault| !rows.contains(&fault.as_str()));
        gaps.extend(strange.map(|fault| format!("{fault}: measured, and in no row")));
        let unasked = self.by_fault.keys().filter(|fault| measured().all(|known| known != fault.as_str()));
        gaps.extend(unasked.map(|fault| format!("{fault}: measured, and nothing asks for it")));
        gaps
    }

    /// Both columns of a row; `stands` is what the page has there.
    pub fn cells(&self, fault: &str, stands: Option<[String; 2]>) -> [String; 2] {
        match (stands, self.by_fault.get(fault)) {
            (Some(stands), None) if LONG.contains(&fault) => stands,
            _ => [0, 1].map(|column| self.cell(fault, column)),
        }
    }

    fn cell(&self, fault: &str, column: usize) -> String {
        let places = self.by_fault.get(fault).into_iter().flatten();
        let cells: Vec<String> = places
            .filter_map(|(place, _)| Some(format!("{:.1} s ({place})", self.median(fault, place, column)?)))
            .collect();
        if cells.is_empty() { "–".to_owned() } else { cells.join(", ") }
    }

    fn median(&self, fault: &str, place: &str, column: usize) -> Option<f64> {
        let mut sorted = self.by_fault.get(fault)?.get(place)?[column].clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The days on which they were noted.
    pub fn days(&self) -> String {
        self.days.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// Every fault that a run can measure.
pub fn measured() -> impl Iterator<Item = &'static str> {
    MEASURED.iter().map(|(fault, ..)| *fault).chain(LONG.iter().copied())
}
