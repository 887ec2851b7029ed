//! `mosaic ack` as hooks run it: the line that whoever sent a prompt finds it by, and what is refused.

use std::fs;
use std::path::PathBuf;

use mosaic_fleet::runfile::ack::{self, Ack, Event};
use predicates::str::contains;

/// A home with nothing in it, and the environment of one agent.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a home"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("mosaic/fleet/run/coder0.ack")
    }

    fn bare(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin("mosaic"));
        let mosaic = self.0.path().join("mosaic");
        command.env_clear().env("HOME", self.0.path()).env("MOSAIC_HOME", mosaic).arg("ack");
        command
    }

    fn ack(&self, args: &[&str], stdin: &[u8]) -> assert_cmd::assert::Assert {
        let mut command = self.bare();
        command.env("MOSAIC_AGENT_NAME", "coder0").env("MOSAIC_TENANT_ID", "usc").env("MOSAIC_HOST", "h1");
        command.args(args).write_stdin(stdin).assert()
    }

    fn acks(&self) -> Vec<Ack> {
        ack::parse(&fs::read(self.file()).unwrap_or_default())
    }
}

#[test]
fn a_prompt_is_found_again_by_the_digest_that_its_sender_makes() {
    let home = Home::new();
    let text = "do this\r\n\tand \"that\" — ünïcode\n";
    home.ack(&[], text.as_bytes()).success().stdout("").stderr("");
    let given = serde_json::json!({"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": text});
    home.ack(&["--hook", "--event", "queued", "--pid", "77"], given.to_string().as_bytes()).success();
    home.ack(&["--event", "reset"], b"").success();
    home.ack(&["--id", "m-1"], b"").success();
    let hex = ack::digest(text).to_uppercase();
    home.ack(&["--sha256", &hex], b"").success();
    let acks = home.acks();
    let told: Vec<_> = acks.iter().map(|a| (a.event, a.sha256.clone(), a.id.as_deref())).collect();
    let digest = Some(ack::digest(text));
    assert_eq!(
        told,
        [
            (Event::Prompt, digest.clone(), None),
            (Event::Queued, digest.clone(), None),
            (Event::Reset, None, None),
            (Event::Prompt, None, Some("m-1")),
            (Event::Prompt, digest, None),
        ]
    );
    assert_eq!((acks[0].pid, acks[1].pid), (None, Some(77)));
    assert_eq!((acks[0].tenant_id.as_deref(), acks[0].host.as_deref()), (Some("usc"), Some("h1")));
    assert!(acks[0].ts.len() == 24 && acks[0].ts.parse::<jiff::Timestamp>().is_ok(), "{}", acks[0].ts);
    let written = fs::read_to_string(home.file()).expect("the file");
    assert!(!written.contains("do this"), "no prompt stands there: {written}");
}

#[test]
fn a_message_of_the_greatest_length_is_acknowledged() {
    let home = Home::new();
    let text = "\u{1}".repeat(1 << 20);
    home.ack(&["--hook"], serde_json::json!({ "prompt": text }).to_string().as_bytes()).success();
    assert_eq!(home.acks()[0].sha256, Some(ack::digest(&text)));
}

#[test]
fn what_is_no_prompt_is_refused_and_nothing_is_written() {
    let home = Home::new();
    for (args, stdin, code, said) in [
        (&[][..], &b""[..], 3, "the prompt is empty"),
        (&[], b" \n\t", 3, "the prompt is empty"),
        (&[], b"\xff\xfe", 3, "not UTF-8"),
        (&["--hook"], b"not json", 3, "read what the hook was given"),
        (&["--hook"], b"{\"prompt\":7}", 3, "has no text in \"prompt\""),
        (&["--event", "eaten"], b"x", 2, "none of prompt, queued, reset"),
        (&["--sha256", "abc"], b"", 2, "not 64 hexadecimal digits"),
        (&["--id", "two words"], b"", 2, "not 1 to 200 printable"),
        (&["--id", ""], b"", 2, "not 1 to 200 printable"),
        (&["--hook", "--id", "m"], b"", 2, "cannot be used with"),
        (&["--agent", "../x", "--id", "m"], b"", 2, "agent name"),
    ] {
        home.ack(args, stdin).code(code).stderr(contains(said));
    }
    let huge = vec![b'x'; (8 << 20) + 1];
    home.ack(&[], &huge).code(3).stderr(contains("more than 8388608 bytes"));
    home.bare()
        .args(["--id", "m"])
        .env("MOSAIC_AGENT_NAME", "a")
        .env("MOSAIC_HOST", "h".repeat(5000))
        .assert()
        .code(2)
        .stderr(contains("readers take 4096"));
    home.bare().args(["--id", "m"]).assert().code(2).stderr(contains("mosaic ack --agent NAME"));
    assert_eq!(home.acks(), []);
}

#[test]
fn a_file_that_grows_begins_anew_and_a_folder_that_can_not_be_written_is_told() {
    let home = Home::new();
    fs::create_dir_all(home.file().parent().expect("a folder")).expect("made");
    let line = format!("{{\"ts\":\"t\",\"id\":\"{}\"}}\n", "o".repeat(100));
    fs::write(home.file(), line.repeat((1 << 20) / line.len())).expect("written");
    home.ack(&["--id", "last"], b"").success();
    let size = fs::metadata(home.file()).expect("there").len();
    assert!(size < 600_000, "{size}");
    assert_eq!(home.acks().last().and_then(|a| a.id.clone()).as_deref(), Some("last"));
    let other = Home::new();
    fs::write(other.0.path().join("mosaic"), "").expect("a file in the way");
    other.ack(&["--id", "m"], b"").code(4).stderr(contains("coder0.ack"));
}
