use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, poll};

use super::*;

fn sh(script: &str) -> Command {
    Command::new("sh").arg("-c").arg(script)
}

#[test]
fn both_streams_and_the_status_come_back() {
    let output = sh("echo out; echo err >&2; exit 3").run().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
}

#[test]
fn a_failure_shows_the_command_as_typed_and_the_end_of_stderr() {
    let script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3";
    let error = sh(script).succeed().expect_err("exit 3 is no success");
    let typed = format!("run sh -c '{script}': exit status: 3: line 3\nline 4\nline 5\nline 6\nline 7");
    assert_eq!(error.to_string(), typed);
}

#[test]
fn a_program_that_does_not_end_is_killed_with_what_it_started() {
    let started = Instant::now();
    let error = sh("echo began >&2; sleep 600 & echo $! >&2; wait")
        .within(Duration::from_secs(2))
        .run()
        .expect_err("it never ends");
    assert!(started.elapsed() < Duration::from_secs(60));
    let CommandError::Late { stderr, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("no end within 2 s, killed: began"), "{error}");
    let said = String::from_utf8_lossy(stderr);
    let grandchild = said.lines().last().and_then(|l| l.parse().ok()).expect("its pid");
    let grandchild = rustix::process::Pid::from_raw(grandchild).expect("a pid");
    if let Ok(gone) = pidfd_open(grandchild, PidfdFlags::empty()) {
        let mut fds = [PollFd::new(gone.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, 30_000_u16), Ok(1), "the grandchild lives on");
    }
}

#[test]
fn one_that_says_nothing_is_not_waited_for_as_long_as_one_that_has_begun_to() {
    let silent = sh("sleep 600").speaks_within(Duration::from_millis(300));
    let error = silent.within(Duration::from_secs(600)).run().expect_err("it never speaks");
    assert!(error.to_string().contains("no end within 0.3 s"), "{error}");
    let begun = sh("echo begun; sleep 1; echo done").speaks_within(Duration::from_millis(900));
    assert_eq!(begun.run().expect("it may work on").stdout, b"begun\ndone\n");
}

#[test]
fn a_grandchild_that_keeps_the_pipes_open_does_not_hold_us_up() {
    let started = Instant::now();
    let output = sh("sleep 60 & echo $!").run().expect("the shell itself ends");
    assert!(started.elapsed() < Duration::from_secs(30));
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse().expect("the sleeper's pid");
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).expect("end the sleeper");
}

#[test]
fn input_and_output_larger_than_a_pipe_pass_through() {
    let big: Vec<u8> = (0..1_000_000_u32).map(|i| b'a' + u8::try_from(i % 26).unwrap_or(0)).collect();
    let output = Command::new("cat").input(big.clone()).succeed().expect("cat copies");
    assert!(output.stdout == big);
}

#[test]
fn a_program_that_does_not_read_its_input_still_answers() {
    let output = sh("exec <&-; echo ok").input(vec![b'x'; 1_000_000]).run().expect("it ends");
    assert_eq!(output.stdout, b"ok\n");
}

#[test]
fn a_missing_program_and_a_missing_folder_are_told_apart() {
    let missing = Command::new("no-such-program-here").run().expect_err("there is none");
    assert!(matches!(missing, CommandError::Missing { .. }), "{missing}");
    let error = Error::from(missing);
    assert_eq!(error.hints, ["install no-such-program-here, or set PATH"]);
    let folder = sh("true").in_folder("/no/such/folder").run().expect_err("there is none");
    assert!(matches!(folder, CommandError::Refused { .. }), "{folder}");
}

#[test]
fn only_the_variables_set_reach_a_bare_program() {
    let text = Command::new("/usr/bin/env").bare_env().env("A", "b c").text().expect("env prints");
    assert_eq!(text, "A=b c\n");
}

#[test]
fn odd_words_are_quoted_as_a_shell_reads_them() {
    let typed = Command::new("tmux").args(["-L", "mosaic-factory", "=a b", "it's", ""]).typed();
    assert_eq!(typed, r"tmux -L mosaic-factory '=a b' 'it'\''s' ''");
}

#[test]
fn a_program_that_says_too_much_is_ended() {
    let run = sh("exec yes").at_most(100_000).within(Duration::from_secs(30)).run();
    assert!(matches!(run, Err(CommandError::TooMuch { most: 100_000, .. })), "{run:?}");
}

#[test]
fn a_grandchild_that_never_stops_writing_neither_holds_us_up_nor_fills_our_memory() {
    // It ends by itself, once nobody reads it any more.
    let begun = Instant::now();
    let output = sh("yes & yes >&2 & sleep 0.1; exit 3").within(Duration::from_secs(30)).run();
    let output = output.expect("the shell itself ends");
    assert_eq!(output.status.code(), Some(3));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let run = sh("yes & sleep 0.1").at_most(10).within(Duration::from_secs(30)).run();
    assert!(matches!(run, Err(CommandError::TooMuch { most: 10, .. })), "{run:?}");
}

#[test]
fn a_program_reads_nothing_before_it_was_placed() {
    let output = sh("cat").input("x").run_placed(|pid| {
        let running = std::path::Path::new(&format!("/proc/{pid}")).exists();
        assert!(running, "it waits for its input");
        Ok(())
    });
    assert_eq!(output.expect("it ends").stdout, b"x");
    let refused = sh("cat").input("x").run_placed(|_| Err(io::Error::other("no place")));
    assert!(refused.expect_err("refused").to_string().ends_with("no place"));
}
