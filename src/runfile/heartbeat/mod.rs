//! Heartbeat protocol v1: one file an agent, `key=value` lines, its text and its type.
//!
//! Any program may write one, in any language, so reading is strict about what decides health and
//! keeps what it does not know. No file is opened here; `judge` says what a beat means.

mod judge;
mod next;

use jiff::Timestamp;

pub use judge::{
    Expect, GRACE_INTERVALS, Health, Timer, UNREADABLE, Verdict, is_fresh, is_newer, judge, within,
};
pub use next::{Said, Whose, next};

/// The longest file that is read; a beat has a few hundred bytes.
pub const LONGEST: usize = 4096;
/// Seconds between beats where nobody says otherwise.
pub const DEFAULT_INTERVAL: u32 = 15;
/// The longest interval that is believed, so that no file can call itself fresh for days.
pub const LONGEST_INTERVAL: u32 = 3600;

/// One heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// When it was written, by the wall clock.
    pub ts: Timestamp,
    /// The runtime's pid, also where a hook or a sidecar wrote.
    pub pid: i32,
    /// Whether the runtime can take a prompt at once.
    pub status: Status,
    /// Seconds until the next one, at most.
    pub interval: Option<u32>,
    /// Whose agent it is.
    pub tenant_id: Option<String>,
    /// On which machine.
    pub host: Option<String>,
    /// In which boot.
    pub boot_id: Option<String>,
    /// CLOCK_BOOTTIME in seconds when it was written; decides the age together with the boot.
    pub boottime: Option<f64>,
    /// `boottime` of the first beat of this runtime process.
    pub first: Option<f64>,
    /// Who wrote it.
    pub source: Source,
    /// What the runtime is doing, in more detail than `status`.
    pub state: Option<State>,
    /// Until when the state lasts, where the runtime told.
    pub resume_at: Option<Timestamp>,
    /// The runtime's id of its conversation.
    pub session: Option<String>,
    /// In a sidecar's beat, `boottime` of the last one that the runtime or its hook wrote: it is
    /// carried on together with their `status` and `state`, of which a sidecar knows nothing.
    pub heard: Option<f64>,
    /// Lines with other keys, as they stood.
    pub unknown: Vec<String>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every word of it, as files and command lines write them.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as files and command lines write it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(
    /// Whether the runtime can take a prompt at once.
    Status {
        /// It waits for a prompt.
        Ok = "ok",
        /// It works on one.
        Busy = "busy",
    }
);

words!(
    /// Who wrote a beat.
    Source {
        /// The runtime itself.
        Runtime = "runtime",
        /// A hook that the runtime ran.
        Hook = "hook",
        /// A program beside it, which can only say that the process lives.
        Sidecar = "sidecar",
    }
);

words!(
    /// What the runtime is doing.
    State {
        /// It works on a prompt.
        Working = "working",
        /// It waits for one.
        Idle = "idle",
        /// The provider's limit is reached.
        RateLimited = "rate-limited",
        /// It asks a person something.
        NeedsInput = "needs-input",
        /// Its login no longer holds.
        AuthExpired = "auth-expired",
        /// Its context is full.
        ContextFull = "context-full",
    }
);

/// Why a file is no heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// More than [`LONGEST`] bytes.
    #[error("oversized: more than {LONGEST} bytes")]
    Oversized,
    /// Bytes that are no UTF-8, or control characters.
    #[error("not text")]
    NotText,
    /// A line that must be there is not.
    #[error("half-written: no {0} line")]
    Missing(&'static str),
    /// The last line has no end, so its value may have lost some.
    #[error("half-written: the last line has no line end")]
    Unfinished,
    /// A line of ours twice.
    #[error("two {0} lines")]
    Twice(&'static str),
    /// A value that its line cannot have.
    #[error("{key}={seen:?} is not {expected}")]
    Value {
        /// Which line.
        key: &'static str,
        /// What stood there, cut to a readable length.
        seen: String,
        /// What may stand there.
        expected: &'static str,
    },
}

/// Reads a heartbeat file's bytes.
pub fn parse(bytes: &[u8]) -> Result<Beat, Invalid> {
    if bytes.len() > LONGEST {
        return Err(Invalid::Oversized);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Invalid::NotText)?;
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    // Nearly all are ASCII, and a look at hundreds of agents reads as many.
    let ascii = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\t'));
    if !ascii && text.chars().any(control) {
        return Err(Invalid::NotText);
    }
    let mut lines = Lines::default();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        lines.take(line)?;
    }
    let beat = lines.beat()?;
    // A file cut short loses its end first. Only a word of a closed set proves itself whole.
    let whole = text.ends_with('\n') || text.lines().last().is_some_and(|l| l.starts_with("status="));
    if whole { Ok(beat) } else { Err(Invalid::Unfinished) }
}

