//! Whether what runs in a pane is the roster's runtime, by the process and its descendants. Pure.
//!
//! The name of a process alone says too little: pi and codex can show as `node`, and Nix runs
//! programs under names of its own. Command lines may hold secrets, so of one that is not
//! recognised only the program's and the script's names are told.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Kind, dogfood};
use crate::names::RuntimeName;
use crate::roster::{Agent, Launch, Roster};
use crate::snapshot::Process;

/// How long a pane may show a shell or our own program before it shows the runtime, in seconds.
const STARTS_WITHIN: f64 = 10.0;
/// How long our own first step may wait for its supervisor at most, in seconds.
const WAITS_WITHIN: f64 = 60.0;
/// The kernel keeps this many bytes of a process's name.
const KEPT_NAME: usize = 15;
const INTERPRETERS: [&str; 6] = ["node", "nodejs", "bun", "deno", "python", "python3"];
/// What a pane shows before its command has become the runtime.
const ON_THE_WAY: [&str; 9] = ["sh", "dash", "bash", "ash", "busybox", "env", "tmux", "mosaic", "fleet"];

/// What the roster says of a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The agent's runtime.
    pub runtime: &'a RuntimeName,
    /// Names under which it shows; empty where nothing is known of that.
    pub process_names: &'a [String],
    /// Who starts it.
    pub started_by: StartedBy,
}

/// Who starts a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedBy {
    /// `mosaic yolo`, which becomes it.
    Yolo,
    /// A shell line of the roster, which may run it as a child.
    Line,
}

/// What a roster says of one of its agents' panes.
pub fn expected<'a>(roster: &'a Roster, agent: &'a Agent) -> Expected<'a> {
    let names = roster.runtime(&agent.runtime).map_or(&[][..], |runtime| &runtime.process_names);
    let started_by = match roster.launch(agent) {
        Launch::Command(_) => StartedBy::Line,
        Launch::Yolo(_) => StartedBy::Yolo,
    };
    Expected { runtime: &agent.runtime, process_names: names, started_by }
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// It is the roster's runtime.
    Match,
    /// It is something else.
    Differs {
        /// What, by its name.
        seen: String,
    },
    /// It cannot be said, or not yet.
    Unknown {
        /// Why, in words for people.
        why: String,
    },
}

/// Judges a pane by the pid of its process and the processes of the same moment; `boottime` is that
/// moment.
pub fn judge(expected: &Expected<'_>, pane: i32, processes: &BTreeMap<i32, Process>, boottime: f64) -> Drift {
    let unknown = |why: &str| Drift::Unknown { why: why.to_owned() };
    if expected.process_names.is_empty() {
        return unknown("the roster names no processes for this runtime");
    }
    let Some(process) = processes.get(&pane) else {
        return unknown("its process could not be looked at");
    };
    let kind = Kind::of(expected.runtime);
    let is_it = |process: &Process| is_alone(expected, process);
    if is_it(process) || may_be_below(kind, expected, process) && below(pane, processes).any(is_it) {
        return Drift::Match;
    }
    let name = plain(&process.comm);
    let on_the_way = ON_THE_WAY.contains(&name) || name.starts_with("tmux");
    let age = boottime - process.started;
    // Our own first step waits to be let in, on a busy machine for as long as it has patience.
    let within = if is_first_step(process) { WAITS_WITHIN } else { STARTS_WITHIN };
    if on_the_way && age < within {
        return unknown("it is being started");
    }
    Drift::Differs { seen: shown(process) }
}

/// Whether a process by itself is the roster's runtime.
pub fn is_alone(expected: &Expected<'_>, process: &Process) -> bool {
    is_runtime(Kind::of(expected.runtime), process, expected.process_names)
}

/// Whether a process is the pane's first step, of this program.
fn is_first_step(process: &Process) -> bool {
    let mut words = process.argv.iter().skip(1).map(String::as_str);
    words.next() == Some("session") && words.next() == Some("pane")
}

/// The codex of the npm registry is a script that runs the real one as its child.
fn may_be_below(kind: Kind, expected: &Expected<'_>, process: &Process) -> bool {
    expected.started_by == StartedBy::Line || kind == Kind::Codex && is_interpreter(process)
}

fn below(pane: i32, processes: &BTreeMap<i32, Process>) -> impl Iterator<Item = &Process> {
    let pids = processes.keys().filter(move |pid| **pid != pane);
    let within = move |pid: &&i32| crate::runfile::heartbeat::within(processes, pane, **pid);
    pids.filter(within).filter_map(|pid| processes.get(pid))
}

fn is_runtime(kind: Kind, process: &Process, names: &[String]) -> bool {
    if kind == Kind::Dogfood {
        return is_dogfood(process, names);
    }
    names.iter().any(|name| goes_by(process, name)) || runs_script_of(process, names)
}

