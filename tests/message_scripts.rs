//! `send-message.sh` and `agent-send.sh` as people's scripts call them: on real tmux servers of
//! their own, and through a real sshd on loopback to a host that has bash, tmux and base64 alone.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mosaic_fleet::runfile::ack::{self, digest};
use tempfile::TempDir;

const SOCKET: &str = "scripts";

/// The rendered scripts, a home and a folder of sockets.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a folder") };
        for folder in ["home", "sockets", "tree"] {
            fs::create_dir(place.path(folder)).expect("a folder");
        }
        let rendered = Command::new(env!("CARGO_BIN_EXE_fleet"))
            .args(["render", "--profile", "minimal", "--out"])
            .arg(place.path("tree"))
            .arg("--home")
            .arg(place.path("home"))
            .output()
            .expect("it runs");
        assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str) -> PathBuf {
        self.path("tree/.config/mosaic/tools/tmux").join(name)
    }

    /// A call in the place's own environment.
    fn call(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", self.path("home"));
        command.env("TMUX_TMPDIR", self.path("sockets")).env("PATH", "/usr/bin:/bin");
        command.env("LANG", "C.UTF-8");
        command
    }

    fn tmux(&self, args: &[&str]) -> String {
        let args = [&["-L", SOCKET, "-f", "/dev/null"], args].concat();
        let output = self.call(Path::new("tmux"), &args).output().expect("tmux runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn screen(&self, session: &str) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &format!("={session}:")])
    }

    /// A session in which dogfood runs as the agent of that name, with its first prompt drawn.
    fn agent(&self, name: &str, args: &str) {
        let program = assert_cmd::cargo::cargo_bin("mosaic");
        let line = format!(
            "MOSAIC_AGENT_NAME={name} MOSAIC_TENANT_ID=t MOSAIC_HOST=h1 exec '{}' yolo dogfood {args}",
            program.display()
        );
        self.tmux(&["new-session", "-d", "-x", "120", "-y", "40", "-s", name, &line]);
        until("a prompt", || self.screen(name).lines().any(|l| l.trim_end() == ">"));
    }

    /// A session that shows what it is sent, as a terminal does.
    fn shows(&self, name: &str) {
        self.tmux(&["new-session", "-d", "-x", "120", "-y", "40", "-s", name, "exec cat"]);
    }

    /// What the agent's runtime took, by digest.
    fn took(&self, name: &str) -> Vec<String> {
        let file = self.path("home/.config/mosaic/fleet/run").join(format!("{name}.ack"));
        let acks = ack::parse(&fs::read(file).unwrap_or_default());
        acks.into_iter().filter_map(|ack| ack.sha256).collect()
    }

    fn send(&self, args: &[&str]) -> Output {
        self.call(&self.script("send-message.sh"), args).stdin(Stdio::null()).output().expect("it runs")
    }

    fn fed(&self, script: &str, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.call(&self.script(script), args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        // One that refuses reads nothing.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    }

    fn agent_send(&self, args: &[&str]) -> Output {
        self.call(&self.script("agent-send.sh"), args).stdin(Stdio::null()).output().expect("it runs")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for socket in [SOCKET, "default", "other"] {
            let _ = self.call(Path::new("tmux"), &["-L", socket, "kill-server"]).output();
        }
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn is(output: &Output, expected: i32, says: &str) {
    assert_eq!(code(output), expected, "{}", stderr(output));
    assert!(stderr(output).contains(says), "{says:?} is not in {:?}", stderr(output));
}

fn host() -> String {
    nix::unistd::gethostname().expect("a name").into_string().expect("text")
}

#[test]
fn every_way_to_give_a_message_delivers_exactly_it() {
    let place = Place::new();
    place.agent("coder0", "");
    let file = place.path("message");
    fs::write(&file, "from\ta file\n\n").expect("written");
    let file = file.to_str().expect("text");
    is(
        &place.send(&["-L", SOCKET, "-t", "coder0", "-m", "gr\u{fc}\u{df}e; $HOME `x` \"q\" \u{1f642}"]),
        0,
        "",
    );
    is(&place.send(&["-L", SOCKET, "-t", "=coder0", "-f", file]), 0, "");
    is(&place.send(&["-L", SOCKET, "-t", "coder0:0.0", "-b", "YmFzZTY0IHNheXMgaGVsbG8K"]), 0, "");
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], b"!one\ntwo\n> three"), 0, "");
    let said = [
        "gr\u{fc}\u{df}e; $HOME `x` \"q\" \u{1f642}",
        "from\ta file\n\n",
        "base64 says hello\n",
        "!one\ntwo\n> three",
    ];
    assert_eq!(place.took("coder0"), said.map(digest));
}

#[test]
fn a_long_message_arrives_whole() {
    let place = Place::new();
    place.agent("coder0", "");
    let text = "0123456789 abcde".repeat(1 << 16);
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], text.as_bytes()), 0, "");
    assert_eq!(place.took("coder0"), [digest(&text)]);
    is(&place.fed("send-message.sh", &["-L", SOCKET, "-t", "coder0"], (text + "!").as_bytes()), 3, "1 MiB");
}

