//! The writer: for any value it accepts, systemd and a POSIX shell read back exactly that value.
//! What cannot be written so is refused with its place; nothing is ever dropped or changed.

use std::collections::BTreeSet;
use std::fmt;

use super::{ESCAPED, is_text};
use crate::names::EnvName;

/// The longest `NAME=VALUE` that the kernel hands to a program: 128 KiB with its closing NUL.
pub const LONGEST: usize = 128 * 1024 - 1;

/// The longest file: the kernel bounds arguments and environment together, at 2 MiB where the
/// stack has its usual limit, and the unit's own variables and arguments need some of that.
pub const LONGEST_FILE: usize = 1024 * 1024;

/// Variables that a shell owns: assigning to them is an error, does nothing, or reads back as
/// something else (dash: OPTIND; bash: all of them).
const OF_THE_SHELL: [&str; 32] = [
    "BASHOPTS",
    "BASHPID",
    "BASH_ALIASES",
    "BASH_ARGC",
    "BASH_ARGV",
    "BASH_ARGV0",
    "BASH_CMDS",
    "BASH_LINENO",
    "BASH_MONOSECONDS",
    "BASH_SOURCE",
    "BASH_SUBSHELL",
    "BASH_TRAPSIG",
    "BASH_VERSINFO",
    "COMP_WORDBREAKS",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTCMD",
    "LINENO",
    "OPTIND",
    "PIPESTATUS",
    "PPID",
    "RANDOM",
    "SECONDS",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "UID",
    "_",
];

/// A variable that cannot be written so that both readers agree. Names it, never shows its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The variable.
    pub name: EnvName,
    /// What is wrong with it, and where.
    pub why: Why,
}

/// What is wrong with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A NUL at this character of the value, counted from 1: no environment can hold one.
    Nul(usize),
    /// A Unicode noncharacter at this character of the value, counted from 1: systemd takes it for
    /// broken text and refuses the whole file.
    Noncharacter(usize, char),
    /// The assignment has this many bytes, more than [`LONGEST`].
    TooLong(usize),
    /// With it the file has more than [`LONGEST_FILE`] bytes.
    FileTooLong,
    /// A shell owns the variable.
    OfTheShell,
    /// The name stands in the file already.
    Twice,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "variable {}: {}", self.name, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Nul(at) => write!(f, "a NUL at character {at} of its value; no environment can hold one"),
            Self::Noncharacter(at, c) => write!(
                f,
                "U+{:04X} at character {at} of its value is no character of Unicode; \
                 systemd would refuse the whole file",
                u32::from(c)
            ),
            Self::TooLong(bytes) => {
                write!(f, "name and value have {bytes} bytes; the kernel takes at most {LONGEST}")
            }
            Self::FileTooLong => write!(
                f,
                "with it the variables take more than {LONGEST_FILE} bytes; \
                 the kernel would refuse to start a program with them"
            ),
            Self::OfTheShell => f.write_str("the shell sets it itself; choose another name"),
            Self::Twice => f.write_str("it is set twice"),
        }
    }
}

impl std::error::Error for Refused {}

/// Whether one variable can be written.
pub fn check(name: &EnvName, value: &str) -> Result<(), Refused> {
    let refused = |why| Err(Refused { name: name.clone(), why });
    if OF_THE_SHELL.contains(&name.as_str()) {
        return refused(Why::OfTheShell);
    }
    if let Some((at, c)) = value.chars().enumerate().find(|(_, c)| !is_text(*c)) {
        return refused(if c == '\0' { Why::Nul(at + 1) } else { Why::Noncharacter(at + 1, c) });
    }
    let bytes = name.as_str().len() + 1 + value.len();
    if bytes > LONGEST {
        return refused(Why::TooLong(bytes));
    }
    Ok(())
}

/// The text of an environment file with these variables, a line each unless a value has lines.
pub fn write(vars: &[(EnvName, &str)]) -> Result<String, Refused> {
    let (mut text, mut written) = (String::new(), BTreeSet::new());
    for (name, value) in vars {
        let refused = |why| Err(Refused { name: name.clone(), why });
        check(name, value)?;
        if !written.insert(name.as_str()) {
            return refused(Why::Twice);
        }
        text.push_str(name.as_str());
        text.push('=');
        push_value(&mut text, value);
        text.push('\n');
        if text.len() > LONGEST_FILE {
            return refused(Why::FileTooLong);
        }
    }
    Ok(text)
}

