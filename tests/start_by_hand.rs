//! `start-agent-session.sh` by hand: without a roster, a user manager or any file beside it.

#[path = "common/program.rs"]
mod program;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use tempfile::TempDir;

/// A home of its own, tmux sockets of its own, and nothing of the caller's environment.
struct Hand {
    dir: TempDir,
}

impl Hand {
    fn new() -> Self {
        let hand = Self { dir: tempfile::tempdir().expect("a folder") };
        for folder in ["home", "bin", "sockets"] {
            fs::create_dir(hand.path(folder)).expect("a folder");
        }
        hand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// A program in `folder` of the home.
    fn program(&self, file: &Path, script: &str) {
        program::write(file, &format!("#!/bin/sh\n{script}\n"));
    }

    /// A tmux that notes how it was called and answers `has-session` with `has`, others with `new`.
    fn fake_tmux(&self, has: i32, new: i32) {
        let log = self.path("calls");
        let script = format!(
            "for a in \"$@\"; do printf '%s\\n' \"$a\" >> '{0}'; done; printf -- '--\\n' >> '{0}'\n\
             case \" $* \" in *' has-session '*) exit {has};; *' new-session '*) exit {new};; esac",
            log.display()
        );
        self.program(&self.path("bin/tmux"), &script);
    }

    /// The calls of the fake tmux, each as its arguments.
    fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let calls = text.split("--\n").filter(|c| !c.is_empty());
        // A `--` among the arguments ends a line as well as a call; put such calls together again.
        let mut whole: Vec<Vec<String>> = Vec::new();
        for call in calls {
            let args: Vec<String> = call.lines().map(str::to_owned).collect();
            match whole.last_mut() {
                Some(last) if args.first().is_some_and(|a| !a.starts_with('-')) => last.extend(args),
                _ => whole.push(args),
            }
        }
        whole
    }

    fn start(&self, args: &[&str], vars: &[(&str, &str)]) -> Output {
        let vars: Vec<(&str, &OsStr)> = vars.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        self.start_with(args, &vars)
    }