#[test]
fn a_name_is_meant_exactly_and_a_dead_or_missing_target_is_said() {
    let place = Place::new();
    place.shows("coder0");
    for target in ["coder", "=coder", "coder:0.0", "coder:", "coder0:7.0", "coder0:0.7", "%99"] {
        is(&place.send(&["-L", SOCKET, "-t", target, "-m", "x"]), 1, "there is no");
    }
    is(&place.send(&["-L", "nothing-here", "-t", "coder0", "-m", "x"]), 1, "on socket nothing-here");
    place.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
    place.tmux(&["new-session", "-d", "-s", "gone", "exit 3"]);
    until("its end", || place.tmux(&["display-message", "-p", "-t", "=gone:", "#{pane_dead}"]).trim() == "1");
    is(&place.send(&["-L", SOCKET, "-t", "gone", "-m", "x"]), 1, "has ended");
    assert_eq!(place.screen("coder0").trim(), "");
}

#[test]
fn a_draft_that_stays_is_told_after_the_enters_that_were_asked_for() {
    let place = Place::new();
    place.agent("coder0", "--fault draft:2");
    let sent = place.send(&["-L", SOCKET, "-t", "coder0", "-m", "first", "-r", "1", "-v"]);
    is(&sent, 2, "message left as unsubmitted draft in =coder0:");
    assert_eq!(stderr(&sent).matches("Enter, ").count(), 2, "{}", stderr(&sent));
    // What stands there now is a draft that is not this message's: it is not touched.
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "second"]), 2, "somebody's draft");
    assert!(place.screen("coder0").trim_end().ends_with("> first"), "{}", place.screen("coder0"));
    assert!(place.took("coder0").is_empty());
}

#[test]
fn a_persons_draft_is_seen_where_the_terminal_wraps_it_and_wherever_the_cursor_is() {
    let place = Place::new();
    let line = "exec bash --norc -c 'while read -e -p \"> \" line; do echo \"got:$line\"; done'";
    place.tmux(&["new-session", "-d", "-x", "60", "-y", "20", "-s", "wraps", line]);
    until("a prompt", || place.screen("wraps").contains('>'));
    let draft = "a person's own words ".repeat(6);
    place.tmux(&["send-keys", "-t", "=wraps:", "-l", &draft]);
    let joined = || place.tmux(&["capture-pane", "-p", "-J", "-t", "=wraps:"]);
    until("the draft", || joined().matches("person's own").count() == 6);
    let before = place.screen("wraps");
    is(&place.send(&["-L", SOCKET, "-t", "wraps", "-m", "x"]), 2, "somebody's draft");
    place.tmux(&["send-keys", "-t", "=wraps:", "Home"]);
    is(&place.send(&["-L", SOCKET, "-t", "wraps", "-m", "x"]), 2, "somebody's draft");
    assert_eq!(place.screen("wraps"), before);
}

#[test]
fn many_senders_at_once_are_not_merged_and_one_that_is_gone_holds_nobody_up() {
    let place = Place::new();
    place.agent("coder0", "");
    let gone = Command::new("true").spawn().and_then(|mut c| c.wait().map(|_| c.id())).expect("it ran");
    place.tmux(&["set-option", "-p", "-t", "=coder0:", "@mosaic-sender", &gone.to_string()]);
    std::thread::scope(|scope| {
        for n in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let text = format!("message {n} of six");
                is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", &text, "-r", "08"]), 0, "");
            });
        }
    });
    let mut took = place.took("coder0");
    took.sort();
    let mut sent: Vec<String> = (0..6).map(|n| digest(&format!("message {n} of six"))).collect();
    sent.sort();
    assert_eq!(took, sent);
}

