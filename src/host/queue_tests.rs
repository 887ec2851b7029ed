use super::*;
use crate::runfile::queued::{self, Priority};

struct Desk {
    _home: tempfile::TempDir,
    layout: Layout,
    agent: AgentName,
}

impl Desk {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let layout = Layout::new(home.path(), None);
        Self { _home: home, layout, agent: AgentName::parse("coder0").expect("a name") }
    }

    fn queue(&self) -> Queue<'_> {
        Queue::of(&self.layout, &self.agent)
    }

    fn put(&self, id: &str, priority: Priority, seconds: i64) -> Put {
        let now = clock::timestamp();
        let later = Timestamp::from_second(now.as_second() + seconds).expect("a time");
        let message = Queued {
            schema_version: queued::VERSION,
            id: id.to_owned(),
            tenant_id: "usc".to_owned(),
            host: "h".to_owned(),
            agent: "coder0".to_owned(),
            source: "h:s".to_owned(),
            priority,
            created_at: stamp(now),
            expires_at: stamp(later),
            text: format!("text of {id}"),
        };
        self.queue().put(&message).expect("put")
    }

    fn state(&self, id: &str) -> Option<State> {
        Receipts::of(&self.layout, &self.agent).read(id).expect("readable").map(|r| r.state)
    }

    fn drain(&self) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(claim) = self.queue().claim().expect("claimed") {
            claim.begin().expect("recorded");
            out.push(claim.message.text.clone());
            claim.finish(State::Accepted, None, "queue", 0).expect("finished");
        }
        out
    }
}

#[test]
fn messages_come_out_once_in_order_with_urgent_ones_first() {
    let desk = Desk::new();
    for id in ["a", "b", "c"] {
        assert_eq!(desk.put(id, Priority::Normal, 60), Put::Waits);
    }
    assert_eq!(desk.put("u", Priority::Urgent, 60), Put::Waits);
    assert_eq!(desk.put("b", Priority::Normal, 60), Put::WaitedAlready);
    let summary = Receipts::of(&desk.layout, &desk.agent).summary().expect("a summary");
    assert_eq!(summary.waiting, 4);
    assert_eq!(desk.drain(), ["text of u", "text of a", "text of b", "text of c"]);
    assert_eq!(desk.drain(), Vec::<String>::new());
    assert_eq!(desk.state("b"), Some(State::Accepted));
    let summary = Receipts::of(&desk.layout, &desk.agent).summary().expect("a summary");
    assert_eq!((summary.waiting, summary.next_expiry), (0, None));
}

#[test]
fn a_full_queue_refuses_the_new_one_and_keeps_the_others() {
    let desk = Desk::new();
    for number in 0..DEPTH {
        assert_eq!(desk.put(&format!("m{number}"), Priority::Normal, 60), Put::Waits);
    }
    assert_eq!(desk.put("one-more", Priority::Urgent, 60), Put::Full);
    assert_eq!(desk.drain().len(), DEPTH);
}

#[test]
fn what_expires_is_told_to_the_sender_and_once_to_the_receiver() {
    let desk = Desk::new();
    desk.put("late", Priority::Normal, -2);
    desk.put("good", Priority::Normal, 60);
    assert_eq!(desk.drain(), ["text of good"]);
    assert_eq!(desk.state("late"), Some(State::Expired));
    let summary = || Receipts::of(&desk.layout, &desk.agent).summary().expect("a summary");
    assert_eq!(summary().undelivered(clock::timestamp()), 1);
    let told = desk.queue().take_expired().expect("told");
    assert_eq!(told.iter().map(|m| (m.id.as_str(), m.text.as_str())).collect::<Vec<_>>(), [("late", "")]);
    assert_eq!(desk.queue().take_expired().expect("told"), []);
    assert_eq!(summary().undelivered(clock::timestamp()), 0);
}

#[test]
fn a_claim_of_the_dead_waits_again_unless_it_had_begun() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    desk.put("b", Priority::Normal, 60);
    drop(desk.queue().claim().expect("claimed"));
    let begun = desk.queue().claim().expect("claimed").expect("a again");
    assert_eq!(begun.message.id, "a");
    begun.begin().expect("recorded");
    drop(begun);
    assert_eq!(desk.drain(), ["text of b"]);
    assert_eq!(desk.state("a"), Some(State::Unknown));
}

