//! Rosters that are wrong, through the real program: what a person reads for each rule that is broken,
//! and that nothing was changed.

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A user's home with a program that answers to `tmux`; no user manager is asked for it.
struct Home(tempfile::TempDir);

const ROSTER: &str = ".config/mosaic/fleet/roster.yaml";
/// More than this of address space, and the kernel refuses it, in KiB.
const MEMORY: u32 = 200 * 1024;
/// Far more than it takes, for machines that do much else.
const WITHIN: Duration = Duration::from_secs(10);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a home"));
        program::write(&home.at("bin/tmux"), "#!/bin/sh\nexit 1\n");
        fs::create_dir_all(home.at(ROSTER).parent().expect("a folder")).expect("made");
        home
    }

    fn with(roster: &[u8]) -> Self {
        let home = Self::new();
        home.put(ROSTER, roster);
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn put(&self, path: &str, content: &[u8]) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// Runs it within bounds of memory and time: exit code, and all that it said.
    fn fleet(&self, args: &[&str]) -> (i32, String) {
        let begun = Instant::now();
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh", "/usr/bin/timeout", "60"])
            .arg(env!("CARGO_BIN_EXE_fleet"))
            .args(args)
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.at("bin").display()))
            .current_dir(self.0.path())
            .output()
            .expect("it runs");
        assert!(begun.elapsed() < WITHIN, "{args:?} took {:?}", begun.elapsed());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text").replace(&self.0.path().display().to_string(), "~");
        (output.status.code().unwrap_or(-1), said)
    }

    /// Everything below the home, by path: inode, mode, time of change, size.
    fn tree(&self) -> BTreeMap<PathBuf, (u64, u32, i64, i64, u64)> {
        let (mut tree, mut folders) = (BTreeMap::new(), vec![self.0.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                let facts = path.symlink_metadata().expect("there");
                if facts.is_dir() {
                    folders.push(path.clone());
                }
                let entry = (facts.ino(), facts.mode(), facts.mtime(), facts.mtime_nsec(), facts.size());
                tree.insert(path, entry);
            }
        }
        tree
    }
}

