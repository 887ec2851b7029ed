use std::time::Instant;

use super::super::fake::{Fake, Turn};
use super::*;

const BOUND: Duration = Duration::from_secs(30);

/// The unit a job is asked for.
fn unit(turn: &mut Turn) -> String {
    turn.args::<(String, String)>().0
}

fn starts(units: &[&str]) -> Vec<JobRequest> {
    units.iter().copied().map(JobRequest::start).collect()
}

fn results(outcomes: &[JobOutcome]) -> Vec<(&str, &JobResult)> {
    outcomes.iter().map(|o| (o.unit.as_str(), &o.result)).collect()
}

#[test]
fn each_job_has_its_own_result() {
    let words = ["done", "skipped", "failed", "dependency", "timeout", "canceled", "invalid"];
    let mut id = 0;
    let (manager, fake) = Fake::manager(move |turn| {
        let unit = unit(turn);
        id += 1;
        turn.queued(id);
        turn.removed(id, &unit, &unit);
    });
    let mut heard = Vec::new();
    let outcomes =
        manager.jobs(&starts(&words), BOUND, |outcome| heard.push(outcome.unit.clone())).expect("queued");
    let expected = [
        ("done", &JobResult::Done),
        ("skipped", &JobResult::Skipped),
        ("failed", &JobResult::Failed),
        ("dependency", &JobResult::Dependency),
        ("timeout", &JobResult::Timeout),
        ("canceled", &JobResult::Canceled),
        ("invalid", &JobResult::Ended("invalid".to_owned())),
    ];
    assert_eq!(results(&outcomes), expected);
    assert_eq!(heard, words);
    let good: Vec<bool> = outcomes.iter().map(|o| o.result.is_good()).collect();
    assert_eq!(good, [true, true, false, false, false, false, false]);
    drop(manager);
    let calls = fake.calls();
    assert_eq!(calls.first().map(String::as_str), Some("Ping"), "it listens");
    assert_eq!(calls[1..], vec!["StartUnit"; 7], "nobody else's signals are asked for");
}

#[test]
fn all_jobs_are_queued_before_the_first_has_ended() {
    let mut open = Vec::new();
    let (manager, _fake) = Fake::manager(move |turn| {
        let unit = unit(turn);
        open.push((turn.call(), unit));
        if open.len() == 100 {
            for (id, (call, unit)) in (0_u32..).zip(open.drain(..)) {
                turn.reply_to(&call, &super::super::fake::job_path(id));
                turn.removed(id, &unit, "done");
            }
        }
    });
    let requests: Vec<JobRequest> = (0..100).map(|n| JobRequest::start(format!("a{n}.service"))).collect();
    let outcomes = manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    assert!(outcomes.iter().all(|o| o.result == JobResult::Done));
    assert!(outcomes.iter().zip(&requests).all(|(o, r)| o.unit == r.unit));
}

#[test]
fn a_job_that_does_not_end_in_our_time_is_neither_failed_nor_forgotten() {
    let (manager, _fake) = Fake::manager(|turn| {
        let unit = unit(turn);
        match unit.as_str() {
            "quick" => {
                turn.queued(1);
                turn.removed(1, "quick", "done");
            }
            "slow" => turn.queued(2),
            _ => {}
        }
    });
    let began = Instant::now();
    let outcomes = manager
        .jobs(&starts(&["slow", "unanswered", "quick"]), Duration::from_millis(300), |_| {})
        .expect("queued");
    assert!(began.elapsed() < Duration::from_secs(20));
    let expected =
        [("slow", &JobResult::Never), ("unanswered", &JobResult::Never), ("quick", &JobResult::Done)];
    assert_eq!(results(&outcomes), expected);
}

#[test]
fn a_job_that_is_removed_before_its_answer_still_has_its_result() {
    let (manager, _fake) = Fake::manager(|turn| {
        let unit = unit(turn);
        turn.removed(7, &unit, "failed");
        turn.queued(7);
    });
    let outcomes = manager.jobs(&starts(&["a"]), BOUND, |_| {}).expect("queued");
    assert_eq!(results(&outcomes), [("a", &JobResult::Failed)]);
}

