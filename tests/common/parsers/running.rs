//! What a running fleet writes: heartbeats, records, receipts, queued messages.

use mosaic_fleet::host::gather::Told;
use mosaic_fleet::names::{AgentName, EnvName, HostName, SocketName, TenantId, UserName};
use mosaic_fleet::runfile::queued::{Place, Queued};
use mosaic_fleet::runfile::receipt::{Receipt, Summary};
use mosaic_fleet::runfile::record::{self, Record};
use mosaic_fleet::runfile::started::Started;
use mosaic_fleet::runfile::{ack, attached, boots, environment, heartbeat, launched};
use mosaic_fleet::snapshot::{Clock, Content, Fact};
use mosaic_fleet::transcript;

use super::{is_fit, text};

pub fn a_heartbeat(bytes: &[u8]) {
    if let Ok(beat) = heartbeat::parse(bytes) {
        // A tab becomes a blank and a time loses what is below a microsecond: the second time nothing is lost.
        let written = heartbeat::text(&beat);
        if written.len() <= heartbeat::LONGEST {
            let again = heartbeat::parse(written.as_bytes()).map(|beat| heartbeat::text(&beat));
            assert_eq!(again.as_ref(), Ok(&written));
        }
    }
    let clock =
        Clock { unix: 1.7e9, boottime: 5000.0, boot_id: "00000000-0000-0000-0000-000000000000".into() };
    let facts = Content::File(bytes.to_vec());
    let verdict = heartbeat::judge(Some(&Fact::Known(facts)), &clock, &heartbeat::Expect::default(), None);
    is_fit(&verdict.reason);
    assert!(verdict.age.is_none_or(|age| !age.is_nan()), "{verdict:?}");
}

pub fn a_record(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(record) = Record::parse(&text) {
        // Times are written to the millisecond: the second time nothing is lost.
        let written = record.text();
        assert_eq!(Record::parse(&written).map(|again| again.text()), Some(written));
        let _ = Record::next(Some(record), "00000000-0000-0000-0000-000000000000", 5000.0);
    }
    is_fit(&record::unreadable(&text));
}

/// A look at hundreds of agents reads of their records what it needs, and must read the same as everybody else.
pub fn what_is_told_of_a_record(bytes: &[u8]) {
    let text = text(bytes);
    // Each boot has an id.
    let Some(record) = Record::parse(&text).filter(|record| !record.boot_id.is_empty()) else { return };
    let told = Told::of(&text, &record.boot_id);
    assert_eq!(told.pid, record.runtime_pid);
    assert_eq!(told.stamps, record.environment.as_ref().map(|environment| environment.stamps.as_str()));
    assert_eq!(Told::of(&text, "another boot"), Told::default());
}

pub fn a_receipt(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(receipt) = Receipt::parse(&text) {
        assert_eq!(Receipt::parse(&receipt.text()), Some(receipt));
    }
    if let Some(mut summary) = Summary::parse(&text) {
        assert_eq!(Summary::parse(&summary.text()), Some(summary.clone()));
        let _ = summary.undelivered("2026-01-01T00:00:00Z".parse().expect("a time"));
        if let Some(latest) = summary.latest.clone() {
            summary.remember(&latest);
            assert!(summary.open.len() <= 16 || !latest.state.is_open());
        }
    }
}

pub fn a_queued(bytes: &[u8]) {
    if let Some(message) = Queued::parse(&text(bytes)) {
        assert_eq!(Queued::parse(&message.json()), Some(message));
    }
}

pub fn a_place(bytes: &[u8]) {
    let name = text(bytes);
    if let Some(place) = Place::of(&name) {
        assert_eq!(place.file_name(), name, "another file would be meant");
    }
}

pub fn an_ack(bytes: &[u8]) {
    for one in ack::parse(bytes) {
        let line = ack::line(&one).expect("a line");
        assert!(line.len() > ack::LONGEST || ack::parse(line.as_bytes()) == [one], "{line}");
    }
    let _ = ack::digest(&text(bytes));
}

pub fn an_attachment(bytes: &[u8]) {
    for visit in attached::visits(&text(bytes), |who| who.pid % 2 == 0) {
        assert!(!(visit.attached && visit.until.is_some()), "{visit:?}");
    }
}

pub fn a_launch(bytes: &[u8]) {
    if let Some(launched) = launched::Launched::parse(&text(bytes)) {
        assert_eq!(launched::Launched::parse(&launched.text()), Some(launched));
    }
}

pub fn what_tells_of_boots(bytes: &[u8]) {
    let text = text(bytes);
    let (applied, verified) = (boots::applied_in(&text), boots::Verified::parse(&text));
    assert_eq!(verified.map(|verified| verified.boot_id), applied, "one boot, whoever asks");
}

pub fn an_environment(bytes: &[u8]) {
    let text = text(bytes);
    let _ = environment::Environment::parse(&text);
    let (rendered, local) = text.split_once("\n\n").unwrap_or((&text, ""));
    let _ = environment::variables(rendered, local);
    let of = environment::Environment::of(rendered.as_bytes(), local.as_bytes(), String::new());
    assert!(of.is_in(rendered.as_bytes(), local.as_bytes()), "what was read is what is there");
}

pub fn a_line(bytes: &[u8]) {
    let text = text(bytes);
    for line in text.lines() {
        assert!(!transcript::plain(line).chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
    }
    let _ = (AgentName::parse(&text), HostName::parse(&text), EnvName::parse(&text));
    let _ = (TenantId::parse(&text), UserName::parse(&text), SocketName::parse(&text));
}

pub fn a_holders_start(bytes: &[u8]) {
    if let Some(started) = Started::parse(&text(bytes)) {
        assert_eq!(Started::parse(&started.text()), Some(started));
    }
}
