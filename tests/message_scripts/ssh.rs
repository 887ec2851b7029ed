//! A host that has bash, tmux and base64 alone, through a real sshd on loopback.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mosaic_fleet::runfile::ack::digest;

use crate::place::{Place, SOCKET, host, is, stderr, until};

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
        crate::program::write(&bin.join("ssh"), &ssh);
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

#[test]
fn a_connection_that_is_lost_after_the_message_was_typed_is_not_called_unreachable() {
    let place = Place::new();
    place.agent("coder0", "");
    let over = |ssh: &str, session: &str, text: &str| {
        crate::program::write(&place.path("bin/ssh"), &format!("#!/bin/sh\n{ssh}\n"));
        let args = ["-L", SOCKET, "-s", session, "-H", "u@far", "-S", "h:mos", "-n", "far", "-m", text];
        let mut command = place.call(&place.script("agent-send.sh"), &args);
        command.env("PATH", format!("{}:/usr/bin:/bin", place.path("bin").display()));
        command.stdin(Stdio::null()).output().expect("it runs")
    };
    let lost = over("bash -s; exit 255", "coder0", "once");
    is(&lost, 2, "whether it was taken is not known");
    assert!(!stderr(&lost).contains("can't be reached"), "{}", stderr(&lost));
    // Before that, nothing was typed: it may be sent again.
    is(&over("bash -s; exit 255", "nobody", "x"), 1, "can't be reached over ssh");
    is(&over("exit 255", "coder0", "x"), 1, "can't be reached over ssh");
    let fine = over("exec bash -s", "coder0", "twice");
    is(&fine, 0, "");
    assert_eq!(stderr(&fine), "", "what the script says to us alone is not shown");
    let said = ["once", "twice"].map(|text| digest(&format!("[h:mos -> far:coder0] {text}")));
    assert_eq!(place.took("coder0"), said);
}