fn push_value(text: &mut String, value: &str) {
    // What needs no quotes gets none, as a person would write it. The tilde is not among these: a
    // shell expands it at the beginning of a value and after a colon.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return text.push_str(value);
    }
    // Between double quotes both readers take everything verbatim, newlines too, but for these
    // four characters, which both unescape alike. Single quotes would need a way to write a single
    // quote, which differs.
    text.push('"');
    for c in value.chars() {
        if u8::try_from(c).is_ok_and(|b| ESCAPED.contains(&b)) {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envfile::parse;

    fn name(text: &str) -> EnvName {
        EnvName::parse(text).expect("a good name")
    }

    fn refusal(value: &str) -> Why {
        write(&[(name("A"), "fine"), (name("B"), value)]).expect_err("a bad value").why
    }

    #[test]
    fn a_plain_value_stands_as_a_person_would_write_it() {
        let text = write(&[(name("A"), "/home/u/.x"), (name("B"), ""), (name("C"), "two words")]);
        assert_eq!(text.as_deref(), Ok("A=/home/u/.x\nB=\"\"\nC=\"two words\"\n"));
    }

    #[test]
    fn what_either_reader_would_change_is_escaped() {
        let text = write(&[(name("A"), "\"\\$`'%~\n# x ")]);
        assert_eq!(text.as_deref(), Ok("A=\"\\\"\\\\\\$\\`'%~\n# x \"\n"));
    }

    #[test]
    fn what_no_file_can_carry_is_refused_with_its_place() {
        assert_eq!(refusal("é\0"), Why::Nul(2));
        assert_eq!(refusal("ab\u{FFFE}"), Why::Noncharacter(3, '\u{FFFE}'));
        assert_eq!(refusal("\u{FDD0}"), Why::Noncharacter(1, '\u{FDD0}'));
        assert_eq!(refusal("\u{10FFFF}"), Why::Noncharacter(1, '\u{10FFFF}'));
        assert_eq!(refusal(&"x".repeat(LONGEST - 1)), Why::TooLong(LONGEST + 1));
    }

    #[test]
    fn the_longest_value_the_kernel_takes_is_written() {
        assert!(check(&name("B"), &"x".repeat(LONGEST - 2)).is_ok());
    }

    #[test]
    fn a_file_that_no_program_could_start_with_is_refused() {
        let value = "x".repeat(100_000);
        let names: Vec<EnvName> = (0..11).map(|n| name(&format!("V{n}"))).collect();
        let vars: Vec<(EnvName, &str)> = names.iter().map(|n| (n.clone(), value.as_str())).collect();
        assert_eq!(write(&vars), Err(Refused { name: name("V10"), why: Why::FileTooLong }));
    }

    #[test]
    fn a_name_that_stands_already_is_refused_since_readers_would_take_the_last() {
        assert_eq!(
            write(&[(name("A"), "1"), (name("A"), "2")]),
            Err(Refused { name: name("A"), why: Why::Twice })
        );
    }

    #[test]
    fn a_variable_that_a_shell_owns_is_refused() {
        for own in ["UID", "PPID", "_", "OPTIND", "SHLVL"] {
            assert_eq!(check(&name(own), "1").map_err(|r| r.why), Err(Why::OfTheShell), "{own}");
        }
        assert!(check(&name("PATH"), "/bin").is_ok());
    }

    #[test]
    fn a_refusal_names_the_variable_and_never_its_value() {
        let text = check(&name("TOKEN"), "secret\0").expect_err("a NUL").to_string();
        assert!(text.contains("TOKEN") && text.contains("character 7"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn every_single_character_survives_our_own_reader() {
        for c in (0..=0x2FFFF).filter_map(char::from_u32).filter(|c| is_text(*c)) {
            let value = format!("{c} {c}{c}\\{c}");
            let text = write(&[(name("A"), &value)]).expect("text");
            assert_eq!(parse(&text), [("A".to_owned(), value)], "U+{:04X}", u32::from(c));
        }
    }
}