    fn start_with(&self, args: &[&str], vars: &[(&str, &OsStr)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
        command.args(["session", "start"]).args(args).env_clear().current_dir(self.home());
        command.env("HOME", self.home()).env("TMUX_TMPDIR", self.path("sockets"));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.envs(vars.iter().copied());
        command.output().expect("it runs")
    }

    fn tmux(&self, socket: &str, args: &[&str]) -> String {
        let output = std::process::Command::new("tmux")
            .args(["-L", socket])
            .args(args)
            .env("TMUX_TMPDIR", self.path("sockets"))
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let sockets = self.path(&format!("sockets/tmux-{}", nix::unistd::geteuid()));
        for socket in fs::read_dir(sockets).into_iter().flatten().flatten() {
            self.tmux(&socket.file_name().to_string_lossy(), &["kill-server"]);
        }
    }
}

/// Waits for a file that a pane writes.
fn eventually(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ if Instant::now() > until => panic!("{} was not written", path.display()),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_asks_for_the_session_and_makes_it_once_with_the_pane_command_verbatim() {
    let hand = Hand::new();
    hand.fake_tmux(1, 0);
    let workdir = hand.home().join("src");
    let vars = [
        ("MOSAIC_AGENT_COMMAND", "mosaic yolo pi --model openai-codex/gpt-5.5:high"),
        ("MOSAIC_AGENT_WORKDIR", workdir.to_str().expect("text")),
    ];
    assert!(hand.start(&["coder0"], &vars).status.success());
    let calls = hand.calls();
    assert_eq!(calls[0], ["-L", "mosaic-factory", "has-session", "-t", "=coder0"]);
    let new = &calls[1];
    assert!(new.windows(3).any(|w| w == ["-L", "mosaic-factory", "new-session"]), "{new:?}");
    assert!(new.windows(2).any(|w| w == ["-s", "coder0"]), "{new:?}");
    assert!(new.windows(2).any(|w| w[0] == "-c" && w[1] == workdir.display().to_string()), "{new:?}");
    assert_eq!(new.last().map(String::as_str), Some("exec mosaic yolo pi --model openai-codex/gpt-5.5:high"));
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(workdir.is_dir(), "the working directory is made");
}

#[test]
fn the_prefix_holds_the_folders_that_are_there_in_their_order_and_each_once() {
    let hand = Hand::new();
    hand.fake_tmux(1, 0);
    let (global, local, bin) = (".npm-global/bin", ".local/bin", "runtime bin");
    for folder in [global, local, bin] {
        fs::create_dir_all(hand.home().join(folder)).expect("a folder");
    }
    let at = |folder: &str| hand.home().join(folder).display().to_string();
    // Already on the launcher's own PATH: baked in all the same.
    let path = format!("{}:{}:/usr/bin:/bin", hand.path("bin").display(), at(local));
    let vars = [("MOSAIC_RUNTIME_BIN", &*at(bin)), ("PATH", &*path), ("MOSAIC_AGENT_RUNTIME", "claude")];
    assert!(hand.start(&["coder0"], &vars).status.success());
    let wanted =
        format!("export PATH=\"{}:{}:{}:$PATH\"; exec mosaic yolo claude", at(bin), at(global), at(local));
    assert_eq!(hand.calls()[1].last(), Some(&wanted));
}

#[test]
fn npms_global_prefix_comes_second_as_it_was_kept_and_npm_is_not_asked_at_a_start() {
    let hand = Hand::new();
    hand.fake_tmux(1, 0);
    hand.program(&hand.path("bin/npm"), &format!("touch '{}'", hand.path("asked").display()));
    let (npm, bin) = (hand.home().join("npm"), hand.home().join("bin"));
    for folder in [npm.join("bin"), bin.clone(), hand.home().join(".config/mosaic/fleet/run")] {
        fs::create_dir_all(folder).expect("a folder");
    }
    let kept = hand.home().join(".config/mosaic/fleet/run/npm-prefix");
    fs::write(kept, format!("{}\n", npm.display())).expect("a file");
    assert!(hand.start(&["coder0"], &[("MOSAIC_RUNTIME_BIN", bin.to_str().expect("text"))]).status.success());
    let wanted =
        format!("export PATH=\"{}:{}/bin:$PATH\"; exec mosaic yolo pi", bin.display(), npm.display());
    assert_eq!(hand.calls()[1].last(), Some(&wanted));
    assert!(!hand.path("asked").exists());
}

#[test]
fn a_session_that_runs_is_left_and_said_and_replaced_only_when_asked() {
    let hand = Hand::new();
    hand.fake_tmux(0, 0);
    let output = hand.start(&["coder0"], &[("MOSAIC_TMUX_SOCKET", "other")]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "Mosaic agent session already running: coder0 on socket other\n");
    assert!(!hand.calls().iter().flatten().any(|a| a == "new-session"));

    assert!(hand.start(&["--replace", "coder0"], &[]).status.success());
    let verbs: Vec<String> = hand.calls().into_iter().flatten().filter(|a| a.ends_with("-session")).collect();
    assert_eq!(verbs.last().map(String::as_str), Some("new-session"));
    assert!(verbs.contains(&"kill-session".to_owned()));
}

#[test]
fn a_session_that_runs_is_not_ended_for_one_that_can_not_be_started() {
    let hand = Hand::new();
    hand.fake_tmux(0, 7);
    let launch = hand.home().join(".config/mosaic/fleet/run/coder0.launch");
    let vars = [("MOSAIC_AGENT_WORKDIR", "/proc/none/work")];
    let output = hand.start(&["--replace", "coder0"], &vars);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert!(!hand.calls().iter().flatten().any(|a| a == "kill-session"), "{:?}", hand.calls());

    let output = hand.start(&["--replace", "coder0"], &[("MOSAIC_AGENT_COMMAND", "one")]);
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert!(!launch.exists(), "what was meant for a pane that never was is not left for another");
}

#[test]
fn a_variable_that_is_no_text_is_named_where_it_matters_and_passed_by_where_it_does_not() {
    let hand = Hand::new();
    hand.fake_tmux(1, 0);
    let odd = OsStr::from_bytes(b"secret\xff");
    let output = hand.start_with(&["coder0"], &[("SOMEBODY_ELSES", odd)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = hand.start_with(&["coder0"], &[("MOSAIC_AGENT_COMMAND", odd)]);
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("MOSAIC_AGENT_COMMAND") && !said.contains("secret"), "{said}");
}

#[test]
fn a_server_that_hangs_is_not_waited_for_for_ever() {
    let hand = Hand::new();
    hand.program(&hand.path("bin/tmux"), "exec sleep 600");
    let begun = Instant::now();
    let output = hand.start(&["coder0"], &[]);
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    assert!(stderr(&output).contains("no end within 10 s"), "{}", stderr(&output));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn its_exit_codes_are_the_documented_ones() {
    let hand = Hand::new();
    hand.fake_tmux(1, 7);
    let nobody = hand.start(&[], &[]);
    assert_eq!(nobody.status.code(), Some(64), "{}", stderr(&nobody));
    assert_eq!(hand.start(&["coder0"], &[]).status.code(), Some(7), "new-session's own exit status");
    assert_eq!(hand.start(&[], &[("MOSAIC_AGENT_NAME", "coder0")]).status.code(), Some(7));
    assert_eq!(hand.start(&["bad name"], &[]).status.code(), Some(64));
    let without = hand.start(&["coder0"], &[("PATH", "/nonexistent")]);
    assert_eq!(without.status.code(), Some(69), "{}", stderr(&without));
    assert!(stderr(&without).contains("install"), "{}", stderr(&without));
}

#[test]
fn a_real_pane_runs_the_command_itself_with_its_variables_in_its_folder() {
    let hand = Hand::new();
    let seen = hand.path("seen");
    let script = format!(
        "tr '\\0' '\\n' < /proc/$$/environ > '{0}.tmp'; {{ echo \"args=$*\"; echo \"pid=$$\"; pwd; }} >> '{0}.tmp'; \
         mv '{0}.tmp' '{0}'; exec sleep 600",
        seen.display()
    );
    hand.program(&hand.home().join(".local/bin/standin"), &script);
    let workdir = hand.home().join("work #{x} dir");
    let vars = [
        ("MOSAIC_TMUX_SOCKET", "by-hand"),
        ("MOSAIC_AGENT_WORKDIR", workdir.to_str().expect("text")),
        ("MOSAIC_AGENT_COMMAND", "standin --model a/b:high 'two words' \"$MOSAIC_AGENT_NAME\""),
        ("SECRET_OF_THE_CALLER", "must not travel"),
    ];
    let output = hand.start(&["coder0"], &vars);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = eventually(&seen);
    let has = |line: &str| text.lines().any(|l| l == line);
    assert!(has("args=--model a/b:high two words coder0"), "{text}");
    assert!(has("MOSAIC_AGENT_NAME=coder0"), "{text}");
    assert!(has("MOSAIC_TMUX_SOCKET=by-hand"), "{text}");
    assert!(has(&format!("MOSAIC_HOME={}", hand.home().join(".config/mosaic").display())), "{text}");
    assert!(has(&workdir.display().to_string()), "{text}");
    let pid = hand.tmux("by-hand", &["list-panes", "-t", "=coder0:", "-F", "#{pane_pid}"]);
    assert!(has(&format!("pid={}", pid.trim())), "the runtime is the pane's process: {pid} in {text}");

    let again = hand.start(&["coder0"], &vars);
    assert!(again.status.success());
    assert!(
        String::from_utf8_lossy(&again.stdout).starts_with("Mosaic agent session already running: coder0")
    );
    let other = hand.start(&["coder"], &vars);
    assert!(other.status.success(), "coder is not coder0: {}", stderr(&other));
    assert!(!String::from_utf8_lossy(&other.stdout).contains("already running"));
    let left = fs::read_dir(hand.home().join(".config/mosaic/fleet/run")).expect("a folder");
    let launches = left.flatten().filter(|f| f.file_name().to_string_lossy().contains(".launch")).count();
    assert!(launches <= 1, "what is left for a pane is gone once it has been read");
}

#[test]
fn an_agents_files_are_read_the_local_one_wins_and_neither_can_rename_the_agent() {
    let hand = Hand::new();
    hand.fake_tmux(1, 0);
    let agents = hand.home().join(".config/mosaic/fleet/agents");
    fs::create_dir_all(&agents).expect("a folder");
    fs::write(agents.join("coder0.env"), "MOSAIC_TMUX_SOCKET=\"ours\"\nMOSAIC_AGENT_COMMAND=\"one\"\n")
        .expect("a file");
    let local = "MOSAIC_TMUX_SOCKET=\"theirs\"\nMOSAIC_AGENT_NAME=\"coder1\"\nMOSAIC_AGENT_COMMAND=\"two\"\n";
    fs::write(agents.join("coder0.local.env"), local).expect("a file");
    assert!(hand.start(&["coder0"], &[]).status.success());
    let new = &hand.calls()[1];
    assert_eq!(new.last().map(String::as_str), Some("exec two"));
    assert!(new.windows(2).any(|w| w == ["-L", "ours"]), "{new:?}");
    assert!(new.windows(2).any(|w| w == ["-s", "coder0"]), "{new:?}");
    // A variable that is set already wins over both; a blank one says nothing.
    assert!(hand.start(&["coder0"], &[("MOSAIC_AGENT_COMMAND", " ")]).status.success());
    assert_eq!(hand.calls()[3].last().map(String::as_str), Some("exec mosaic yolo pi"));
    let odd =
        hand.start(&["coder0"], &[("MOSAIC_AGENT_RUNTIME", "pi; reboot"), ("MOSAIC_AGENT_COMMAND", "")]);
    assert_eq!(odd.status.code(), Some(78), "{}", stderr(&odd));
    assert!(hand.start(&["coder0"], &[("MOSAIC_AGENT_COMMAND", "three")]).status.success());
    assert_eq!(hand.calls()[5].last().map(String::as_str), Some("exec three"));
}
