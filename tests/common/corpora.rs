//! What corpora must hold, since nothing guides the damage: every state and every key of what a fleet writes.

use std::collections::BTreeSet;
use std::iter::successors;
use std::path::Path;

use mosaic_fleet::runfile::environment::Environment;
use mosaic_fleet::runfile::receipt::{self, Receipt, Step, Summary};
use mosaic_fleet::runfile::record::{self, End, Record};

fn texts(parser: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(parser);
    let files = std::fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("a file").path());
    files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

#[test]
fn the_corpora_of_records_and_receipts_hold_every_state() {
    use receipt::State as Of;
    use record::State as At;

    // A state that is new is missing here, and the compiler says so.
    let states = successors(Some(At::Waiting), |state| match state {
        At::Waiting => Some(At::Backoff),
        At::Backoff => Some(At::Starting),
        At::Starting => Some(At::Running),
        At::Running => Some(At::Stopping),
        At::Stopping => Some(At::Ended),
        At::Ended => None,
    });
    let records: Vec<Record> = texts("record").iter().filter_map(|text| Record::parse(text)).collect();
    for state in states {
        assert!(records.iter().any(|record| record.state == state), "no record is {state:?}");
    }
    let states = successors(Some(Of::Refused), |state| match state {
        Of::Refused => Some(Of::Held),
        Of::Held => Some(Of::Typed),
        Of::Typed => Some(Of::Submitted),
        Of::Submitted => Some(Of::Accepted),
        Of::Accepted => Some(Of::Queued),
        Of::Queued => Some(Of::Draft),
        Of::Draft => Some(Of::Unknown),
        Of::Unknown => Some(Of::Expired),
        Of::Expired => None,
    });
    let receipts: Vec<Receipt> = texts("receipt").iter().filter_map(|text| Receipt::parse(text)).collect();
    for state in states {
        assert!(receipts.iter().any(|receipt| receipt.state == state), "no receipt is {state:?}");
    }
}

#[test]
fn the_corpora_of_records_and_receipts_hold_every_key() {
    let keys = |text: &str| {
        text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect::<BTreeSet<_>>()
    };
    // Written again, so that a value which is not read counts for nothing.
    let records = texts("record").into_iter().filter_map(|text| Some(Record::parse(&text)?.text()));
    let there: BTreeSet<String> = records.flat_map(|text| keys(&text)).collect();
    assert_eq!(there, keys(&whole_record().text()));

    let receipt = whole_receipt();
    let receipts = texts("receipt").into_iter().filter_map(|text| Some(Receipt::parse(&text)?.text()));
    assert_eq!(told(receipts), told([receipt.text()]));
    let summaries = texts("receipt").into_iter().filter_map(|text| Some(Summary::parse(&text)?.text()));
    assert_eq!(told(summaries), told([whole_summary(receipt).text()]));
}

/// The keys of objects that are told anything.
fn told(texts: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let objects =
        texts.into_iter().map(|text| serde_json::from_str::<serde_json::Value>(&text).expect("JSON"));
    let told = objects.flat_map(|object| object.as_object().cloned().expect("an object"));
    told.filter(|(_, value)| !value.is_null()).map(|(key, _)| key).collect()
}

fn whole_record() -> Record {
    Record {
        supervisor: "fleet".to_owned(),
        supervisor_pid: 1,
        boot_id: "b".to_owned(),
        state: record::State::Running,
        status: "running".to_owned(),
        starts: 1,
        start_times: vec![1.0],
        stopped: true,
        runtime_pid: Some(2),
        started: Some(1.0),
        environment: Some(Environment::of(b"", b"", String::new())),
        first_beat: Some(1.0),
        first_beat_of_boot: Some(1.0),
        last_end: Some(End::Unknown),
        last_end_at: Some("now".to_owned()),
        last_end_boottime: Some(1.0),
        quick_ends: 1,
        next_try: Some(1.0),
        oom_kills: 1,
        run_oom_kills: Some(1),
        last_oom: Some(1.0),
        stale_restarts: 1,
        last_stale_restart: Some(1.0),
    }
}

fn whole_receipt() -> Receipt {
    let text = || "x".to_owned();
    Receipt {
        schema_version: receipt::VERSION,
        id: text(),
        tenant_id: text(),
        host: text(),
        agent: text(),
        source: text(),
        state: receipt::State::Draft,
        reason: Some(text()),
        created_at: text(),
        steps: vec![Step { state: receipt::State::Draft, at: text() }],
        body_sha256: text(),
        body_bytes: 1,
        prompt_sha256: text(),
        draft_sha256: Some(text()),
        typed_again: vec![text()],
        via: Some(text()),
        enters: 1,
    }
}

fn whole_summary(receipt: Receipt) -> Summary {
    Summary {
        latest: Some(receipt),
        open: vec!["x".to_owned()],
        waiting: 1,
        next_expiry: Some("x".to_owned()),
        expired: 1,
        pruned_at: Some("x".to_owned()),
        ..Summary::empty("usc", "h1", "coder0")
    }
}
