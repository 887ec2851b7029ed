//! The misbehaviours that can be asked for: `KIND[:ARGUMENT][@SECONDS]`, text to type. Pure.

use std::str::FromStr;
use std::time::Duration;

/// One misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Behave again, as far as that can be undone.
    None,
    /// Stop reading, beating and listening to signals.
    Hang,
    /// Be killed, as by `kill -9`.
    Die,
    /// Exit with this code.
    Exit(u8),
    /// Stop answering heartbeats, and go on reading.
    Mute,
    /// Do not submit at Enter, this many times or always.
    Draft(Option<u32>),
    /// Draw the whole screen, on the alternate one.
    FullScreen,
    /// Show nothing, read nothing and beat not for this long after the start.
    Slow(Duration),
    /// Take this many MiB of memory, and keep them.
    Memory(usize),
    /// Go on when the terminal hangs up.
    IgnoreHangUp,
}

/// A misbehaviour and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    /// Which.
    pub fault: Fault,
    /// How long after it was asked for.
    pub after: Duration,
}

/// What can be asked for, for people.
pub const KINDS: &str = "hang, die, exit[:CODE], mute, draft[:TIMES], fullscreen, slow[:SECONDS], memory[:MIB], \
                         ignore-hup, none; each with @SECONDS for later";

/// Why a text is no misbehaviour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seen:?} is no fault: {KINDS}")]
pub struct NoFault {
    seen: String,
}

impl FromStr for Armed {
    type Err = NoFault;

    fn from_str(text: &str) -> Result<Self, NoFault> {
        parse(text.trim()).ok_or_else(|| NoFault { seen: text.to_owned() })
    }
}

/// Reads a list parted by commas or spaces, as the environment holds it.
pub fn list(text: &str) -> Result<Vec<Armed>, NoFault> {
    text.split([',', ' ']).filter(|part| !part.is_empty()).map(str::parse).collect()
}

fn parse(text: &str) -> Option<Armed> {
    let (what, after) = match text.split_once('@') {
        Some((what, after)) => (what, seconds(after)?),
        None => (text, Duration::ZERO),
    };
    let (kind, argument) = match what.split_once([':', ' ']) {
        Some((kind, argument)) => (kind, Some(argument.trim())),
        None => (what, None),
    };
    let fault = match (kind, argument) {
        ("none", None) => Fault::None,
        ("hang", None) => Fault::Hang,
        ("die", None) => Fault::Die,
        ("exit", code) => Fault::Exit(code.map_or(Some(1), |c| c.parse().ok())?),
        ("mute", None) => Fault::Mute,
        ("draft", None) => Fault::Draft(None),
        ("draft", Some(times)) => Fault::Draft(Some(times.parse().ok()?)),
        ("fullscreen", None) => Fault::FullScreen,
        ("slow", time) => Fault::Slow(time.map_or(Some(Duration::from_secs(5)), seconds)?),
        ("memory", mib) => Fault::Memory(mib.map_or(Some(1024), |m| m.parse().ok())?),
        ("ignore-hup", None) => Fault::IgnoreHangUp,
        _ => return None,
    };
    Some(Armed { fault, after })
}

/// Seconds with a fraction, at most a day.
pub fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok().filter(|s| (0.0..=86_400.0).contains(s))?;
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(text: &str) -> (Fault, u64) {
        let armed: Armed = text.parse().expect(text);
        (armed.fault, armed.after.as_secs())
    }

    #[test]
    fn a_fault_has_a_kind_an_argument_and_a_time() {
        assert_eq!(armed("hang"), (Fault::Hang, 0));
        assert_eq!(armed("exit"), (Fault::Exit(1), 0));
        assert_eq!(armed("exit:3@10"), (Fault::Exit(3), 10));
        assert_eq!(armed("exit 3"), (Fault::Exit(3), 0));
        assert_eq!(armed("die@5"), (Fault::Die, 5));
        assert_eq!(armed("draft"), (Fault::Draft(None), 0));
        assert_eq!(armed("draft:2"), (Fault::Draft(Some(2)), 0));
        assert_eq!(armed("slow:2"), (Fault::Slow(Duration::from_secs(2)), 0));
        assert_eq!(armed("memory:64"), (Fault::Memory(64), 0));
    }

    #[test]
    fn what_is_none_says_what_there_is() {
        for bad in
            ["", "hung", "exit:x", "exit:300", "hang:1", "die@", "die@-1", "die@x", "slow:inf", "memory:-1"]
        {
            let error = bad.parse::<Armed>().expect_err(bad).to_string();
            assert!(error.contains("ignore-hup"), "{error}");
        }
    }

    #[test]
    fn the_environment_holds_a_list() {
        let faults = list("mute, exit:3@10 ,").expect("a list");
        assert_eq!(faults.len(), 2);
        assert!(list("mute,what").is_err());
        assert_eq!(list(""), Ok(Vec::new()));
    }
}
