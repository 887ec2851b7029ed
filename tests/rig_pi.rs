//! pi, the real program, as an agent of a fleet in a booted system, with a model's server beside it.

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/runtimes.rs"]
mod runtimes;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use fleet::rig::{Rig, Suite};
use fleet::{Fleet, MOSAIC, SOON, TENANT};
use mosaic_fleet::runfile::ack::{self, Ack, Event, digest};
use mosaic_fleet::runfile::heartbeat::{self, Beat, Source, State, Status};
use runtimes::{Model, installed, model_script};
use serde_json::Value;

const PORT: &str = "18080";
const ROSTER: &str = "
version: 1
agents:
  - {name: coder0, runtime: pi, model: test/test-1, env: {PI_OFFLINE: '1'}}
";
/// What a user of pi has: a provider, logins, settings, an extension and a prompt of their own.
const OWN_FILES: [(&str, &str); 5] = [
    (
        "models.json",
        r#"{"providers": {"test": {"baseUrl": "http://127.0.0.1:18080/v1", "api": "openai-completions", "apiKey": "none",
            "compat": {"supportsDeveloperRole": false, "supportsReasoningEffort": false}, "models": [{"id": "test-1"}]}}}"#,
    ),
    ("auth.json", "{}"),
    // pi itself writes down the version whose news it has shown.
    ("settings.json", r#"{"lastChangelogVersion": "0.74.2", "quietStartup": true, "theme": "dark"}"#),
    ("extensions/own.ts", "export default function () {}\n"),
    ("prompts/greet.md", "Say hello to $1.\n"),
];

/// A tenant with pi in `~/.local/bin` and a model that answers.
struct Pi {
    fleet: Fleet,
    _model: Model,
}

impl Pi {
    fn boot(suite: Suite, installed: &Path) -> Self {
        let fleet = Fleet::tenant_seeing(suite, &[installed]);
        let seen = format!("/srv/{}", installed.file_name().expect("a name").to_string_lossy());
        let link = format!("mkdir -p ~/.local/bin && ln -s {seen}/bin/* ~/.local/bin");
        fleet.run(&["sh", "-c", &link]).ok();
        for (file, text) in OWN_FILES {
            fleet.rig.write(&format!("/home/{TENANT}/.pi/agent/{file}"), text, TENANT);
        }
        let script = fs::read(model_script()).expect("the model's script");
        fleet.rig.write("/var/lib/model/llm.mjs", script, "root");
        let node = format!("{seen}/bin/node");
        let argv = [&node, "/var/lib/model/llm.mjs", PORT, "/var/lib/model/log"];
        let model = Model::start(&mut fleet.rig.as_user_command("root", &argv));
        Self { fleet, _model: model }
    }

    fn ps(&self) -> Value {
        let text = self.fleet.run(&["fleet", "ps", "--json"]).ok();
        let ps: Value = serde_json::from_str(&text).expect("JSON");
        ps["rows"][0].clone()
    }

    fn run_file(&self, name: &str) -> Vec<u8> {
        fs::read(self.fleet.rig.path().join(&MOSAIC[1..]).join("fleet/run").join(name)).unwrap_or_default()
    }

    fn beat(&self) -> Beat {
        heartbeat::parse(&self.run_file("coder0.hb")).expect("a beat, never half of one")
    }

    fn acks(&self) -> Vec<Ack> {
        ack::parse(&self.run_file("coder0.ack"))
    }

    /// The events with a prompt's digest, in their order.
    fn events(&self, prompt: &str) -> Vec<Event> {
        let wanted = digest(prompt);
        self.acks().iter().filter(|a| a.sha256.as_ref() == Some(&wanted)).map(|a| a.event).collect()
    }

    /// Waits for a beat with this status that was written from now on.
    fn beats(&self, what: &str, status: Status) -> Beat {
        let before = self.beat().boottime;
        self.fleet
            .rig
            .wait_until(what, SOON, || self.beat().boottime > before && self.beat().status == status);
        self.beat()
    }

    /// How often the model was asked with a prompt that holds this.
    fn asked(&self, text: &str) -> usize {
        self.fleet.rig.root(&["cat", "/var/lib/model/log"]).stdout.matches(text).count()
    }

    fn tmux(&self, line: &str, stdin: &str) {
        let command = format!("tmux -L mosaic-factory {line}");
        self.fleet.rig.as_user_with(TENANT, &["sh", "-c", &command], stdin.as_bytes()).ok();
    }

    fn pastes(&self, text: &str) {
        self.tmux("load-buffer -b t - \\; paste-buffer -p -d -b t -t =coder0:", text);
        self.tmux("send-keys -t =coder0: Enter", "");
    }

