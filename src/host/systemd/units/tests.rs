use super::super::fake::{Fake, Turn};
use super::super::proxy::UnitRow;
use super::*;

fn row(name: &str, active: &str, job: &str) -> UnitRow {
    let place = |tail: &str| {
        OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{tail}")).expect("a path")
    };
    let place = place(&name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let text = str::to_owned;
    (
        text(name),
        text("d"),
        text("loaded"),
        text(active),
        text("running"),
        text(""),
        place.clone(),
        0,
        text(job),
        place,
    )
}

fn answer_get(turn: &mut Turn, call: &Message) {
    let (_, property): (String, String) = call.body().deserialize().expect("an interface and a property");
    match property.as_str() {
        "MainPID" => turn.reply_to(call, &Variant::from(4711_u32)),
        "ControlGroup" => turn.reply_to(call, &Variant::from("/u/app.slice/a.service")),
        "StatusText" => turn.reply_to(call, &Variant::from("running for 3 s")),
        "NRestarts" => turn.reply_to(call, &Variant::from(2_u32)),
        "Result" => turn.reply_to(call, &Variant::from("success")),
        "ExecMainStatus" => turn.reply_to(call, &Variant::from(3_i32)),
        "ExecMainCode" => turn.reply_to(call, &Variant::from(1_i32)),
        "ActiveEnterTimestampMonotonic" => turn.reply_to(call, &Variant::from(1_500_000_u64)),
        "FragmentPath" => turn.reply_to(call, &Variant::from("/h/a.service")),
        "DropInPaths" => turn.reply_to(call, &Variant::from(vec!["/h/a.service.d/m.conf"])),
        "NeedDaemonReload" => turn.reply_to(call, &Variant::from(true)),
        "UnitFileState" => turn.reply_to(call, &Variant::from("enabled")),
        "Version" => turn.reply_to(call, &Variant::from("252.39-1~deb12u2")),
        "UserspaceTimestampMonotonic" => turn.reply_to(call, &Variant::from(2_500_000_u64)),
        other => panic!("{other} was asked for"),
    }
}

#[test]
fn states_of_all_units_come_by_one_call_and_their_details_by_one_round_trip() {
    let mut open = Vec::new();
    let (manager, fake) = Fake::manager(move |turn| match turn.method().as_str() {
        "ListUnitsByPatterns" => {
            let (states, patterns): (Vec<String>, Vec<String>) = turn.args();
            assert_eq!((states.len(), patterns), (0, vec!["mosaic-*".to_owned()]));
            turn.reply(&vec![
                row("mosaic-agent@a.service", "active", ""),
                row("b.target", "inactive", "start"),
            ]);
        }
        _ => {
            open.push(turn.call());
            // Twelve properties of the service, the five that every unit has of the target: none is
            // answered before the last is here.
            if open.len() == 17 {
                open.iter().for_each(|call| answer_get(turn, call));
            }
        }
    });
    let units = manager.units_with(&["mosaic-*"], Detail::ALL).expect("listed");
    let all = UnitDetail {
        main_pid: 4711,
        cgroup: "/u/app.slice/a.service".to_owned(),
        status_text: "running for 3 s".to_owned(),
        restarts: 2,
        result: "success".to_owned(),
        exit_status: 3,
        exit_code: 1,
        active_since: 1.5,
        fragment: "/h/a.service".to_owned(),
        drop_ins: vec!["/h/a.service.d/m.conf".to_owned()],
        needs_reload: true,
        file_state: "enabled".to_owned(),
    };
    let service = &units["mosaic-agent@a.service"];
    assert_eq!((service.active.as_str(), service.job.as_str()), ("active", ""));
    assert_eq!(service.detail.as_ref(), Some(&all));
    let target = &units["b.target"];
    assert_eq!((target.active.as_str(), target.job.as_str()), ("inactive", "start"));
    assert_eq!(target.detail.as_ref().map(|d| (d.main_pid, d.active_since)), Some((0, 1.5)));
    drop(manager);
    assert_eq!(fake.calls().len(), 18);
}

#[test]
fn a_unit_that_was_not_listed_is_looked_up_by_the_manager_and_never_by_a_path_of_ours() {
    let (manager, fake) = Fake::manager(|turn| match turn.method().as_str() {
        "LoadUnit" => match turn.args::<String>().as_str() {
            "bad" => turn.refuse("org.freedesktop.DBus.Error.InvalidArgs", "Unit name bad is not valid."),
            _ => turn.reply(&OwnedObjectPath::try_from("/somewhere/else").expect("a path")),
        },
        _ => {
            assert_eq!(turn.path(), "/somewhere/else");
            answer_get(turn, &turn.call());
        }
    });
    let details = manager.details(&["a.service", "bad"], &[Detail::MainPid]).expect("asked");
    assert_eq!(details["a.service"].known().map(|d| d.main_pid), Some(4711));
    let why = details["bad"].why().expect("not known");
    assert_eq!(why, "have the user manager look at bad: Unit name bad is not valid.");
    // Once told, it is not asked for again.
    manager.details(&["a.service"], &[Detail::Restarts]).expect("asked");
    drop(manager);
    assert_eq!(fake.calls(), ["LoadUnit", "LoadUnit", "Get", "Get"]);
}

#[test]
fn a_property_that_can_not_be_had_leaves_that_unit_unknown_and_no_other() {
    let (manager, _fake) = Fake::manager(|turn| match turn.method().as_str() {
        "LoadUnit" => {
            let unit: String = turn.args();
            turn.reply(&OwnedObjectPath::try_from(format!("/{}", &unit[..1])).expect("a path"));
        }
        _ if turn.path() == "/b" => {
            turn.refuse("org.freedesktop.DBus.Error.UnknownProperty", "no such thing")
        }
        _ => answer_get(turn, &turn.call()),
    });
    let details = manager.details(&["a.service", "b.service"], Detail::PROCESS).expect("asked");
    assert!(details["a.service"].known().is_some());
    assert_eq!(details["b.service"].why(), Some("ask for MainPID of b.service: no such thing"));
}

#[test]
fn an_answer_of_another_type_is_not_understood_rather_than_taken_for_nothing() {
    let (manager, _fake) = Fake::manager(|turn| match turn.method().as_str() {
        "LoadUnit" => turn.reply(&OwnedObjectPath::try_from("/a").expect("a path")),
        _ => turn.reply(&Variant::from("many")),
    });
    let details = manager.details(&["a.service"], &[Detail::MainPid]).expect("asked");
    let why = details["a.service"].why().expect("not known");
    assert!(why.contains("not understood"), "{why}");
}

#[test]
fn the_manager_says_its_version_and_when_it_started() {
    let (manager, _fake) = Fake::manager(|turn| answer_get(turn, &turn.call()));
    let seen = manager.manager().expect("it answers");
    assert_eq!(seen, Manager { version: "252.39-1~deb12u2".to_owned(), started: 2.5 });
}

#[test]
fn whether_files_changed_is_asked_of_one_instance_and_of_those_with_files_of_their_own() {
    let (manager, fake) = Fake::manager(|turn| match turn.method().as_str() {
        "LoadUnit" => {
            let place: String = turn.args::<String>().chars().filter(char::is_ascii_alphanumeric).collect();
            turn.reply(&OwnedObjectPath::try_from(format!("/{place}")).expect("a path"));
        }
        _ => {
            let is_behind = turn.path() == "/aonex";
            turn.reply(&Variant::from(is_behind));
        }
    });
    let units = ["a@one.x", "a@own.x", "a@three.x", "a@four.x", "hub.x"];
    let behind = manager.behind(&units, |unit| unit == "a@own.x").expect("asked");
    assert_eq!(behind.into_iter().collect::<Vec<_>>(), ["a@four.x", "a@one.x", "a@three.x"]);
    drop(manager);
    assert_eq!(fake.calls().iter().filter(|call| *call == "Get").count(), 3);
}