/// Every rule, broken: the parts of a roster below `version: 1`, or a whole one that names it.
const BROKEN: &[(&str, &str)] = &[
    ("an unknown key", "agent:\n  - name: a"),
    ("a known key at the wrong level", "working_directory: ~/src\nsocket_name: x"),
    ("no version", "tenant_id: usc\n# version"),
    ("another version", "version: 2"),
    ("a version that is no number", "version: one"),
    ("a tenant", "tenant_id: a b"),
    ("a transport", "transport: tmx"),
    ("a transport to come", "transport: matrix\nmatrix:\n  homeserver: https://example.org"),
    ("tmux", "tmux: mosaic"),
    ("a key of tmux", "tmux:\n  socket: x"),
    ("a socket", "tmux:\n  socket_name: ../x"),
    ("a holder's session", "tmux:\n  holder_session: a.b"),
    ("defaults", "defaults:\n  - pi"),
    ("a folder by default", "defaults:\n  working_directory: src"),
    ("a runtime by default", "defaults:\n  runtime: Claude\nagents:\n  - name: a"),
    ("a lifecycle by default", "defaults:\n  lifecycle: cor"),
    ("limits by default", "defaults:\n  limits:\n    memory: 2G"),
    ("variables by default", "defaults:\n  env:\n    - A=1"),
    ("a runtime's name", "runtimes:\n  a/b:\n    command: x"),
    ("a runtime of one's own without a command", "runtimes:\n  mine:\n    bin: /usr/bin/mine"),
    ("a runtime's command", "runtimes:\n  pi:\n    command: ''"),
    ("a runtime's reset", "runtimes:\n  pi:\n    reset_command: [/new]"),
    ("a runtime's program", "runtimes:\n  pi:\n    bin: ./pi"),
    ("a runtime's variables", "runtimes:\n  pi:\n    env:\n      MOSAIC_HOME: /x\n      1A: x"),
    ("a runtime's process names", "runtimes:\n  pi:\n    process_names: pi"),
    ("a runtime's draft mark", "runtimes:\n  pi:\n    draft_mark: \"\\e[1m\""),
    ("a key of a runtime", "runtimes:\n  pi:\n    resetcommand: /new"),
    ("agents", "agents:\n  coder0:\n    runtime: pi"),
    ("an agent", "agents:\n  - coder0"),
    ("an agent without a name", "agents:\n  - runtime: pi"),
    ("an agent's name", "agents:\n  - name: coder.0\n  - name: -x\n  - name: 0"),
    ("a second agent of a name", "agents:\n  - name: coder0\n  - name: coder0"),
    ("an agent like the holder", "agents:\n  - name: _holder"),
    ("a key of an agent", "agents:\n  - name: a\n    working-directory: ~/src"),
    ("a key twice", "agents:\n  - name: a\n    runtime: pi\n    runtime: claude"),
    ("a runtime", "agents:\n  - name: a\n    runtime: codx"),
    ("a class", "agents:\n  - name: a\n    class: \"a\\nb\""),
    ("a hint", "agents:\n  - name: a\n    model_hint: [Opus]"),
    ("a model", "agents:\n  - name: a\n    model: 5"),
    ("an effort", "agents:\n  - name: a\n    effort:"),
    ("a persona", "agents:\n  - name: a\n    persistent_persona: sem"),
    ("a reset between tasks", "agents:\n  - name: a\n    reset_between_tasks: yes"),
    ("a folder", "agents:\n  - name: a\n    working_directory: $HOME/src"),
    ("variables", "agents:\n  - name: a\n    env:\n      A: [x]\n      B:\n      MOSAIC_AGENT_NAME: b"),
    ("a command", "agents:\n  - name: a\n    command: {run: x}"),
    ("a first prompt", "agents:\n  - name: a\n    kickstart_template: implementor"),
    ("a lifecycle", "agents:\n  - name: a\n    lifecycle: ephemeal"),
    ("a lane", "agents:\n  - name: a\n    lane: ''"),
    ("a state", "agents:\n  - name: a\n    state: stop"),
    ("what to do when stale", "agents:\n  - name: a\n    on_stale: restrat"),
    ("a memory limit", "agents:\n  - name: a\n    limits: {memory_max: 2g, memory_high: 0}"),
    ("a share of processors", "agents:\n  - name: a\n    limits: {cpu_quota: 50}"),
    ("a number of tasks", "agents:\n  - name: a\n    limits: {tasks_max: many}"),
    ("a number of files", "agents:\n  - name: a\n    limits: {nofile: 0.5}"),
    ("a niceness", "agents:\n  - name: a\n    limits: {nice: -21}"),
    ("a mask", "agents:\n  - name: a\n    limits: {umask: 22}"),
    ("privileges", "agents:\n  - name: a\n    limits: {no_new_privs: maybe}"),
    ("a key of limits", "agents:\n  - name: a\n    limits: {nofiles: 1024}"),
    ("several at once", "tenant: x\nagents:\n  - name: a b\n    runtme: pi\n  - name: c\n    state: up"),
];

#[test]
fn each_rule_that_is_broken_is_told_with_its_place_and_what_is_allowed() {
    let home = Home::new();
    let mut told = String::new();
    for (rule, text) in BROKEN {
        let whole =
            if text.contains("version") { format!("{text}\n") } else { format!("version: 1\n{text}\n") };
        home.put("roster.yaml", whole.as_bytes());
        let (code, said) = home.fleet(&["plan", "--roster", "roster.yaml"]);
        assert_eq!(code, 3, "{rule}\n{said}");
        assert!(said.contains("roster.yaml:"), "no place: {said}");
        writeln!(told, "## {rule}\n\n{whole}\n{said}").expect("text");
    }
    insta::assert_snapshot!(told);
}

