//! A booted Debian system for tests, made by `tests/rig/rig`: real systemd, logind, user managers and reboots.
//! A test that uses one starts with `if Rig::skipped() { return; }`.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rig/rig");
/// What no single command in a rig may take longer than.
const COMMAND: Duration = Duration::from_secs(120);
/// A first boot may build the tree, or wait for another test that does.
const BOOT: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12: systemd 252, tmux 3.3a.
    Bookworm,
    /// Debian 13: systemd 257, tmux 3.5a that asks systemd for scopes.
    Trixie,
}

impl Suite {
    pub fn both() -> [Suite; 2] {
        [Suite::Bookworm, Suite::Trixie]
    }

    /// Runs a test on both, at the same time: each mostly waits.
    pub fn each(test: impl Fn(Suite) + Sync) {
        thread::scope(|scope| {
            let test = &test;
            let [other, own] = Suite::both();
            scope.spawn(move || test(other));
            test(own);
        });
    }

    fn name(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
        }
    }
}

/// What a test needs of its rig's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The host's: up in a second. No limits of control groups, no clock, no disk of its own.
    Shared,
    /// One of its own, emulated: all controllers, a clock, and a disk whose power can be cut in the middle of a write.
    Own,
}

impl Kernel {
    fn name(self) -> &'static str {
        match self {
            Kernel::Shared => "shared",
            Kernel::Own => "own",
        }
    }

    /// More rigs at once than this, over all test binaries, only make each other slow. In a container a test mostly waits.
    fn at_once(self) -> usize {
        match self {
            Kernel::Shared => 4,
            Kernel::Own => 3,
        }
    }
}

/// Where the programs are as they are shipped. Builds them; whoever does so already is waited for.
pub fn released() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let build = ["build", "--release", "--locked", "--quiet"];
        let built = Command::new(env!("CARGO")).args(build).current_dir(root).status();
        assert!(built.expect("cargo runs").success());
        root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).join("release")
    })
}

/// Taken down when dropped; if that is because the test failed, the end of its journal is shown.
pub struct Rig {
    name: String,
    _slot: File,
}

impl Rig {
    /// `Err` says why this machine can't boot rigs, or that the caller asked for none (`MOSAIC_RIG=no`).
    pub fn available() -> Result<(), String> {
        Rig::available_with(Kernel::Shared)
    }

    fn available_with(kernel: Kernel) -> Result<(), String> {
        if env::var_os("MOSAIC_RIG").is_some_and(|wanted| wanted == "no") {
            return Err("MOSAIC_RIG=no".to_owned());
        }
        let check = Run::of(&mut script(COMMAND, ["check", kernel.name()]), b"");
        if check.code == 0 { Ok(()) } else { Err(check.stdout.trim().to_owned()) }
    }

    /// Whether the calling test has to be left out. With `MOSAIC_REQUIRE_RIG=1` that is a failure.
    pub fn skipped() -> bool {
        Rig::skipped_with(Kernel::Shared)
    }

    pub fn skipped_with(kernel: Kernel) -> bool {
        static TOLD: Once = Once::new();
        let Err(reason) = Rig::available_with(kernel) else { return false };
        assert!(env::var_os("MOSAIC_REQUIRE_RIG").is_none_or(|value| value != "1"), "rig required: {reason}");
        // Past the test harness, which keeps to itself what a passing test prints.
        TOLD.call_once(|| drop(writeln!(io::stderr(), "skipped, as they need to boot Debian: {reason}")));
        true
    }

    /// A running system of its own with the programs under test in `/usr/bin`.
    pub fn boot(suite: Suite) -> Rig {
        Rig::boot_seeing(suite, &[])
    }

    /// A running system with the kernel that the test needs.
    pub fn boot_with(kernel: Kernel, suite: Suite) -> Rig {
        let slot = slots(kernel, 1).pop().expect("a slot");
        Rig::boot_in(slot, kernel, suite, &[])
    }

    /// A running system that sees these folders of the host below `/srv`, and can't write to them.
    pub fn boot_seeing(suite: Suite, folders: &[&Path]) -> Rig {
        let slot = slots(Kernel::Shared, 1).pop().expect("a slot");
        Rig::boot_in(slot, Kernel::Shared, suite, folders)
    }

