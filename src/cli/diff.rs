//! The unified diff of one file. A variable's value is never part of it: what may hold one is
//! compared by value and shown by name.

use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices_by_key, group_diff_ops};

use crate::envfile;
use crate::plan::{Before, Reason};
use crate::render::{File, Role};

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// One line: what it is compared by, and what is shown of it.
struct Line {
    key: String,
    shown: String,
}

/// The unified diff from what stands at a file's place to the file; `None` where its content can't
/// be shown at all.
pub fn of(file: &File, before: &Before, reason: &Reason) -> Option<String> {
    let old = match before {
        Before::Nothing => None,
        Before::File { content, .. } => Some(content.as_slice()),
        Before::Link(_) => Some([].as_slice()),
    };
    match &file.role {
        // A roster that stands there may hold values; one of ours that is new holds none of theirs.
        Role::Roster if old.is_some() => None,
        Role::AgentEnv(_) => Some(variables(file, old, reason)),
        _ => Some(text(file, old, is_theirs(reason))),
    }
}

/// Whether somebody else wrote what stands there.
fn is_theirs(reason: &Reason) -> bool {
    matches!(reason, Reason::Forced | Reason::TakenOver)
}

fn text(file: &File, old: Option<&[u8]>, theirs: bool) -> String {
    let lines = |text: &str, shown: fn(&str) -> String| -> Vec<Line> {
        let line = |l: &str| Line { key: l.to_owned(), shown: shown(l.trim_end_matches('\n')) };
        text.split_inclusive('\n').map(line).collect()
    };
    let shown = if theirs { without_values } else { str::to_owned };
    let before = old.map_or_else(Vec::new, |bytes| lines(&String::from_utf8_lossy(bytes), shown));
    unified(file, old.is_some(), &before, &lines(&file.content, str::to_owned), |old, new| {
        format!("@@ -{} +{} @@", numbers(&old), numbers(&new))
    })
}

/// A line that a person wrote into a unit, a script or a configuration, up to where the value of a
/// variable may begin: none is ever shown, wherever it was put.
fn without_values(line: &str) -> String {
    const SETTERS: [&str; 6] =
        ["Environment=", "SetCredential=", "set-environment ", "setenv ", "export ", "env "];
    let after = |word: &str| line.find(word).map(|at| at + word.len());
    let setter = SETTERS.iter().filter_map(|word| after(word)).min();
    let cut = setter.into_iter().chain(assigned(line)).min();
    match cut.and_then(|at| line.get(..at)) {
        Some(head) if head.len() < line.len() => format!("{head}…"),
        _ => line.to_owned(),
    }
}

/// The end of the first `NAME=` that may set a variable: any but the key of a unit's line, `ExecStart=`.
fn assigned(line: &str) -> Option<usize> {
    line.match_indices('=').map(|(at, _)| at).find_map(|at| {
        let head = line.get(..at)?;
        let name = head.rsplit(|c| !is_of_a_name(c)).next().filter(|name| !name.is_empty())?;
        let is_key = head.trim_start() == name
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.contains(|c: char| c.is_ascii_lowercase());
        (!is_key).then_some(at + 1)
    })
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The variables of an environment file. The names in a file of somebody else's are shown only
/// where ours has them too: what reads as a name there can be part of a value.
fn variables(file: &File, old: Option<&[u8]>, reason: &Reason) -> String {
    let read = |bytes: &[u8]| envfile::read(bytes).ok();
    let ours = read(file.content.as_bytes()).unwrap_or_default();
    let theirs = is_theirs(reason);
    let line = |(name, value): (String, String), hidden: bool| {
        let shown = if hidden { "…".to_owned() } else { format!("{name}=…") };
        Line { key: format!("{name}={value}"), shown }
    };
    let before: Vec<Line> = match old {
        None => Vec::new(),
        Some(bytes) => match read(bytes) {
            Some(vars) => vars
                .into_iter()
                .map(|var| {
                    let hidden = theirs && ours.iter().all(|(name, _)| *name != var.0);
                    line(var, hidden)
                })
                .collect(),
            None => vec![Line { key: String::new(), shown: "(not an environment file)".to_owned() }],
        },
    };
    let after: Vec<Line> = ours.iter().cloned().map(|var| line(var, false)).collect();
    unified(file, old.is_some(), &before, &after, |_, _| "@@ variables @@".to_owned())
}

fn unified(
    file: &File,
    there: bool,
    old: &[Line],
    new: &[Line],
    hunk: fn(Range<usize>, Range<usize>) -> String,
) -> String {
    let path = file.path.display();
    let mut out = if there { format!("--- {path}\n") } else { "--- /dev/null\n".to_owned() };
    out.push_str(&format!("+++ {path}\n"));
    let ops = capture_diff_slices_by_key(Algorithm::Myers, old, new, |l| l.key.clone());
    for group in group_diff_ops(ops, CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let old_lines = first.old_range().start..last.old_range().end;
        let new_lines = first.new_range().start..last.new_range().end;
        out.push_str(&format!("{}\n", hunk(old_lines, new_lines)));
        for op in &group {
            let (before, after) = (&old[op.old_range()], &new[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                put(&mut out, ' ', before);
            } else {
                put(&mut out, '-', before);
                put(&mut out, '+', after);
            }
        }
    }
    out
}

fn put(out: &mut String, mark: char, lines: &[Line]) {
    for line in lines {
        out.push(mark);
        // What a person wrote must not steer the terminal.
        out.extend(line.shown.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }));
        out.push('\n');
    }
}