    /// Every file below `~/.pi` with its content's hash, but for the conversations that pi keeps there.
    fn own_files(&self) -> String {
        let list =
            "cd ~/.pi && find . -path ./agent/sessions -prune -o -type f -print | sort | xargs sha256sum";
        self.fleet.run(&["sh", "-c", list]).ok()
    }
}

#[test]
fn pi_on_bookworm_is_ready_beats_by_itself_and_acknowledges_what_it_takes() {
    works_under_the_fleet(Suite::Bookworm);
}

#[test]
fn pi_on_trixie_is_ready_beats_by_itself_and_acknowledges_what_it_takes() {
    works_under_the_fleet(Suite::Trixie);
}

fn works_under_the_fleet(suite: Suite) {
    if Rig::skipped() {
        return;
    }
    let Some(installed) = installed("pi") else { return };
    let pi = Pi::boot(suite, &installed);
    let before = pi.own_files();
    // A queue in which nothing waits any more: its folder keeps its lock.
    pi.fleet.rig.write(&format!("{MOSAIC}/fleet/run/queue/coder0/.lock"), "", TENANT);
    pi.fleet.program(".local/bin/mosaic", "#!/bin/sh\necho \"$*\" >>~/calls\nexec /usr/bin/mosaic \"$@\"\n");
    let often = format!("{MOSAIC}/fleet/agents/coder0.local.env");
    pi.fleet.rig.write(&often, "MOSAIC_HEARTBEAT_INTERVAL=1\n", TENANT);
    pi.fleet.apply(ROSTER);
    is_clean_from_the_first_moment(&pi);
    beats_idle_and_busy_and_acknowledges(&pi);
    let calls = pi.fleet.rig.read(&format!("/home/{TENANT}/calls"));
    assert!(calls.contains("yolo pi") && !calls.contains("mail"), "no program for each beat: {calls}");
    says_what_the_provider_refuses(&pi);
    is_stale_while_it_is_frozen(&pi);
    is_acknowledged_when_reset(&pi);
    pi.fleet.run(&["fleet", "verify"]).ok();
    assert_eq!(pi.own_files(), before, "the user's own pi is left alone");
    assert_ne!(pi.fleet.run(&["ls", "/tmp/jiti"]).code, 0, "nothing in what all users share");
}

#[test]
fn pi_on_bookworm_takes_messages_and_the_first_of_each_of_twenty_sessions() {
    takes_messages(Suite::Bookworm, 5);
}

#[test]
fn pi_on_trixie_takes_messages_and_the_first_of_each_of_four_sessions() {
    takes_messages(Suite::Trixie, 1);
}

#[test]
#[ignore = "takes half a minute to show what the shorter one shows"]
fn pi_on_trixie_takes_the_first_message_of_each_of_twenty_sessions() {
    takes_messages(Suite::Trixie, 5);
}

fn takes_messages(suite: Suite, rounds: usize) {
    if Rig::skipped() {
        return;
    }
    let Some(installed) = installed("pi") else { return };
    let pi = Pi::boot(suite, &installed);
    pi.fleet.apply(&four());
    takes_the_first_message_of_a_session(&pi, rounds);
    answers_a_probe_long_before_its_next_beat(&pi);
    takes_what_is_sent_while_it_works(&pi);
    leaves_a_draft_alone(&pi);
    is_reset_by_command(&pi);
}

/// Its first second it shows as `node`, and before its first beat there is none: neither is a fault.
fn is_clean_from_the_first_moment(pi: &Pi) {
    pi.fleet.rig.wait_until("pi is healthy", SOON, || {
        let row = pi.ps();
        assert_eq!(row["flags"], Value::Array(vec![]), "{row:#}");
        row["heartbeat"]["health"] == "healthy"
    });
    let row = pi.ps();
    assert_eq!(row["heartbeat"]["pid"], row["pane"]["pid"], "{row:#}");
    assert_eq!((&row["heartbeat"]["source"], &row["heartbeat"]["status"]), (&"runtime".into(), &"ok".into()));
    assert_eq!((&row["runtime"], &row["pane"]["command"]), (&"pi".into(), &"pi".into()), "{row:#}");
    let beat = pi.beat();
    assert_eq!((beat.source, beat.interval, beat.state), (Source::Runtime, Some(1), Some(State::Idle)));
    assert_eq!(beat.tenant_id.as_deref(), Some(TENANT));
    assert!(beat.session.is_some_and(|session| !session.is_empty()));
    pi.fleet.run(&["fleet", "ps", "--probe"]).ok();
}