/// This program, told to be the dogfood runtime; once it is, it goes by that name.
fn is_dogfood(process: &Process, names: &[String]) -> bool {
    if goes_by(process, dogfood::COMM) {
        return true;
    }
    let words = || process.argv.iter().map(String::as_str);
    let told = words().skip_while(|word| *word != "yolo").nth(1) == Some("dogfood");
    told && names.iter().any(|name| goes_by(process, name) || words().next().map(file_name) == Some(name))
}

/// Whether a process shows under a name: as the kernel keeps it, and as Nix's wrappers make it.
fn goes_by(process: &Process, name: &str) -> bool {
    let comm = process.comm.as_bytes();
    let wrapped = [b".", name.as_bytes(), b"-wrapped"];
    comm.iter().eq(name.as_bytes().iter().take(KEPT_NAME))
        || comm.iter().eq(wrapped.into_iter().flatten().take(KEPT_NAME))
}

/// Whether an interpreter runs a script of one of these names.
fn runs_script_of(process: &Process, names: &[String]) -> bool {
    is_interpreter(process)
        && script(process).is_some_and(|script| {
            let file = file_name(script);
            let stem = Path::new(file).file_stem().and_then(|s| s.to_str()).unwrap_or(file);
            // What npm installs as `pi` is a link to `pi-coding-agent/dist/cli.js`.
            let in_package = |name: &str| {
                Path::new(script)
                    .components()
                    .any(|part| part.as_os_str() == format!("{name}-coding-agent").as_str())
            };
            names.iter().any(|name| file == name || stem == name || in_package(name))
        })
}

fn is_interpreter(process: &Process) -> bool {
    let first = process.argv.first().map(|word| file_name(word));
    let versioned =
        |name: &str| INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    versioned(plain(&process.comm)) || first.is_some_and(versioned)
}

/// The first word behind an interpreter that is no option of its own; none where that is code, not a script.
fn script(process: &Process) -> Option<&str> {
    let mut words = process.argv.iter().skip(1).map(String::as_str);
    let word = words.find(|word| !word.starts_with('-') || takes_code(word))?;
    (!word.starts_with('-')).then_some(word)
}

/// Whether the word behind this option is code: `-c`, `-e`, `-p`, also at the end of a few (`-Ic`, `-pe`), and
/// what they are in full. Options with a value of their own (`-Wonce`, `-Ximporttime`) are longer.
fn takes_code(option: &str) -> bool {
    match option.strip_prefix("--") {
        Some(long) => matches!(long, "eval" | "print"),
        None => option.len() <= 4 && option.ends_with(['c', 'e', 'p']),
    }
}

/// No name that is told is longer.
const LONGEST_SHOWN: usize = 64;