#[test]
fn a_message_that_is_back_in_its_place_is_not_handed_out_again() {
    let desk = Desk::new();
    let states = [("a", State::Unknown), ("b", State::Accepted), ("c", State::Held), ("d", State::Refused)];
    for (id, state) in states {
        desk.put(id, Priority::Normal, 60);
        let claim = desk.queue().claim().expect("claimed").expect("a message");
        assert_eq!(claim.message.id, id);
        claim.begin().expect("recorded");
        let mut receipt = desk.queue().receipt(&claim.message).expect("readable");
        receipt.enter(state, clock::timestamp(), None);
        Receipts::of(&desk.layout, &desk.agent).write(&receipt, Lasting::Durable).expect("written");
        // As after a power cut, where the disk had its receipt and not what became of its file.
        let place = desk.layout.queue(&desk.agent).join(claim.place.file_name());
        fs::rename(claim.path(), &place).expect("renamed");
        drop(claim);
        let expected = if state == State::Held { vec![format!("text of {id}")] } else { Vec::new() };
        assert_eq!(desk.drain(), expected, "{state:?}");
        assert!(!place.exists(), "{state:?}");
        let summary = Receipts::of(&desk.layout, &desk.agent).summary().expect("a summary");
        assert_eq!(summary.waiting, 0, "{state:?}");
    }
    assert_eq!(desk.state("a"), Some(State::Unknown));
}

#[test]
fn a_message_that_was_handed_out_is_not_called_expired_when_its_file_is_back() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    let claim = desk.queue().claim().expect("claimed").expect("a message");
    claim.begin().expect("recorded");
    let text = fs::read(claim.path()).expect("its file");
    let place = Place { expires: 1, ..claim.place.clone() };
    claim.finish(State::Accepted, None, "queue", 0).expect("finished");
    // As after a power cut that outlasted it.
    let path = desk.layout.queue(&desk.agent).join(place.file_name());
    fs::write(&path, text).expect("written");
    desk.queue().sweep().expect("swept");
    assert!(!path.exists());
    assert_eq!(desk.state("a"), Some(State::Accepted));
    assert!(desk.queue().take_expired().expect("looked").is_empty());
}

#[test]
fn what_somebody_claims_nobody_else_gets_until_it_is_given_back() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    let claim = desk.queue().claim().expect("claimed").expect("a");
    assert!(desk.queue().claim().expect("looked").is_none());
    assert_eq!(desk.put("a", Priority::Normal, 60), Put::WaitedAlready);
    claim.give_back(Some("a draft".to_owned())).expect("given back");
    assert_eq!(desk.state("a"), Some(State::Held));
    assert_eq!(desk.drain(), ["text of a"]);
}

#[test]
fn a_file_that_is_no_message_holds_nobody_up() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    fs::write(desk.layout.queue(&desk.agent).join("0-000000000001-009999999999-x.json"), "{")
        .expect("planted");
    assert_eq!(desk.drain(), ["text of a"]);
    assert!(desk.layout.queue(&desk.agent).join(".unreadable0-000000000001-009999999999-x.json").exists());

    // Whoever was told that it waits is told that it does not.
    let receipts = Receipts::of(&desk.layout, &desk.agent);
    desk.put("b", Priority::Normal, 60);
    let claim = desk.queue().claim().expect("claimed").expect("a message");
    let receipt = claim.give_back(None).expect("given back");
    assert_eq!(receipt.state, State::Held);
    let waits = desk.queue().places().expect("listed").remove(0).file_name();
    fs::write(desk.layout.queue(&desk.agent).join(waits), "{").expect("damaged");
    assert_eq!(desk.drain(), Vec::<String>::new());
    let told = receipts.read("b").expect("readable").expect("there");
    let why = told.reason.unwrap_or_default();
    assert!(told.state == State::Refused && why.contains(".unreadable"), "{:?}: {why}", told.state);
}

#[test]
fn a_message_whose_receipt_cannot_be_read_is_given_up_with_its_reason_and_holds_nobody_up() {
    let desk = Desk::new();
    for id in ["claimed", "waiting", "b"] {
        desk.put(id, Priority::Normal, 60);
    }
    let receipts = Receipts::of(&desk.layout, &desk.agent);
    let claim = desk.queue().claim().expect("claimed").expect("the first");
    claim.begin().expect("recorded");
    drop(claim);
    desk.put("due", Priority::Normal, -2);
    for id in ["claimed", "waiting", "due"] {
        fs::write(receipts.path(id), "{").expect("broken");
    }
    assert_eq!(desk.drain(), ["text of b"], "none of the others is handed out, not even again");
    assert_eq!(desk.drain(), Vec::<String>::new());
    for id in ["claimed", "waiting", "due"] {
        let receipt = receipts.read(id).expect("readable again").expect("there");
        let why = receipt.reason.expect("a reason");
        assert_eq!(receipt.state, State::Unknown, "{id}");
        assert!(why.contains("could not be read") && why.contains(&format!("-{id}.json")), "{why}");
        let kept = why.split("kept in ").nth(1).and_then(|rest| rest.split(',').next()).expect("a path");
        assert!(fs::read_to_string(kept).expect("kept").contains(&format!("text of {id}")), "{kept}");
    }
    assert_eq!(desk.queue().waiting().expect("counted"), 0);
}