fn beats_idle_and_busy_and_acknowledges(pi: &Pi) {
    let first = pi.beats("a beat while idle", Status::Ok);
    let second = pi.beats("another one", Status::Ok);
    assert_eq!((second.pid, second.first), (first.pid, first.first));
    let pause = second.boottime.unwrap_or(0.0) - first.boottime.unwrap_or(0.0);
    assert!((0.9..3.0).contains(&pause), "{pause} s between two beats");

    let long = "[h1:a -> h1:coder0] first line\n\n\tindented, with ünïcode\nSLEEP:3\n";
    pi.pastes(long);
    pi.fleet.rig.wait_until("the prompt is acknowledged", SOON, || pi.events(long) == [Event::Prompt]);
    let busy = pi.beats("a beat while busy", Status::Busy);
    assert_eq!(busy.state, Some(State::Working));
    pi.beats("another one while busy", Status::Busy);
    assert_eq!(pi.ps()["flags"], Value::Array(vec![]));
    let large = format!("{}end", "0123456789 abcdef\n".repeat(400));
    pi.pastes(&large);
    pi.fleet.rig.wait_until("a message meanwhile is queued", SOON, || pi.events(&large) == [Event::Queued]);
    pi.fleet.rig.wait_until("and then taken", SOON, || pi.events(&large) == [Event::Queued, Event::Prompt]);
    let idle = pi.beats("it is idle again", Status::Ok);
    assert_eq!(idle.state, Some(State::Idle));
    let log = pi.fleet.rig.read("/var/lib/model/log");
    let asked: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let last = asked.last().and_then(|a| a["prompt"].as_str()).expect("a prompt");
    assert_eq!(last, large, "the model got it as it was sent");
}

fn says_what_the_provider_refuses(pi: &Pi) {
    let flagged = |flag: &str| pi.ps()["flags"] == Value::from(vec![flag]);
    let well = || pi.ps()["flags"] == Value::Array(vec![]) && pi.beat().status == Status::Ok;
    pi.pastes("STATUS:401");
    pi.fleet.rig.wait_until("a refused login shows", SOON, || flagged("AUTH-EXPIRED"));
    pi.pastes("well again");
    pi.fleet.rig.wait_until("and is over", SOON, well);
    pi.pastes("STATUS:429");
    pi.fleet.rig.wait_until("a limit shows", SOON, || flagged("RATE-LIMITED"));
    assert_eq!(pi.beat().status, Status::Busy, "it tries again, and takes no message meanwhile");
    pi.tmux("send-keys -t =coder0: Escape", "");
    pi.fleet.rig.wait_until("it has given up", SOON, || pi.beat().status == Status::Ok);
    pi.pastes("well again, too");
    pi.fleet.rig.wait_until("and is over", SOON, well);
}

/// The beats are of pi's own loop, not of something beside it. (A pane's process that is only stopped, tmux wakes.)
fn is_stale_while_it_is_frozen(pi: &Pi) {
    let pid = pi.fleet.pane("coder0").expect("a pane");
    let freeze = |on: u8| {
        let file = format!("/sys/fs/cgroup$(sed -n s/^0:://p /proc/{pid}/cgroup)/cgroup.freeze");
        pi.fleet.run(&["sh", "-c", &format!("echo {on} >{file}")]).ok();
    };
    freeze(1);
    pi.fleet.rig.wait_until("it is stale", SOON, || pi.ps()["flags"][0] == "STALE");
    freeze(0);
    pi.fleet.rig.wait_until("it is well again", SOON, || pi.ps()["heartbeat"]["health"] == "healthy");
}

fn is_acknowledged_when_reset(pi: &Pi) {
    let before = pi.beat();
    let resets = || pi.acks().iter().filter(|a| a.event == Event::Reset).count();
    assert_eq!(resets(), 0);
    pi.tmux("send-keys -t =coder0: -l /new", "");
    // A list of commands opens first, and takes an Enter that comes too soon for its own.
    pi.fleet.rig.wait_until("the command stands there", SOON, || {
        let screen =
            pi.fleet.run(&["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=coder0:"]).ok();
        screen.lines().any(|line| line.trim_end() == "/new")
    });
    pi.tmux("send-keys -t =coder0: Enter", "");
    pi.fleet.rig.wait_until("the reset is acknowledged", SOON, || resets() == 1);
    let after = pi.beats("a beat of the new conversation", Status::Ok);
    assert_ne!(after.session, before.session);
    assert_eq!((after.pid, after.first), (before.pid, before.first), "the same process");
    pi.pastes("a new start");
    pi.fleet.rig.wait_until("it takes a message", SOON, || pi.events("a new start") == [Event::Prompt]);
}

/// Four agents like the one.
fn four() -> String {
    let agent =
        |n| format!("  - {{name: coder{n}, runtime: pi, model: test/test-1, env: {{PI_OFFLINE: '1'}}}}\n");
    format!("version: 1\nagents:\n{}", (0..4).map(agent).collect::<String>())
}