fn shown(process: &Process) -> String {
    let told = match script(process).filter(|_| is_interpreter(process)) {
        Some(script) => format!("{} {}", process.comm, file_name(script)),
        None => process.comm.clone(),
    };
    // A program chooses its arguments, and a terminal would obey some.
    told.chars().map(|c| if c.is_control() { '?' } else { c }).take(LONGEST_SHOWN).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A name without what a Nix wrapper puts around it.
fn plain(comm: &str) -> &str {
    match comm.strip_prefix('.').and_then(|rest| rest.split_once("-wr")) {
        Some((name, _)) => name,
        None => comm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1000.0;

    struct Pane(BTreeMap<i32, Process>);

    /// A pane's process, started a while ago: its name and its command line.
    fn pane(comm: &str, line: &str) -> Pane {
        Pane(BTreeMap::from([(10, process(1, comm, line))]))
    }

    fn process(parent: i32, comm: &str, line: &str) -> Process {
        Process {
            parent,
            comm: comm.to_owned(),
            argv: line.split(' ').map(str::to_owned).collect(),
            started: 500.0,
            ..Process::default()
        }
    }

    impl Pane {
        fn with(mut self, pid: i32, parent: i32, comm: &str) -> Self {
            self.0.insert(pid, process(parent, comm, comm));
            self
        }

        fn young(mut self) -> Self {
            self.0.values_mut().for_each(|p| p.started = NOW - 1.0);
            self
        }

        fn judged(&self, runtime: &str, names: &[&str], started_by: StartedBy) -> Drift {
            let runtime = RuntimeName::parse(runtime).expect("a good name");
            let process_names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let expected = Expected { runtime: &runtime, process_names: &process_names, started_by };
            judge(&expected, 10, &self.0, NOW)
        }

        fn is(&self, runtime: &str) -> bool {
            let names = if runtime == "dogfood" { vec!["mosaic", "fleet"] } else { vec![runtime] };
            match self.judged(runtime, &names, StartedBy::Yolo) {
                Drift::Match => true,
                Drift::Differs { .. } => false,
                Drift::Unknown { why } => panic!("{runtime}: {why}"),
            }
        }
    }

    fn why(drift: Drift) -> String {
        match drift {
            Drift::Unknown { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_runtime_is_recognised_as_it_shows() {
        for (runtime, comm, line) in [
            ("claude", "claude", "claude --dangerously-skip-permissions"),
            ("codex", "codex", "/x/vendor/bin/codex --no-daemon"),
            ("codex", "node", "node /home/u/.npm-global/bin/codex --no-daemon"),
            ("codex", "node", "/usr/bin/node --max-old-space-size=4096 /x/@openai/codex/bin/codex.js"),
            ("codex", "MainThread", "node /home/u/.npm-global/bin/codex"),
            ("claude", "claude", "claude"),
            // The first second of pi, and of programs that npm installs as scripts, is node's.
            ("pi", "node", "node /usr/local/bin/pi"),
            ("pi", "MainThread", "node /home/u/.npm-global/bin/pi -e /x/mosaic-hb.ts"),
            ("opencode", "node", "node /home/u/.npm-global/bin/opencode --auto"),
            ("opencode", "opencode", "/x/opencode-ai/bin/opencode.exe --auto"),
            ("pi", "pi", "pi   "),
            ("pi", "node", "node /home/u/.npm-global/bin/pi --model x/y:high"),
            ("pi", "node", "node /x/@earendil-works/pi-coding-agent/dist/cli.js"),
            ("dogfood", "mosaic", "mosaic yolo dogfood --fault mute"),
            ("dogfood", "dogfood", "mosaic yolo dogfood"),
            ("dogfood", "fleet", "/opt/bin/fleet --no-color yolo dogfood"),
            ("claude", ".claude-wrapped", "/nix/store/x/bin/.claude-wrapped"),
            ("opencode", ".opencode-wrapp", "/nix/store/x/bin/.opencode-wrapped"),
            ("dogfood", ".mosaic-wrapped", "mosaic yolo dogfood"),
        ] {
            assert!(pane(comm, line).is(runtime), "{runtime}: {comm}: {line}");
        }
    }

    #[test]
    fn another_program_in_the_pane_is_drift_and_named() {
        for (runtime, comm, line, seen) in [
            ("claude", "bash", "-bash", "bash"),
            ("claude", "codex", "codex", "codex"),
            ("codex", "node", "node /x/bin/server.js --token secret", "node server.js"),
            ("codex", "node", "node", "node"),
            ("pi", "node", "node /x/bin/codex", "node codex"),
            ("pi", "pico", "pico", "pico"),
            ("opencode", "vim", "vim --secret=1", "vim"),
            ("dogfood", "mosaic", "mosaic agent tail x", "mosaic"),
            ("dogfood", "mosaic", "mosaic yolo claude", "mosaic"),
            ("dogfood", "sh", "sh -c yolo dogfood", "sh"),
        ] {
            let names = if runtime == "dogfood" { vec!["mosaic", "fleet"] } else { vec![runtime] };
            let drift = pane(comm, line).judged(runtime, &names, StartedBy::Yolo);
            assert_eq!(drift, Drift::Differs { seen: seen.to_owned() }, "{runtime}: {line}");
        }
    }

    #[test]
    fn code_on_a_command_line_is_never_told_and_no_script_steers_a_terminal() {
        for (comm, line, seen) in [
            ("python3", "python3 -c planted", "python3"),
            ("python3", "python3 -Ic planted", "python3"),
            ("node", "node --no-warnings -e planted", "node"),
            ("node", "node -pe planted", "node"),
            ("bun", "bun --eval planted", "bun"),
            ("node", "node --print planted", "node"),
            ("python3", "python3 -Wonce /x/mine.py --token planted", "python3 mine.py"),
            ("node", "node /x/\u{1b}[2Jy.js planted", "node ?[2Jy.js"),
        ] {
            let drift = pane(comm, line).judged("pi", &["pi"], StartedBy::Yolo);
            assert_eq!(drift, Drift::Differs { seen: seen.to_owned() }, "{line}");
        }
    }

    #[test]
    fn a_child_is_enough_for_the_codex_script_and_for_nobody_else() {
        let script = || pane("node", "node /x/launcher.mjs");
        assert!(script().with(11, 10, "codex").is("codex"));
        assert!(!script().with(11, 1, "codex").is("codex"), "somebody else's child");
        assert!(!script().with(11, 10, "claude").is("claude"));
        assert!(!pane("bash", "bash").with(11, 10, "codex").is("codex"), "typed by a person in a shell");
    }

    #[test]
    fn a_shell_line_of_the_roster_may_run_it_as_a_child() {
        let line = pane("sh", "sh -c cd_x;claude").with(11, 10, "env").with(12, 11, "claude");
        assert_eq!(line.judged("claude", &["claude"], StartedBy::Line), Drift::Match);
        let other = pane("sh", "sh -c x").with(11, 10, "vim");
        let seen = Drift::Differs { seen: "sh".to_owned() };
        assert_eq!(other.judged("claude", &["claude"], StartedBy::Line), seen);
    }

    #[test]
    fn a_custom_runtime_is_judged_by_its_names_alone() {
        assert_eq!(pane("aider", "aider").judged("mine", &["aider"], StartedBy::Line), Drift::Match);
        let python = pane("python3.12", "/usr/bin/python3.12 /home/u/.local/bin/aider --x");
        assert_eq!(python.judged("mine", &["aider"], StartedBy::Line), Drift::Match);
        let long = pane("a-very-long-pro", "a-very-long-program");
        assert_eq!(long.judged("mine", &["a-very-long-program"], StartedBy::Line), Drift::Match);
        assert!(matches!(
            pane("vim", "vim").judged("mine", &["aider"], StartedBy::Line),
            Drift::Differs { .. }
        ));
        let none = pane("vim", "vim").judged("mine", &[], StartedBy::Line);
        assert_eq!(why(none), "the roster names no processes for this runtime");
    }

    #[test]
    fn the_first_moments_of_a_pane_are_no_drift() {
        for (comm, line) in [
            ("sh", "sh -c export PATH=x; exec mosaic yolo claude"),
            ("tmux: server", "tmux"),
            ("fleet", "fleet session pane coder0"),
            ("mosaic", "mosaic yolo claude"),
            (".mosaic-wrapped", "mosaic yolo claude"),
        ] {
            let young = pane(comm, line).young().judged("claude", &["claude"], StartedBy::Yolo);
            assert_eq!(why(young), "it is being started", "{comm}");
            assert!(!pane(comm, line).is("claude"), "{comm} that stays");
        }
        let vim = pane("vim", "vim").young().judged("claude", &["claude"], StartedBy::Yolo);
        assert_eq!(vim, Drift::Differs { seen: "vim".to_owned() });
    }

    #[test]
    fn a_first_step_that_still_waits_is_no_drift_and_one_that_never_ends_is() {
        let aged = |comm: &str, line: &str, age: f64| {
            let mut pane = pane(comm, line);
            pane.0.values_mut().for_each(|p| p.started = NOW - age);
            pane.judged("claude", &["claude"], StartedBy::Yolo)
        };
        let step = "/usr/bin/fleet session pane --gate --home /home/u/.config/mosaic coder0";
        assert_eq!(why(aged("fleet", step, 25.0)), "it is being started");
        assert_eq!(aged("fleet", step, 90.0), Drift::Differs { seen: "fleet".to_owned() });
        assert_eq!(aged("sh", "sh -c x", 25.0), Drift::Differs { seen: "sh".to_owned() });
        // What a person typed into a shell is not our first step.
        assert_eq!(aged("fleet", "fleet ps", 25.0), Drift::Differs { seen: "fleet".to_owned() });
    }

    #[test]
    fn a_roster_says_by_which_names_and_by_whom() {
        let text = "version: 1\nruntimes: {mine: {command: x}, codex: {process_names: [cx]}}\nagents:\n\
                    - {name: a, runtime: claude}\n- {name: b, runtime: claude, command: y}\n\
                    - {name: c, runtime: mine}\n- {name: d, runtime: codex}\n- {name: e, runtime: dogfood}\n";
        let roster = crate::roster::read(text, Path::new("r"), "usc").unwrap_or_else(|e| panic!("{e}"));
        let said: Vec<(Vec<String>, StartedBy)> = roster
            .agents
            .iter()
            .map(|agent| expected(&roster, agent))
            .map(|expected| (expected.process_names.to_vec(), expected.started_by))
            .collect();
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<String>>();
        assert_eq!(
            said,
            [
                (names(&["claude"]), StartedBy::Yolo),
                (names(&["claude"]), StartedBy::Line),
                (names(&[]), StartedBy::Line),
                (names(&["cx"]), StartedBy::Yolo),
                (names(&["mosaic", "fleet"]), StartedBy::Yolo),
            ]
        );
    }

    #[test]
    fn a_process_that_was_not_seen_is_not_judged() {
        let nothing = Pane(BTreeMap::new()).judged("claude", &["claude"], StartedBy::Yolo);
        assert_eq!(why(nothing), "its process could not be looked at");
    }
}