/// Files that are no roster, whole or in part.
fn no_rosters() -> Vec<(&'static str, Vec<u8>)> {
    let bomb =
        (1..9).fold("version: 1\nx: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |mut text, n| {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            writeln!(text, "x{n}: &a{n} [{aliases}]").expect("text");
            text
        });
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("empty", Vec::new()),
        ("blanks alone", text("\n\n  \n")),
        ("10 MiB", vec![b'a'; 10 << 20]),
        ("100,000 values", text(&format!("version: 1\nagents:\n{}", "  - x\n".repeat(100_000)))),
        ("invalid UTF-8", b"version: 1\nagents:\n  - name: caf\xe9\n".to_vec()),
        ("UTF-16", b"\xff\xfev\0e\0r\0s\0i\0o\0n\0".to_vec()),
        ("NUL bytes, as after a power cut", vec![0; 4096]),
        (
            "a DEL in quotes",
            text("version: 1\nagents:\n  - {name: a, runtime: dogfood, env: {A: \"x\x7f\"}}\n"),
        ),
        ("an alias bomb", text(&bomb)),
        ("deep nesting", text(&format!("version: 1\nagents: {}", "[".repeat(200_000)))),
        ("deep nesting by indentation", text(&format!("version: 1\nagents:\n {}x\n", "- ".repeat(100_000)))),
        ("tabs", text("version: 1\nagents:\n\t- name: a\n")),
        ("a BOM, and a mistake", text("\u{feff}version: 1\nagent: []\n")),
        ("CRLF, and a mistake", text("version: 1\r\nagents:\r\n  - name: a\r\n    state: up\r\n")),
        ("two documents", text("---\nversion: 1\n---\nversion: 1\n")),
        ("an anchor in a circle", text("version: 1\ndefaults: &d\n  limits: *d\n")),
        ("an unknown alias", text("version: 1\ndefaults: *d\n")),
        ("a merge of nothing", text("version: 1\ndefaults:\n  <<: 5\n")),
        ("a mistake behind a merge", text("version: 1\ndefaults: &d\n  nice: 5\ndefault:\n  <<: *d\n")),
        ("a tag", text("version: 1\ntenant_id: !vault usc\n")),
        ("half a key", text("version: 1\nagen")),
        ("half a key of an agent", text("version: 1\nagents:\n  - name: a\n    runt")),
        ("half a value", text("version: 1\nagents:\n  - name: a\n    limits: {memory_max: 2G, nof")),
        ("half a quote", text("version: 1\nagents:\n  - name: a\n    command: \"sleep")),
        ("a key whose value is missing", text("version:")),
        ("another file altogether", text("#!/bin/sh\nexec true\n")),
        ("JSON", text("{\"version\": 1, \"agents\": [{\"name\": \"a\", \"runtime\": \"x\"}]}")),
    ]
}

#[test]
fn a_file_that_is_no_roster_is_told_within_bounds_and_changes_nothing() {
    let home = Home::new();
    let mut told = String::new();
    for (what, content) in no_rosters() {
        home.put(ROSTER, &content);
        let before = home.tree();
        let (code, said) = home.fleet(&["plan"]);
        assert_eq!(code, 3, "{what}\n{said}");
        for verb in [&["apply"][..], &["start"], &["ps"], &["render", "--out", "out"]] {
            let (code, again) = home.fleet(verb);
            assert_eq!((code, &again), (3, &said), "{what}: {verb:?}");
        }
        assert_eq!(home.tree(), before, "{what}");
        writeln!(told, "## {what}\n\n{said}").expect("text");
    }
    insta::assert_snapshot!(told);
}

/// What every verb that needs a roster does without one that can be read.
const VERBS: &[&[&str]] = &[
    &["plan"],
    &["apply"],
    &["apply", "--force"],
    &["apply", "--files-only"],
    &["start"],
    &["stop"],
    &["restart"],
    &["status"],
    &["ps"],
    &["ps", "--json"],
    &["verify"],
    &["agent", "roster", "--json"],
    &["render", "--out", "out"],
];

#[test]
fn what_is_no_file_is_refused_at_once_by_every_verb() {
    /// Puts something at a path.
    type Make = fn(&Path);
    let made: [(&str, Make); 6] = [
        ("a folder", |path| fs::create_dir(path).expect("made")),
        ("FIFO", |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR).expect("made")),
        ("in a circle", |path| symlink("roster.yaml", path).expect("linked")),
        ("there is no roster", |path| symlink("/nowhere/roster.yaml", path).expect("linked")),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).expect("bound"))),
        ("too large", |path| symlink("/dev/zero", path).expect("linked")),
    ];
    for (why, make) in made {
        let home = Home::new();
        make(&home.at(ROSTER));
        let before = home.tree();
        for verb in VERBS {
            let (code, said) = home.fleet(verb);
            assert!(code == 3 && said.contains(why), "{verb:?}: exit {code}, no {why:?} in {said}");
        }
        // A profile never takes the place of what somebody left there.
        let (code, said) = home.fleet(&["init", "--profile", "minimal", "--write"]);
        assert!(code == 1 && said.contains("nothing was changed"), "{why}: exit {code}: {said}");
        assert_eq!(home.tree(), before, "{why}");
    }
}