/// Sent as soon as the unit is up, when pi does not even read its terminal. Four at once on two cores.
fn takes_the_first_message_of_a_session(pi: &Pi, rounds: usize) {
    for round in 0..rounds {
        if round > 0 {
            pi.fleet.run(&["fleet", "restart"]).ok();
        }
        let send = |n: usize| {
            let (agent, text) = (format!("coder{n}"), format!("first of round {round}\n\tfor {n}"));
            let argv = ["mosaic", "agent", "send", &agent, "--message", &text, "--verify", "--json"];
            let mut command = pi.fleet.rig.as_user_command(TENANT, &argv);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a sender starts")
        };
        let senders: Vec<_> = (0..4).map(send).collect();
        for (n, sender) in senders.into_iter().enumerate() {
            let output = sender.wait_with_output().expect("a sender ends");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let receipt: Value = serde_json::from_str(&said).unwrap_or_default();
            assert!(
                output.status.success() && receipt["state"] == "accepted" && receipt["enters"] == 1,
                "round {round}, coder{n}: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text = format!("first of round {round}");
        pi.fleet.rig.wait_until("the model is asked by all four", SOON, || pi.asked(&text) >= 4);
        assert_eq!(pi.asked(&text), 4, "by each once");
    }
}

/// These beat every 15 s.
fn answers_a_probe_long_before_its_next_beat(pi: &Pi) {
    pi.fleet.rig.wait_until("it is idle", SOON, || pi.beat().status == Status::Ok);
    for _ in 0..2 {
        let ps: Value =
            serde_json::from_str(&pi.fleet.run(&["fleet", "ps", "--probe", "--json"]).ok()).expect("JSON");
        for row in ps["rows"].as_array().expect("rows") {
            assert!(!row["reasons"].to_string().contains("probe"), "{row:#}");
        }
    }
}

fn takes_what_is_sent_while_it_works(pi: &Pi) {
    let send = |text: &str, flags: &[&str]| -> Value {
        let argv = [&["mosaic", "agent", "send", "coder0", "--json", "--message", text], flags].concat();
        serde_json::from_str(&pi.fleet.run(&argv).ok()).expect("a receipt")
    };
    assert_eq!(send("work SLEEP:3", &["--verify"])["state"], "accepted");
    let meanwhile = || send("sent meanwhile", &["--verify", "--id", "meanwhile"])["state"].clone();
    assert_eq!(meanwhile(), "queued");
    assert_eq!(send("left in the queue", &["--queue"])["state"], "held");
    pi.fleet.rig.wait_until("it takes what was sent", SOON, || pi.asked("sent meanwhile") == 1);
    pi.fleet.rig.wait_until("its receipt says so", SOON, || meanwhile() == "accepted");
    assert_eq!(pi.asked("sent meanwhile"), 1, "the same key delivers once");
    pi.fleet.rig.wait_until("and what was left", SOON, || pi.asked("left in the queue") == 1);
    let folder = format!("{MOSAIC}/fleet/run/queue/coder0");
    assert_eq!(pi.fleet.run(&["ls", &folder]).ok(), "", "nothing waits");

    pi.fleet.run(&["fleet", "stop", "coder0"]).ok();
    send("left for its start", &["--queue"]);
    pi.fleet.run(&["fleet", "start", "coder0"]).ok();
    pi.fleet.rig.wait_until("it is handed out at the start", SOON, || pi.asked("left for its start") == 1);
}

fn leaves_a_draft_alone(pi: &Pi) {
    let shown = |text: &str| {
        let capture = ["tmux", "-L", "mosaic-factory", "capture-pane", "-p", "-t", "=coder1:"];
        pi.fleet.run(&capture).ok().lines().any(|line| line.trim_end() == text)
    };
    pi.tmux("send-keys -t =coder1: -l 'a draft of mine'", "");
    pi.fleet.rig.wait_until("a draft stands there", SOON, || shown("a draft of mine"));
    let sent =
        pi.fleet.run(&["mosaic", "agent", "send", "coder1", "--message", "hello", "--verify"]).exits(1);
    assert!(sent.stderr.contains("draft"), "{}", sent.report());
    assert!(shown("a draft of mine"), "as it was");
}

fn is_reset_by_command(pi: &Pi) {
    let session = || {
        let beat = heartbeat::parse(&pi.run_file("coder2.hb")).expect("a beat");
        (beat.pid, beat.session.expect("a conversation"))
    };
    let (pid, before) = session();
    pi.fleet.run(&["mosaic", "agent", "reset", "coder2"]).ok();
    let reset = |a: &Ack| a.event == Event::Reset;
    assert_eq!(ack::parse(&pi.run_file("coder2.ack")).iter().filter(|a| reset(a)).count(), 1);
    pi.fleet.rig.wait_until("another conversation of the same process", SOON, || {
        let (now, session) = session();
        now == pid && session != before
    });
    pi.fleet.run(&["mosaic", "agent", "send", "coder2", "--message", "and on", "--verify"]).ok();
}