/// The keys in the order in which they are written.
const KEYS: [&str; 14] = [
    "ts",
    "pid",
    "status",
    "interval",
    "tenant_id",
    "host",
    "boot_id",
    "boottime",
    "first",
    "source",
    "state",
    "resume_at",
    "session",
    "heard",
];

#[derive(Default)]
struct Lines<'a> {
    known: [Option<&'a str>; KEYS.len()],
    unknown: Vec<String>,
}

impl<'a> Lines<'a> {
    fn take(&mut self, line: &'a str) -> Result<(), Invalid> {
        let known = line
            .split_once('=')
            .and_then(|(key, value)| Some((KEYS.iter().position(|k| *k == key.trim())?, value.trim())));
        match known {
            None => self.unknown.push(line.to_owned()),
            Some((at, value)) => {
                if self.known[at].replace(value).is_some() {
                    return Err(Invalid::Twice(KEYS[at]));
                }
            }
        }
        Ok(())
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        KEYS.iter().position(|k| *k == key).and_then(|at| self.known[at]).filter(|v| !v.is_empty())
    }

    fn read<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(Invalid::Value { key, seen: value.chars().take(40).collect(), expected }),
        }
    }

    fn beat(mut self) -> Result<Beat, Invalid> {
        let missing = |key| move || Invalid::Missing(key);
        let time = |v: &str| v.parse::<Timestamp>().ok();
        let pid = |v: &str| v.parse::<i32>().ok().filter(|p| *p > 0);
        let interval = |v: &str| v.parse::<u32>().ok().filter(|i| (1..=LONGEST_INTERVAL).contains(i));
        let seconds = |v: &str| v.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let text = |key| self.value(key).map(str::to_owned);
        // A word of a newer version is kept as it stands: it must not make a good beat a bad one.
        let state = self.value("state").map(|w| State::from_word(w).ok_or(w));
        let beat = Beat {
            ts: self.read("ts", "a time such as 2026-11-20T10:00:00Z", time)?.ok_or_else(missing("ts"))?,
            pid: self.read("pid", "a process id", pid)?.ok_or_else(missing("pid"))?,
            status: self.read("status", "ok or busy", Status::from_word)?.ok_or_else(missing("status"))?,
            interval: self.read("interval", "1 to 3600 seconds", interval)?,
            tenant_id: text("tenant_id"),
            host: text("host"),
            boot_id: text("boot_id"),
            boottime: self.read("boottime", "seconds since the boot", seconds)?,
            first: self.read("first", "seconds since the boot", seconds)?,
            source: self
                .read("source", "runtime, hook or sidecar", Source::from_word)?
                .unwrap_or(Source::Runtime),
            state: state.and_then(Result::ok),
            resume_at: self.read("resume_at", "a time such as 2026-11-20T10:00:00Z", time)?,
            session: text("session"),
            heard: self.read("heard", "seconds since the boot", seconds)?,
            unknown: Vec::new(),
        };
        if let Some(Err(word)) = state {
            self.unknown.push(format!("state={word}"));
        }
        Ok(Beat { unknown: self.unknown, ..beat })
    }
}