#[test]
fn a_message_that_could_not_be_pasted_does_not_stay_in_the_server() {
    let place = Place::new();
    place.agent("coder", "");
    fs::create_dir(place.path("bin")).expect("a folder");
    let refuses =
        "#!/bin/sh\ncase \" $* \" in *' paste-buffer '*) exit 1 ;; esac\nexec /usr/bin/tmux \"$@\"\n";
    fs::write(place.path("bin/tmux"), refuses).expect("written");
    fs::set_permissions(place.path("bin/tmux"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let args = ["-L", SOCKET, "-t", "coder", "-m", "for one reader"];
    let mut send = place.call(&place.script("send-message.sh"), &args);
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    is(&send.env("PATH", path).output().expect("it runs"), 1, "tmux did not take the message");
    assert_eq!(place.tmux(&["list-buffers"]), "");
}

#[test]
fn an_enter_that_was_lost_is_pressed_again() {
    let place = Place::new();
    place.agent("coder0", "--fault draft:2");
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "taken at the third"]), 0, "");
    assert_eq!(place.took("coder0"), [digest("taken at the third")]);
}

#[test]
fn what_shows_nothing_is_not_said_to_be_delivered() {
    let place = Place::new();
    place.tmux(&["new-session", "-d", "-s", "blind", "stty -echo; printf ready; exec sleep 1000"]);
    until("its start", || place.screen("blind").contains("ready"));
    is(&place.send(&["-L", SOCKET, "-t", "blind", "-m", "x"]), 2, "could not verify delivery");
}

#[test]
fn a_view_into_the_past_is_left_before_a_key_is_sent() {
    let place = Place::new();
    place.agent("coder0", "");
    place.tmux(&["copy-mode", "-t", "=coder0:"]);
    is(&place.send(&["-L", SOCKET, "-t", "coder0", "-m", "x"]), 0, "");
    assert_eq!(place.took("coder0"), [digest("x")]);
}

#[test]
fn wrong_usage_is_said_and_nothing_is_typed() {
    let place = Place::new();
    place.shows("coder0");
    let at: [&str; 4] = ["-L", SOCKET, "-t", "coder0"];
    for (args, says) in [
        (&["-x"][..], "there is no -x"),
        (&["-m"], "-m wants a value"),
        (&["-m", "a", "-f", "b"], "only one of"),
        (&["-f", "/nowhere"], "no file that can be read"),
        (&["-b", "%%%"], "not base64"),
        (&["-m", ""], "empty"),
        (&["-m", " \n"], "empty"),
        (&["-m", "a", "-r", "100"], "-r wants a number"),
        (&["-m", "\u{9b}2J"], "control characters"),
        (&["-m", "a\u{1b}[201~\rb"], "control characters"),
        (&["-m", "a", "-r", "many"], "-r wants a number"),
        (&["-m", "a", "stray"], "stray"),
    ] {
        let sent = place.send(&[&at, args].concat());
        is(&sent, 3, says);
        assert!(stderr(&sent).contains("usage: send-message.sh"), "{}", stderr(&sent));
    }
    is(&place.send(&["-L", SOCKET, "-m", "x"]), 3, "no target");
    for target in [":", ":0.0", "=:"] {
        is(&place.send(&["-L", SOCKET, "-t", target, "-m", "x"]), 3, "names no session");
    }
    is(&place.fed("send-message.sh", &at, b"a\0b"), 3, "NUL");
    for no_text in [
        &b"\xff"[..],
        b"a\xc3",
        b"\xc3\xa9\xa9",
        b"\xe2\x82 ",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
    ] {
        is(&place.fed("send-message.sh", &at, no_text), 3, "not UTF-8");
    }
    for (args, says) in [
        (&["-m", "x"][..], "no session"),
        (&["-s", "coder0", "-m", "a", "-f", "b"], "only one of"),
        (&["-s", "coder0", "-m", "a", "-r", "x"], "-r wants a number"),
        (&["-s", "coder0", "-m", "a", "-H", "-oProxyCommand=x"], "-H wants"),
        (&["-s", "coder0", "-m", "a", "-S", "x] y"], "can't stand before a message"),
        (&["-s", "coder0", "-f", "/nowhere"], "/nowhere"),
        (&["-s", "coder0", "-f", ""], "no file that can be read"),
        (&["-s", "coder0", "-q"], "there is no -q"),
    ] {
        is(&place.agent_send(&[&["-L", SOCKET], args].concat()), 3, says);
    }
    for script in ["send-message.sh", "agent-send.sh"] {
        let helped = place.call(&place.script(script), &["-h"]).output().expect("it runs");
        assert_eq!(code(&helped), 0);
        assert!(String::from_utf8_lossy(&helped.stdout).starts_with(&format!("usage: {script}")));
    }
    assert_eq!(place.screen("coder0").trim(), "");
}

