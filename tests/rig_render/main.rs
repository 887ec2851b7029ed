//! systemd's own reading, in booted systems, of what the renderer writes: environment files and
//! words of Exec lines, byte for byte, whole fleets with limits made at random; and our reader against systemd's, on
//! files people may write.

#[path = "../common/hostile.rs"]
mod hostile;
mod limits;
mod places;
#[path = "../common/rig.rs"]
mod rig;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hostile::{env_file, many, some, value, written_by_a_person};
use mosaic_fleet::envfile;
use mosaic_fleet::render::escape;
use rig::{Rig, Suite};

/// What systemd sets in every service.
const OF_SYSTEMD: [&str; 9] = [
    "PATH",
    "LANG",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "USER",
    "container",
];

const ENV_UNIT: &str = "[Service]
Type=oneshot
EnvironmentFile=/proof/%i.env
ExecStart=/bin/cp /proc/self/environ /proof/%i.seen
";

/// Writes down its arguments, but for the first, which says where.
const SHOW: &str = "#!/bin/sh\nout=$1\nshift\nprintf '%s\\0' \"$@\" >\"$out\"\n";

/// Files below `/` of a rig, put there by one command.
fn put(rig: &Rig, files: &[(String, String)]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("make the folder");
        fs::write(&path, content).expect("write the file");
    }
    let mut tar = Command::new("tar");
    tar.args(["-c", "--mode=u=rwX,go=rX", "--owner=0", "--group=0", "-C"]).arg(folder.path()).arg(".");
    let archive = tar.stdin(Stdio::null()).output().expect("tar is there");
    assert!(archive.status.success());
    rig.as_user_with(
        "root",
        &["tar", "-x", "--no-same-owner", "--no-overwrite-dir", "-C", "/"],
        &archive.stdout,
    )
    .ok();
}

/// Starts them all, some of which may fail.
fn start(rig: &Rig, units: &[String]) {
    rig.root_ok(&["systemctl", "daemon-reload"]);
    for some in units.chunks(100) {
        let mut command = vec!["systemctl", "start"];
        command.extend(some.iter().map(String::as_str));
        rig.root(&command);
    }
}

/// The environment that the unit of this file had; none where systemd refused the file.
fn environment(root: &Path, file: &str) -> Option<BTreeMap<String, String>> {
    let bytes = fs::read(root.join(format!("proof/{file}.seen"))).ok()?;
    let text = String::from_utf8(bytes).expect("systemd lets only UTF-8 through");
    let vars = text.split_terminator('\0').filter_map(|var| var.split_once('='));
    let ours = vars.filter(|(name, _)| !OF_SYSTEMD.contains(name));
    Some(ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A user's manager in a rig, that has read these files.
struct Asked<'a> {
    rig: &'a Rig,
    uid: u32,
}

impl<'a> Asked<'a> {
    fn of(rig: &'a Rig, files: &[(String, String)]) -> Self {
        let asked = Self { rig, uid: rig.add_lingering_user("demo") };
        put(rig, files);
        asked.systemctl(&["daemon-reload"]);
        asked
    }

    fn systemctl(&self, words: &[&str]) -> String {
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", self.uid);
        self.rig.as_user("demo", &[&["env", &runtime, "systemctl", "--user"], words].concat()).ok()
    }

    /// Properties of each unit.
    fn show(&self, properties: &str, units: &[String]) -> Vec<BTreeMap<String, String>> {
        let property = format!("--property={properties}");
        let words: Vec<&str> =
            ["show", &property].into_iter().chain(units.iter().map(String::as_str)).collect();
        let said = self.systemctl(&words);
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let seen: Vec<_> = said.split("\n\n").map(|block| block.lines().filter_map(pair).collect()).collect();
        assert_eq!(seen.len(), units.len(), "{said}");
        seen
    }

    /// What the manager has logged of files whose path begins so.
    fn complaints(&self, of: &str) -> Vec<String> {
        let user = format!("_UID={}", self.uid);
        let log = self.rig.root_ok(&["journalctl", "-b", "-o", "cat", &user, "_COMM=systemd"]);
        log.lines().filter(|line| line.contains(of)).map(str::to_owned).collect()
    }
}

#[test]
fn systemd_reads_back_what_the_writer_wrote_and_our_reader_reads_what_systemd_reads() {
    if Rig::skipped() {
        return;
    }
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let mut texts: Vec<String> = some(proptest::collection::vec(value(), 1..8), many(300))
            .iter()
            .map(|values| env_file(values))
            .collect();
        texts.push(env_file(&["x".repeat(64 * 1024), "\"\\$` '\n#é%".repeat(6000)]));
        texts.push(env_file(&["x".repeat(envfile::LONGEST - "V0=".len())]));
        let written = texts.len();
        texts.extend(some(written_by_a_person(suite == Suite::Trixie), many(300)));
        texts.push("A=1\nB=\u{FFFE}\n".to_owned());
        texts.push("A=\u{FDD0}\n".to_owned());
        let mut files: Vec<_> =
            texts.iter().enumerate().map(|(at, text)| (format!("proof/{at}.env"), text.clone())).collect();
        files.push(("etc/systemd/system/proof@.service".to_owned(), ENV_UNIT.to_owned()));
        put(&rig, &files);

        start(&rig, &(0..texts.len()).map(|at| format!("proof@{at}.service")).collect::<Vec<_>>());

        let root = rig.path();
        for (at, text) in texts.iter().enumerate() {
            let seen = environment(&root, &at.to_string());
            let read = envfile::read(text.as_bytes()).ok().map(BTreeMap::from_iter);
            assert_eq!(seen, read, "{suite:?}: {text:?}");
            assert!(at >= written || seen.is_some(), "{suite:?}: systemd refuses {text:?}");
        }
    }
}

#[test]
fn systemd_hands_on_each_word_of_an_exec_line_as_it_was() {
    if Rig::skipped() {
        return;
    }
    let lines = some(proptest::collection::vec(value(), 1..6), many(100));
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let mut files = vec![("proof/show".to_owned(), SHOW.to_owned())];
        for (at, words) in lines.iter().enumerate() {
            let words: Vec<String> = words.iter().map(|word| escape::exec(word)).collect();
            let unit = format!(
                "[Service]\nType=oneshot\nExecStart=/bin/sh /proof/show /proof/{at}.seen {}\n",
                words.join(" ")
            );
            files.push((format!("etc/systemd/system/proof-{at}.service"), unit));
        }
        put(&rig, &files);

        start(&rig, &(0..lines.len()).map(|at| format!("proof-{at}.service")).collect::<Vec<_>>());

        for (at, words) in lines.iter().enumerate() {
            let seen = fs::read_to_string(rig.path().join(format!("proof/{at}.seen")));
            let seen = seen.unwrap_or_else(|e| panic!("{suite:?}: {words:?}: {e}"));
            assert_eq!(seen.split_terminator('\0').collect::<Vec<_>>(), *words, "{suite:?}");
        }
    }
}