#[test]
fn two_requests_for_one_unit_share_its_job() {
    let mut asked = 0;
    let (manager, _fake) = Fake::manager(move |turn| {
        let unit = unit(turn);
        asked += 1;
        turn.queued(5);
        if asked == 2 {
            turn.removed(5, &unit, "done");
        }
    });
    let outcomes = manager.jobs(&starts(&["a", "a"]), BOUND, |_| {}).expect("queued");
    assert_eq!(results(&outcomes), [("a", &JobResult::Done), ("a", &JobResult::Done)]);
}

#[test]
fn other_peoples_jobs_and_signals_in_masses_are_passed_over() {
    let (manager, _fake) = Fake::manager(|turn| {
        let unit = unit(turn);
        turn.queued(1);
        for id in 2..2000 {
            turn.removed(id, &unit, "failed");
            turn.signal("/x", "org.test", "Noise", &id);
        }
        turn.removed(1, &unit, "done");
    });
    let outcomes = manager.jobs(&starts(&["a"]), BOUND, |_| {}).expect("queued");
    assert_eq!(results(&outcomes), [("a", &JobResult::Done)]);
}

#[test]
fn when_the_bus_goes_away_what_was_not_known_is_unknown_and_not_failed() {
    let (manager, _fake) = Fake::manager(|turn| {
        let unit = unit(turn);
        match unit.as_str() {
            "a" => {
                turn.queued(1);
                turn.removed(1, "a", "done");
            }
            "b" => turn.queued(2),
            _ => turn.hang_up(),
        }
    });
    let outcomes = manager.jobs(&starts(&["a", "b", "c"]), BOUND, |_| {}).expect("queued");
    assert_eq!(outcomes[0].result, JobResult::Done);
    for outcome in &outcomes[1..] {
        assert!(matches!(&outcome.result, JobResult::Unknown(why) if why.contains("broke")), "{outcome:?}");
    }
    let error = manager.queued().expect_err("the connection is gone");
    assert!(matches!(error, SystemdError::Gone { .. }), "{error:?}");
}

#[test]
fn a_refused_job_says_what_the_manager_said() {
    let (manager, _fake) = Fake::manager(|turn| {
        turn.refuse("org.freedesktop.systemd1.NoSuchUnit", "Unit a.service not found.");
    });
    let outcomes = manager.jobs(&starts(&["a.service"]), BOUND, |_| {}).expect("asked");
    let said = JobResult::Refused("Unit a.service not found.".to_owned());
    assert_eq!(results(&outcomes), [("a.service", &said)]);
}

#[test]
fn each_verb_is_its_own_call_and_takes_the_place_of_what_is_queued() {
    let (manager, fake) = Fake::manager(|turn| {
        let (unit, mode): (String, String) = turn.args();
        assert_eq!(mode, if unit == "d" { "ignore-requirements" } else { "replace" });
        turn.queued(1);
        turn.removed(1, &unit, "done");
    });
    let requests = [
        JobRequest::start("a"),
        JobRequest::stop("b"),
        JobRequest::restart("c"),
        JobRequest::start("d").alone(),
    ];
    manager.jobs(&requests, BOUND, |_| {}).expect("queued");
    manager.jobs(&requests[..1], BOUND, |_| {}).expect("queued");
    drop(manager);
    let calls = ["Ping", "StartUnit", "StopUnit", "RestartUnit", "StartUnit", "Ping", "StartUnit"];
    assert_eq!(fake.calls(), calls);
}

#[test]
fn nothing_is_queued_with_a_manager_that_does_not_listen() {
    let (connection, fake) = Fake::connection(|_| {});
    let manager = UserManager::over(connection).with_limit(Duration::from_millis(300));
    let error = manager.jobs(&starts(&["a"]), BOUND, |_| {}).expect_err("no answer");
    assert!(error.to_string().contains("no answer within"), "{error}");
    drop(manager);
    assert_eq!(fake.calls(), ["Ping"]);
}