#[test]
fn an_agent_is_told_from_whom_and_to_whom() {
    let place = Place::new();
    place.agent("coder0", "");
    is(
        &place.agent_send(&["-L", SOCKET, "-s", "coder0", "-S", "there:mos", "-n", "here", "-m", "-x\ny"]),
        0,
        "",
    );
    is(&place.fed("agent-send.sh", &["-L", SOCKET, "-s", "coder0", "-S", "cron"], b"from stdin\n"), 0, "");
    let said =
        ["[there:mos -> here:coder0] -x\ny".to_owned(), format!("[cron -> {}:coder0] from stdin\n", host())];
    assert_eq!(place.took("coder0"), said.map(|text| digest(&text)));
    // From inside tmux: its session, whichever server that is of.
    let done = place.path("done");
    let line = format!(
        "'{}' -L {SOCKET} -s coder0 -m hello; echo $? >'{}'; exec sleep 1000",
        place.script("agent-send.sh").display(),
        done.display()
    );
    let from = ["-L", "other", "-f", "/dev/null", "new-session", "-d", "-s", "mos", &line];
    assert!(place.call(Path::new("tmux"), &from).status().expect("tmux runs").success());
    until("its end", || fs::read_to_string(&done).is_ok_and(|code| code.ends_with('\n')));
    assert_eq!(fs::read_to_string(&done).expect("a code"), "0\n");
    assert_eq!(place.took("coder0").last(), Some(&digest(&format!("[{0}:mos -> {0}:coder0] hello", host()))));
    is(&place.agent_send(&["-L", SOCKET, "-s", "coder", "-m", "x"]), 1, "there is no =coder:");
}

#[test]
fn the_socket_of_the_fleet_is_the_default_and_the_default_server_never_sees_a_byte() {
    let place = Place::new();
    let other = ["-L", "default", "-f", "/dev/null", "new-session", "-d", "-s", "coder0", "exec cat"];
    assert!(place.call(Path::new("tmux"), &other).status().expect("tmux runs").success());
    is(&place.send(&["-t", "coder0", "-m", "leak"]), 1, "on socket mosaic-factory");
    is(&place.agent_send(&["-s", "coder0", "-m", "leak"]), 1, "on socket mosaic-factory");
    let mut inside = place.call(&place.script("send-message.sh"), &["-t", "coder0", "-m", "leak"]);
    inside.env(
        "TMUX",
        format!("{}/tmux-{}/default,1,0", place.path("sockets").display(), nix::unistd::getuid()),
    );
    is(&inside.env("TMUX_PANE", "%0").output().expect("it runs"), 1, "on socket mosaic-factory");
    let mut named = place.call(&place.script("send-message.sh"), &["-t", "coder0", "-m", "leak"]);
    is(&named.env("MOSAIC_TMUX_SOCKET", "elsewhere").output().expect("it runs"), 1, "on socket elsewhere");
    let seen = place.call(Path::new("tmux"), &["-L", "default", "capture-pane", "-p", "-t", "=coder0:"]);
    let seen = { seen }.output().expect("tmux runs").stdout;
    assert_eq!(String::from_utf8_lossy(&seen).trim(), "");
}

/// A real sshd on loopback for the caller, in front of a `PATH` of three programs.
struct Sshd {
    child: Child,
    made: Option<PathBuf>,
}