/// `start,count` as a unified diff counts lines; an empty range names the line before it.
fn numbers(range: &Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        n => format!("{},{n}", range.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::AgentName;

    fn env(content: &str) -> File {
        let agent = AgentName::parse("a").expect("a name");
        File::new("/h/a.env".into(), content.to_owned(), Role::AgentEnv(agent))
    }

    fn there(content: &str) -> Before {
        Before::File { content: content.into(), mode: 0o600 }
    }

    #[test]
    fn a_variable_is_compared_by_value_and_shown_by_name() {
        let file = env("SAME=\"one\"\nTOKEN=\"planted-new\"\nNEW=\"planted-too\"\n");
        let old = there("SAME=\"one\"\nTOKEN=\"planted-old\"\nGONE=\"planted\nFAKE=planted\"\n");
        let diff = of(&file, &old, &Reason::Changed).expect("shown");
        assert_eq!(
            diff,
            "--- /h/a.env\n+++ /h/a.env\n@@ variables @@\n SAME=…\n-TOKEN=…\n-GONE=…\n+TOKEN=…\n+NEW=…\n"
        );
    }

    #[test]
    fn what_reads_as_a_name_in_somebody_elses_file_may_be_part_of_a_value() {
        let old = there("export TOKEN=planted\nA=\"x\nplantedsecret=\"\nplantedtoo=\nA=1\n");
        let diff = of(&env("A=\"1\"\n"), &old, &Reason::Forced).expect("shown");
        assert!(!diff.contains("planted") && diff.contains("-…\n") && diff.contains(" A=…"), "{diff}");
        let garbage = Before::File { content: b"A=\xff planted".to_vec(), mode: 0o600 };
        let diff = of(&env("A=\"1\"\n"), &garbage, &Reason::Forced).expect("shown");
        assert!(!diff.contains("planted"), "{diff}");
    }

    #[test]
    fn an_ordinary_file_is_shown_as_diff_shows_it() {
        let file = File::new("/h/x".into(), "a\nb\nc\n".into(), Role::TmuxConf);
        let diff = of(&file, &there("a\nc\n"), &Reason::Changed).expect("shown");
        assert_eq!(diff, "--- /h/x\n+++ /h/x\n@@ -1,2 +1,3 @@\n a\n+b\n c\n");
        let new = of(&file, &Before::Nothing, &Reason::New).expect("shown");
        assert_eq!(new, "--- /dev/null\n+++ /h/x\n@@ -0,0 +1,3 @@\n+a\n+b\n+c\n");
    }

    #[test]
    fn a_value_that_a_person_put_into_a_unit_or_a_script_is_not_shown() {
        for (line, shown) in [
            ("Environment=TOKEN=planted A=b", "Environment=…"),
            ("Environment=\"http_proxy=planted\"", "Environment=…"),
            ("SetCredential=x:planted", "SetCredential=…"),
            ("set-environment -g TOKEN planted", "set-environment …"),
            ("export token=planted", "export …"),
            ("ExecStart=/usr/bin/env token=planted x", "ExecStart=/usr/bin/env …"),
            ("ExecStart=/bin/sh -c 'API_KEY=planted exec x'", "ExecStart=/bin/sh -c 'API_KEY=…"),
            ("ExecStart=/bin/sh -c 'api_key=planted exec x'", "ExecStart=/bin/sh -c 'api_key=…"),
            ("ExecStart=/usr/bin/x --token=planted", "ExecStart=/usr/bin/x --token=…"),
            ("api_key=planted", "api_key=…"),
            ("if [ x == y ]; then Token=planted", "if [ x == y ]; then Token=…"),
            ("Type=oneshot", "Type=oneshot"),
            ("  CPUQuota=10%", "  CPUQuota=10%"),
            ("ExecStart=/usr/bin/tmux -L mosaic-factory", "ExecStart=/usr/bin/tmux -L mosaic-factory"),
        ] {
            assert_eq!(without_values(line), shown);
            let file = File::new("/h/x.service".into(), "[Unit]\n".to_owned(), Role::HolderUnit);
            let diff = of(&file, &there(&format!("{line}\n")), &Reason::Forced).expect("shown");
            assert!(!diff.contains("planted"), "{diff}");
        }
    }

    #[test]
    fn a_roster_that_is_overwritten_is_not_shown() {
        let file = File::new("/h/roster.yaml".into(), "version: 1\n".into(), Role::Roster);
        assert_eq!(of(&file, &there("env: {A: planted}"), &Reason::Forced), None);
    }

    #[test]
    fn what_a_person_wrote_does_not_steer_the_terminal() {
        let file = File::new("/h/x".into(), String::new(), Role::TmuxConf);
        let diff = of(&file, &there("\x1b[2Jx\n"), &Reason::Changed).expect("shown");
        assert!(!diff.contains('\x1b'), "{diff:?}");
    }
}