#[test]
fn one_that_somebody_has_not_let_go_of_yet_keeps_nobody_from_the_next() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    desk.put("b", Priority::Normal, 60);
    let first = desk.queue().places().expect("places")[0].file_name();
    let held = lock_file(&desk.layout.queue(&desk.agent).join(first)).expect("opened").expect("locked");
    assert_eq!(desk.drain(), ["text of b"]);
    drop(held);
    assert_eq!(desk.drain(), ["text of a"]);
}

#[test]
fn who_writes_to_a_slow_disk_is_waited_for() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    let lock = desk.queue().lock().expect("locked");
    std::thread::scope(|scope| {
        let put = scope.spawn(|| desk.put("b", Priority::Normal, 60));
        std::thread::sleep(Duration::from_millis(600));
        drop(lock);
        assert_eq!(put.join().expect("it ran"), Put::Waits);
    });
}

#[test]
fn what_a_killed_sender_began_is_swept() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 60);
    let half = desk.layout.queue(&desk.agent).join(".1-000000000002-009999999999-b.json.mosaic-new");
    fs::write(&half, "{").expect("planted");
    desk.queue().sweep().expect("swept");
    assert!(!half.exists());
    assert_eq!(desk.drain(), ["text of a"]);
}

#[test]
fn many_at_once_lose_and_double_nothing() {
    let desk = Desk::new();
    let drained = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let desk = &desk;
            scope.spawn(move || {
                for number in 0..10 {
                    assert_eq!(desk.put(&format!("{sender}.{number}"), Priority::Normal, 60), Put::Waits);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while drained.lock().expect("a lock").len() < 40 {
                    let some = desk.drain();
                    drained.lock().expect("a lock").extend(some);
                }
            });
        }
    });
    let mut all = drained.into_inner().expect("a lock");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 40);
}

#[test]
fn a_message_that_is_given_back_for_hours_is_still_handed_out_and_counted() {
    let desk = Desk::new();
    desk.put("a", Priority::Normal, 3600);
    for _ in 0..400 {
        let claim = desk.queue().claim().expect("claimed").expect("it waits");
        claim.give_back(Some("agent coder0 was not ready within 15 s".to_owned())).expect("given back");
    }
    let receipts = Receipts::of(&desk.layout, &desk.agent);
    assert_eq!(receipts.summary().map(|s| s.waiting), Some(1));
    assert_eq!(desk.drain(), ["text of a"]);
    let receipt = receipts.read("a").expect("readable").expect("there");
    assert_eq!(receipt.steps.first().map(|step| step.state), Some(State::Held), "how it began is kept");
    assert_eq!(receipt.steps.last().map(|step| step.state), Some(State::Accepted));
}

#[test]
fn what_expired_is_counted_by_its_notices_whatever_became_of_the_count() {
    let desk = Desk::new();
    let receipts = Receipts::of(&desk.layout, &desk.agent);
    let expired = || receipts.summary().map(|s| s.expired);
    desk.put("late", Priority::Normal, -2);
    desk.put("good", Priority::Normal, 60);
    desk.queue().sweep().expect("swept");
    // Who expired it was killed before it had counted.
    receipts.change("usc", "h", |summary| summary.expired = 0).expect("changed");
    desk.queue().sweep().expect("swept");
    assert_eq!(expired(), Some(1));
    fs::remove_file(desk.layout.receipt_summary(&desk.agent)).expect("lost");
    desk.queue().sweep().expect("swept");
    assert_eq!(receipts.summary().map(|s| (s.waiting, s.expired)), Some((1, 1)), "a summary that was lost");
    let names = desk.queue().names().expect("listed");
    let notice = names.iter().find(|name| name.starts_with(EXPIRED)).expect("a notice");
    fs::write(desk.layout.queue(&desk.agent).join(notice), "{").expect("broken");
    assert_eq!(desk.queue().take_expired().expect("told"), []);
    assert_eq!(expired(), Some(0), "nobody can be told any more");
}