    /// For a test that needs several at once: two tests that each boot one more could wait for each other.
    pub fn boot_all<const N: usize>(suites: [Suite; N]) -> [Rig; N] {
        let mut slots = slots(Kernel::Shared, N).into_iter();
        suites.map(|suite| Rig::boot_in(slots.next().expect("a slot for each"), Kernel::Shared, suite, &[]))
    }

    fn boot_in(slot: File, kernel: Kernel, suite: Suite, folders: &[&Path]) -> Rig {
        static BOOTED: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}-{}", process::id(), BOOTED.fetch_add(1, Ordering::Relaxed));
        let mut boot = script(BOOT, ["boot", "--tree", suite.name(), "--kernel", kernel.name()]);
        for folder in folders {
            boot.arg("--see").arg(folder);
        }
        Run::of(boot.arg(&name), b"").ok();
        let rig = Rig { name, _slot: slot };
        match kernel {
            Kernel::Shared => {
                let fleet = Path::new(env!("CARGO_BIN_EXE_fleet"));
                rig.install(fleet.parent().expect("a program is in a folder"));
            }
            // On an emulated processor, twenty times slower, a debug build takes most of the time.
            Kernel::Own => rig.install(released()),
        }
        rig
    }

    /// Other programs in the place of those under test.
    pub fn install(&self, programs: &Path) {
        Run::of(self.verb("install").arg(programs), b"").ok();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the rig's `/` can be read from outside; also while it is off.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(Run::of(&mut self.verb("path"), b"").ok().trim_end())
    }

    pub fn root(&self, argv: &[&str]) -> Run {
        Run::of(self.verb("root").args(argv), b"")
    }

    /// Standard output of a command that must succeed.
    pub fn root_ok(&self, argv: &[&str]) -> String {
        self.root(argv).ok()
    }

    /// As `sudo -u` does: no login session, no `XDG_RUNTIME_DIR`.
    pub fn as_user(&self, user: &str, argv: &[&str]) -> Run {
        self.as_user_with(user, argv, b"")
    }

    pub fn as_user_with(&self, user: &str, argv: &[&str], stdin: &[u8]) -> Run {
        Run::of(self.verb("as").arg(user).args(argv), stdin)
    }

    /// For a test that watches a command run, or kills it: killing the child kills the command inside.
    pub fn as_user_command(&self, user: &str, argv: &[&str]) -> Command {
        let mut command = bare(["as", &self.name, user]);
        command.args(argv);
        command
    }

    /// In a login session, as sshd or a console gives one.
    pub fn login(&self, user: &str, argv: &[&str]) -> Run {
        Run::of(self.verb("login").arg(user).args(argv), b"")
    }

    /// The same for a test that goes on meanwhile.
    pub fn login_command(&self, user: &str, argv: &[&str]) -> Command {
        let mut command = bare(["login", &self.name, user]);
        command.args(argv).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Adds a user with a home; returns its uid.
    pub fn add_user(&self, user: &str) -> u32 {
        Run::of(self.verb("user").arg(user), b"").ok();
        self.root_ok(&["id", "-u", user]).trim().parse().expect("a uid")
    }

    /// Adds a user whose manager runs from now on and after each boot.
    pub fn add_lingering_user(&self, user: &str) -> u32 {
        let uid = self.add_user(user);
        self.root_ok(&["loginctl", "enable-linger", user]);
        self.wait_until("the user manager runs", Duration::from_secs(30), || self.manager_runs(uid));
        uid
    }

    pub fn manager_runs(&self, uid: u32) -> bool {
        self.root(&["systemctl", "is-active", &format!("user@{uid}.service")]).code == 0
    }

    /// Writes a file as `owner`, folders on the way to it included.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>, owner: &str) {
        let write = r#"mkdir -p "$(dirname "$1")" && cat >"$1""#;
        self.as_user_with(owner, &["sh", "-c", write, "sh", path], content.as_ref()).ok();
    }

    /// Puts the calling program itself to that path: a bench goes on inside.
    pub fn take_program(&self, path: &str) {
        let own = env::current_exe().and_then(fs::read).expect("this program");
        self.write(path, own, "root");
        self.root_ok(&["chmod", "755", path]);
    }

    pub fn read(&self, path: &str) -> String {
        self.root_ok(&["cat", path])
    }

    pub fn boot_id(&self) -> String {
        self.read("/proc/sys/kernel/random/boot_id")
    }

    /// Shuts down in order and comes back.
    pub fn reboot(&self) {
        Run::of(&mut script(BOOT, ["reboot", &self.name]), b"").ok();
    }

    /// The power goes. What was written stays; `start` boots from it.
    pub fn kill_power(&self) {
        Run::of(&mut self.verb("kill"), b"").ok();
    }

    pub fn start(&self) {
        Run::of(&mut script(BOOT, ["start", &self.name]), b"").ok();
    }

    /// Of an emulated rig that is off: what it writes from its next start on is kept, see `writes.rs`.
    pub fn record(&self) {
        Run::of(&mut self.verb("record"), b"").ok();
    }

    /// A file of the rig's own folder on the host: `disk`; `disk.before` and `writes` of one that is recorded.
    pub fn file(&self, name: &str) -> PathBuf {
        target().join("rigs/run").join(&self.name).join(name)
    }

    pub fn wait_until(&self, what: &str, bound: Duration, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + bound;
        while !done() {
            assert!(Instant::now() < deadline, "not within {bound:?}: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn verb(&self, verb: &str) -> Command {
        script(COMMAND, [verb, &self.name])
    }
}

impl Drop for Rig {
    #[allow(clippy::print_stderr, reason = "a failed test's own words")]
    fn drop(&mut self) {
        if thread::panicking() {
            let journal = self.root(&["journalctl", "--quiet", "--no-pager", "--lines=60"]);
            eprintln!("journal of {}:\n{}{}", self.name, journal.stdout, journal.stderr);
            let processes = self.root(&["ps", "-eo", "pid,stat,wchan:24,etimes,args"]);
            eprintln!("processes of {}:\n{}{}", self.name, processes.stdout, processes.stderr);
        }
        let down = Run::of(&mut self.verb("down"), b"");
        assert!(down.code == 0 || thread::panicking(), "{}", down.report());
    }
}

/// What a command did, as its caller sees it.
#[derive(Debug)]
pub struct Run {
    pub command: String,
    /// As a shell counts: 128 and the signal's number for a command that a signal ended.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(command: &mut Command, stdin: &[u8]) -> Run {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the rig script starts");
        let mut pipe = child.stdin.take().expect("its input is a pipe");
        let stdin = stdin.to_owned();
        // A command that does not read its input is no failure.
        let feed = thread::spawn(move || drop(pipe.write_all(&stdin)));
        let Output { status, stdout, stderr } = child.wait_with_output().expect("the rig script ends");
        feed.join().expect("feeding a command does not panic");
        Run {
            command: format!("{command:?}"),
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Standard output; fails the test, with everything that was said, unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        self.exits(0).stdout
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert!(self.code == code, "expected exit {code}\n{}", self.report());
        self
    }

    pub fn report(&self) -> String {
        let Run { command, code, stdout, stderr } = self;
        format!("exit {code}: {command}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Places for rigs that run at the same time; each is given back when its file is closed.
fn slots(kernel: Kernel, wanted: usize) -> Vec<File> {
    let folder = target().join("rigs");
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = |name: &str| File::create(folder.join(name)).expect("a lock can be made");
    // One test at a time picks its places, so that no two hold some and wait for the other's.
    let turn = lock("slots.lock");
    turn.lock().expect("a lock can be taken");
    let mut free: Vec<File> = (0..kernel.at_once()).map(|slot| lock(&format!("slot{slot}.lock"))).collect();
    let mut taken = Vec::new();
    let deadline = Instant::now() + BOOT;
    while taken.len() < wanted {
        match free.iter().position(|slot| slot.try_lock().is_ok()) {
            Some(slot) => taken.push(free.remove(slot)),
            None => thread::sleep(Duration::from_millis(50)),
        }
        assert!(Instant::now() < deadline, "no rig became free within {BOOT:?}");
    }
    taken
}

/// Cargo's target folder.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is inside the target folder")
}

fn bare<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new(SCRIPT);
    command.args(arguments);
    tell(&mut command);
    command
}

fn script<const N: usize>(bound: Duration, arguments: [&str; N]) -> Command {
    let mut command = Command::new("timeout");
    // Not through its first line, which starts a program to look for bash.
    command.arg("--kill-after=20").arg(bound.as_secs().to_string()).args(["bash", SCRIPT]).args(arguments);
    tell(&mut command);
    command
}

/// The script can't know of Cargo's configuration, nor that it is called through `timeout`.
fn tell(command: &mut Command) {
    command.env("CARGO_TARGET_DIR", target()).env("RIG_OWNER", process::id().to_string());
}
