//! The rendered configuration in a real tmux server, with people on terminals of several sizes.

#[path = "common/pty.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod pty;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::HostName;
use mosaic_fleet::render::{Role, Site, render};
use mosaic_fleet::roster;
use pty::{Pty, until};

/// A server of its own with the rendered configuration.
struct Server {
    folder: tempfile::TempDir,
    conf: PathBuf,
}

impl Server {
    /// A server with one session, `coder0`; `None` where there is no tmux.
    #[allow(clippy::print_stderr, reason = "a test's own words")]
    fn start(variables: &[(&str, &str)]) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        let roster = roster::read("version: 1\n", Path::new("roster.yaml"), "u").expect("a good roster");
        let site = Site {
            layout: Layout::new("/home/u", None),
            host: HostName::parse("h1").expect("a good name"),
            program: PathBuf::from("/usr/bin/fleet"),
            tmux: PathBuf::from("/usr/bin/tmux"),
        };
        let files = render(&roster, &site).expect("a tree").files;
        let conf = files.into_iter().find(|f| f.role == Role::TmuxConf).expect("the configuration");
        // A socket's path is short.
        let folder = tempfile::Builder::new().prefix("t").tempdir_in("/tmp").expect("a temporary folder");
        let server = Self { conf: folder.path().join("tmux.conf"), folder };
        fs::write(&server.conf, conf.content).expect("write");
        let mut first = server.command();
        first.envs(variables.iter().copied());
        let started = first.args(["new-session", "-d", "-s", "coder0", "exec sleep 1000"]).status();
        assert!(started.is_ok_and(|s| s.success()), "the server starts, and stands, with this configuration");
        Some(server)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", self.folder.path());
        command.env("TMUX_TMPDIR", self.folder.path()).stdin(Stdio::null());
        command.args(["-L", "own", "-f"]).arg(&self.conf);
        command
    }

    /// What a command prints; it must succeed and not complain.
    fn ask(&self, args: &[&str]) -> String {
        let out = self.command().args(args).output().expect("tmux runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{args:?}: {said}");
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    fn format(&self, format: &str) -> String {
        self.ask(&["display-message", "-p", "-t", "=coder0:", format])
    }

    /// A person on a terminal of that size who attaches with these flags.
    fn person(&self, rows: u16, columns: u16, flags: &str) -> Pty {
        let attach = format!("stty rows {rows} cols {columns} && exec tmux -L own attach {flags} -t =coder0");
        let before = self.clients().len();
        let folder = self.folder.path().to_str().expect("text");
        let person = Pty::start(
            Path::new("/bin/sh"),
            &["-c", &attach],
            &[("TMUX_TMPDIR", folder), ("LANG", "C.UTF-8")],
        );
        until("the person has attached", || self.clients().len() > before);
        person
    }

    fn clients(&self) -> Vec<String> {
        let listed = self.ask(&["list-clients", "-F", "#{client_width}x#{client_height}"]);
        listed.lines().map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").status();
    }
}

#[test]
fn tmux_knows_every_option_of_the_configuration() {
    let Some(server) = Server::start(&[]) else { return };
    let conf = server.conf.to_str().expect("text");
    assert_eq!(server.ask(&["source-file", conf]), "");
    fs::write(server.folder.path().join("wrong.conf"), "set -g no-such-option on\n").expect("write");
    let wrong =
        server.command().args(["source-file", "wrong.conf"]).current_dir(server.folder.path()).output();
    assert!(!wrong.expect("tmux runs").status.success(), "a wrong option would be told");
}

#[test]
fn an_agents_window_keeps_its_size_whoever_looks_from_whatever_terminal() {
    let Some(server) = Server::start(&[]) else { return };
    let size = || server.format("#{window_width}x#{window_height}");
    assert_eq!(size(), "200x50");
    for (rows, columns, flags) in
        [(24, 80, ""), (24, 80, "-r"), (90, 300, ""), (24, 80, "-f read-only,ignore-size")]
    {
        let person = server.person(rows, columns, flags);
        assert_eq!(server.clients(), [format!("{columns}x{rows}")]);
        assert_eq!(size(), "200x50", "while a person looks: {columns}x{rows} {flags}");
        drop(person);
        until("the person has gone", || server.clients().is_empty());
        assert_eq!(size(), "200x50", "after a person has looked: {columns}x{rows} {flags}");
    }
}

#[test]
fn another_session_starts_while_one_stands() {
    let Some(server) = Server::start(&[]) else { return };
    server.ask(&["new-session", "-d", "-s", "coder1", "-e", "X=1", "exec sleep 1000"]);
    assert_eq!(
        server.ask(&["list-sessions", "-F", "#{session_name} #{window_width}"]),
        "coder0 200\ncoder1 200"
    );
}

#[test]
fn the_status_line_names_the_agent_and_how_to_detach() {
    let Some(server) = Server::start(&[]) else { return };
    let mut person = server.person(24, 80, "");
    person.sees(" agent coder0 ");
    person.sees(" detach: C-b d ");
    // Keys that come together count as pasted.
    person.keys(b"\x02");
    until("tmux waits for the key", || server.ask(&["list-clients", "-F", "#{client_prefix}"]) == "1");
    person.keys(b"d");
    assert_eq!(person.end(), "exit 0");
    assert_eq!(server.ask(&["list-sessions", "-F", "#{session_name}"]), "coder0");
}

#[test]
fn a_pane_outlives_its_program_so_that_its_end_can_be_asked_for() {
    let Some(server) = Server::start(&[]) else { return };
    server.ask(&["respawn-pane", "-k", "-t", "=coder0:", "exit 3"]);
    until("the program has ended", || server.format("#{pane_dead}") == "1");
    until("its status is known", || server.format("#{pane_dead_status}") == "3");
}

#[test]
fn the_environment_that_the_server_was_started_in_chooses_nothing() {
    let noisy = [("EDITOR", "vi"), ("VISUAL", "vim"), ("SHELL", "/usr/sbin/nologin")];
    let Some(server) = Server::start(&noisy) else { return };
    let option = |flags, name| server.ask(&["show-options", flags, name]);
    assert_eq!(option("-gwv", "mode-keys"), "emacs");
    assert_eq!(option("-gv", "status-keys"), "emacs");
    assert_eq!(option("-gv", "default-shell"), "/bin/sh");
    assert_eq!(option("-gv", "update-environment"), "");
    assert_eq!(option("-gv", "default-command"), "");
}

#[test]
fn a_client_hands_none_of_its_environment_to_a_pane() {
    let Some(server) = Server::start(&[]) else { return };
    let print = "printf '[%s]' \"$SSH_AUTH_SOCK\" \"$DISPLAY\"; exec sleep 1000";
    let mut client = server.command();
    client.env("SSH_AUTH_SOCK", "/mine").env("DISPLAY", ":9");
    assert!(client.args(["new-session", "-d", "-s", "other", print]).status().is_ok_and(|s| s.success()));
    let screen = || server.ask(&["capture-pane", "-p", "-t", "=other:"]);
    until("the pane has printed", || screen().contains("]["));
    assert_eq!(screen().trim(), "[][]");
}