/// The file's text of a beat.
pub fn text(beat: &Beat) -> String {
    let seconds = |s: Option<f64>| s.map(|s| format!("{s:.6}"));
    let values: [Option<String>; KEYS.len()] = [
        Some(format!("{:.6}", beat.ts)),
        Some(beat.pid.to_string()),
        Some(beat.status.word().to_owned()),
        beat.interval.map(|i| i.to_string()),
        beat.tenant_id.clone(),
        beat.host.clone(),
        beat.boot_id.clone(),
        seconds(beat.boottime),
        seconds(beat.first),
        Some(beat.source.word().to_owned()),
        beat.state.map(|s| s.word().to_owned()),
        beat.resume_at.map(|t| format!("{t:.0}")),
        beat.session.clone(),
        seconds(beat.heard),
    ];
    let mut text = String::with_capacity(512);
    for (key, value) in KEYS.iter().zip(values) {
        if let Some(value) = value {
            // One value is one line, whatever a caller puts into it.
            text.extend([key, "="]);
            text.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
            text.push('\n');
        }
    }
    for line in &beat.unknown {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: &str = "ts=2026-11-20T10:00:00Z\npid=77\nstatus=ok\n";

    fn invalid(text: &str) -> String {
        parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn three_lines_are_a_beat_of_the_runtime_itself() {
        let beat = parse(SMALL.as_bytes()).expect("a beat");
        assert_eq!((beat.pid, beat.status, beat.source), (77, Status::Ok, Source::Runtime));
        assert_eq!(beat.ts.as_second(), 1_795_168_800);
        assert_eq!(beat.interval, None);
    }

    #[test]
    fn lines_of_others_are_kept_and_written_again() {
        let with = format!("{SMALL}model=gpt-5.5\n# a note\nstate=dreaming\n");
        let beat = parse(with.as_bytes()).expect("a beat");
        assert_eq!(beat.unknown, ["model=gpt-5.5", "# a note", "state=dreaming"]);
        assert_eq!(beat.state, None);
        let again = parse(text(&beat).as_bytes()).expect("a beat");
        assert_eq!(again, beat);
    }

    #[test]
    fn what_was_cut_short_is_told_apart_from_what_is_wrong() {
        assert_eq!(invalid(""), "half-written: no ts line");
        assert_eq!(invalid("ts=2026-11-20T10:00:00Z\n"), "half-written: no pid line");
        assert_eq!(invalid("ts=2026-11-20T10:00:00Z\npid=7\nsta"), "half-written: no status line");
        assert_eq!(
            invalid("status=ok\nts=2026-11-20T10:00:00Z\npid=7"),
            "half-written: the last line has no line end"
        );
        assert_eq!(
            invalid("ts=yesterday\npid=7\nstatus=ok\n"),
            r#"ts="yesterday" is not a time such as 2026-11-20T10:00:00Z"#
        );
        assert_eq!(invalid("ts=2026-11-20T10:00:00Z\npid=0\nstatus=ok\n"), r#"pid="0" is not a process id"#);
        assert_eq!(
            invalid("ts=2026-11-20T10:00:00Z\npid=7\nstatus=fine\n"),
            r#"status="fine" is not ok or busy"#
        );
        assert_eq!(
            invalid(&format!("{SMALL}interval=999999\n")),
            r#"interval="999999" is not 1 to 3600 seconds"#
        );
        assert_eq!(
            invalid(&format!("{SMALL}boottime=NaN\n")),
            r#"boottime="NaN" is not seconds since the boot"#
        );
        assert_eq!(
            invalid(&format!("{SMALL}source=god\n")),
            r#"source="god" is not runtime, hook or sidecar"#
        );
        assert_eq!(invalid(&format!("{SMALL}pid=8\n")), "two pid lines");
        assert_eq!(invalid(&format!("{SMALL}{}", "x".repeat(LONGEST))), "oversized: more than 4096 bytes");
        assert_eq!(invalid(&format!("{SMALL}a=\0\n")), "not text");
        assert_eq!(parse(b"\xff\xfe"), Err(Invalid::NotText));
    }

    #[test]
    fn a_whole_status_word_proves_that_the_end_is_not_missing() {
        assert!(parse(SMALL.trim_end().as_bytes()).is_ok());
        assert_eq!(
            invalid("ts=2026-11-20T10:00:00Z\npid=7\nstatus=bus"),
            r#"status="bus" is not ok or busy"#
        );
    }

    #[test]
    fn a_value_never_becomes_a_line_of_its_own() {
        let beat = parse(SMALL.as_bytes()).expect("a beat");
        let beat = Beat { session: Some("a\npid=1".to_owned()), ..beat };
        let again = parse(text(&beat).as_bytes()).expect("still a beat");
        assert_eq!((again.pid, again.session.as_deref()), (77, Some("a pid=1")));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_read_is_written_and_read_the_same(
            secs in 0i64..4_000_000_000, pid in 1..i32::MAX, busy: bool, boottime in 0u32..10_000_000,
            interval in 1u32..3600, state in 0..State::WORDS.len(), session in "[a-z0-9 =-]{1,30}",
        ) {
            let beat = Beat {
                ts: Timestamp::from_second(secs).expect("in range"),
                pid,
                status: if busy { Status::Busy } else { Status::Ok },
                interval: Some(interval),
                tenant_id: Some("usc".to_owned()),
                host: Some("h".to_owned()),
                boot_id: Some("b".to_owned()),
                boottime: Some(f64::from(boottime)),
                first: Some(1.5),
                source: Source::Sidecar,
                state: State::from_word(State::WORDS[state]),
                resume_at: Timestamp::from_second(secs).ok(),
                session: Some(session.trim().to_owned()).filter(|s| !s.is_empty()),
                heard: Some(2.25),
                unknown: vec!["x=y".to_owned()],
            };
            prop_assert_eq!(parse(text(&beat).as_bytes()), Ok(beat));
        }
    }
}