#[test]
fn init_leaves_a_broken_roster_alone() {
    let home = Home::with(b"version: 1\nagents:\n  - na");
    let before = home.tree();
    for verb in
        [&["init", "--profile", "usc", "--write"][..], &["init", "--profile", "usc", "--write", "--start"]]
    {
        let (code, said) = home.fleet(verb);
        assert!(code == 1 && said.contains("holds a different roster: nothing was changed"), "{said}");
    }
    assert_eq!(home.tree(), before);
}

#[test]
fn a_roster_that_may_not_be_read_is_the_machines_refusal() {
    let home = Home::with(b"version: 1\n");
    // Root reads everything; a file that nobody can read any more stands for it.
    let as_root = nix::unistd::geteuid().is_root();
    fs::set_permissions(home.at(ROSTER), fs::Permissions::from_mode(0o0)).expect("set");
    let (code, said) = if as_root {
        fs::remove_file(home.at(ROSTER)).expect("removed");
        symlink("/proc/self/mem", home.at(ROSTER)).expect("linked");
        home.fleet(&["plan"])
    } else {
        home.fleet(&["plan"])
    };
    assert!(code == 4 && said.contains("read the roster ~/.config"), "exit {code}: {said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn a_pipe_that_a_shell_makes_is_a_roster_too() {
    let home = Home::new();
    let output = Command::new("bash")
        .args([
            "-c",
            "\"$0\" plan --roster <(printf 'version: 1\\nagent: []\\n')",
            env!("CARGO_BIN_EXE_fleet"),
        ])
        .env_clear()
        .env("HOME", home.0.path())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .expect("bash runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(3) && said.contains(":2:1: unknown key \"agent\""), "{said}");
}

#[test]
fn no_value_of_a_variable_is_shown_however_it_was_written() {
    let home = Home::new();
    for env in [
        "env: hunter2",
        "env: [TOKEN=hunter2]",
        "env: {TOKEN=hunter2}",
        "env:\n    TOKEN: !hunter2 x",
        "env:\n    TOKEN: *hunter2",
        "env:\n    TOKEN: &hunter2",
        "env:\n    TOKEN: @hunter2",
        "env:\n    TOKEN: %hunter2",
        "env:\n    TOKEN: hunter2: x",
        "env:\n    TOKEN: \"hunter2",
        "env:\n    TOKEN: \"x\"hunter2",
        "env:\n    TOKEN: \"\\hunter2\"",
        "env:\n    TOKEN: \"hunter2\\0\"",
        "env:\n    TOKEN: [hunter2]",
        "env:\n    TOKEN: {hunter2: hunter2}",
        "env:\n    TOKEN=hunter2: x",
        "env:\n    TOKEN: !!int hunter2",
        "env:\n    TOKEN: !!binary hunter2",
        "env:\n    <<: hunter2",
        "env:\n    TOKEN: hunter2\n    TOKEN: hunter2",
        "env:\n    TOKEN: hunter2\n   X: hunter2",
        "env:\n    MOSAIC_HOME: hunter2",
        "env:\n    UID: hunter2",
        "envs:\n    TOKEN: hunter2",
        "limits:\n    TOKEN: hunter2",
        "TOKEN: hunter2",
    ] {
        for text in [
            format!("version: 1\ndefaults:\n  {env}\n"),
            format!("version: 1\nruntimes:\n pi:\n  {env}\n"),
            format!("version: 1\nagents:\n- name: a\n  {env}\n"),
        ] {
            home.put("roster.yaml", text.as_bytes());
            let (code, said) = home.fleet(&["plan", "-vv", "--roster", "roster.yaml"]);
            assert!(code == 3 && !said.contains("hunter2"), "exit {code}\n{text}\n{said}");
        }
    }
}
