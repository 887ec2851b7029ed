//! The tmux client against a real server on a private socket.

use std::path::Path;
use std::time::{Duration, Instant};

use mosaic_fleet::host::tmux::{Founding, NewSession, Server, SocketFolder, Target, TmuxError};
use mosaic_fleet::snapshot::{Pane, Tmux};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A server of this test's own, gone with it.
struct Private {
    folder: tempfile::TempDir,
    server: Server,
}

impl Private {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::new("tmux", "test").below(SocketFolder::At(folder.path().to_owned()));
        Self { folder, server }
    }

    fn start(&self, name: &str, command: &str) -> String {
        let config = self.folder.path().join("tmux.conf");
        std::fs::write(&config, "set -s exit-empty off\nset -g remain-on-exit on\n").expect("write it");
        let argv = ["sh".into(), "-c".into(), command.into()];
        let session = NewSession {
            name,
            folder: self.folder.path(),
            argv: &argv,
            size: Some((200, 50)),
            founding: Founding::With(config),
        };
        self.server.new_session(&session).expect("a session").pane
    }

    fn pane(&self, id: &str) -> Pane {
        self.server.pane(id).expect("tmux answers").expect("the pane is there")
    }

    /// Waits for a pane to be as wanted, at most ten seconds.
    fn pane_when(&self, id: &str, wanted: fn(&Pane) -> bool) -> Pane {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let pane = self.pane(id);
            if wanted(&pane) || Instant::now() > deadline {
                return pane;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.server.pid().expect("its pid"))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if let Ok(pid) = self.server.pid() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn one_look_shows_every_pane_with_how_it_ended() {
    let private = Private::new();
    private.start("coder", "exec sleep 600");
    let three = private.start("coder0", "exit 3");
    let killed = private.start("odd name=x|y", "kill -9 $$");
    for ended in [&three, &killed] {
        let pid = private.pane_when(ended, |p| p.dead).pid;
        private.server.ended_pane(ended, pid).expect("tmux answers");
    }
    let Tmux::Running { pid, panes, .. } = private.server.look().expect("it answers") else {
        panic!("a server runs");
    };
    assert_eq!(pid, private.pid().as_raw());
    let ends: Vec<_> =
        panes.iter().map(|p| (p.session.as_str(), p.dead, p.dead_status, p.dead_signal)).collect();
    assert_eq!(
        ends,
        [
            ("coder", false, None, None),
            ("coder0", true, Some(3), None),
            ("odd name=x|y", true, None, Some(9))
        ]
    );
    let live = panes.first().expect("three panes");
    // What runs is asked of the pane alone: of hundreds, the server would look each up in /proc.
    assert_eq!(live.command, "");
    assert_eq!(private.server.panes("coder").expect("an answer")[0].command, "sleep");
    assert!(live.activity > 1_600_000_000.0 && live.attached == 0 && live.pid > 0);
}

#[test]
fn how_a_pane_ended_is_told_though_tmux_missed_the_moment() {
    let private = Private::new();
    for round in 0..20 {
        let id = private.start(&format!("round{round}"), "kill -9 $$");
        let pid = private.pane_when(&id, |p| p.dead).pid;
        let pane = private.server.ended_pane(&id, pid).expect("tmux answers").expect("the pane is there");
        assert_eq!((pane.dead, pane.dead_signal), (true, Some(9)));
        assert_eq!(private.server.ended_pane(&id, pid + 1).expect("tmux answers"), None, "another's");
    }
}

#[test]
fn a_name_that_is_a_prefix_of_another_never_hits_it() {
    let private = Private::new();
    private.start("coder0", "exec sleep 600");
    let server = &private.server;
    assert!(!server.has_session("coder").expect("an answer"));
    assert!(!server.kill_session("coder").expect("an answer"));
    assert_eq!(server.panes("coder").expect("an answer"), []);
    assert!(server.capture(Target::Session("coder"), 5).is_err());
    assert!(server.has_session("coder0").expect("an answer"));
    assert_eq!(server.panes("coder0").expect("an answer").len(), 1);
    assert!(server.kill_session("coder0").expect("an answer"));
    assert!(!server.has_session("coder0").expect("an answer"));
}

#[test]
fn a_program_cannot_forge_a_line_of_the_listing() {
    let private = Private::new();
    let script = private.folder.path().join("liar");
    std::fs::write(&script, "exec -a $'x\\np:%9:1:0:::1:coder:x' sleep 600\n").expect("write it");
    let liar = private.start("liar", &format!("exec bash {}", script.display()));
    let shown = private.pane_when(&liar, |p| p.command.starts_with('x'));
    assert_eq!(shown.command, "x?p:%9:1:0:::1:coder:x");
    let Tmux::Running { panes, .. } = private.server.look().expect("it answers") else {
        panic!("a server runs");
    };
    assert!(panes.iter().all(|p| p.session != "coder"), "{panes:?}");
}

#[test]
fn the_last_lines_of_a_pane_come_as_text() {
    let private = Private::new();
    let pane = private.start("coder", "seq 1 100; exit 0");
    private.pane_when(&pane, |p| p.dead);
    let tail = private.server.capture(Target::Pane(&pane), 3).expect("a capture");
    assert!(tail.starts_with("98\n99\n100\n") || tail.contains("100\n"), "{tail}");
    assert_eq!(tail.lines().count(), 3, "{tail}");
}

#[test]
fn what_a_person_opened_in_front_of_an_agent_is_not_the_agent() {
    let private = Private::new();
    let agents = private.start("coder", "echo the agent; exec cat");
    for beside in ["split-window", "new-window"] {
        let socket = private.folder.path();
        let mut tmux = std::process::Command::new("tmux");
        tmux.env_remove("TMUX").env("TMUX_TMPDIR", socket).args(["-L", "test", beside, "-t", "=coder:"]);
        assert!(tmux.arg("echo a shell; exec cat").status().expect("tmux runs").success(), "{beside}");
        let session = Target::Session("coder");
        private.pane_when(&agents, |pane| pane.command == "cat");
        assert_eq!(private.server.capture(session, 5).expect("a screen").trim(), "the agent", "{beside}");
        let seen = private.server.glimpse("coder").expect("tmux answers").expect("it is there");
        assert_eq!(seen.pane, agents, "{beside}");
        let stage = private.server.stage("coder").expect("tmux answers").expect("it is there");
        assert_eq!(stage.pane, agents, "{beside}");
    }
    assert_eq!(private.server.own_pane("code").expect("tmux answers"), None);
}

#[test]
fn a_pane_that_is_gone_is_none_with_its_server_or_without() {
    let private = Private::new();
    let pane = private.start("coder", "exec sleep 600");
    assert!(private.server.pane("%77").expect("an answer").is_none());
    kill(private.pid(), Signal::SIGKILL).expect("kill the server");
    let deadline = Instant::now() + Duration::from_secs(10);
    while private.server.pid().is_ok() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(private.server.pane(&pane).expect("an answer").is_none());
}

#[test]
fn a_server_whose_last_session_ended_is_still_running() {
    let private = Private::new();
    private.start("coder", "exec sleep 600");
    private.server.kill_session("coder").expect("an answer");
    match private.server.look().expect("it answers") {
        Tmux::Running { panes, .. } => assert_eq!(panes, []),
        Tmux::Absent => panic!("it runs"),
    }
}

#[test]
fn absent_and_hung_are_told_apart_and_neither_takes_long() {
    let private = Private::new();
    assert_eq!(private.server.look().expect("an answer"), Tmux::Absent);
    private.start("coder", "exec sleep 600");
    let pid = private.pid();
    kill(pid, Signal::SIGSTOP).expect("stop the server");
    let asked = Instant::now();
    let hung = private.server.clone().within(Duration::from_millis(200)).look();
    assert!(matches!(hung, Err(TmuxError::Hung { .. })), "{hung:?}");
    assert!(asked.elapsed() < Duration::from_secs(2));
    kill(pid, Signal::SIGCONT).expect("let it go on");
    assert!(matches!(private.server.look().expect("an answer"), Tmux::Running { .. }));
}

#[test]
fn a_folder_that_is_not_there_never_leads_to_another_server() {
    let gone = Server::new("tmux", "test").below(SocketFolder::At(Path::new("/no/such/folder").into()));
    assert_eq!(gone.look().expect("an answer"), Tmux::Absent);
    assert!(matches!(gone.pid(), Err(TmuxError::NoServer { .. })));
}

#[test]
fn without_permission_to_found_a_server_none_is_founded() {
    let private = Private::new();
    let session = NewSession {
        name: "coder",
        folder: Path::new("/"),
        argv: &["sleep".into(), "600".into()],
        size: None,
        founding: Founding::Forbidden,
    };
    let refused = private.server.new_session(&session);
    assert!(matches!(refused, Err(TmuxError::NoServer { .. })), "{refused:?}");
    assert_eq!(private.server.look().expect("an answer"), Tmux::Absent);
}

#[test]
fn what_a_stopped_server_may_still_type_keeps_the_senders_lock() {
    let private = Private::new();
    private.start("coder", "exec cat");
    let server = private.server.clone().within(Duration::from_millis(300));
    let seen = server.glimpse("coder").expect("it answers").expect("a pane");
    let path = private.folder.path().join("send.lock");
    let lock = std::sync::Arc::new(std::fs::File::create(&path).expect("a lock"));
    lock.lock().expect("locked");
    server.load("b", "hello").expect("loaded");
    let pid = private.pid();
    kill(pid, Signal::SIGSTOP).expect("stopped");
    let pasted = server.paste("b", &seen, &lock);
    assert!(matches!(pasted, Err(TmuxError::Hung { .. })), "{pasted:?}");
    drop(lock);
    let again = std::fs::File::open(&path).expect("the lock");
    assert!(again.try_lock().is_err(), "its call lies with the server");
    kill(pid, Signal::SIGCONT).expect("goes on");
    let until = Instant::now() + Duration::from_secs(10);
    while again.try_lock().is_err() {
        assert!(Instant::now() < until, "the lock is never free");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_paste_goes_nowhere_once_the_cursor_has_moved() {
    use mosaic_fleet::host::tmux::typing::Pasted;
    let private = Private::new();
    let pane = private.start("coder", "exec cat");
    let seen = private.server.glimpse("coder").expect("it answers").expect("a pane");
    assert_eq!((seen.pane.as_str(), seen.typists.len()), (pane.as_str(), 0));
    let lock = std::sync::Arc::new(std::fs::File::create(private.folder.path().join("l")).expect("a lock"));
    private.server.load("b1", "typed").expect("loaded");
    assert_eq!(private.server.paste("b1", &seen, &lock).expect("answered"), Pasted::Yes);
    let until = Instant::now() + Duration::from_secs(10);
    while private.server.glimpse("coder").expect("it answers").expect("a pane").column == seen.column {
        assert!(Instant::now() < until, "cat's terminal never showed it");
        std::thread::sleep(Duration::from_millis(5));
    }
    private.server.load("b2", "more").expect("loaded");
    assert_eq!(private.server.paste("b2", &seen, &lock).expect("answered"), Pasted::Moved);
    let screen = private.server.capture(Target::Session("coder"), 10).expect("a screen");
    assert_eq!(screen, "typed\n");
    private.server.forget("b2").expect("it is gone already");
    assert!(private.server.glimpse("code").expect("it answers").is_none());
}