impl Sshd {
    /// Starts it; `ssh` of the place's `bin` reaches it as `far`.
    fn start(place: &Place) -> Self {
        let folder = |name: &str| {
            let path = place.path(name);
            fs::create_dir(&path).expect("a folder");
            path
        };
        let (bin, far, keys) = (folder("bin"), folder("far"), folder("keys"));
        for program in ["bash", "tmux", "base64"] {
            symlink(Path::new("/usr/bin").join(program), far.join(program)).expect("a link");
        }
        for key in ["host", "user"] {
            let args = ["-q", "-t", "ed25519", "-N", "", "-f"];
            let made = Command::new("ssh-keygen").args(args).arg(keys.join(key)).status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        fs::copy(keys.join("user.pub"), keys.join("authorized")).expect("a copy");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n\
             SetEnv PATH={far} TMUX_TMPDIR={sockets}\n",
            keys = keys.display(),
            far = far.display(),
            sockets = place.path("sockets").display()
        );
        fs::write(place.path("sshd_config"), config).expect("written");
        let client = format!(
            "Host far\nHostName 127.0.0.1\nPort {port}\nIdentityFile {keys}/user\nIdentitiesOnly yes\n\
             UserKnownHostsFile {keys}/known\nStrictHostKeyChecking accept-new\nLogLevel ERROR\n",
            keys = keys.display()
        );
        fs::write(place.path("ssh_config"), client).expect("written");
        let ssh =
            format!("#!/bin/sh\nexec /usr/bin/ssh -F '{}' \"$@\"\n", place.path("ssh_config").display());
        fs::write(bin.join("ssh"), ssh).expect("written");
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).expect("a mode");
        // A service of the system makes it where one runs.
        let needed = PathBuf::from("/run/sshd");
        let made = (nix::unistd::getuid().is_root() && fs::create_dir(&needed).is_ok()).then_some(needed);
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(place.path("sshd_config"))
            .stderr(fs::File::create(place.path("sshd.log")).expect("a log"))
            .spawn()
            .expect("sshd runs");
        let sshd = Self { child, made };
        until("sshd", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sshd
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(made) = &self.made {
            let _ = fs::remove_dir(made);
        }
    }
}

/// Says where there is no sshd; where nothing may be skipped, that is a failure.
fn sshd_is_here() -> bool {
    let here = Path::new("/usr/sbin/sshd").exists();
    if !here {
        assert!(std::env::var_os("MOSAIC_REQUIRE_RIG").is_none(), "there is no sshd");
        let _ = writeln!(std::io::stderr(), "skipped: there is no sshd");
    }
    here
}

#[test]
fn a_host_that_has_nothing_of_ours_is_reached_over_ssh() {
    if !sshd_is_here() {
        return;
    }
    let place = Place::new();
    place.agent("coder0", "");
    let _sshd = Sshd::start(&place);
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).expect("asked").expect("a user").name;
    let there = format!("{user}@far");
    let over = |args: &[&str], input: &[u8]| {
        let args = [&["-L", SOCKET, "-H", &there, "-S", "h:mos"], args].concat();
        let mut command = place.call(&place.script("agent-send.sh"), &args);
        command.env("PATH", &path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        child.wait_with_output().expect("it ends")
    };
    let hostile = "it's \"here\"; $(touch /tmp/x) `id`\n\tEND\nEND\n";
    let long = "over ssh too\n".repeat(30_000);
    is(&over(&["-s", "coder0", "-m", hostile], b""), 0, "");
    is(&over(&["-s", "coder0", "-n", "named"], long.as_bytes()), 0, "");
    let said = [format!("[h:mos -> {}:coder0] {hostile}", host()), format!("[h:mos -> named:coder0] {long}")];
    assert_eq!(place.took("coder0"), said.map(|text| digest(&text)));
    let steps = over(&["-s", "coder0", "-m", "x", "-v"], b"");
    is(&steps, 0, "it left the composer");
    is(&over(&["-s", "coder", "-m", "x"], b""), 1, "there is no =coder:");
    is(&over(&["-s", "coder0", "-m", "a\u{7}b"], b""), 3, "control character");
    // A draft there is told by the same code as here.
    place.tmux(&["send-keys", "-t", "=coder0:", "-l", "a person's"]);
    until("a draft", || place.screen("coder0").contains("> a person's"));
    is(&over(&["-s", "coder0", "-m", "x"], b""), 2, "somebody's draft");

    fs::write(place.path("keys/authorized"), "").expect("written");
    is(&over(&["-s", "coder0", "-m", "x"], b""), 1, "can't be reached over ssh");
}
